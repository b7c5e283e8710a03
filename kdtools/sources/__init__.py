"""What is looked at: files, folders, lists, tar files, videos and cameras, as one stream of photographs."""

from kdtools.sources.inputs import Photographs, kind_of
from kdtools.sources.photograph import Photograph

__all__ = ["Photograph", "Photographs", "kind_of"]
