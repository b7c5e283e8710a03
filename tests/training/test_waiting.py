"""Threads of a training spin on free cores and sleep beside other work, and its network has the same bytes."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from factories import drawn_faces, write_faces

from kdtools.machine import n_cores_of_affinity
from kdtools.training import waiting
from kdtools.training.waiting import Waiting, leave_to_training

SHARED = {"OMP_WAIT_POLICY": "PASSIVE"}
needs_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc tells the load")


@pytest.fixture(autouse=True)
def _as_many_threads_as_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(waiting, "chosen_at_start", {})  # which depends on the load when the tests began
    monkeypatch.setattr(waiting, "n_cores_of_affinity", lambda: 2)
    monkeypatch.setattr(waiting, "n_cores", lambda: 2)
    monkeypatch.setattr(waiting, "_has_gnu_openmp", lambda: True)
    monkeypatch.setattr(waiting, "processor_time", lambda: 1.0)
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)


def looks(of_others: list[float | None], monkeypatch: pytest.MonkeyPatch) -> Iterator[bool]:
    """Whether threads sleep after each look, where other programs used so many cores since the one before."""
    clock = itertools.count(0.0, 10.0)
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    monkeypatch.setattr("time.process_time", lambda: 0.0)
    sums = itertools.accumulate((0.0 if cores is None else 10 * cores for cores in of_others), initial=5.0)
    answers = [
        next(sums),
        *(None if cores is None else seconds for cores, seconds in zip(of_others, sums, strict=True)),
    ]
    one = Waiting("cpu", lambda: answers.pop(0))
    for _ in (0.0, *of_others):
        one.look()
        yield one.sleeps


def test_threads_sleep_while_there_is_other_work(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = [0.0, 0.2, 1.0, 2.0, 0.1, 0.0, 0.4]
    assert [*looks([*cores], monkeypatch)] == [False, False, False, True, True, False, False, True]


def test_other_work_on_cores_that_are_left_is_in_nobodys_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "n_cores_of_affinity", lambda: 3)
    monkeypatch.setattr("torch.get_num_threads", lambda: 2.5)  # two teams are more than three
    assert [*looks([0.4, 1.0], monkeypatch)] == [False, False, True]


def test_a_system_that_does_not_tell_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [*looks([None, 2.0], monkeypatch)] == [False, False, False]


def test_looks_are_seconds_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, n_looks = [0.0], []
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    one = Waiting("cpu", lambda: n_looks.append(clock[0]) or 0.0)
    for clock[0] in (0.0, 0.5, 1.9, 2.1, 3.0, 4.2):
        one.look()
    assert n_looks == [0.0, 2.1, 4.2]


@pytest.mark.parametrize(
    ("setting", "device", "n_threads"),
    [({"OMP_WAIT_POLICY": "ACTIVE"}, "cpu", 2), ({"GOMP_SPINCOUNT": "9"}, "cpu", 2), ({}, "cuda", 2), ({}, "cpu", 1)],
)
def test_nothing_is_chosen_where_the_user_has_or_nothing_waits(
    setting: dict[str, str], device: str, n_threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in setting.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("torch.get_num_threads", lambda: n_threads)
    one = Waiting(device, lambda: pytest.fail("looked"))
    one.look()
    assert not one.sleeps


@pytest.fixture
def shared_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "chosen_at_start", SHARED)


@pytest.mark.usefixtures("shared_at_start")
def test_the_choice_at_the_start_is_left_to_a_training() -> None:
    environment = dict(SHARED)
    leave_to_training(environment)
    assert environment == {}


@pytest.mark.usefixtures("shared_at_start")
@pytest.mark.parametrize("more", [{"GOMP_SPINCOUNT": "9"}, {"OMP_NUM_THREADS": "1"}], ids=["users", "one thread"])
def test_a_choice_that_stays(more: dict[str, str]) -> None:
    environment = SHARED | more
    leave_to_training(environment)
    assert environment == SHARED | more


def test_the_choice_of_the_user_stays() -> None:
    environment = dict(SHARED)
    leave_to_training(environment)
    assert environment == SHARED


@pytest.mark.usefixtures("shared_at_start")
def test_the_choice_at_the_start_stays_with_another_openmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "find_spec", lambda _: SimpleNamespace(origin=str(tmp_path / "__init__.py")))
    environment = dict(SHARED)
    leave_to_training(environment)
    assert environment == SHARED


@pytest.mark.usefixtures("shared_at_start")
def test_the_choice_at_the_start_stays_where_the_system_does_not_tell_the_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """In some containers, for instance: then nothing would choose again."""
    monkeypatch.setattr(waiting, "processor_time", lambda: None)
    environment = dict(SHARED)
    leave_to_training(environment)
    assert environment == SHARED


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_training_goes_on_where_a_second_team_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise RuntimeError("not enough memory")  # as PyTorch says it

    monkeypatch.setattr("torch.zeros", fail)
    starting = threading.Thread(target=waiting._start_team, daemon=True)
    starting.start()
    starting.join(20)
    assert not starting.is_alive()


# A training of eight steps by two threads, in which the load comes and goes. Prints whether PyTorch was loaded when the
# choice at the start was taken back, whether that choice is still set, and how threads waited in each step.
PROGRAM = """
import os, sys, time
load = sys.argv.pop(1)
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
import kdtools
from kdtools.training import waiting
waiting.SPIN_COUNT = "NONE"  # threads of this test do not spin for long, as other tests run beside it
kdtools.chosen_at_start["OMP_WAIT_POLICY"] = os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
import kdtools.cli._train
print("torch" in sys.modules, "OMP_WAIT_POLICY" in os.environ)
import torch
from kdtools.training import trainer
waiting._EVERY = 0.0
spent, seen = [0.0], []
class Watched(waiting.Waiting):
    def __init__(self, device_type):
        super().__init__(device_type, lambda: spent[0] + time.process_time())
    def look(self):
        if load == "busy":
            spent[0] += 1e3 * (self._last is not None and len(seen) % 4 > 1)
        super().look()
        seen.append(self.sleeps)
trainer.Waiting = Watched
from kdtools.cli.kd_student import main
try:
    main()
except SystemExit as end:
    assert not end.code
print("".join("sleep " if one else "spin " for one in seen))
"""


@needs_linux
@pytest.mark.skipif(n_cores_of_affinity() < 2, reason="needs two cores")
@pytest.mark.in_child
def test_a_network_has_the_same_bytes_whatever_the_load(tmp_path: Path) -> None:
    images, truth = drawn_faces(24, 40, 11)
    faces = write_faces(tmp_path / "faces.h5", truth, images=images)
    call = "--arch test_resnet --input-size 32 --init none --loss l1 --epochs 4 --batch 8 --val-share 0.3 -q"
    more = {"OMP_NUM_THREADS": "2", "GOMP_SPINCOUNT": "100", "SOURCE_DATE_EPOCH": "1700000000"}
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"} | more
    told = {}
    for load in ("quiet", "busy"):
        output = tmp_path / load / "x.safetensors"
        words = [sys.executable, "-c", PROGRAM, load, faces, *call.split(), "--device", "cpu", "-o", output]
        (tmp_path / load).mkdir()
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        told[load] = done.stdout.splitlines()
    assert told["quiet"][0] == told["busy"][0] == "False False"
    assert set(told["quiet"][1].split()) == {"spin"}
    assert set(told["busy"][1].split()) == {"spin", "sleep"}
    quiet, busy = ((tmp_path / load / "x.safetensors").read_bytes() for load in told)
    assert quiet == busy
