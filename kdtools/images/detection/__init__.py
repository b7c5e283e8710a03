"""Face detectors; each converts its boxes to the square around the points (docs/crops.md)."""

from __future__ import annotations

from kdtools.bundled import finder_file
from kdtools.errors import UsageError
from kdtools.images.detection.boxes import BoxesFile, WholeImage, whole_square
from kdtools.images.detection.cascade import CascadeDetector
from kdtools.images.detection.detector import Detector, Found, ReducedSearch
from kdtools.images.detection.finder import FaceFinder
from kdtools.images.detection.yunet import YuNetDetector, public_model
from kdtools.storage.file_kinds import check_no_pipe


def usual_detector() -> str:
    """The detector that is taken, or advised, where none is named: the finder, if it was installed with kdtools."""
    return "finder" if finder_file() else "cascade"


def find_detector(name: str) -> Detector:
    """The detector for `finder`, `cascade`, `yunet`, `whole`, a .onnx file (YuNet) or a .csv file of boxes.

    `auto` is the finder, or the cascade where kdtools was installed without its networks. Raises UsageError for any
    other name, FileError or DataError for a file that cannot be used.
    """
    if name == "auto":
        name = usual_detector()
    if name == "finder":
        return FaceFinder()
    if name == "cascade":
        return CascadeDetector()
    if name == "whole":
        return WholeImage()
    if name == "yunet":
        return YuNetDetector(public_model())
    if name.lower().endswith(".onnx"):
        return YuNetDetector(name)
    if name.lower().endswith(".csv"):
        return BoxesFile(name)
    check_no_pipe(name, f"--detector {name}")
    raise UsageError(
        f"there is no detector {name!r}", "give finder, cascade, yunet, whole, a YuNet model (.onnx) or boxes (.csv)"
    )


__all__ = [
    "BoxesFile",
    "CascadeDetector",
    "Detector",
    "FaceFinder",
    "Found",
    "ReducedSearch",
    "WholeImage",
    "YuNetDetector",
    "find_detector",
    "usual_detector",
    "whole_square",
]
