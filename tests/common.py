"""What is made once for all processes of a run of the tests."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

_HUGE, _MADV_HUGEPAGE, _MADV_COLLAPSE = 2**21, 14, 25  # bytes of a page; sys/mman.h


def use_huge_pages() -> None:
    """Put what this process holds on pages of 2 MB, of which a fork copies the table in a few ms instead of some 30.

    Linux 6.1 and later can; elsewhere nothing happens.
    """
    with contextlib.suppress(OSError, AttributeError):
        advise = ctypes.CDLL(None).madvise
        advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        for line in Path("/proc/self/maps").read_text().splitlines():
            places, access, _, _, inode, *name = line.split()
            if access == "rw-p" and inode == "0" and name in ([], ["[heap]"]):
                low, high = (int(place, 16) for place in places.split("-"))
                low, high = -(-low // _HUGE) * _HUGE, high // _HUGE * _HUGE
                if low < high:
                    advise(low, high - low, _MADV_HUGEPAGE)
                    advise(low, high - low, _MADV_COLLAPSE)


def examples(n: int) -> pytest.MarkDecorator:
    """For a test by hypothesis, the number `n_examples`: a quarter of n, and all of them in `make soak`."""
    return pytest.mark.parametrize("n_examples", [n // 4, pytest.param(n, marks=pytest.mark.soak)])


@contextlib.contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Others wait that want to make the same folder, which is made."""
    folder.mkdir(exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class TriedHere:
    """Lets HDF5 files be tried in this process, and not in a child: to fork one that has PyTorch takes some 60 ms.

    The first file that a reader opens is tried in a child all the same, so that each reader is seen to do with it.
    """

    def __init__(self) -> None:
        self._seen: set[tuple[str, int]] = set()

    @contextlib.contextmanager
    def within(self) -> Iterator[None]:
        """Within the block."""
        from kdtools.storage import hdf5_guard, rehearsal

        usual = hdf5_guard.rehearse

        def rehearse(action, n_bytes, library, faults):  # type: ignore[no-untyped-def]
            reader = _reader()
            if rehearsal.is_rehearsal() or reader not in self._seen:
                self._seen.add(reader)
                return usual(action, n_bytes, library, faults)
            with contextlib.suppress(Exception):  # other errors than these are met again, as after a child
                return rehearsal.Outcome(rehearsal._done_here(action, faults))
            return rehearsal.Outcome("")

        with mock.patch.object(hdf5_guard, "rehearse", rehearse):
            yield


def _reader() -> tuple[str, int]:
    """The place in kdtools from which its storage was called."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        name = frame.f_code.co_filename
        if "/kdtools/" in name and "/kdtools/storage/" not in name:
            break
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


@contextlib.contextmanager
def graphs_made_once(folder: Path) -> Iterator[None]:
    """Within the block a network becomes an ONNX graph once, which takes five seconds, and comes from `folder` then.

    For tests of what surrounds an export: its files, messages, signals. tests/export is about the graph.
    """
    import onnx

    from kdtools.export import graph

    usual = graph._graph_of

    def graph_of(network):  # type: ignore[no-untyped-def]
        card = {**network.card.to_fields(), "crop": None, "scheme": None}  # which are no part of the graph
        key = hashlib.sha256(json.dumps(card, sort_keys=True).encode())
        for name, value in network.state_dict().items():
            key.update(name.encode() + value.cpu().numpy().tobytes())
        path = folder / f"{key.hexdigest()}.onnx"
        with one_at_a_time(folder):
            if not path.exists():
                part = path.with_suffix(".part")
                onnx.save(usual(network), part)
                os.replace(part, path)
        network.cpu().eval()  # as of an export
        return onnx.load(path)

    with mock.patch.object(graph, "_graph_of", graph_of):
        yield
