"""Exported models of other makers: refused before they run or by their first answers, or right in all they answer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from contract.running import wait_for
from factories import plain_images, write_faces
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file, save_file

from kdtools import onnx_session
from kdtools.errors import FileError
from kdtools.parallel import map_bounded
from kdtools.prediction.engines import load_engine
from kdtools.prediction.engines.onnx import OnnxEngine
from kdtools.storage.onnx_guard import check_onnx, read_onnx
from kdtools.storage.tensor_file import open_tensors

FLOAT, L, S = TensorProto.FLOAT, 68, 32
Maker = Callable[..., Path]
BESIDE = "beside.bin"


def array(values: Any, name: str) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(values), name)


def outside(name: str, location: str = BESIDE) -> onnx.TensorProto:
    """A weight that lies in another file."""
    tensor = onnx.TensorProto(name=name, data_type=FLOAT, dims=[3, 2 * L], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", "0"), ("length", str(3 * 2 * L * 4))):
        tensor.external_data.add(key=key, value=value)
    return tensor


WEIGHT = array(np.random.default_rng(0).normal(0, 0.1, (3, 2 * L)).astype(np.float32), "w")
SHAPE = array(np.array([-1, L, 2]), "shape")
MEAN = helper.make_node("ReduceMean", ["images"], ["m"], axes=[2, 3], keepdims=0)
POINTS = [helper.make_node("MatMul", ["m", "w"], ["y"]), helper.make_node("Reshape", ["y", "shape"], ["landmarks"])]
INPUT_INFO = ("images", FLOAT, ["b", 3, S, S])
OUTPUT_INFO = ("landmarks", FLOAT, ["b", L, 2])


@pytest.fixture
def make(tiny_onnx: Path, tmp_path: Path) -> Maker:
    """Writes a model of these nodes with the description of a sound one."""
    fields = next(item.value for item in onnx.load(tiny_onnx).metadata_props if item.key == "kdtools")

    def make_model(
        nodes: Sequence[onnx.NodeProto],
        weights: Sequence[onnx.TensorProto] = (WEIGHT, SHAPE),
        *,
        taken: tuple[Any, ...] = INPUT_INFO,
        returned: tuple[Any, ...] = OUTPUT_INFO,
        functions: Sequence[onnx.FunctionProto] = (),
        sparse: Sequence[onnx.SparseTensorProto] = (),
    ) -> Path:
        graph = helper.make_graph(
            list(nodes),
            "g",
            [helper.make_tensor_value_info(*taken)],
            [helper.make_tensor_value_info(*returned)],
            list(weights),
            sparse_initializer=list(sparse),
        )
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
        model = helper.make_model(graph, opset_imports=opsets, functions=list(functions), ir_version=8)
        helper.set_model_props(model, {"kdtools": fields})
        path = tmp_path / "model.onnx"
        path.write_bytes(model.SerializeToString())
        (tmp_path / BESIDE).write_bytes(np.full(3 * 2 * L, 0.1, np.float32).tobytes())
        return path

    return make_model


def test_a_sound_model_passes(make: Maker, tiny_onnx: Path) -> None:
    for path in (make([MEAN, *POINTS]), tiny_onnx):
        engine = OnnxEngine(path, 1)
        points, confidence = engine.predict(np.zeros((3, engine.card.input_size, engine.card.input_size, 3), np.uint8))
        assert (points.shape, confidence) == ((3, 68, 2), None)


# ---- files that a graph reads
def subgraph(*weights: onnx.TensorProto, nodes: Sequence[onnx.NodeProto] = ()) -> onnx.GraphProto:
    nodes = nodes or [helper.make_node("Identity", [weights[0].name], ["out"])]
    return helper.make_graph(nodes, "s", [], [helper.make_tensor_value_info("out", FLOAT, [3, 2 * L])], weights)


def constant(tensor: onnx.TensorProto, name: str = "w") -> onnx.NodeProto:
    node = helper.make_node("Constant", [], [name])
    node.attribute.append(onnx.AttributeProto(name="value", type=onnx.AttributeProto.TENSOR, t=tensor))
    return node


def own_function(*nodes: onnx.NodeProto, defaults: Sequence[onnx.AttributeProto] = ()) -> onnx.FunctionProto:
    function = helper.make_function("own", "F", [], ["w"], nodes, [helper.make_opsetid("", 17)])
    function.attribute_proto.extend(defaults)
    return function


CONDITION = array(np.array(True), "yes")
BRANCH = subgraph(outside("v"))
IF = helper.make_node("If", ["yes"], ["w"], then_branch=BRANCH, else_branch=BRANCH)
NESTED = subgraph(nodes=[helper.make_node("If", ["yes"], ["out"], then_branch=BRANCH, else_branch=BRANCH)])
CALL = helper.make_node("F", [], ["w"], domain="own")
DEFAULT = onnx.AttributeProto(name="value", type=onnx.AttributeProto.TENSOR, t=outside("v"))
MANY = onnx.AttributeProto(name="v", type=onnx.AttributeProto.TENSORS, tensors=[outside("v")])
READERS: dict[str, dict[str, Any]] = {
    "weight": {"nodes": [MEAN, *POINTS], "weights": [outside("w"), SHAPE]},
    "above": {"nodes": [MEAN, *POINTS], "weights": [outside("w", "../" + BESIDE), SHAPE]},
    "absolute": {"nodes": [MEAN, *POINTS], "weights": [outside("w", "/etc/passwd"), SHAPE]},
    "memory": {"nodes": [MEAN, *POINTS], "weights": [outside("w", "*/_ORT_MEM_ADDR_/*"), SHAPE]},
    "constant": {"nodes": [constant(outside("v")), MEAN, *POINTS], "weights": [SHAPE]},
    "branch": {"nodes": [IF, MEAN, *POINTS], "weights": [SHAPE, CONDITION]},
    "nested": {
        "nodes": [helper.make_node("If", ["yes"], ["w"], then_branch=NESTED, else_branch=NESTED), MEAN, *POINTS],
        "weights": [SHAPE, CONDITION],
    },
    "function": {
        "nodes": [CALL, MEAN, *POINTS],
        "weights": [SHAPE],
        "functions": [own_function(constant(outside("v")))],
    },
    "function's default": {
        "nodes": [CALL, MEAN, *POINTS],
        "weights": [SHAPE],
        "functions": [own_function(constant(WEIGHT), defaults=[DEFAULT])],
    },
    "list": {
        "nodes": [onnx.NodeProto(op_type="F", domain="own", output=["w"], attribute=[MANY]), MEAN, *POINTS],
        "weights": [SHAPE],
    },
}


@pytest.mark.parametrize("kind", READERS)
def test_a_graph_that_reads_another_file_is_refused(kind: str, make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """By kdtools: ONNX Runtime does not see it."""
    monkeypatch.setattr("onnxruntime.InferenceSession", lambda *_, **__: pytest.fail("given to ONNX Runtime"))
    with pytest.raises(FileError, match="are in another file"):
        load_engine(make(**READERS[kind]))


def test_the_location_alone_is_enough_to_refuse() -> None:
    tensor = onnx.TensorProto(name="w", data_type=FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    model = helper.make_model(helper.make_graph([], "g", [], [], [tensor]))
    with pytest.raises(FileError, match="are in another file"):
        check_onnx(model.SerializeToString(), "m")


def test_a_detector_reads_no_other_file_either(make: Maker) -> None:
    from kdtools.images.detection.yunet import YuNetDetector

    with pytest.raises(FileError, match="are in another file"):
        YuNetDetector(str(make(**READERS["weight"])))


# ---- sizes that are claimed
def test_arrays_are_no_larger_than_what_the_file_holds(make: Maker) -> None:
    raw = onnx.TensorProto(name="w", data_type=FLOAT, dims=[10**6, 10**6], raw_data=bytes(16))
    typed = onnx.TensorProto(name="w", data_type=FLOAT, dims=[10**10], float_data=[1.0, 2.0])
    empty = onnx.TensorProto(name="w", data_type=FLOAT, dims=[2**40])
    texts = onnx.TensorProto(name="w", data_type=TensorProto.STRING, dims=[2**40], string_data=[b"a"])
    negative = onnx.TensorProto(name="w", data_type=FLOAT, dims=[-1], raw_data=bytes(4))
    for tensor in (raw, typed, empty, texts, negative):
        with pytest.raises(FileError, match="larger than what the file holds"):
            read_onnx(make([MEAN, *POINTS], [tensor, SHAPE]))
    values, places = array(np.float32([1.0]), "w"), array(np.array([3]), "i")
    with pytest.raises(FileError, match="sparse"):
        read_onnx(
            make([MEAN, *POINTS], [SHAPE], sparse=[onnx.SparseTensorProto(values=values, indices=places, dims=[9])])
        )
    for kind in (np.float16, np.float64, np.int8, np.uint8, np.int64, np.bool_, np.complex64):
        read_onnx(make([MEAN, *POINTS], [array(np.ones(5, kind), "w"), SHAPE]))


def test_memory_is_limited(make: Maker) -> None:
    """Both where the graph is opened, since constants are computed then, and where it is run."""
    huge, wide = array(np.array([10**11]), "huge"), array(np.array([10**5, 10**6]), "huge")
    fill = helper.make_node("ConstantOfShape", ["huge"], ["k"])
    spread = helper.make_node("Expand", ["s0", "huge"], ["k"])
    first = helper.make_node("ReduceMean", ["m"], ["s0"], axes=[0, 1], keepdims=1)
    end = [
        helper.make_node("ReduceMean", ["k"], ["s"], keepdims=0),
        helper.make_node("Add", ["landmarks0", "s"], ["landmarks"]),
    ]
    points = [POINTS[0], helper.make_node("Reshape", ["y", "shape"], ["landmarks0"])]
    for nodes, size in (([MEAN, *points, fill, *end], huge), ([MEAN, *points, first, spread, *end], wide)):
        with pytest.raises(FileError, match="more memory than there is for it"):
            OnnxEngine(make(nodes, [WEIGHT, SHAPE, size]), 1)


@pytest.mark.parametrize("n_levels", [1, 15, 19, 40])
def test_functions_that_call_functions_are_bounded(n_levels: int, make: Maker) -> None:
    """Each calls the next one twice: 40 levels are 10^12 nodes, of which ONNX Runtime would never come to the end."""
    own = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    functions = []
    for level in range(n_levels):
        inner, domain = ("Identity", "") if level == n_levels - 1 else (f"F{level + 1}", "own")
        calls = [helper.make_node(inner, [a], [b], domain=domain) for a, b in (("x", "t"), ("t", "y"))]
        functions.append(helper.make_function("own", f"F{level}", ["x"], ["y"], calls, own))
    path = make([MEAN, helper.make_node("F0", ["m"], ["m2"], domain="own"), *POINTS], functions=functions)
    if n_levels < 18:
        read_onnx(path)
    else:
        with pytest.raises(FileError, match=r"more than 200000 nodes|functions that call functions"):
            read_onnx(path)


def test_damage_anywhere_is_an_error_that_names_the_file(make: Maker) -> None:
    content = make([IF, MEAN, *POINTS], [SHAPE, CONDITION]).read_bytes()
    for length in range(0, len(content), 7):
        try:
            check_onnx(content[:length], "model")
        except FileError as error:
            assert error.message.startswith("model: ")  # noqa: PT017
    deep = subgraph(WEIGHT)
    for _ in range(25):
        deep = subgraph(
            nodes=[helper.make_node("If", ["yes"], ["out"], then_branch=deep, else_branch=subgraph(WEIGHT))]
        )
    node = helper.make_node("If", ["yes"], ["w"], then_branch=deep, else_branch=deep)
    with pytest.raises(FileError, match="graphs within graphs"):
        check_onnx(helper.make_model(helper.make_graph([node], "g", [], [], [])).SerializeToString(), "m")


def test_a_file_of_onnx_runtimes_own_format_is_not_taken_for_onnx(make: Maker) -> None:
    """Bytes 4 to 8 are its mark; a maker's name can put them there, and another reader would see another file."""
    model = onnx.load(make([MEAN, *POINTS]))
    rest = model.SerializeToString().removeprefix(b"\x08\x08")
    path = make([MEAN, *POINTS])
    path.write_bytes(b"\x08\x08\x12\x04ORTM" + rest)
    assert path.read_bytes()[4:8] == b"ORTM"
    OnnxEngine(path, 1)


# ---- names, types, shapes
CAST = helper.make_node("Cast", ["landmarks0"], ["landmarks"], to=TensorProto.INT64)
TO_CAST = helper.make_node("Reshape", ["y", "shape"], ["landmarks0"])
ODD_INTERFACES: dict[str, tuple[str, dict[str, Any]]] = {
    "input name": (
        "has 'pixels' as input, not 'images'",
        {
            "nodes": [helper.make_node("ReduceMean", ["pixels"], ["m"], axes=[2, 3], keepdims=0), *POINTS],
            "taken": ("pixels", *INPUT_INFO[1:]),
        },
    ),
    "output name": (
        "has 'y' as output, not 'landmarks'",
        {"nodes": [MEAN, POINTS[0]], "weights": [WEIGHT], "returned": ("y", FLOAT, ["b", 2 * L])},
    ),
    "input type": (
        "'images' is tensor.double., not tensor.float.",
        {
            "nodes": [
                helper.make_node("Cast", ["images"], ["i"], to=FLOAT),
                helper.make_node("ReduceMean", ["i"], ["m"], axes=[2, 3], keepdims=0),
                *POINTS,
            ],
            "taken": ("images", TensorProto.DOUBLE, ["b", 3, S, S]),
        },
    ),
    "output type": (
        "'landmarks' is tensor.int64., not tensor.float.",
        {"nodes": [MEAN, POINTS[0], TO_CAST, CAST], "returned": ("landmarks", TensorProto.INT64, ["b", L, 2])},
    ),
    "fewer points": (
        r"'landmarks' is of shape \(b, 34, 2\), not \(batch, 68, 2\)",
        {
            "nodes": [MEAN, *POINTS],
            "weights": [array(np.zeros((3, 68), np.float32), "w"), array(np.array([-1, 34, 2]), "shape")],
            "returned": ("landmarks", FLOAT, ["b", 34, 2]),
        },
    ),
    "unsaid fewer points": (
        r"of shape \((2|\?), 34, 2\)",
        {
            "nodes": [MEAN, *POINTS],
            "weights": [array(np.zeros((3, 68), np.float32), "w"), array(np.array([-1, 34, 2]), "shape")],
            "returned": ("landmarks", FLOAT, None),
        },
    ),
    "flat": (
        r"'landmarks' is of shape \(b, 136\)",
        {
            "nodes": [MEAN, helper.make_node("MatMul", ["m", "w"], ["landmarks"])],
            "weights": [WEIGHT],
            "returned": ("landmarks", FLOAT, ["b", 136]),
        },
    ),
    "another size": (
        r"'images' is of shape \(b, 3, 48, 48\), not \(batch, 3, 32, 32\)",
        {"nodes": [MEAN, *POINTS], "taken": ("images", FLOAT, ["b", 3, 48, 48])},
    ),
    "a fixed batch": (
        r"'images' is of shape \(1, 3, 32, 32\), not \(batch, 3, 32, 32\)",
        {
            "nodes": [MEAN, *POINTS],
            "taken": ("images", FLOAT, [1, 3, S, S]),
            "returned": ("landmarks", FLOAT, [1, L, 2]),
        },
    ),
}


@pytest.mark.parametrize("kind", ODD_INTERFACES)
def test_names_types_and_shapes_are_those_of_an_export(kind: str, make: Maker) -> None:
    message, options = ODD_INTERFACES[kind]
    with pytest.raises(FileError, match=message) as error:
        OnnxEngine(make(**options), 1)
    assert error.value.hint


# ---- answers
def test_answers_that_are_no_points_are_refused(make: Maker) -> None:
    for value in (np.nan, np.inf, 3e38, 1e9):
        weight = array(np.full((3, 2 * L), value, np.float32), "w")
        with pytest.raises(FileError, match="not numbers, or far away, for 2 of 2 crops"):
            OnnxEngine(make([MEAN, *POINTS], [weight, SHAPE]), 1)
    with pytest.raises(FileError, match="the same points for different pictures"):
        OnnxEngine(make([MEAN, *POINTS], [array(np.zeros((3, 2 * L), np.float32), "w"), SHAPE]), 1)


def test_answers_are_those_of_the_picture_whatever_its_place(make: Maker) -> None:
    """One answer for a batch, the answers in another order, and a part of the neighbours' are each refused."""
    mean_of_all = helper.make_node("ReduceMean", ["m"], ["a"], axes=[0], keepdims=1)
    one = [MEAN, mean_of_all, helper.make_node("Sub", ["m", "m"], ["z"]), helper.make_node("Add", ["z", "a"], ["m2"])]
    part = [MEAN, mean_of_all, helper.make_node("Sub", ["m", "a"], ["d"]), helper.make_node("Add", ["d", "m"], ["m2"])]
    ends = [array(np.array([value]), name) for value, name in ((-1, "start"), (-(2**31), "end"), (0, "axis"))]
    step = array(np.array([-1]), "step")
    turned = [MEAN, helper.make_node("Slice", ["m", "start", "end", "axis", "step"], ["m2"])]
    points = [helper.make_node("MatMul", ["m2", "w"], ["y"]), POINTS[1]]
    for nodes, message in (
        (one, "depend on the others in the batch|same points"),
        (part, "depend on the others in the batch"),
        (turned, "depend on the others in the batch"),
    ):
        with pytest.raises(FileError, match=message):
            OnnxEngine(make([*nodes, *points], [WEIGHT, SHAPE, *ends, step]), 1)
    first = [helper.make_node("ReduceMean", ["images"], ["m2"], axes=[0, 2, 3], keepdims=0)]
    with pytest.raises(FileError, match=r"of shape \(1, 68, 2\)"):
        OnnxEngine(make([*first, *points]), 1)


def test_answers_to_later_pictures_are_checked_too(make: Maker) -> None:
    """A white picture gives the root of a negative number."""
    bright = [helper.make_node("Sub", ["limit", "m"], ["d"]), helper.make_node("Sqrt", ["d"], ["m2"])]
    points = [helper.make_node("MatMul", ["m2", "w"], ["y"]), POINTS[1]]
    engine = OnnxEngine(make([MEAN, *bright, *points], [WEIGHT, SHAPE, array(np.float32(0.99), "limit")]), 1)
    crops = plain_images(5, S)
    engine.predict(crops)
    crops[2] = 255
    with pytest.raises(FileError, match="for 1 of 5 crops"):
        engine.predict(crops)


# ---- time
def endless(always: bool) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """A model that never answers, or that answers unless a picture is white."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["co"]), helper.make_node("Identity", ["v"], ["vo"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", FLOAT, None),
        ],
        [helper.make_tensor_value_info("co", TensorProto.BOOL, []), helper.make_tensor_value_info("vo", FLOAT, None)],
    )
    nodes = [
        helper.make_node("ReduceMax", ["images"], ["most"], keepdims=0),
        helper.make_node("ReduceMin", ["images"], ["least"], keepdims=0),
        helper.make_node("Greater", ["least" if not always else "large", "limit"], ["go"]),
        helper.make_node("Loop", ["n", "go", "y"], ["yy"], body=body),
        helper.make_node("Reshape", ["yy", "shape"], ["landmarks"]),
    ]
    limits = [array(np.float32(0.99), "limit"), array(np.float32(1), "large"), array(np.array(2**62), "n")]
    return [MEAN, POINTS[0], *nodes], [WEIGHT, SHAPE, *limits]


def test_a_loop_without_an_end_is_refused(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_session, "_PROBE_SECONDS", 0.3)
    with pytest.raises(FileError, match="has not answered after"):
        OnnxEngine(make(*endless(True)), 1)


def test_a_worker_that_never_comes_back_is_ended(make: Maker) -> None:
    """By an error of another one, as by a signal."""
    engine, black, white = OnnxEngine(make(*endless(False)), 1), plain_images(1, S), plain_images(1, S, 255)

    def work(crops: np.ndarray | None) -> None:
        if crops is None:
            time.sleep(0.2)  # until the other one is at work
            raise FileError("no")
        engine.predict(crops)

    with pytest.raises(FileError, match="no"):
        list(map_bounded(work, [black, None, white, black, black], 2))


def test_a_quick_call_needs_no_other_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of as many bytes as have been answered at once; a graph that may repeat itself, and a slow one, need it."""

    class Slow:
        """As a session of ONNX Runtime; says in which thread it is called."""

        seconds = 0.0

        def run(self, *_: object) -> list[np.ndarray]:
            time.sleep(self.seconds)
            return [np.array(threading.get_ident() == threading.main_thread().ident)]

    def in_main_thread(session: onnx_session.Session, n_bytes: int) -> bool:
        (answer,) = session.run(["landmarks"], {"images": np.zeros(n_bytes, np.uint8)})
        return bool(answer)

    monkeypatch.setattr(onnx_session, "_AT_ONCE", 0.05)
    quick, slow = onnx_session.Session("m", Slow(), repeats=False), Slow()
    assert [in_main_thread(quick, n) for n in (10, 10, 9, 11, 11)] == [False, True, True, False, True]
    slow.seconds = 0.06
    for session in (onnx_session.Session("m", slow, repeats=False), onnx_session.Session("m", Slow(), repeats=True)):
        assert [in_main_thread(session, 10) for _ in range(3)] == [False] * 3


def cpu_seconds(process: int) -> float:
    """Seconds of computing that a process has had."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize(("always", "number", "status"), [(True, signal.SIGINT, 130), (False, signal.SIGTERM, 143)])
def test_signals_are_heard_while_a_model_runs(
    always: bool, number: int, status: int, make: Maker, tmp_path: Path
) -> None:
    model = make(*endless(always))
    faces = write_faces(tmp_path / "faces.h5", np.zeros((4, L, 2)) + 5.0, images=plain_images(4, S, 255))
    words = ["kd-predict", model, faces, "-o", tmp_path / "out.h5", "--bench"]
    run = tmp_path / "run"  # how long the process had computed when it began to run the model, for the last time
    code = (
        "import sys, time, pathlib; from kdtools import onnx_session as o\n"
        "o._PROBE_SECONDS, usual = 600.0, o.endable\n"  # the signal comes first
        f"o.endable = lambda end: pathlib.Path({str(run)!r}).write_text(str(time.process_time())) and usual(end)\n"
        "from kdtools.cli.kd_predict import main; sys.argv = sys.argv[1:]; main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    wait_for(lambda: run.exists() and cpu_seconds(process.pid) > float(run.read_text() or "inf") + 0.5, process)
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    assert process.returncode == status, said
    assert not (tmp_path / "out.h5").exists()


# ---- weights of model files
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    import torch

    from kdtools.landmarks import IBUG68
    from kdtools.landmarks.crop_rule import CropRule
    from kdtools.model.card import ModelCard
    from kdtools.model.file import create_network, load_model, save_model
    from kdtools.model.network import LandmarkNet
    from kdtools.storage.provenance import Provenance

    card = ModelCard("test_resnet", 32, IBUG68, CropRule(0.25), (0, 0, 0), (1, 1, 1))
    path = tmp_path / "m.safetensors"
    save_model(path, LandmarkNet(card), Provenance("test"))
    with open_tensors(path) as stored:
        metadata = stored.metadata
    weights = load_file(path)
    name = next(name for name in weights if name.startswith("head."))
    for value in (np.nan, np.inf):
        weights[name].flat[0] = value
        save_file(weights, path, metadata)
        with pytest.raises(FileError, match=f"{name!r} are not all numbers"):
            load_model(path, torch.device("cpu"))
        with pytest.raises(FileError, match="not all numbers"):
            create_network(card, str(path), torch.zeros(68, 2))
        with pytest.raises(FileError, match="not all numbers"):
            load_engine(path, backend="torch", device="cpu")
    for arch in ("test_resnet.no-such-tag", "test_resnet.", "test_resnet.hf-hub:stranger/x", "hf-hub:stranger/x"):
        other = json.loads(metadata["kdtools"]) | {"arch": arch}
        save_file(weights, tmp_path / "tag.safetensors", {"kdtools": json.dumps(other)})
        with pytest.raises(FileError, match=r"tag\.safetensors: timm knows no (weights|network) '"):
            load_model(tmp_path / "tag.safetensors", torch.device("cpu"))
    weights[name][...] = 1e37  # numbers, whose sums are none
    save_file(weights, path, metadata)
    with pytest.raises(FileError, match="not numbers, or far away"):
        load_engine(path, backend="torch", device="cpu")
