"""Do two teachers beat the best loss without teachers? One table over losses, teachers and seeds, on real faces.

    python benchmarks/distillation.py DATA WORK [--teacher FILE] [--seeds 3] [--epochs 5] [--lr 3e-4] [--first]
    python benchmarks/distillation.py DATA WORK --table

DATA holds lfpw68/train, youtube68/train, youtube68/val and weights/mobilenetv2_100_imagenet.safetensors. All goes to
WORK; what is there is kept, so an interrupted run goes on. --teacher names the strong Tough teacher, for example the
student of best_student.sh; without it one is trained here.

Far from convergence all losses pull alike, so every student starts from one that has learnt for START_EPOCHS with a
loss of no case. From there all have the same steps and augmentation; only loss and teachers differ. About an hour and a
half on two cores, a process of one thread on each.

The table: NME (inter-ocular, %) on the validation faces, mean over the seeds and each seed; then the difference from
plain L1 of the same network with its 95 % interval, paired face by face (mean error over the seeds), resampled by
person; and NME on the faces alone in their image, since of images annotated twice one annotation is wrong.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from first_annotations import take_first_annotations

from kdtools.faces.file import open_faces
from kdtools.faces.people import group_faces
from kdtools.metrics import compare_paired, nme_per_face, normaliser_named

NETWORK = "--arch mobilenetv2_100 --input-size 64 --batch 16 --augment light --set freeze=8 --set ema=0.99"
HEADS = {"linear": "--set head=linear", "heatmap": "--set head=heatmap --set w_heat=0.05"}
START, START_EPOCHS = "--loss smooth --lr 2e-3", 10
TEACHER = (
    "--preset best --arch mobilenetv2_100 --loss wing --augment light --set freeze=8 --batch 8 --lr 2e-3 "
    "--input-size 96"
)
TEACHER_EPOCHS, TOLERANT_EPOCHS = 8, 4  # the strong Tolerant teacher starts from the Tough one's weights
WEAK = "--arch mobilenetv2_100 --input-size 64 --loss l2 --epochs 5"
BOTH = ("tough", "tolerant")


@dataclass(frozen=True)
class Case:
    """A way to train the student: options of kd-student, and where its teachers come from.

    `source` is strong (a file of predictions), fold (cross-fitted ones), weak (of teachers from a random start) or
    online (the strong models themselves).
    """

    options: str
    teachers: tuple[str, ...] = ()
    source: str = "strong"
    head: str = "linear"

    @property
    def baseline(self) -> str:
        return "l1" if self.head == "linear" else f"{self.head}:l1"


_MIMIC = "--loss l1+mimic --set w_main=1"
_LINEAR = {
    "l1": Case("--loss l1"),
    "l2": Case("--loss l2"),
    "wing": Case("--loss wing"),
    "kd-reference": Case("--loss kd --variant reference", BOTH),
    "kd-figure": Case("--loss kd --variant figure", BOTH),
    "mimic-both": Case(_MIMIC, BOTH),
    "mimic-both-fold": Case(_MIMIC, BOTH, "fold"),
    "mimic-tough": Case(_MIMIC, ("tough",)),
    "l1+assist": Case("--loss l1+assist --variant figure", BOTH),
    "kd-figure-fold": Case("--loss kd --variant figure", BOTH, "fold"),
    "wing+assist": Case("--loss wing+assist --variant figure", BOTH),
    "kd-only-tough": Case("--loss kd --variant figure --set w_tolerant=0", BOTH),
    "kd-only-tolerant": Case("--loss kd --variant figure --set w_tough=0", BOTH),
    "mimic-only": Case("--loss l1+mimic --set w_main=0", ("tough",)),
    "l1+assist-fold": Case("--loss l1+assist --variant figure", BOTH, "fold"),
    "kd-reference-weak": Case("--loss kd --variant reference", BOTH, "weak"),
    "mimic-both-online": Case(_MIMIC, BOTH, "online"),
    "mimic-tough-online": Case(f"{_MIMIC} --set w_tough=3", ("tough",), "online"),
}
_MIMICS = ("mimic-both", "mimic-both-fold", "mimic-both-online", "mimic-tough", "mimic-tough-online", "mimic-only")
_ON_HEATMAPS = ("l1", "wing", "kd-figure", *_MIMICS)
CASES = {
    **_LINEAR,
    **{f"heatmap:{name}": replace(_LINEAR[name], head="heatmap") for name in _ON_HEATMAPS},
}


class Runner:
    """Runs commands in a folder, each unless its output is there."""

    def __init__(self, data: Path, work: Path, teacher: Path | None = None, student: str = "") -> None:
        self.data, self.work, self.teacher, self.student = data.resolve(), work.resolve(), teacher, student
        self.weights = self.data / "weights/mobilenetv2_100_imagenet.safetensors"
        self.work.mkdir(parents=True, exist_ok=True)

    def run(self, output: str, command: str) -> None:
        if (self.work / output).exists():
            return
        began = time.monotonic()
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        words = [*command.split(), "-o", output]
        with (self.work / f"{Path(output).stem}.err").open("w") as log:
            status = subprocess.run(words, cwd=self.work, env=environment, stderr=log, check=False).returncode
        if status not in (0, 4):  # 4: some inputs were skipped, each named
            sys.exit(f"{' '.join(words)}: exit status {status}, see {log.name}")
        print(f"{output}: {time.monotonic() - began:.0f} s", flush=True)

    def teach(self, name: str, options: str, *, folds: bool = False) -> None:
        """Train a teacher, or one for each fold, and predict the training faces."""
        if folds:
            self.run(f"{name}.h5", f"kd-teacher train.h5 --val val.h5 --folds 2 {options} --resume")
            return
        self.run(f"{name}.safetensors", f"kd-teacher train.h5 --val val.h5 {options} --resume")
        self.run(f"{name}.h5", f"kd-predict {name}.safetensors train.h5")
        self.run(f"{name}.val.h5", f"kd-predict {name}.safetensors val.h5")

    def teach_all(self, pool: ThreadPoolExecutor) -> None:
        start = f"--init {self.weights}"
        strong = f"{TEACHER} --epochs {TEACHER_EPOCHS} {start}"
        soft = "--landmarks soft.h5"

        def full() -> None:
            given, taken = self.teacher, self.work / "tough.strong.safetensors"
            if given is not None and not taken.exists():
                shutil.copy(given, taken)
            self.teach("tough.strong", strong)
            self.teach(
                "tolerant.strong",
                f"{soft} {TEACHER} --epochs {TOLERANT_EPOCHS} --init tough.strong.safetensors --lr 1e-3",
            )

        jobs: list[Future[None]] = [
            pool.submit(full),
            pool.submit(self.teach, "tough.fold", strong, folds=True),
            pool.submit(self.teach, "tolerant.fold", f"{soft} {strong}", folds=True),
            pool.submit(self.teach, "tough.weak", WEAK),
            pool.submit(self.teach, "tolerant.weak", f"{soft} {WEAK}"),
            *(pool.submit(self.start, head) for head in HEADS),
        ]
        for job in jobs:
            job.result()

    def start(self, head: str) -> None:
        """The student that all of one kind start from."""
        network = f"{NETWORK} {HEADS[head]} {START} --epochs {START_EPOCHS} --init {self.weights}"
        self.run(f"start.{head}.safetensors", f"kd-student train.h5 --val val.h5 {network} --resume")

    def learn(self, name: str, seed: int) -> None:
        case = CASES[name]
        suffix = "safetensors" if case.source == "online" else "h5"
        source = "strong" if case.source == "online" else case.source
        teachers = " ".join(f"--{role} {role}.{source}.{suffix}" for role in case.teachers)
        output = f"{name}.{seed}"
        network = f"{NETWORK} {HEADS[case.head]} {self.student} --init start.{case.head}.safetensors"
        run = f"--seed {seed} {case.options} {teachers} --resume"
        self.run(f"{output}.safetensors", f"kd-student train.h5 --val val.h5 {network} {run}")
        self.run(f"{output}.val.h5", f"kd-predict {output}.safetensors val.h5")


def errors_of(work: Path, prediction: str, part: str = "val", normaliser: str = "inter-ocular") -> np.ndarray | None:
    """NME (N,) of the faces in a part's file, in %; None where the prediction is not there yet."""
    path = work / f"{prediction}.{part}.h5"
    if not path.exists():
        return None
    with open_faces(work / f"{part}.h5") as truth, open_faces(path) as pred:
        points = truth.points()
        found = pred.points()
        lengths = normaliser_named(normaliser, truth.scheme).lengths(points)
    return 100 * nme_per_face(points, found, lengths)


def print_table(work: Path, seeds: int) -> None:
    with open_faces(work / "val.h5") as truth:
        ids = truth.ids
    _, people = np.unique(group_faces(ids, None).names, return_inverse=True)
    times = Counter(identity.partition("#")[0] for identity in ids)
    alone = np.array([times[identity.partition("#")[0]] == 1 for identity in ids])
    print(f"{len(people)} faces of {people.max() + 1} people, {alone.sum()} of them alone in their image")
    for name in ("tough.strong", "tolerant.strong", "tough.weak", "tolerant.weak"):
        errors = errors_of(work, name)
        if errors is not None:
            print(f"teacher {name}: {errors.mean():.2f} %, alone {errors[alone].mean():.2f} %")
    found = {
        name: [e for seed in range(seeds) if (e := errors_of(work, f"{name}.{seed}")) is not None] for name in CASES
    }
    print(f"{'case':24} {'NME %':>6} {'alone':>6} {'to l1':>6} {'95 % interval':>16} {'relative':>8}  seeds")
    for name, of_seeds in sorted(found.items(), key=lambda item: np.mean(item[1]) if item[1] else np.inf):
        baseline = found[CASES[name].baseline]
        n = min(len(of_seeds), len(baseline))
        if not n:
            continue
        mean = np.mean(of_seeds[:n], axis=0)
        compared = compare_paired(mean, np.mean(baseline[:n], axis=0), people)
        interval = "" if compared.low is None else f"{compared.low:+.2f} to {compared.high:+.2f}"
        each = " ".join(f"{errors.mean():.2f}" for errors in of_seeds)
        difference, relative = compared.difference or 0.0, 100 * (compared.relative or 0.0)
        print(
            f"{name:24} {mean.mean():6.2f} {mean[alone].mean():6.2f} {difference:+6.2f} {interval:>16} "
            f"{relative:+7.1f}%  {each}"
        )


def parser_for(description: str | None, cases: Iterable[str]) -> argparse.ArgumentParser:
    """What every benchmark of cases takes: DATA, WORK, how many run at a time, which, and whether to run at all."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cases", nargs="+", choices=cases, default=list(cases))
    parser.add_argument("--table", action="store_true", help="only print the table of what is there")
    return parser


def main() -> None:
    parser = parser_for(__doc__, CASES)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument(
        "--teacher", type=Path, metavar="FILE", help="the strong Tough teacher; trained here without it"
    )
    parser.add_argument("--lr", type=float, default=3e-4, help="1e-3 shakes a linear head more than 3 epochs mend")
    parser.add_argument("--first", action="store_true", help="of an image annotated twice take the first annotation")
    given = parser.parse_args()
    if not given.table:
        runner = Runner(given.data, given.work, given.teacher, f"--epochs {given.epochs} --lr {given.lr}")
        data = runner.data
        youtube = data / "youtube68/train"
        if given.first:
            youtube = runner.work / "first"
            take_first_annotations(data / "youtube68/train", youtube)
        runner.run("train.h5", f"kd-import {data}/lfpw68/train {youtube} --size 128")
        runner.run("val.h5", f"kd-import {data}/youtube68/val --size 128")
        runner.run("soft.h5", "kd-asm train.h5")
        with ThreadPoolExecutor(given.jobs) as pool:
            runner.teach_all(pool)
            # Seed by seed, so that an unfinished run already compares all cases.
            list(
                pool.map(
                    lambda job: runner.learn(*job),
                    [(name, seed) for seed in range(given.seeds) for name in given.cases],
                )
            )
    print_table(given.work, given.seeds)


if __name__ == "__main__":
    main()
