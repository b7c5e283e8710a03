"""Small inputs for every tool, made by the tools themselves, and what a product must be."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import onnxruntime
from safetensors import safe_open

from kdtools import __version__

from .running import left_in, run_tool, succeed
from .table import TINY, TOOLS


@dataclass(frozen=True)
class World:
    """Files by name, for the {names} in a row's words."""

    folder: Path
    files: dict[str, Path]

    def words(self, tool: str, output: str | Path, **changes: str | Path) -> list[str]:
        """The words of a right call of a tool, with some files changed. For `-` a text is printed without -o."""
        files = {**self.files, "second": self.second_output(output), **changes, "output": output}
        line, printed = TOOLS[tool].words, TOOLS[tool].printed
        if output == "-" and printed is not None:
            line = line.replace("-o {output}", printed)
        return [word.format(**files) for word in line.split()]

    def second_output(self, output: str | Path) -> Path:
        """The {second} that goes with an {output}: a name beside it, or in a folder of its own for `-`."""
        if output == "-":
            return Path(tempfile.mkdtemp(dir=self.folder)) / "second.h5"
        return Path(output).with_name(f"{Path(output).stem}-second{Path(output).suffix}")


def make_world(parent: Path) -> World:
    """In a folder with spaces, a line break and letters of several scripts in its name, which no tool may mind."""
    folder = parent / "a  world,\nso größer 顔"
    folder.mkdir()

    def make(name: str, tool: str, line: str) -> None:
        files[name] = folder / f"{name}{TOOLS[tool].suffix}"
        words = [word.format(**files) for word in line.split()]
        succeed(run_tool(tool, *words, "-o", files[name], "-q"))

    files: dict[str, Path] = {}
    make("faces", "kd-synth", "-n 24 --size 48 --seed 1 -j 1")
    make("test", "kd-synth", "-n 8 --size 48 --seed 2 -j 1")
    make("other", "kd-synth", "-n 24 --size 48 --seed 3 -j 1")
    files["five"] = _write_five_points(files["faces"], folder / "five.h5")
    files["flipped"] = _write_flipped(files["faces"], folder / "flipped.h5")
    files["folder"] = _write_pts_folder(files["test"], folder / "photographs")
    make("soft", "kd-asm", "{faces}")
    make("five_soft", "kd-asm", "{five}")
    make("tough_model", "kd-teacher", f"{{faces}} --val {{test}} --epochs 2 {TINY}")
    make("five_model", "kd-teacher", f"{{five}} --val {{five}} --epochs 1 {TINY}")
    make("tolerant_model", "kd-teacher", f"{{faces}} --landmarks {{soft}} --epochs 1 {TINY}")
    make("tough", "kd-predict", "{tough_model} {faces} --device cpu")
    make("student", "kd-student", f"{{faces}} --tough {{tough}} --tolerant {{tolerant_model}} --epochs 1 {TINY}")
    make("pred", "kd-predict", "{student} {test} --device cpu")
    return World(folder, files)


def _write_five_points(source: Path, path: Path) -> Path:
    """A copy of a faces file with five points per face in place of its own, and another scheme."""
    shutil.copy(source, path)
    with h5py.File(path, "r+") as h5:
        points = h5["landmarks"][...][:, [36, 45, 30, 48, 54]]
        del h5["landmarks"], h5["visible"]
        h5["landmarks"] = points
        h5.attrs["scheme"] = "points5"
        corners = h5["landmarks"].attrs
        corners["role"], corners["outer_corners"] = "hard", np.array([0, 1])
    return path


def _write_flipped(source: Path, path: Path) -> Path:
    """A copy of a faces file in which its points stand a pixel further left as predictions over mirror images."""
    shutil.copy(source, path)
    with h5py.File(path, "r+") as h5:
        h5["landmarks"][...] = h5["landmarks"][...] - [1, 0]
        h5["landmarks"].attrs.update({"role": "predicted", "flipped": True})
    return path


def _write_pts_folder(source: Path, folder: Path) -> Path:
    """The faces of a file as images with .pts files beside them."""
    folder.mkdir()
    with h5py.File(source) as h5:
        for k, (image, points) in enumerate(zip(h5["image"], h5["landmarks"], strict=True)):
            cv2.imwrite(str(folder / f"{k}.png"), image[..., ::-1])
            lines = "".join(f"{x + 1} {y + 1}\n" for x, y in points)
            (folder / f"{k}.pts").write_text(f"version: 1\nn_points: {len(points)}\n{{\n{lines}}}\n")
    return folder


# ---- products
def check_product(path: Path) -> None:
    """Assert that a file is a whole picture or text, or a whole faces file or model file with its provenance."""
    if path.suffix == ".png":
        assert cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR) is not None
        return
    if path.suffix in (".csv", ".tsv"):
        text = path.read_text()
        lines = text.splitlines()
        assert text.endswith("\n")
        assert len(lines) >= 2
        assert len({line.count("," if path.suffix == ".csv" else "\t") for line in lines}) == 1
        return
    if path.suffix == ".h5":
        with h5py.File(path) as h5:
            found = dict(h5.attrs)
            assert len(h5["id"]) > 0
    elif path.suffix == ".onnx":
        session = onnxruntime.InferenceSession(path.read_bytes())
        found = json.loads(session.get_modelmeta().custom_metadata_map["kdtools"])
    else:
        with safe_open(path, framework="np") as stored:
            found = json.loads(stored.metadata()["kdtools"])
    assert found["kd_kind"] in ("faces", "model")
    assert found["kd_format"] == 1
    assert found["version"] == __version__
    assert {"created", "tool", "argv", "inputs"} <= found.keys()


def check_leftovers(folder: Path, output: Path) -> None:
    """Assert that beside the output there is nothing but what a training documents."""
    stem = output.with_suffix("").name
    allowed = {output.name, f"{stem}-second{output.suffix}"}
    if output.suffix == ".safetensors":
        allowed |= {f"{stem}.last.safetensors", f"{stem}.log.jsonl"}
    assert set(left_in(folder)) <= allowed


def check_unfinished(folder: Path, output: Path) -> None:
    """Assert that beside an output there is nothing but whole files of a training that can go on."""
    stem = output.with_suffix("").name
    models = {f"{stem}.last.safetensors", f"{stem}.best.safetensors"}
    allowed = models | {f"{stem}.log.jsonl"} if output.suffix == ".safetensors" else set()
    found = set(left_in(folder)) - {output.name}
    assert found <= allowed
    for name in found & models:
        check_product(folder / name)


def content_of(stdout: bytes, path: Path) -> Any:
    """What a run gave, apart from its provenance: the report, or every array."""
    if not path.exists():
        return stdout
    if path.suffix == ".h5":
        arrays: dict[str, Any] = {}
        with h5py.File(path) as h5:
            h5.visititems(lambda key, item: arrays.update({key: np.asarray(item).tolist()}) if item.name else None)
        return arrays
    if path.suffix == ".safetensors":
        with safe_open(path, framework="np") as stored:
            return {key: stored.get_tensor(key).tobytes() for key in stored.keys()}  # noqa: SIM118
    return path.read_bytes()
