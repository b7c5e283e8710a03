"""A complete image of a face: head, background, occluders, and effects of camera and compression."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context, parent_process

import cv2
import numpy as np
from numpy.typing import NDArray

from kdtools.errors import UsageError
from kdtools.synth.head import Array, View, lift, make_view, place
from kdtools.synth.paint import SKIN_TONES, Image, Picture, filled, lay, oval, paint_head

Face = tuple[Image, NDArray[np.float32], NDArray[np.uint8]]


def _background(rng: np.random.Generator, pixels: int) -> Picture:
    """A random background (3, pixels, pixels): clouds or clutter and shapes, more or less out of focus."""
    n, cells = 128, int(rng.choice([2, 3, 6, 16]))  # blurred, so 128 pixels are enough for every size
    vivid = rng.uniform(0.1, 0.8)

    def colours(*shape: int) -> Array:
        return np.asarray(rng.uniform(10, 245, (*shape, 1)) + vivid * rng.uniform(-110, 110, (*shape, 3)))

    small = colours() + rng.uniform(0, 0.7) * (colours(cells, cells) - 128)
    picture = cv2.resize(small.astype(np.float32), (n, n), interpolation=cv2.INTER_CUBIC)
    for _ in range(rng.integers(0, 12)):
        shape = rng.uniform(-0.1, 1.1, (4, 2))
        if rng.random() < 0.5:
            shape = shape[0] + rng.uniform(0.03, 0.3) * (shape - shape[0])
        cv2.fillPoly(picture, [np.round(shape * n * 16).astype(np.int32)], colours().tolist(), cv2.LINE_8, 4)
    picture = cv2.GaussianBlur(picture, (0, 0), n * rng.uniform(0.004, 0.03))
    large = cv2.resize(picture, (pixels, pixels), interpolation=cv2.INTER_LINEAR)
    return np.asarray(large, np.float32).transpose(2, 0, 1)


def _put_on_glasses(rng: np.random.Generator, view: View, picture: Picture) -> Image:
    """Draws glasses, sometimes dark ones -> mask (pixels, pixels) of what they hide."""
    n, p, hidden, lines = view.pixels, view.head.xy, np.zeros(picture.shape[1:], np.uint8), []
    dark, colour = rng.random() < 0.3, rng.uniform(0, 120, 3) * rng.uniform(0, 1)
    rx, ry, square = rng.uniform(0.27, 0.34), rng.uniform(0.18, 0.28), rng.uniform(0.5, 1)
    front = float(lift(view.head, p[28])[2])
    for sign, eye in ((-1, p[36:42]), (1, p[42:48])):
        ring = oval(np.zeros(2), 1, 1)
        lens = eye.mean(0) + [sign * 0.02, 0.03] + np.sign(ring) * np.abs(ring) ** square * [rx, ry]
        lines.append(place(view, np.column_stack([lens, front + 0.05 - 0.3 * lens[:, 0] ** 2]))[0])
        mask = filled(lines[-1], n, n)
        lay(picture, mask, colour * 0.3 if dark else np.full(3, 220.0), 0.95 if dark else 0.08)
        hidden |= mask * np.uint8(dark)
        if sign * view.turn[2, 0] > -0.1:  # the arm on the side that is turned away is behind the head
            hinge = (sign * (abs(eye[:, 0]).mean() + rx), eye[0, 1], front - 0.2)
            lines.append(place(view, np.array([hinge, (sign * 1.03, 0.05, -1.1), hinge]))[0])
    bridge = np.array([(x, y, front + 0.06) for x, y in ((-0.14, 0.05), (0, 0), (0.14, 0.05), (0, 0))])
    lines.append(place(view, bridge)[0])
    frame, thick = np.zeros_like(hidden), max(1, round(rng.uniform(0.02, 0.07) / view.side * n))
    drawn = [np.round(line * 16).astype(np.int32) for line in lines]
    cv2.polylines(frame, drawn, True, 255, thick, cv2.LINE_AA, 4)
    lay(picture, frame, colour)
    return hidden


def _obstruct(rng: np.random.Generator, picture: Picture) -> Image:
    """Draws a bar, a blob or a hand in front of the face -> mask (pixels, pixels) of what it hides."""
    n, hidden, centre = picture.shape[1], np.zeros(picture.shape[1:], np.uint8), rng.uniform(0.1, 0.9, 2)
    kind, angle = rng.choice(["bar", "blob", "hand"]), rng.uniform(0, 2 * np.pi)
    colour = rng.uniform(0, 255, 3)
    along = np.array([np.cos(angle), np.sin(angle)])
    if kind == "bar":
        strokes = [(centre - 2 * along, centre + 2 * along, rng.uniform(0.1, 0.2))]
    elif kind == "blob":
        strokes = [(centre, centre + rng.normal(0, 0.1, 2), rng.uniform(0.1, 0.25)) for _ in range(5)]
    else:
        colour = SKIN_TONES[rng.integers(len(SKIN_TONES))]
        fingers = [centre + 0.065 * k * np.array([-along[1], along[0]]) for k in (-1.5, -0.5, 0.5, 1.5)]
        strokes = [(root + 0.2 * along, root - rng.uniform(0.1, 0.2) * along, 0.06) for root in fingers]
        strokes.append((centre + 0.25 * along, centre + 2 * along, 0.22))
    for start, end, width in strokes:
        mask = np.zeros_like(hidden)
        a, b = (np.round(np.asarray(tip) * n * 16).astype(int).tolist() for tip in (start, end))
        cv2.line(mask, a, b, 255, max(1, round(width * n)), cv2.LINE_AA, 4)
        lay(picture, mask, colour * rng.uniform(0.8, 1.05))
        hidden |= mask
    return hidden


def _degrade(rng: np.random.Generator, image: Image) -> Image:
    """Camera and file effects on (size, size, 3): grey, contrast, coarse pixels, blur, noise, JPEG."""
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
        data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 95))])[1]
        image = np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[..., ::-1])
    return image


def draw_face(rng: np.random.Generator, size: int, *, margin: float = 0.2) -> Face:
    """Draws one annotated face.

    Returns the image (size, size, 3) uint8 RGB; the 68 points (68, 2) float32, x to the right and y
    downward in pixels, a pixel's centre at integers; and visible (68,) uint8, 1 seen or 0 hidden. The crop
    is a square around the points with `margin` times their larger extent on each side, a little jittered.
    The points of one rng state are those of any size, scaled: (p + 0.5) / size is the same.
    Raises UsageError for a size below 16 or a negative margin.
    """
    if size < 16 or not 0 <= margin < np.inf:
        raise UsageError(f"size must be 16 or more and margin 0 or more, not {size} and {margin}")
    pixels = max(size * 3 // 2, min(size * 3, 192))  # supersampled, the more so the smaller the image
    view, xyz, facing = make_view(rng, margin, pixels)
    picture, depth, solid = paint_head(rng, view)
    picture = np.where(solid, picture, _background(rng, pixels)).clip(0, 255)
    hidden = np.zeros(picture.shape[1:], np.uint8)
    if rng.random() < 0.25:
        hidden |= _put_on_glasses(rng, view, picture)
    if rng.random() < 0.18:
        hidden |= _obstruct(rng, picture)
    pixel, far = place(view, xyz)
    x, y = np.clip(np.round(pixel).astype(int), 0, pixels - 1).T
    # At the outline depth changes so fast that the next pixel may be much nearer than the point.
    slack = np.where(np.arange(68) < 17, 0.4, 0.15)
    visible = facing & (depth[y, x] < far + slack) & (hidden[y, x] < 128)
    small = np.asarray(cv2.resize(cv2.merge(list(picture)), (size, size), interpolation=cv2.INTER_AREA))
    image = small.round().astype(np.uint8)
    points = ((pixel + 0.5) * (size / pixels) - 0.5).astype(np.float32)
    return _degrade(rng, image), points, visible.astype(np.uint8)


def _draw_chunk(seed: int, start: int, stop: int, size: int, margin: float) -> list[Face]:
    """The faces start .. stop-1 of the seed."""
    return [draw_face(np.random.default_rng([seed, k]), size, margin=margin) for k in range(start, stop)]


def _start_worker() -> None:
    """One thread of OpenCV; and an exit when the parent process is gone, even if it was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent ends the workers
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def draw_faces(
    n_faces: int, size: int, seed: int, *, first: int = 0, margin: float = 0.2, jobs: int = 1
) -> Iterator[Face]:
    """Yields the faces first .. first + n_faces - 1 of the seed, in order, as `draw_face` returns them.

    Face k depends on (seed, k, size, margin) alone, not on `jobs`, the number of processes that draw.
    Raises UsageError as `draw_face` does.
    """
    if jobs <= 1:
        for k in range(first, first + n_faces):
            yield draw_face(np.random.default_rng([seed, k]), size, margin=margin)
        return
    chunk, stop = 16, first + n_faces
    pending: deque[Future[list[Face]]] = deque()
    with ProcessPoolExecutor(jobs, get_context("spawn"), _start_worker) as pool:
        try:
            for start in range(first, stop, chunk):
                pending.append(pool.submit(_draw_chunk, seed, start, min(start + chunk, stop), size, margin))
                if len(pending) > 2 * jobs:  # bounds the memory
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        finally:  # by the pool's own thread, which would complain about futures that others cancelled
            pool.shutdown(cancel_futures=True)
