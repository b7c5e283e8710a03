"""300W and what is made of it: one id for a face in every dialect, and the subsets that its path tells.

300W is LFPW, HELEN, AFW and IBUG under one markup. Its lists name the same pictures below different folders of their
authors' machines; the part from lfpw/, helen/, afw/ or ibug/ on is what they have in common. The private test set (600
pictures) lies in 01_Indoor/ and 02_Outdoor/.

Source: C. Sagonas et al., "300 Faces in-the-Wild Challenge", 2013; common and challenging as in S. Ren et al., "Face
alignment at 3000 FPS", 2014: the test halves of HELEN and LFPW, and IBUG; everything else is for training.
"""

from __future__ import annotations

import re

from kdtools.datasets.formats.shared.annotation import clean_name

_SUBSETS = {
    ("helen", "testset"): frozenset({"common"}),
    ("lfpw", "testset"): frozenset({"common"}),
    ("helen", "trainset"): frozenset({"train"}),
    ("lfpw", "trainset"): frozenset({"train"}),
    ("afw",): frozenset({"train"}),
    ("ibug",): frozenset({"challenging"}),
    ("01_Indoor",): frozenset({"test", "indoor"}),
    ("02_Outdoor",): frozenset({"test", "outdoor"}),
}
_LAST_FOLDERS = {folders[-1] for folders in _SUBSETS}
_LAST_FOLDER = re.compile("|".join(sorted(_LAST_FOLDERS)))


def id_in_300w(path: str) -> str:
    """`/home/me/300-W/lfpw/testset/image_0208.png` -> `lfpw/testset/image_0208.png`; other names are only cleaned.

    Only the folders right before the picture count: a person or another data set may have a folder called helen too.
    """
    if not _may_be_in_300w(path):
        return clean_name(path)
    parts = clean_name(path).split("/")
    return "/".join(parts[-1 - len(_folders_of(parts)) :] if _folders_of(parts) else parts)


def subsets_in_300w(id: str) -> frozenset[str]:
    """Subsets of a face from its id or path; none where that tells nothing."""
    return _SUBSETS.get(_folders_of(clean_name(id).split("/")), frozenset()) if _may_be_in_300w(id) else frozenset()


def _may_be_in_300w(path: str) -> bool:
    """False for nearly all pictures of other sets, in a fraction of the time that a look at each folder takes."""
    return _LAST_FOLDER.search(path) is not None


def _folders_of(parts: list[str]) -> tuple[str, ...]:
    """The folders of 300W that a picture lies in; none for a picture of another set."""
    if len(parts) < 2 or parts[-2] not in _LAST_FOLDERS:
        return ()
    return next((folders for folders in _SUBSETS if tuple(parts[-1 - len(folders) : -1]) == folders), ())
