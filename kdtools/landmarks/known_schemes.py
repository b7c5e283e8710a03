"""Schemes of public data sets, in the order of points in which they are published."""

from __future__ import annotations

from kdtools.landmarks.scheme import Scheme, mirror_from_runs

# 300W (ibug.doc.ic.ac.uk/resources/300-W), also that of dlib's 68-point model.
IBUG68 = Scheme(
    "ibug68",
    68,
    mirror=mirror_from_runs(
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
    regions=(
        ("jaw", tuple(range(17))),
        ("left_brow", tuple(range(17, 22))),
        ("right_brow", tuple(range(22, 27))),
        ("nose", tuple(range(27, 36))),
        ("left_eye", tuple(range(36, 42))),
        ("right_eye", tuple(range(42, 48))),
        ("mouth", tuple(range(48, 68))),
    ),
)

# WFLW (wywu.github.io/projects/LAB/WFLW.html); 96 and 97 are the pupils.
WFLW98 = Scheme(
    "wflw98",
    98,
    mirror=mirror_from_runs(
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
    regions=(
        ("jaw", tuple(range(33))),
        ("left_brow", tuple(range(33, 42))),
        ("right_brow", tuple(range(42, 51))),
        ("nose", tuple(range(51, 60))),
        ("left_eye", (*range(60, 68), 96)),
        ("right_eye", (*range(68, 76), 97)),
        ("mouth", tuple(range(76, 96))),
    ),
)

IBUG51 = Scheme(
    "ibug51",
    51,
    mirror=tuple(i - 17 for i in (IBUG68.mirror or ())[17:]),
    outer_corners=(19, 28),
    left_eye=tuple(range(19, 25)),
    right_eye=tuple(range(25, 31)),
    outlines=tuple(tuple(i - 17 for i in line) for line in IBUG68.outlines[1:]),
    regions=tuple((name, tuple(i - 17 for i in points)) for name, points in IBUG68.regions[1:]),
)

# COFW (Burgos-Artizzu et al., ICCV 2013), mirror pairs as in mmpose's configs/_base_/datasets/cofw.py.
COFW29 = Scheme(
    "cofw29",
    29,
    mirror=mirror_from_runs(
        29, ((0, 2, 4, 5), (1, 3, 6, 7)), ((8, 10, 12, 13), (9, 11, 14, 15)), ((16, 18, 22), (17, 19, 23))
    ),
    outer_corners=(8, 9),
    left_eye=(16,),
    right_eye=(17,),
    outlines=(
        (0, 4, 2, 5, 0),
        (3, 6, 1, 7, 3),
        (8, 12, 10, 13, 8),
        (11, 14, 9, 15, 11),
        (18, 21, 19),
        (22, 24, 23, 27, 22),
        (22, 25, 23, 26, 22),
    ),
    names=(
        *("left_brow_outer", "right_brow_outer", "left_brow_inner", "right_brow_inner"),
        *("left_brow_top", "left_brow_bottom", "right_brow_top", "right_brow_bottom"),
        *("left_eye_outer", "right_eye_outer", "left_eye_inner", "right_eye_inner"),
        *("left_eye_top", "left_eye_bottom", "right_eye_top", "right_eye_bottom", "left_pupil", "right_pupil"),
        *("left_nostril", "right_nostril", "nose_tip", "nose_base"),
        *("mouth_left", "mouth_right", "upper_lip_top", "upper_lip_bottom", "lower_lip_top", "lower_lip_bottom"),
        "chin",
    ),
    regions=(
        ("left_brow", (0, 2, 4, 5)),
        ("right_brow", (1, 3, 6, 7)),
        ("left_eye", (8, 10, 12, 13, 16)),
        ("right_eye", (9, 11, 14, 15, 17)),
        ("nose", (18, 19, 20, 21)),
        ("mouth", tuple(range(22, 28))),
        ("chin", (28,)),
    ),
)

# AFLW (Koestinger et al., ICCV workshops 2011) without its two ears, as in mmpose's configs/_base_/datasets/aflw.py.
AFLW19 = Scheme(
    "aflw19",
    19,
    mirror=mirror_from_runs(19, (range(3), range(5, 2, -1)), (range(6, 9), range(11, 8, -1)), ((12, 15), (14, 17))),
    outer_corners=(6, 11),
    left_eye=(7,),
    right_eye=(10,),
    outlines=((0, 1, 2), (3, 4, 5), (6, 7, 8), (9, 10, 11), (12, 13, 14), (15, 16, 17)),
    names=(
        *("left_brow_outer", "left_brow_centre", "left_brow_inner"),
        *("right_brow_inner", "right_brow_centre", "right_brow_outer"),
        *("left_eye_outer", "left_eye_centre", "left_eye_inner"),
        *("right_eye_inner", "right_eye_centre", "right_eye_outer"),
        *("left_nostril", "nose_tip", "right_nostril", "mouth_left", "mouth_centre", "mouth_right", "chin"),
    ),
    regions=(
        ("left_brow", (0, 1, 2)),
        ("right_brow", (3, 4, 5)),
        ("left_eye", (6, 7, 8)),
        ("right_eye", (9, 10, 11)),
        ("nose", (12, 13, 14)),
        ("mouth", (15, 16, 17)),
        ("chin", (18,)),
    ),
)

# MUCT (Milborrow, Morkel, Nicolls, PRASA 2010), order and pairs read from the mean of its shapes; 31 and 36 are pupils.
MUCT76 = Scheme(
    "muct76",
    76,
    mirror=mirror_from_runs(
        76,
        (range(7), range(14, 7, -1)),  # jaw
        (range(21, 27), range(15, 21)),  # brows
        (range(27, 32), range(32, 37)),  # eyes: corners, lids, pupils
        (range(68, 72), range(72, 76)),  # eyes: between those
        ((37, 38, 39, 40, 46), (45, 44, 43, 42, 47)),  # nose
        ((48, 49, 50, 58, 59), (54, 53, 52, 56, 55)),  # lips, outer edges
        ((60, 65), (62, 63)),  # lips, inner edges
    ),
    outer_corners=(27, 32),
    left_eye=(31,),
    right_eye=(36,),
    outlines=(
        tuple(range(15)),
        (*range(21, 27), 21),
        (*range(15, 21), 15),
        (27, 68, 28, 69, 29, 70, 30, 71, 27),
        (34, 73, 33, 72, 32, 75, 35, 74, 34),
        tuple(range(37, 46)),
        (*range(48, 60), 48),
        (48, 65, 64, 63, 54, 62, 61, 60, 48),
    ),
    regions=(
        ("jaw", tuple(range(15))),
        ("left_brow", tuple(range(21, 27))),
        ("right_brow", tuple(range(15, 21))),
        ("left_eye", (*range(27, 32), *range(68, 72))),
        ("right_eye", (*range(32, 37), *range(72, 76))),
        ("nose", (*range(37, 48), 67)),
        ("mouth", tuple(range(48, 67))),
    ),
)

# IMM frontal face database (Fagertun, Stegmann, DTU 2005), order and pairs read from the mean of its shapes; 32 and 33
# are the pupils.
IMM73 = Scheme(
    "imm73",
    73,
    mirror=mirror_from_runs(
        73,
        ((0, *range(1, 8)), (8, *range(15, 8, -1))),  # brows
        ((16, *range(17, 24), 32), (24, *range(31, 24, -1), 33)),  # eyes
        (range(34, 39), range(44, 39, -1)),  # nose
        ((46, 47, 48, 55), (52, 51, 50, 53)),  # lips, outer edges
        ((56, 59), (58, 61)),  # lips, inner edges
        (range(62, 67), range(72, 67, -1)),  # jaw
    ),
    outer_corners=(16, 24),
    left_eye=(32,),
    right_eye=(33,),
    outlines=(
        (*range(8), 0),
        (*range(8, 16), 8),
        (*range(16, 24), 16),
        (*range(24, 32), 24),
        tuple(range(34, 45)),
        (*range(46, 56), 46),
        (46, 56, 57, 58, 52, 61, 60, 59, 46),
        tuple(range(62, 73)),
    ),
    regions=(
        ("jaw", tuple(range(62, 73))),
        ("left_brow", tuple(range(8))),
        ("right_brow", tuple(range(8, 16))),
        ("left_eye", (*range(16, 24), 32)),
        ("right_eye", (*range(24, 32), 33)),
        ("nose", tuple(range(34, 46))),
        ("mouth", tuple(range(46, 62))),
    ),
)

# What detectors such as MTCNN, RetinaFace and YuNet give with each face.
POINTS5 = Scheme(
    "points5",
    5,
    mirror=(1, 0, 2, 4, 3),
    left_eye=(0,),
    right_eye=(1,),
    outlines=((0, 2, 1), (3, 4)),
    names=("left_eye", "right_eye", "nose_tip", "mouth_left", "mouth_right"),
    regions=(("left_eye", (0,)), ("right_eye", (1,)), ("nose", (2,)), ("mouth", (3, 4))),
)
