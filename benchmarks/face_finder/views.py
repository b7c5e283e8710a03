"""Views to train on: parts of photographs, scaled, turned, mirrored and spoiled, with the targets of the network."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from network import STRIDES

from kdtools.datasets.annotations import Sources, read_annotations
from kdtools.images.reading import read_image
from kdtools.landmarks.boxes import overlaps
from kdtools.landmarks.crop_rule import points_square
from kdtools.synth import draw_faces

SIDE = 256  # px of a view
SMALLEST, LARGEST = 11.0, 230.0  # px, of faces that views are made around
HELD_OUT = 7  # every seventh scene is kept apart
# Scores of the teacher, chosen by looking at what it found: a face from here on; surely none below, if large, if small.
SURE, NONE, NONE_IF_SMALL = 0.7, 0.55, 0.3
SMALL = 24.0  # px
ONE_SEARCH = 0.35  # half the score of a face that only one search found, as one turned far: none of both
GREY = (127, 127, 127)
# Sides of the faces of each grid in cells; those within the wider ranges are left to the neighbour, or to nobody.
RANGES = {8: ((0.0, 6.0), (0.0, 8.0)), 16: ((2.5, 6.0), (1.9, 8.0)), 32: ((2.5, 99.0), (1.9, 99.0))}


class Photograph:
    """Where a photograph is and the faces in it, rows of centre x and y, side, score."""

    def __init__(self, path: str, faces: np.ndarray, image: np.ndarray | None = None) -> None:
        self.path, self.faces, self._image = path, faces, image

    def read(self) -> np.ndarray:
        """(H, W, 3) RGB; kept in memory, 2 GB for all, as decoding would take most of the time."""
        if self._image is None:
            self._image = read_image(Path(self.path))
        return self._image


def read_labels(path: Path, folder: Path) -> list[Photograph]:
    """The labelled photographs below a folder, in the order of their names."""
    labels = json.loads(path.read_text())
    inside = sorted(name for name in labels if Path(name).is_relative_to(folder))
    return [Photograph(name, trusted(np.reshape(labels[name], (-1, 5)))) for name in inside]


def trusted(labels: np.ndarray) -> np.ndarray:
    """Rows of centre, side and score of the labels (N, 5) that are faces, or may be."""
    side, score, n_searches = labels[:, 2:].T
    may_be = (score >= np.where(side < SMALL, NONE_IF_SMALL, NONE)) | ((n_searches == 1) & (score >= ONE_SEARCH))
    return labels[may_be, :4]


def with_known_points(photographs: list[Photograph], source: Path) -> list[Photograph]:
    """The photographs with the true squares of annotated faces in place of what the teacher found there."""
    known: dict[str, list[list[float]]] = {}
    for one in read_annotations(Sources([str(source)])):
        square = points_square(one.points)
        name = str(Path(one.image).resolve())
        known.setdefault(name, []).append([*(square[:2] + square[2:]) / 2, square[2] - square[0], 1.0])
    done = []
    for photograph in photographs:
        truth = np.reshape(known.get(str(Path(photograph.path).resolve()), []), (-1, 4))
        if not len(truth):
            continue
        is_known = (overlaps(corners(photograph.faces), corners(truth)) > 0.3).any(axis=1)
        done.append(Photograph(photograph.path, np.concatenate([truth, photograph.faces[~is_known]])))
    return done


def drawn_portraits(n_faces: int) -> list[Photograph]:
    """Faces of kd-synth: examples and tests of kdtools look for such."""
    found = []
    for k, (image, points, _) in enumerate(draw_faces(n_faces, 200, seed=68, margin=0.75, jobs=1)):
        square = points_square(points)
        face = [*(square[:2] + square[2:]) / 2, square[2] - square[0], 1.0]
        found.append(Photograph(f"drawn {k}", np.array([face]), image))
    return found


def corners(faces: np.ndarray) -> np.ndarray:
    half = faces[:, 2:3] / 2
    return np.concatenate([faces[:, :2] - half, faces[:, :2] + half], axis=1)


class Views:
    """View number `k` of a training with one seed is always the same."""

    def __init__(self, scenes: list[Photograph], portraits: list[Photograph], seed: int) -> None:
        self._scenes, self._portraits, self._seed = scenes, portraits, seed

    def batch(self, step: int, size: int) -> tuple[np.ndarray, list[np.ndarray]]:
        """Images (B, H, W, 3) and targets of each stride (B, 6, h, w)."""
        rng = np.random.default_rng([self._seed, step])
        images, targets = [], []
        for _ in range(size):
            image, faces = self._mosaic(rng) if rng.random() < 0.3 else self._part_of_scene(rng)
            images.append(spoil(image, faces, rng))
            targets.append([target_of(faces, stride) for stride in STRIDES])
        return np.stack(images), [np.stack(level) for level in zip(*targets, strict=True)]

    def _part_of_scene(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        photograph = self._scenes[rng.integers(len(self._scenes))]
        image = photograph.read()
        faces = photograph.faces
        sure = faces[faces[:, 3] >= SURE]
        size = np.array(image.shape[1::-1], float)
        least = 0.8 * SIDE / size.max()  # smaller, the view would be empty for the most part
        if len(sure) and rng.random() < 0.6:
            face = sure[rng.integers(len(sure))]
            zoom = float(np.clip(log_uniform(rng, SMALLEST, LARGEST) / face[2], least, 2.0))
            reach = max(0.0, SIDE / 2 - zoom * face[2] / 3)
            middle = face[:2] + rng.uniform(-reach, reach, 2) / zoom
            edge = np.minimum(0.35 * SIDE / zoom, size / 2)  # little of the view lies outside
            middle = np.clip(middle, edge, size - edge)
        else:
            zoom = log_uniform(rng, least, 1.5)
            reach = np.maximum(0, size / 2 - SIDE / 2 / zoom)
            middle = size / 2 + rng.uniform(-reach, reach)
        return view(image, faces, middle, zoom, random_degrees(rng), rng.random() < 0.5, (SIDE, SIDE))

    def _mosaic(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """1, 4, 9 or 16 parts of photographs of one large face each, side by side."""
        canvas = np.empty((SIDE, SIDE, 3), np.uint8)
        edges = np.linspace(0, SIDE, int(rng.choice([1, 2, 3, 4], p=[0.2, 0.35, 0.3, 0.15])) + 1).astype(int)
        rows = []
        for x0, x1 in pairwise(edges):
            for y0, y1 in pairwise(edges):
                photograph = self._portraits[rng.integers(len(self._portraits))]
                image, faces = photograph.read(), photograph.faces
                size = np.array([x1 - x0, y1 - y0])
                middle_of_all = np.array([*np.array(image.shape[1::-1]) / 2, min(image.shape[:2]) / 2])
                face = faces[np.argmax(faces[:, 3])] if len(faces) else middle_of_all
                zoom = float(np.clip(log_uniform(rng, 0.3 * size.min(), 0.88 * size.min()) / face[2], 0.1, 2.5))
                room = (size / zoom - face[2]) / 2
                middle = face[:2] + rng.uniform(-1, 1, 2) * np.minimum(np.maximum(room, 0), face[2])
                tile, inside = view(
                    image, faces, middle, zoom, random_degrees(rng), rng.random() < 0.5, (int(size[0]), int(size[1]))
                )
                canvas[y0:y1, x0:x1] = tile
                rows.append(inside + np.array([x0, y0, 0, 0]))
        return canvas, np.concatenate(rows)


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(max(low, high)))))


def random_degrees(rng: np.random.Generator) -> float:
    return float(rng.uniform(-50, 50) if rng.random() < 0.5 else rng.normal(0, 8))


def view(
    image: np.ndarray,
    faces: np.ndarray,
    middle: np.ndarray,
    zoom: float,
    degrees: float,
    mirrored: bool,
    size: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """Part of an image of `size` (width, height) around `middle`, and the faces in it.

    Faces that are cut so far that less than half remains count as unsure.
    """
    scale = 1.0
    while zoom * scale < 0.6:  # the warp alone would alias
        image, scale = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), scale * 2
    zoom, middle = zoom * scale, middle / scale
    turn = cv2.getRotationMatrix2D((float(middle[0]), float(middle[1])), degrees, zoom)
    turn[:, 2] += np.array(size) / 2 - middle
    if mirrored:
        turn = np.array([[-1, 0, size[0] - 1.0], [0, 1, 0]]) @ np.vstack([turn, [0, 0, 1]])
    part = cv2.warpAffine(image, turn, size, flags=cv2.INTER_LINEAR, borderValue=GREY)
    moved = faces.copy()
    moved[:, :2] = faces[:, :2] / scale @ turn[:, :2].T + turn[:, 2]
    moved[:, 2] *= zoom / scale
    half = moved[:, 2:3] / 2
    low = np.maximum(moved[:, :2] - half, 0)
    high = np.minimum(moved[:, :2] + half, size)
    seen = np.prod(np.maximum(high - low, 0), axis=1) / moved[:, 2] ** 2
    moved[seen < 0.55, 3] = np.minimum(moved[seen < 0.55, 3], NONE)
    return part, moved[seen > 0.05]


def spoil(image: np.ndarray, faces: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The image with other light, colours, blur and traces of compression, and with parts hidden."""
    image = np.ascontiguousarray(image)
    if rng.random() < 0.8:
        gain = np.exp(rng.normal(0, 0.25)) * np.exp(rng.normal(0, 0.06, 3))
        table = np.arange(256.0)[:, None] / 255
        table = np.clip(table * gain + rng.normal(0, 0.08), 0, 1) ** np.exp(rng.normal(0, 0.25))
        image = cv2.LUT(image, (255 * table).astype(np.uint8)[None])
    if rng.random() < 0.12:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if rng.random() < 0.12:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.5, 1.8)))
    if rng.random() < 0.12:
        noise = rng.normal(0, rng.uniform(3, 15), (SIDE // 2, SIDE // 2, 3))
        image = np.clip(image + cv2.resize(noise, (SIDE, SIDE)), 0, 255).astype(np.uint8)
    if rng.random() < 0.15:
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 80))])
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if len(faces) and rng.random() < 0.15:  # something before the face
        x, y, side = faces[rng.integers(len(faces)), :3]
        w, h = side * rng.uniform(0.2, 0.5, 2)
        x, y = (x, y) + rng.uniform(-0.5, 0.5, 2) * side
        box = np.clip([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 0, SIDE).astype(int)
        image[box[1] : box[3], box[0] : box[2]] = rng.integers(0, 256, 3)
    return image


def target_of(faces: np.ndarray, stride: int) -> np.ndarray:
    """Targets (6, h, w): score, its weight, offsets of the centre, log of the side, weight of the place."""
    n = SIDE // stride
    target = np.zeros((6, n, n), np.float32)
    target[1] = 1
    places = (np.arange(n) + 0.5) * stride
    (low, high), (widest_low, widest_high) = RANGES[stride]
    for x, y, side, score in faces[np.argsort(-faces[:, 2])]:
        cells = side / stride
        if not widest_low <= cells <= widest_high:
            continue
        squared = ((places[:, None] - y) ** 2 + (places[None] - x) ** 2) / stride**2
        if score < SURE or not low <= cells <= high or side < SMALLEST * 0.8:
            target[1][squared < (0.35 * cells + 0.7) ** 2] = 0
            continue
        spread = float(np.clip(0.13 * cells, 0.4, 1.3))
        bump = np.exp(-(squared - squared.min()) / (2 * spread**2)).astype(np.float32)
        wanted = np.float32(0.6 + 0.4 * min(1.0, (score - SURE) / 0.15))
        is_higher = bump * wanted > target[0]
        target[0] = np.where(is_higher, bump * wanted, target[0])
        target[1][bump > 0.5] = 1
        is_place = is_higher & (bump > 0.45)
        target[2][is_place] = ((x - places[None] + 0 * places[:, None]) / stride)[is_place]
        target[3][is_place] = ((y - places[:, None] + 0 * places[None]) / stride)[is_place]
        target[4][is_place] = np.log(cells)
        target[5][is_place] = (bump / bump[is_place].sum() if is_place.any() else bump)[is_place]
    return target
