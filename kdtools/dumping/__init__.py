"""Faces file -> what other programs read: text of many formats, and crops as pictures.

`selection` is the faces and how their points are told, `names` what their pictures are called.
"""

from kdtools.dumping.selection import Selection, choose_rows
from kdtools.dumping.write import form_named, write_dump

__all__ = ["Selection", "choose_rows", "form_named", "write_dump"]
