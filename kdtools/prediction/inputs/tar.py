"""Images in tar files, also compressed ones and on standard input."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import sys
import tarfile
import tempfile
import threading
import weakref
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import IO, cast

import numpy as np

from kdtools.datasets.formats.shared.annotation import clean_path
from kdtools.errors import FileError, reason_of
from kdtools.images.reading import check_image_bytes
from kdtools.prediction.inputs.photograph import Photograph, Wanted, failing
from kdtools.storage.devices import device_errors, read_fault
from kdtools.storage.outputs import STANDARD_STREAM, is_stream, name_of
from kdtools.storage.passed_over import PassedOver
from kdtools.storage.pipes import stream_of_pipe
from kdtools.storage.stamps import changed_error, stamp_of
from kdtools.storage.systems import bytes_at, open_to_read

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")

Fetch = Callable[[], bytes | np.ndarray]
_LONGEST_NAME = 1 << 20  # bytes of a long name; tarfile itself has no limit
_BLOCK = 1 << 16  # bytes of a stream that are read at once
_LARGEST_IN_STREAM = 1 << 26  # bytes, of an archive that may be a thousandth of them
_MOST_IN_MEMORY = 1 << 26  # bytes of the members of a stream that wait for their turn; others wait on the disk
_LONG_NAMES = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
_DAMAGE = (tarfile.TarError, EOFError, OSError, ValueError, OverflowError, zlib.error, lzma.LZMAError)


def photographs_in_tar(source: str, prefix: str, wanted: Wanted, passed: PassedOver) -> Iterator[Photograph]:
    """The images in a tar file (- is standard input) or a stream of one whose names are `wanted`, in order.

    Ids are `prefix` and the name in the archive. All other members are added to `passed`. A damaged archive ends with a
    photograph that cannot be read.
    """
    name = name_of(source)
    try:
        for member, fetch in _members(source):
            identity = clean_path(member)
            path = identity if is_stream(source) else f"{source}/{identity}"
            if not identity or any(part.startswith(".") for part in identity.split("/")):
                continue
            if fetch is None:
                passed.add_other(path)
            elif wanted(identity):
                yield Photograph(prefix + identity, path, fetch)
            else:
                passed.add_file(path)
    except _DAMAGE as error:
        damaged = read_fault(name, error) or FileError(f"not a tar file, or damaged: {reason_of(error)}")
        yield Photograph(f"{prefix}{name}", name, failing(damaged))


def stream_of(source: str) -> io.BufferedReader:
    """The bytes of standard input (-) or of a pipe, from where the last reader stopped."""
    return cast(io.BufferedReader, sys.stdin.buffer) if source == STANDARD_STREAM else stream_of_pipe(source)


def _members(source: str) -> Iterator[tuple[str, Fetch | None]]:
    """Names of the members of an archive and functions that read them; None for links and devices.

    From a stream files are read at once.
    """
    if is_stream(source):
        yield from _members_of_stream(stream_of(source))
        return
    content = _Content(source)
    try:
        archive = tarfile.open(fileobj=content.stream(), mode="r:", tarinfo=_Member)  # noqa: SIM115
    except tarfile.ReadError:  # compressed, so without random access
        with content.stream() as stream:
            yield from _members_of_stream(stream, content.check)
        return
    with archive:
        for member in _each(archive):
            is_file = member.isreg() and not member.issparse()
            yield member.name, partial(content.read, member.offset_data, member.size) if is_file else None


class _Member(tarfile.TarInfo):
    """A header; refuses names of many megabytes."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Member:
        member = super().frombuf(buf, encoding, errors)
        if member.type in _LONG_NAMES and member.size > _LONGEST_NAME:
            raise tarfile.ReadError("a name of megabytes")
        return member


class _Content:
    """Random access to a file's bytes from several threads; closed when it is garbage-collected.

    What it reads is of the file that was opened, whatever its path leads to later.
    """

    def __init__(self, path: str) -> None:
        self._path, self._descriptor = path, open_to_read(path)
        weakref.finalize(self, os.close, self._descriptor)
        self._stamp = stamp_of(os.fstat(self._descriptor))

    def stream(self) -> io.BufferedReader:
        """The file from its beginning on, which may be closed before this."""
        if not hasattr(os, "pread"):  # a copy of the descriptor would share its position with `read`
            return open(self._path, "rb")
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        return os.fdopen(os.dup(self._descriptor), "rb")

    def check(self) -> None:
        """Raises FileError if the file has been written to since it was opened."""
        if stamp_of(os.fstat(self._descriptor)) != self._stamp:
            raise changed_error(self._path)

    def read(self, offset: int, size: int) -> bytes:
        check_image_bytes(size, "a file in the archive")
        data = bytes_at(self._descriptor, size, offset)
        self.check()
        if len(data) < size:
            raise FileError(f"the archive ends after {len(data)} of its {size} bytes")
        return data


class _Waiting:
    """Contents of members that have been read and wait for their turn: in memory up to a limit, then on the disk."""

    def __init__(self) -> None:
        self._lock, self._n_bytes = threading.Lock(), 0

    def add(self, data: bytes) -> Fetch:
        """A function that returns `data`, which no longer waits when that is collected."""
        with self._lock:
            in_memory = self._n_bytes + len(data) <= _MOST_IN_MEMORY
            self._n_bytes += len(data) if in_memory else 0
        if in_memory:
            held = _Held(data)
            weakref.finalize(held, self._release, len(data))
            return held
        with device_errors(f"temporary file in {tempfile.gettempdir()}"):
            stream = tempfile.TemporaryFile()  # noqa: SIM115 (closed when it is collected)
            stream.write(data)
            stream.flush()
        return partial(_content_of, stream)

    def _release(self, n_bytes: int) -> None:
        with self._lock:
            self._n_bytes -= n_bytes


class _Held:
    """Bytes in memory; returned by a call."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __call__(self) -> bytes:
        return self._data


def _content_of(stream: IO[bytes]) -> bytes:
    stream.seek(0)
    return stream.read()


def _members_of_stream(
    stream: io.BufferedReader, check: Callable[[], None] = lambda: None
) -> Iterator[tuple[str, Fetch | None]]:
    waiting = _Waiting()
    with tarfile.open(
        fileobj=cast(IO[bytes], _Unpacked(stream)), mode="r|", tarinfo=_Member, bufsize=_BLOCK
    ) as archive:
        for member in _each(archive):
            if not member.isreg() or member.issparse():
                yield member.name, None
                continue
            try:
                check_image_bytes(member.size, "a file in a compressed archive", _LARGEST_IN_STREAM)
            except FileError as error:
                yield member.name, failing(error)
                continue
            content = archive.extractfile(member)
            data = b"" if content is None else content.read()
            check()
            yield member.name, waiting.add(data)
            del data


class _Unpacked:
    """A stream without its compression; what precedes damage is read before the error comes.

    tarfile's own `r|*` unpacks ten kilobytes at once, to ten megabytes where they hold zeros, and copies the rest of
    them for each block that it passes over.
    """

    def __init__(self, stream: io.BufferedReader) -> None:
        start = stream.peek(6)
        self._stream: io.BufferedReader | gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile = stream
        if start.startswith(b"\x1f\x8b"):
            self._stream = gzip.GzipFile(fileobj=stream)
        elif start.startswith(b"BZh"):
            self._stream = bz2.BZ2File(stream)
        elif start.startswith((b"\xfd7zXZ\x00", b"]\x00\x00")):
            self._stream = lzma.LZMAFile(stream)  # noqa: SIM115

    def read(self, n_bytes: int) -> bytes:
        return self._stream.read1(n_bytes)


def _each(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    while (member := archive.next()) is not None:
        archive.members = []  # type: ignore[attr-defined]  # which would grow with each file
        if not member.isdir():
            yield member
