"""What makes a student learn fast: one change at a time, from ImageNet weights, on real faces.

    python benchmarks/recipes.py DATA WORK [--jobs 2] [--cases NAME ...]
    python benchmarks/recipes.py DATA WORK --table

DATA as for distillation.py. A sixth of the LFPW faces are kept apart; they and youtube68/val are what is measured: NME
(inter-ocular, %), one seed. All goes to WORK; what is there is kept. Some 4 minutes a case on one core, half an hour
in all on two.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from distillation import Runner, errors_of, parser_for
from first_annotations import take_first_annotations

BASE = "--preset best --loss wing --set freeze=8 --augment light --batch 8 --input-size 96 --lr 2e-3 --seed 0"


@dataclass(frozen=True)
class Case:
    """Faces to train on, and what is other than in BASE; of two equal options the last counts."""

    options: str = ""
    faces: str = "once"
    epochs: int = 4


CASES = {
    "base": Case(),
    "points alone": Case("--set w_heat=0"),
    "linear head": Case("--set w_heat=0 --set head=linear"),
    "heat 0.2": Case("--set w_heat=0.2"),
    "augment mild": Case("--augment mild"),
    "augment none": Case("--augment none"),
    "batch 32": Case("--batch 32"),
    "lr 1e-3": Case("--lr 1e-3"),
    "lr 4e-3": Case("--lr 4e-3"),
    "l1": Case("--loss l1"),
    "second labels too": Case(faces="all"),
    "LFPW twice": Case(faces="twice", epochs=3),
}


def import_all(runner: Runner) -> None:
    """Faces files: LFPW's twice with all first labels, all first labels, and all labels."""
    data = runner.data
    take_first_annotations(data / "youtube68/train", runner.work / "first")
    runner.run("lfpw.h5", f"kd-import {data}/lfpw68/train --size 128")
    runner.run("fit.h5", "kd-split lfpw.h5 --rest held.h5 --share 0.167 --seed 0")
    runner.run("again.h5", "kd-merge fit.h5 --prefix")
    runner.run("first.h5", "kd-import first --size 128")
    runner.run("youtube.h5", f"kd-import {data}/youtube68/train --size 128")
    runner.run("once.h5", "kd-merge fit.h5 first.h5")
    runner.run("twice.h5", "kd-merge again.h5 once.h5")
    runner.run("all.h5", "kd-merge fit.h5 youtube.h5")
    runner.run("val.h5", f"kd-import {data}/youtube68/val --size 128")


def learn(runner: Runner, name: str) -> None:
    case, output = CASES[name], name.replace(" ", "_")
    start = f"--init {runner.weights} --epochs {case.epochs} --resume"
    runner.run(f"{output}.safetensors", f"kd-student {case.faces}.h5 --val held.h5 {BASE} {start} {case.options}")
    for part in ("held", "val"):
        runner.run(f"{output}.{part}.h5", f"kd-predict {output}.safetensors {part}.h5")


def main() -> None:
    given = parser_for(__doc__, CASES).parse_args()
    if not given.table:
        runner = Runner(given.data, given.work)
        import_all(runner)
        with ThreadPoolExecutor(given.jobs) as pool:
            list(pool.map(lambda name: learn(runner, name), given.cases))
    print(f"{'case':18} {'LFPW':>6} {'youtube68':>9}")
    for name in CASES:
        errors = [errors_of(given.work, name.replace(" ", "_"), part) for part in ("held", "val")]
        if errors[0] is not None and errors[1] is not None:
            print(f"{name:18} {errors[0].mean():6.2f} {errors[1].mean():9.2f}")


if __name__ == "__main__":
    main()
