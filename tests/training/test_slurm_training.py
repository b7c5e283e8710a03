"""examples/slurm's training: tasks by hand, with the tools and with stand-ins for them; then a SLURM of one node."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest
import slurm_scripts
from slurm_scripts import EXAMPLE, Scripts
from warm import Warm

ROOT = Path(__file__).resolve().parents[2]
TINY = "--arch test_resnet --input-size 32 --batch 8 --set head=linear --device cpu"
ENVIRONMENT = slurm_scripts.ENVIRONMENT | {
    "SLURM_CPUS_PER_TASK": "1",
    "SOURCE_DATE_EPOCH": "1700000000",  # else files of before and after midnight differ
    "TEACHER": f"{TINY} --epochs 12",
    "STUDENT": f"{TINY} --epochs 12",
    "VAL": "some faces.h5",
}
SCRIPTS = Scripts(ENVIRONMENT)
start, run = SCRIPTS.start, SCRIPTS.run
ASKED = ("out of it", "train.h5")
PRODUCTS = ["soft.h5", "student.safetensors", "tolerant.h5", "tolerant.safetensors", "tough.h5", "tough.safetensors"]


def task(number: int, folder: Path, **environment: str) -> tuple[int, str]:
    status, _, err = run("train.sbatch", *ASKED, folder=folder, SLURM_ARRAY_TASK_ID=str(number), **environment)
    return status, err


def wait_for(happened: Callable[[], object], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def products(folder: Path) -> dict[str, bytes]:
    return {name: (folder / ASKED[0] / name).read_bytes() for name in PRODUCTS}


def stand_in(folder: Path, name: str, text: str) -> str:
    """Put a program into `folder`; returns the PATH by which it is found first."""
    path = folder / name
    path.write_text(f"#!/usr/bin/env bash\n{text}")
    path.chmod(0o755)
    return f"{folder}:{ENVIRONMENT['PATH']}"


# ---- with the tools
@pytest.fixture(scope="module", autouse=True)
def tools(warm: Warm) -> None:
    """Tools that need not import torch."""
    ENVIRONMENT["PATH"] = f"{warm.path}:/usr/sbin"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training") / "a folder"
    folder.mkdir()
    for name, n, seed in (("train", 24, 1), ("some faces", 8, 2)):
        words = ["kd-synth", "-q", f"-n{n}", "--size=48", f"--seed={seed}", "-j1", "-o", f"{name}.h5"]
        subprocess.run(words, cwd=folder, env=ENVIRONMENT, check=True)
    return folder


def copy_of(world: Path, folder: Path) -> Path:
    """The faces alone, to train on anew."""
    folder.mkdir()
    for name in ("train.h5", "some faces.h5"):
        shutil.copy2(world / name, folder)
    return folder


@pytest.fixture(scope="module")
def results(world: Path) -> Path:
    """What all three tasks leave, never interrupted."""
    teachers = [start("train.sbatch", *ASKED, folder=world, SLURM_ARRAY_TASK_ID=number) for number in "01"]
    for teacher in teachers:
        _, err = teacher.communicate(timeout=600)
        assert teacher.returncode == 0, err
    status, err = task(2, world)
    assert status == 0, err
    return world / ASKED[0]


def test_the_tasks_are_the_whole_method(results: Path) -> None:
    stems = ("tough", "tolerant", "student")
    kept = [f"{stem}{end}" for stem in stems for end in (".last.safetensors", ".log.jsonl", ".settings")]
    shown = sorted(path.name for path in results.iterdir() if path.name[0] != ".")
    assert shown == sorted([*PRODUCTS, *kept])
    for name, model in (("tough", "tough.safetensors"), ("tolerant", "tolerant.safetensors")):
        with h5py.File(results / f"{name}.h5") as pred:
            assert set(json.loads(pred.attrs["inputs"])) == {"train.h5", f"out of it/{model}"}
            assert pred["landmarks"].shape == (24, 68, 2)
    made_from = {}
    for stem in stems:
        words = ["kd-info", results / f"{stem}.safetensors", "--json", "--no-inputs"]
        told = subprocess.run(words, env=ENVIRONMENT, check=True, stdout=subprocess.PIPE).stdout
        made_from[stem] = {given["name"] for given in json.loads(told)["provenance"]["inputs"]}
    both = {"train.h5", "some faces.h5"}
    assert made_from == {
        "tough": both,
        "tolerant": both | {"out of it/soft.h5"},
        "student": both | {"out of it/tough.h5", "out of it/tolerant.h5"},
    }


def test_a_rerun_leaves_everything_as_it_was(world: Path, results: Path) -> None:
    def state() -> list[tuple[Path, int, int]]:
        return [(path, path.stat().st_ino, path.stat().st_mtime_ns) for path in sorted(results.iterdir())]

    before = state()
    for number in range(3):
        status, err = task(number, world)
        assert status == 0
        assert err.splitlines() == [line for line in err.splitlines() if f"task {number} is done already" in line]
    assert run("train.sbatch", "--todo", *ASKED, folder=world)[:2] == (0, "\n")
    assert state() == before


@pytest.mark.soak
def test_a_student_stopped_before_its_time_is_over_goes_on_bit_for_bit(
    world: Path, results: Path, tmp_path: Path
) -> None:
    folder = copy_of(world, tmp_path / "stopped")
    shutil.copytree(results, folder / ASKED[0])
    for path in (folder / ASKED[0]).glob("student.*"):
        path.unlink()
    path = stand_in(tmp_path, "scontrol", 'echo "$@" >>"$LOG"\n')
    of_slurm = {"SLURM_JOB_ID": "41", "SLURM_ARRAY_JOB_ID": "41", "PATH": path, "LOG": str(tmp_path / "log")}
    process = start("train.sbatch", *ASKED, folder=folder, SLURM_ARRAY_TASK_ID="2", **of_slurm)
    log = folder / ASKED[0] / "student.log.jsonl"
    wait_for(lambda: log.exists() and log.read_text())
    process.send_signal(signal.SIGUSR1)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 143, err
    assert 1 <= len(log.read_text().splitlines()) < 12
    assert not (folder / ASKED[0] / "student.safetensors").exists()
    assert (tmp_path / "log").read_text() == "requeue 41_2\n"
    status, err = task(2, folder)
    assert status == 0, err
    assert "kd-student: resumed after epoch" in err
    assert products(folder) == products(world)


# ---- with stand-ins
# Each notes its command line and makes its output; the one named by $SLOW runs until it is told to stop, and leaves a
# checkpoint, unless it is $LAZY.
TOOL = """
tool=${0##*/}
[[ " $* " != *" --show-settings "* ]] || { printf 'loss\\t%s\\n' "${LOSS:-kd}"; exit; }
echo "$tool $*" >>"$LOG"
output=${*: -1}
if [ "$tool" = "$SLOW" ]; then
    trap 'n=$((n + 1))' TERM
    echo started >&2
    while [ "${n:-0}" -eq 0 ]; do sleep 0.05; done
    sleep 0.5
    echo "told ${n} times" >>"$LOG"
    [ -n "$LAZY" ] || touch "${output%.*}.last.safetensors"
    exit "$STATUS"
fi
[ "$tool" != "$BAD" ] || exit "$STATUS"
touch "$output"
"""


class Stage:
    """A folder with stand-ins for the tools and for SLURM, and their log."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out = folder / "w", folder / "w" / ASKED[0]
        self.log = folder / "log"
        self.out.mkdir(parents=True)
        for name in ("train.h5", "some faces.h5"):
            (self.folder / name).touch()
        tools = folder / "bin"
        tools.mkdir()
        for name in ("kd-asm", "kd-teacher", "kd-predict", "kd-student", "torchrun"):
            stand_in(tools, name, TOOL)
        stand_in(tools, "scontrol", 'echo "scontrol $*" >>"$LOG"\nexit "${REFUSED:-0}"\n')
        path = stand_in(tools, "sbatch", 'echo "sbatch $*" >>"$LOG"\nwc -l <"$LOG"\n')
        self.environment = {
            "PATH": path,
            "LOG": str(self.log),
            "TEACHER": "--of teacher",
            "STUDENT": "--of student",
            "PREDICT": "--of predict",
            **dict.fromkeys(("SLOW", "BAD", "LAZY", "STATUS"), ""),
        }

    def logged(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def task(self, number: int, **environment: str) -> tuple[int, str]:
        return task(number, self.folder, **self.environment | environment)

    def stop(self, number: int, how: signal.Signals, slow: str, times: int = 1, **environment: str) -> tuple[int, str]:
        """Signal a task while the tool `slow` runs, which then takes half a second to end."""
        of_slurm = {"SLURM_JOB_ID": "41", "SLURM_ARRAY_JOB_ID": "39", "SLURM_ARRAY_TASK_ID": str(number)}
        process = start(
            "train.sbatch",
            *ASKED,
            folder=self.folder,
            **self.environment | {"SLOW": slow, "STATUS": "143"} | of_slurm | environment,
        )
        assert process.stderr is not None
        told = ""
        while "started" not in told:
            line = process.stderr.readline()
            assert line, told
            told += line
        for _ in range(times):
            process.send_signal(how)
            time.sleep(0.1 * (times > 1))
        _, err = process.communicate(timeout=300)
        return process.returncode, told + err


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_options_reach_the_tools_they_are_for(stage: Stage) -> None:
    for number in range(3):
        assert stage.task(number)[0] == 0
    val, out = "--val some faces.h5", "out of it"
    assert stage.logged() == [
        f"kd-teacher train.h5 {val} --of teacher --resume -o {out}/tough.safetensors",
        f"kd-predict {out}/tough.safetensors train.h5 --resume --of predict -o {out}/tough.h5",
        f"kd-asm train.h5 -o {out}/soft.h5",
        f"kd-teacher train.h5 --landmarks {out}/soft.h5 {val} --of teacher --resume -o {out}/tolerant.safetensors",
        f"kd-predict {out}/tolerant.safetensors train.h5 --resume --of predict -o {out}/tolerant.h5",
        f"kd-student train.h5 --tough {out}/tough.h5 --tolerant {out}/tolerant.h5 {val} --of student --resume "
        f"-o {out}/student.safetensors",
    ]


def test_cross_fitted_teachers_leave_their_predictions_at_once(stage: Stage) -> None:
    for number in range(2):
        assert stage.task(number, FOLDS="3", VAL="")[0] == 0
    assert stage.logged() == [
        "kd-teacher train.h5 --of teacher --folds 3 --resume -o out of it/tough.h5",
        "kd-asm train.h5 -o out of it/soft.h5",
        "kd-teacher train.h5 --landmarks out of it/soft.h5 --of teacher --folds 3 --resume -o out of it/tolerant.h5",
    ]


@pytest.mark.parametrize("environment", [{"NPROC": "2"}, {"SLURM_GPUS_ON_NODE": "2"}])
def test_several_processes_are_started_by_torchrun(stage: Stage, environment: dict[str, str]) -> None:
    assert stage.task(0, **environment)[0] == 0
    launched, predicted = stage.logged()
    assert launched.startswith("torchrun --standalone --nproc-per-node 2 --no-python kd-teacher train.h5 ")
    assert predicted.startswith("kd-predict ")


def test_one_process_where_one_is_asked_for_on_many_gpus(stage: Stage) -> None:
    assert stage.task(0, SLURM_GPUS_ON_NODE="4", NPROC="1")[0] == 0
    assert stage.logged()[0].startswith("kd-teacher ")


@pytest.mark.parametrize(
    ("number", "slow", "environment"),
    [
        (0, "kd-teacher", {}),
        (1, "kd-teacher", {"FOLDS": "3"}),
        (0, "kd-predict", {}),  # the teacher is what was gained
        (2, "kd-student", {}),
        (2, "torchrun", {"NPROC": "2", "STATUS": "1"}),  # which ends with 1 after a signal
    ],
)
def test_the_warning_before_the_time_limit_requeues_the_task(
    stage: Stage, number: int, slow: str, environment: dict[str, str]
) -> None:
    for name in ("tough.h5", "tolerant.h5") if number == 2 else ():
        (stage.out / name).touch()
    status, err = stage.stop(number, signal.SIGUSR1, slow, **environment)
    assert status == 143
    assert f"job 39_{number} is requeued" in err
    assert stage.logged()[-2:] == ["told 1 times", f"scontrol requeue 39_{number}"]


def test_a_job_that_is_no_array_is_requeued_by_its_number(stage: Stage) -> None:
    assert stage.stop(0, signal.SIGUSR1, "kd-teacher", SLURM_ARRAY_JOB_ID="")[0] == 143
    assert stage.logged()[-1] == "scontrol requeue 41"


@pytest.mark.parametrize(("how", "expected"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_other_signals_are_passed_on_and_requeue_nothing(stage: Stage, how: signal.Signals, expected: int) -> None:
    status, err = stage.stop(0, how, "kd-teacher")
    assert (status, "error" in err) == (expected, False)
    assert stage.logged()[-1] == "told 1 times"
    assert (stage.out / "tough.last.safetensors").exists()


@pytest.mark.parametrize("how", [signal.SIGUSR1, signal.SIGTERM])
def test_a_signal_that_comes_twice_leaves_the_tool_its_time(stage: Stage, how: signal.Signals) -> None:
    """As of `scancel` twice: a script that ended at the second would take the checkpoint's writer with it."""
    status, err = stage.stop(0, how, "kd-teacher", times=2)
    assert (status, "nothing was gained" in err) == (143, False)
    assert "told 1 times" in stage.logged()
    assert (stage.out / "tough.last.safetensors").exists()


@pytest.mark.parametrize(
    ("environment", "status", "told"),
    [
        ({"LAZY": "yes"}, 143, "nothing was gained"),
        ({"REFUSED": "1"}, 143, "cannot be requeued"),
        ({"STATUS": "1"}, 1, ""),  # it was a fault that ended the tool
        ({"SLURM_JOB_ID": "", "SLURM_ARRAY_JOB_ID": ""}, 143, ""),  # not under SLURM
    ],
)
def test_what_cannot_go_on_is_not_requeued(stage: Stage, environment: dict[str, str], status: int, told: str) -> None:
    found, err = stage.stop(0, signal.SIGUSR1, "kd-teacher", **environment)
    assert found == status
    assert told in err
    assert "is requeued" not in err
    assert any(line.startswith("scontrol") for line in stage.logged()) == ("REFUSED" in environment)


def test_a_tool_s_status_is_the_task_s_and_a_rerun_goes_on_with_other_options(stage: Stage) -> None:
    assert stage.task(0, BAD="kd-teacher", STATUS="2")[0] == 2
    assert stage.task(0, BAD="kd-predict", STATUS="1", TEACHER="--right")[0] == 1
    assert stage.task(0, TEACHER="--right")[0] == 0
    assert [line.split()[0] for line in stage.logged()] == ["kd-teacher", "kd-teacher", "kd-predict", "kd-predict"]


def test_a_task_that_runs_keeps_others_from_its_files(stage: Stage) -> None:
    first = start(
        "train.sbatch",
        *ASKED,
        folder=stage.folder,
        **stage.environment | {"SLOW": "kd-teacher", "STATUS": "143", "SLURM_ARRAY_TASK_ID": "0"},
    )
    wait_for(stage.logged)
    status, err = stage.task(0)
    first.terminate()
    first.communicate(timeout=300)
    assert status == 1
    assert "another job is training tough there" in err
    assert stage.task(0)[0] == 0


def test_submit_asks_for_what_is_not_done_and_the_student_after_it(stage: Stage) -> None:
    def calls(**environment: str) -> list[str]:
        stage.log.unlink(missing_ok=True)
        status, _, err = run("submit_train.sh", *ASKED, folder=stage.folder, **stage.environment | environment)
        assert status == 0, err
        return [line.removeprefix("sbatch --parsable --output=out of it/logs/%x-%A_%a.log ") for line in stage.logged()]

    script = f"{EXAMPLE / 'train.sbatch'} out of it train.h5"
    after = "--dependency=afterok:1 --kill-on-invalid-dep=yes"
    assert calls() == [f"--array=0,1 {script}", f"{after} --array=2 {script}"]
    stage.task(0)
    assert calls() == [f"--array=1 {script}", f"{after} --array=2 {script}"]
    stage.task(1)
    assert calls() == [f"--array=2 {script}"]
    stage.task(2)
    assert calls() == []
    assert calls(STUDENT_NAME="small") == [f"--array=2 {script}"]


@pytest.mark.parametrize(
    ("words", "environment", "status", "told"),
    [
        ((), {}, 2, "no output folder"),
        (("out",), {}, 2, "no faces"),
        (("out", "train.h5", "val.h5"), {}, 2, "val.h5: one word too many"),
        (("out", "lost.h5"), {}, 1, "lost.h5: no such file"),
        (("out", "train.h5"), {"VAL": "lost.h5"}, 1, "lost.h5: no such file"),
        (("out", "train.h5"), {}, 2, "none of the tasks"),
        (("out", "train.h5"), {"SLURM_ARRAY_TASK_ID": "3"}, 2, "none of the tasks"),
        (("out", "train.h5"), {"SLURM_ARRAY_TASK_ID": "0", "FOLDS": "five"}, 2, "FOLDS is five"),
        (("out", "train.h5"), {"SLURM_ARRAY_TASK_ID": "0", "NPROC": "0"}, 2, "0 processes"),
        (("out", "train.h5"), {"SLURM_ARRAY_TASK_ID": "2", "STUDENT_NAME": "tough"}, 2, "STUDENT_NAME is tough"),
        (("--todo", "out", "train.h5"), {"LOSS": "l1"}, 2, "--loss l1+mimic"),
        (ASKED, {"SLURM_ARRAY_TASK_ID": "2"}, 1, "tolerant.h5: no such file"),
        (ASKED, {"SLURM_ARRAY_TASK_ID": "0", "TEACHER": "--other"}, 2, "was made with TEACHER='--of teacher'"),
        (("--todo", *ASKED), {"FOLDS": "2"}, 2, "name another folder"),
    ],
)
def test_errors_say_what_to_do(
    stage: Stage, words: tuple[str, ...], environment: dict[str, str], status: int, told: str
) -> None:
    stage.task(0)
    stage.log.unlink()
    found, out, err = run("train.sbatch", *words, folder=stage.folder, **stage.environment | environment)
    assert (found, out) == (status, "")
    fault, hint = err.splitlines()
    assert fault.startswith("train.sbatch: error: ")
    assert hint.startswith("  ")
    assert told in err
    assert stage.logged() == []


def test_faces_that_were_changed_are_told(stage: Stage) -> None:
    stage.task(0)
    later = time.time() + 5
    os.utime(stage.folder / "train.h5", (later, later))
    status, err = stage.task(0)
    assert status == 1
    assert "out of it/tough.h5: is older than train.h5" in err


@pytest.mark.parametrize("path", [EXAMPLE / "train.sbatch", EXAMPLE / "submit_train.sh", ROOT / "tests/slurm_node.sh"])
def test_scripts_parse(path: Path) -> None:
    assert subprocess.run(["bash", "-n", path]).returncode == 0
    assert os.access(path, os.X_OK)


# ---- with SLURM
def why_no_slurm() -> str:
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "SLURM's daemons need root"
    programs = ("slurmctld", "slurmd", "sbatch", "munged", "mungekey")
    lost = [name for name in programs if shutil.which(name, path=ENVIRONMENT["PATH"]) is None]
    return f"{', '.join(lost)} not found; apt-get install slurm-wlm munge" if lost else ""


@pytest.mark.soak
@pytest.mark.skipif(bool(why_no_slurm()), reason=why_no_slurm())
def test_slurm_requeues_a_teacher_at_its_time_limit_and_the_student_waits_for_it(
    world: Path, results: Path, tmp_path: Path
) -> None:
    folder = copy_of(world, tmp_path / "a folder")
    out = folder / ASKED[0]
    node = subprocess.Popen(
        [ROOT / "tests/slurm_node.sh", tmp_path / "node", "sh", "-c", 'echo "$SLURM_CONF" && exec cat'],
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert node.stdin is not None
    assert node.stdout is not None
    try:
        environment = ENVIRONMENT | {
            "SLURM_CONF": node.stdout.readline().strip(),
            "SBATCH_TIMELIMIT": "60",
            # As many threads as without SLURM, since sums of several are rounded otherwise.
            "PATH": stand_in(tmp_path, "sbatch", f'exec {shutil.which("sbatch")} --cpus-per-task=1 "$@"\n'),
        }
        del environment["SLURM_CPUS_PER_TASK"]  # sbatch would take it for its own

        def slurm(*words: str | Path) -> str:
            pipe = subprocess.PIPE
            done = subprocess.run(words, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True, timeout=300)
            assert done.returncode == 0, done.stderr
            return done.stdout + done.stderr

        def field(job: str, name: str) -> str:
            found = re.search(rf"\b{name}=(\S+)", slurm("scontrol", "-o", "show", "job", job))
            assert found
            return found[1]

        told = slurm("bash", EXAMPLE / "submit_train.sh", *ASKED)
        teachers, student = re.findall(r"job (\d+),", told)
        log = out / "tough.log.jsonl"
        wait_for(lambda: log.exists() and log.read_text())
        slurm("scancel", "--signal=USR1", "--batch", f"{teachers}_0")
        wait_for(lambda: field(f"{teachers}_0", "Restarts") == "1")
        assert 1 <= len(log.read_text().splitlines()) < 12
        assert (out / "tough.last.safetensors").exists()
        assert not (out / "tough.safetensors").exists()
        assert field(f"{student}_2", "JobState") == "PENDING"  # a requeued teacher has not failed
        wait_for(lambda: not slurm("squeue", "-h"), 600)
        assert [field(job, "JobState") for job in (f"{teachers}_0", f"{teachers}_1", f"{student}_2")] == [
            "COMPLETED"
        ] * 3
        said = (out / "logs" / f"kd-train-{teachers}_0.log").read_text()
        assert f"job {teachers}_0 is requeued" in said
        assert "kd-teacher: resumed after epoch" in said
        assert products(folder) == products(world)
    finally:
        node.stdin.close()
        node.wait(timeout=120)
