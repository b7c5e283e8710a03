"""Provenance of a file: tool, version, command line, inputs and their SHA-256."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

from kdtools import __version__
from kdtools.bundled import weights_file
from kdtools.errors import UsageError
from kdtools.storage.lineage import Lineage
from kdtools.storage.names import files_below
from kdtools.storage.pipes import seekable
from kdtools.storage.stamps import changed_error, meet, stamp_of

DETECTOR = "detector"  # attribute of a faces file: JSON of a detector's `record`
# Options that do not change the content of an output; the second kind takes a value.
_FLAGS_LEFT_OUT = {"-f", "--force", "-q", "--quiet", "-v", "--verbose", "--resume", "--bench"}
_OPTIONS_LEFT_OUT = {"-o", "--output", "-j", "--jobs", "--rest"}
_SMALL = 1 << 18  # bytes
_ANNOTATION_SUFFIXES = {".asf", ".csv", ".json", ".jsonl", ".ljson", ".mat", ".pts", ".tsv", ".txt", ".xml"}


@dataclass(frozen=True)
class Provenance:
    """Recorded in every file. `inputs` maps paths, as on the command line, to SHA-256; `roles` maps roles to inputs.

    `lineage` names the data sets and networks behind these inputs; each kind of file stores it in its own way.
    `detector` is the record of what found the faces, empty if nothing did.

    The same command with the same inputs gives the same bytes: `created` is a day (UTC), or SOURCE_DATE_EPOCH if it is
    set, and `argv` leaves out the output, the number of workers and the verbosity.
    """

    tool: str
    argv: Sequence[str] = ()
    inputs: dict[str, str] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    lineage: Lineage = field(default_factory=Lineage)
    detector: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _creation_date()  # refuses a wrong environment before the work, not after it

    def with_lineage(self, *lineages: Lineage) -> Provenance:
        """The same, made from all of these too."""
        return replace(self, lineage=reduce(or_, lineages, self.lineage))

    def with_inputs(self, paths: Iterable[str | Path]) -> Provenance:
        return replace(self, inputs={**self.inputs, **{str(p): sha256_of(p) for p in paths}})

    @property
    def command(self) -> list[str]:
        """The command line without options that cannot change the content."""
        return _without_irrelevant(self.argv)

    def attributes(self) -> dict[str, str]:
        roles = {"roles": json.dumps(self.roles, sort_keys=True)} if self.roles else {}
        detector = {DETECTOR: json.dumps(self.detector, sort_keys=True)} if self.detector else {}
        return {
            "created": _creation_date(),
            "tool": self.tool,
            "version": __version__,
            "argv": json.dumps(self.command),
            "inputs": json.dumps(self.inputs, sort_keys=True),
            **roles,
            **detector,
        }


def _creation_date() -> str:
    """The day (UTC), or the moment in SOURCE_DATE_EPOCH. Raises UsageError if that is none."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not epoch:
        return datetime.now(UTC).strftime("%Y-%m-%d")
    try:
        return datetime.fromtimestamp(int(epoch), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError) as error:
        shown = epoch if len(epoch) <= 40 else f"{epoch[:40]}..."
        hint = "give seconds since 1970, or unset this variable of the environment"
        raise UsageError(f"SOURCE_DATE_EPOCH is {shown!r}", hint) from error


def _without_irrelevant(argv: Sequence[str]) -> list[str]:
    kept: list[str] = []
    words = iter(argv)
    for word in words:
        short = re.fullmatch(r"-[fqv]*[oj](.*)", word)
        if word in _OPTIONS_LEFT_OUT or (short and not short[1]):
            next(words, None)
        elif not (short or word in _FLAGS_LEFT_OUT or word.startswith(tuple(f"{o}=" for o in _OPTIONS_LEFT_OUT))):
            kept.append(word)
    return kept


def recorded_places(name: str, folder: Path) -> list[Path]:
    """Where an input may be that a file in `folder` has recorded: from the working folder, or from that of the file."""
    return list(dict.fromkeys((weights_file(name), folder / name)))


def sha256_of(path: str | Path, spend: Callable[[int], None] = lambda n_bytes: None) -> str:
    """SHA-256 of a file's bytes; for a folder, of its files' sorted names and sizes and the bytes of annotations.

    For the name of a bundled network, that of its weights. The pixels of images are left out, since reading a large
    data set again would take as long as importing it. `spend` is called for each file before it is read, with the
    number of bytes; it may raise an exception to stop.
    """
    path = seekable(weights_file(path))
    if path.is_dir():
        digest = hashlib.sha256()
        for name in files_below(path, hidden=True):
            file = os.path.join(path, name)  # no Path for each of millions of files
            try:
                status = os.stat(file)
            except (FileNotFoundError, NotADirectoryError, ValueError):  # a link to nothing, or no file
                continue
            except OSError as error:
                if error.errno != errno.ELOOP:
                    raise
                continue
            if not stat.S_ISREG(status.st_mode):
                continue
            size, is_read = status.st_size, os.path.splitext(name)[1].lower() in _ANNOTATION_SUFFIXES
            spend(size if is_read else 0)
            digest.update(f"{name}\t{size}\n".encode(errors="surrogateescape"))
            if is_read:
                digest.update(_sha256_of_file(file).digest())
        return digest.hexdigest()
    spend(path.stat().st_size)
    return _sha256_of_file(path).hexdigest()


def hold_same_bytes(one: str | Path, other: str | Path) -> bool:
    """Whether two paths lead to the same file, or to files with the same bytes."""
    first, second = seekable(one), seekable(other)
    if first.samefile(second):
        return True
    return first.stat().st_size == second.stat().st_size and sha256_of(first) == sha256_of(second)


def _sha256_of_file(path: str | Path) -> hashlib._Hash:
    try:
        with open(path, "rb", buffering=0) as stream:
            before = os.fstat(stream.fileno())
            meet(path, before, str(path))
            # `file_digest` allocates a buffer of 256 KB for each file.
            is_small = stat.S_ISREG(before.st_mode) and before.st_size < _SMALL
            digest = hashlib.sha256(stream.read()) if is_small else hashlib.file_digest(stream, "sha256")
            if stamp_of(os.fstat(stream.fileno())) != stamp_of(before):
                raise changed_error(str(path))
            return digest
    except OSError as error:
        error.filename = error.filename or str(path)  # a failed read names no file
        raise
