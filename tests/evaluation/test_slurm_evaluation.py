"""examples/slurm without SLURM: tasks of the array by hand, and what submit.sh asks sbatch for.

benchmarks/slurm_node.sh runs the same on a SLURM of one node.
"""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
from pathlib import Path

import h5py
import pytest
import slurm_scripts
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from slurm_scripts import EXAMPLE, Scripts
from warm import Warm

ENVIRONMENT = slurm_scripts.ENVIRONMENT | {"EVAL": "--norm inter-ocular,box-diagonal"}
SCRIPTS = Scripts(ENVIRONMENT)
start, run = SCRIPTS.start, SCRIPTS.run
CELLS = [("test a", "one"), ("test a", "best"), ("common", "one"), ("common", "best")]  # in the order of the tasks


def tool(*words: str | Path, folder: Path) -> str:
    return subprocess.run(
        words, cwd=folder, env=ENVIRONMENT, check=True, stdout=subprocess.PIPE, text=True, timeout=slurm_scripts.SECONDS
    ).stdout


def state(folder: Path) -> dict[Path, tuple[int, int, bytes]]:
    """Inode, time of change and bytes of each file."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes()) for path in files}


@pytest.fixture(scope="module", autouse=True)
def tools(warm: Warm) -> None:
    """Tools that need not import torch."""
    ENVIRONMENT["PATH"] = f"{warm.path}:/usr/sbin"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models and two test sets, in a folder whose name has a space."""
    folder = tmp_path_factory.mktemp("slurm") / "a folder"
    (folder / "run 2").mkdir(parents=True)
    for name, n, seed in (("train", 12, 1), ("test a", 8, 2), ("b", 6, 3)):
        tool("kd-synth", "-q", f"-n{n}", "--size=48", f"--seed={seed}", "-j1", "-o", f"{name}.h5", folder=folder)
    tiny = ("--arch=test_resnet", "--input-size=32", "--batch=8", "--device=cpu", "--epochs=1", "-q")
    tool("kd-teacher", "train.h5", *tiny, "-o", "one.safetensors", folder=folder)
    with safe_open(folder / "one.safetensors", "numpy") as model:
        card = model.metadata()
    weights = load_file(folder / "one.safetensors")
    bias = next(name for name in weights if weights[name].shape == (136,))
    weights[bias] = weights[bias] + 0.05  # a second model that answers otherwise, sooner than by training one
    save_file(weights, folder / "run 2" / "best.last.safetensors", card)
    return folder


ASKED = ("out of it", "one.safetensors", "best=run 2/best.last.safetensors", "--", "test a.h5", "common=b.h5")


@pytest.fixture(scope="module")
def made_by_tasks(world: Path) -> set[str]:
    """Names of what all four tasks at once make, the last of them twice."""
    tasks = [start("eval.sbatch", *ASKED, folder=world, SLURM_ARRAY_TASK_ID=task) for task in "01233"]
    for task in tasks:
        _, err = task.communicate(timeout=slurm_scripts.SECONDS)
        assert task.returncode == 0, err
    return {str(path.relative_to(world / ASKED[0])) for path in state(world / ASKED[0])}


@pytest.fixture(scope="module")
def results(world: Path, made_by_tasks: set[str]) -> Path:
    """The folder of results after all tasks."""
    return world / ASKED[0]


def test_each_task_makes_one_model_s_predictions_of_one_test_set_and_their_figures(
    results: Path, made_by_tasks: set[str]
) -> None:
    wanted = {f"{test}/{model}{suffix}" for test, model in CELLS for suffix in (".h5", ".tsv")}
    assert made_by_tasks == wanted | {"settings"}
    for test, model in CELLS:
        with h5py.File(results / test / f"{model}.h5") as pred:
            inputs = json.dumps(json.loads(pred.attrs["inputs"]))
        assert {"one": "one.safetensors", "best": "best.last.safetensors"}[model] in inputs
        assert {"test a": "test a.h5", "common": "b.h5"}[test] in inputs


def test_table_has_the_figures_that_kd_eval_gives(world: Path, results: Path) -> None:
    status, out, err = run("eval.sbatch", "--table", *ASKED, folder=world)
    assert (status, err) == (0, "")
    assert out == (results / "table.tsv").read_text()
    rows = list(csv.DictReader(io.StringIO(out), delimiter="\t"))
    direct = []
    for test, truth in (("common", "b.h5"), ("test a", "test a.h5")):
        predictions = [f"{model}={results / test / model}.h5" for model in ("best", "one")]
        told = tool("kd-eval", *predictions, "--truth", truth, *ENVIRONMENT["EVAL"].split(), "--tsv", folder=world)
        direct += [{"test": test} | row for row in csv.DictReader(io.StringIO(told), delimiter="\t")]
    assert len(rows) == 8
    assert rows == direct
    assert {row["n"] for row in rows} == {"6", "8"}
    assert len({row["nme_percent"] for row in rows}) == 8


def test_a_rerun_leaves_everything_as_it_was(world: Path, results: Path) -> None:
    run("eval.sbatch", "--table", *ASKED, folder=world)
    before = state(results)
    for task in range(4):
        status, _, err = run("eval.sbatch", *ASKED, folder=world, SLURM_ARRAY_TASK_ID=str(task))
        assert status == 0
        assert "kd-predict" not in err
        assert f"task {task} is done" in err
    assert run("eval.sbatch", "--table", *ASKED, folder=world)[0] == 0
    assert state(results) == before


def test_a_killed_task_leaves_nothing_and_is_named_by_the_table(world: Path, results: Path) -> None:
    asked = (*ASKED, "late=b.h5")
    process = start("eval.sbatch", *asked, folder=world, SLURM_ARRAY_TASK_ID="4")
    assert process.stderr is not None
    assert "kd-predict" in process.stderr.readline()
    os.killpg(process.pid, signal.SIGTERM)  # as scancel does
    process.communicate(timeout=slurm_scripts.SECONDS)
    assert process.returncode != 0
    assert list((results / "late").iterdir()) == []
    assert run("eval.sbatch", "--todo", *asked, folder=world)[:2] == (0, "4,5\n")
    status, out, err = run("eval.sbatch", "--table", *asked, folder=world)
    assert status == 4
    assert len(out.splitlines()) == 9
    missing = ((4, "one"), (5, "best"))
    assert err.splitlines() == [f"eval.sbatch: task {k} is not done: out of it/late/{name}.tsv" for k, name in missing]
    (results / "late").rmdir()


def test_submit_asks_for_what_is_not_done_and_a_table_after_it(world: Path, results: Path, tmp_path: Path) -> None:
    stub = tmp_path / "sbatch"
    stub.write_text('#!/bin/sh\nprintf "%s\\n" "$#" "$@" >>"$LOG"\necho "41;cluster"\n')
    stub.chmod(0o755)
    log, path = tmp_path / "log", f"{tmp_path}:{ENVIRONMENT['PATH']}"
    script = str(EXAMPLE / "eval.sbatch")

    def calls(*asked: str) -> list[list[str]]:
        log.unlink(missing_ok=True)
        status, _, err = run("submit.sh", *asked, folder=world, PATH=path, LOG=str(log))
        assert status == 0, err
        lines, found = log.read_text().splitlines(), []
        while lines:
            n_words = int(lines[0])
            found.append(lines[1 : n_words + 1])
            lines = lines[n_words + 1 :]
        return found

    array, table = calls(*ASKED, "late=b.h5")
    logs = "out of it/logs"
    assert array == ["--parsable", "--array=4,5", f"--output={logs}/%x-%A_%a.log", script, *ASKED, "late=b.h5"]
    assert "--dependency=afterany:41" in table
    assert table[-len(ASKED) - 3 :] == [script, "--table", *ASKED, "late=b.h5"]
    assert (results / "logs").is_dir()
    (table,) = calls(*ASKED)  # all is done
    assert not any("--dependency" in word or "--array" in word for word in table)
    (results / "logs").rmdir()


@pytest.mark.parametrize(
    ("words", "environment", "status", "told"),
    [
        ((), {}, 2, "no output folder"),
        (("out",), {}, 2, "no models"),
        (("out", "--", "b.h5"), {}, 2, "no models"),
        (("out", "one.safetensors"), {}, 2, "no test sets"),
        (("out", "one.safetensors", "--"), {}, 2, "no test sets"),
        (("out", "lost.safetensors", "--", "b.h5"), {}, 1, "lost.safetensors: no such file"),
        (("out", "one.safetensors", "one.safetensors", "--", "b.h5"), {}, 2, "two models are named one"),
        (("out", "one.safetensors", "--", "b.h5"), {}, 2, "no task of a job array"),
        (("out", "one.safetensors", "--", "b.h5"), {"SLURM_ARRAY_TASK_ID": "1"}, 2, "--array=0-0"),
        (("out", "one.safetensors", "--", "b.h5"), {"EVAL": "--max-nme 5"}, 2, "verdict"),
        (("--table", "out", "one.safetensors", "--", "b.h5"), {}, 1, "no such folder"),
        (ASKED, {"SLURM_ARRAY_TASK_ID": "0", "EVAL": "--norm box-size"}, 2, "name another folder"),
    ],
)
def test_errors_say_what_to_do(
    world: Path, results: Path, words: tuple[str, ...], environment: dict[str, str], status: int, told: str
) -> None:
    found, out, err = run("eval.sbatch", *words, folder=world, **environment)
    assert (found, out) == (status, "")
    fault, hint = err.splitlines()
    assert fault.startswith("eval.sbatch: error: ")
    assert hint.startswith("  ")
    assert told in err
    assert not (world / "out").exists()


def test_a_model_trained_anew_is_told_instead_of_its_old_figures(world: Path, results: Path) -> None:
    model = world / "one.safetensors"
    made = model.stat()
    os.utime(model)
    before = state(results)
    status, _, err = run("eval.sbatch", *ASKED, folder=world, SLURM_ARRAY_TASK_ID="0")
    os.utime(model, ns=(made.st_atime_ns, made.st_mtime_ns))
    assert status == 1
    assert "out of it/test a/one.h5: is older than one.safetensors" in err
    assert state(results) == before


@pytest.mark.parametrize("name", ["eval.sbatch", "submit.sh"])
def test_scripts_parse(name: str) -> None:
    assert subprocess.run(["bash", "-n", EXAMPLE / name]).returncode == 0
    assert os.access(EXAMPLE / name, os.X_OK)
