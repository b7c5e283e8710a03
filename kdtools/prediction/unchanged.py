"""Checks that inputs have not changed since a stopped run or a finished output.

They compare names, sizes and times, and SHA-256 for the inputs that a finished output records.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from kdtools.errors import FileError
from kdtools.faces.file import open_faces
from kdtools.prediction.inputs import Photograph, Photographs
from kdtools.storage.hdf5_guard import HDF5_ERRORS
from kdtools.storage.outputs import STANDARD_STREAM
from kdtools.storage.provenance import Provenance, sha256_of

LISTING = "listing"  # attribute of an output: `listing_digest` of its inputs

Stamp = tuple[str, int, int]  # id of an input, size of its file and time of its last change in ns; -1 without a file


def stamp_of(photograph: Photograph) -> Stamp:
    """Id, size and time of a photograph. Those in tar files and frames of videos have no file of their own."""
    if photograph.frame is None:
        try:
            status = os.stat(photograph.source)
            return photograph.id, status.st_size, status.st_mtime_ns
        except (OSError, ValueError):
            pass
    return photograph.id, -1, -1


def digest_of_stamps(stamps: Iterable[Stamp]) -> str:
    return _digest("\0".join(map(str, stamp)) for stamp in stamps)


def stamps_of_files(names: Sequence[str]) -> dict[str, list[int]]:
    """Size and time of the last change, in ns, of the inputs that are files."""
    files = [(name, os.stat(name)) for name in names if os.path.isfile(name)]
    return {name: [status.st_size, status.st_mtime_ns] for name, status in files}


def listing_digest(photographs: Photographs) -> str:
    """SHA-256 of the names of all photographs with files of their own; empty if names come as a stream."""
    return "" if photographs.has_stream else _digest(one.source for one in photographs.in_files())


def _digest(records: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for record in records:
        digest.update(record.encode(errors="surrogateescape") + b"\n")
    return digest.hexdigest()


def is_finished(output: str, provenance: Provenance, inputs: Photographs | str, *, is_shard: bool) -> bool:
    """Whether `output` exists and is what the same command would write now.

    `inputs` are photographs or the name of a faces file. Raises FileError if the output exists but differs.
    """
    if output == STANDARD_STREAM or not Path(output).is_file():
        return False
    record, other = _read_record(output), "it does not say of which"
    if record:
        other = command_differs(record["argv"], provenance) or files_differ(record["inputs"], provenance.inputs)
        other = other or _inputs_differ(record, os.stat(output).st_mtime_ns, inputs, is_shard)
    if other:
        raise FileError(f"{output}: exists already, of another run: {other}", "add -f to replace it")
    return True


def _read_record(output: str) -> dict[str, Any]:
    """Provenance recorded in a faces file; empty if there is none."""
    try:
        with open_faces(output) as faces:
            record = {name: json.loads(faces.h5.attrs[name]) for name in ("argv", "inputs")}
            return {**record, "tool": faces.h5.attrs["tool"], LISTING: faces.h5.attrs.get(LISTING, "")}
    except (FileError, *HDF5_ERRORS, RecursionError):
        return {}


def command_differs(argv: Any, provenance: Provenance) -> str:
    """The command that made an output, if it is another one; else empty."""
    return "" if argv == provenance.command else f"its command was {shlex.join([provenance.tool, *map(str, argv)])}"


def files_differ(then: Any, now: dict[str, Any]) -> str:
    """The first file in `now` whose entry in `then` differs, in words; else empty."""
    return next((f"{name} has changed since" for name, own in now.items() if then.get(name) != own), "")


def _inputs_differ(record: dict[str, Any], written: int, inputs: Photographs | str, is_shard: bool) -> str:
    """The first difference between the inputs and those of an output that was `written` at a time in ns."""
    if inputs == STANDARD_STREAM or (isinstance(inputs, Photographs) and inputs.has_stream):
        return "what comes by standard input, or from a camera, cannot be compared"
    pictures: Iterator[str] = iter(())
    if isinstance(inputs, str):
        names = [inputs]
    elif record[LISTING] != listing_digest(inputs):
        return "images have come or gone since"
    else:
        names, pictures = inputs.paths, (one.source for one in inputs.in_files())
    files = [name for name in names if os.path.isfile(name)]
    changed = _newer(files, written) if is_shard else files_differ(record["inputs"], _digests(files))
    return changed or _newer(pictures, written)


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
