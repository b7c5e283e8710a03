"""SLEAP: analysis HDF5 files, and .slp projects where the package sleap-io is installed; 0-based.

tracks (T, 2, nodes, frames) float64, NaN where absent; node_names, track_names; point_scores (T, nodes, frames),
instance_scores (T, frames). sleap-io can write other orders of the axes and then names them in the attribute `dims`.
One face per frame and track: `VIDEO/frame_000012`, that of the k-th track with #k from the second on. VIDEO is from the
name that SLEAP gives the file, PROJECT.000_VIDEO.analysis.h5. The pictures are frames of a video: extract them (see
frames.py), or import without pictures. What a .slp file holds is left to sleap-io to check.

Base: pixel centres are whole numbers and the first is 0, SLEAP's midpoint convention (github.com/talmolab/sleap
issue 296); sleap-io brings older .slp files, which counted from the corner, to it (sleap-io pull request 231). Frames
are counted from the first one stored: files exported without SLEAP's `all frames` do not say which one that was.

Source: sleap/info/write_tracking_h5.py; sleap_io/io/analysis_h5.py.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PureWindowsPath
from typing import Any

import h5py
import numpy as np

from kdtools.datasets.formats.shared.annotation import Annotation, Reading, as_points
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.frames import find_frame_or_still, find_video
from kdtools.datasets.formats.shared.hdf5 import as_text, attribute_of, dataset_at, numbers_at, opened, texts_at
from kdtools.datasets.formats.shared.text_lists import check_size, files_like, only_file
from kdtools.errors import DataError, FileError, reason_of

_FEW_FRAMES = 2  # by which a video's header may be off
_AXES = ("track", "xy", "node", "frame")


def accepts(source: Path) -> bool:
    return bool(_files_in(source))


def _files_in(source: Path) -> list[Path]:
    return files_like(source, "*.h5", _looks_right) or files_like(source, "*.slp", _looks_right)


def _looks_right(path: Path) -> bool:
    try:
        with opened(path) as file:
            if path.suffix.lower() == ".slp":
                return "metadata" in file and "instances" in file
            return "tracks" in file and "node_names" in file
    except FileError:
        return False


def names_of(source: Path) -> list[str] | None:
    """Names of the nodes, in the order of the points; None where they are texts of variable length (see hdf5.py)."""
    path = only_file(source, _files_in(source))
    if path.suffix.lower() == ".slp":
        skeletons = _load_project(path).skeletons
        return [str(node.name) for node in skeletons[0].nodes] if skeletons else None
    with opened(path) as file, suppress(DataError):
        return texts_at(file, "node_names")
    return None


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    """Frames in which a track has no point at all are no faces of it."""
    path = only_file(source, _files_in(source))
    if path.suffix.lower() == ".slp":
        yield from _read_project(path, reading)
    else:
        yield from _read_analysis(path, reading)


def _read_analysis(path: Path, reading: Reading) -> Iterator[Annotation]:
    with opened(path) as file:
        axes = _axes_of(file)
        tracks = _in_order(numbers_at(file, "tracks"), axes, "frame track node xy", path)
        n_nodes = dataset_at(file, "node_names").size
        point_scores = numbers_at(file, "point_scores") if "point_scores" in file else None
        scores = numbers_at(file, "instance_scores") if "instance_scores" in file else None
    if tracks.shape[2:] != (n_nodes, 2):
        raise DataError(f"{path}: {n_nodes} node_names, but tracks of {tracks.shape[2]} nodes")
    if point_scores is not None:
        point_scores = _in_order(point_scores, axes, "frame track node", path, tracks.shape)
    if scores is not None:
        scores = _in_order(scores, axes, "frame track", path, tracks.shape)
    video = _video_of(path)
    _check_first_frame(path, video, len(tracks), reading)
    for frame, k in np.argwhere(np.isfinite(tracks).all(axis=-1).any(axis=-1)):
        where = f"{path}: frame {frame}, track {k}"
        try:
            points = as_points(check_size(tracks[frame, k]), reading.base)
        except DataError as error:
            reading.skip(where, error.message)
            continue
        place = find_frame_or_still(reading, video, int(frame), path.parent, where)
        if place is not None:
            id = place.id if k == 0 else f"{place.id}#{k + 1}"
            confidence = None if point_scores is None else _known(point_scores[frame, k])
            score = None if scores is None or not np.isfinite(scores[frame, k]) else float(scores[frame, k])
            yield Annotation(id, place.image, points, confidence=confidence, score=score, frame=place.frame)


def _check_first_frame(path: Path, video: str, n_frames: int, reading: Reading) -> None:
    """Raises DataError where frames would be taken from a video that has more of them than the file.

    Without SLEAP's `all frames` the export begins and ends with the first and last labelled frame, and does not say
    which these are, so its frame 0 may be any frame of the video.
    """
    place = find_video(reading, video, path.parent)
    if place is None:
        return
    from kdtools.images.video import stated_frames

    stated = stated_frames(place)
    if stated > n_frames + _FEW_FRAMES:
        raise DataError(
            f"{path}: holds {n_frames} frames, but {place.name} has {stated}; which of them is the first is not known",
            "export again with SLEAP's `all frames`, or give the .slp project",
        )


def _axes_of(file: h5py.File) -> tuple[str, ...]:
    """The axes of `tracks` as they are stored."""
    text = as_text(attribute_of(dataset_at(file, "tracks"), "dims"))
    axes = tuple(map(str, json.loads(text))) if text else _AXES
    if sorted(axes) != sorted(_AXES):
        raise DataError(f"{file.filename}:/tracks: its dims are {text}, not {', '.join(_AXES)}")
    return axes


def _in_order(
    values: np.ndarray, axes: tuple[str, ...], wanted: str, path: Path, like: tuple[int, ...] | None = None
) -> np.ndarray:
    """Values with the axes `wanted`, which are some of `axes`, in that order. Raises DataError for another shape."""
    stored = [axis for axis in axes if axis in wanted.split()]
    if values.ndim == len(stored):
        values = values.transpose([stored.index(axis) for axis in wanted.split()])
    expected = (*values.shape[:3], 2) if like is None else like[: len(stored)]
    if values.ndim != len(stored) or values.shape != expected:
        raise DataError(f"{path}: an array of {wanted} has the shape {values.shape}")
    return values


def _known(numbers: np.ndarray) -> np.ndarray | None:
    """None for the scores of a face that somebody marked by hand: all NaN."""
    return numbers if np.isfinite(numbers).any() else None


def _video_of(path: Path) -> str:
    """The stored path of the video is not asked: it is a text of variable length (see hdf5.py)."""
    return re.sub(r"^.+\.\d{3}_(?=.)", "", re.sub(r"(?<=.)\.analysis$", "", path.stem))


def _load_project(path: Path) -> Any:
    """sleap-io's Labels. Raises FileError where it is not installed, or cannot read the file."""
    try:
        sleap_io = importlib.import_module("sleap_io")
    except ImportError as error:
        raise FileError(
            f"{path}: a SLEAP project, which needs the package sleap-io",
            "pip install sleap-io, or export an analysis HDF5 file from SLEAP",
        ) from error
    try:
        return sleap_io.load_slp(str(path), open_videos=False)
    except Exception as error:  # a damaged project ends in whatever the first wrong number leads to
        raise FileError(f"{path}: not a SLEAP project that can be read: {reason_of(error)}") from error


def _read_project(path: Path, reading: Reading) -> Iterator[Annotation]:
    """Where a frame holds instances marked by a person, those predicted for it are left out, as SLEAP does."""
    for labelled in _load_project(path):
        file_name = labelled.video.filename
        video = PureWindowsPath(file_name).stem if isinstance(file_name, str) else ""  # a list where it is of pictures
        where = f"{path}: frame {labelled.frame_idx}"
        for instance in labelled.user_instances or labelled.predicted_instances:
            try:
                points = as_points(check_size(instance.numpy()), reading.base)
            except DataError as error:
                reading.skip(where, error.message)
                continue
            if not np.isfinite(points).any():
                continue
            place = find_frame_or_still(reading, video or path.stem, int(labelled.frame_idx), path.parent, where)
            if place is not None:
                score = getattr(instance, "score", None)
                yield Annotation(
                    reading.number(place.id),
                    place.image,
                    points,
                    confidence=instance.points["score"].astype(float)
                    if "score" in instance.points.dtype.names
                    else None,
                    score=None if score is None else float(score),
                    frame=place.frame,
                )


FORMAT = Format("sleap", "SLEAP analysis HDF5 (and .slp with sleap-io)", 0, accepts, read, names_of=names_of)
