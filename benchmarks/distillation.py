"""Do two teachers beat the best loss without teachers? One table over losses, teachers and seeds, on real faces.

    python benchmarks/distillation.py DATA WORK [--seeds 3] [--epochs 3] [--jobs 2]
    python benchmarks/distillation.py DATA WORK --table

DATA holds lfpw68/train, youtube68/train, youtube68/val and weights/mobilenetv2_100_imagenet.safetensors. All goes to
WORK; what is there is kept, so an interrupted run goes on. Every student has the same network, start weights, steps
and augmentation; only its loss and its teachers differ. About an hour on two cores, a process of one thread on each.

The table: NME (inter-ocular, %) on the validation faces, mean over the seeds and each seed; then the difference to
plain L1 with its 95 % interval, paired face by face (mean error over the seeds), resampled by person.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kdtools.files import open_faces
from kdtools.groups import group_faces
from kdtools.metrics import compare_paired, nme_per_face, normalisers_of

BASELINE = "l1"
NETWORK = "--arch mobilenetv2_100 --input-size 64 --lr 2e-3 --set freeze=8"
TEACHER = "--arch mobilenetv2_100 --input-size 96 --lr 2e-3 --set freeze=8 --set head=heatmap --set ema=0.99 --loss l1"
TEACHER_EPOCHS, TOLERANT_EPOCHS = 12, 4  # the Tolerant teacher starts from the Tough one's weights
WEAK = "--arch mobilenetv2_100 --input-size 64 --loss l2 --epochs 5"
BOTH = ("tough", "tolerant")


@dataclass(frozen=True)
class Case:
    """A way to train the student: options of kd-student, and where its teachers come from."""

    options: str
    teachers: tuple[str, ...] = ()
    source: str = "strong"  # strong: a file of predictions; fold: cross-fitted; weak: random start; online: the model
    told: str = ""


CASES = {
    "l1": Case("--loss l1"),
    "l2": Case("--loss l2"),
    "wing": Case("--loss wing"),
    "smooth": Case("--loss smooth"),
    "kd-reference": Case("--loss kd --variant reference", BOTH),
    "kd-figure": Case("--loss kd --variant figure", BOTH),
    "l1+assist": Case("--loss l1+assist --variant figure", BOTH),
    "wing+assist": Case("--loss wing+assist --variant figure", BOTH),
    "kd-only-tough": Case("--loss kd --variant figure --set w_tolerant=0", BOTH),
    "kd-only-tolerant": Case("--loss kd --variant figure --set w_tough=0", BOTH),
    "mimic-tough": Case("--loss l1+mimic --set w_main=1", ("tough",)),
    "mimic-only": Case("--loss l1+mimic --set w_main=0", ("tough",)),
    "mimic-both": Case("--loss l1+mimic --set w_main=1", BOTH),
    "kd-figure-fold": Case("--loss kd --variant figure", BOTH, "fold"),
    "l1+assist-fold": Case("--loss l1+assist --variant figure", BOTH, "fold"),
    "mimic-both-fold": Case("--loss l1+mimic --set w_main=1", BOTH, "fold"),
    "mimic-tough-fold": Case("--loss l1+mimic --set w_main=1", ("tough",), "fold"),
    "kd-figure-weak": Case("--loss kd --variant figure", BOTH, "weak"),
    "kd-reference-weak": Case("--loss kd --variant reference", BOTH, "weak"),
    "kd-figure-online": Case("--loss kd --variant figure", BOTH, "online"),
    "mimic-tough-online": Case("--loss l1+mimic --set w_main=1", ("tough",), "online"),
}


class Runner:
    """Runs commands in a folder, each unless its output is there."""

    def __init__(self, work: Path, weights: Path) -> None:
        self.work, self.weights = work, weights

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
            self.teach("tough.strong", strong)
            self.teach(
                "tolerant.strong",
                f"{soft} {TEACHER} --epochs {TOLERANT_EPOCHS} --init tough.strong.safetensors",
            )

        jobs: list[Future[None]] = [
            pool.submit(full),
            pool.submit(self.teach, "tough.fold", strong, folds=True),
            pool.submit(self.teach, "tolerant.fold", f"{soft} {strong}", folds=True),
            pool.submit(self.teach, "tough.weak", WEAK),
            pool.submit(self.teach, "tolerant.weak", f"{soft} {WEAK}"),
        ]
        for job in jobs:
            job.result()

    def learn(self, name: str, seed: int, epochs: int) -> None:
        case = CASES[name]
        suffix = "safetensors" if case.source == "online" else "h5"
        source = "strong" if case.source == "online" else case.source
        teachers = " ".join(f"--{role} {role}.{source}.{suffix}" for role in case.teachers)
        output = f"{name}.{seed}"
        self.run(
            f"{output}.safetensors",
            f"kd-student train.h5 --val val.h5 {NETWORK} --init {self.weights} --epochs {epochs} --seed {seed} "
            f"{case.options} {teachers} --resume",
        )
        self.run(f"{output}.val.h5", f"kd-predict {output}.safetensors val.h5")


def errors_of(work: Path, prediction: str) -> np.ndarray | None:
    """NME (N,) of the validation faces, in %; None where the prediction is not there yet."""
    path = work / f"{prediction}.val.h5"
    if not path.exists():
        return None
    with open_faces(work / "val.h5") as truth, open_faces(path) as pred:
        points = truth.landmarks_in_source()
        found = pred.landmarks_in_source()
        lengths = next(n for n in normalisers_of(truth.scheme) if n.name == "inter-ocular").lengths(points)
    return 100 * nme_per_face(points, found, lengths)


def print_table(work: Path, seeds: int) -> None:
    with open_faces(work / "val.h5") as truth:
        _, people = np.unique(group_faces(truth.ids, None).names, return_inverse=True)
    print(f"{len(people)} faces of {people.max() + 1} people")
    for teacher in ("tough.strong", "tolerant.strong", "tough.weak", "tolerant.weak"):
        errors = errors_of(work, teacher)
        if errors is not None:
            print(f"teacher {teacher}: {errors.mean():.2f} %")
    found = {
        name: [e for seed in range(seeds) if (e := errors_of(work, f"{name}.{seed}")) is not None] for name in CASES
    }
    print(f"{'case':20} {'NME %':>6} {'to ' + BASELINE:>7} {'95 % interval':>16} {'relative':>8}  seeds")
    for name, of_seeds in sorted(found.items(), key=lambda item: np.mean(item[1]) if item[1] else np.inf):
        n = min(len(of_seeds), len(found[BASELINE]))
        if not n:
            continue
        mean = np.mean(of_seeds[:n], axis=0)
        compared = compare_paired(mean, np.mean(found[BASELINE][:n], axis=0), people)
        interval = "" if compared.low is None else f"{compared.low:+.2f} to {compared.high:+.2f}"
        each = " ".join(f"{errors.mean():.2f}" for errors in of_seeds)
        difference, relative = compared.difference or 0.0, 100 * (compared.relative or 0.0)
        print(f"{name:20} {mean.mean():6.2f} {difference:+7.2f} {interval:>16} {relative:+7.1f}%  {each}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--table", action="store_true", help="only print the table of what is there")
    given = parser.parse_args()
    if not given.table:
        data, work = given.data.resolve(), given.work.resolve()
        work.mkdir(parents=True, exist_ok=True)
        runner = Runner(work, data / "weights/mobilenetv2_100_imagenet.safetensors")
        runner.run("train.h5", f"kd-import {data}/lfpw68/train {data}/youtube68/train --size 128")
        runner.run("val.h5", f"kd-import {data}/youtube68/val --size 128")
        runner.run("soft.h5", "kd-asm train.h5")
        with ThreadPoolExecutor(given.jobs) as pool:
            runner.teach_all(pool)
            # Seed by seed, so that an unfinished run already compares all cases.
            list(
                pool.map(
                    lambda job: runner.learn(*job, given.epochs),
                    [(name, seed) for seed in range(given.seeds) for name in given.cases],
                )
            )
    print_table(given.work, given.seeds)


if __name__ == "__main__":
    main()
