"""Paint on the head: hair and body meshes, light, and what is drawn on the skin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from kdtools.synth.head import Array, Head, View, curve, lift, place, project, surface, turned

Image = NDArray[np.uint8]
Picture = NDArray[np.float32]

_SKIN, _HAIR, _BEARD, _NECK, _CLOTH = 1, 2, 3, 4, 5
SKIN_TONES = np.array([(92, 58, 42), (141, 92, 64), (190, 134, 98), (224, 172, 138), (246, 206, 182)], float)
_HAIR_TONES = np.array([(24, 20, 20), (52, 34, 24), (92, 60, 36), (140, 98, 56), (206, 168, 104),
                        (128, 54, 28), (170, 168, 166)], float)  # fmt: skip
_IRIS_TONES = np.array([(86, 52, 30), (60, 38, 24), (70, 110, 150), (84, 120, 70), (120, 130, 134)], float)
_AROUND = np.linspace(0, 2 * np.pi, 28, endpoint=False)
_CIRCLE = np.stack([np.cos(_AROUND), np.sin(_AROUND)], 1)
_TILT, _TURN = np.linspace(0, np.pi, 13)[:, None], np.linspace(0, 2 * np.pi, 24)
_BALL = np.stack(np.broadcast_arrays(np.sin(_TILT) * np.sin(_TURN), np.sin(_TILT) * np.cos(_TURN), np.cos(_TILT)), -1)


@dataclass(frozen=True)
class _Part:
    """A mesh (rows, columns, 3) of one material; `nearer` lifts it over the mesh that it lies on."""

    grid: Array
    material: int
    nearer: float = 0.0
    body: bool = False


@dataclass(frozen=True)
class _Patch:
    """A closed curve (n, 2) on the frontal plane, filled with a colour; `soft` blurs it, face units."""

    outline: Array
    colour: Array
    opacity: float = 1.0
    soft: float = 0.0
    clip: Array | None = None


def _ellipsoid(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> Array:
    """A mesh (13, 24, 3) of an ellipsoid, its poles on the line of sight."""
    return np.asarray(centre + _BALL * radii)


def _hair_parts(rng: np.random.Generator, head: Head) -> Iterator[_Part]:
    """Scalp hair, fringe, long hair, bun and beard of a random style, or none of them."""
    width, turn = abs(float(head.xy[0, 0])), np.linspace(-np.pi, np.pi, 49)
    style = rng.choice(["bald", "short", "full", "fringe", "receding", "long", "bun"])
    thick = {"short": 0.06, "full": rng.uniform(0.15, 0.4), "receding": 0.05}.get(style, 0.13)
    top = {"fringe": rng.uniform(0.4, 0.52), "receding": 0.88}.get(style, rng.uniform(0.62, 0.74))
    if style != "bald":
        line = np.interp(np.cos(turn), [-1, -0.75, -0.45, -0.1, 0.25, 0.6], [top, top + 0.02, 0.88, 1.0, 1.2, 1.93])
        line += rng.uniform(-0.12, 0.12) * np.sin(turn) * np.clip(-np.cos(turn), 0, 1)  # a parting
        line += 0.008 * rng.normal(size=49) * (np.cos(turn) < 0)
        line[-1] = line[0]
        depth = np.linspace(0, 1, 12)[:, None] ** 1.5
        grid = surface(head, line + (1.95 - line) * depth, turn)
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
        yield _Part(surface(head, rows, turn), _BEARD, 0.15)


def _cross(a: Array, b: Array) -> list[Array]:
    """The cross products of vectors (3, n)."""
    return [a[i] * b[j] - a[j] * b[i] for i, j in ((1, 2), (2, 0), (0, 1))]


def _raster(view: View, parts: list[_Part], light: Array, ambient: float) -> Picture:
    """Paints the meshes from back to front -> (4, pixels, pixels): light, gloss, depth, material."""
    quads = []
    for part in parts:
        seen = turned(view, part.grid, part.body).transpose(2, 0, 1)
        quad = (seen[:, :-1, :-1], seen[:, :-1, 1:], seen[:, 1:, 1:], seen[:, 1:, :-1])
        quads.append(np.stack(quad).reshape(4, 3, -1))
    corner, counts = np.concatenate(quads, 2), [quad.shape[2] for quad in quads]
    material = np.repeat([part.material for part in parts], counts)
    nearer = np.repeat([part.nearer for part in parts], counts)
    pixel = project(view, corner.transpose(0, 2, 1))
    a, b = (pixel[1] - pixel[3]).T, (pixel[2] - pixel[0]).T
    shown = a[0] * b[1] - a[1] * b[0] > 0  # not so where the mesh is seen from behind
    shown &= ((pixel.max(0) > -2) & (pixel.min(0) < view.pixels + 1)).all(1)
    a, b, c, d = corner[..., shown]
    mean = (a[2] + c[2] + b[2] + d[2]) / 4
    normal = np.stack(_cross(c - d, c - b)) + np.stack(_cross(b - a, d - a))
    normal /= np.sqrt(normal[0] * normal[0] + normal[1] * normal[1] + normal[2] * normal[2]) + 1e-12
    half = light + np.array([0, 0, 1])
    glow = ambient + (1 - ambient) * 1.25 * np.clip((normal.T @ light + 0.2) / 1.2, 0, None)
    gloss = np.clip(normal.T @ (half / np.linalg.norm(half)), 0, None) ** 16
    order = np.argsort(mean + nearer[shown], kind="stable")
    # One number is quicker to paint than four: that of the quadrangle, 0 where there is none.
    number = np.zeros((view.pixels, view.pixels), np.int32)
    outlines = np.round(pixel[:, shown][:, order].transpose(1, 0, 2) * 16).astype(np.int32, "C")
    for k, outline in enumerate(outlines, 1):
        cv2.fillConvexPoly(number, outline, k, cv2.LINE_8, 4)
    table = np.zeros((4, len(order) + 1), np.float32)
    table[:, 0] = 0, 0, -9, 0
    table[:, 1:] = np.stack([glow, gloss, mean, material[shown]])[:, order]
    return np.take(table, number, 1)


def _ribbon(line: Array, width: Array | float) -> Array:
    """The outline of a stroke along line (n, 2) of a width (n,) or one for all."""
    along = np.concatenate([line[1:2] - line[:1], (line[2:] - line[:-2]) / 2, line[-1:] - line[-2:-1]])
    dx, dy = along.T
    side = np.stack([-dy, dx], 1) / (np.sqrt(dx * dx + dy * dy)[:, None] + 1e-9)
    side *= np.broadcast_to(width, len(line))[:, None] / 2
    return np.concatenate([line + side, (line - side)[::-1]])


def oval(centre: Array, rx: float, ry: float) -> Array:
    """An ellipse's outline (28, 2)."""
    return np.asarray(centre + _CIRCLE * [rx, ry])


def _eye_patches(eye: Array, gaze: Array, iris: Array, skin: Array) -> Iterator[_Patch]:
    """One eye (6, 2), from the image's left corner clockwise: white, iris, pupil, lids and lashes."""
    upper, lower = curve(eye[:4]), curve(eye[[3, 4, 5, 0]])
    edge, middle, width = np.vstack([upper, lower]), eye.mean(0), float(np.ptp(eye[:, 0]))
    yield _Patch(oval(middle - [0, 0.03], 0.75 * width, 0.5 * width), skin * 0.6, 0.45, 0.05)
    yield _Patch(edge, np.array([236.0, 232, 228]))
    centre = middle + gaze * [width / 4, width / 10]
    yield _Patch(oval(centre, 0.27 * width, 0.27 * width), iris * 0.55, clip=edge)
    yield _Patch(oval(centre, 0.22 * width, 0.22 * width), iris, clip=edge)
    yield _Patch(oval(centre, 0.11 * width, 0.11 * width), np.full(3, 12.0), clip=edge)
    yield _Patch(oval(centre - 0.055, 0.022, 0.022), np.full(3, 255.0), clip=edge)
    yield _Patch(_ribbon(upper, 0.035), skin * 0.15)
    yield _Patch(_ribbon(lower, 0.015), skin * 0.45)
    yield _Patch(_ribbon(upper - [0, 0.075], 0.03), skin * 0.45, 0.6, 0.01)


def _mouth_patches(head: Head, lips: Array, skin: Array) -> Iterator[_Patch]:
    """Lips along the points 48-67; dark, with teeth and tongue, where they are parted."""
    p = head.xy
    upper, lower = curve(p[48:55]), curve(p[[54, 55, 56, 57, 58, 59, 48]])
    roof, floor = curve(p[60:65]), curve(p[[64, 65, 66, 67, 60]])
    gap, hole = float(p[66, 1] - p[62, 1]), np.vstack([roof, floor])
    yield _Patch(oval(p[57] + [0, 0.1], 0.22, 0.05), skin * 0.55, 0.5, 0.04)
    yield _Patch(np.vstack([upper, lower]), lips)
    yield _Patch(np.vstack([upper, p[64:65], roof[::-1], p[60:61]]), lips * 0.8)
    yield _Patch(oval(p[[57, 66]].mean(0), 0.14, 0.03), lips * 0.5 + 125, 0.35, 0.02)
    yield _Patch(hole, np.array([60.0, 18, 20]))
    if gap > 0.06:
        yield _Patch(oval(p[66], 0.2, 0.35 * gap), np.array([176.0, 82, 84]), clip=hole)
        teeth = np.vstack([roof, roof[::-1] + np.array([0, 0.3 * gap + 0.03])])
        yield _Patch(teeth, np.array([240.0, 236, 224]), clip=hole)
    centre = np.vstack([p[48:49], (roof + floor[::-1]) / 2, p[54:55]])
    yield _Patch(_ribbon(centre if gap < 0.06 else np.vstack([hole, hole[:1]]), 0.02), lips * 0.3)


def _patches(rng: np.random.Generator, head: Head, skin: Array, hair: Array) -> Iterator[_Patch]:
    """Everything drawn on the skin, first to last."""
    p = head.xy
    blush, lips = np.array([214.0, 92, 84]), skin * [0.86, 0.58, 0.56]
    if rng.random() < 0.3:
        lips = 0.4 * lips + 0.6 * np.array([rng.uniform(130, 210), rng.uniform(20, 80), rng.uniform(40, 100)])
    for sign in (-1, 1):
        yield _Patch(oval(np.array([sign * 0.58, 0.5]), 0.22, 0.18), blush, rng.uniform(0, 0.35), 0.1)
        fold = np.vstack([p[33] + [sign * 0.24, -0.06], p[33] + [sign * 0.36, 0.1], p[51] + [sign * 0.46, 0.04]])
        yield _Patch(_ribbon(curve(fold), 0.035), skin * 0.55, rng.uniform(0, 0.6), 0.015)
    yield _Patch(oval(p[33] + [0, 0.05], 0.17, 0.06), skin * 0.5, 0.45, 0.04)
    for k, wing in ((32, 31), (34, 35)):
        nostril = (p[k] + p[wing]) / 2 * [0.9, 1] - [0, 0.012]
        yield _Patch(oval(nostril, 0.05, 0.024), skin * 0.2, 0.9, 0.006)
        side = np.vstack([p[wing] + [0.0, -0.13], p[wing] * [1.1, 1] - [0, 0.07], p[wing], (p[k] + p[wing]) / 2])
        yield _Patch(_ribbon(curve(side), 0.025), skin * 0.4, 0.8, 0.004)
    yield _Patch(_ribbon(curve(p[31:36]), 0.025), skin * 0.45, 0.7, 0.006)
    dark = np.minimum(hair * rng.uniform(0.5, 0.9), skin * 0.6)
    thick = rng.uniform(0.06, 0.13) * np.interp(np.linspace(0, 1, 25), [0, 0.5, 1], [0.25, 1, 0.9])
    for brow in (p[17:22], p[26:21:-1]):
        yield _Patch(_ribbon(curve(brow), thick), dark)
    gaze = np.clip(rng.normal(0, 0.4, 2), -0.9, 0.9)
    iris = _IRIS_TONES[rng.integers(len(_IRIS_TONES))]
    for eye in (p[36:42], p[42:48]):
        yield from _eye_patches(eye, gaze, iris, skin)
    yield from _mouth_patches(head, lips, skin)


def filled(outline: Array, height: int, width: int) -> Image:
    """An anti-aliased mask (height, width) of a closed curve (n, 2) in pixels."""
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.round(outline * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return mask


def lay(picture: Picture, mask: Image, colour: Array, opacity: float = 1.0) -> None:
    """Blends a colour into a picture (3, height, width) where the mask (height, width) says so."""
    picture += mask * np.float32(opacity / 255) * (colour.astype(np.float32)[:, None, None] - picture)


def _paint(view: View, picture: Picture, depth: Picture, patches: list[_Patch]) -> None:
    """Blends patches into the albedo picture (3, pixels, pixels) where nothing nearer hides them."""
    flat = [c for patch in patches for c in (patch.outline, patch.clip) if c is not None]
    pixel, far = place(view, lift(view.head, np.vstack(flat)))  # all at once: one by one is slow
    starts = np.cumsum([0, *(len(c) for c in flat)])[:-1]
    lows, highs = (extreme.reduceat(pixel, starts).astype(int).tolist() for extreme in (np.minimum, np.maximum))
    curves = zip(np.split(pixel, starts[1:]), lows, highs, np.maximum.reduceat(far, starts), strict=True)
    for patch in patches:
        outline, low, high, z = next(curves)
        clip = next(curves)[0] if patch.clip is not None else None
        sigma = patch.soft / view.side * view.pixels
        reach = int(3 * sigma) + 2
        x0, y0 = (max(k - reach, 0) for k in low)
        x1, y1 = (min(k + reach + 1, view.pixels) for k in high)
        if x1 <= x0 or y1 <= y0:
            continue
        mask = filled(outline - (x0, y0), y1 - y0, x1 - x0)
        if clip is not None:
            mask &= filled(clip - (x0, y0), y1 - y0, x1 - x0)
        if sigma > 0.3:
            mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), sigma), np.uint8)
        near = depth[y0:y1, x0:x1] < z + 0.12
        lay(picture[:, y0:y1, x0:x1], mask * near, patch.colour, patch.opacity)


def _smooth(channel: Picture) -> Picture:
    """Blurs (pixels, pixels) by about a percent of its side; at half the size, for speed."""
    n = len(channel)
    half = cv2.resize(channel, (n // 2, n // 2), interpolation=cv2.INTER_AREA)
    half = cv2.GaussianBlur(half, (0, 0), n * 0.0055)
    return np.asarray(cv2.resize(half, (n, n), interpolation=cv2.INTER_LINEAR), np.float32)


def paint_head(rng: np.random.Generator, view: View) -> tuple[Picture, Picture, NDArray[np.bool_]]:
    """Draws the head -> picture (3, pixels, pixels) of RGB, depth and where it is solid (pixels, pixels)."""
    n, head = view.pixels, view.head
    pick = rng.uniform(0, len(SKIN_TONES) - 1)
    skin = np.array([np.interp(pick, range(len(SKIN_TONES)), tone) for tone in SKIN_TONES.T])
    skin *= rng.uniform(0.93, 1.07, 3)
    hair = _HAIR_TONES[rng.integers(len(_HAIR_TONES))] * rng.uniform(0.8, 1.2)
    if rng.random() < 0.08:
        hair = rng.uniform(20, 220, 3)
    stubble = rng.uniform(0.2, 0.9)
    beard = stubble * hair + (1 - stubble) * skin
    colours = [np.zeros(3), skin, hair, beard, skin * 0.68, rng.uniform(10, 240, 3)]
    rows = np.hstack([np.linspace(0, 0.9, 23), np.linspace(0.93, 1, 5), np.linspace(1.08, 1.95, 6)])
    width = abs(float(head.xy[0, 0]))
    parts = [_Part(surface(head, rows[:, None], np.linspace(-np.pi, np.pi, 55)), _SKIN), *_hair_parts(rng, head)]
    parts += [_Part(_ellipsoid((s * (width + 0.03), 0.2, -1.2), (0.13, 0.32, 0.2)), _SKIN) for s in (-1, 1)]
    parts += [_Part(_ellipsoid((0, 1.7, -1.25), (0.62, 1.6, 0.55)), _NECK, body=True)]
    parts += [_Part(_ellipsoid((0, 3.3, -1.3), (2.2, 1.0, 0.8)), _CLOTH, body=True)]
    across, up = np.radians(rng.uniform(-75, 75)), np.radians(rng.uniform(-10, 60))
    light = np.array([np.sin(across) * np.cos(up), -np.sin(up), np.cos(across) * np.cos(up)])
    buffer = _raster(view, parts, light, rng.uniform(0.3, 0.75))
    material, depth = buffer[3].astype(np.intp), buffer[2]
    picture = np.take(np.array(colours, np.float32).T, material, 1)
    _paint(view, picture, depth, list(_patches(rng, head, skin, hair)))
    solid = (material > 0).astype(np.float32)
    # The flat facets' light is smoothed, over the head alone, so that the skin looks round.
    smooth = [_smooth(channel) for channel in (buffer[0], buffer[1], solid)]
    glow, gloss = (channel / np.maximum(smooth[2], 1e-3) for channel in smooth[:2])
    cast = (rng.uniform(0.75, 1.2) * rng.uniform(0.9, 1.1, 3)).astype(np.float32)
    strands = cv2.resize(rng.normal(1, 0.16, (24, 96)).astype(np.float32), (n, n))
    glow *= np.where(material == _HAIR, strands, 1)
    picture *= glow * cast[:, None, None]
    picture += gloss * (255 * rng.uniform(0, 0.2))
    return picture, depth, material > 0
