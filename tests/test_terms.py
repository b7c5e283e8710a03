"""Terms travel: from the import of a data set to whatever is made from it, and none is lost on the way."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import pytest
from contract.running import run_tool, succeed
from factories import drawn_faces, write_faces

from kdtools.errors import DataError
from kdtools.faces.file import open_faces
from kdtools.faces.lineage import lineage_of_faces
from kdtools.model.card import lineage_of_model
from kdtools.storage.lineage import NOT_STATED, Lineage
from kdtools.storage.provenance import Provenance

TINY = "--init none --arch test_resnet --input-size 32 --epochs 1 --batch 8 --device cpu"


def lineage_in(path: Path) -> Lineage:
    with open_faces(path) as faces:
        return lineage_of_faces(faces)


def faces_of(path: Path, lineage: Lineage, seed: int = 1) -> Path:
    images, points = drawn_faces(10, 48, seed=seed)
    ids = [f"{path.stem}{k}" for k in range(10)]
    return write_faces(path, images=images, landmarks=points, ids=ids, provenance=Provenance("test", lineage=lineage))


# ---- the rules
def test_all_that_went_into_both() -> None:
    one = Lineage.of_data(["b", "a"], "research") | Lineage.of_data(["c"])
    other = Lineage.of_data(["c"], "free") | Lineage.of_data(["a"], "no sale")
    both = one | other.as_teacher("big")
    assert both == other.as_teacher("big") | one
    assert both.data == ("a", "b", "c")
    assert both.teachers == ("big",)
    assert both.terms == {"a": "no sale; research", "b": "research", "c": "free"}
    assert both | both == both


def test_what_says_nothing_is_noted_as_such() -> None:
    assert Lineage().as_teacher("old").terms == {"old": NOT_STATED}
    assert Lineage().as_start("timm").of_model() == {"start_weights": ["timm"], "terms": {"timm": NOT_STATED}}
    assert Lineage.of_data(["x"]).as_start("own").terms == {"x": NOT_STATED}
    assert Lineage().of_faces() == Lineage().of_model() == {}


def test_one_text_holds_for_all_data() -> None:
    lineage = Lineage.from_model({"trained_on": ["b", "a"], "terms": "research"})
    assert lineage.terms == {"a": "research", "b": "research"}
    assert Lineage.from_model(lineage.of_model()) == lineage
    assert Lineage.from_faces(lineage.of_faces()) == lineage


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("terms", "{"),
        ("terms", "[1]"),
        ("terms", '{"a": 1}'),
        ("teachers", '"x"'),
        ("data_sets", "[1]"),
        ("terms", "3"),
    ],
)
def test_damage_is_named(key: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="terms"):
        Lineage.from_faces({key: text})
    path = write_faces(tmp_path / "x.h5", drawn_faces(2, 48, seed=1)[1])
    with h5py.File(path, "a") as h5:
        h5.attrs[key] = text
    assert "cannot be read" in run_tool("kd-info", path).stderr
    assert b"cannot be read" in run_tool("kd-info", "--check", path).stdout
    result = run_tool("kd-merge", path, "-o", tmp_path / "y.h5")
    assert result.status == 1
    assert "x.h5" in result.stderr


def test_many_are_shortened_in_messages() -> None:
    lineage = Lineage.of_data([f"set{k:03d}" for k in range(100)], "free") | Lineage.of_data(["own"])
    assert lineage.sentence() == "not stated (own); free (set000, set001, set002, set003, set004 and 95 more)"


# ---- the tools
def test_import_notes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    faces_of(tmp_path / "f.h5", Lineage())
    (tmp_path / "set one").mkdir()
    succeed(
        run_tool("kd-dump", "f.h5", "--crops", "set one/pictures", "--format", "jsonl", "-o", "set one/points.jsonl")
    )
    succeed(run_tool("kd-import", "set one", "--terms", " for\nresearch  only ", "-o", "a.h5"))
    assert lineage_in(tmp_path / "a.h5") == Lineage.of_data(["set one"], "for research only")
    succeed(run_tool("kd-import", "set one/../set one/", "-o", "b.h5"))
    assert lineage_in(tmp_path / "b.h5") == Lineage.of_data(["set one"])
    monkeypatch.chdir(tmp_path / "set one")
    succeed(run_tool("kd-import", ".", "-o", "../c.h5"))
    assert lineage_in(tmp_path / "c.h5").data == ("set one",)
    assert run_tool("kd-info", "../a.h5", "--value", "terms").stdout == b"set one\tfor research only\n"
    for words, told in (("  ", "--terms is empty"), ("x" * 1001, "1001 characters")):
        result = run_tool("kd-import", ".", "--terms", words, "-o", "../d.h5")
        assert result.status == 2
        assert told in result.stderr


def test_faces_hand_them_on(tmp_path: Path) -> None:
    one, other = Lineage.of_data(["one"], "research"), Lineage.of_data(["other"])
    a, b = faces_of(tmp_path / "a.h5", one), faces_of(tmp_path / "b.h5", other, seed=2)
    outputs = {name: tmp_path / f"{name}.h5" for name in ("merged", "virtual", "part", "left", "right", "soft", "pred")}
    for words in (
        ("kd-merge", a, b, "-o", outputs["merged"]),
        ("kd-merge", a, b, "--virtual", "-o", outputs["virtual"]),
        ("kd-merge", a, b, "--ids", "a*", "-o", outputs["part"]),
        ("kd-split", outputs["merged"], "-o", outputs["left"], "--rest", outputs["right"]),
        ("kd-asm", a, "-o", outputs["soft"]),
        ("kd-predict", "face68", a, "-o", outputs["pred"]),
    ):
        succeed(run_tool(*words))
    for name in ("merged", "virtual", "left", "right"):
        assert lineage_in(outputs[name]) == one | other, name
    assert lineage_in(outputs["part"]) == lineage_in(outputs["soft"]) == one
    assert lineage_in(outputs["pred"]) == one | lineage_of_model("face68").as_teacher("face68")


def test_networks_carry_all_that_is_behind_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A student of a teacher of another data set, and a network that starts from this student."""
    monkeypatch.chdir(tmp_path)
    lineages = {name: Lineage.of_data([name.upper()], f"terms of {name}") for name in ("a", "b", "c")}
    for seed, (name, lineage) in enumerate(lineages.items()):
        faces_of(tmp_path / f"{name}.h5", lineage, seed)
    succeed(run_tool("kd-teacher", "b.h5", *TINY.split(), "-o", "big.safetensors"))
    succeed(run_tool("kd-predict", "big.safetensors", "a.h5", "--backend", "torch", "-o", "big.h5"))
    for number, teacher in enumerate(("big.h5", "big.safetensors")):
        words = ("a.h5", "--val", "c.h5", "--tough", teacher, "--loss", "l1+mimic", *TINY.split())
        result = succeed(run_tool("kd-student", *words, "-o", f"s{number}.safetensors"))
        assert result.stderr.count("bound by the terms") == 1
        assert "terms of a (A); terms of b (B); terms of c (C)" in result.stderr
        expected = (lineages["a"] | lineages["b"] | lineages["c"]).as_teacher("big")
        assert lineage_of_model(f"s{number}.safetensors") == expected
    succeed(run_tool("kd-export", "s0.safetensors", "-o", "s.onnx"))
    assert lineage_of_model("s.onnx") == expected
    fields = json.loads(run_tool("kd-info", "s.onnx", "--json").stdout)
    assert fields["trained_on"] == ["A", "B", "C"]
    assert fields["terms"]["B"] == "terms of b"
    write_faces(tmp_path / "old.h5", images=drawn_faces(10, 48, 5)[0], landmarks=drawn_faces(10, 48, 5)[1])
    words = ("old.h5", "--loss", "l1", *TINY.split(), "--init", "s1.safetensors")
    succeed(run_tool("kd-student", *words, "-o", "next.safetensors"))
    assert lineage_of_model("next.safetensors") == expected.as_start("s1") | Lineage.of_data(["old.h5"])


def test_cross_fitted_predictions_name_their_teacher(tmp_path: Path) -> None:
    faces = faces_of(tmp_path / "a.h5", Lineage.of_data(["A"], "research"))
    result = succeed(run_tool("kd-teacher", faces, "--folds", "2", *TINY.split(), "-o", tmp_path / "fitted.h5"))
    assert result.stderr.count("bound by the terms") == 1
    assert lineage_in(tmp_path / "fitted.h5") == Lineage.of_data(["A"], "research").as_teacher("fitted")
