"""Inputs of a prediction: files, folders, lists, tar files, videos and cameras, as one stream of photographs."""

from kdtools.prediction.inputs.photograph import Photograph
from kdtools.prediction.inputs.photographs import Photographs, kind_of

__all__ = ["Photograph", "Photographs", "kind_of"]
