"""The head: identity and expression, surface, camera pose, and the exact 68 points.

A head is a height field over the frontal plane, in face units: x to the right, y downward, z toward the viewer, half
the face's width = 1, the eyes near y = 0. The curves that give the points also give the drawn features, so the points
are exact. Jaw points 0-16 follow the usual 2-D outline convention: a point lies on the jaw line if that is visible, and
otherwise slides along its ray from the face's centre to the visible outline, so it counts as visible. All other points
are fixed on the head.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdtools.landmarks import IBUG68

Array = NDArray[np.float64]

# The mean face's points at the image's left and on the middle line, in face units.
_LEFT = {
    0: (-1.0, 0.03), 1: (-0.985, 0.29), 2: (-0.95, 0.54), 3: (-0.885, 0.78), 4: (-0.775, 1.0),
    5: (-0.62, 1.19), 6: (-0.42, 1.34), 7: (-0.21, 1.45), 8: (0.0, 1.49),
    17: (-0.754, -0.175), 18: (-0.63, -0.27), 19: (-0.475, -0.31), 20: (-0.307, -0.285), 21: (-0.149, -0.22),
    27: (0.0, -0.025), 28: (0.0, 0.134), 29: (0.0, 0.292), 30: (0.0, 0.455),
    31: (-0.19, 0.565), 32: (-0.098, 0.599), 33: (0.0, 0.628),
    36: (-0.567, 0.0), 37: (-0.466, -0.068), 38: (-0.345, -0.065), 39: (-0.239, 0.022), 40: (-0.348, 0.052),
    41: (-0.468, 0.052), 48: (-0.363, 0.865), 49: (-0.229, 0.812), 50: (-0.095, 0.781), 51: (0.0, 0.804),
    57: (0.0, 1.02), 58: (-0.11, 1.01), 59: (-0.24, 0.962), 60: (-0.31, 0.868), 61: (-0.1, 0.865),
    62: (0.0, 0.874), 66: (0.0, 0.884), 67: (-0.1, 0.877),
}  # fmt: skip
_MIRROR = IBUG68.mirror or ()
_MEAN = np.array([_LEFT[k] if k in _LEFT else _LEFT[_MIRROR[k]] for k in range(68)])
_MEAN[[k not in _LEFT for k in range(68)], 0] *= -1
_CRANIUM = np.array([(1.01, -0.25), (1.0, -0.55), (0.92, -0.85), (0.74, -1.12), (0.42, -1.32), (0.0, -1.4)])
_CENTRE = np.array([0.0, 0.35])  # the rays of the polar grid start here, on the nose
_SIXTHS = np.linspace(0, 1, 6, endpoint=False)[:, None]
PIVOT = np.array([0.0, 0.35, -0.8])  # the head turns about this point


@dataclass(frozen=True)
class Head:
    """A face's shape: its points (68, 2) before the turn, its outline (angle, radius), its nose's height."""

    xy: Array
    outline_angle: Array
    outline_radius: Array
    nose_height: float


@dataclass(frozen=True)
class View:
    """A head and its camera, which map face units to a supersampled image of `pixels` a side."""

    head: Head
    turn: Array  # (3, 3) rotation of the head
    body_turn: Array  # (3, 3) rotation of the neck and shoulders
    distance: float  # from camera to pivot, face units
    corner: Array  # (2,) the crop's upper left corner on the picture plane
    side: float  # the crop's side on the picture plane
    pixels: int


def gauss(rng: np.random.Generator, scale: float) -> float:
    """A normal number of standard deviation `scale`, cut at 2.2 of it."""
    return float(np.clip(rng.normal(), -2.2, 2.2)) * scale


def curve(points: Array) -> Array:
    """A Catmull-Rom curve through points (n, k), ends included -> ((n - 1) * 6 + 1, k)."""
    p = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    t = _SIXTHS
    a, b, c, d = (p[i : len(p) - 3 + i, None] for i in range(4))
    body = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return np.concatenate([body.reshape(-1, points.shape[1]), points[-1:]])


def _shape(rng: np.random.Generator) -> Array:
    """A random identity and expression -> points (68, 2) in face units, seen from the front."""
    xy = _MEAN.copy()
    jaw, mouth = xy[:17], xy[48:]
    square, long, lip, nose = (mean + gauss(rng, s) for mean, s in ((0, 0.06), (0, 0.06), (1, 0.2), (1, 0.07)))
    jaw[:, 0] *= 1 + square * np.sin(np.pi * np.clip(jaw[:, 1] / 1.49, 0, 1))
    jaw[:, 1] *= 1 + long
    size, tilt, apart = 1 + gauss(rng, 0.1), gauss(rng, 0.1), gauss(rng, 0.025)
    shut = rng.uniform(0.75, 1.35)
    if rng.random() < 0.12:
        shut = rng.uniform(0.06, 0.5)
    for sign, eye in ((-1, xy[36:42]), (1, xy[42:48])):
        middle = eye.mean(0)
        eye[:] = (eye - middle) * size * [1, shut * (1 + gauss(rng, 0.05))]
        eye[:, 1] -= sign * tilt * eye[:, 0]
        eye += middle
        eye[:, 0] += sign * apart
    raised, slope, arch = gauss(rng, 0.045), gauss(rng, 0.12), 1 + gauss(rng, 0.4)
    for sign, brow in ((-1, xy[17:22]), (1, xy[22:27])):
        brow[:, 1] = -0.2 + (brow[:, 1] + 0.2) * arch + raised + gauss(rng, 0.015)
        brow[:, 1] += sign * slope * (brow[:, 0] - sign * 0.45)
    xy[27:36, 1] = (xy[27:36, 1] + 0.025) * nose - 0.025
    xy[31:36, 0] *= 1 + gauss(rng, 0.13)
    smile, gape = float(np.clip(rng.normal(0.25, 0.5), -0.6, 1.2)), 0.0
    if rng.random() < 0.45:
        gape = rng.uniform(0.03, 0.2) if rng.random() < 0.7 else rng.uniform(0.2, 0.4)
    mouth[:, 1] = 0.87 + (mouth[:, 1] - 0.87) * lip
    across = (mouth[:, 0] / 0.363) ** 2
    mouth[:, 0] *= (1 + gauss(rng, 0.1)) * (1 + 0.16 * smile - 0.3 * gape)
    lower = np.isin(np.arange(48, 68), (55, 56, 57, 58, 59, 65, 66, 67))
    mouth[:, 1] += gape * (0.25 + lower * 0.75 * np.maximum(0, 1 - across)) - 0.08 * smile * (across - 0.3)
    mouth[:, 1] += gauss(rng, 0.02) * mouth[:, 0] / 0.363 + 0.45 * (nose - 1) + 0.5 * long
    jaw[:, 1] += 0.75 * gape * np.clip((jaw[:, 1] - 0.3) / 1.1, 0, 1) ** 1.5
    xy[:, 0] *= 1 + gauss(rng, 0.06)
    return xy


def _make_head(rng: np.random.Generator) -> Head:
    """A random head: its points, and the outline through the jaw points and around the cranium."""
    xy = _shape(rng)
    cranium = _CRANIUM * [abs(xy[0, 0]), 1 + gauss(rng, 0.05)]
    ring = np.vstack([xy[:17], cranium, cranium[-2::-1] * [-1, 1]])
    ring = curve(np.vstack([ring, ring, ring]))[6 * len(ring) : 12 * len(ring)] - _CENTRE
    angle, radius = np.unwrap(np.arctan2(ring[:, 0], ring[:, 1])), np.hypot(ring[:, 0], ring[:, 1])
    # Two rounds, so that every angle from -pi to pi lies inside the table.
    return Head(xy, np.hstack([angle - 2 * np.pi, angle]), np.tile(radius, 2), 1 + gauss(rng, 0.15))


def _polar(head: Head, xy: Array) -> tuple[Array, Array]:
    """Frontal places (..., 2) -> t (0 centre, 1 outline) and the ray's angle (0 downward)."""
    d = xy - _CENTRE
    angle = np.arctan2(d[..., 0], d[..., 1])
    return np.hypot(d[..., 0], d[..., 1]) / _radius(head, angle), angle


def _radius(head: Head, angle: Array) -> Array:
    """The outline's distance from the centre along rays."""
    return np.interp(angle, head.outline_angle, head.outline_radius)


def _relief(head: Head, x: Array, y: Array) -> Array:
    """What brows, sockets, cheeks, mouth, chin and nose add to the height at frontal places."""
    p, x = head.xy, np.abs(x)

    def bump(cx: float, cy: float, sx: float, sy: float) -> Array:
        return np.exp(-(((x - cx) / sx) ** 2) - ((y - cy) / sy) ** 2)

    eye_x, eye_y = float(p[42:48, 0].mean()), float(p[42:48, 1].mean())
    z = 0.07 * bump(0.42, eye_y - 0.27, 0.4, 0.13) - 0.11 * bump(eye_x, eye_y - 0.02, 0.24, 0.16)
    z += 0.08 * bump(0.55, 0.38, 0.24, 0.22) + 0.1 * bump(0, p[48:60, 1].mean(), 0.34, 0.22)
    z += 0.12 * bump(0, p[8, 1] - 0.17, 0.24, 0.14) - 0.05 * bump(0, p[57, 1] + 0.1, 0.25, 0.07)
    top, tip, base, wing = p[27, 1], p[30, 1], p[33, 1], abs(p[35, 0] - p[31, 0]) / 2
    ridge = np.interp(
        y,
        [top - 0.25, top - 0.05, tip - 0.1, tip, tip + 0.06, base, base + 0.1],
        [0, 0.1, 0.37, 0.42, 0.4, 0.13, 0],
    )
    width = np.interp(y, [top, tip, base], [0.1, 0.75 * wing, 0.8 * wing])
    z += ridge * head.nose_height * np.exp(-((x / width) ** 2))
    return z + 0.15 * bump(0.75 * wing, base - 0.09, 0.07, 0.07)


def surface(head: Head, t: Array, angle: Array) -> Array:
    """The head's surface (..., 3): t = 0..1 from the centre to the outline, 1..2 on round the back.

    `t` and `angle` need not be of one shape, only broadcast to one.
    """
    down = np.cos(angle)
    rim = np.interp(down, [-1, -0.5, 0, 0.4, 0.7, 0.9, 1], [-0.95, -1.05, -1.08, -0.9, -0.62, -0.4, -0.3])
    back = np.interp(down, [-1, 0, 1], [1.1, 1.0, 0.35])
    behind = np.clip(t - 1, 0, 1) * np.pi / 2
    radius = _radius(head, angle) * np.minimum(t, 1) * np.cos(behind)
    x, y = radius * np.sin(angle) + _CENTRE[0], radius * down + _CENTRE[1]
    front = rim * (1 - np.sqrt(1 - np.minimum(t, 1) ** 2.3))
    fade = np.clip(5 * (1 - t), 0, 1)
    return np.stack([x, y, front + fade * _relief(head, x, y) - back * np.sin(behind)], -1)


def lift(head: Head, xy: Array) -> Array:
    """Frontal places (..., 2) inside the outline -> places on the surface (..., 3)."""
    return surface(head, *_polar(head, xy))


def _normal(head: Head, t: Array, angle: Array) -> Array:
    """The surface's outward normals (..., 3), not of unit length."""
    step = np.reshape([1e-3, -1e-3, 0, 0], (4, *(1,) * angle.ndim))
    right, left, out, back = surface(head, t + np.roll(step, 2), angle + step)
    return np.cross(right - left, out - back)


def _rotation(yaw: float, pitch: float, roll: float) -> Array:
    """Rotation matrix (3, 3) about y, then x, then z, in degrees."""
    (cy, cp, cr), (sy, sp, sr) = (f(np.radians([yaw, pitch, roll])) for f in (np.cos, np.sin))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    return np.asarray(np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]]) @ about_x @ about_y)


def _facing(view: View, xyz: Array, normal: Array) -> Array:
    """Cosine-like measure (...) of how much surface positions (..., 3) face the camera; visible above 0."""
    outward = normal @ view.turn.T
    ray = np.array([0, 0, view.distance]) - turned(view, xyz)
    return np.asarray((outward * ray).sum(-1) / (np.linalg.norm(outward, axis=-1) + 1e-12) / view.distance)


def turned(view: View, xyz: Array, body: bool = False) -> Array:
    """Positions (..., 3) on the head or the body in camera orientation: from the pivot, z toward the camera."""
    return np.asarray((xyz - PIVOT) @ (view.body_turn if body else view.turn).T)


def project(view: View, seen: Array) -> Array:
    """Turned positions (..., 3) -> supersampled pixels (..., 2); pixel centres are integers."""
    plane = seen[..., :2] * (view.distance / (view.distance - seen[..., 2:]))
    return np.asarray((plane - view.corner) / view.side * view.pixels - 0.5)


def place(view: View, xyz: Array) -> tuple[Array, Array]:
    """Positions (..., 3) on the head -> supersampled pixels (..., 2), with integer pixel centres, and depth (...)."""
    seen = turned(view, xyz)
    return project(view, seen), seen[..., 2]


def _points3d(view: View) -> tuple[Array, NDArray[np.bool_]]:
    """The points (68, 3) on the head, with jaw points moved to the outline, and which face the camera."""
    head = view.head
    t, angle = _polar(head, head.xy)
    rays, along = angle[:17, None], np.linspace(0.5, 0.998, 60)
    facing = _facing(view, surface(head, along, rays), _normal(head, along, rays)) > 0
    last = facing.shape[1] - 1 - facing[:, ::-1].argmax(1)
    t[:17] = np.where(last == facing.shape[1] - 1, 1.0, along[last])
    xyz = surface(head, t, angle)
    seen = _facing(view, xyz, _normal(head, np.minimum(t, 0.99), angle)) > -0.03
    return xyz, seen | (np.arange(68) < 17)


def make_view(rng: np.random.Generator, margin: float, pixels: int) -> tuple[View, Array, NDArray[np.bool_]]:
    """A random head, pose, camera and crop, and `_points3d`; no random number depends on the size."""
    yaw, pitch, roll = np.clip(rng.normal(0, (19, 8, 9)), (-45, -20, -25), (45, 20, 25))
    body = _rotation(0.4 * yaw, 0.2 * pitch, 0.4 * roll)
    head, distance = _make_head(rng), rng.uniform(6, 14)
    view = View(head, _rotation(yaw, pitch, roll), body, distance, np.zeros(2), 1.0, 1)
    xyz, facing = _points3d(view)
    points = place(view, xyz)[0] + 0.5
    low, high = points.min(0), points.max(0)
    loose = min(margin, 0.2) / 0.2  # a tight crop leaves no room for jitter
    side = float((high - low).max()) * (1 + 2 * margin) * (1 + loose * rng.uniform(-0.05, 0.05))
    centre = (low + high) / 2 + side * loose * rng.uniform(-0.03, 0.03, 2)
    return View(head, view.turn, body, distance, centre - side / 2, side, pixels), xyz, facing
