"""Where labels end: what teachers and unlabelled faces give a small network that has few annotated faces.

    python benchmarks/few_labels.py DATA WORK [--points 68] [--labels 200] [--seeds 3] [--tough OPTIONS] [--cases ...]
    python benchmarks/few_labels.py DATA WORK [--points 68] [--labels 200] --table

DATA holds helen68/train, unlabelled/lfw and weights/mobilenetv2_100_imagenet.safetensors; with --points 21 also
lfpw68/train, youtube68/train and youtube68/val. All goes to WORK; what is there is kept, so an interrupted run goes on.

The labelled faces are `--labels` of HELEN's (all for `all`), others for each seed; the unlabelled ones are those that
the face finder sees in 4,500 photographs of LFW. Every seventh photograph of HELEN is kept apart, and its faces are
what is measured. All students start from the same weights (ImageNet for 68 points; for 21 a network that knows 68
points, but not HELEN's faces), and see the same number of images at 96 px with the same loss, labelled and unlabelled
together. Each seed has teachers of its own:

- Tough is trained on the labelled faces alone, with the options --tough, and predicts each face and its mirror image.
- Tolerant costs nothing: it is Tough's answer, brought through the shape model of the labelled faces.
- Another Tolerant, of cases whose names begin with `network`, is a second network, trained as Tough is but on the
  Soft-landmarks of the labelled faces, as in the paper.

The table: NME in % of the distance between the outer corners of the eyes (21 points: between the eyes' centres), mean
over the seeds and each seed, and the difference from labels alone and from Tough alone, with 95 % intervals over seeds
and photographs. The same seed has the same labels in all cases, so seeds are paired (kdtools.metrics.compare_methods).
"""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from distillation import Runner, errors_of, parser_for
from start_weights import POINTS, START, import_parts, import_start, split_helen, write_scheme

from kdtools.faces.file import open_faces
from kdtools.faces.people import group_faces
from kdtools.metrics import compare_methods

IMAGES = 12_800  # that each student sees; with more than 800 labels, each of them 16 times
TEACHER_IMAGES = 6400  # that Tough sees; with more than 400 labels, each of them 16 times
STUDENT = "--preset best --loss wing --augment mild --set freeze=8 --input-size 96 --lr 2e-3"
TOUGH = "--arch mobilenetv2_100 --input-size 160"
TEACHER = "--preset best --loss wing --augment mild --set freeze=8 --batch 16 --lr 2e-3"
BATCH = 16  # faces of a step, with and without labels


@dataclass(frozen=True)
class Case:
    """A way to train the student: teachers, options, the share of unlabelled faces in a step, and a first stage."""

    options: str = ""
    teachers: tuple[str, ...] = ()
    share: float = 0.0
    first: float = 0.0  # share of all images that a first stage sees, which learns from unlabelled faces alone
    network: bool = False  # Tolerant is a network that has learnt Soft-landmarks


BOTH = ("tough", "tolerant")
CASES = {
    "labels": Case(),
    "labels+teachers": Case("--loss wing+mimic", BOTH),
    "tough": Case("", ("tough",), 0.5),
    "tough-confidence": Case("--set trust=confidence", ("tough",), 0.5),
    "both-agreement": Case("--set trust=agreement", BOTH, 0.5),
    "network-agreement": Case("--set trust=agreement", BOTH, 0.5, network=True),
    "both-kd": Case("--loss kd --variant figure", BOTH, 0.5),
    "network-kd": Case("--loss kd --variant figure", BOTH, 0.5, network=True),
    "tough-first": Case("", ("tough",), 0.0, 0.5),
}
NAMES = {
    "labels": "labels alone, no teacher",
    "labels+teachers": "labels, mimicking both teachers",
    "tough": "and unlabelled faces, Tough",
    "tough-confidence": "the same, trust=confidence",
    "both-agreement": "and unlabelled faces, both, trust=agreement",
    "network-agreement": "the same, Tolerant is a network",
    "both-kd": "and unlabelled faces, both, KD-Loss",
    "network-kd": "the same, Tolerant is a network",
    "tough-first": "unlabelled faces first, then labels",
}


class Setting:
    """The files of one number of points and of labels, all of whose names begin with `prefix`."""

    def __init__(self, runner: Runner, points: int, labels: str, tough: str) -> None:
        self.runner, self.labels, self.tough = runner, labels, tough
        self.scheme, self.prefix = f"own{points}" if points == 21 else "ibug68", f"{points}.{labels}"
        self.start = "faces.safetensors" if points == 21 else str(runner.weights)

    def import_all(self, seeds: int) -> None:
        """Labelled, unlabelled and test faces; and the start network where it is not ImageNet's."""
        runner, folder = self.runner, self.runner.data / "helen68/train"
        test, fit = split_helen(folder)
        scheme, points = "ibug68", tuple((i,) for i in range(68))
        if self.scheme != "ibug68":
            points = POINTS[self.scheme]
            scheme = f"{self.scheme}.toml"
            write_scheme(runner.work / scheme, self.scheme)
            import_start(runner)
            runner.run(
                "faces.safetensors", f"kd-student faces.h5 --val val.h5 {START} --init {runner.weights} --resume"
            )
        parts = {f"{self.scheme}.test": test}
        for seed in range(seeds):
            n = len(fit) if self.labels == "all" else int(self.labels)
            chosen = np.random.default_rng(seed).permutation(len(fit))[:n]
            parts[f"{self.prefix}.{seed}"] = [fit[i] for i in sorted(chosen)]
        import_parts(runner, parts, points, f"--images {folder} --scheme {scheme} --size 160")
        runner.run("lfw.h5", f"kd-import {runner.data}/unlabelled/lfw --detector finder --size 160")

    def n_labels(self, seed: int) -> int:
        with open_faces(self.runner.work / f"{self.prefix}.{seed}.h5") as faces:
            return len(faces.ids)

    def teach(self, seed: int, network: bool) -> None:
        """Tough and Tolerant, and what they say of the labelled, the unlabelled and the test faces.

        With `network`, also the Tolerant teacher that has learnt Soft-landmarks.
        """
        name, run = f"{self.prefix}.{seed}", self.runner.run
        self.teach_network(seed, "teacher", "tough")
        self.measure(f"{name}.teacher", "--flip")
        run(f"{name}.soft.h5", f"kd-asm {name}.h5")
        run(f"{name}.tolerant.h5", f"kd-asm {name}.tough.h5 --shape-model {name}.soft.h5")
        if network:
            self.teach_network(seed, "tolerant-teacher", "tolerant-network", f"--landmarks {name}.soft.h5")

    def teach_network(self, seed: int, teacher: str, predictions: str, options: str = "") -> None:
        """A teacher, and what it says of the labelled and unlabelled faces, in one file."""
        name, run = f"{self.prefix}.{seed}", self.runner.run
        epochs = max(16, round(TEACHER_IMAGES / self.n_labels(seed)))
        init = "" if "--init" in self.tough else f"--init {self.start}"
        run(
            f"{name}.{teacher}.safetensors",
            f"kd-teacher {name}.h5 {options} {TEACHER} {self.tough} {init} --epochs {epochs} --seed {seed} --resume",
        )
        parts = f"{name}.h5", self.unlabelled(seed)
        for part in parts:
            run(f"{name}.{predictions}.{part}", f"kd-predict {name}.{teacher}.safetensors {part} --flip")
        run(f"{name}.{predictions}.h5", f"kd-merge {' '.join(f'{name}.{predictions}.{part}' for part in parts)}")

    def unlabelled(self, seed: int) -> str:
        """Own points have crops of their own, which lie around what the teacher finds."""
        if self.scheme == "ibug68":
            return "lfw.h5"
        name, run = f"{self.prefix}.{seed}", self.runner.run
        run(f"{name}.found.jsonl", f"kd-predict {name}.teacher.safetensors {self.runner.data}/unlabelled/lfw")
        run(
            f"{name}.lfw.h5",
            f"kd-import {name}.found.jsonl --images {self.runner.data}/unlabelled/lfw --size 160 "
            f"--scheme {self.scheme}.toml",
        )
        return f"{name}.lfw.h5"

    def learn(self, case_name: str, seed: int) -> None:
        case, name = CASES[case_name], f"{self.prefix}.{seed}"
        n_labels, init = self.n_labels(seed), self.start
        n_images = max(IMAGES, 16 * n_labels)
        output = f"{name}.{case_name}"
        files = {"tough": "tough", "tolerant": "tolerant-network" if case.network else "tolerant"}
        teachers = " ".join(f"--{role} {name}.{files[role]}.h5" for role in case.teachers)
        train = f"kd-student {name}.h5 {STUDENT} --seed {seed} --resume"
        if case.first:
            more, seen = self.unlabelled(seed), case.first * n_images
            with open_faces(self.runner.work / more) as faces:
                epochs = max(1, round(seen / len(faces.ids)))
                n_images -= epochs * len(faces.ids)
            self.runner.run(
                f"{output}.first.safetensors",
                f"{train} {teachers} --unlabelled {more} --set unlabelled_share=1 --batch {BATCH} --epochs {epochs} "
                f"--init {init}",
            )
            init, teachers = f"{output}.first.safetensors", ""
        if case.share:
            teachers += f" --unlabelled {self.unlabelled(seed)} --set unlabelled_share={case.share}"
        epochs, batch = max(1, round(n_images * (1 - case.share) / n_labels)), round(BATCH * (1 - case.share))
        self.runner.run(
            f"{output}.safetensors",
            f"{train} {case.options} {teachers} --batch {batch} --epochs {epochs} --init {init}",
        )
        self.measure(output)

    def measure(self, model: str, options: str = "") -> None:
        part = f"{self.scheme}.test"
        self.runner.run(f"{model}.{part}.h5", f"kd-predict {model}.safetensors {part}.h5 {options}")


def print_table(setting: Setting, seeds: int) -> None:
    work, part = setting.runner.work, f"{setting.scheme}.test"
    normaliser = "inter-ocular" if setting.scheme == "ibug68" else "inter-pupil"
    with open_faces(work / f"{part}.h5") as truth:
        _, photographs = np.unique(group_faces(truth.ids, None).names, return_inverse=True)
    found = {
        name: {
            seed: errors
            for seed in range(seeds)
            if (errors := errors_of(work, f"{setting.prefix}.{seed}.{name}", part, normaliser)) is not None
        }
        for name in ("teacher", *CASES)
    }
    print(f"{len(photographs)} faces of {photographs.max() + 1} photographs; {setting.labels} labelled faces")
    print(f"{'case':44} {'NME %':>6}  {'to labels':>24}  {'to Tough':>24}  seeds")
    for name, by_seed in found.items():
        if not by_seed:
            continue
        columns = []
        for reference in ("labels", "tough"):
            both = sorted(by_seed.keys() & found[reference].keys())
            if name in (reference, "teacher") or not both:
                columns.append("")
                continue
            errors, baseline = (np.stack([one[seed] for seed in both]) for one in (by_seed, found[reference]))
            gap = compare_methods(errors, baseline, photographs, paired=True)
            columns.append(f"{gap.difference:+.2f} ({gap.low:+.2f} to {gap.high:+.2f})")
        title = NAMES.get(name, "the Tough teacher itself, --flip")
        each = " ".join(f"{errors.mean():.2f}" for errors in by_seed.values())
        mean = np.mean([errors.mean() for errors in by_seed.values()])
        print(f"{title:44} {mean:6.2f}  {columns[0]:>24}  {columns[1]:>24}  {each}")


def main() -> None:
    parser = parser_for(__doc__, CASES)
    parser.add_argument("--points", type=int, choices=(21, 68), default=68)
    parser.add_argument("--labels", default="200", help="a number of faces, or all")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--tough", default=TOUGH, metavar="OPTIONS", help="network of the teacher, as kd-teacher has it"
    )
    given = parser.parse_args()
    setting = Setting(Runner(given.data, given.work), given.points, given.labels, given.tough)
    if not given.table:
        setting.import_all(given.seeds)
        with ThreadPoolExecutor(given.jobs) as pool:
            alone = [
                pool.submit(setting.learn, name, seed)
                for seed, name in itertools.product(range(given.seeds), given.cases)
                if not CASES[name].teachers
            ]
            taught = [name for name in given.cases if CASES[name].teachers]
            if taught:
                network = any(CASES[name].network for name in taught)
                list(pool.map(lambda seed: setting.teach(seed, network), range(given.seeds)))
            list(pool.map(lambda job: setting.learn(job[1], job[0]), itertools.product(range(given.seeds), taught)))
            for job in alone:
                job.result()
    print_table(setting, given.seeds)


if __name__ == "__main__":
    main()
