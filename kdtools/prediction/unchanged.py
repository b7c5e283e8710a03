"""Checks that inputs have not changed since a stopped run or a finished output.

They compare names and contents. Times alone would not do: a folder that is exchanged for another has files of any age.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from kdtools.errors import FileError, KdError
from kdtools.faces.file import FacesFile, open_faces
from kdtools.parallel import batched, map_bounded
from kdtools.prediction.inputs import Photograph, Photographs
from kdtools.storage.file_kinds import VIDEO_SUFFIXES
from kdtools.storage.hdf5_guard import HDF5_ERRORS
from kdtools.storage.outputs import STANDARD_STREAM, is_stream
from kdtools.storage.provenance import DETECTOR, Provenance, sha256_of

LISTING = "listing"  # attribute of an output: `listing_digest` of its inputs
CONTENTS = "contents"  # attribute of an output: JSON of `first`, `stop` and `sum`, the `Contents` of these inputs

# Id of an input, and of its file the size, the times of the last changes of content and inode in ns, and the inode's
# number; -1 without a file of its own. Equal stamps are of equal contents; others are compared.
Stamp = tuple[str, int, int, int, int]


def stamp_of(photograph: Photograph) -> Stamp:
    """The stamp of a photograph. Those in tar files and frames of videos have no file of their own."""
    if photograph.frame is None:
        try:
            status = os.stat(photograph.source)
            return photograph.id, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino
        except (OSError, ValueError):
            pass
    return without_file(photograph.id)


def without_file(identity: str) -> Stamp:
    return identity, -1, -1, -1, -1


def content_of(data: bytes | np.ndarray) -> bytes:
    """SHA-256 of the content of an input, the bytes of its file or its pixels."""
    return hashlib.sha256(data if isinstance(data, bytes) else np.ascontiguousarray(data).data).digest()


def content_of_photograph(photograph: Photograph) -> bytes:
    """SHA-256 of a photograph's bytes; empty if it cannot be read, and for frames: videos are compared as files."""
    if photograph.frame is None:
        with contextlib.suppress(KdError, OSError, MemoryError):
            data = photograph.fetch()
            return content_of(data)
    return b""


def recording(group: Sequence[Photograph]) -> tuple[list[Photograph], Callable[[], list[bytes]]]:
    """The same photographs, and a function that returns their `content_of_photograph` once they have been read."""
    found: dict[int, bytes] = {}

    def recorded(number: int, photograph: Photograph) -> Photograph:
        def fetch() -> bytes | np.ndarray:
            data = photograph.fetch()
            found[number] = content_of(data)
            return data

        return photograph if photograph.frame is not None else replace(photograph, fetch=fetch)

    photographs = [recorded(number, photograph) for number, photograph in enumerate(group)]
    return photographs, lambda: [found.get(number, b"") for number in range(len(group))]


class Contents:
    """Digest of numbered inputs, their ids and contents, which can be added up over parts of a run in any order."""

    def __init__(self, total: str = "0") -> None:
        self._total = int(total, 16)

    def add(self, number: int, identity: str, content: bytes) -> None:
        record = f"{number}\0{identity}\0".encode(errors="surrogateescape") + content
        self._total += int.from_bytes(hashlib.sha256(record).digest(), "big")

    def join(self, other: Contents) -> None:
        self._total += other._total

    def __str__(self) -> str:
        return f"{self._total % 2**256:064x}"


_ROWS = 64  # faces whose images are read together
_RECORDS = 1000  # that are added to a digest together


def digest_of_stamps(stamps: Iterable[Stamp]) -> str:
    return _digest(f"{name}\0{size}\0{mtime}\0{ctime}\0{inode}" for name, size, mtime, ctime, inode in stamps)


def stamps_of_files(names: Sequence[str]) -> dict[str, list[int]]:
    """Size and time of the last change, in ns, of the inputs that are files."""
    files = [(name, os.stat(name)) for name in names if os.path.isfile(name)]
    return {name: [status.st_size, status.st_mtime_ns] for name, status in files}


def listing_digest(photographs: Photographs) -> str:
    """SHA-256 of the names of all photographs with files of their own; empty if names come as a stream."""
    return "" if photographs.has_stream else _digest(one.source for one in photographs.in_files())


def _digest(records: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for some in batched(records, _RECORDS):
        digest.update("\n".join([*some, ""]).encode(errors="surrogateescape"))
    return digest.hexdigest()


def is_finished(output: str, provenance: Provenance, inputs: Photographs | str, *, is_shard: bool) -> bool:
    """Whether `output` exists and is what the same command would write now.

    `inputs` are photographs or the name of a faces file. Raises FileError if the output exists but differs.
    """
    if output == STANDARD_STREAM or not Path(output).is_file():
        return False
    record, other = _read_record(output), "it does not say of which"
    if record:
        other = command_differs(record["argv"], provenance)
        other = other or detector_differs(record[DETECTOR], provenance.detector)
        other = other or files_differ(record["inputs"], provenance.inputs)
        other = other or _inputs_differ(record, os.stat(output).st_mtime_ns, inputs, is_shard)
    if other:
        raise FileError(f"{output}: exists already, of another run: {other}", "add -f to replace it")
    return True


def _read_record(output: str) -> dict[str, Any]:
    """Provenance recorded in a faces file; empty if there is none."""
    try:
        with open_faces(output) as faces:
            record = {name: json.loads(faces.h5.attrs[name]) for name in ("argv", "inputs")}
            contents = dict(json.loads(faces.h5.attrs[CONTENTS]))
            return {
                **record,
                "tool": faces.h5.attrs["tool"],
                LISTING: faces.h5.attrs.get(LISTING, ""),
                DETECTOR: dict(json.loads(faces.h5.attrs.get(DETECTOR, "{}"))),
                CONTENTS: contents,
            }
    except (FileError, *HDF5_ERRORS, RecursionError):
        return {}


def command_differs(argv: Any, provenance: Provenance) -> str:
    """The command that made an output, if it is another one; else empty."""
    words = list(map(str, argv))
    is_same = list(map(_plain, words)) == list(map(_plain, provenance.command))
    return "" if is_same else f"its command was {shlex.join([provenance.tool, *words])}"


def detector_differs(then: Any, now: Mapping[str, Any]) -> str:
    """What found the faces, if something else would find them now; else empty."""
    if then == now:
        return ""
    before, after = (_detector_text(record) for record in (then, now))
    if before == after:
        return f"the file of the detector {after} has changed since"
    return f"its faces were found by {before}, now by {after}"


def _detector_text(record: Any) -> str:
    """A detector's record in words, without its file's SHA-256."""
    if not (isinstance(record, Mapping) and record):
        return "no recorded detector"
    least = record.get("min_score")
    file = f" ({record['file']})" if "file" in record else ""
    side = record.get("search_size")
    score = "" if least is None else f" with a least score of {least}"
    return f"{record.get('name')}{file}{score}" + (f" in images of {side} px" if side else "")


def files_differ(then: Any, now: dict[str, Any]) -> str:
    """The first file in `now` whose entry in `then` differs, in words; else empty."""
    before = {_plain(name): value for name, value in then.items()}
    return next((f"{name} has changed since" for name, own in now.items() if before.get(_plain(name)) != own), "")


def _plain(word: str) -> str:
    """A word of a command line, spelt the same for all spellings of a path: `photos`, `photos/`, `./photos`."""
    return str(PurePath(word)) if "/" in word else word


def _inputs_differ(record: dict[str, Any], written: int, inputs: Photographs | str, is_shard: bool) -> str:
    """The first difference between the inputs and those of an output that was `written` at a time in ns."""
    if is_stream(inputs) if isinstance(inputs, str) else inputs.has_stream:
        return "what comes by standard input, or from a camera, cannot be compared"
    pictures: Iterator[str] = iter(())
    if isinstance(inputs, str):
        names = [inputs]
    elif record[LISTING] != listing_digest(inputs):
        return "images have come or gone since"
    else:
        names, pictures = inputs.paths, (one.source for one in inputs.in_files())
    files = [name for name in names if os.path.isfile(name)]
    if is_shard:  # which do not record other files, as each would read all of them
        files = [name for name in files if name.lower().endswith(VIDEO_SUFFIXES)]
    changed = files_differ(record["inputs"], _digests(files))
    if not changed and _contents_now(record[CONTENTS], inputs) != record[CONTENTS].get("sum"):
        changed = _newer(pictures, written) or "some of its inputs have changed since"
    return changed


def _contents_now(record: dict[str, Any], inputs: Photographs | str) -> str:
    """The sum of the contents of the inputs that an output covers, by its record, as they are now."""
    contents = Contents()
    first, stop = int(record.get("first", 0)), int(record.get("stop", 0))
    if isinstance(inputs, str):
        with open_faces(inputs) as faces:
            for row, identity, content in contents_of_rows(faces, first, min(stop, len(faces))):
                contents.add(row, identity, content)
        return str(contents)
    covered = islice(inputs, first, stop)

    def read(photograph: Photograph) -> tuple[str, bytes]:
        return photograph.id, content_of_photograph(photograph)

    for number, (identity, content) in enumerate(map_bounded(read, covered, 0), start=first):
        contents.add(number, identity, content)
    return str(contents)


def contents_of_rows(faces: FacesFile, first: int, stop: int) -> Iterator[tuple[int, str, bytes]]:
    """Row, id and content of the faces of a range of rows."""
    for start in range(first, stop, _ROWS):
        end = min(start + _ROWS, stop)
        images = faces.images[start:end]
        for k, identity in enumerate(faces.read("id", start, end)):
            yield start + k, identity, content_of(images[k])


def _digests(names: Sequence[str]) -> dict[str, str]:
    """SHA-256 of the readable files."""
    digests = {}
    for name in names:
        with contextlib.suppress(OSError):
            digests[name] = sha256_of(name)
    return digests


def _newer(paths: Iterable[str], moment: int) -> str:
    """The first of these files that was changed or replaced after a time in ns, in words; else empty."""
    for path in paths:
        try:
            # ctime, which unlike mtime is not preserved by programs that copy files.
            if max(os.stat(path).st_ctime_ns, os.lstat(path).st_ctime_ns) > moment:
                return f"{path} has changed since"
        except (OSError, ValueError):
            continue  # was not readable then either, or else the names would differ
    return ""
