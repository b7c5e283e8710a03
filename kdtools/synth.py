"""Draw annotated faces: shaded 3-D heads with the exact 68 iBUG/300-W points, made from numbers alone.

A head is a height field over the frontal plane, in face units: x to the right, y downward, z toward the
viewer, half the face's width = 1, the eyes near y = 0. The same 3-D curves give the points and the drawn
features, so the points are exact. Convention of the jaw points 0-16: the usual 2-D outline one. A point
lies on the jaw line where that is seen, and slides forward along its ray from the face's centre to the
visible outline where the cheek hides it, so it counts as seen. All other points are fixed on the head; one
behind the nose, the hair, dark glasses or an object has visible = 0 and keeps its exact place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Image = NDArray[np.uint8]
Face = tuple[Image, NDArray[np.float32], NDArray[np.uint8]]

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
# The point that takes each point's place in a left-right mirrored image.
MIRROR = np.array(
    [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, *range(35, 30, -1), 45, 44, 43, 42, 47, 46,
     39, 38, 37, 36, 41, 40, *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), 67, 66, 65]
)  # fmt: skip
_MEAN = np.array([_LEFT[k] if k in _LEFT else _LEFT[int(MIRROR[k])] for k in range(68)])
_MEAN[[k not in _LEFT for k in range(68)], 0] *= -1
_CRANIUM = np.array([(1.01, -0.25), (1.0, -0.55), (0.92, -0.85), (0.74, -1.12), (0.42, -1.32), (0.0, -1.4)])
_CENTRE = np.array([0.0, 0.35])  # the rays of the polar grid start here, on the nose
_PIVOT = np.array([0.0, 0.35, -0.8])  # the head turns about this point
_SKIN, _HAIR, _BEARD, _NECK, _CLOTH = 1, 2, 3, 4, 5
_SKIN_TONES = np.array([(92, 58, 42), (141, 92, 64), (190, 134, 98), (224, 172, 138), (246, 206, 182)], float)
_HAIR_TONES = np.array([(24, 20, 20), (52, 34, 24), (92, 60, 36), (140, 98, 56), (206, 168, 104), (128, 54, 28),
                        (170, 168, 166)], float)  # fmt: skip
_IRIS_TONES = np.array([(86, 52, 30), (60, 38, 24), (70, 110, 150), (84, 120, 70), (120, 130, 134)], float)


@dataclass(frozen=True)
class _Head:
    """A face's shape: its points (68, 2) before the turn, its outline (angle, radius), its nose's height."""

    xy: Array
    outline_angle: Array
    outline_radius: Array
    nose_height: float


@dataclass(frozen=True)
class _Scene:
    """A head before a camera: what maps face units to an image of `pixels` a side (supersampled)."""

    head: _Head
    turn: Array  # (3, 3) rotation of the head
    body_turn: Array  # (3, 3) rotation of the neck and shoulders
    distance: float  # from camera to pivot, face units
    corner: Array  # (2,) the crop's upper left corner on the picture plane
    side: float  # the crop's side on the picture plane
    pixels: int


@dataclass(frozen=True)
class _Part:
    """A mesh (rows, columns, 3) of one material; `nearer` lifts it over the mesh that it lies on."""

    grid: Array
    material: int
    nearer: float = 0.0
    body: bool = False


def _gauss(rng: np.random.Generator, scale: float) -> float:
    """A normal number of standard deviation `scale`, cut at 2.2 of it."""
    return float(np.clip(rng.normal(), -2.2, 2.2)) * scale


def _curve(points: Array, steps: int = 6) -> Array:
    """A Catmull-Rom curve through points (n, k), ends included -> ((n - 1) * steps + 1, k)."""
    p = np.vstack([2 * points[0] - points[1], points, 2 * points[-1] - points[-2]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    a, b, c, d = (p[i : len(p) - 3 + i, None] for i in range(4))
    body = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return np.vstack([body.reshape(-1, points.shape[1]), points[-1:]])


def _shape(rng: np.random.Generator) -> Array:
    """A random identity and expression -> points (68, 2) in face units, seen from the front."""
    xy = _MEAN.copy()
    jaw, mouth = xy[:17], xy[48:]
    square, long, lip, nose = (
        mean + _gauss(rng, s) for mean, s in ((0, 0.06), (0, 0.06), (1, 0.2), (1, 0.07))
    )
    jaw[:, 0] *= 1 + square * np.sin(np.pi * np.clip(jaw[:, 1] / 1.49, 0, 1))
    jaw[:, 1] *= 1 + long
    size, tilt, apart = 1 + _gauss(rng, 0.1), _gauss(rng, 0.1), _gauss(rng, 0.025)
    shut = rng.uniform(0.75, 1.35)
    if rng.random() < 0.12:
        shut = rng.uniform(0.06, 0.5)
    for sign, eye in ((-1, xy[36:42]), (1, xy[42:48])):
        middle = eye.mean(0)
        eye[:] = (eye - middle) * size * [1, shut * (1 + _gauss(rng, 0.05))]
        eye[:, 1] -= sign * tilt * eye[:, 0]
        eye += middle
        eye[:, 0] += sign * apart
    raised, slope, arch = _gauss(rng, 0.045), _gauss(rng, 0.12), 1 + _gauss(rng, 0.4)
    for sign, brow in ((-1, xy[17:22]), (1, xy[22:27])):
        brow[:, 1] = -0.2 + (brow[:, 1] + 0.2) * arch + raised + _gauss(rng, 0.015)
        brow[:, 1] += sign * slope * (brow[:, 0] - sign * 0.45)
    xy[27:36, 1] = (xy[27:36, 1] + 0.025) * nose - 0.025
    xy[31:36, 0] *= 1 + _gauss(rng, 0.13)
    smile, gape = float(np.clip(rng.normal(0.25, 0.5), -0.6, 1.2)), 0.0
    if rng.random() < 0.45:
        gape = rng.uniform(0.03, 0.2) if rng.random() < 0.7 else rng.uniform(0.2, 0.4)
    mouth[:, 1] = 0.87 + (mouth[:, 1] - 0.87) * lip
    across = (mouth[:, 0] / 0.363) ** 2
    mouth[:, 0] *= (1 + _gauss(rng, 0.1)) * (1 + 0.16 * smile - 0.3 * gape)
    lower = np.isin(np.arange(48, 68), (55, 56, 57, 58, 59, 65, 66, 67))
    mouth[:, 1] += gape * (0.25 + lower * 0.75 * np.maximum(0, 1 - across)) - 0.08 * smile * (across - 0.3)
    mouth[:, 1] += _gauss(rng, 0.02) * mouth[:, 0] / 0.363 + 0.45 * (nose - 1) + 0.5 * long
    jaw[:, 1] += 0.75 * gape * np.clip((jaw[:, 1] - 0.3) / 1.1, 0, 1) ** 1.5
    xy[:, 0] *= 1 + _gauss(rng, 0.06)
    return xy


def _make_head(rng: np.random.Generator) -> _Head:
    """A random head: its points and the outline that runs through the jaw points and round the cranium."""
    xy = _shape(rng)
    cranium = _CRANIUM * [abs(xy[0, 0]), 1 + _gauss(rng, 0.05)]
    ring = np.vstack([xy[:17], cranium, cranium[-2::-1] * [-1, 1]])
    ring = _curve(np.vstack([ring, ring, ring]))[6 * len(ring) : 12 * len(ring)] - _CENTRE
    angle, radius = np.unwrap(np.arctan2(ring[:, 0], ring[:, 1])), np.hypot(ring[:, 0], ring[:, 1])
    # Two rounds, so that every angle from -pi to pi lies inside the table.
    return _Head(xy, np.hstack([angle - 2 * np.pi, angle]), np.tile(radius, 2), 1 + _gauss(rng, 0.15))


def _polar(head: _Head, xy: Array) -> tuple[Array, Array]:
    """Frontal places (..., 2) -> t (0 centre, 1 outline) and the ray's angle (0 downward)."""
    d = xy - _CENTRE
    angle = np.arctan2(d[..., 0], d[..., 1])
    return np.hypot(d[..., 0], d[..., 1]) / _radius(head, angle), angle


def _radius(head: _Head, angle: Array) -> Array:
    """The outline's distance from the centre along rays."""
    return np.interp(angle, head.outline_angle, head.outline_radius)


def _relief(head: _Head, x: Array, y: Array) -> Array:
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


def _surface(head: _Head, t: Array, angle: Array) -> Array:
    """The head's surface (..., 3): t = 0..1 from the centre to the outline, 1..2 on round the back."""
    down = np.cos(angle)
    rim = np.interp(down, [-1, -0.5, 0, 0.4, 0.7, 0.9, 1], [-0.95, -1.05, -1.08, -0.9, -0.62, -0.4, -0.3])
    back = np.interp(down, [-1, 0, 1], [1.1, 1.0, 0.35])
    behind = np.clip(t - 1, 0, 1) * np.pi / 2
    radius = _radius(head, angle) * np.minimum(t, 1) * np.cos(behind)
    x, y = radius * np.sin(angle) + _CENTRE[0], radius * down + _CENTRE[1]
    front = rim * (1 - np.sqrt(1 - np.minimum(t, 1) ** 2.3))
    fade = np.clip(5 * (1 - t), 0, 1)
    return np.stack([x, y, front + fade * _relief(head, x, y) - back * np.sin(behind)], -1)


def _lift(head: _Head, xy: Array) -> Array:
    """Frontal places (..., 2) inside the outline -> places on the surface (..., 3)."""
    return _surface(head, *_polar(head, xy))


def _normal(head: _Head, t: Array, angle: Array) -> Array:
    """The surface's outward normals (..., 3), not of unit length."""
    step = 1e-3
    across = _surface(head, t, angle + step) - _surface(head, t, angle - step)
    return np.cross(across, _surface(head, t + step, angle) - _surface(head, t - step, angle))


def _rotation(yaw: float, pitch: float, roll: float) -> Array:
    """The matrix (3, 3) of a turn about y, then x, then z, in degrees."""
    (cy, cp, cr), (sy, sp, sr) = (f(np.radians([yaw, pitch, roll])) for f in (np.cos, np.sin))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    return np.asarray(np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]]) @ about_x @ about_y)


def _facing(scene: _Scene, xyz: Array, normal: Array) -> Array:
    """The cosine-like measure (...) of how far surface places (..., 3) face the camera: > 0 seen."""
    seen, turned = (xyz - _PIVOT) @ scene.turn.T, normal @ scene.turn.T
    ray = np.array([0, 0, scene.distance]) - seen
    return np.asarray((turned * ray).sum(-1) / (np.linalg.norm(turned, axis=-1) + 1e-12) / scene.distance)


def _place(scene: _Scene, xyz: Array, body: bool = False) -> tuple[Array, Array]:
    """Places (..., 3) -> supersampled pixels (..., 2), a pixel's centre an integer, and depth (...)."""
    seen = (xyz - _PIVOT) @ (scene.body_turn if body else scene.turn).T
    plane = seen[..., :2] * (scene.distance / (scene.distance - seen[..., 2:]))
    return (plane - scene.corner) / scene.side * scene.pixels - 0.5, seen[..., 2]


def _points3d(scene: _Scene) -> tuple[Array, NDArray[np.bool_]]:
    """The points (68, 3) on the head, those of the jaw slid to the outline, and which face the camera."""
    head = scene.head
    t, angle = _polar(head, head.xy)
    rays, along = np.meshgrid(angle[:17], np.linspace(0.5, 0.998, 60), indexing="ij")
    facing = _facing(scene, _surface(head, along, rays), _normal(head, along, rays)) > 0
    last = facing.shape[1] - 1 - facing[:, ::-1].argmax(1)
    t[:17] = np.where(last == facing.shape[1] - 1, 1.0, along[0, last])
    xyz = _surface(head, t, angle)
    seen = _facing(scene, xyz, _normal(head, np.minimum(t, 0.99), angle)) > -0.03
    return xyz, seen | (np.arange(68) < 17)


def _make_scene(
    rng: np.random.Generator, margin: float, pixels: int
) -> tuple[_Scene, Array, NDArray[np.bool_]]:
    """A random head, pose, camera and crop, and `_points3d`; no number drawn here depends on the size."""
    yaw, pitch, roll = np.clip(rng.normal(0, (19, 8, 9)), (-45, -20, -25), (45, 20, 25))
    body = _rotation(0.4 * yaw, 0.2 * pitch, 0.4 * roll)
    head, distance = _make_head(rng), rng.uniform(6, 14)
    scene = _Scene(head, _rotation(yaw, pitch, roll), body, distance, np.zeros(2), 1.0, 1)
    xyz, facing = _points3d(scene)
    points = _place(scene, xyz)[0] + 0.5
    low, high = points.min(0), points.max(0)
    loose = min(margin, 0.2) / 0.2  # a tight crop leaves no room for jitter
    side = float((high - low).max()) * (1 + 2 * margin) * (1 + loose * rng.uniform(-0.05, 0.05))
    centre = (low + high) / 2 + side * loose * rng.uniform(-0.03, 0.03, 2)
    return _Scene(head, scene.turn, body, distance, centre - side / 2, side, pixels), xyz, facing


def _ellipsoid(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> Array:
    """A mesh (13, 24, 3) of an ellipsoid, its poles on the line of sight."""
    t, angle = np.meshgrid(np.linspace(0, np.pi, 13), np.linspace(0, 2 * np.pi, 24), indexing="ij")
    ball = np.stack([np.sin(t) * np.sin(angle), np.sin(t) * np.cos(angle), np.cos(t)], -1)
    return np.asarray(centre + ball * radii)


def _hair_parts(rng: np.random.Generator, head: _Head) -> Iterator[_Part]:
    """Scalp hair, fringe, long hair, bun and beard of a random style, or none of them."""
    width, turn = abs(float(head.xy[0, 0])), np.linspace(-np.pi, np.pi, 49)
    style = rng.choice(["bald", "short", "full", "fringe", "receding", "long", "bun"])
    thick = {"short": 0.06, "full": rng.uniform(0.15, 0.4), "receding": 0.05}.get(style, 0.13)
    top = {"fringe": rng.uniform(0.4, 0.52), "receding": 0.88}.get(style, rng.uniform(0.62, 0.74))
    if style != "bald":
        line = np.interp(
            np.cos(turn), [-1, -0.75, -0.45, -0.1, 0.25, 0.6], [top, top + 0.02, 0.88, 1.0, 1.2, 1.93]
        )
        line += rng.uniform(-0.12, 0.12) * np.sin(turn) * np.clip(-np.cos(turn), 0, 1)  # a parting
        line += 0.008 * rng.normal(size=49) * (np.cos(turn) < 0)
        line[-1] = line[0]
        depth = np.linspace(0, 1, 12)[:, None] ** 1.5
        grid = _surface(head, line + (1.95 - line) * depth, np.broadcast_to(turn, (12, 49)))
        swell = thick * np.minimum(1, 0.1 + 2.5 * depth)[..., None]
        swell = swell * np.clip(0.5 - np.cos(turn), 0, 1)[:, None]  # none below, or it would frame the chin
        yield _Part(grid + swell * (grid - [0, -0.1, -0.9]), _HAIR, 0.15)
    if style == "long":
        fall = rng.uniform(1.0, 2.2)
        yield _Part(_ellipsoid((0, fall - 1.1, -1.5), (width * rng.uniform(1.15, 1.4), fall, 0.5)), _HAIR)
    if style == "bun":
        yield _Part(_ellipsoid((rng.uniform(-0.3, 0.3), -1.75, -1.3), (0.45, 0.4, 0.45)), _HAIR)
    if rng.random() < 0.25:
        turn = np.linspace(-1.75, 1.75, 45)
        start = np.interp(np.abs(turn), [0, 0.3, 0.6, 1.2, 1.75], [0.72, 0.66, 0.5, 0.9, 0.96])
        start += rng.uniform(-0.05, 0.05)
        rows = start + (1.15 - start) * np.linspace(0, 1, 10)[:, None]
        yield _Part(_surface(head, rows, np.broadcast_to(turn, (10, 45))), _BEARD, 0.15)


def _raster(scene: _Scene, parts: list[_Part], light: Array, ambient: float) -> NDArray[np.float32]:
    """Paints the meshes from back to front -> (pixels, pixels, 4): light, gloss, depth, material."""
    rows: list[Array] = []
    for part in parts:
        turn = scene.body_turn if part.body else scene.turn
        pixel, depth = _place(scene, part.grid, part.body)
        seen = (part.grid - _PIVOT) @ turn.T
        normal = np.cross(seen[1:, 1:] - seen[1:, :-1], seen[1:, 1:] - seen[:-1, 1:])
        normal += np.cross(seen[:-1, 1:] - seen[:-1, :-1], seen[1:, :-1] - seen[:-1, :-1])
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-12
        half = light + np.array([0, 0, 1])
        glow = ambient + (1 - ambient) * 1.25 * np.clip((normal @ light + 0.2) / 1.2, 0, None)
        gloss = np.clip(normal @ (half / np.linalg.norm(half)), 0, None) ** 16
        quad = np.stack([pixel[:-1, :-1], pixel[:-1, 1:], pixel[1:, 1:], pixel[1:, :-1]], 2).reshape(-1, 8)
        mean = (depth[:-1, :-1] + depth[1:, 1:] + depth[:-1, 1:] + depth[1:, :-1]).reshape(-1) / 4
        a, b = quad[:, 2:4] - quad[:, 6:8], quad[:, 4:6] - quad[:, 0:2]
        area = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]  # below 0 where the mesh is seen from behind
        material = np.full(len(mean), part.material)
        columns = [quad, mean + part.nearer, glow.reshape(-1), gloss.reshape(-1), mean, material]
        rows.append(np.column_stack(columns)[area > 0])
    table = np.vstack(rows)
    table = table[np.argsort(table[:, 8], kind="stable")]
    corners = np.round(table[:, :8] * 16).astype(np.int32).reshape(-1, 4, 2)
    buffer = np.zeros((scene.pixels, scene.pixels, 4), np.float32)
    buffer[..., 2] = -9
    for corner, values in zip(corners, table[:, 9:].tolist(), strict=True):
        cv2.fillConvexPoly(buffer, corner, values, cv2.LINE_8, 4)
    return buffer


@dataclass(frozen=True)
class _Patch:
    """A closed curve (n, 2) on the frontal plane, filled with a colour; `soft` blurs it, face units."""

    outline: Array
    colour: Array
    opacity: float = 1.0
    soft: float = 0.0
    clip: Array | None = None


def _ribbon(line: Array, width: Array | float) -> Array:
    """The outline of a stroke along line (n, 2) of a width (n,) or one for all."""
    along = np.gradient(line, axis=0)
    side = np.stack([-along[:, 1], along[:, 0]], 1) / (np.linalg.norm(along, axis=1)[:, None] + 1e-9)
    side *= np.broadcast_to(width, len(line))[:, None] / 2
    return np.vstack([line + side, (line - side)[::-1]])


def _oval(centre: Array, rx: float, ry: float) -> Array:
    """An ellipse's outline (28, 2)."""
    a = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    return np.asarray(centre + np.stack([rx * np.cos(a), ry * np.sin(a)], 1))


def _eye_patches(eye: Array, gaze: Array, iris: Array, skin: Array) -> Iterator[_Patch]:
    """One eye (6, 2), from the image's left corner clockwise: white, iris, pupil, lids and lashes."""
    upper, lower = _curve(eye[:4]), _curve(eye[[3, 4, 5, 0]])
    edge, middle, width = np.vstack([upper, lower]), eye.mean(0), float(np.ptp(eye[:, 0]))
    yield _Patch(_oval(middle - [0, 0.03], 0.75 * width, 0.5 * width), skin * 0.6, 0.45, 0.05)
    yield _Patch(edge, np.array([236.0, 232, 228]))
    centre = middle + gaze * [width / 4, width / 10]
    yield _Patch(_oval(centre, 0.27 * width, 0.27 * width), iris * 0.55, clip=edge)
    yield _Patch(_oval(centre, 0.22 * width, 0.22 * width), iris, clip=edge)
    yield _Patch(_oval(centre, 0.11 * width, 0.11 * width), np.full(3, 12.0), clip=edge)
    yield _Patch(_oval(centre - 0.055, 0.022, 0.022), np.full(3, 255.0), clip=edge)
    yield _Patch(_ribbon(upper, 0.035), skin * 0.15)
    yield _Patch(_ribbon(lower, 0.015), skin * 0.45)
    yield _Patch(_ribbon(upper - [0, 0.075], 0.03), skin * 0.45, 0.6, 0.01)


def _mouth_patches(head: _Head, lips: Array, skin: Array) -> Iterator[_Patch]:
    """Lips along the points 48-67; dark, with teeth and tongue, where they are parted."""
    p = head.xy
    upper, lower = _curve(p[48:55]), _curve(p[[54, 55, 56, 57, 58, 59, 48]])
    roof, floor = _curve(p[60:65]), _curve(p[[64, 65, 66, 67, 60]])
    gap, hole = float(p[66, 1] - p[62, 1]), np.vstack([roof, floor])
    yield _Patch(_oval(p[57] + [0, 0.1], 0.22, 0.05), skin * 0.55, 0.5, 0.04)
    yield _Patch(np.vstack([upper, lower]), lips)
    yield _Patch(np.vstack([upper, p[64:65], roof[::-1], p[60:61]]), lips * 0.8)
    yield _Patch(_oval(p[[57, 66]].mean(0), 0.14, 0.03), lips * 0.5 + 125, 0.35, 0.02)
    yield _Patch(hole, np.array([60.0, 18, 20]))
    if gap > 0.06:
        yield _Patch(_oval(p[66], 0.2, 0.35 * gap), np.array([176.0, 82, 84]), clip=hole)
        teeth = np.vstack([roof, roof[::-1] + np.array([0, 0.3 * gap + 0.03])])
        yield _Patch(teeth, np.array([240.0, 236, 224]), clip=hole)
    centre = np.vstack([p[48:49], (roof + floor[::-1]) / 2, p[54:55]])
    yield _Patch(_ribbon(centre if gap < 0.06 else np.vstack([hole, hole[:1]]), 0.02), lips * 0.3)


def _patches(rng: np.random.Generator, head: _Head, skin: Array, hair: Array) -> Iterator[_Patch]:
    """Everything drawn on the skin, first to last."""
    p = head.xy
    blush, lips = np.array([214.0, 92, 84]), skin * [0.86, 0.58, 0.56]
    if rng.random() < 0.3:
        lips = 0.4 * lips + 0.6 * np.array([rng.uniform(130, 210), rng.uniform(20, 80), rng.uniform(40, 100)])
    for sign in (-1, 1):
        yield _Patch(_oval(np.array([sign * 0.58, 0.5]), 0.22, 0.18), blush, rng.uniform(0, 0.35), 0.1)
        fold = np.vstack(
            [p[33] + [sign * 0.24, -0.06], p[33] + [sign * 0.36, 0.1], p[51] + [sign * 0.46, 0.04]]
        )
        yield _Patch(_ribbon(_curve(fold), 0.035), skin * 0.55, rng.uniform(0, 0.6), 0.015)
    yield _Patch(_oval(p[33] + [0, 0.05], 0.17, 0.06), skin * 0.5, 0.45, 0.04)
    for k, wing in ((32, 31), (34, 35)):
        nostril = (p[k] + p[wing]) / 2 * [0.9, 1] - [0, 0.012]
        yield _Patch(_oval(nostril, 0.05, 0.024), skin * 0.2, 0.9, 0.006)
        side = np.vstack(
            [p[wing] + [0.0, -0.13], p[wing] * [1.1, 1] - [0, 0.07], p[wing], (p[k] + p[wing]) / 2]
        )
        yield _Patch(_ribbon(_curve(side), 0.025), skin * 0.4, 0.8, 0.004)
    yield _Patch(_ribbon(_curve(p[31:36]), 0.025), skin * 0.45, 0.7, 0.006)
    dark = np.minimum(hair * rng.uniform(0.5, 0.9), skin * 0.6)
    thick = rng.uniform(0.06, 0.13) * np.interp(np.linspace(0, 1, 25), [0, 0.5, 1], [0.25, 1, 0.9])
    for brow in (p[17:22], p[26:21:-1]):
        yield _Patch(_ribbon(_curve(brow), thick), dark)
    gaze = np.clip(rng.normal(0, 0.4, 2), -0.9, 0.9)
    iris = _IRIS_TONES[rng.integers(len(_IRIS_TONES))]
    for eye in (p[36:42], p[42:48]):
        yield from _eye_patches(eye, gaze, iris, skin)
    yield from _mouth_patches(head, lips, skin)


def _mask(outline: Array, height: int, width: int) -> Image:
    """An anti-aliased mask (height, width) of a closed curve (n, 2) in pixels."""
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.round(outline * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return mask


def _lay(picture: NDArray[np.float32], mask: Image, colour: Array, opacity: float = 1.0) -> None:
    """Blends a colour into a picture (3, height, width) where the mask (height, width) says so."""
    picture += mask * np.float32(opacity / 255) * (colour.astype(np.float32)[:, None, None] - picture)


def _paint(
    scene: _Scene, picture: NDArray[np.float32], depth: NDArray[np.float32], patches: list[_Patch]
) -> None:
    """Blends patches into the albedo picture (3, pixels, pixels) where nothing nearer hides them."""
    flat = [c for patch in patches for c in (patch.outline, patch.clip) if c is not None]
    pixel, far = _place(scene, _lift(scene.head, np.vstack(flat)))  # all at once: one by one is slow
    ends = np.cumsum([len(c) for c in flat])[:-1]
    curves = zip(np.split(pixel, ends), np.split(far, ends), strict=True)
    for patch in patches:
        outline, z = next(curves)
        clip = next(curves)[0] if patch.clip is not None else None
        sigma = patch.soft / scene.side * scene.pixels
        reach = int(3 * sigma) + 2
        start = np.maximum(outline.min(0).astype(int) - reach, 0)
        x0, y0 = start
        x1, y1 = np.minimum(outline.max(0).astype(int) + reach + 1, scene.pixels)
        if x1 <= x0 or y1 <= y0:
            continue
        mask = _mask(outline - start, y1 - y0, x1 - x0)
        if clip is not None:
            mask &= _mask(clip - start, y1 - y0, x1 - x0)
        if sigma > 0.3:
            mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), sigma), np.uint8)
        near = depth[y0:y1, x0:x1] < z.max() + 0.12
        _lay(picture[:, y0:y1, x0:x1], mask * near, patch.colour, patch.opacity)


def _background(rng: np.random.Generator, pixels: int) -> NDArray[np.float32]:
    """A random background (3, pixels, pixels): clouds or clutter and shapes, more or less out of focus."""
    n, cells = 128, int(rng.choice([2, 3, 6, 16]))  # it is soft, so 128 pixels do for every size
    vivid = rng.uniform(0.1, 0.8)

    def colours(*shape: int) -> Array:
        return np.asarray(rng.uniform(10, 245, (*shape, 1)) + vivid * rng.uniform(-110, 110, (*shape, 3)))

    small = colours() + rng.uniform(0, 0.7) * (colours(cells, cells) - 128)
    picture = cv2.resize(small.astype(np.float32), (n, n), interpolation=cv2.INTER_CUBIC)
    for _ in range(rng.integers(0, 12)):
        place = rng.uniform(-0.1, 1.1, (4, 2))
        if rng.random() < 0.5:
            place = place[0] + rng.uniform(0.03, 0.3) * (place - place[0])
        cv2.fillPoly(picture, [np.round(place * n * 16).astype(np.int32)], colours().tolist(), cv2.LINE_8, 4)
    picture = cv2.GaussianBlur(picture, (0, 0), n * rng.uniform(0.004, 0.03))
    large = cv2.resize(picture, (pixels, pixels), interpolation=cv2.INTER_LINEAR)
    return np.asarray(large, np.float32).transpose(2, 0, 1)


def _smooth(channel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Blurs (pixels, pixels) by about a percent of its side; at half the size, for speed."""
    n = len(channel)
    half = cv2.resize(channel, (n // 2, n // 2), interpolation=cv2.INTER_AREA)
    half = cv2.GaussianBlur(half, (0, 0), n * 0.0055)
    return np.asarray(cv2.resize(half, (n, n), interpolation=cv2.INTER_LINEAR), np.float32)


def _shade(rng: np.random.Generator, scene: _Scene) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draws head and background -> picture (3, pixels, pixels) of 0..255 RGB and depth (pixels, pixels)."""
    n, head = scene.pixels, scene.head
    pick = rng.uniform(0, len(_SKIN_TONES) - 1)
    skin = np.array([np.interp(pick, range(len(_SKIN_TONES)), tone) for tone in _SKIN_TONES.T])
    skin *= rng.uniform(0.93, 1.07, 3)
    hair = _HAIR_TONES[rng.integers(len(_HAIR_TONES))] * rng.uniform(0.8, 1.2)
    if rng.random() < 0.08:
        hair = rng.uniform(20, 220, 3)
    stubble = rng.uniform(0.2, 0.9)
    beard = stubble * hair + (1 - stubble) * skin
    colours = [np.zeros(3), skin, hair, beard, skin * 0.68, rng.uniform(10, 240, 3)]
    rows = np.hstack([np.linspace(0, 0.9, 23), np.linspace(0.93, 1, 5), np.linspace(1.08, 1.95, 6)])
    t, angle = np.meshgrid(rows, np.linspace(-np.pi, np.pi, 55), indexing="ij")
    width = abs(float(head.xy[0, 0]))
    parts = [_Part(_surface(head, t, angle), _SKIN), *_hair_parts(rng, head)]
    parts += [_Part(_ellipsoid((s * (width + 0.03), 0.2, -1.2), (0.13, 0.32, 0.2)), _SKIN) for s in (-1, 1)]
    parts += [_Part(_ellipsoid((0, 1.7, -1.25), (0.62, 1.6, 0.55)), _NECK, body=True)]
    parts += [_Part(_ellipsoid((0, 3.3, -1.3), (2.2, 1.0, 0.8)), _CLOTH, body=True)]
    across, up = np.radians(rng.uniform(-75, 75)), np.radians(rng.uniform(-10, 60))
    light = np.array([np.sin(across) * np.cos(up), -np.sin(up), np.cos(across) * np.cos(up)])
    buffer = _raster(scene, parts, light, rng.uniform(0.3, 0.75))
    material, depth = buffer[..., 3].astype(np.intp), buffer[..., 2].copy()
    picture = np.take(np.array(colours, np.float32).T, material, 1)
    _paint(scene, picture, depth, list(_patches(rng, head, skin, hair)))
    solid = (buffer[..., 3] > 0).astype(np.float32)
    # The flat facets' light is smoothed, over the head alone, so that the skin looks round.
    smooth = [_smooth(channel) for channel in (buffer[..., 0], buffer[..., 1], solid)]
    glow, gloss = (channel / np.maximum(smooth[2], 1e-3) for channel in smooth[:2])
    cast = (rng.uniform(0.75, 1.2) * rng.uniform(0.9, 1.1, 3)).astype(np.float32)
    strands = cv2.resize(rng.normal(1, 0.16, (24, 96)).astype(np.float32), (n, n))
    glow *= np.where(material == _HAIR, strands, 1)
    picture *= glow * cast[:, None, None]
    picture += gloss * (255 * rng.uniform(0, 0.2))
    return np.where(material > 0, picture, _background(rng, n)).clip(0, 255), depth


def _put_on_glasses(rng: np.random.Generator, scene: _Scene, picture: NDArray[np.float32]) -> Image:
    """Draws glasses, at times dark ones -> mask (pixels, pixels) of what they hide."""
    n, p, hidden, lines = scene.pixels, scene.head.xy, np.zeros(picture.shape[1:], np.uint8), []
    dark, colour = rng.random() < 0.3, rng.uniform(0, 120, 3) * rng.uniform(0, 1)
    rx, ry, square = rng.uniform(0.27, 0.34), rng.uniform(0.18, 0.28), rng.uniform(0.5, 1)
    front = float(_lift(scene.head, p[28])[2])
    for sign, eye in ((-1, p[36:42]), (1, p[42:48])):
        oval = _oval(np.zeros(2), 1, 1)
        lens = eye.mean(0) + [sign * 0.02, 0.03] + np.sign(oval) * np.abs(oval) ** square * [rx, ry]
        lines.append(_place(scene, np.column_stack([lens, front + 0.05 - 0.3 * lens[:, 0] ** 2]))[0])
        mask = _mask(lines[-1], n, n)
        _lay(picture, mask, colour * 0.3 if dark else np.full(3, 220.0), 0.95 if dark else 0.08)
        hidden |= mask * np.uint8(dark)
        if sign * scene.turn[2, 0] > -0.1:  # the arm on the side that is turned away is behind the head
            hinge = (sign * (abs(eye[:, 0]).mean() + rx), eye[0, 1], front - 0.2)
            lines.append(_place(scene, np.array([hinge, (sign * 1.03, 0.05, -1.1), hinge]))[0])
    bridge = [
        (-0.14, 0.05, front + 0.06),
        (0, 0, front + 0.06),
        (0.14, 0.05, front + 0.06),
        (0, 0, front + 0.06),
    ]
    lines.append(_place(scene, np.array(bridge))[0])
    frame, thick = np.zeros_like(hidden), max(1, round(rng.uniform(0.02, 0.07) / scene.side * n))
    drawn = [np.round(line * 16).astype(np.int32) for line in lines]
    cv2.polylines(frame, drawn, True, 255, thick, cv2.LINE_AA, 4)
    _lay(picture, frame, colour)
    return hidden


def _obstruct(rng: np.random.Generator, picture: NDArray[np.float32]) -> Image:
    """Holds a bar, a blob or a hand before the face -> mask (pixels, pixels) of what it hides."""
    n, hidden, centre = picture.shape[1], np.zeros(picture.shape[1:], np.uint8), rng.uniform(0.1, 0.9, 2)
    kind, angle, colour = (
        rng.choice(["bar", "blob", "hand"]),
        rng.uniform(0, 2 * np.pi),
        rng.uniform(0, 255, 3),
    )
    along = np.array([np.cos(angle), np.sin(angle)])
    if kind == "bar":
        strokes = [(centre - 2 * along, centre + 2 * along, rng.uniform(0.1, 0.2))]
    elif kind == "blob":
        strokes = [(centre, centre + rng.normal(0, 0.1, 2), rng.uniform(0.1, 0.25)) for _ in range(5)]
    else:
        colour = _SKIN_TONES[rng.integers(len(_SKIN_TONES))]
        fingers = [centre + 0.065 * k * np.array([-along[1], along[0]]) for k in (-1.5, -0.5, 0.5, 1.5)]
        strokes = [(root + 0.2 * along, root - rng.uniform(0.1, 0.2) * along, 0.06) for root in fingers]
        strokes.append((centre + 0.25 * along, centre + 2 * along, 0.22))
    for start, end, width in strokes:
        mask = np.zeros_like(hidden)
        a, b = (np.round(np.asarray(place) * n * 16).astype(int).tolist() for place in (start, end))
        cv2.line(mask, a, b, 255, max(1, round(width * n)), cv2.LINE_AA, 4)
        _lay(picture, mask, colour * rng.uniform(0.8, 1.05))
        hidden |= mask
    return hidden


def _degrade(rng: np.random.Generator, image: Image) -> Image:
    """What cameras and files do to (size, size, 3): grey, contrast, coarse pixels, blur, noise, JPEG."""
    size, out = len(image), image.astype(np.float32)
    if rng.random() < 0.08:
        out[:] = out.mean(2, keepdims=True)
    out = out * np.float32(rng.uniform(0.8, 1.15)) + np.float32(rng.uniform(0, 25))
    if rng.random() < 0.3:
        out = np.asarray(cv2.GaussianBlur(out, (0, 0), size / 128 * rng.uniform(0.3, 1.5)), np.float32)
    if rng.random() < 0.5:
        out += rng.standard_normal(out.shape, np.float32) * np.float32(rng.uniform(1, 10))
    image = out.clip(0, 255).round().astype(np.uint8)
    if rng.random() < 0.4:
        data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 95))])[
            1
        ]
        image = np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[..., ::-1])
    return image


def draw_face(
    rng: np.random.Generator, size: int, *, margin: float = 0.2
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.uint8]]:
    """Draws one annotated face.

    Returns the image (size, size, 3) uint8 RGB; the 68 points (68, 2) float32, x to the right and y
    downward in pixels, a pixel's centre at integers; and visible (68,) uint8, 1 seen or 0 hidden. The crop
    is a square around the points with `margin` times their larger extent on each side, a little jittered.
    The points of one rng state are those of any size, scaled: (p + 0.5) / size is the same.
    Raises ValueError for a size below 16 or a negative margin.
    """
    if size < 16 or margin < 0:
        raise ValueError(f"size must be 16 or more and margin 0 or more, not {size} and {margin}")
    pixels = max(size * 3 // 2, min(size * 3, 192))  # supersampled, the more so the smaller the image
    scene, xyz, facing = _make_scene(rng, margin, pixels)
    picture, depth = _shade(rng, scene)
    hidden = np.zeros(picture.shape[1:], np.uint8)
    if rng.random() < 0.25:
        hidden |= _put_on_glasses(rng, scene, picture)
    if rng.random() < 0.18:
        hidden |= _obstruct(rng, picture)
    pixel, far = _place(scene, xyz)
    x, y = np.clip(np.round(pixel).astype(int), 0, pixels - 1).T
    # At the outline the depth changes so fast that the next pixel may be much nearer than the point.
    slack = np.where(np.arange(68) < 17, 0.4, 0.15)
    visible = facing & (depth[y, x] < far + slack) & (hidden[y, x] < 128)
    small = np.asarray(cv2.resize(cv2.merge(list(picture)), (size, size), interpolation=cv2.INTER_AREA))
    image = small.round().astype(np.uint8)
    points = ((pixel + 0.5) * (size / pixels) - 0.5).astype(np.float32)
    return _degrade(rng, image), points, visible.astype(np.uint8)


def _draw_chunk(seed: int, start: int, stop: int, size: int, margin: float) -> list[Face]:
    """The faces start .. stop-1 of the seed."""
    return [draw_face(np.random.default_rng([seed, k]), size, margin=margin) for k in range(start, stop)]


def draw_faces(
    n_faces: int, size: int, seed: int, *, first: int = 0, margin: float = 0.2, jobs: int = 1
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.uint8]]]:
    """Yields the faces first .. first + n_faces - 1 of the seed, in order, as `draw_face` returns them.

    Face k depends on (seed, k, size, margin) alone, not on `jobs`, the number of processes that draw.
    Raises ValueError as `draw_face` does.
    """
    if jobs <= 1:
        for k in range(first, first + n_faces):
            yield draw_face(np.random.default_rng([seed, k]), size, margin=margin)
        return
    chunk, stop = 16, first + n_faces
    pending: deque[Future[list[Face]]] = deque()
    with ProcessPoolExecutor(jobs, get_context("spawn"), cv2.setNumThreads, (1,)) as pool:
        try:
            for start in range(first, stop, chunk):
                pending.append(pool.submit(_draw_chunk, seed, start, min(start + chunk, stop), size, margin))
                if len(pending) > 2 * jobs:  # no more in memory than that
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
