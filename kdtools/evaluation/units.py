"""Groups of faces by their ids: of one person, photograph or video; and consecutive frames."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from kdtools.errors import DataError
from kdtools.evaluation.point_sets import photograph_of, text_of
from kdtools.faces.people import compile_pattern, find_groups, group_faces
from kdtools.reporting import counted


@dataclass(frozen=True)
class Units:
    """Number of the person, photograph or video of each face (N,), and a description for reports.

    `codes` is None where each face is its own unit.
    """

    codes: np.ndarray | None
    description: str


def find_units(ids: np.ndarray, pattern: str | None) -> Units:
    """Independent units for intervals and tests, by `--group`, or by what the ids have in common."""
    if pattern == "none":
        return Units(None, "each face by itself (--group none)")
    if pattern is not None:
        names = group_faces([text_of(identity) for identity in ids], pattern).names
        return Units(_number(names), f"{len(set(names))} groups by --group {pattern}")
    groups = find_groups(ids)
    n_groups = int(groups.codes.max()) + 1
    description = "each face by itself"
    if n_groups < len(ids):
        description = f"{n_groups} people or photographs, by what ids have in common before their last number"
    if groups.numbered:
        description += f"; names like {groups.numbered[0]!r} are taken for numbered files"
    return Units(groups.codes if n_groups < len(ids) else None, description)


def _number(names: list[str]) -> np.ndarray:
    """Equal names -> equal numbers from 0 on (N,)."""
    code_of = {name: code for code, name in enumerate(dict.fromkeys(names))}
    return np.fromiter((code_of[name] for name in names), np.int64, len(names))


_LONGEST_NUMBER = 18  # digits of a frame's number


def _split_frame(name: str) -> tuple[str, str] | None:
    """The name before its last number, and that number, which a suffix may follow; None where there is none.

    >>> _split_frame("clip/f_012.v2"), _split_frame("clip/f_012")
    (('clip/f_', '012'), ('clip/f_', '012'))
    """
    stem, _, suffix = name.rpartition(".")
    if not (stem[-1:].isdecimal() and suffix.isascii() and suffix.isalnum()):
        stem = name
    first = len(stem)
    while first and stem[first - 1].isdecimal():
        first -= 1
    return (stem[:first], stem[first:]) if first < len(stem) else None


@dataclass(frozen=True)
class Frames:
    """Row (N,) of each face in the preceding frame of its video, -1 where there is none; and the videos as units."""

    before: np.ndarray
    units: Units


def find_frames(ids: np.ndarray, pattern: str) -> Frames:
    """Consecutive frames: `pattern` is a regular expression searched in ids, with groups for video and frame number.

    `auto` takes the last number of the id. The k-th faces (#k) of a video are one track. Two frames are consecutive if
    their numbers differ by the smallest difference in the track. An id that does not match is a video of its own.
    Raises UsageError for an invalid expression or one without two groups, DataError if no face follows another.
    """
    hint = r"such as '(.*)_(\d+)': video and frame"
    split = _split_frame
    if pattern != "auto":
        expression = compile_pattern("--video", pattern, 2, hint)

        def split(name: str) -> tuple[str, str] | None:
            match = expression.search(name)
            return None if match is None or match[1] is None else (match[1], match[2] or "")

    tracks: dict[tuple[str, str], dict[int, int]] = {}
    videos = []
    for row, identity in enumerate(ids):
        photograph = photograph_of(identity)
        name, face = text_of(photograph), text_of(identity[len(photograph) :])
        video, number = split(name) or ("", "")
        is_frame = number.isdecimal() and len(number) <= _LONGEST_NUMBER
        videos.append(video if is_frame else text_of(identity))
        if is_frame:
            tracks.setdefault((video, face), {})[int(number)] = row
    before = np.full(len(ids), -1)
    for rows in tracks.values():
        frames = sorted(rows)
        gaps = [later - earlier for earlier, later in pairwise(frames)]
        step = min(gaps, default=0)
        for earlier, later in pairwise(frames):
            if later - earlier == step:
                before[rows[later]] = rows[earlier]
    if (before < 0).all():
        raise DataError(
            f"no two faces are consecutive frames of a video by their ids, such as {text_of(ids[0])!r}",
            r"give --video a regular expression such as '(.*)_(\d+)': video and number of the frame",
        )
    return Frames(before, Units(_number(videos), f"{counted(len(set(videos)), 'video')} by --video {pattern}"))
