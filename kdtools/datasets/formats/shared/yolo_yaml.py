"""What a YOLO data set's YAML file tells of its labels: how many points, what they are called, where the parts lie.

    path: ../datasets/faces         # folder of the set, where it is not that of this file
    train: images/train             # folders of pictures or lists of their names, one or several
    kpt_shape: [5, 3]               # points, and numbers a point: x, y, or x, y, visibility
    flip_idx: [1, 0, 2, 4, 3]       # the mirror image of each point
    names: {0: face}                # classes
    kpt_names: {0: [left_eye, ...]} # points of each class; newer files only

PyYAML reads it, which timm brings along: people write these files by hand, with all that YAML allows. Only `safe_load`
is called, which makes numbers, texts, lists and dicts and runs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from kdtools.datasets.formats.shared.image_beside import read_text
from kdtools.datasets.formats.shared.text_lists import peek_text
from kdtools.errors import DataError, FileError, reason_of
from kdtools.landmarks.scheme import MAX_POINTS

_SUFFIXES = (".yaml", ".yml")
_PARTS = ("train", "val", "test")
_N_ABOVE = 3  # folders above a source in which its YAML file is looked for


@dataclass(frozen=True)
class YoloSet:
    """`dims` is 2 for x, y and 3 with visibility; `mirror` and `names` of the points and `classes` where told."""

    n_points: int
    dims: int
    mirror: tuple[int, ...] | None = None
    names: tuple[str, ...] = ()
    classes: dict[int, str] = field(default_factory=dict)
    parts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    folder: Path = Path()


def yaml_of(source: Path) -> Path | None:
    """The YAML file with `kpt_shape`: the source itself, or in it, or in the nearest folder above that has one.

    Raises FileError where a folder holds several.
    """
    if source.is_file() and source.suffix.lower() in _SUFFIXES:
        return source if _tells_points(source) else None
    folder = source.absolute() if source.is_dir() else source.absolute().parent
    for place in (folder, *folder.parents[:_N_ABOVE]):
        found = [path for path in sorted(place.glob("*.y*ml")) if path.suffix.lower() in _SUFFIXES]
        found = [path for path in found if path.is_file() and _tells_points(path)]
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise FileError(f"{place}: holds several data sets of YOLO: {names}", "name one of these files")
        if found:
            return found[0]
    return None


def _tells_points(path: Path) -> bool:
    return any(line.replace(" ", "").startswith("kpt_shape:") for line in peek_text(path).splitlines())


def read_yolo_yaml(path: Path) -> YoloSet:
    """Raises FileError where the file is not YAML, or what it tells of the points makes no sense."""
    import yaml

    try:
        document = yaml.safe_load(read_text(path))
        if not isinstance(document, dict):
            raise DataError("is not a YAML file of keys and values")
        return _parse(document, path.parent)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise FileError(f"{path}: not a YAML file: {reason_of(error)}") from error
    except (DataError, OSError) as error:
        raise FileError(f"{path}: {reason_of(error)}") from error


def _parse(document: dict[Any, Any], home: Path) -> YoloSet:
    shape = _whole_numbers(document.get("kpt_shape"))
    if shape is None or len(shape) != 2 or not 1 <= shape[0] <= MAX_POINTS or shape[1] not in (2, 3):
        raise DataError(f"kpt_shape: {str(document.get('kpt_shape'))[:40]} is not [number of points, 2 or 3]")
    n_points, dims = shape
    mirror = _whole_numbers(document.get("flip_idx"))
    if mirror is not None and (
        sorted(mirror) != list(range(n_points)) or any(mirror[mirror[i]] != i for i in range(n_points))
    ):
        raise DataError(f"flip_idx: not a map of {n_points} points that undoes itself")
    classes = {k: str(name) for k, name in _numbered(document.get("names")).items()}
    parts = {part: _texts(document.get(part)) for part in _PARTS if document.get(part)}
    folder = home / str(document.get("path") or "")
    return YoloSet(
        n_points,
        dims,
        None if mirror is None or mirror == list(range(n_points)) else tuple(mirror),
        _names_of_points(document.get("kpt_names"), n_points),
        classes,
        parts,
        folder if folder.is_dir() else home,
    )


def _whole_numbers(value: Any) -> list[int] | None:
    is_list = isinstance(value, list) and all(isinstance(k, int) and not isinstance(k, bool) for k in value)
    return list(value) if is_list else None


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(str(text) for text in (value if isinstance(value, list) else [value]) if isinstance(text, str))


def _numbered(value: Any) -> dict[int, Any]:
    """A list, or a dict by number, as a dict by number."""
    pairs = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    return {key: item for key, item in pairs if isinstance(key, int)}


def _names_of_points(value: Any, n_points: int) -> tuple[str, ...]:
    """Where all classes call their points the same, and each by a name of its own; else none."""
    lists = [names for names in _numbered(value).values() if isinstance(names, list)]
    if lists and not all(names == lists[0] for names in lists):
        return ()
    names = tuple(name for name in (lists[0] if lists else []) if isinstance(name, str) and name)
    return names if len(set(names)) == len(names) == n_points else ()


def folders_of_labels(about: YoloSet) -> Iterator[tuple[str, Path]]:
    """Name of a part of the set, and its folder of labels; the paths of an export may begin above the set's folder."""
    for part, texts in about.parts.items():
        for text in texts:
            steps = [step for step in PurePosixPath(text.replace("\\", "/")).parts if step not in ("..", ".", "/")]
            tails = [steps[k:] for k in range(len(steps))] if Path(text).is_absolute() else [steps]
            for tail in (list(PurePosixPath(text).parts), *tails):
                folder = about.folder.joinpath(*_of_labels(tail))
                if folder.is_dir():
                    yield part, folder
                    break


def _of_labels(parts: list[str]) -> list[str]:
    """The folder of labels for one of pictures: as Ultralytics has it, the last images/ of the path is labels/."""
    last = max((k for k, step in enumerate(parts) if step == "images"), default=None)
    return parts if last is None else [*parts[:last], "labels", *parts[last + 1 :]]
