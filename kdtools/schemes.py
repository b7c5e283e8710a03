"""What a set of landmark points means: its mirror image, the points that normalise errors, the lines to draw."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

import numpy as np

from kdtools.errors import DataError


@dataclass(frozen=True)
class Scheme:
    """A set of landmark points.

    `mirror[i]` is the point that point i becomes in a mirrored image. Left and right are those of the image.
    `outlines` are runs of point indices to join when drawing; a run that ends where it began is closed.
    """

    name: str
    n_points: int
    mirror: tuple[int, ...] | None = None
    outer_corners: tuple[int, int] | None = None
    left_eye: tuple[int, ...] | None = None
    right_eye: tuple[int, ...] | None = None
    outlines: tuple[tuple[int, ...], ...] = field(default=())

    def __post_init__(self) -> None:
        mirror = self.mirror
        if mirror is not None and not (
            sorted(mirror) == list(range(self.n_points)) and all(mirror[mirror[i]] == i for i in range(self.n_points))
        ):
            raise DataError(
                f"scheme {self.name}: mirror is not a map of {self.n_points} points that undoes itself",
                "mirror[mirror[i]] must be i for every point",
            )
        used = [*(self.outer_corners or ()), *(self.left_eye or ()), *(self.right_eye or ())]
        used += [point for line in self.outlines for point in line]
        if any(not 0 <= point < self.n_points for point in used):
            raise DataError(f"scheme {self.name}: a point index is outside 0..{self.n_points - 1}")

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @staticmethod
    def from_json(text: str) -> Scheme:
        """Inverse of `to_json`. Raises DataError when the text is not a scheme."""
        try:
            fields = json.loads(text)
            for key in ("mirror", "outer_corners", "left_eye", "right_eye"):
                if fields.get(key) is not None:
                    fields[key] = tuple(int(i) for i in fields[key])
            fields["outlines"] = tuple(tuple(int(i) for i in line) for line in fields.get("outlines", ()))
            return Scheme(**fields)
        except (ValueError, TypeError, AttributeError) as error:
            raise DataError(f"not the description of a landmark scheme: {error}") from error


def _mirror_from_runs(
    n_points: int, *pairs: tuple[range | tuple[int, ...], range | tuple[int, ...]]
) -> tuple[int, ...]:
    """Mirror map from pairs of runs that face each other; points in no pair lie on the middle line."""
    mirror = np.arange(n_points)
    for left, right in pairs:
        mirror[list(left)], mirror[list(right)] = list(right), list(left)
    return tuple(int(i) for i in mirror)


IBUG68 = Scheme(
    "ibug68",
    68,
    mirror=_mirror_from_runs(
        68,
        (range(8), range(16, 8, -1)),  # jaw, ear to beside the chin
        (range(17, 22), range(26, 21, -1)),  # brows
        ((31, 32), (35, 34)),  # nostrils
        ((36, 37, 38, 39, 40, 41), (45, 44, 43, 42, 47, 46)),  # eyes
        ((48, 49, 50), (54, 53, 52)),  # upper lip, outer edge
        ((58, 59), (56, 55)),  # lower lip, outer edge
        ((60, 61, 67), (64, 63, 65)),  # inner edges
    ),
    outer_corners=(36, 45),
    left_eye=tuple(range(36, 42)),
    right_eye=tuple(range(42, 48)),
    outlines=(
        tuple(range(17)),
        tuple(range(17, 22)),
        tuple(range(22, 27)),
        tuple(range(27, 31)),
        tuple(range(31, 36)),
        (*range(36, 42), 36),
        (*range(42, 48), 42),
        (*range(48, 60), 48),
        (*range(60, 68), 60),
    ),
)

WFLW98 = Scheme(
    "wflw98",
    98,
    mirror=_mirror_from_runs(
        98,
        (range(16), range(32, 16, -1)),  # jaw
        (range(33, 38), range(46, 41, -1)),  # brows, upper edge
        ((38, 39, 40, 41), (50, 49, 48, 47)),  # brows, lower edge
        ((55, 56), (59, 58)),  # nostrils
        ((60, 61, 62, 63, 64, 65, 66, 67), (72, 71, 70, 69, 68, 75, 74, 73)),  # eyes
        ((76, 77, 78), (82, 81, 80)),  # upper lip, outer edge
        ((86, 87), (84, 83)),  # lower lip, outer edge
        ((88, 89, 95), (92, 91, 93)),  # inner edges
        ((96,), (97,)),  # pupils
    ),
    outer_corners=(60, 72),
    left_eye=(96,),
    right_eye=(97,),
    outlines=(
        tuple(range(33)),
        (*range(33, 42), 33),
        (*range(42, 51), 42),
        tuple(range(51, 55)),
        tuple(range(55, 60)),
        (*range(60, 68), 60),
        (*range(68, 76), 68),
        (*range(76, 88), 76),
        (*range(88, 96), 88),
    ),
)

SCHEMES = {scheme.name: scheme for scheme in (IBUG68, WFLW98)}


def scheme_for_points(n_points: int) -> Scheme:
    """The known scheme with that many points, or one that knows only how many there are (no mirror, no eyes)."""
    for scheme in SCHEMES.values():
        if scheme.n_points == n_points:
            return scheme
    return Scheme(f"points{n_points}", n_points)
