"""Face detectors; each converts its boxes to the square around the points (docs/crops.md)."""

from __future__ import annotations

from kdtools.errors import UsageError
from kdtools.images.detection.boxes import BoxesFile, WholeImage, whole_square
from kdtools.images.detection.cascade import CascadeDetector
from kdtools.images.detection.detector import Detector, Found, ReducedSearch
from kdtools.images.detection.yunet import YuNetDetector
from kdtools.storage.file_kinds import check_no_pipe

USUAL_DETECTOR = "cascade"  # the one that is taken, or advised, where none is named


def find_detector(name: str) -> Detector:
    """The detector for `cascade`, `whole`, a .onnx file (YuNet) or a .csv file of boxes.

    Raises UsageError for any other name, FileError or DataError for a file that cannot be used.
    """
    if name == "cascade":
        return CascadeDetector()
    if name == "whole":
        return WholeImage()
    if name.lower().endswith(".onnx"):
        return YuNetDetector(name)
    if name.lower().endswith(".csv"):
        return BoxesFile(name)
    check_no_pipe(name, f"--detector {name}")
    raise UsageError(
        f"there is no detector {name!r}", "give cascade, whole, a YuNet model (.onnx) or a list of boxes (.csv)"
    )


__all__ = [
    "USUAL_DETECTOR",
    "BoxesFile",
    "CascadeDetector",
    "Detector",
    "Found",
    "ReducedSearch",
    "WholeImage",
    "YuNetDetector",
    "find_detector",
    "whole_square",
]
