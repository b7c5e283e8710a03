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
