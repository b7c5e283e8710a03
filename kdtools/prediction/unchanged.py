"""Whether inputs still are what they were: those that a stopped run has done, and those of an output that is whole.

Nothing is read for it but names, sizes and times, and in no more memory than a name takes; only of an input that is one
file a whole output holds the SHA-256, which is compared.
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

Stamp = tuple[str, int, int]  # an input's id; its file's size and time of its last change in ns, -1 without a file


def stamp_of(photograph: Photograph) -> Stamp:
    """What tells a photograph from another, or changed, one of its name. Those in tar files have no file of their own,
    nor have frames."""
    if photograph.frame is None:
        try:
            status = os.stat(photograph.source)
            return photograph.id, status.st_size, status.st_mtime_ns
        except (OSError, ValueError):
            pass
    return photograph.id, -1, -1


def digest_of_stamps(stamps: Iterable[Stamp]) -> str:
    """SHA-256 of them in their order."""
    return _digest("\0".join(map(str, stamp)) for stamp in stamps)


def stamps_of_files(names: Sequence[str]) -> dict[str, list[int]]:
    """Size and time of the last change, in ns, of those inputs that are files."""
    found = {}
    for name in names:
        if os.path.isfile(name):
            status = os.stat(name)
            found[name] = [status.st_size, status.st_mtime_ns]
    return found


def listing_digest(photographs: Photographs) -> str:
    """SHA-256 of the names of all photographs that have files of their own; empty where names come as a stream."""
    return "" if photographs.has_stream else _digest(one.source for one in photographs.in_files())


def _digest(records: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for record in records:
        digest.update(record.encode(errors="surrogateescape") + b"\n")
    return digest.hexdigest()


def is_finished(output: str, provenance: Provenance, inputs: Photographs | str, *, is_shard: bool) -> bool:
    """Whether `output` is what the same command would write now, so that there is nothing left to do; `inputs` are
    photographs, or the name of a faces file. False where it is not there.

    Raises FileError where it is there and of something else.
    """
    if output == STANDARD_STREAM or not Path(output).is_file():
        return False
    said, other = _said_by(output), "it does not say of which"
    if said:
        other = command_differs(said["argv"], provenance) or files_differ(said["inputs"], provenance.inputs)
        other = other or _inputs_differ(said, os.stat(output).st_mtime_ns, inputs, is_shard)
    if other:
        raise FileError(f"{output}: exists already, of another run: {other}", "add -f to replace it")
    return True


def _said_by(output: str) -> dict[str, Any]:
    """What a faces file says of where it is from; nothing where it is none, or another program's."""
    try:
        with open_faces(output) as faces:
            said = {name: json.loads(faces.h5.attrs[name]) for name in ("argv", "inputs")}
            return {**said, "tool": faces.h5.attrs["tool"], LISTING: faces.h5.attrs.get(LISTING, "")}
    except (FileError, *HDF5_ERRORS, RecursionError):
        return {}


def command_differs(argv: Any, provenance: Provenance) -> str:
    """That another command made something, in words that can be pasted; nothing where it was the same."""
    return "" if argv == provenance.command else f"its command was {shlex.join([provenance.tool, *map(str, argv)])}"


def files_differ(then: Any, now: dict[str, Any]) -> str:
    """The first of the files in `now`, by name, of which something else was noted then."""
    return next((f"{name} has changed since" for name, own in now.items() if then.get(name) != own), "")


def _inputs_differ(said: dict[str, Any], written: int, inputs: Photographs | str, is_shard: bool) -> str:
    """The first thing in which the inputs are not those of an output that was `written` at a moment in ns."""
    if inputs == STANDARD_STREAM or (isinstance(inputs, Photographs) and inputs.has_stream):
        return "what comes by standard input, or from a camera, cannot be compared"
    pictures: Iterator[str] = iter(())
    if isinstance(inputs, str):
        names = [inputs]
    elif said[LISTING] != listing_digest(inputs):
        return "images have come or gone since"
    else:
        names, pictures = inputs.paths, (one.source for one in inputs.in_files())
    files = [name for name in names if os.path.isfile(name)]
    changed = _newer(files, written) if is_shard else files_differ(said["inputs"], _digests(files))
    return changed or _newer(pictures, written)


def _digests(names: Sequence[str]) -> dict[str, str]:
    """SHA-256 of those files that can be read, which all could that an output tells of."""
    found = {}
    for name in names:
        with contextlib.suppress(OSError):
            found[name] = sha256_of(name)
    return found


def _newer(paths: Iterable[str], moment: int) -> str:
    """The first of these files that was changed, or replaced, after a moment in ns."""
    for path in paths:
        try:
            # The time of the inode: unlike that of the content, no copying program sets it back.
            if max(os.stat(path).st_ctime_ns, os.lstat(path).st_ctime_ns) > moment:
                return f"{path} has changed since"
        except (OSError, ValueError):
            continue  # one that could not be read then either, or else the names would differ
    return ""
