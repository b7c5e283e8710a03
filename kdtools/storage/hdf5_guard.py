"""Opening HDF5 files that may be damaged or hostile without hanging or crashing in the HDF5 library.

The library (2.0) trusts its input: a damaged heap of texts makes it loop forever, a text that claims 4 GB makes it
allocate 4 GB, and damaged types and chunks end the process. Which bytes of a file it will believe only the library
knows. So what is at risk (opening, attributes, texts) is read in a child process first (`rehearsal`), and then here.
What has no such risk but may be large, arrays of numbers, is checked by `hdf5_checks` and read once.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np

from kdtools.errors import FileError, KdError, reason_of
from kdtools.parallel import in_background
from kdtools.storage.devices import read_fault
from kdtools.storage.rehearsal import Outcome, is_rehearsal, rehearse
from kdtools.storage.stamps import changed_error, meet, stamp_of

# All that h5py raises for a damaged file.
HDF5_ERRORS = (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError, IndexError, OverflowError)

_UNOPENED = "cannot be opened as HDF5"
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_MOST_STAMPS = 10_000
_rehearsed: OrderedDict[tuple[int, ...], None] = OrderedDict()  # stamps of files that were rehearsed, as a set
_begun: dict[tuple[int, ...], Callable[[], Outcome]] = {}  # what waits for a rehearsal in the background, by stamp


Risk = Callable[[h5py.File, "GuardedStream"], object]


class GuardedStream(io.FileIO):
    """A file as the library reads it. `fault` is why a read failed, which the library does not report clearly.

    `latest` is the stream that was read last; `found` are the bytes that the process handed over that read it first.
    """

    latest: ClassVar[GuardedStream | None] = None

    def __init__(self, path: Path) -> None:
        super().__init__(path, "r")
        status = os.fstat(self.fileno())
        self.size, self.stamp = status.st_size, stamp_of(status)
        self.fault, self.is_changed = "", False
        self.found: np.ndarray | None = None

    def readinto(self, buffer: Any) -> int:
        GuardedStream.latest = self
        at, view, n = self.tell(), memoryview(buffer).cast("B"), 0
        try:
            while n < len(view) and (got := super().readinto(view[n:])):
                n += got
        except OSError as error:
            self.fault = str(error)
            raise
        self.check_unchanged()
        if n < len(view) and at + n < self.size:
            self.fault = f"cannot be read at byte {at + n}"
            raise OSError(self.fault)
        return n

    def check_unchanged(self) -> None:
        """Raises OSError if the file has been written to since it was opened; to be called after each read."""
        if stamp_of(os.fstat(self.fileno())) != self.stamp:
            self.fault, self.is_changed = "was changed while it was read", True
            raise OSError(self.fault)

    def damage(self, name: str, where: str, error: BaseException) -> FileError:
        """The error for users when reading this file, called `name`, or an array `where` in it, has failed."""
        if self.is_changed:
            return changed_error(name)
        return _damaged(name, self.fault or " ".join(str(error).split()), where)


@contextlib.contextmanager
def guarded_file(path: Path, name: str, risk: Risk) -> Iterator[tuple[h5py.File, GuardedStream]]:
    """Open an HDF5 file for reading. `risk` reads all of it that may be read later and is not known to be harmless.

    An array that it returns is, as bytes, the `found` of the stream, unless the file was rehearsed before.
    Raises FileError, with `name`, for a damaged or another file.
    """
    try:
        stream = GuardedStream(path)
    except OSError as error:
        raise FileError(f"{name}: {reason_of(error)}") from error
    with stream:
        meet(path, os.fstat(stream.fileno()), name)
        _rehearse(stream, path, name, risk)
        try:
            h5 = _open(stream, path)
        except HDF5_ERRORS as error:
            raise changed_error(name) if stream.is_changed else _unopened(name, stream) from error
        with h5:
            try:
                if is_rehearsal():
                    risk(h5, stream)
                yield h5, stream
            except HDF5_ERRORS as error:
                if GuardedStream.latest is stream and _is_of_reading(error):
                    raise stream.damage(name, "", error) from error
                raise


def _unopened(name: str, stream: GuardedStream) -> FileError:
    unopened = FileError(f"{name}: {_UNOPENED}", "it may be truncated or damaged; make it again")
    return read_fault(name, stream.fault) or unopened


def _damaged(name: str, fault: str, where: str = "") -> FileError:
    return read_fault(name, fault) or FileError(f"{name}:{where} damaged: {fault}", "make it again")


def begin_rehearsal(path: Path, risk: Risk) -> None:
    """Rehearse in the background a file that `guarded_file` will open soon, which then waits for the outcome.

    What is wrong with it is reported there.
    """
    with contextlib.suppress(OSError):
        stamp = _stamp_of(os.stat(path))
        if stamp not in _rehearsed and not is_rehearsal():
            _begun[stamp] = in_background(lambda: _try_apart(path, risk))


def _try_apart(path: Path, risk: Risk) -> Outcome:
    with GuardedStream(path) as stream:
        return _try(stream, path, risk)


def _rehearse(stream: GuardedStream, path: Path, name: str, risk: Risk) -> None:
    """Raises FileError where the library does not survive opening the file and what `risk` reads."""
    stamp = _stamp_of(os.fstat(stream.fileno()))
    if is_rehearsal() or stamp in _rehearsed:
        return

    if not _may_be_hdf5(stream):
        raise changed_error(name) if stamp_of(os.fstat(stream.fileno())) != stream.stamp else _unopened(name, stream)
    try:
        fault, stream.found = _begun.pop(stamp, lambda: _try(stream, path, risk))()
    except OSError as error:
        hint = "a file is first read in a process of its own; raise the limits of processes and memory (ulimit -a)"
        raise FileError(f"{name}: no process could be started to look at it: {reason_of(error)}", hint) from error
    if fault and stamp_of(os.fstat(stream.fileno())) != stream.stamp:
        raise changed_error(name)
    if fault == _UNOPENED:
        raise _unopened(name, stream)
    if fault:
        raise _damaged(name, fault)
    _remember(stamp)


def _try(stream: GuardedStream, path: Path, risk: Risk) -> Outcome:
    def action() -> object:
        try:
            h5 = _open(stream, path)
        except HDF5_ERRORS as error:
            raise OSError(stream.fault if read_fault("", stream.fault) else _UNOPENED) from error
        return risk(h5, stream)

    return rehearse(action, stream.size, "the HDF5 library", HDF5_ERRORS)


def _may_be_hdf5(stream: GuardedStream) -> bool:
    """Whether the signature is at byte 0, 512, 1024, 2048...: elsewhere the library does not look for it.

    Most files that are no HDF5 are answered so without a process for each. A file that cannot be read may be one:
    the fault is reported by who reads it.
    """
    try:
        at = 0
        while at < stream.size:
            stream.seek(at)
            if stream.read(len(_SIGNATURE)) == _SIGNATURE:
                return True
            at = max(512, 2 * at)
    except OSError:
        return True
    return False


def rehearse_together(paths: Sequence[Path], action: Callable[[], object]) -> None:
    """Rehearse `action`, which opens these files by `guarded_file`, in one process, so that here each need none.

    If that fails nothing is reported: who opens the files one by one meets the fault, and knows where it is.
    """
    stamps = [_stamp_of(os.stat(path)) for path in paths]
    if all(stamp in _rehearsed for stamp in stamps):
        return

    def whole_action() -> None:
        try:
            action()
        except KdError as error:  # what comes behind it was not done
            raise RuntimeError(error.message) from error

    if not rehearse(whole_action, sum(stamp[2] for stamp in stamps), "the HDF5 library", HDF5_ERRORS).fault:
        for stamp in stamps:
            _remember(stamp)


def _remember(stamp: tuple[int, ...]) -> None:
    _rehearsed[stamp] = None
    if len(_rehearsed) > _MOST_STAMPS:
        _rehearsed.popitem(last=False)


def _stamp_of(about: os.stat_result) -> tuple[int, ...]:
    """Which file it is, and when it changed."""
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns


def _is_of_reading(error: BaseException) -> bool:
    """Whether h5py or the stream raised it, but not while writing an output."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = "" if trace is None else trace.tb_frame.f_code.co_filename
    return place == __file__ or ("h5py" in place and "write" not in str(error))


def _open(stream: GuardedStream, path: Path) -> h5py.File:
    """Open the file through the stream, under its own name."""
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fclose_degree(h5py.h5f.CLOSE_STRONG)
    access.set_fileobj_driver(h5py.h5fd.fileobj_driver, stream)
    return h5py.File(h5py.h5f.open(os.fsencode(path), h5py.h5f.ACC_RDONLY, fapl=access))
