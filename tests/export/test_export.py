"""kd-export: in every precision the ONNX model answers as the original, for any batch; one that does not is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from contract.running import run_tool
from factories import drawn_faces, write_faces
from onnx import helper

from kdtools.errors import DataError
from kdtools.export import PRECISIONS
from kdtools.export.check import Agreement, Sample, compare_with_original, measure_speed, onnx_run, sample_faces
from kdtools.export.compatible import simplify
from kdtools.export.graph import export_onnx
from kdtools.export.precisions import MeasuredPrecision, recommended, split_for_calibration, why_recommended
from kdtools.landmarks import IBUG68
from kdtools.landmarks.crop_rule import CropRule
from kdtools.model.card import ModelCard, read_card
from kdtools.model.file import save_model
from kdtools.model.network import LandmarkNet
from kdtools.prediction.engines import load_engine
from kdtools.storage.provenance import Provenance

SIZE = 32
pytestmark = pytest.mark.usefixtures("graphs")  # each network is traced once


def network(seed: int, head: str = "linear") -> LandmarkNet:
    torch.manual_seed(seed)
    card = ModelCard("test_resnet", SIZE, IBUG68, CropRule(), (0.5, 0.4, 0.3), (0.2, 0.3, 0.2), head=head)
    made = LandmarkNet(card).eval()
    if head == "heatmap":
        with torch.no_grad():
            made.head.last.weight.mul_(30)  # so that points depend on what is seen
    return made


@pytest.fixture(scope="module")
def faces_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("export") / "faces.h5")
    images, points = drawn_faces(12, 48, seed=1)
    return str(write_faces(path, points, images=images))


def test_exported_model_answers_as_the_original(tmp_path: Path) -> None:
    path, original = tmp_path / "m.onnx", network(0)
    export_onnx(original, path, {"arch": "test_resnet"})
    agreement = compare_with_original(original, path, sample_faces(None, original, 8))
    assert agreement.largest_px < 1e-3
    assert agreement.n_faces == 8
    session = onnxruntime.InferenceSession(str(path))
    for batch in (1, 5):
        images = np.random.default_rng(batch).random((batch, 3, SIZE, SIZE), np.float32)
        (points,) = session.run(["landmarks"], {"images": images})
        with torch.inference_mode():
            np.testing.assert_allclose(points, original(torch.from_numpy(images)).numpy(), atol=1e-5)
    assert (onnx.load(path).ir_version, onnx.load(path).opset_import[0].version) == (7, 13)
    fields = json.loads(session.get_modelmeta().custom_metadata_map["kdtools"])
    assert fields == {"arch": "test_resnet", "precision": "float32"}
    with pytest.raises(DataError, match="differs from the original"):
        compare_with_original(network(1), path, sample_faces(None, original, 8))


def test_opencv_runs_a_network_with_heatmaps(tmp_path: Path) -> None:
    """It reads no sizes that are computed from the shapes of other maps."""
    export_onnx(network(0, "heatmap"), tmp_path / "m.onnx", {})
    model = onnx.load(tmp_path / "m.onnx")
    assert (model.ir_version, model.opset_import[0].version) == (7, 13)
    assert not {"Shape", "Concat"} & {node.op_type for node in model.graph.node}
    images = np.random.default_rng(0).random((1, 3, SIZE, SIZE), np.float32)
    opencv = cv2.dnn.readNetFromONNX(str(tmp_path / "m.onnx"))
    opencv.setInput(images)
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    np.testing.assert_allclose(
        opencv.forward("landmarks"), session.run(["landmarks"], {"images": images})[0], atol=1e-4
    )


@pytest.mark.parametrize(("before", "after"), [(7, 13), (4, 7), (5, 10), *((n, 2 * n - 1) for n in range(2, 33))])
def test_maps_are_enlarged_by_scales_of_any_size(before: int, after: int) -> None:
    """Float32 rounds 13 / 7 down, by which a map of 7 cells would become one of 12."""
    image = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 1, before, before])
    result = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", 1, after, after])
    sizes = helper.make_tensor("sizes", onnx.TensorProto.INT64, [4], [1, 1, after, after])
    rule = {"coordinate_transformation_mode": "asymmetric", "mode": "nearest", "nearest_mode": "floor"}
    node = helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], **rule)
    model = helper.make_model(helper.make_graph([node], "g", [image], [result], [sizes]), ir_version=8)
    simplify(model)
    assert [len(one.input) for one in model.graph.node] == [3]
    cells = np.arange(before * before, dtype=np.float32).reshape(1, 1, before, before)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    expected = F.interpolate(torch.from_numpy(cells), size=(after, after), mode="nearest").numpy()
    np.testing.assert_array_equal(session.run(None, {"x": cells})[0], expected)
    opencv = cv2.dnn.readNetFromONNX(np.frombuffer(model.SerializeToString(), np.uint8))
    opencv.setInput(cells)
    np.testing.assert_array_equal(opencv.forward(), expected)


def test_an_export_holds_no_paths_of_the_machine(tmp_path: Path) -> None:
    """Nor anything else of how it was made: wherever kdtools is installed, the same model gives the same bytes."""
    export_onnx(network(0, "heatmap"), tmp_path / "m.onnx", {})
    data = (tmp_path / "m.onnx").read_bytes()
    for word in (b'File "', b".py", str(Path(torch.__file__).parents[1]).encode(), str(Path.cwd()).encode()):
        assert word not in data
    model = onnx.load(tmp_path / "m.onnx")
    assert [entry.key for entry in model.metadata_props] == ["kdtools"]
    for part in (*model.graph.node, *model.graph.input, *model.graph.initializer, *model.graph.value_info):
        assert not part.metadata_props
        assert not part.doc_string


def _largest_weight_in_8_bits(graph: onnx.GraphProto) -> int:
    weights = {weight.name: onnx.numpy_helper.to_array(weight) for weight in graph.initializer}
    restored = [
        weights[node.input[0]] for node in graph.node if node.op_type == "DequantizeLinear" and node.input[0] in weights
    ]
    return max(int(np.abs(weight.astype(int)).max()) for weight in restored if weight.dtype == np.int8)


def test_the_first_block_and_the_head_stay_in_float32(tmp_path: Path, faces_file: str) -> None:
    original = network(0, "heatmap")
    save_model(tmp_path / "m.safetensors", original, Provenance("test"))
    sample = sample_faces(faces_file, original, 12)
    export_onnx(original, tmp_path / "m.onnx", read_card(tmp_path / "m.safetensors")[1], "int8", sample.images)
    graph = onnx.load(tmp_path / "m.onnx").graph
    floats = {weight.name for weight in graph.initializer if weight.data_type == onnx.TensorProto.FLOAT}
    weights = [node.input[1] for node in graph.node if node.op_type == "Conv"]
    in_float = [k for k, weight in enumerate(weights) if weight in floats]
    assert in_float == [0, 1, 2, *(k for k, weight in enumerate(weights) if weight.startswith("network.head."))]
    assert 3 < len(in_float) < len(weights)


def test_fewer_bits_are_smaller_and_nearly_the_same(tmp_path: Path, faces_file: str) -> None:
    original = network(0, "heatmap")
    sample = sample_faces(faces_file, original, 12)
    with torch.inference_mode():
        sure = original.points_and_confidence(torch.from_numpy(sample.images))[1]
    crops = np.ascontiguousarray(np.uint8(np.rint(sample.images * 255)).transpose(0, 2, 3, 1))
    save_model(tmp_path / "m.safetensors", original, Provenance("test"))
    fields = read_card(tmp_path / "m.safetensors")[1]
    sizes, agreements = {}, {}
    for precision in PRECISIONS:
        path = tmp_path / f"{precision}.onnx"
        export_onnx(original, path, fields, precision, sample.images)
        sizes[precision] = path.stat().st_size
        agreements[precision] = compare_with_original(original, path, sample, precision)
        engine = load_engine(path, threads=1)
        _, confidence = engine.predict(crops)
        assert engine.has_confidence
        np.testing.assert_allclose(confidence, sure, atol=1e-3 if precision == "float32" else 0.1)
        found = onnx.load(path).graph
        heads = [weight for weight in found.initializer if weight.name.startswith("network.head.")]
        assert [value.type.tensor_type.elem_type for value in (*found.input, *found.output)] == [1, 1, 1]  # float32
        assert heads
        assert {weight.data_type for weight in heads} == {1}
    assert (
        sizes["int8"] < 0.8 * sizes["float16"] < 0.8 * 0.7 * sizes["float32"]
    )  # of so small a network the head is most
    assert _largest_weight_in_8_bits(onnx.load(tmp_path / "int8.onnx").graph) == 64  # two products fit into 16 bits
    assert agreements["float32"].largest_px < 1e-3
    assert 1e-3 < agreements["float16"].mean_px < agreements["int8"].mean_px < 0.5
    was, now = agreements["int8"].nme or (0, 1)
    assert now == pytest.approx(was, rel=0.02)


def test_the_error_of_an_export_is_told_against_that_of_the_original(tmp_path: Path, faces_file: str) -> None:
    assert Agreement(1, 0, 0, (0.04, 0.05)).worse == pytest.approx(0.25)
    assert Agreement(1, 0, 0).worse == 0
    assert Agreement(1, 0, 0, (0.0, 0.05)).worse == float("inf")
    original = network(0)
    sample = sample_faces(faces_file, original, 5)
    assert sample.images.shape == (5, 3, SIZE, SIZE)
    assert sample.truth is not None
    assert sample.truth.shape == (5, 68, 2)
    assert np.abs(sample.truth).max() < 0.6
    export_onnx(original, tmp_path / "m.onnx", {})
    assert min(measure_speed(original, onnx_run(tmp_path / "m.onnx"), sample.images)) > 0


def test_what_cannot_be_exported_is_told_before_torch_is_loaded(
    tmp_path: Path, tiny_onnx: Path, faces_file: str
) -> None:
    output, absent = str(tmp_path / "out.onnx"), str(tmp_path / "absent")
    calls = [
        ([str(tiny_onnx)], 2, "is an exported model already (ONNX)\n  give the model file (.safetensors)"),
        ([absent], 1, f"{absent}: no such file"),
        ([faces_file], 1, "not a model file"),
        ([absent, "--precision", "int4"], 2, "not one of 'float32', 'float16', 'int8'"),
        ([absent, "--precision", "int8"], 2, "--calibrate FILE"),
        ([absent, "--precision", "int8", "--calibrate", "-"], 2, "not from standard input"),
    ]
    model = str(tmp_path / "m.safetensors")
    save_model(Path(model), network(0), Provenance("test"))
    calls.append(([model, "--verify", absent], 1, f"{absent}: no such file"))
    code = (
        "import sys; from kdtools.cli.kd_export import kd_export; from kdtools.cli import _app;"
        f"calls = {[words for words, _, _ in calls]!r}\n"
        "for words in calls:\n"
        f"    sys.argv = ['kd-export', *words, '-o', {output!r}]\n"
        "    try: _app.run('kd-export', kd_export)\n"
        "    except SystemExit as end: print(end.code, 'torch' in sys.modules, flush=True, file=sys.stderr)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr
    for _, status, told in calls:
        one, _, said = said.partition(f"{status} False\n")
        assert told in one
    assert not Path(output).exists()


def test_kd_export_writes_int8_that_an_engine_runs(tmp_path: Path, faces_file: str) -> None:
    model, output = tmp_path / "m.safetensors", tmp_path / "m.int8.onnx"
    save_model(model, network(0), Provenance("test"))
    wrong = run_tool("kd-export", model, "-o", output, "--precision", "int8")
    assert wrong.status == 2
    assert "--calibrate FILE" in wrong.stderr
    done = run_tool("kd-export", model, "-o", output, "--precision", "int8", "--calibrate", faces_file)
    assert done.status == 0, done.stderr
    assert f"over 12 faces of {faces_file}" in done.stderr
    assert "NME" in done.stderr
    assert "faces/s by ONNX Runtime" in done.stderr
    card, fields = read_card(output)
    assert (card.arch, fields["precision"]) == ("test_resnet", "int8")
    assert json.loads(fields["inputs"]).keys() == {str(model), faces_file}
    crops, _ = drawn_faces(3, SIZE, seed=2)
    points, _ = load_engine(output, threads=1).predict(crops)
    with torch.inference_mode():
        original = network(0)(torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255).numpy()
    assert np.linalg.norm(points - original, axis=2).max() * SIZE < 1


def test_kd_export_compares_precisions_and_recommends_one(tmp_path: Path, faces_file: str) -> None:
    model = tmp_path / "m.safetensors"
    save_model(model, network(0), Provenance("test"))
    images, _ = drawn_faces(2, 48, seed=3)
    unlabelled = str(write_faces(tmp_path / "unlabelled.h5", images=images))
    unknown = str(write_faces(tmp_path / "unknown.h5", np.full((2, 68, 2), np.nan), images=images))
    for words, status, message in (
        ([], 2, "--verify FILE"),
        (["--verify", faces_file, "-o", str(tmp_path / "m.onnx")], 2, "--compare-precisions writes no file"),
        (["--verify", faces_file, "--precision", "float16"], 2, "tries all precisions"),
        (["--verify", faces_file, "-f"], 2, "leave -o and -f out"),
        (["--verify", unlabelled], 1, "no landmarks, so no errors to compare"),
        (["--verify", unknown], 1, "no landmarks, so no errors to compare"),
    ):
        wrong = run_tool("kd-export", model, "--compare-precisions", *words)
        assert wrong.status == status, wrong.stderr
        assert message in wrong.stderr
    done = run_tool("kd-export", model, "--compare-precisions", "--verify", faces_file)
    assert done.status == 0, done.stderr
    header, *lines = (line.split("\t") for line in done.stdout.decode().splitlines())
    rows = {line[0]: dict(zip(header, line, strict=True)) for line in lines}
    assert list(rows) == list(PRECISIONS)
    sizes = [float(row["megabytes"]) for row in rows.values()]
    assert sizes == sorted(sizes, reverse=True)
    assert float(rows["float32"]["times_float32"]) == 1
    assert abs(float(rows["float32"]["nme_change_percent"])) < 0.01
    (best,) = (name for name, row in rows.items() if row["recommended"] == "yes")
    assert f"{best} is recommended on this machine" in done.stderr
    assert f"over 8 faces of {faces_file}" in done.stderr  # the other 4 calibrate int8
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.safetensors", "unknown.h5", "unlabelled.h5"]


@pytest.mark.parametrize(
    ("float16", "int8", "expected", "why"),
    [
        ((0.5, 0.0), (1.8, 0.9), "int8", "1.80 times as fast as float32, NME +0.9 %"),
        ((0.5, 0.0), (1.8, 1.1), "float32", "every faster one raises the NME by more than 1 %"),
        ((0.5, 0.0), (1.04, -0.5), "float32", "no other is at least 5 % faster"),
        ((1.9, -0.02), (1.8, 0.0), "float16", "1.90 times as fast as float32, NME +0.0 %"),
    ],
)
def test_the_fastest_precision_that_costs_at_most_one_percent_is_recommended(
    float16: tuple[float, float], int8: tuple[float, float], expected: str, why: str
) -> None:
    pairs = ((1.0, 0.0), float16, int8)
    rows = [
        MeasuredPrecision(name, 1, 100 * speed, speed, 4, change, 0)
        for name, (speed, change) in zip(PRECISIONS, pairs, strict=True)
    ]
    assert recommended(rows).precision == expected
    assert why_recommended(rows) == why


def test_faces_that_cannot_be_measured_give_no_nme(tmp_path: Path, faces_file: str) -> None:
    """Faces without points, or with a single one, which leaves no length to divide by."""
    original = network(0)
    export_onnx(original, tmp_path / "m.onnx", {})
    sample = sample_faces(faces_file, original, 3)
    assert sample.truth is not None
    for n_known in (0, 1):
        truth = np.full_like(sample.truth, np.nan)
        truth[:, :n_known] = sample.truth[:, :n_known]
        found = compare_with_original(original, tmp_path / "m.onnx", replace(sample, truth=truth))
        assert found.nme is None
    truth[0] = sample.truth[0]
    found = compare_with_original(original, tmp_path / "m.onnx", replace(sample, truth=truth))
    assert found.nme is not None
    assert np.isfinite(found.nme).all()


def test_kd_export_warns_where_int8_is_judged_on_the_faces_that_calibrated_it(tmp_path: Path, faces_file: str) -> None:
    model, output, copy = tmp_path / "m.safetensors", tmp_path / "m.onnx", tmp_path / "copy.h5"
    save_model(model, network(0), Provenance("test"))
    shutil.copy(faces_file, copy)
    images, points = drawn_faces(3, 48, seed=4)
    other = write_faces(tmp_path / "other.h5", points, images=images)
    for verify, warned in ((faces_file, True), (copy, True), (other, False)):
        words = ["--precision", "int8", "--calibrate", faces_file, "--verify", verify, "-o", output, "-f"]
        done = run_tool("kd-export", model, *words)
        assert done.status == 0, done.stderr
        assert ("hold the same faces" in done.stderr) == warned


def test_calibration_faces_do_not_judge() -> None:
    images = np.arange(10.0).reshape(10, 1, 1, 1)
    sample, calibration = split_for_calibration(Sample(images, images.reshape(10, 1, 1), "faces"))
    assert calibration.ravel().tolist() == [0, 3, 6, 9]
    assert sample.images.ravel().tolist() == [1, 2, 4, 5, 7, 8]
    assert sample.truth is not None
    assert sample.truth.ravel().tolist() == [1, 2, 4, 5, 7, 8]
    with pytest.raises(DataError, match="one face, which cannot both"):
        split_for_calibration(Sample(images[:1], None, "faces"))
