"""Landmark schemes: the mirror map of a set of points, the points for normalisers, and the outlines to draw."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from kdtools.errors import DataError

# Guards against typing errors and malicious files; the densest meshes in use have a few thousand points.
MAX_POINTS = 100_000
_LONGEST_NAME = 1000  # characters, of a scheme, a point or a region
_MOST_USES = 100  # indices in outlines and regions for each point
# Fields stored as attributes of /landmarks, as arrays of indices and as JSON text.
INDEX_FIELDS = ("mirror", "outer_corners", "left_eye", "right_eye")
JSON_FIELDS = ("outlines", "names", "regions")


@dataclass(frozen=True)
class Scheme:
    """A set of landmark points. Left and right are those of the image, everywhere.

    `mirror[i]` is the point that point i becomes in a mirrored image; None where that is not known, or where the points
    have no mirror image and images must never be flipped (not `flips`). The mean of the points `left_eye`, and that of
    `right_eye`, is the eye's centre. `outlines` are runs of point indices to join when drawing; a run that ends where
    it began is closed. `names` has one name per point, or none at all. `regions` are the parts of the face, each a
    name (jaw, left_brow, right_brow, nose, left_eye, right_eye, mouth, ...) and its points.
    Raises DataError if they contradict each other.
    """

    name: str
    n_points: int
    mirror: tuple[int, ...] | None = None
    outer_corners: tuple[int, int] | None = None
    left_eye: tuple[int, ...] | None = None
    right_eye: tuple[int, ...] | None = None
    outlines: tuple[tuple[int, ...], ...] = ()
    names: tuple[str, ...] = ()
    regions: tuple[tuple[str, tuple[int, ...]], ...] = ()
    flips: bool = True

    def __post_init__(self) -> None:
        mirror = self.mirror
        if (
            isinstance(self.n_points, bool)
            or not isinstance(self.n_points, int)
            or not 1 <= self.n_points <= MAX_POINTS
        ):
            raise DataError(f"scheme {self.name}: {self.n_points!r} is not a number of points", f"1 to {MAX_POINTS}")
        self._check_sizes()
        if mirror is not None and not (
            len(mirror) == self.n_points
            and sorted(mirror) == list(range(self.n_points))
            and all(mirror[mirror[i]] == i for i in range(self.n_points))
        ):
            raise DataError(
                f"scheme {self.name}: mirror is not a map of {self.n_points} points that undoes itself",
                "mirror[mirror[i]] must be i for every point",
            )
        if mirror is not None and not self.flips:
            raise DataError(f"scheme {self.name}: has a mirror map, and is never to be flipped")
        if self.outer_corners is not None and len(self.outer_corners) != 2:
            raise DataError(f"scheme {self.name}: outer_corners has {len(self.outer_corners)} points, not two")
        used = [*(self.outer_corners or ()), *(self.left_eye or ()), *(self.right_eye or ())]
        used += [point for line in self.outlines for point in line]
        used += [point for _, points in self.regions for point in points]
        if any(not 0 <= point < self.n_points for point in used):
            raise DataError(f"scheme {self.name}: a point index is outside 0..{self.n_points - 1}")
        if self.names:
            self._check_names()
        region_names = [name for name, _ in self.regions]
        if len(set(region_names)) != len(region_names) or not all(name and points for name, points in self.regions):
            raise DataError(f"scheme {self.name}: a region occurs twice, or has no name or no points")

    def _check_names(self) -> None:
        twice = [name for name, times in Counter(self.names).items() if times > 1]
        if len(self.names) != self.n_points:
            fault = f"{len(self.names)} names for {self.n_points} points"
        elif not all(self.names):
            fault = f"point {self.names.index('')} has an empty name"
        elif twice:
            fault = f"the name {twice[0]!r} occurs twice"
        else:
            return
        raise DataError(f"scheme {self.name}: {fault}", "give every point a name of its own, or none at all")

    def _check_sizes(self) -> None:
        """Raises DataError for what nobody draws or reads, and what would take the time and memory of all tools."""
        for name in (self.name, *self.names, *(name for name, _ in self.regions)):
            if len(name) > _LONGEST_NAME:
                raise DataError(
                    f"a scheme with a name of {len(name)} characters: {name[:40]!r}...", f"at most {_LONGEST_NAME}"
                )
        n_used = sum(1 + len(line) for line in self.outlines) + sum(1 + len(points) for _, points in self.regions)
        if n_used > _MOST_USES * self.n_points:
            raise DataError(
                f"scheme {self.name}: outlines and regions of {n_used} indices, for {self.n_points} points",
                f"at most {_MOST_USES} for each point are read",
            )

    def to_json(self) -> str:
        fields = asdict(self)
        if self.flips:  # the rule, which files written by older versions do not state
            del fields["flips"]
        return json.dumps(fields, sort_keys=True)

    @staticmethod
    def from_json(text: str) -> Scheme:
        """Inverse of `to_json`. Raises DataError if the text is not a scheme."""
        try:
            return Scheme.from_fields(json.loads(text))
        except (ValueError, RecursionError) as error:
            raise DataError(f"not the description of a landmark scheme: {error}") from error

    @staticmethod
    def from_fields(fields: Mapping[str, Any]) -> Scheme:
        """A scheme from its fields in JSON or HDF5: lists, arrays, whole numbers of any type.

        Raises DataError if they are not those of a scheme.
        """
        try:
            known = dict(fields)
            for key in INDEX_FIELDS:
                if known.get(key) is not None:
                    known[key] = _as_indices(known[key])
            if "flips" in known:
                known["flips"] = bool(known["flips"])
            known["outlines"] = tuple(_as_indices(line) for line in known.get("outlines", ()))
            known["names"] = tuple(str(name) for name in known.get("names", ()))
            regions = dict(known.get("regions", ()))
            known["regions"] = tuple((str(name), _as_indices(points)) for name, points in regions.items())
            return Scheme(**known)
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            raise DataError(f"not the description of a landmark scheme: {error}") from error


def _as_indices(numbers: Iterable[Any]) -> tuple[int, ...]:
    indices = tuple(int(number) for number in numbers)
    if any(index != number for index, number in zip(indices, numbers, strict=True)):
        raise ValueError(f"{list(numbers)} are not whole numbers")
    return indices


def mirror_from_runs(n_points: int, *pairs: tuple[range | tuple[int, ...], range | tuple[int, ...]]) -> tuple[int, ...]:
    """Mirror map from pairs of opposite runs of points; points in no pair lie on the middle line."""
    mirror = list(range(n_points))
    for left, right in pairs:
        for a, b in zip(left, right, strict=True):
            mirror[a], mirror[b] = b, a
    return tuple(mirror)
