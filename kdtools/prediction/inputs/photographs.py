"""The photographs of all inputs of a command line."""

from __future__ import annotations

import re
import sys
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from kdtools.datasets.formats.shared.id_prefixes import id_prefixes
from kdtools.errors import DataError, FileError, UsageError
from kdtools.faces.selection import IdPatterns
from kdtools.prediction.inputs.photograph import (
    Photograph,
    count_listed,
    failing,
    photograph_at,
    photographs_below,
    photographs_listed,
)
from kdtools.prediction.inputs.tar import TAR_SUFFIXES, photographs_in_tar, stream_of
from kdtools.prediction.inputs.video import frames_of
from kdtools.reporting import printable
from kdtools.storage.file_kinds import HDF5_SIGNATURE, IMAGE_SUFFIXES, VIDEO_SUFFIXES
from kdtools.storage.names import NOT_STORABLE, SeenNames, is_storable
from kdtools.storage.outputs import STANDARD_INPUT, STANDARD_STREAM, is_stream
from kdtools.storage.passed_over import PassedOver

_OF_FURTHER_FACE = re.compile(r"#([2-9]|[1-9]\d+|frame=\d{6,})$", re.ASCII)  # endings that predictions add to ids
_KINDS = ("list", "folder", "image", "tar", "video", "camera")


def kind_of(source: str) -> str:
    """`folder`, `image`, `tar`, `video` or `camera`; `faces` for anything else."""
    name, path = source.lower(), Path(source)
    if is_stream(source):
        return "faces" if _starts_as_faces(source) else "tar"
    if path.is_dir():
        return "folder"
    if name.endswith(TAR_SUFFIXES):
        return "tar"
    if name.endswith(VIDEO_SUFFIXES):
        return "video"
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return "image"
    return "camera" if source.isdecimal() and not path.exists() else "faces"


def _starts_as_faces(stream: str) -> bool:
    if stream == STANDARD_STREAM and sys.stdin.isatty():
        return True  # which opening it refuses
    return stream_of(stream).peek(1)[:1] in (b"", HDF5_SIGNATURE[:1])  # no tar file begins with it


class Photographs:
    """The photographs of all inputs, in order; can be iterated again unless one is a stream.

    `inputs` are as on the command line; with `listed` they are lists of images. `include` are globs for the paths in
    folders and tar files, in which `*` matches `/` too; without any, the suffix decides. Raises FileError for an absent
    input, UsageError for one of another kind.
    """

    def __init__(self, inputs: Sequence[str], *, listed: bool = False, include: Sequence[str] = ()) -> None:
        self.inputs = list(inputs)
        self._kinds = ["list" if listed else kind_of(name) for name in inputs]
        self._include = IdPatterns(include) if include else None
        self.passed_over = PassedOver()  # by the iteration begun last
        for name, kind in zip(self.inputs, self._kinds, strict=True):
            if kind == "faces":
                raise UsageError(f"{name}: no image, folder, tar file or video", "give one faces file alone")
            if kind != "camera" and name != "-" and not Path(name).exists():
                raise FileError(f"{name}: no such file or directory")

    @property
    def have_frames(self) -> bool:
        """Whether there are videos or cameras among the inputs."""
        return any(kind in ("video", "camera") for kind in self._kinds)

    @property
    def are_one_image(self) -> bool:
        """Whether a single image was given, and no folder or the like that may hold others."""
        return self._kinds == ["image"]

    @property
    def paths(self) -> list[str]:
        """The inputs that are files or folders, and no streams."""
        return [n for n, kind in zip(self.inputs, self._kinds, strict=True) if kind != "camera" and not is_stream(n)]

    @property
    def has_stream(self) -> bool:
        """Whether an input is standard input, a pipe or a camera, which can be read only once."""
        return any(kind == "camera" or is_stream(n) for n, kind in zip(self.inputs, self._kinds, strict=True))

    def in_files(self) -> Iterator[Photograph]:
        """The photographs that are files: neither in tar files nor frames."""
        return self._all(PassedOver(), ("list", "folder", "image"))

    def __iter__(self) -> Iterator[Photograph]:
        alone = len(self.inputs) == 1 and self._kinds[0] in ("folder", "image", "video", "camera")
        self.passed_over = PassedOver()
        photographs = map(_with_sound_id, self._all(self.passed_over))
        return photographs if alone else _each_once(photographs)  # names within one input are unique

    def _all(self, passed: PassedOver, kinds: Container[str] = _KINDS) -> Iterator[Photograph]:
        for name, kind, prefix in zip(self.inputs, self._kinds, self._prefixes(), strict=True):
            if kind not in kinds:
                continue
            if kind != "list" and not is_storable(name):
                yield Photograph(name, name, failing(DataError(NOT_STORABLE)))
            elif kind == "list":
                yield from photographs_listed(name)
            elif kind == "folder":
                yield from self._watched(name, photographs_below(name, prefix, self._wanted, passed), passed)
            elif kind == "tar":
                yield from self._watched(name, photographs_in_tar(name, prefix, self._wanted, passed), passed)
            elif kind in ("video", "camera"):
                yield from frames_of(name, prefix)
            else:
                yield photograph_at(str(Path(name)), prefix + Path(name).name)

    def _watched(self, name: str, photographs: Iterator[Photograph], passed: PassedOver) -> Iterator[Photograph]:
        """The same photographs; without any, and other inputs beside this one, that is noted."""
        return photographs if len(self.inputs) == 1 else passed.watch(name, photographs)

    def _prefixes(self) -> list[str]:
        """Prefixes of ids as in kd-import; a camera, standard input and a pipe have none."""
        prefixes = iter(id_prefixes(self.paths, TAR_SUFFIXES) if len(self.inputs) > 1 else [""])
        return [next(prefixes, "") if name in self.paths else "" for name in self.inputs]

    def _wanted(self, name: str) -> bool:
        if self._include is None:
            return PurePath(name).suffix.lower() in IMAGE_SUFFIXES
        return self._include.matches(name)

    def check_rereadable(self) -> None:
        """Raises UsageError for a camera, standard input or a pipe, which cannot be read from the beginning again."""
        for name, kind in zip(self.inputs, self._kinds, strict=True):
            if kind == "camera" or is_stream(name):
                what = "a camera" if kind == "camera" else STANDARD_INPUT if name == "-" else f"the pipe {name}"
                hint = "write it to a file; kd-merge joins what a stopped run left in FILE.partial/*.h5"
                raise UsageError(f"{what} can be read only once, so it can neither be shared out nor resumed", hint)

    def count(self) -> int:
        """Number of photographs, by listing them. Raises as `check_rereadable` does."""
        self.check_rereadable()
        listed = sum(count_listed(name) for name, kind in zip(self.inputs, self._kinds, strict=True) if kind == "list")
        self.passed_over = PassedOver()
        return listed + sum(1 for _ in self._all(self.passed_over, [kind for kind in _KINDS if kind != "list"]))


def _with_sound_id(photograph: Photograph) -> Photograph:
    """The same photograph; its `fetch` raises if the id cannot be stored or could be that of a further face."""
    if not (is_storable(photograph.id) and is_storable(photograph.source)):
        error = DataError(NOT_STORABLE)
        return Photograph(printable(photograph.id), printable(photograph.source), failing(error))
    if photograph.frame is None and "#" in photograph.id and (end := _OF_FURTHER_FACE.search(photograph.id)):
        whose = "frames" if "=" in end[0] else "further faces"
        return replace(photograph, fetch=failing(DataError(f"its name ends in {end[0]}, as the ids of {whose} do")))
    return photograph


def _each_once(photographs: Iterable[Photograph]) -> Iterator[Photograph]:
    """The same photographs; `fetch` raises for a repeated id, since files are joined by ids."""
    seen = SeenNames()
    for photograph in photographs:
        if not seen.add(photograph.id):
            error = DataError("another image has this id; rename one, or give each image once")
            photograph = replace(photograph, fetch=failing(error))
        yield photograph
