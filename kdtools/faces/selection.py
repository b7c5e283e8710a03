"""Which faces of which files: by subset, by id, by glob."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kdtools.errors import DataError, FileError, UsageError, reason_of
from kdtools.faces.file import FacesFile
from kdtools.faces.schema import ARRAYS, check_subset_name
from kdtools.storage.outputs import STANDARD_INPUT, name_of, readable


class IdPatterns:
    """Ids and globs, of which those that never matched can be asked for. In a glob `*` stands for `/` too."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self.patterns = list(dict.fromkeys(patterns))
        self.matched: set[str] = set()
        self._globs = {p: re.compile(fnmatch.translate(p)) for p in self.patterns if re.search(r"[*?\[]", p)}

    def match(self, ids: Sequence[str]) -> np.ndarray:
        """Mask (N,) of the ids that are among the patterns or fit one."""
        exact = set(self.patterns)
        self.matched |= exact & set(ids)
        mask = np.array([identity in exact for identity in ids], bool)
        for pattern, glob in self._globs.items():
            fits = np.array([glob.match(identity) is not None for identity in ids], bool)
            if fits.any():
                self.matched.add(pattern)
            mask |= fits
        return mask

    @property
    def unmatched(self) -> list[str]:
        return [pattern for pattern in self.patterns if pattern not in self.matched]


@dataclass(frozen=True)
class Part:
    """What is taken of a file: rows in file order, and the ids they get, one each.

    `file` is its number among `files`, of which few may be open at a time; `name` is that of the file, `arrays` are
    those that it holds.
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
    wanted: IdPatterns | None = None,
    unwanted: IdPatterns | None = None,
    prefix: bool = False,
) -> list[Part]:
    """The faces of each file that are in one of `subsets`, fit `wanted` and not `unwanted`; files without any fall out.

    Patterns see ids as they will be written: with `prefix` the file's name, without its suffix, stands before them.
    Raises UsageError for a subset that no file has, DataError where no face is left.
    """
    known = {ALL_FACES, *(name for faces in (files if subsets else ()) for name in faces.subsets)}
    for name in subsets:
        if name not in known:
            raise UsageError(f"--subset {name}: no file has it", f"they have {', '.join(sorted(known))}")
    parts = []
    for file, faces in enumerate(files):
        ids = faces.ids
        if prefix:
            stem = "stdin" if faces.name == STANDARD_INPUT else Path(faces.name).stem
            ids = [f"{stem}/{identity}" for identity in ids]
        mask = np.ones(len(ids), bool)
        if subsets:
            members = {**faces.subsets, ALL_FACES: mask}
            mask = np.any([members[name] for name in subsets if name in members] or [~mask], axis=0)
        if wanted is not None:
            mask &= wanted.match(ids)
        if unwanted is not None:
            mask &= ~unwanted.match(ids)
        rows = np.flatnonzero(mask)
        if len(rows):
            arrays = frozenset(name for name in ARRAYS if name in faces)
            parts.append(Part(files, file, faces.name, arrays, rows, [ids[row] for row in rows]))
    if not parts:
        raise DataError("no face is left", "loosen --subset, --ids and --exclude")
    return parts


def read_patterns(source: str) -> IdPatterns:
    """Patterns of a text file, one a line, or of standard input for `-`; empty lines are left out.

    Raises FileError for a file that cannot be read, or holds none.
    """
    name = name_of(source)
    try:
        with readable(source) as path:
            lines = path.read_text("utf-8-sig").split("\n")  # not at the rarer line ends of splitlines
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{name}: {reason_of(error)}", "give a text file with an id or glob on each line") from error
    patterns = [line for line in lines if line]
    if not patterns:
        raise FileError(f"{name}: holds no ids", "write one on each line")
    return IdPatterns(patterns)


def patterns_by_subset(pairs: Sequence[tuple[str, str]]) -> dict[str, IdPatterns]:
    """(subset, glob) pairs -> the patterns of each subset."""
    globs: dict[str, list[str]] = {}
    for name, glob in pairs:
        globs.setdefault(name, []).append(glob)
    return {name: IdPatterns(patterns) for name, patterns in globs.items()}


ALL_FACES = "full"


def member_of(faces: FacesFile, name: str) -> np.ndarray:
    """Mask (N,) of the faces in a subset; `full` is all of them. Raises DataError for one that is not there."""
    if name == ALL_FACES:
        return np.ones(len(faces), bool)
    subsets = faces.subsets
    if name not in subsets:
        raise DataError(f"{faces.name}: has no subset {name!r}", f"it has {', '.join([ALL_FACES, *subsets])}")
    return subsets[name]


def parse_subsets(option: str, words: Sequence[str]) -> list[tuple[str, str]]:
    """`NAME=GLOB` words of an option -> (name, glob). Raises UsageError for one that is none, or for the name full."""
    pairs = []
    for word in words:
        name, equals, glob = word.partition("=")
        if not (equals and glob):
            raise UsageError(f"{option} is {word!r}", "give NAME=GLOB, such as challenging='ibug/*'")
        check_subset_name(name)
        pairs.append((name, glob))
    return pairs
