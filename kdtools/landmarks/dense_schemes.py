"""Schemes of many points: the two orders of 106, and the face mesh."""

from __future__ import annotations

from kdtools.landmarks.scheme import Scheme, mirror_from_runs

# LaPa and JD-landmark (Liu et al., AAAI 2020; "Grand challenge of 106-point facial landmark localization", ICME 2019),
# mirror pairs as in mmpose's configs/_base_/datasets/lapa.py. 104 and 105 are the pupils, 74 and 83 lie beside them.
LAPA106 = Scheme(
    "lapa106",
    106,
    mirror=mirror_from_runs(
        106,
        (range(16), range(32, 16, -1)),  # jaw
        (range(33, 38), range(46, 41, -1)),  # brows, upper edge
        (range(38, 42), range(50, 46, -1)),  # brows, lower edge
        (range(55, 60), range(65, 60, -1)),  # nose
        ((66, 67, 68, 69, 70, 71, 72, 73, 74), (79, 78, 77, 76, 75, 82, 81, 80, 83)),  # eyes
        ((84, 85, 86, 94, 95), (90, 89, 88, 92, 91)),  # lips, outer edges
        ((96, 97, 103), (100, 99, 101)),  # lips, inner edges
        ((104,), (105,)),  # pupils
    ),
    outer_corners=(66, 79),
    left_eye=(104,),
    right_eye=(105,),
    outlines=(
        tuple(range(33)),
        (*range(33, 42), 33),
        (*range(42, 51), 42),
        tuple(range(51, 55)),
        tuple(range(55, 66)),
        (*range(66, 74), 66),
        (*range(75, 83), 75),
        (*range(84, 96), 84),
        (*range(96, 104), 96),
    ),
    regions=(
        ("jaw", tuple(range(33))),
        ("left_brow", tuple(range(33, 42))),
        ("right_brow", tuple(range(42, 51))),
        ("nose", tuple(range(51, 66))),
        ("left_eye", (*range(66, 75), 104)),
        ("right_eye", (*range(75, 84), 105)),
        ("mouth", tuple(range(84, 104))),
    ),
)

# Where the 2d106det model of InsightFace (github.com/deepinsight/insightface, alignment/coordinate_reg) puts each
# point of LaPa; the same points in another order, so it is never chosen by their number.
INSIGHTFACE_OF_LAPA = (
    *(1, *range(9, 17), *range(2, 9), 0, *range(24, 17, -1), *range(32, 24, -1), 17),  # jaw
    *(43, 48, 49, 51, 50, 46, 47, 45, 44, 102, 103, 104, 105, 101, 100, 99, 98, 97),  # brows
    *(72, 73, 74, 86, 75, 76, 77, 78, 79, 80, 85, 84, 83, 82, 81),  # nose
    *(35, 41, 40, 42, 39, 37, 33, 36, 34, 89, 95, 94, 96, 93, 91, 87, 90, 88),  # eyes
    *(52, 64, 63, 71, 67, 68, 61, 58, 59, 53, 56, 55, 65, 66, 62, 70, 69, 57, 60, 54),  # mouth
    *(38, 92),  # pupils
)


def _reordered(scheme: Scheme, name: str, order: tuple[int, ...]) -> Scheme:
    """The same points in another order: point i of `scheme` is point order[i] of the result."""
    old_at = sorted(range(scheme.n_points), key=order.__getitem__)

    def moved(points: tuple[int, ...] | None) -> tuple[int, ...]:
        return tuple(order[i] for i in points or ())

    left, right = moved(scheme.outer_corners)
    mirror = moved(scheme.mirror)
    return Scheme(
        name,
        scheme.n_points,
        mirror=tuple(mirror[i] for i in old_at),
        outer_corners=(left, right),
        left_eye=moved(scheme.left_eye),
        right_eye=moved(scheme.right_eye),
        outlines=tuple(moved(line) for line in scheme.outlines),
        regions=tuple((region, moved(points)) for region, points in scheme.regions),
    )


INSIGHTFACE106 = _reordered(LAPA106, "insightface106", INSIGHTFACE_OF_LAPA)

# The face mesh of MediaPipe (Kartynnik et al., CV4ARVR 2019). Its points of the left half of the image come first, then
# those of the right half in the same order; pairs from the texture coordinates of the canonical face, which are
# symmetric, lines from the FACEMESH_... connections in mediapipe/python/solutions/face_mesh_connections.py.
_MESH_MIDDLE = (0, 1, 2, *range(4, 7), *range(8, 20), 94, 151, 152, 164, 168, 175, 195, 197, 199, 200)
_MESH_MIRROR = mirror_from_runs(468, (tuple(i for i in range(248) if i not in _MESH_MIDDLE), range(248, 468)))
_MESH_BROW = ((70, 63, 105, 66, 107), (46, 53, 52, 65, 55))
_MESH_EYE = (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7)
_MESH_EYE_OF_SIX = (33, 160, 158, 133, 153, 144)  # placed as the six of ibug68, so that their mean is the eye's centre
_MESH_NOSE = ((168, 6, 197, 195, 5, 4, 1, 19, 94, 2), (98, 97, 2, 326, 327))
_MESH_HALF_OVAL = (10, 109, 67, 103, 54, 21, 162, 127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152)
_MESH_HALF_LIPS = (
    (61, 185, 40, 39, 37, 0),
    (61, 146, 91, 181, 84, 17),
    (78, 191, 80, 81, 82, 13),
    (78, 95, 88, 178, 87, 14),
)


def _across(points: tuple[int, ...]) -> tuple[int, ...]:
    """The mirror images of points of the face mesh."""
    return tuple(_MESH_MIRROR[i] for i in points)


def _whole(half: tuple[int, ...]) -> tuple[int, ...]:
    """A line from the middle of one side or from the middle line, carried on over the middle to its mirror image."""
    return (*half, *_across(half)[-2::-1])


MEDIAPIPE468 = Scheme(
    "mediapipe468",
    468,
    mirror=_MESH_MIRROR,
    outer_corners=(33, 263),
    left_eye=_MESH_EYE_OF_SIX,
    right_eye=_across(_MESH_EYE_OF_SIX),
    outlines=(
        _whole(_MESH_HALF_OVAL),
        *_MESH_BROW,
        *(_across(line) for line in _MESH_BROW),
        (*_MESH_EYE, _MESH_EYE[0]),
        (*_across(_MESH_EYE), _across(_MESH_EYE)[0]),
        *_MESH_NOSE,
        *(_whole(line) for line in _MESH_HALF_LIPS),
    ),
    regions=(
        ("face_oval", tuple(dict.fromkeys(_whole(_MESH_HALF_OVAL)))),
        ("left_brow", _MESH_BROW[0] + _MESH_BROW[1]),
        ("right_brow", _across(_MESH_BROW[0] + _MESH_BROW[1])),
        ("nose", tuple(dict.fromkeys(_MESH_NOSE[0] + _MESH_NOSE[1]))),
        ("left_eye", _MESH_EYE),
        ("right_eye", _across(_MESH_EYE)),
        ("mouth", tuple(dict.fromkeys(i for line in _MESH_HALF_LIPS for i in _whole(line)))),
    ),
)
