"""Whether predictions and truth mean the same points of the same pictures, as far as their files say so."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from kdtools.errors import DataError, FileError
from kdtools.evaluation.point_sets import PointSet
from kdtools.faces.file import open_faces
from kdtools.faces.validation import plain
from kdtools.landmarks import SCHEMES
from kdtools.reporting import Reporter
from kdtools.storage.provenance import recorded_places, sha256_of

# What each normaliser takes its length from.
_ENDS = (("outer_corners", "inter-ocular"), ("left_eye", "inter-pupil"), ("right_eye", "inter-pupil"))
_MOST_HASHED = 1 << 32  # bytes; hashing more would take longer than measuring
_MOST_FILES = 100  # whose inputs are followed
_FACES_SUFFIXES = (".h5", ".hdf5")


def check_same_ends(truth: PointSet, pred: PointSet, normalisers: Sequence[str]) -> None:
    """Raises DataError if schemes of one name have other points that a normaliser of these takes its length from."""
    if truth.scheme.name != pred.scheme.name or truth.foreign or pred.foreign:
        return
    for field, normaliser in _ENDS:
        one, two = getattr(truth.scheme, field), getattr(pred.scheme, field)
        if normaliser in normalisers and one and two and one != two:
            points = ",".join(map(str, one)) if field == "outer_corners" else "I,J"
            raise DataError(
                f"{truth.name} and {pred.name}: both are {truth.scheme.name}, but with other {field}: {one} and {two}",
                f"correct the attributes of /landmarks, or say what to divide by: --norm points:{points} or box-size",
            )


def warn_of_own_ends(truth: PointSet, normalisers: Sequence[str], reporter: Reporter) -> None:
    """Warn of a scheme with a known name whose lengths are taken from other points than usual."""
    known = SCHEMES.get(truth.scheme.name)
    for field, normaliser in _ENDS if known is not None and known.n_points == truth.n_points else ():
        own, usual = getattr(truth.scheme, field), getattr(known, field)
        if normaliser in normalisers and own and usual and own != usual:
            reporter.warn(f"{truth.name}: its {field} are {own}, those of {truth.scheme.name} elsewhere {usual}")


def warn_of_other_pictures(truth: PointSet, pred: PointSet, reporter: Reporter) -> None:
    """Warn of predictions of a faces file that has nothing in common with the truth, as far as both record it.

    Ids join them all the same, so pictures of the same names in two files would be taken for each other. Files record
    the SHA-256 of their inputs, which are followed as far as they are there. Files of other programs, shards, joined
    files and predictions of photographs do not tell.
    """
    if len(truth.files) != 1 or not pred.files or os.path.getsize(truth.files[0]) > _MOST_HASHED:
        return
    tool, inputs = _record_of(pred.files[0])
    made_from = {name: sha for name, sha in inputs.items() if name.endswith(_FACES_SUFFIXES)}
    if tool != "kd-predict" or not made_from:
        return
    origins = _origins_of(pred.files[0], set()) - (set(inputs.values()) - set(made_from.values()))
    if origins & _origins_of(truth.files[0], set()) or sha256_of(truth.files[0]) in origins:
        return
    name = next(iter(made_from))
    same = os.path.basename(name) == os.path.basename(truth.files[0])
    what = f"another {name} than this one" if same else f"{name}, which is not {truth.name}"
    reporter.warn(f"{pred.name} was made from {what} (by its SHA-256): are these the same pictures?")


def _origins_of(path: str, seen: set[str]) -> set[str]:
    """SHA-256 of all inputs of a faces file, and of theirs; each of the files `seen` is looked at once."""
    place = os.path.realpath(path)
    if place in seen or len(seen) >= _MOST_FILES:
        return set()
    seen.add(place)
    _, inputs = _record_of(path)
    origins = set(inputs.values())
    for name in inputs:
        if name.endswith(_FACES_SUFFIXES):
            places = [place for place in recorded_places(name, Path(path).parent) if place.is_file()]
            origins |= _origins_of(str(places[0]), seen) if places else set()
    return origins


def _record_of(path: str) -> tuple[str, dict[str, str]]:
    """The tool that made a faces file and the SHA-256 of its inputs, by name; nothing if it is no faces file."""
    if not os.path.isfile(path):
        return "", {}
    try:
        with open_faces(path) as faces:
            found = json.loads(str(plain(faces.h5.attrs.get("inputs", "{}"))))
            return str(plain(faces.h5.attrs.get("tool", ""))), {str(name): str(sha) for name, sha in found.items()}
    except (FileError, ValueError, AttributeError, RecursionError):
        return "", {}
