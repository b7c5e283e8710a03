"""Face detectors; each converts its boxes to the square around the points (docs/crops.md)."""

from __future__ import annotations

from kdtools.bundled import finder_file
from kdtools.errors import FileError, UsageError
from kdtools.images.detection.boxes import BoxesFile, WholeImage, whole_square
from kdtools.images.detection.cascade import CascadeDetector
from kdtools.images.detection.detector import Detector, Found, ReducedSearch, decode_for, find_in
from kdtools.images.detection.finder import MIN_SCORE as FINDER_MIN_SCORE
from kdtools.images.detection.finder import FaceFinder
from kdtools.images.detection.yunet import MIN_SCORE as YUNET_MIN_SCORE
from kdtools.images.detection.yunet import YuNetDetector, public_model
from kdtools.reporting import SILENT, Reporter
from kdtools.storage.outputs import is_stream


def check_scoreless(name: str, min_score: float | None) -> None:
    """Raises UsageError for a least score where boxes have no scores."""
    if min_score is not None:
        raise UsageError(
            f"--min-score needs scores, which --detector {name} does not give",
            "leave it out, or name a detector: finder, cascade, yunet, a YuNet model (.onnx)",
        )


def check_searchless(name: str, search_size: int | None) -> None:
    """Raises UsageError for a search size where nothing is searched."""
    if search_size is not None:
        raise UsageError(
            f"--search-size is for detectors that search the image, which --detector {name} does not",
            "leave it out, or name a detector: finder, cascade, yunet, a YuNet model (.onnx)",
        )


def is_detector(name: str) -> bool:
    """Whether a word is the name or the file of a detector."""
    return name in ("auto", "finder", "cascade", "yunet", "whole") or name.lower().endswith((".onnx", ".csv"))


def usual_detector() -> str:
    """The detector that is taken, or advised, where none is named: the finder, if it was installed with kdtools."""
    return "finder" if finder_file() else "cascade"


def find_detector(
    name: str, min_score: float | None = None, reporter: Reporter = SILENT, *, search_size: int | None = None
) -> Detector:
    """The detector for `finder`, `cascade`, `yunet`, `whole`, a .onnx file (YuNet) or a .csv file of boxes.

    `auto` is the finder, or, with a warning, the cascade where kdtools was installed without its networks. `min_score`
    is the least score of a face, and `search_size` the longer side in px to which images are reduced for the search;
    None is the detector's own. Raises UsageError for any other name, for a least score where there are no scores or
    none so high, and for a search size where nothing is searched; FileError or DataError for a file that cannot be
    used.
    """
    if name == "auto":
        name = usual_detector()
        if name == "cascade":
            reporter.warn(
                "the face finder is missing from kdtools/pretrained, so OpenCV's cascade is used: it misses faces that "
                "are turned, small or covered; install kdtools with its networks, or name a --detector"
            )
    if name == "finder":
        return FaceFinder(min_score=FINDER_MIN_SCORE if min_score is None else min_score, search_size=search_size)
    if name == "cascade":
        return CascadeDetector(min_score, search_size)
    if name == "whole":
        check_scoreless(name, min_score)
        check_searchless(name, search_size)
        return WholeImage()
    if name == "yunet" or name.lower().endswith(".onnx"):
        least = YUNET_MIN_SCORE if min_score is None else min_score
        if name == "yunet":
            return YuNetDetector(public_model(), least, search_size, is_public=True)
        return YuNetDetector(name, least, search_size)
    if name.lower().endswith(".csv"):
        check_searchless(name, search_size)
        return BoxesFile(name, min_score)
    if is_stream(name):
        hint = "write it to a file, whose suffix says what it is: boxes (.csv) or a YuNet model (.onnx)"
        raise FileError(f"--detector {name}: is a pipe or standard input", hint)
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
    "check_scoreless",
    "check_searchless",
    "decode_for",
    "find_detector",
    "find_in",
    "is_detector",
    "usual_detector",
    "whole_square",
]
