"""The same commands with the same seeds give the same bytes: every tool, in two folders, and text on any machine.

Drawing, convolutions and HDF5 differ between machines and libraries, so most products are compared with those of a
second run; text of whole numbers is compared with a digest. `benchmarks/same_bytes.sh` compares two states of the code.
"""

from __future__ import annotations

import hashlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from contract.running import run_tool
from contract.table import SCRIPTS
from factories import write_faces

_TINY = "--arch test_resnet --input-size 32 --epochs 2 --batch 8 --val test.h5 --seed 3 --device cpu -q"
_COMMANDS = f"""
kd-synth -q -n 40 --size 48 --seed 1 -o faces.h5
kd-split -q faces.h5 -o train.h5 --rest test.h5 --share 0.3
kd-merge -q train.h5 test.h5 -o merged.h5
kd-dump -q test.h5 --format pts -o pictures --crops pictures
kd-import -q pictures --size 48 -o imported.h5
kd-asm -q train.h5 -o soft.h5
kd-teacher train.h5 {_TINY} -o tough.safetensors
kd-teacher train.h5 {_TINY} --landmarks soft.h5 -o tolerant.safetensors
kd-predict -q tough.safetensors train.h5 --backend torch -o tough.h5
kd-predict -q tolerant.safetensors train.h5 --backend torch -o tolerant.h5
kd-student train.h5 {_TINY} --tough tough.h5 --tolerant tolerant.h5 -o cached.safetensors
kd-student train.h5 {_TINY} --tough tough.safetensors --tolerant tolerant.safetensors -o online.safetensors
kd-predict -q cached.safetensors test.h5 -o pred.h5
kd-predict -q face68 test.h5 --flip -o flipped.h5
kd-origin -q test.h5 flipped.h5 --convention mine --group none -o stated.h5
kd-predict -q online.safetensors pictures --backend torch --detector whole -o photographs.h5
kd-eval -q pred.h5 --truth test.h5 -o eval.json -o eval.md
kd-dump -q pred.h5 -o pred.csv
kd-export -q cached.safetensors -o cached.onnx
kd-view -q test.h5 pred.h5 -n 6 -o view.png
"""
# Seconds and images a second stand in these, for --resume and for people.
_OF_THE_CLOCK = (".log.jsonl", ".last.safetensors")


def _run_all(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """SHA-256 of each product, by its path."""
    folder.mkdir()
    monkeypatch.chdir(folder)
    for line in _COMMANDS.strip().splitlines():
        result = run_tool(*line.split())
        assert result.status == 0, f"{line}: {result.stderr}"
    products = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.endswith(_OF_THE_CLOCK)]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in products}


def test_a_second_run_of_every_tool_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    before = torch.get_num_threads()
    torch.set_num_threads(2)  # not what kd-predict sets: each tool begins as a process of its own would
    first, second = (_run_all(tmp_path / name, monkeypatch) for name in ("a", "b"))
    torch.set_num_threads(before)
    words = _COMMANDS.split()
    outputs = {output for option, output in pairwise(words) if option in ("-o", "--rest")}
    assert {name.partition("/")[0] for name in first} == outputs
    assert {word for word in words if word.startswith("kd-")} == {*SCRIPTS} - {"kd-info", "kdtools"}  # which print
    assert [name for name in first if first[name] != second.get(name)] == []
    assert first.keys() == second.keys()


# First digits of the SHA-256 of two faces as text.
_TEXTS = {
    "csv": "b788cab3d084cab6",
    "tsv": "0c591590d9ad9537",
    "jsonl": "ba560fa3eadec4ef",
    "coco": "5ce03dd64cc85ca8",
    "dlib": "da035d91672da3ea",
}


@pytest.mark.parametrize("name", _TEXTS)
def test_text_is_the_same_on_every_machine(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    monkeypatch.chdir(tmp_path)
    points = (np.arange(2 * 68 * 2).reshape(2, 68, 2) * 37 % 101 + 0.25).astype(np.float32)
    points[1, 5] = np.nan
    write_faces("faces.h5", points, ids=["ann/1.jpg", "bob/2.jpg"])
    result = run_tool("kd-dump", "faces.h5", "--format", name)
    assert (result.status, hashlib.sha256(result.stdout).hexdigest()[:16]) == (0, _TEXTS[name])
