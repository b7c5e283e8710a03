"""Faults of the disk that is written to or read from: full, over quota, broken, gone; told apart from all others."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterable, Iterator

from kdtools.errors import FileError, reason_of

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_BROKEN = {errno.EIO, errno.EREMOTEIO, errno.EROFS, errno.ESTALE, errno.ENXIO, errno.ENODEV, errno.ETIMEDOUT}
# What a file system may refuse and still be one: folders of NFS are not synced, FAT has no permissions, ...
_UNSUPPORTED = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.EPERM, errno.ENOTTY}
# HDF5 and safetensors hide the number in their message.
_NUMBER = re.compile(r"\berrno = (\d+)|\(os error (\d+)\)|^\[Errno (\d+)\]")
_READ = re.compile(r"file read failed.*? filename = '(.*?)', file descriptor", re.DOTALL)

NO_WORKING_FOLDER = "the working folder does not exist any more", "change to one that does"  # message and hint
_HINT = "the disk or the way to it is at fault, not the file's content: see dmesg, and try another disk"

_unclosed: list[object] = []


@contextlib.contextmanager
def device_errors(output: str) -> Iterator[None]:
    """Turns errors of the disk, while `output` is written, into a FileError that names it, or the input if that failed.

    Other errors pass.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        fault = _fault_in(error)
        if fault in _FULL:
            raise FileError(f"{output}: {os.strerror(fault)}", "nothing was written; free space") from error
        if fault in _BROKEN:
            raise FileError(f"{_input_of(error) or output}: {os.strerror(fault)}", _HINT) from error
        if fault and ".part/" in os.fsdecode(getattr(error, "filename", None) or ""):
            raise FileError(f"{output}: {os.strerror(fault)}") from error  # not of a hidden place that nobody knows
        raise


def read_fault(name: str, error: BaseException | str) -> FileError | None:
    """The error for a file whose disk could not be read, by the error or its text; None if the file itself is at fault.

    >>> str(read_fault("a.h5", "[Errno 5] Input/output error"))
    'a.h5: Input/output error'
    """
    fault = _fault_in(error)
    return FileError(f"{name}: {os.strerror(fault)}", _HINT) if fault in _BROKEN else None


@contextlib.contextmanager
def read_faults_named(name: str) -> Iterator[None]:
    """Turns errors of reading, which name no file, into a FileError that does. Errors of opening pass."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        raise read_fault(name, error) or FileError(f"{name}: {reason_of(error)}") from error


def _fault_in(error: BaseException | str) -> int:
    """The system's error number; 0 for none."""
    number = getattr(error, "errno", None)
    if isinstance(number, int):
        return number
    stated = _NUMBER.search(str(error))
    return int(next(filter(None, stated.groups()))) if stated else 0


def _input_of(error: BaseException) -> str:
    """The input that could not be read; empty if it was another file, or none is named. Outputs are hidden as yet."""
    stated = _READ.search(str(error))
    name = os.fsdecode(getattr(error, "filename", None) or (stated[1] if stated else ""))
    return "" if "/." in f"/{name}" else name


@contextlib.contextmanager
def optional_service() -> Iterator[None]:
    """Passes over what the file system does not support or permit, where the product is complete without it."""
    try:
        yield
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise


def leave_open(objects: Iterable[object]) -> None:
    """Keep objects of a library to the end of the process, because closing or deleting them would crash it."""
    _unclosed.extend(objects)


def n_unclosed() -> int:
    """How many such objects are kept, so that the process must end without the library's own cleaning up."""
    return len(_unclosed)
