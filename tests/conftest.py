"""Fixtures that several test files share."""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from collections.abc import Iterator

# Background jobs of scripts ignore Ctrl-C, and so would the tools that tests start and interrupt.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Networks in tests are tiny: several threads would only wait for each other, for minutes on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import numpy as np
import pytest
import warm as warm_scripts
from common import TriedHere, graphs_made_once, use_huge_pages

REPOSITORY = Path(__file__).resolve().parent.parent
# Else each of the hundreds of processes that tests start would compile the package, which is a third of its work.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# Exported copies of models are kept from run to run, but not among the user's own.
os.environ["XDG_CACHE_HOME"] = str(REPOSITORY / ".pytest_cache" / "home")


# Files that take longest, first: the last ones to be begun should be short.
_SLOW = (
    "test_slurm_training",
    "test_man",
    "test_hostile_names",
    "test_docs",
    "test_same_bytes",
    "test_export",
    "test_file_systems",
    "test_replaced",
    "test_pretrained",
    "test_distributed",
    "test_outputs",
    "test_kd_predict",
    "test_kd_train",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {name: number for number, name in enumerate(_SLOW)}
    items.sort(key=lambda item: order.get(item.path.stem, len(_SLOW)))


def pytest_collection_finish() -> None:
    """What has been imported stays: the collector need not go through it again and again, nor a fork copy its pages."""
    gc.collect()
    gc.freeze()
    use_huge_pages()


def pytest_xdist_auto_num_workers() -> int:
    """One more than cores: some tests wait, for a scheduler or for a signal to be obeyed."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(autouse=True)
def _as_in_a_new_process() -> None:
    """Each test begins with a tool's messages on, and PyTorch's threads, which engines set and sums depend on."""
    if app := sys.modules.get("kdtools.cli._app"):
        app.session.verbosity = app.session.n_skipped = 0
    if torch := sys.modules.get("torch"):
        n_threads = int(os.environ["OMP_NUM_THREADS"].split(",")[0])
        if torch.get_num_threads() != n_threads:
            torch.set_num_threads(n_threads)


_tried_here = TriedHere()


@pytest.fixture(autouse=True)
def _files_tried_here(request: pytest.FixtureRequest) -> Iterator[None]:
    """Files are tried without a fork for each, except where it or what it protects from is tested."""
    if request.path.parent.name == "storage" or request.node.get_closest_marker("in_child"):
        yield
    else:
        with _tried_here.within():
            yield


@pytest.fixture(scope="session")
def common_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this run of the tests share, for what is made once."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="module")
def graphs(common_folder: Path) -> Iterator[None]:
    """Each network is traced for ONNX once in this run of the tests."""
    with graphs_made_once(common_folder / "graphs"):
        yield


@pytest.fixture(scope="session")
def warm(common_folder: Path) -> warm_scripts.Warm:
    """Console scripts that need not import torch."""
    owner = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    return warm_scripts.start_once(common_folder / "warm", owner)


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder of reference values and real faces that is kept beside the repository; skips where it is absent."""
    folder = Path(os.environ.get("KDTOOLS_SHARED") or REPOSITORY.parent / "shared")
    if not (folder / "golden").is_dir():
        pytest.skip(f"reference data not found in {folder}; set KDTOOLS_SHARED to their folder")
    return folder


@pytest.fixture(scope="session")
def case_dir(shared_dir: Path) -> Path:
    """Folder of small annotation files as other tools write them, with the reference values; skips where absent."""
    folder = shared_dir / "cases" / "formats"
    if not folder.is_dir():
        pytest.skip(f"annotation files not found in {folder}")
    return folder


@pytest.fixture(scope="session")
def tiny_onnx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported model of 68 points and 32 px, made without torch: its points follow the mean colour of the crop."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    from kdtools.landmarks import IBUG68
    from kdtools.landmarks.crop_rule import CropRule
    from kdtools.model.card import ModelCard

    weight = np.linspace(-0.3, 0.3, 3 * 136, dtype=np.float32).reshape(3, 136)
    bias = np.linspace(-0.3, 0.3, 136, dtype=np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["images"], ["mean"]),
            helper.make_node("Flatten", ["mean"], ["flat"]),
            helper.make_node("Gemm", ["flat", "weight", "bias"], ["points"]),
            helper.make_node("Reshape", ["points", "shape"], ["landmarks"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 32, 32])],
        [helper.make_tensor_value_info("landmarks", TensorProto.FLOAT, ["batch", 68, 2])],
        [
            numpy_helper.from_array(weight, "weight"),
            numpy_helper.from_array(bias, "bias"),
            numpy_helper.from_array(np.array([-1, 68, 2]), "shape"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    card = ModelCard("tiny", 32, IBUG68, CropRule(0.25), (0, 0, 0), (1, 1, 1))
    fields = {"kd_kind": "model", "kd_format": 1, **card.to_fields()}
    helper.set_model_props(model, {"kdtools": json.dumps(fields)})
    path = tmp_path_factory.mktemp("model") / "tiny.onnx"
    onnx.save(model, path)
    return path
