"""Checks of all faces of a source: what cannot be points in pixels is mended where that is certain, else refused.

- A point at the same place far from its face again and again, `-1 -1` or `0 0`, is a missing point.
- MERL-RAV writes a hidden point as -x, -y and a missing one as -1 -1. A negative point counts as hidden where it lies
  outside its face, and x, y inside.
- Coordinates of about 0 to 1 throughout are shares of the picture: x times its width, y times its height.
- All points in one place, or boxes of another size than the points: the numbers mean something else.

Source of MERL-RAV: A. Kumar et al., "LUVLi Face Alignment", CVPR 2020; github.com/abhi1kumar/MERL-RAV_dataset.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from kdtools.datasets.formats import Annotation, Format, Reading
from kdtools.datasets.formats.shared.annotation import size_of_picture
from kdtools.datasets.formats.shared.extra_columns import SHARES
from kdtools.errors import FileError, KdError
from kdtools.parallel import batched
from kdtools.reporting import Reporter, counted

_BESIDE = 0.2  # by how much of its size a point may lie outside its face
_FEWEST = 3  # points that tell where a face is
_NEGATIVE_SHARES = 0.1  # of all shares; few points lie left of their picture or above it
_PERCENT = 100
_LARGER, _FAR_LARGER = 1.5, 2  # how many times as large as the range of percent images must be: a warning, an error
_FEWEST_IMAGES = 5  # in which all faces do not lie in the same corner by chance
_N_LOOKED_AT = 20  # images
_SMALLEST_FACE = 1.0  # px
_LARGEST_BOX = 10  # times as large as the points
_N_TOGETHER = 1000  # faces tested at a time
_SENTINEL_FORMAT = "pts"  # the only one in which the rules of MERL-RAV are documented


def plausible(
    path: str, form: Format, found: list[Annotation], reading: Reading, reporter: Reporter
) -> list[Annotation]:
    """The annotations of one source in pixels, with missing and hidden points marked as such.

    Raises FileError where no face has a point, or where the numbers cannot be points in pixels.
    """
    if not found or any(one.points is None for one in found):
        return found
    if not any(np.isfinite(_points(one)).any() for one in found):
        raise FileError(f"{path}: none of its {len(found)} faces has a point")
    found = _with_hidden(path, form, found, reading, reporter)
    found = _without_sentinels(path, form, found, reading, reporter)
    if not any(np.isfinite(_points(one)).any() for one in found):
        raise FileError(f"{path}: none of its {len(found)} faces has a point; all are marked as missing")
    found = _in_pixels(path, found, reading, reporter)
    _check_sizes(path, found)
    return found


def _points(one: Annotation) -> np.ndarray:
    return np.empty((0, 2)) if one.points is None else one.points


def _any_point(found: Sequence[Annotation], reading: Reading, test: Callable[[np.ndarray], np.ndarray]) -> bool:
    """Whether `test` holds for a point of any face, as in the file; asked for many faces at a time."""
    with np.errstate(invalid="ignore"):
        return any(
            test(np.concatenate([_points(one) for one in some]) + reading.base).any()
            for some in batched(found, _N_TOGETHER)
        )


def _outside(points: np.ndarray, face: np.ndarray) -> np.ndarray:
    """Which points (L, 2) lie outside the face (M, 2) by more than `_BESIDE` of its size; all for too few."""
    face = face[np.isfinite(face).all(axis=1)]
    if len(face) < _FEWEST:
        return np.ones(len(points), bool)
    low, high = face.min(axis=0), face.max(axis=0)
    margin = _BESIDE * max((high - low).max(), 1e-9)
    return ((points < low - margin) | (points > high + margin)).any(axis=1)


def _with_hidden(
    path: str, form: Format, found: list[Annotation], reading: Reading, reporter: Reporter
) -> list[Annotation]:
    """The annotations with points -x, -y of MERL-RAV taken as hidden at x, y, where the points show that rule."""
    if not _any_point(found, reading, lambda raw: raw.max(axis=1) < 0):
        return found
    n_hidden = n_other = 0
    masks = []
    for one in found:
        raw = _points(one) + reading.base
        with np.errstate(invalid="ignore"):
            negative = (raw < 0).all(axis=1) & (raw[:, 0] != raw[:, 1])
        face = raw[(raw > 0).all(axis=1)]
        masks.append(negative)
        if negative.any() and len(face) >= _FEWEST:
            away = _outside(raw[negative], face)
            inside = ~_outside(-raw[negative], face)
            n_hidden += int((away & inside).sum())
            n_other += int((away & ~inside).sum())
    known = form.name == _SENTINEL_FORMAT
    if n_hidden < (1 if known else _FEWEST) or n_hidden <= 3 * n_other:
        return found
    text = (
        f"{path}: {counted(n_hidden, 'point')} -x, -y inside the face as x, y: taken as hidden "
        f"points, as MERL-RAV writes"
    )
    reporter.say(text) if known else reporter.warn(text)
    hidden = []
    for one, mask in zip(found, masks, strict=True):
        raw = _points(one) + reading.base
        points = np.where(mask[:, None], -raw, raw) - reading.base
        visible = np.ones(len(raw), bool) if one.visible is None else one.visible
        missing = ~np.isfinite(raw).all(axis=1) | (raw == -1).all(axis=1)
        hidden.append(replace(one, points=points, visible=visible & ~mask & ~missing))
    return hidden


def _without_sentinels(
    path: str, form: Format, found: list[Annotation], reading: Reading, reporter: Reporter
) -> list[Annotation]:
    """The annotations with NaN for `-1 -1` and the like, where these lie far from most of the faces that have them."""
    if not _any_point(found, reading, _may_be_sentinel):
        return found
    away: Counter[float] = Counter()
    near: Counter[float] = Counter()
    for one in found:
        raw = _points(one) + reading.base
        equal = _may_be_sentinel(raw)
        if equal.any():
            outside = _outside(raw[equal], raw[~equal])
            away.update(raw[equal][outside, 0].tolist())
            near.update(raw[equal][~outside, 0].tolist())
    values = [value for value, times in away.items() if times > near[value]]
    if not values:
        return found
    missing = [value for value in values if away[value] + near[value] > 1]
    for value in values:
        n, place = away[value] + near[value], f"{value:g} {value:g}"
        if value not in missing:
            reporter.warn(f"{path}: one point lies at {place}, far from its face; it is kept")
        elif form.name == _SENTINEL_FORMAT and value == -1:
            reporter.say(f"{path}: {n} points are {place}, which means missing")
        else:
            reporter.warn(f"{path}: {n} points are {place}, far from their faces; they are taken as missing")
    kept = []
    for one in found:
        raw = _points(one) + reading.base
        drop = _may_be_sentinel(raw) & np.isin(raw[:, 0], missing)
        kept.append(replace(one, points=np.where(drop[:, None], np.nan, _points(one))) if drop.any() else one)
    return kept


def _may_be_sentinel(raw: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return (raw[:, 0] == raw[:, 1]) & (raw[:, 0] <= 0) & (raw[:, 0] % 1 == 0)


def _in_pixels(path: str, found: list[Annotation], reading: Reading, reporter: Reporter) -> list[Annotation]:
    """The annotations in pixels where all are shares of their pictures. Raises FileError where no pictures are read."""
    raw = np.concatenate([_points(one) for one in found]) + reading.base
    raw = raw[np.isfinite(raw).all(axis=1)]
    x_are_shares, y_are_shares = (bool(((axis > SHARES[0]) & (axis < SHARES[1])).all()) for axis in raw.T)
    if not (x_are_shares or y_are_shares) or not (np.ptp(raw, axis=0) > 0).any():
        _check_no_percent(path, found, raw, reading, reporter)
        return found
    if not (x_are_shares and y_are_shares):
        axis = "xy" if x_are_shares else "yx"
        raise FileError(
            f"{path}: all {axis[0]} lie between 0 and 1, as shares of the image, but {axis[1]} do not",
            "give both in pixels, or both as shares",
        )
    if np.mean(raw < 0) > _NEGATIVE_SHARES:
        raise FileError(
            f"{path}: its coordinates lie around 0, from {raw.min():.3g} to {raw.max():.3g}, as if scaled to -1 to 1",
            "give pixels, or shares of the image from 0 to 1",
        )
    if not reading.pictures:
        raise FileError(
            f"{path}: all coordinates lie between 0 and 1: shares of the images' width and height",
            "leave out --no-images, so that the images tell their sizes",
        )
    scaled = []
    for one in found:
        try:
            height, width = one.load().shape[:2] if one.load else size_of_picture(one.image, upright=reading.upright)
        except (KdError, OSError, MemoryError) as error:
            reporter.skip(one.id, error.message if isinstance(error, KdError) else str(error))
            continue
        size = np.array([width, height], np.float64)
        box = None if one.box is None else (one.box + reading.base) * np.tile(size, 2)
        scaled.append(replace(one, points=(_points(one) + reading.base) * size, box=box))
    reporter.say(f"{path}: all coordinates lie between 0 and 1: taken as shares of the images' width and height")
    return scaled


def _check_no_percent(
    path: str, found: Sequence[Annotation], raw: np.ndarray, reading: Reading, reporter: Reporter
) -> None:
    """A warning where all coordinates lie within 0 to 100 and the images are far larger; with many images an error.

    Faces of a hundred pixels in the upper left corner of every photograph are rarer than tables in percent.
    """
    if raw.min(initial=0) < 0 or not _PERCENT / 2 < raw.max(initial=0) <= _PERCENT:
        return
    if not reading.pictures:
        _warn_of_percent(path, found, reporter)
        return
    images = list({one.image: one for one in found if one.frame is None and one.load is None}.values())
    some = images[:: max(1, len(images) // _N_LOOKED_AT)]
    sizes = []
    for one in some:
        with contextlib.suppress(KdError, OSError, MemoryError):
            sizes.append(size_of_picture(one.image, upright=reading.upright)[::-1])
    side = np.median(np.min(sizes, axis=1)) if sizes else 0
    if side < _LARGER * _PERCENT:
        return
    width, height = np.median(sizes, axis=0).astype(int)
    text = f"{path}: all coordinates lie between 0 and 100, in images of about {width} x {height} px, as if in percent"
    hint = "divide percent by 100: shares of the image are recognised"
    if len(images) >= _FEWEST_IMAGES and side >= _FAR_LARGER * _PERCENT:
        raise FileError(text, hint)
    reporter.warn(f"{text}; they are taken for pixels ({hint})")


def _warn_of_percent(path: str, found: Sequence[Annotation], reporter: Reporter) -> None:
    """Without pictures, a warning unless the format states sizes that are so small."""
    sides = [min(one.size) for one in found if one.size is not None]
    if not sides or np.median(sides) >= _LARGER * _PERCENT:
        reporter.warn(
            f"{path}: all coordinates lie between 0 and 100; they are taken for pixels, as nothing tells without the "
            "images whether they are percent"
        )


def _check_sizes(path: str, found: Sequence[Annotation]) -> None:
    """Raises FileError where most faces have all points in one place, or a box of quite another size."""
    n_faces = n_flat = n_boxes = n_absurd = 0
    for some in batched((one for one in found if len(_points(one))), _N_TOGETHER):
        points = np.concatenate([_points(one) for one in some])
        first = np.cumsum([0, *(len(_points(one)) for one in some[:-1])])
        is_known = np.isfinite(points).all(axis=1)
        n_known = np.add.reduceat(is_known, first, dtype=int)
        points = np.where(is_known[:, None], points, np.nan)
        sides = (np.fmax.reduceat(points, first) - np.fmin.reduceat(points, first)).max(axis=1)
        n_faces += int((n_known >= 2).sum())
        n_flat += int((sides[n_known >= 2] < _SMALLEST_FACE).sum())
        for one, side, n in zip(some, sides.tolist(), n_known.tolist(), strict=True):
            if one.box is not None and n >= _FEWEST:
                box_side = float((one.box[2:] - one.box[:2]).max())
                n_boxes += 1
                n_absurd += not side / _LARGEST_BOX < box_side < side * _LARGEST_BOX
    if 2 * n_flat > n_faces:
        raise FileError(
            f"{path}: in {n_flat} of {n_faces} faces all points are within one pixel",
            "coordinates must be pixels of the image, or shares of its width and height",
        )
    if 2 * n_absurd > n_boxes:
        raise FileError(
            f"{path}: {n_absurd} of {n_boxes} boxes are over {_LARGEST_BOX} times larger or smaller than their points",
            "points and boxes are in different units, or the columns mean something else",
        )


class HeldSkips:
    """Skipped entries of a source, passed on once a face was read: of a source without any, one error is enough."""

    def __init__(self, path: Path, reporter: Reporter) -> None:
        self._path, self._reporter = path, reporter
        self._held: list[tuple[str, str]] | None = []

    def skip(self, name: str, reason: str) -> None:
        if self._held is None:
            self._reporter.skip(name, reason)
        else:
            self._held.append((name, reason))

    def release(self) -> None:
        """Pass on what was held back, and all that follows."""
        for name, reason in self._held or []:
            self._reporter.skip(name, reason)
        self._held = None

    def check(self) -> None:
        """Raises FileError where everything was skipped."""
        if not self._held:
            return
        where, reason = self._held[0]
        raise FileError(f"{self._path}: none of its {len(self._held)} entries can be read; {where}: {reason}")
