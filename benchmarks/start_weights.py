"""What a network that knows faces is worth as start weights for other points: --init of a model, ImageNet and random.

    python benchmarks/start_weights.py DATA WORK [--seeds 3] [--jobs 2] [--cases NAME ...]
    python benchmarks/start_weights.py DATA WORK --table

DATA holds lfpw68/train, helen68/train, youtube68/train, youtube68/val and weights/mobilenetv2_100_imagenet.safetensors.
All goes to WORK; what is there is kept, so an interrupted run goes on.

The own sets are 50, 200 and 800 faces of HELEN with 5 and with 21 points, which are made from the 68 annotated ones.
The start network `faces` is trained here as face68 is, at 96 px, and without HELEN, which face68 has seen. Of HELEN
every seventh photograph is kept apart; its faces are what is measured: NME in % of the distance between the centres of
the eyes. Each seed draws other faces for the own set. All cases have the same recipe and steps; only --init differs.
"""

from __future__ import annotations

import csv
import itertools
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from distillation import Runner, errors_of, parser_for
from first_annotations import take_first_annotations

BASE = "--preset best --loss wing --augment mild --set freeze=8 --input-size 96 --batch 16 --lr 2e-3"
EPOCHS = {50: 60, 200: 30, 800: 15}
START = "--preset best --loss wing --augment light --set freeze=8 --input-size 96 --batch 16 --lr 3e-3 --epochs 5"
STARTS = ("faces", "imagenet", "none")

# Points of ibug68 whose mean is a point; the second row of a pair is its mirror image.
_EYES = ((36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47))
POINTS = {
    "own5": (*_EYES, (30,), (48,), (54,)),
    "own21": (
        *((17,), (26,), (18, 19, 20), (25, 24, 23), (21,), (22,), (36,), (45,), (39,), (42,)),
        *(*_EYES, (31,), (35,), (30,), (48,), (54,), (51, 62), (57, 66), (8,), (27,)),
    ),
}
PAIRS = {
    "own5": ((0, 1), (3, 4)),
    "own21": ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (10, 11), (12, 13), (15, 16)),
}
CENTRES = {"own5": (0, 1), "own21": (10, 11)}  # of the eyes
CASES = tuple(f"{scheme}.{n}.{start}" for n, scheme, start in itertools.product(EPOCHS, POINTS, STARTS))


def write_scheme(path: Path, scheme: str) -> None:
    left, right = CENTRES[scheme]
    path.write_text(
        f'name = "{scheme}"\nn_points = {len(POINTS[scheme])}\nmirror = {[list(pair) for pair in PAIRS[scheme]]}\n'
        f"left_eye = [{left}]\nright_eye = [{right}]\n"
    )


def write_table(path: Path, points: tuple[tuple[int, ...], ...], annotated: list[Path]) -> None:
    """A table of the images and their points, as an annotation program would write it."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", *(f"{axis}{i}" for i in range(len(points)) for axis in "xy")])
        for pts in annotated:
            annotation = np.loadtxt(pts, skiprows=3, comments="}") - 1  # .pts counts pixels from 1
            image = next(p for p in pts.parent.glob(f"{pts.stem}.*") if p.suffix != ".pts")
            own = np.array([annotation[list(of)].mean(axis=0) for of in points])
            writer.writerow([image.name, *(f"{value:.2f}" for value in own.ravel())])


def split_helen(folder: Path) -> tuple[list[Path], list[Path]]:
    """Annotations of HELEN's faces: of every seventh photograph, to test with, and the others."""
    annotated = sorted(folder.glob("*.pts"))
    photograph = {path: re.sub(r"_\d+$", "", path.stem) for path in annotated}  # names are PHOTOGRAPH_NUMBER
    apart = set(sorted(set(photograph.values()))[6::7])
    return [p for p in annotated if photograph[p] in apart], [p for p in annotated if photograph[p] not in apart]


def import_all(runner: Runner, seeds: int) -> None:
    folder = runner.data / "helen68/train"
    test, fit = split_helen(folder)
    for scheme in POINTS:
        write_scheme(runner.work / f"{scheme}.toml", scheme)
        parts = {f"{scheme}.test": test}
        for n, seed in itertools.product(EPOCHS, range(seeds)):
            chosen = np.random.default_rng(seed).permutation(len(fit))[:n]
            parts[f"{scheme}.{n}.{seed}"] = [fit[i] for i in sorted(chosen)]
        import_parts(runner, parts, POINTS[scheme], f"--images {folder} --scheme {scheme}.toml --size 128")
    import_start(runner)


def import_parts(
    runner: Runner, parts: dict[str, list[Path]], points: tuple[tuple[int, ...], ...], options: str
) -> None:
    """NAME.h5 of each part: its annotations as a table of these points, imported with these options."""
    for name, paths in parts.items():
        if not (runner.work / f"{name}.h5").exists():
            write_table(runner.work / f"{name}.csv", points, paths)
        runner.run(f"{name}.h5", f"kd-import {name}.csv {options}")


def import_start(runner: Runner) -> None:
    """What the start network `faces` learns from: no face of HELEN."""
    take_first_annotations(runner.data / "youtube68/train", runner.work / "first")
    runner.run("faces.h5", f"kd-import {runner.data}/lfpw68/train first --size 128")
    runner.run("val.h5", f"kd-import {runner.data}/youtube68/val --size 128")


def learn(runner: Runner, case: str, seed: int) -> None:
    scheme, n, start = case.split(".")
    init = {"faces": "faces.safetensors", "imagenet": runner.weights, "none": "none"}[start]
    output = f"{case}.{seed}"
    run = f"{BASE} --epochs {EPOCHS[int(n)]} --seed {seed} --init {init} --resume"
    runner.run(f"{output}.safetensors", f"kd-student {scheme}.{n}.{seed}.h5 {run}")
    runner.run(f"{output}.{scheme}.test.h5", f"kd-predict {output}.safetensors {scheme}.test.h5")


def print_table(work: Path, seeds: int) -> None:
    print(f"{'points':8} {'n':>5}" + "".join(f"  {start:>28}" for start in STARTS))
    for scheme, n in itertools.product(POINTS, EPOCHS):
        row = f"{scheme:8} {n:5}"
        for start in STARTS:
            names = [f"{scheme}.{n}.{start}.{seed}" for seed in range(seeds)]
            errors = [
                e.mean() for name in names if (e := errors_of(work, name, f"{scheme}.test", "inter-pupil")) is not None
            ]
            each = " ".join(f"{error:.2f}" for error in errors)
            row += f"  {np.mean(errors):6.2f} ({each})".ljust(30) if errors else " " * 30
        print(row)


def main() -> None:
    parser = parser_for(__doc__, CASES)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    if not given.table:
        runner = Runner(given.data, given.work)
        import_all(runner, given.seeds)
        train = f"kd-student faces.h5 --val val.h5 {START} --init {runner.weights} --resume"
        jobs = [(case, seed) for seed in range(given.seeds) for case in CASES if case in given.cases]
        with ThreadPoolExecutor(given.jobs) as pool:
            start = pool.submit(runner.run, "faces.safetensors", train)
            list(pool.map(lambda job: learn(runner, *job), [job for job in jobs if not job[0].endswith(".faces")]))
            start.result()
            list(pool.map(lambda job: learn(runner, *job), [job for job in jobs if job[0].endswith(".faces")]))
    print_table(given.work, given.seeds)


if __name__ == "__main__":
    main()
