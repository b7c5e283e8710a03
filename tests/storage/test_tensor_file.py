"""Safetensors files are read, not mapped: what is cut off or written over meanwhile is an error, and no crash."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

from kdtools.errors import FileError, KdError
from kdtools.inspection import check_file, open_any
from kdtools.landmarks import IBUG68
from kdtools.landmarks.crop_rule import CropRule
from kdtools.model.card import ModelCard
from kdtools.model.file import create_network, load_model, load_training_state, save_model
from kdtools.model.network import LandmarkNet
from kdtools.storage.provenance import Provenance
from kdtools.storage.tensor_file import open_tensors

CARD = ModelCard("test_resnet", 32, IBUG68, CropRule(0.25), (0, 0, 0), (1, 1, 1))


def write_model(path: Path) -> Path:
    fields = {"settings": {}, "history": []}
    state = {"best.x": torch.ones(70_000)}  # more than a page, which is what the system maps
    save_model(path, LandmarkNet(CARD), Provenance("test"), training_state=state, training_fields=fields)
    return path


def test_tensors_of_every_type_are_those_of_the_library(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    arrays = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b": np.array([True, False]),
        "none": np.empty((0, 4), np.float16),
        "scalar": np.array(7, np.int64),
    }
    save_file(arrays, path, {"k": "v"})
    with open_tensors(path) as stored:
        assert stored.metadata == {"k": "v"}
        assert stored.shapes == {name: array.shape for name, array in arrays.items()}
        for name, array in arrays.items():
            found = stored.tensor(name)
            assert found.dtype == array.dtype
            assert np.array_equal(found, array)
    tensors = {"half": torch.ones(3, dtype=torch.bfloat16), "eighth": torch.ones(3).to(torch.float8_e4m3fn)}
    save_torch(tensors, path)
    with open_tensors(path, "pt") as stored:
        assert all(torch.equal(stored.tensor(name).float(), tensor.float()) for name, tensor in tensors.items())


READERS: dict[str, Callable[[Path], object]] = {
    "load_model": lambda path: load_model(path, torch.device("cpu")),
    "start weights": lambda path: create_network(CARD, str(path), torch.zeros(68, 2)),
    "checkpoint": load_training_state,
    "kd-info --check": lambda path: check_now(path),
}


def check_now(path: Path) -> None:
    with open_any(str(path)) as opened:
        assert list(check_file(opened)) == []


@pytest.mark.parametrize("kind", ["truncated", "written over"])
@pytest.mark.parametrize("reader", READERS)
def test_a_file_that_changes_while_it_is_read(
    reader: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before any of its reads. Mapped, a truncated one ended the process with SIGBUS."""
    path = write_model(tmp_path / "m.safetensors")
    whole, inode, usual = path.read_bytes(), path.stat().st_ino, os.preadv
    n, struck = 0, -1

    def preadv(descriptor: int, *rest: object) -> int:
        nonlocal n
        if os.fstat(descriptor).st_ino == inode:
            n += 1
            if n == struck and kind == "truncated":
                os.truncate(path, 5000)
            elif n == struck:
                path.write_bytes(bytes(len(whole)))
        return usual(descriptor, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "preadv", preadv)
    READERS[reader](path)
    n_reads, n = n, 0
    assert n_reads > 5
    for struck in (3, n_reads // 2, n_reads):  # noqa: B007 (read by preadv)
        path.write_bytes(whole)
        n = 0
        with pytest.raises(KdError, match=r"m\.safetensors: was changed or replaced while it was read"):
            READERS[reader](path)


@pytest.mark.parametrize(
    "places",
    [
        {"a": ("F32", [1], 0, 4), "b": ("F32", [1], 2, 6)},  # overlap
        {"a": ("F32", [1], 4, 8)},  # a gap
        {"a": ("F32", [1], 0, 4)},  # less than there is
        {"a": ("F32", [3], 0, 12)},  # more than there is
        {"a": ("F32", [True], 0, 8)},
        {"a": ("O", [8], 0, 8)},
        {"a": ("F32", [2.0], 0, 8)},
        {"a": ("F32", [2], 0.0, 8)},
    ],
)
def test_headers_that_do_not_fit_the_file(places: dict[str, tuple[object, ...]], tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    header = {
        name: {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}
        for name, (dtype, shape, start, stop) in places.items()
    }
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(8))
    with pytest.raises(FileError, match="not a model file"), open_tensors(path):
        pass


@pytest.mark.parametrize(
    "start", [b"", b"\1", bytes(8), b"\xff" * 8, struct.pack("<Q", 4) + b"[[[[", b"\5" + bytes(7) + b"\xff{}{}"]
)
def test_starts_that_are_no_header(start: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(start)
    with pytest.raises(FileError, match="not a model file"), open_tensors(path):
        pass
