"""No file that is read can run code: no pickle is loaded, nothing is evaluated, XML expands no entities."""

from __future__ import annotations

import ast
import contextlib
import io
import pickle
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from reporters import NoSkips
from test_fuzz_formats import SAMPLES

from kdtools.datasets.annotations import Sources, read_annotations
from kdtools.datasets.formats import FORMATS
from kdtools.errors import KdError
from kdtools.faces.file import open_faces
from kdtools.images.reading import read_image
from kdtools.inspection.open import open_any
from kdtools.landmarks.scheme_toml import read_scheme
from kdtools.model.card import read_card
from kdtools.model.file import load_model

PACKAGE = Path(__file__).resolve().parents[2] / "kdtools"
MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "xml.etree"}
CALLS = {"eval", "exec", "compile", "__import__"}
YAML_ATTRIBUTES = {"safe_load", "YAMLError"}  # all else can build objects of any class
LOADERS = {"torch.load", "torch.hub.load", "np.load", "numpy.load", "np.fromfile", "os.system", "os.popen"}


class Bomb:
    """Unpickled, it would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.path), "w")


def hostile_files(folder: Path, mark: Path) -> list[Path]:
    """Pickles in every wrapping, under every name that a reader may look at."""
    data = pickle.dumps(Bomb(mark))
    array, arrays = io.BytesIO(), io.BytesIO()
    np.save(array, np.array([Bomb(mark)], object), allow_pickle=True)
    np.savez(arrays, np.array([Bomb(mark)], object))
    weights, archive = io.BytesIO(), io.BytesIO()
    torch.save({"head.weight": Bomb(mark)}, weights)
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("archive/data.pkl", data)
    paths = []
    for name, content in (
        *((f"a{suffix}", data) for suffix in (".pkl", ".pt", ".mat", ".h5", ".json", ".xml", ".csv", ".txt", ".toml")),
        *((f"b{suffix}", weights.getvalue()) for suffix in (".pt", ".pth", ".safetensors", ".onnx", ".h5")),
        *((f"c{suffix}", array.getvalue()) for suffix in (".npy", ".mat", ".jpg", ".pts")),
        *((f"d{suffix}", arrays.getvalue()) for suffix in (".npz", ".h5", ".slp")),
        *((f"e{suffix}", archive.getvalue()) for suffix in (".pt", ".mat", ".tsv", ".jsonl", ".ljson", ".asf")),
    ):
        paths.append(folder / name)
        paths[-1].write_bytes(content)
    return paths


def forbid(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Makes all that loads pickles fail, and tell."""
    called: list[str] = []

    def failing(what: str) -> Any:
        def fail(*args: Any, **kwargs: Any) -> Any:
            called.append(what)
            raise AssertionError(f"{what} was called")

        return fail

    for name in ("load", "loads", "Unpickler", "_Unpickler"):
        monkeypatch.setattr(pickle, name, failing(f"pickle.{name}"))
    monkeypatch.setattr(torch, "load", failing("torch.load"))
    monkeypatch.setattr(np, "load", failing("np.load"))
    return called


def test_no_reader_loads_a_pickle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark, folder = tmp_path / "mark", tmp_path / "files"
    folder.mkdir()
    files = hostile_files(folder, mark)
    sources = {name: make(tmp_path / f"set-{name}") for name, make in SAMPLES.items()}
    called = forbid(monkeypatch)

    def read_any(path: Path) -> None:
        with open_any(str(path)):
            pass

    def read_faces(path: Path) -> None:
        with open_faces(path):
            pass

    for path in files:
        readers: list[Any] = [read_any, read_faces, read_card, read_image, read_scheme]
        readers.append(lambda path: load_model(path, torch.device("cpu")))
        readers += [lambda path, name=name: read_annotations(Sources([str(path)], name)) for name in FORMATS]
        for read in readers:
            with contextlib.suppress(KdError, OSError):
                read(path)
    for name, source in sources.items():
        pictures = name in ("pfld", "yolo", "tps", "mediapipe")  # whose points depend on the sizes of pictures
        assert read_annotations(Sources([str(source)], name, pictures=pictures), NoSkips()), name
    assert called == []
    assert not mark.exists()


def test_the_source_names_nothing_that_runs_what_it_reads() -> None:
    """`pickletools`, which names the parts of a pickle without building it, is not among them."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            wrong = [name for name in names if any(name == one or name.startswith(f"{one}.") for one in MODULES)]
            if isinstance(node, ast.ImportFrom) and node.module == "yaml":
                wrong.append("from yaml import")  # hides from the next lines which loader is called
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "yaml":
                wrong += [ast.unparse(node)] if node.attr not in YAML_ATTRIBUTES else []
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                allows = any(k.arg == "allow_pickle" or (k.arg == "shell") for k in node.keywords)
                wrong += [called] if called in CALLS | LOADERS or allows else []
            found += [f"{path.name}:{getattr(node, 'lineno', 0)}: {name}" for name in wrong]
    assert found == []


def test_billion_laughs(tmp_path: Path) -> None:
    path = tmp_path / "laughs.xml"
    entities = '<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{k} "{f"&a{k - 1};" * 10}">' for k in range(1, 10))
    for declared, used in ((entities, "&a9;"), ('<!ENTITY a SYSTEM "file:///etc/passwd">', "&a;")):
        path.write_text(
            f"<?xml version='1.0'?><!DOCTYPE d [{declared}]><dataset><images><image file='a.jpg'>{used}"
            "<box top='1' left='1' width='9' height='9'/></image></images></dataset>"
        )
        began = time.process_time()
        with pytest.raises(KdError, match="declares the XML entity"):
            read_annotations(Sources([str(path)], "dlib"))
        assert time.process_time() - began < 20
