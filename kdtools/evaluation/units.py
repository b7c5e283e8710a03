"""Which faces belong together, by their ids: those of one person or photograph, and frames that follow each other."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np

from kdtools.errors import DataError, UsageError
from kdtools.evaluation.pointsets import text_of
from kdtools.groups import find_groups, group_faces


def find_units(ids: np.ndarray, pattern: str | None) -> tuple[np.ndarray | None, str]:
    """Number of the person or photograph of each face, and in words what they are; None where each is by itself."""
    if pattern == "none":
        return None, "each face by itself, as --group none says"
    if pattern is None:
        found = find_groups(ids)
        n_groups = int(found.codes.max()) + 1
        if n_groups == len(ids):
            return None, "each face by itself"
        return found.codes, f"{n_groups} people or photographs, by what ids have in common before their last number"
    names = group_faces([text_of(identity) for identity in ids], pattern).names
    codes = np.unique(np.array(names), return_inverse=True)[1].reshape(-1)
    return codes, f"{len(set(names))} groups by --group {pattern}"


_FRAME = r"(.*?)(\d+)(?:\.[A-Za-z0-9]+)?"


def find_frames_before(ids: np.ndarray, pattern: str) -> np.ndarray:
    """Row (N,) of the frame before each face's in its video, -1 where there is none.

    `pattern` is a regular expression with the video and the number of the frame as its groups, searched in the id;
    auto takes the last number of the id. The k-th faces (#k) of a video are one track. Frames follow each other where
    their numbers are as far apart as the closest two of the video.
    Raises UsageError for an expression that is none or has no two groups, DataError where no face follows another.
    """
    try:
        expression = re.compile(_FRAME if pattern == "auto" else pattern)
    except re.error as error:
        raise UsageError(f"--video {pattern!r} is no regular expression: {error}") from error
    if expression.groups < 2:
        raise UsageError(f"--video {pattern!r} has no two groups", r"such as '(.*)_(\d+)': video and frame")
    tracks: dict[tuple[str, str], dict[int, int]] = {}
    for row, identity in enumerate(ids):
        name, _, face = text_of(identity).partition("#")
        match = expression.fullmatch(name) if pattern == "auto" else expression.search(name)
        if match and match[1] is not None and (match[2] or "").isdecimal():
            tracks.setdefault((match[1], face), {})[int(match[2])] = row
    before = np.full(len(ids), -1)
    for rows in tracks.values():
        frames = sorted(rows)
        gaps = np.diff(frames)
        for earlier, later in pairwise(frames):
            if later - earlier == gaps.min():
                before[rows[later]] = rows[earlier]
    if (before < 0).all():
        raise DataError(
            f"no face follows another in a video by its id, such as {text_of(ids[0])!r}",
            r"tell --video a regular expression, as '(.*)_(\d+)': video and number of the frame",
        )
    return before
