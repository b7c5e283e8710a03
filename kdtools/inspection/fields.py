"""A report flattened to dotted names, as lines, or a single value of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kdtools.errors import UsageError
from kdtools.reporting import printable

# This name is of no report: kd-info prints it by itself.
SCHEME_TOML = "scheme.toml"

# Every name that --value takes, and so that a report can hold; * is a name of the file's own or a number in a list.
FIELDS = {
    "file": "path as it was given",
    "kind": "faces, model, checkpoint (a model with the state of its training), or face finder",
    "edition": "of the bundled face finder",
    "format": "version of the file format",
    "bytes": "length of the file",
    "faces": "number of faces",
    "groups.count": "people or photographs, identified by the ids as in kd-split",
    "groups.largest": "faces of the largest of them",
    "groups.largest_name": "what its ids share",
    "groups.numbered.*": "names that were taken for those of numbered files, not for people",
    "ids.*": "the first ids",
    "arrays.*.shape.*": "lengths of an array's axes",
    "arrays.*.dtype": "its type",
    "image.height": "px",
    "image.width": "px",
    "image.stored": "contiguous, or the compression filter",
    "landmarks.points": "points per face",
    "landmarks.role": "hard, soft or predicted",
    "landmarks.scheme": "name of the scheme",
    SCHEME_TOML: "the scheme as a file that --scheme takes, to start one's own from; not in the JSON",
    "landmarks.mirror": "whether it is known which point becomes which in a mirrored image",
    "landmarks.normalisers.*": "lengths by which kd-eval can divide errors",
    "landmarks.frame": "image, or source: of which image the points are pixels",
    "landmarks.missing_share": "share of the points that are not annotated",
    "landmarks.faces_without": "faces with no annotated point",
    "landmarks.convention": "of predictions: the annotation convention whose places they are",
    "landmarks.origin.*": "of predictions: origin x, y that was added to them, px of the source images",
    "landmarks.flipped": "of predictions: whether each is the mean over a face and its mirror image",
    "conventions.*.faces": "faces of an annotation convention",
    "conventions.*.origin.*": "its origin x, y: offset of its labels from the true places, px of the source images",
    "visible.occluded_share": "share of the points that are marked as occluded",
    "subsets.*": "faces in a subset",
    "crop.*": "rule by which faces are cut out of their photographs",
    "box.origin": "whose they are: annotation, detector or crop; empty if unknown",
    "box.left": "least x0, px of the source images",
    "box.top": "least y0",
    "box.right": "greatest x1",
    "box.bottom": "greatest y1",
    "box.smallest_side": "longer side of the smallest box, px",
    "box.largest_side": "longer side of the largest box, px",
    "detector.name": "what found the faces: finder, cascade, yunet, boxes (a list), or whole (images, by choice)",
    "detector.file": "its file, if it was named on the command line",
    "detector.sha256": "of its file: a network, a cascade, or a list of boxes",
    "detector.min_score": "score threshold, where there is one",
    "detector.search_size": "longer side in px to which images were reduced for the search, if --search-size was used",
    "score.min": "least score of the detector",
    "score.max": "greatest score",
    "confidence.min": "least confidence of a point",
    "confidence.max": "greatest confidence",
    "shape_model.modes": "modes of the shape model",
    "shape_model.align": "how shapes were aligned",
    "form": "safetensors or onnx",
    "arch": "timm's name of the network",
    "head": "how it answers: linear (on pooled features) or heatmap",
    "parameters": "trained numbers; in ONNX, all constants of the network",
    "input_size": "side of the input, px",
    "mean.*": "of RGB in [0, 1], taken off the input",
    "std.*": "of RGB, by which the rest is divided",
    "convention": "annotation convention that the network answers by unless --convention asks for another",
    "conventions.*.layer": "annotation convention that it knows: the last layer that answers by it",
    "settings.*": "of the training",
    "data_sets.*": "of a faces file: data sets that it is made from, those of networks that predicted it among them",
    "trained_on.*": "of a network: data sets that it, its start weights and its teachers were trained on",
    "start_weights.*": "networks that trainings started from",
    "teachers.*": "networks whose predictions were learnt from, or are in the file",
    "terms.*": "terms of each data set, and of networks that do not say what they are made from",
    "training.epochs_done": "epochs behind a checkpoint",
    "training.nme_percent": "validation NME after the last of them",
    "training.best_nme_percent": "lowest validation NME so far",
    "training.normaliser": "of these NMEs",
    "provenance.tool": "what wrote the file",
    "provenance.version": "of kdtools",
    "provenance.created": "day, UTC",
    "provenance.argv.*": "words of its command line that can change what came out",
    "provenance.inputs.*": "name, sha256 and state of each input, and the provenance of those that are unchanged",
}


def flatten(report: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted name, value) of every value of a report; list positions count from 0."""
    if isinstance(report, dict):
        items = list(report.items())
    elif isinstance(report, list):
        items = list(enumerate(report))
    else:
        yield prefix, report
        return
    for key, value in items:
        yield from flatten(value, f"{prefix}.{key}" if prefix else str(key))


def to_lines(report: dict[str, Any]) -> str:
    """One line `name<TAB>value` for each value."""
    return "\n".join(f"{printable(name)}\t{printable(_text(value))}" for name, value in flatten(report))


def field_lines(report: dict[str, Any], name: str) -> str:
    """A single value; for a list, one value per line; for a part with names, `name<TAB>value` lines.

    Raises UsageError for a name that is not in this report.
    """
    flat = dict(flatten(report))
    if name in flat:
        return printable(_text(flat[name]))
    below = [key for key in flat if key.startswith(f"{name}.")]
    if below and all(key.removeprefix(f"{name}.").isdigit() for key in below):
        return "\n".join(printable(_text(flat[key])) for key in below)
    if below:
        return "\n".join(f"{printable(key.removeprefix(f'{name}.'))}\t{printable(_text(flat[key]))}" for key in below)
    known = [key for key in flat if not key.startswith(("provenance.inputs.", "arrays."))]
    lists = dict.fromkeys(re.sub(r"\.\d+$", "", key) for key in known)
    raise UsageError(f"{report['file']}: there is no value {name!r}", f"give one of {', '.join(lists)}")


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
