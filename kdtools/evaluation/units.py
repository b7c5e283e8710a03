"""Which faces belong together, by their ids: those of one person or photograph, and frames that follow each other."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from kdtools.errors import DataError
from kdtools.evaluation.point_sets import photograph_of, text_of
from kdtools.faces.people import compile_pattern, find_groups, group_faces


@dataclass(frozen=True)
class Units:
    """Number of the person, photograph or video of each face (N,), None where each is by itself; and in words which."""

    codes: np.ndarray | None
    told: str


def find_units(ids: np.ndarray, pattern: str | None) -> Units:
    """What counts as one when chance is estimated: by `--group`, or by what the ids tell."""
    if pattern == "none":
        return Units(None, "each face by itself, as --group none says")
    if pattern is not None:
        names = group_faces([text_of(identity) for identity in ids], pattern).names
        return Units(_number(names), f"{len(set(names))} groups by --group {pattern}")
    found = find_groups(ids)
    n_groups = int(found.codes.max()) + 1
    told = "each face by itself"
    if n_groups < len(ids):
        told = f"{n_groups} people or photographs, by what ids have in common before their last number"
    if found.numbered:
        told += f"; names like {found.numbered[0]!r} are taken for numbered files"
    return Units(found.codes if n_groups < len(ids) else None, told)


def _number(names: list[str]) -> np.ndarray:
    """Equal names -> equal numbers from 0 on (N,)."""
    code_of = {name: code for code, name in enumerate(dict.fromkeys(names))}
    return np.fromiter((code_of[name] for name in names), np.int64, len(names))


_FRAME = r"(.*?)(\d+)(?:\.[A-Za-z0-9]+)?"


@dataclass(frozen=True)
class Frames:
    """Row (N,) of the frame before each face's in its video, -1 where there is none; and the videos as units."""

    before: np.ndarray
    units: Units


def find_frames(ids: np.ndarray, pattern: str) -> Frames:
    """`pattern` is a regular expression with the video and the number of the frame as its groups, searched in the id.

    auto takes the last number of the id. The k-th faces (#k) of a video are one track. Frames follow each other where
    their numbers are as far apart as the closest two of the track. An id without both is a video of its own.
    Raises UsageError for an expression that is none or has no two groups, DataError where no face follows another.
    """
    hint = r"such as '(.*)_(\d+)': video and frame"
    expression = compile_pattern("--video", _FRAME if pattern == "auto" else pattern, 2, hint)
    tracks: dict[tuple[str, str], dict[int, int]] = {}
    videos = []
    for row, identity in enumerate(ids):
        photograph = photograph_of(identity)
        name, face = text_of(photograph), text_of(identity[len(photograph) :])
        match = expression.fullmatch(name) if pattern == "auto" else expression.search(name)
        is_frame = match is not None and match[1] is not None and (match[2] or "").isdecimal()
        videos.append(match[1] if match and is_frame else text_of(identity))
        if match and is_frame:
            tracks.setdefault((match[1], face), {})[int(match[2])] = row
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
            f"no face follows another in a video by its id, such as {text_of(ids[0])!r}",
            r"tell --video a regular expression, as '(.*)_(\d+)': video and number of the frame",
        )
    return Frames(before, Units(_number(videos), f"{len(set(videos))} videos by --video {pattern}"))
