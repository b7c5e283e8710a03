"""kd-info: the report's values, the chain of inputs, and the faults that --check finds."""

from __future__ import annotations

import fnmatch
import io
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
import pytest
from factories import plain_images, write_faces
from onnx import TensorProto, helper, numpy_helper
from safetensors import safe_open
from safetensors.numpy import save_file

from kdtools.bundled import bundled_names, finder_file
from kdtools.cli import kd_info
from kdtools.cli._app import session
from kdtools.inspection import FIELDS, describe_file, flatten, open_any
from kdtools.landmarks import IBUG68, read_scheme
from kdtools.landmarks.conventions import Convention
from kdtools.landmarks.crop_rule import CropRule
from kdtools.landmarks.geometry import box_to_source
from kdtools.landmarks.shape_model import ShapeModel
from kdtools.metrics import NORMALISERS
from kdtools.model import HEADS
from kdtools.model.card import ModelCard
from kdtools.model.file import save_model
from kdtools.model.network import LandmarkNet
from kdtools.storage.provenance import Provenance, sha256_of

Run = Callable[..., tuple[int, str, str]]
N, SIDE = 12, 16


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs kd-info in this process: its exit status, standard output and standard error."""
    handler = signal.getsignal(signal.SIGTERM)

    def call(*words: Any, stdin: bytes = b"") -> tuple[int, str, str]:
        session.verbosity = session.n_skipped = 0
        monkeypatch.setattr(sys, "argv", ["kd-info", *map(str, words)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(stdin))))  # type: ignore[arg-type]
        with pytest.raises(SystemExit) as stop:
            kd_info.main()
        signal.signal(signal.SIGTERM, handler)
        return int(stop.value.code or 0), *capsys.readouterr()

    return call


def write_all_arrays(path: Path, provenance: Provenance | None = None, *, with_images: bool = True) -> Path:
    """Twelve faces of six people, with every array of the format."""
    rng = np.random.default_rng(0)
    boxes = np.array([[10 * k, 5, 10 * k + 20 + k, 25 + k] for k in range(N)], float)
    points = rng.uniform(0, SIDE, (N, 68, 2))
    points[2, 5], points[7] = np.nan, np.nan
    return write_faces(
        path,
        points,
        ids=[f"set/ann{k // 2}_{k}.jpg" for k in range(N)],
        images=plain_images(N, SIDE, 7) if with_images else None,
        crop=CropRule(0.3) if with_images else None,
        shape_model=ShapeModel(np.zeros((68, 2)), np.zeros((3, 68, 2)), np.ones(3), "none"),
        provenance=provenance or Provenance("test", ["a b", "-x"]),
        visible=np.arange(N * 68).reshape(N, 68) % 4 > 0,
        box=boxes,
        to_source=box_to_source(boxes, SIDE, SIDE),
        source=["x.jpg"] * N,
        score=np.where(np.arange(N) == 3, np.nan, np.arange(N) / 10),
        confidence=np.full((N, 68), 0.25),
        subset_common=np.arange(N) < 5,
        **{"subset/with.dot": np.arange(N) < 2},
    )


@pytest.fixture(scope="module")
def network() -> LandmarkNet:
    card = ModelCard("test_resnet", 32, IBUG68, CropRule(0.25), (0.5, 0.4, 0.3), (0.2, 0.3, 0.1), {"lr": 0.5})
    return LandmarkNet(card)


def write_onnx(path: Path, model: Path) -> Path:
    """A small graph that says of itself what a model file does."""
    with safe_open(model, framework="np") as stored:
        fields = stored.metadata()["kdtools"]
    weights = numpy_helper.from_array(np.ones((3, 136), np.float32), "w")
    shape = numpy_helper.from_array(np.array([-1, 68, 2]), "shape")
    nodes = [
        helper.make_node("GlobalAveragePool", ["images"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["all"]),
        helper.make_node("Reshape", ["all", "shape"], ["landmarks"]),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["B", 3, 32, 32])
    points = helper.make_tensor_value_info("landmarks", TensorProto.FLOAT, ["B", 68, 2])
    graph = helper.make_graph(nodes, "net", [images], [points], [weights, shape])
    onnx_model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    helper.set_model_props(onnx_model, {"kdtools": fields})
    path.write_bytes(onnx_model.SerializeToString())
    return path


def report_of(path: Path, *, follow: bool = True) -> dict[str, Any]:
    with open_any(str(path)) as opened:
        return describe_file(opened, follow=follow)


# ---- the report
@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("describe", "check"):
        monkeypatch.setattr(f"kdtools.inspection.{module}.BLOCK_FACES", 5)
    monkeypatch.setattr("kdtools.inspection.check._END_ROWS", 2)


@pytest.mark.usefixtures("small_blocks")
def test_a_faces_file(tmp_path: Path) -> None:
    path = write_all_arrays(tmp_path / "faces.h5")
    with h5py.File(path, "r+") as h5:
        h5["landmarks"][9, 5, 0] = np.nan
    flat = dict(flatten(report_of(path)))
    expected = {
        "file": str(path),
        "kind": "faces",
        "format": 1,
        "bytes": path.stat().st_size,
        "faces": 12,
        "groups.count": 6,
        "groups.largest": 2,
        "groups.largest_name": "set/ann0",
        "ids.0": "set/ann0_0.jpg",
        "image.height": 16,
        "image.width": 16,
        "image.stored": "contiguous",
        "landmarks.points": 68,
        "landmarks.role": "hard",
        "landmarks.scheme": "ibug68",
        "landmarks.mirror": True,
        **{f"landmarks.normalisers.{k}": name for k, name in enumerate(NORMALISERS)},
        "landmarks.frame": "image",
        "landmarks.missing_share": round(70 / (12 * 68), 6),
        "landmarks.faces_without": 1,
        "visible.occluded_share": 0.25,
        "subsets.common": 5,
        "subsets.with.dot": 2,
        "crop.margin": 0.3,
        "crop.box": "points",
        "box.left": 0.0,
        "box.top": 5.0,
        "box.right": 141.0,
        "box.bottom": 36.0,
        "box.smallest_side": 20.0,
        "box.largest_side": 31.0,
        "score.min": 0.0,
        "score.max": 1.1,
        "confidence.max": 0.25,
        "shape_model.modes": 3,
        "shape_model.align": "none",
        "arrays.image.shape.3": 3,
        "arrays.id.dtype": "text",
        "provenance.tool": "test",
        "provenance.argv.0": "a b",
    }
    assert {key: flat.get(key) for key in expected} == expected


def test_a_model_and_a_checkpoint(tmp_path: Path, network: LandmarkNet) -> None:
    """The number of parameters is the network's own, without statistics and without the optimiser's state."""
    model, checkpoint = tmp_path / "m.safetensors", tmp_path / "m.last.safetensors"
    save_model(model, network, Provenance("kd-teacher"))
    history = [
        {"epoch": k, "val_nme_percent": nme, "normaliser": "inter-ocular"} for k, nme in enumerate((9.0, 5.5, 7.25))
    ]
    state = {f"exp_avg.{name}": tensor.clone() for name, tensor in network.named_parameters()}
    save_model(checkpoint, network, Provenance("x"), training_state=state, training_fields={"history": history})
    n_parameters = sum(p.numel() for p in network.parameters())
    for path, kind in ((model, "model"), (checkpoint, "checkpoint")):
        report = report_of(path)
        assert (report["kind"], report["form"], report["arch"]) == (kind, "safetensors", "test_resnet")
        assert report["parameters"] == n_parameters
        assert (report["input_size"], report["mean"], report["std"]) == (32, [0.5, 0.4, 0.3], [0.2, 0.3, 0.1])
        assert report["crop"]["margin"] == 0.25
        assert report["landmarks"]["points"] == 68
        assert report["settings"] == {"lr": 0.5}
    assert report["training"] == {
        "epochs_done": 3,
        "nme_percent": 7.25,
        "best_nme_percent": 5.5,
        "normaliser": "inter-ocular",
    }
    exported = report_of(write_onnx(tmp_path / "m.onnx", model))
    assert (exported["kind"], exported["form"], exported["parameters"]) == ("model", "onnx", 3 * 136)
    assert exported["landmarks"] == report["landmarks"]


def test_every_value_is_documented(tmp_path: Path, network: LandmarkNet) -> None:
    model, faces = tmp_path / "m.safetensors", write_all_arrays(tmp_path / "faces.h5")
    save_model(model, network, Provenance("x").with_inputs([faces]), training_fields={"history": []})
    for path in (model, faces):
        for key, _ in flatten(report_of(path)):
            assert any(fnmatch.fnmatchcase(key, pattern) for pattern in FIELDS), key


# ---- where it comes from
def test_the_chain_of_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Followed through unchanged files, from the working directory or from beside the file that was made."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    Path("pictures").mkdir()
    Path("pictures/a.csv").write_text("1,2\n")
    write_all_arrays(Path("first.h5"), Provenance("kd-import", ["pictures"]).with_inputs(["pictures"]))
    write_all_arrays(Path("second.h5"), Provenance("kd-asm", ["first.h5"]).with_inputs(["first.h5"]))
    Path("list.txt").write_text("x")
    write_all_arrays(Path("third.h5"), Provenance("kd-merge", []).with_inputs(["second.h5", "list.txt"]))

    def states(path: Path) -> dict[str, str]:
        found: dict[str, str] = {}

        def walk(provenance: dict[str, Any]) -> None:
            for given in provenance["inputs"]:
                found[given["name"]] = given["state"]
                walk(given.get("provenance", {"inputs": []}))

        walk(report_of(path)["provenance"])
        return found

    same = {"list.txt": "unchanged", "second.h5": "unchanged", "first.h5": "unchanged", "pictures": "unchanged"}
    assert states(Path("third.h5")) == same
    monkeypatch.chdir(tmp_path)
    assert states(Path("work/third.h5")) == same
    (folder / "list.txt").unlink()
    (folder / "pictures/a.csv").write_text("1,3\n")
    assert states(Path("work/third.h5")) == {**same, "list.txt": "gone", "pictures": "changed"}
    with h5py.File(folder / "second.h5", "r+") as h5:
        h5["landmarks"][0, 0] = 1
    assert states(Path("work/third.h5")) == {"list.txt": "gone", "second.h5": "changed"}
    monkeypatch.chdir(folder)
    assert states(Path("third.h5")) == {"list.txt": "gone", "second.h5": "changed"}
    monkeypatch.chdir(tmp_path)
    os.mkfifo(tmp_path / "list.txt")  # reading it would wait for ever
    assert states(Path("work/third.h5"))["list.txt"] == "gone"
    assert "state" not in report_of(folder / "third.h5", follow=False)["provenance"]["inputs"][0]


def test_attributes_as_matlab_writes_them(tmp_path: Path) -> None:
    """Arrays of one text, or one number."""
    path = write_all_arrays(tmp_path / "faces.h5", Provenance("test", ["a b"]))
    before = report_of(path)
    with h5py.File(path, "r+") as h5:
        for key in ("kd_kind", "kd_format", "tool", "version", "created", "argv", "inputs"):
            value = h5.attrs[key]
            h5.attrs[key] = np.array([value.encode() if isinstance(value, str) else value])
    assert {**report_of(path), "bytes": 0} == {**before, "bytes": 0}


# ---- the forms of the report
def test_lines_json_and_one_value(tmp_path: Path, run: Run) -> None:
    path = write_all_arrays(tmp_path / "faces.h5", Provenance("test", ["a\tb\nc"]))
    status, lines, said = run(path)
    assert (status, said) == (0, "")
    pairs = dict(line.split("\t") for line in lines.splitlines())
    assert pairs["landmarks.mirror"] == "true"
    assert pairs["provenance.argv.0"] == r"a\tb\nc"
    report = json.loads(run(path, "--json")[1])
    assert {key: str(value).lower() for key, value in flatten(report)}.keys() == pairs.keys()
    assert report == report_of(path)
    for name, value in (
        ("landmarks.role", "hard"),
        ("subsets.with.dot", "2"),
        ("faces", "12"),
        ("ids.1", "set/ann0_1.jpg"),
        ("ids", "set/ann0_0.jpg\nset/ann0_1.jpg\nset/ann1_2.jpg"),
        ("image.height", "16"),
    ):
        assert run(path, "--value", name) == (0, f"{value}\n", "")
    status, out, said = run(path, "--value", "subsets.none")
    assert (status, out) == (2, "")
    assert "there is no value 'subsets.none'" in said
    assert "subsets.common" in said
    status, out, _ = run(path, "--value", "subsets")
    assert (status, "with.dot\t2\n" in out, out.count("\n")) == (0, True, 2)


def test_the_scheme_as_a_file_of_its_own(tmp_path: Path, run: Run, network: LandmarkNet) -> None:
    model, bare = tmp_path / "m.safetensors", write_faces(tmp_path / "bare.h5", ids=["a"])
    save_model(model, network, Provenance("x"))
    for path in (write_all_arrays(tmp_path / "faces.h5"), model):
        status, text, said = run(path, "--value", "scheme.toml")
        assert (status, said) == (0, "")
        (tmp_path / "own.toml").write_text(text)
        assert read_scheme(tmp_path / "own.toml") == IBUG68
    status, out, said = run(bare, "--value", "scheme.toml")
    assert (status, out) == (1, "")
    assert "no /landmarks" in said


def test_a_terminal_gets_a_page(tmp_path: Path) -> None:
    """No line is longer than the terminal is wide, and nothing is cut off."""
    path = write_all_arrays(tmp_path / "faces.h5")
    long = ["--very-long-option", "x" * 120]
    made = write_all_arrays(tmp_path / "made.h5", Provenance("kd-asm", long).with_inputs([path]))
    master, slave = os.openpty()
    code = "from kdtools.cli.kd_info import main; main()"
    environment = {**os.environ, "COLUMNS": "80", "TERM": "dumb"}
    command = [sys.executable, "-c", code, "made.h5"]
    subprocess.run(command, check=True, stdout=slave, env=environment, cwd=made.parent)
    os.close(slave)
    text = ""
    while select.select([master], [], [], 1)[0]:
        try:
            text += os.read(master, 1 << 16).decode()
        except OSError:
            break
    os.close(master)
    lines = text.replace("\r", "").splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("made.h5   faces file, ")
    for expected in ("12, of 6 people", "68 points, hard, in pixels of /image", "common 5, with.dot 2", "unchanged"):
        assert expected in text
    assert "x" * 120 in "".join(line.strip() for line in lines)


def test_several_files_and_standard_input(tmp_path: Path, run: Run, network: LandmarkNet) -> None:
    faces, model = write_all_arrays(tmp_path / "faces.h5"), tmp_path / "m.safetensors"
    save_model(model, network, Provenance("x"))
    exported = write_onnx(tmp_path / "m.onnx", model)
    status, out, _ = run(faces, model, exported, "--value", "landmarks.points")
    assert (status, out) == (0, "".join(f"{path}\t68\n" for path in (faces, model, exported)))
    for path in (faces, model, exported):
        report = json.loads(run("-", "--json", stdin=path.read_bytes())[1])
        assert report == {**report_of(path), "file": "standard input"}
    assert run("-", "-")[0] == 2
    assert run(faces, "--json", "--value", "faces")[0] == 2
    assert run(faces, "--check", "--value", "faces")[0] == 2
    status, out, said = run(tmp_path / "none.h5", faces, "--value", "faces")
    assert (status, out) == (4, f"{faces}\t12\n")
    assert said == f"kd-info: skipped {tmp_path / 'none.h5'}: no such file\n"
    status, out, said = run(tmp_path / "none.h5", tmp_path)
    assert (status, out) == (1, "")
    assert said.endswith("kd-info: error: no file could be read\n")


@pytest.mark.parametrize("kind", ["text", "foreign weights", "foreign onnx", "newer", "cut", "no json", "empty"])
@pytest.mark.parametrize("piped", [False, True])
def test_files_that_cannot_be_read(kind: str, piped: bool, tmp_path: Path, run: Run, network: LandmarkNet) -> None:
    path, good = tmp_path / "file", tmp_path / "m.safetensors"
    save_model(good, network, Provenance("x"))
    said_of = {
        "text": "is not a file of kdtools",
        "foreign weights": "holds weights, but is not a kdtools model",
        "foreign onnx": "holds weights, but is not a kdtools model",
        "newer": "model format 2, this kdtools reads up to 1",
        "cut": "not a model file (safetensors), or damaged",
        "no json": "its description is damaged",
        "empty": "is empty",
    }
    if kind == "text":
        path.write_text("Faces:\n1 2\n" * 20)
    elif kind == "foreign weights":
        save_file({"a": np.zeros(3, np.float32)}, path)
    elif kind == "foreign onnx":
        model = onnx.load(write_onnx(path, good))
        del model.metadata_props[:]
        path.write_bytes(model.SerializeToString())
    elif kind == "newer":
        save_file({"a": np.zeros(3)}, path, {"kdtools": json.dumps({"kd_kind": "model", "kd_format": 2})})
    elif kind == "cut":
        path.write_bytes(good.read_bytes()[:-10])
    elif kind == "no json":
        save_file({"a": np.zeros(3)}, path, {"kdtools": "{"})
    else:
        path.touch()
    status, out, said = run("-", stdin=path.read_bytes()) if piped else run(path)
    assert (status, out) == (1, "")
    assert said.startswith(f"kd-info: error: {'standard input' if piped else path}: ")
    assert said_of[kind] in said
    assert len(said.splitlines()) <= 2
    assert run(path, "--check")[0] == 1


# ---- --check
def faults_of(run: Run, path: Path) -> list[str]:
    """What --check prints of a file, without the file's name."""
    status, out, said = run(path, "--check")
    assert status == (3 if out else 0), said
    assert json.loads(run(path, "--check", "--json")[1])["faults"] == [line.split("\t")[1] for line in out.splitlines()]
    return [line.removeprefix(f"{path}\t") for line in out.splitlines()]


FACES_FAULTS: dict[str, tuple[Callable[[h5py.File], Any], str]] = {
    "twice": (
        lambda h5: h5["id"].__setitem__(3, "set/ann0_0.jpg"),
        "/id: 1 id occurs more than once: 'set/ann0_0.jpg'",
    ),
    "no name": (lambda h5: h5["id"].__setitem__(3, ""), "/id: row 3 has no name"),
    "infinite": (
        lambda h5: h5["landmarks"].__setitem__((4, 0, 0), np.inf),
        "/landmarks: 1 of 12 faces have points that",
    ),
    "half": (lambda h5: h5["landmarks"].__setitem__((4, 0, 0), np.nan), "'set/ann2_4.jpg'"),
    "far": (lambda h5: h5["landmarks"].__setitem__((4, 0, 0), 33), "far from their crop: 'set/ann2_4.jpg'"),
    "none": (lambda h5: h5["landmarks"].__setitem__(slice(None), np.nan), "no face has an annotated point"),
    "box": (lambda h5: h5["box"].__setitem__((1, 2), 10), "/box: 1 of 12 faces have a box that"),
    "box nan": (lambda h5: h5["box"].__setitem__((1, 2), np.nan), "/box: 1 of 12 faces have a box that"),
    "map": (lambda h5: h5["to_source"].__setitem__((1, 0), 0), "/to_source: 1 of 12 faces have a map that"),
    "visible": (lambda h5: h5["visible"].__setitem__((11, 0), 2), "values than 0 and 1: 'set/ann5_11.jpg'"),
    "score": (lambda h5: h5["score"].__setitem__(1, -np.inf), "/score: 1 of 12 faces have an infinite"),
    "confidence": (lambda h5: h5["confidence"].__setitem__((1, 1), np.inf), "/confidence: 1 of 12 faces have"),
    "role": (lambda h5: h5["landmarks"].attrs.__setitem__("role", "odd"), "/landmarks: its role is 'odd'"),
    "mirror": (lambda h5: h5["landmarks"].attrs.__setitem__("mirror", [0] * 68), "/landmarks"),
    "crop": (lambda h5: h5.attrs.__setitem__("crop", "[]"), "crop rule"),
    "detector": (
        lambda h5: h5.attrs.__setitem__("detector", '{"name": 3}'),
        "the record of its detector cannot be read",
    ),
    "inputs": (lambda h5: h5.attrs.__setitem__("inputs", "x"), "its provenance is damaged"),
    "mode": (lambda h5: h5["shape_model/modes"].__setitem__((0, 0, 0), np.nan), "/shape_model/modes: has values"),
}


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("name", FACES_FAULTS)
def test_faults_of_a_faces_file(name: str, tmp_path: Path, run: Run) -> None:
    path = write_all_arrays(tmp_path / "faces.h5")
    assert faults_of(run, path) == []
    spoil, expected = FACES_FAULTS[name]
    with h5py.File(path, "r+") as h5:
        spoil(h5)
    (fault,) = faults_of(run, path)
    assert expected in fault


@pytest.mark.usefixtures("small_blocks")
def test_points_without_crops_lie_by_their_boxes(tmp_path: Path, run: Run) -> None:
    path = write_all_arrays(tmp_path / "faces.h5", with_images=False)
    with h5py.File(path, "r+") as h5:
        h5["landmarks"][...] = h5["box"][...][:, None, :2] + np.linspace(0, 18, 68)[:, None]
    assert faults_of(run, path) == []
    with h5py.File(path, "r+") as h5:
        h5["landmarks"][6, 3, 1] = -16
        h5["landmarks"][7, 3, 1] = -23
    assert "1 of 12 faces have points far from their box: 'set/ann3_7.jpg'" in faults_of(run, path)[0]


@pytest.mark.in_child
@pytest.mark.usefixtures("small_blocks")
def test_damaged_chunks_are_found(tmp_path: Path, run: Run) -> None:
    """All of a compressed array is read."""
    path = write_all_arrays(tmp_path / "faces.h5")
    with h5py.File(path, "r+") as h5:
        noise = np.random.default_rng(0).integers(0, 255, (N, SIDE, SIDE, 3), np.uint8)
        for name, values in (("image", noise), ("landmarks", h5["landmarks"][...])):
            attributes = dict(h5[name].attrs)
            del h5[name]
            array = h5.create_dataset(name, data=values, chunks=(1, *values.shape[1:]), compression="gzip")
            array.attrs.update(attributes)
    assert report_of(path)["image"]["stored"] == "gzip"
    assert faults_of(run, path) == []
    with h5py.File(path) as h5:
        places = {name: h5[name].id.get_chunk_info(6).byte_offset for name in ("image", "landmarks")}

    def damage(name: str) -> None:
        with path.open("r+b") as stream:
            stream.seek(places[name])
            stream.write(b"\xff" * 40)

    damage("image")
    (fault,) = faults_of(run, path)
    assert fault.startswith("/image: rows from 6 on cannot be read: ")
    damage("landmarks")
    status, out, said = run(path)
    assert (status, out, said.startswith(f"kd-info: error: {path}:/landmarks: a packed chunk of ")) == (1, "", True)


def rewrite(path: Path, change: Callable[[dict[str, Any], dict[str, Any]], Any]) -> None:
    """Change the tensors and fields of a model file."""
    with safe_open(path, framework="np") as stored:
        tensors = {name: stored.get_tensor(name).copy() for name in stored.keys()}  # noqa: SIM118
        fields = json.loads(stored.metadata()["kdtools"])
    change(tensors, fields)
    save_file(tensors, path, {"kdtools": json.dumps(fields)})


MODEL_FAULTS: dict[str, tuple[Callable[[dict[str, Any], dict[str, Any]], Any], str]] = {
    "nan": (lambda t, f: t["head.weight"].__setitem__((0, 1), np.nan), "head.weight: 1 of "),
    "head": (lambda t, f: t.pop("head.weight"), "head: its weights have shape ()"),
    "points": (lambda t, f: t.update({"head.bias": np.zeros(10, np.float32)}), "the scheme has 68 points"),
    "backbone": (lambda t, f: [t.pop(k) for k in list(t) if k.startswith("backbone")], "no tensors of a backbone"),
    "std": (lambda t, f: f.update(std=[1, 0, 1]), "its normalisation"),
    "scheme": (lambda t, f: f["scheme"].update(mirror=[1]), "its description is damaged"),
    "missing": (lambda t, f: f.pop("crop"), "its description is damaged"),
}


@pytest.mark.parametrize("name", MODEL_FAULTS)
def test_faults_of_a_model(name: str, tmp_path: Path, run: Run, network: LandmarkNet) -> None:
    path = tmp_path / "m.safetensors"
    save_model(path, network, Provenance("x"))
    assert faults_of(run, path) == []
    spoil, expected = MODEL_FAULTS[name]
    rewrite(path, spoil)
    (fault,) = faults_of(run, path)
    assert expected in fault


def test_faults_of_a_heatmap_model(tmp_path: Path, run: Run, network: LandmarkNet) -> None:
    path = tmp_path / "m.safetensors"
    save_model(path, LandmarkNet(replace(network.card, head="heatmap")), Provenance("x"))
    assert faults_of(run, path) == []
    assert run(path, "--value", "head") == (0, "heatmap\n", "")
    rewrite(path, lambda t, f: t.update({"head.last.weight": t["head.last.weight"][:136]}))
    assert ["its weights have shape (136, 128, 1, 1)" in fault for fault in faults_of(run, path)] == [True]
    rewrite(path, lambda t, f: f.update(head="other"))
    assert "'other' is not known" in faults_of(run, path)[0]


@pytest.mark.parametrize("head", HEADS)
def test_faults_of_a_model_of_several_conventions(head: str, tmp_path: Path, run: Run, network: LandmarkNet) -> None:
    path = tmp_path / "m.safetensors"
    conventions = (Convention("300w/helen", (0.25, 0.0)), Convention("300w/lfpw"), Convention("cofw"))
    card = replace(network.card, head=head, conventions=conventions, convention="300w")
    save_model(path, LandmarkNet(card), Provenance("x"))
    assert faults_of(run, path) == []
    rewrite(path, lambda t, f: f.update(convention="wflw"))
    assert ["'wflw' is none of 300w, cofw" in fault for fault in faults_of(run, path)] == [True]
    rewrite(path, lambda t, f: f.update(convention="cofw", conventions={"cofw": {}}))
    assert any("['300w', 'cofw'] instead of the last layers of cofw" in fault for fault in faults_of(run, path))
    rewrite(path, lambda t, f: f.update(layers=["cofw"]))
    assert ["its weights have shape" in fault for fault in faults_of(run, path)] == [True]
    rewrite(path, lambda t, f: f.update(conventions={"a": {}, "b": {}, "cofw": {}}, layers=["a", "b", "cofw"]))
    assert ["68 points and the network 3 annotation conventions" in fault for fault in faults_of(run, path)] == [True]


def test_bundled_networks_are_sound(run: Run) -> None:
    for name in bundled_names():
        assert faults_of(run, Path(name)) == []


def test_faults_of_an_exported_model(tmp_path: Path, run: Run, network: LandmarkNet) -> None:
    save_model(tmp_path / "m.safetensors", network, Provenance("x"))
    path = write_onnx(tmp_path / "m.onnx", tmp_path / "m.safetensors")
    assert faults_of(run, path) == []
    model = onnx.load(path)
    values = np.ones((3, 136), np.float32)
    values[1, 1] = np.nan
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(values, "w"))
    model.graph.input[0].type.tensor_type.shape.dim[3].dim_value = 64
    output = model.graph.output[0].name
    model.graph.node.append(onnx.helper.make_node("Identity", [output], ["confidence"]))
    model.graph.output.append(onnx.helper.make_tensor_value_info("confidence", onnx.TensorProto.FLOAT, ["B", 68, 2]))
    path.write_bytes(model.SerializeToString())
    assert faults_of(run, path) == [
        "no input has the shape (B, 3, 32, 32)",
        "no confidence has the shape (B, 68)",
        "w: 1 of 408 values are not finite",
    ]


def test_check_of_several(tmp_path: Path, run: Run) -> None:
    good, bad = write_all_arrays(tmp_path / "good.h5"), write_all_arrays(tmp_path / "bad.h5")
    with h5py.File(bad, "r+") as h5:
        h5["score"][1] = np.inf
    status, out, said = run("--check", good, bad)
    assert (status, len(out.splitlines())) == (3, 1)
    assert said == f"kd-info: {good}: sound\nkd-info: {bad}: not sound\n"
    assert run("--check", "-q", good) == (0, "", "")


def test_real_files(shared_dir: Path, run: Run) -> None:
    path = shared_dir / "golden/300wpublic_truth.h5"
    assert run(path, "--value", "subsets.ibug") == (0, "135\n", "")
    assert run(path, "--check", "-q") == (0, "", "")


def test_the_face_finder_is_known_by_its_name(run: Run) -> None:
    """As kd-info --bundled lists it."""
    assert run("finder", "--value", "kind")[1].strip() == "face finder"
    assert run("finder", "--value", "detector.sha256")[1].strip() == sha256_of(finder_file() or "")
    assert "non-commercial" in run("finder", "--value", "terms")[1]
    assert run("finder", "--check")[:2] == (0, "")
    report = json.loads(run("finder", "--json")[1])
    assert {name for name, _ in flatten(report) if not name.startswith(("terms", "trained_on", "teachers"))} <= {
        *FIELDS
    }
