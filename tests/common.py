"""What is made once for all processes of a run of the tests."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock


@contextlib.contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Others wait that want to make the same folder, which is made."""
    folder.mkdir(exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class OwnFiles:
    """Lets faces files that kdtools has written in this process be tried in it, and not in a child.

    A fork of a process that has imported PyTorch takes some 50 ms. A file that a test changes afterwards is another
    one, and tried in a child.
    """

    def __init__(self) -> None:
        self._stamps: set[tuple[int, ...]] = set()

    @contextlib.contextmanager
    def tried_here(self) -> Iterator[None]:
        """Within the block."""
        from kdtools.errors import KdError
        from kdtools.storage import hdf5_guard, outputs
        from kdtools.storage.rehearsal import is_rehearsal

        usual_commit, usual_trial = outputs.commit, hdf5_guard._rehearse

        def commit(moves, force):  # type: ignore[no-untyped-def]
            usual_commit(moves, force)
            for move in moves:
                with contextlib.suppress(OSError):
                    self._stamps.add(hdf5_guard._stamp_of(os.stat(move.place)))

        def trial(stream, path, name, risk):  # type: ignore[no-untyped-def]
            stamp = hdf5_guard._stamp_of(os.fstat(stream.fileno()))
            if stamp in self._stamps and stamp not in hdf5_guard._rehearsed and not is_rehearsal():
                with contextlib.suppress(*hdf5_guard.HDF5_ERRORS):  # which the usual trial reports
                    with contextlib.suppress(KdError), hdf5_guard._open(stream, path) as h5:
                        risk(h5, stream)
                    hdf5_guard._remember(stamp)
            usual_trial(stream, path, name, risk)

        with mock.patch.object(outputs, "commit", commit), mock.patch.object(hdf5_guard, "_rehearse", trial):
            yield


@contextlib.contextmanager
def graphs_made_once(folder: Path) -> Iterator[None]:
    """Within the block a network becomes an ONNX graph once, which takes five seconds, and comes from `folder` then.

    For tests of what surrounds an export: its files, messages, signals. tests/export is about the graph.
    """
    import onnx

    from kdtools.export import graph

    usual = graph._graph_of

    def graph_of(network):  # type: ignore[no-untyped-def]
        card = {**network.card.to_fields(), "crop": None}  # which is no part of the graph
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
