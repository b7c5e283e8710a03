"""YOLO-pose labels, as Ultralytics trains from them: labels/train/NAME.txt for images/train/NAME.jpg, and data.yaml.

0 0.5 0.5 0.4 0.5 0.34 0.41 2 0.66 0.42 2 0.5 0.54 2 0.4 0.69 1 0 0 0

A face a line: its class; its box as centre, width and height; its points as x, y or x, y, v. All are shares of the
picture's width and height, so that the pictures are needed. v 0 is a point that is not marked, 1 a hidden one, 2 a
visible one; in a set without any 2 the number tells nothing of visibility. Where v is not whole it is a confidence, as
`yolo predict save_txt=True` writes it, and a number behind the points is the face's. `0 0` is no point in any case: it
is written for one where sets become x, y alone, and no face has a point in the corner of its picture. How many points
there are stands in the YAML file (see yolo_yaml.py), which lies with the labels or above; without it the lines must
tell.

0-based: a point is its share times the width and the height, as Ultralytics draws it. Ultralytics' own reader is not
used: it would bring its whole package along, under the AGPL.

Source: docs.ultralytics.com/datasets/pose; ultralytics/data/utils.py.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from kdtools.datasets.formats.shared.annotation import (
    Annotation,
    Reading,
    as_points,
    box_from_corners,
    check_pictures_wanted,
    size_of_picture,
)
from kdtools.datasets.formats.shared.categories import Category, choose_categories
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.label_folders import find_labelled
from kdtools.datasets.formats.shared.text_lists import (
    is_number,
    most_frequent,
    parse_numbers,
    peek_lines,
    read_lines,
    text_files,
)
from kdtools.datasets.formats.shared.yolo_yaml import YoloSet, folders_of_labels, read_yolo_yaml, yaml_of
from kdtools.errors import DataError, FileError, KdError

_N_BEFORE = 5  # class, and the box
_FEWEST = 3  # points; two numbers less could be those of anything
_N_LOOKED_AT = 10  # files of a folder, to see what they are
_VISIBLE = 2
_SHARE_IN_BOXES = 0.9
_OFF_CENTRE = 0.3  # by how much of their size the middle of the points lies from that of their box at most


def accepts(source: Path) -> bool:
    """Raises FileError for a folder with several YAML files of YOLO."""
    if any(map(_looks_right, islice(text_files(source), _N_LOOKED_AT))):
        return True
    path = yaml_of(source)
    return path is not None and (path == source or path.parent == source.absolute())


def _looks_right(path: Path) -> bool:
    lines = [line.split() for line in peek_lines(path)]
    return bool(lines) and all(len(words) == len(lines[0]) and _is_row(words) for words in lines)


def _is_row(words: list[str]) -> bool:
    """Whether a line is a class, a box of shares, and numbers of points."""
    if len(words) < _N_BEFORE + 2 * _FEWEST or not all(map(is_number, words)) or not words[0].isdecimal():
        return False
    box = [float(word) for word in words[1:_N_BEFORE]]
    return all(0 <= share <= 1 for share in box) and min(box[2:]) > 0


_Line = tuple[str, Path, str, np.ndarray]  # where it stands, its file, its part of the set, its numbers


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    """Raises DataError for several classes, and where no pictures are to be read."""
    check_pictures_wanted(source, reading)
    path = yaml_of(source)
    about = None if path is None else read_yolo_yaml(path)
    at_yaml = path is not None and (path == source or path.parent == source.absolute())
    files = list(_files_of_set(about) if at_yaml and about else [])
    root = about.folder if files and about else source if source.is_dir() else source.parent
    lines = list(_read_lines(files or [("", path) for path in text_files(source)], reading))
    if about is None:
        lengths = {len(numbers) for *_, numbers in lines}
        if len(lengths) > 1:
            raise _not_pose(source, f"its lines have {min(lengths)} to {max(lengths)} numbers, as outlines have")
        about = _guess(source, [numbers for *_, numbers in lines])
    else:
        lines = list(_of_one_length(lines, reading))
    known = {number: Category(name) for number, name in about.classes.items()}
    chosen = choose_categories(source, reading.categories, known, [(int(n[0]), about.n_points) for *_, n in lines])
    lines = [line for line in lines if int(line[3][0]) in chosen]
    triples = {where: _triples(numbers, about) for where, _, _, numbers in lines}
    thirds = np.concatenate([points[:, 2] for points in triples.values()] or [np.zeros(0)])
    is_visibility = bool(np.isin(thirds, (0, 1, _VISIBLE)).all())
    sought: dict[Path, tuple[str, Path, tuple[int, int]] | None] = {}
    for where, file, part, numbers in lines:
        if file not in sought:
            sought[file] = _find(file, root, reading)
        found = sought[file]
        if found is None:
            continue
        name, image, (height, width) = found
        points = as_points((triples[where][:, :2] * (width, height)).reshape(-1), 0)
        third = triples[where][:, 2]
        absent = (points == 0).all(axis=1) | (is_visibility & (third == 0))
        points[absent] = np.nan
        x, y, w, h = numbers[1:_N_BEFORE]
        box = box_from_corners(*np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2]) * (width, height, width, height))
        yield Annotation(
            reading.number(name),
            image,
            points - reading.base,
            ~absent & (third == _VISIBLE) if is_visibility and (thirds == _VISIBLE).any() else None,
            None if is_visibility else np.where(absent, np.nan, third),
            None if box is None else box - reading.base,
            float(numbers[-1]) if len(numbers) > _N_BEFORE + about.n_points * about.dims else None,
            frozenset([part] if part else []),
        )


def names_of(source: Path, categories: tuple[str, ...] = ()) -> list[str] | None:
    """Those that all classes share."""
    path = yaml_of(source)
    return None if path is None else list(read_yolo_yaml(path).names)


def mirror_of(source: Path) -> tuple[int, ...] | None:
    path = yaml_of(source)
    return None if path is None else read_yolo_yaml(path).mirror


def _files_of_set(about: YoloSet) -> Iterator[tuple[str, Path]]:
    """Part and path of each label file of a set; all text files below its folder where its parts are not found."""
    found = {path: part for part, folder in folders_of_labels(about) for path in text_files(folder)}
    for path in found or text_files(about.folder):
        yield found.get(path, ""), path


def _read_lines(files: Sequence[tuple[str, Path]], reading: Reading) -> Iterator[_Line]:
    """Lines of label files; other text files (names of classes) are passed over."""
    for part, path in files:
        for where, line in read_lines(path):
            words = line.split()
            if not _is_row(words):
                if is_number(words[0]) and len(words) > _N_BEFORE:
                    reading.skip(where, "is not a class, a box and points as shares of the image")
                continue
            try:
                yield where, path, part, parse_numbers(words)
            except DataError as error:
                reading.skip(where, error.message)


def _of_one_length(lines: Sequence[_Line], reading: Reading) -> Iterator[_Line]:
    usual = most_frequent([len(numbers) for *_, numbers in lines])
    for entry in lines:
        if len(entry[3]) == usual:
            yield entry
        else:
            reading.skip(entry[0], f"{len(entry[3])} numbers, but most lines have {usual}")


def _guess(source: Path, rows: list[np.ndarray]) -> YoloSet:
    """How many points there are, from the lines alone. Raises FileError where they do not tell."""
    if not rows:
        return YoloSet(1, 2)
    numbers = np.stack(rows)
    n_numbers = numbers.shape[1] - _N_BEFORE
    has_visibility = n_numbers % 3 == 0 and np.isin(numbers[:, _N_BEFORE + 2 :: 3], (0, 1, _VISIBLE)).all()
    dims = 3 if has_visibility else 2
    if n_numbers % dims or not (has_visibility or n_numbers % 3):
        raise _not_pose(source, "its lines are no box and points of 2 or 3 numbers for sure")
    if not _lie_in_their_boxes(numbers, dims) or (dims == 2 and _may_be_outlines(numbers)):
        raise _not_pose(source, "its lines may be outlines of segmentation, which have no box")
    return YoloSet(n_numbers // dims, dims)


def _not_pose(source: Path, why: str) -> FileError:
    return FileError(
        f"{source}: {why}", "put the data.yaml with kpt_shape next to the folder labels, if it is YOLO-pose"
    )


def _lie_in_their_boxes(numbers: np.ndarray, dims: int) -> bool:
    """Whether nearly all points lie in twice their boxes, as those of an outline, which has no box, often do not."""
    points = numbers[:, _N_BEFORE:].reshape(len(numbers), -1, dims)
    centres, sizes = numbers[:, None, 1:3], numbers[:, None, 3:_N_BEFORE]
    absent = (points[..., :2] == 0).all(axis=-1)
    inside = (np.abs(points[..., :2] - centres) <= sizes).all(axis=-1)
    return bool(np.mean(inside | absent) > _SHARE_IN_BOXES)


def _may_be_outlines(numbers: np.ndarray) -> bool:
    """Whether the middle of the box lies at the edge of the points in most lines, as a vertex of an outline does."""
    points = numbers[:, _N_BEFORE:].reshape(len(numbers), -1, 2)
    points = np.where((points == 0).all(axis=2, keepdims=True), np.nan, points)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # lines without a point
        low, high = np.nanmin(points, axis=1), np.nanmax(points, axis=1)
        off = np.abs((low + high) / 2 - numbers[:, 1:3]) / np.maximum(high - low, 1e-9)
        return not np.nanmedian(off.max(axis=1)) < _OFF_CENTRE


def _triples(numbers: np.ndarray, about: YoloSet) -> np.ndarray:
    """x, y and v (L, 3) of a line; v 1 where the set has none. Raises FileError where kpt_shape is of other lines."""
    wanted = about.n_points * about.dims
    if len(numbers) - _N_BEFORE not in (wanted, wanted + 1):
        raise FileError(
            f"{about.folder}: {len(numbers) - _N_BEFORE} numbers behind the box, but kpt_shape is "
            f"[{about.n_points}, {about.dims}]",
            "correct kpt_shape in the YAML file",
        )
    points = numbers[_N_BEFORE : _N_BEFORE + wanted].reshape(-1, about.dims)
    return points if about.dims == 3 else np.column_stack([points, np.ones(len(points))])


def _find(path: Path, root: Path, reading: Reading) -> tuple[str, Path, tuple[int, int]] | None:
    """Name, path and size of the picture of a label file; None, after a skip, where it cannot be used."""
    found = find_labelled(path, root, reading)
    if found is None:
        return None
    try:
        return *found, size_of_picture(found[1], upright=reading.upright)
    except KdError as error:
        reading.skip(str(path), error.message)
        return None


FORMAT = Format(
    "yolo",
    "YOLO-pose: labels/NAME.txt next to images/, with data.yaml",
    0,
    accepts,
    read,
    names_of_category=names_of,
    mirror_of=mirror_of,
)
