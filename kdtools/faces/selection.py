"""Choosing faces by subset, id and glob, from one file or several."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kdtools.errors import DataError, FileError, UsageError, reason_of
from kdtools.faces.file import FacesFile
from kdtools.faces.schema import ARRAYS, check_subset_name
from kdtools.reporting import counted
from kdtools.storage.outputs import STANDARD_INPUT, name_of, readable

ALL_FACES = "full"  # the subset that every file has

_SOME_IDS = 1 << 16  # ids matched at a time


class IdPatterns:
    """Ids and globs, case-sensitive; records which have matched. In globs `*` matches `/` too.

    A pattern such as `b[1]` matches as a glob and literally.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self.patterns = list(dict.fromkeys(patterns))
        self.matched: set[str] = set()
        self._exact = frozenset(patterns)
        self._globs = {p: re.compile(fnmatch.translate(p)) for p in self.patterns if re.search(r"[*?\[]", p)}

    def matches(self, identity: str) -> bool:
        """Whether an id matches a pattern."""
        fitting = [pattern for pattern, glob in self._globs.items() if glob.match(identity)]
        if identity in self._exact:
            fitting.append(identity)
        self.matched.update(fitting)
        return bool(fitting)

    def match(self, ids: Sequence[str]) -> np.ndarray:
        """Mask (N,) of the ids that match a pattern."""
        return np.fromiter(map(self.matches, ids), bool, len(ids))

    @property
    def unmatched(self) -> list[str]:
        return [pattern for pattern in self.patterns if pattern not in self.matched]


def choose_faces(
    faces: FacesFile,
    *,
    subsets: Sequence[str] = (),
    ids: IdPatterns | None = None,
    exclude: IdPatterns | None = None,
) -> np.ndarray:
    """Mask (N,) of the faces that are in one of `subsets` (if any), match `ids` and do not match `exclude`.

    Raises DataError for an unknown subset, and if no face is left.
    """
    check_subsets(subsets, faces.subsets, faces.name)
    mask = _mask_of(faces, subsets, ids, exclude)
    if not mask.any():
        raise _no_face_left(faces.name, faces)
    return mask


def check_subsets(subsets: Iterable[str], known: Iterable[str], where: str) -> None:
    """Raises DataError, listing the known ones, for a subset that is neither `full` nor known."""
    names = dict.fromkeys([ALL_FACES, *known])
    for name in subsets:
        if name not in names:
            raise DataError(f"{where}: no subset {name!r}", f"there are {', '.join(names)}")


def subset_members(subsets: Mapping[str, np.ndarray], n_faces: int) -> dict[str, np.ndarray]:
    """Masks (N,) by name; the first is `full`, which is always all faces."""
    return {ALL_FACES: np.ones(n_faces, bool)} | {k: mask for k, mask in subsets.items() if k != ALL_FACES}


def _mask_of(
    faces: FacesFile,
    subsets: Sequence[str],
    ids: IdPatterns | None,
    exclude: IdPatterns | None,
    prefix: str = "",
) -> np.ndarray:
    """As `choose_faces`, with `prefix` before each id; a subset that the file lacks has no faces."""
    mask = np.ones(len(faces), bool)
    if subsets:
        members = subset_members(faces.subsets, len(faces))
        mask = np.any([members[name] for name in subsets if name in members] or [~mask], axis=0)
    if ids is None and exclude is None:
        return mask
    for first in range(0, len(faces), _SOME_IDS):
        some = slice(first, first + _SOME_IDS)
        names = [prefix + identity for identity in faces.texts("id", some)]
        if ids is not None:
            mask[some] &= ids.match(names)
        if exclude is not None:
            mask[some] &= ~exclude.match(names)
    return mask


def _no_face_left(where: str, faces: FacesFile) -> DataError:
    first = next(iter(faces.texts("id", slice(1))), None)
    hint = "it holds none at all" if first is None else f"ids are like {first!r}; choose by other subsets or ids"
    return DataError(f"{where}: no face is left", hint)


@dataclass(frozen=True)
class Part:
    """Rows chosen from a file, in file order, and the ids they will have.

    `file` is its number among `files`, of which few may be open at a time. `name` and `arrays` are those of the file.
    """

    files: Sequence[FacesFile]
    file: int
    name: str
    arrays: frozenset[str]
    rows: np.ndarray
    ids: list[str]

    @property
    def faces(self) -> FacesFile:
        return self.files[self.file]


def take_parts(
    files: Sequence[FacesFile],
    *,
    subsets: Sequence[str] = (),
    ids: IdPatterns | None = None,
    exclude: IdPatterns | None = None,
    prefix: bool = False,
) -> list[Part]:
    """The faces that `choose_faces` chooses from each file; files without any are left out.

    With `prefix`, ids begin with the name of their file without its suffix, for patterns too.
    Raises DataError for a subset that no file has, and if no face is left in any.
    """
    where = files[0].name if len(files) == 1 else counted(len(files), "file")
    if subsets:
        check_subsets(subsets, sorted({name for faces in files for name in faces.subsets}), where)
    parts = []
    for file, faces in enumerate(files):
        before = ""
        if prefix:
            before = "stdin/" if faces.name == STANDARD_INPUT else f"{Path(faces.name).stem}/"
        rows = np.flatnonzero(_mask_of(faces, subsets, ids, exclude, before))
        if len(rows):
            arrays = frozenset(name for name in ARRAYS if name in faces)
            names = faces.ids
            parts.append(Part(files, file, faces.name, arrays, rows, [before + names[row] for row in rows]))
    if not parts:
        raise _no_face_left(where, files[0])
    return parts


def read_patterns(source: str) -> IdPatterns:
    """Patterns from a text file, or standard input for `-`, one per line.

    Raises FileError for a file that cannot be read or is empty.
    """
    name = name_of(source)
    try:
        with readable(source) as path:
            lines = path.read_text("utf-8-sig").split("\n")  # ids may contain the other separators of splitlines
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{name}: {reason_of(error)}", "give a text file with an id or glob on each line") from error
    patterns = [line for line in lines if line]
    if not patterns:
        raise FileError(f"{name}: holds no ids", "write one on each line")
    return IdPatterns(patterns)


def patterns_by_subset(pairs: Sequence[tuple[str, str]]) -> dict[str, IdPatterns]:
    globs: dict[str, list[str]] = {}
    for name, glob in pairs:
        globs.setdefault(name, []).append(glob)
    return {name: IdPatterns(patterns) for name, patterns in globs.items()}


def parse_subsets(option: str, words: Sequence[str]) -> list[tuple[str, str]]:
    """`NAME=GLOB` values of an option -> (name, glob). Raises UsageError for another form or a bad name."""
    pairs = []
    for word in words:
        name, equals, glob = word.partition("=")
        if not (equals and glob):
            raise UsageError(f"{option} is {word!r}", "give NAME=GLOB, such as challenging='ibug/*'")
        check_subset_name(name)
        pairs.append((name, glob))
    return pairs
