"""Yaw, pitch and roll of a head, from its 68 points and a mean 3-D head."""

from __future__ import annotations

import numpy as np

from kdtools.errors import UsageError
from kdtools.landmarks import IBUG68, Scheme, convert_points, find_conversion
from kdtools.landmarks.head_shape import mean_head
from kdtools.landmarks.known_schemes import IBUG51
from kdtools.landmarks.registry import SCHEMES

POSE = ("yaw", "pitch", "roll")  # degrees
# Jaw points are left out: annotators put them on the outline of the head, which is elsewhere on it in each view.
_RIGID = np.arange(17, 68)
_FEWEST = 10  # points
_FLATTEST = 0.03  # of the points known: their least spread by their greatest, for fewer say nothing of depth
_DISTANCE = 10.0  # from the camera to the head, in sizes of the face
_FLIP = np.diag([1.0, -1.0, -1.0])  # the mean head's y is up and its z to the viewer, OpenCV's are down and away


def check_pose(scheme: Scheme) -> None:
    """Raises UsageError for points that do not give those of ibug68."""
    if scheme.name == IBUG51.name and scheme.n_points == IBUG51.n_points:
        return
    try:
        find_conversion(scheme.name, IBUG68.name)
    except UsageError as error:
        able = [name for name in SCHEMES if name == IBUG51.name or _gives_68(name)]
        raise UsageError(
            f"the head's pose is found from the 68 points of {IBUG68.name}, which those of {scheme.name} do not give",
            f"schemes that do: {', '.join(able)}",
        ) from error


def _gives_68(name: str) -> bool:
    try:
        find_conversion(name, IBUG68.name)
    except UsageError:
        return False
    return True


def head_poses(points: np.ndarray, scheme: Scheme) -> np.ndarray:
    """Points (N, L, 2) in pixels -> yaw, pitch and roll (N, 3) float64 in degrees; NaN where too few points are known.

    Signs and order of turns are AFLW2000's: yaw above 0 turns the face to the left of the image, pitch above 0 raises
    it, and roll above 0 turns it clockwise, as seen; R = R_pitch R_yaw R_roll. A start by weak perspective is refined
    by OpenCV's solvePnP, for a camera ten face sizes away that looks at the face. Raises UsageError as `check_pose`.
    """
    check_pose(scheme)
    if scheme.name == IBUG51.name:
        rigid = np.asarray(points, np.float64)
    else:
        rigid = convert_points(points, scheme, IBUG68)[:, _RIGID]
    shape = mean_head()[_RIGID]
    return np.array([_pose_of(face, shape) for face in rigid]).reshape(-1, 3)


def _pose_of(points: np.ndarray, shape: np.ndarray) -> np.ndarray:
    import cv2

    known = np.isfinite(points).all(axis=1)
    unknown = np.full(3, np.nan)
    if known.sum() < _FEWEST:
        return unknown
    points, shape = points[known], shape[known] - shape[known].mean(axis=0)
    spread = np.linalg.svd(shape, compute_uv=False)
    size = float(np.ptp(points, axis=0).max())
    if spread[2] < _FLATTEST * spread[0] or not size > 0:
        return unknown
    centre = points.mean(axis=0)
    # Weak perspective: the two rows of a rotation, scaled, that fit best; then the nearest rotation.
    linear = np.linalg.lstsq(shape, (points - centre) * (1, -1), rcond=None)[0].T
    u, scales, v = np.linalg.svd(linear, full_matrices=False)
    if scales[1] < 1e-3 * scales[0]:  # all points on a line
        return unknown
    two = u @ v
    start = _FLIP @ np.vstack([two, np.cross(two[0], two[1])])
    focal = _DISTANCE * size
    camera = np.array([[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0, 1]])
    shift = np.array([[0.0], [0.0], [focal / scales.mean()]])
    turn = cv2.Rodrigues(start)[0]
    found, turn, shift = cv2.solvePnP(shape, points, camera, None, turn, shift, True, cv2.SOLVEPNP_ITERATIVE)
    if not found or not np.isfinite(turn).all() or shift[2, 0] <= 0:
        return unknown
    return angles_of(_FLIP @ cv2.Rodrigues(turn)[0])


def angles_of(rotation: np.ndarray) -> np.ndarray:
    """Yaw, pitch and roll (3,) in degrees of a rotation (3, 3) of the mean head's axes."""
    yaw = -np.arcsin(np.clip(rotation[0, 2], -1, 1))
    pitch = np.arctan2(rotation[1, 2], rotation[2, 2])
    roll = np.arctan2(rotation[0, 1], rotation[0, 0])
    return np.degrees([yaw, pitch, roll])


def rotation_of(angles: np.ndarray) -> np.ndarray:
    """Inverse of `angles_of`."""
    yaw, pitch, roll = np.radians(angles)
    (cy, cp, cr), (sy, sp, sr) = (f([yaw, pitch, roll]) for f in (np.cos, np.sin))
    about_x = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    about_y = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    about_z = np.array([[cr, sr, 0], [-sr, cr, 0], [0, 0, 1]])
    return np.asarray(about_x @ about_y @ about_z)
