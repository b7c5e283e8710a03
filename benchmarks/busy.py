"""Training and prediction on a machine that others use too: their speed beside busy loops, against the fair share.

    python benchmarks/busy.py [--arch NAME] [--input-size PX] [--seconds S] [--rounds N] [--only train|predict|video]
                              [--variant NAME=VALUE,...]

Each variant of the environment is a process of its own, as the OpenMP library reads its settings when it is loaded: the
threads of `spin` wait as they do by default, those of `sleep` as OMP_WAIT_POLICY=PASSIVE says, and each --variant has
the settings that it names. Training has three more: `kdtools` is left to itself, and looks at the load while it trains;
`one` has one thread; `apart` is a process of one thread for each core, started by torchrun. The processes load once and
then take turns of some seconds, alone and beside one and two busy loops. `kdtools` gets some seconds before its turn,
to notice the load.

The fair share of a program with a thread on each of n cores, beside k loops, is n / (n + k) of the speed of `spin`
alone: what the system's scheduler gives to threads of equal rank. It is that for `one` too, which asks for less. A
speed alone is the best of all rounds, as anything else that runs only takes from it. Beside loops it is the median:
whether the loops have a core to themselves is luck, which goes both ways.

kdtools spins on a quiet machine and sleeps beside other work, by a look at the load when it starts; `choice` tells what
it does alone and beside one loop, after 30 s each. The machine must be quiet.

Ends with status 1 where `kdtools` trains, or `sleep` predicts, with less than 0.8 of the fair share beside loops, or
the choice is another one.

train    steps of kd-student's loop, with the faces read and augmented beside it
predict  batches of crops through ONNX Runtime, one worker of one thread on each core, as kd-predict does photographs
video    one crop at a time through ONNX Runtime on all cores, as kd-predict does videos
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from kdtools.machine import SPIN_COUNT, WAIT_POLICY
from kdtools.parallel import workers
from kdtools.training.waiting import leave_to_training

OPENMP_SETTINGS = ("OMP_NUM_THREADS", WAIT_POLICY, SPIN_COUNT)
SPIN, SLEEP = {SPIN_COUNT: "300000"}, {WAIT_POLICY: "PASSIVE"}  # the first is the library's own default
TRAINING = {"kdtools": {}, "one": {"OMP_NUM_THREADS": "1"}, "apart": {"OMP_NUM_THREADS": "1"}}
TO_NOTICE = 5.0  # s: two looks at the load, and one that began before it changed
LEAST_SHARE = 0.8
CHOICE = f"import os, kdtools; print(os.environ.get('{WAIT_POLICY}') == 'PASSIVE')"
KINDS = ("train", "predict", "video")
LOOPS = (0, 1, 2)
N_STEPS, BATCH = 8, 32  # of an epoch; the work goes on with further ones


# ---- the process of a variant: asked for a turn of so many seconds, answers with the number of faces a second
class Turns:
    """Counts faces while a turn lasts, and waits for the next. Of several processes the first one is asked."""

    def __init__(self) -> None:
        self.is_asked = os.environ.get("RANK", "0") == "0"
        if self.is_asked:
            self.begin()

    def begin(self) -> None:
        line = sys.stdin.readline()
        if not line:
            os._exit(0)
        self.n_faces, self.began = 0, time.monotonic()
        self.ends = self.began + float(line)

    def add(self, n_faces: int) -> None:
        if not self.is_asked:
            return
        self.n_faces += n_faces
        if (now := time.monotonic()) >= self.ends:
            print(self.n_faces / (now - self.began), flush=True)
            self.begin()


def prepare(arch: str, input_size: int, folder: Path) -> None:
    """Faces to train on, and an untrained network as ONNX."""
    import torch
    from train_speed import create_network, write_files

    from kdtools.export.graph import export_onnx
    from kdtools.model.card import read_card
    from kdtools.model.file import load_model, save_model
    from kdtools.storage.provenance import Provenance

    write_files(folder, N_STEPS * BATCH, arch, input_size)
    model = folder / "model.safetensors"
    save_model(model, create_network(arch, input_size), Provenance("benchmark"))
    export_onnx(load_model(model, torch.device("cpu")), folder / "model.onnx", read_card(model)[1])


def train_in_turns(arch: str, input_size: int, folder: Path) -> None:
    import torch

    from kdtools.storage.provenance import Provenance
    from kdtools.training.checkpoints import RunFiles
    from kdtools.training.distributed import joined_processes
    from kdtools.training.settings import resolve_settings
    from kdtools.training.task import load_task
    from kdtools.training.trainer import train

    asked = {"arch": arch, "input_size": input_size, "batch": BATCH, "epochs": 10**6, "loss": "l2"}
    settings, device = resolve_settings("kd-student", "default", asked), torch.device("cpu")
    faces, val = (str(folder / f"{name}.h5") for name in ("faces", "val"))
    with (
        joined_processes(device),
        load_task(faces, val, None, {}, val_share=settings.val_share, seed=0, device=device) as task,
    ):
        turns = Turns()
        train(
            task,
            settings,
            RunFiles.for_output(folder / str(os.getpid())),
            device=device,
            provenance=Provenance("benchmark"),
            resume=False,
            on_epoch=lambda _: None,
            on_step=lambda _: turns.add(BATCH),
        )


def predict_in_turns(input_size: int, folder: Path, *, video: bool) -> None:
    import numpy as np

    from kdtools.parallel import map_bounded
    from kdtools.prediction.engines.onnx import OnnxEngine

    engine = OnnxEngine(folder / "model.onnx", workers(0) if video else 1)
    batch = 1 if video else engine.batch
    crops = np.random.default_rng(0).integers(0, 256, (batch, input_size, input_size, 3), np.uint8)
    turns = Turns()
    if video:
        while True:
            engine.predict(crops)
            turns.add(batch)
    for _ in map_bounded(lambda _: engine.predict(crops), count(), 0, ahead=1):
        turns.add(batch)


# ---- the measurement
class Variant:
    """A process with these settings of the environment."""

    def __init__(
        self, name: str, settings: dict[str, str], options: argparse.Namespace, kind: str, folder: str
    ) -> None:
        self.name = name
        start = [sys.executable]
        if name == "apart":
            start += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(workers(0))]
        words = [*start, __file__, "--arch", options.arch, "--input-size", str(options.input_size)]
        environment = {name: value for name, value in os.environ.items() if name not in OPENMP_SETTINGS}
        self._process = subprocess.Popen(
            [*words, "--in-turns", kind, "--folder", folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment | settings,
            start_new_session=True,  # with the processes that it starts
        )

    def speed(self, seconds: float) -> float:
        """Faces a second."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(seconds, file=self._process.stdin, flush=True)
        return float(self._process.stdout.readline())

    def end(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@contextmanager
def busy_loops(n: int) -> Iterator[None]:
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(n)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def measure(kind: str, variants: dict[str, dict[str, str]], options: argparse.Namespace, folder: str) -> bool:
    """Prints a table; returns whether the target is reached."""
    processes: list[Variant] = []
    found: dict[tuple[str, int], list[float]] = {(name, n): [] for name in variants for n in LOOPS}
    try:
        for name, settings in variants.items():  # loaded one after the other, and warm
            processes.append(Variant(name, settings, options, kind, folder))
            processes[-1].speed(1)
        print(f"{kind}: loaded", file=sys.stderr, flush=True)
        for _ in range(options.rounds):
            for n in LOOPS:
                with busy_loops(n):
                    for one in processes:
                        if one.name == "kdtools":
                            one.speed(TO_NOTICE)
                        found[one.name, n].append(one.speed(options.seconds))
    finally:
        for one in processes:
            one.end()
    n_cores, good = workers(0), True
    alone = max(found["spin", 0])
    for name in variants:
        speeds = [max(found[name, 0]), *(statistics.median(found[name, n]) for n in LOOPS[1:])]
        shares = [speed / (alone * n_cores / (n_cores + n)) for speed, n in zip(speeds, LOOPS, strict=True)]
        words = [f"{kind:8} {name:10} alone {speeds[0]:.1f} faces/s, {shares[0]:.2f} of spin"]
        words += [f"beside {n}: {speeds[n]:.1f}, {shares[n]:.2f} of the fair share" for n in LOOPS[1:]]
        print("; ".join(words), flush=True)
        if name == ("kdtools" if kind == "train" else "sleep"):
            good = min(shares[1:]) >= LEAST_SHARE
    return good


def right_choices() -> bool:
    """Whether kdtools, started alone and beside a loop, has its threads wait as is best there; prints it."""
    environment = {name: value for name, value in os.environ.items() if name not in OPENMP_SETTINGS}
    good = True
    for n in (0, 1):
        with busy_loops(n):
            time.sleep(30)  # until the load average shows it
            words = [sys.executable, "-c", CHOICE]
            done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
        sleeps = done.stdout.strip() == "True"
        print(f"choice   beside {n} loops: threads {'sleep' if sleeps else 'spin'}", flush=True)
        good &= sleeps == bool(n)
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", default="mobilenetv2_050")
    parser.add_argument("--input-size", type=int, default=96)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a turn")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=KINDS, action="append")
    parser.add_argument("--variant", action="append", default=[], metavar="NAME=VALUE,...")
    parser.add_argument("--in-turns", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no loop is left behind
    if options.in_turns:
        if options.in_turns == "train":
            leave_to_training(os.environ)  # as the tools do
            train_in_turns(options.arch, options.input_size, Path(options.folder))
        predict_in_turns(options.input_size, Path(options.folder), video=options.in_turns == "video")
    variants = {"spin": SPIN, "sleep": SLEEP}
    for words in options.variant:
        variants[words] = dict(word.split("=", 1) for word in words.split(","))
    print(f"{options.arch}, {options.input_size} px, {workers(0)} cores, turns of {options.seconds:g} s")
    with tempfile.TemporaryDirectory() as folder:
        prepare(options.arch, options.input_size, Path(folder))
        results = [
            measure(kind, variants | TRAINING if kind == "train" else variants, options, folder)
            for kind in options.only or KINDS
        ]
    if not options.only:
        results.append(right_choices())
    print(f"target ({LEAST_SHARE} of the fair share, the right choice): {'met' if all(results) else 'NOT met'}")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
