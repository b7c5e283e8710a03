"""kd-predict against what its parts take alone, in one run: throughput, latency, cold start, memory, damaged images.

    python benchmarks/predict_speed.py MODEL.onnx [--model MODEL.safetensors] [--faces N] [--images N] [--rounds R]
        [--only NAME ...] [--large N] [--many N] [--photographs FOLDER]

MODEL.onnx is what kd-export wrote, and --model what it was made from, to compare with PyTorch. All that is compared
takes turns, and ratios are of medians; every process has all cores. Whatever is not drawn here is noise, since no
network's speed depends on what it sees. Checks, by name:

faces     a faces file: at least 0.95 of ONNX Runtime's own throughput, on batches that are in memory, the best of one
          session on all cores and of a call on each core at a time, of 8 or of 16 faces; told are
          faces a second and milliseconds of a processor for each
folder    JPEGs of faces, --detector whole: at least 0.85 of the ideal, whose time is that of decoding alone on all
          cores and that of the network alone on all cores
photographs  those of --photographs FOLDER, with the finder: at least 0.85 of the ideal, whose time is that of decoding,
          of finding and of the network alone, each on all cores
eager     the faces file: at least 2.5 times PyTorch, eager, a face at a time (and, told beside it, a batch at a time)
latency   one face, warm: at most 1.15 times bare ONNX Runtime
cold      first result of a process: within 2 s, without torch
memory    a faces file of --large faces: at most 600 MB
damaged   a folder of --many images with one of a hundred damaged: all others are predicted, all of those are named

Ends with status 1 where one does not hold.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from kdtools.faces.file import open_faces
from kdtools.faces.writer import create_faces
from kdtools.images.drawing import write_image
from kdtools.parallel import workers
from kdtools.prediction.engines import load_engine
from kdtools.prediction.inputs import Photographs
from kdtools.prediction.photograph_work import Search
from kdtools.prediction.pipeline import Run
from kdtools.prediction.predict_faces import predict_faces
from kdtools.prediction.predict_photographs import predict_photographs
from kdtools.storage.provenance import Provenance

NAMES = ("faces", "folder", "photographs", "eager", "latency", "cold", "memory", "damaged")
_BATCH = 64
_CALLS = (8, 16)  # faces a call
_KD_PREDICT = "from kdtools.cli.kd_predict import main; main()"


def medians(rounds: int, **functions: Callable[[], Any]) -> dict[str, float]:
    """Seconds of each function, which take turns; the first round is not counted."""
    return both_medians(rounds, **functions)[0]


def both_medians(rounds: int, **functions: Callable[[], Any]) -> tuple[dict[str, float], dict[str, float]]:
    """As `medians`, and also the seconds of a processor, which compare on a machine that has other work, too."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in functions}
    for number in range(rounds + 1):
        for name, function in functions.items():
            began, before = time.perf_counter(), time.process_time()
            function()
            if number:
                found[name].append((time.perf_counter() - began, time.process_time() - before))
    elapsed, processor = ({name: statistics.median(t[k] for t in found[name]) for name in found} for k in (0, 1))
    return elapsed, processor


def calm_medians(rounds: int, **functions: Callable[[], Any]) -> dict[str, float]:
    """Seconds of one call of each function, where many of one follow each other.

    A session's threads go on spinning for a while after its call: were calls to alternate, one's would take the cores
    from the other's.
    """
    found: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            time.sleep(0.1)
            for number in range(120):
                began = time.perf_counter()
                function()
                if number >= 20:
                    found[name].append(time.perf_counter() - began)
    return {name: statistics.median(times) for name, times in found.items()}


def say(name: str, holds: bool, text: str) -> bool:
    print(f"{name:8} {'ok ' if holds else 'NOT'} {text}", flush=True)
    return holds


def write_faces(path: Path, n: int, size: int) -> None:
    """Noise, written a piece at a time."""
    noise = np.random.default_rng(0).integers(0, 255, (256, size, size, 3), np.uint8)
    with create_faces(str(path), True, Provenance("benchmark")) as writer:
        images = writer.create_images(n, size, size)
        for first in range(0, n, 256):
            images[first : first + 256] = noise[: min(256, n - first)]
        writer.put("id", [f"face{k:07d}" for k in range(n)])


def write_jpegs(folder: Path, n: int, size: int) -> None:
    """Smooth noise, whose files are about as large as those of faces. Links would be read from one place."""
    rng = np.random.default_rng(0)
    some = []
    for _ in range(20):
        image = cv2.resize(rng.integers(0, 255, (size // 8, size // 8, 3), np.uint8), (size, size))
        write_image(folder / "0.jpg", image)
        some.append((folder / "0.jpg").read_bytes())
    for k in range(n):
        (folder / f"{k:06d}.jpg").write_bytes(some[k % len(some)])
    (folder / "0.jpg").unlink()


def network_alone(found: dict[str, float]) -> float:
    """Seconds of the fastest of `Bench.bare`."""
    return min(seconds for name, seconds in found.items() if name.startswith(("one", "calls")))


class Bench:
    """What is measured, with the files that it needs in `work`."""

    def __init__(self, options: argparse.Namespace, work: Path) -> None:
        self.options, self.work = options, work
        self.engine = load_engine(options.onnx, threads=1)
        self.size = self.engine.card.input_size
        self.batch = np.random.default_rng(1).random((_BATCH, 3, self.size, self.size), np.float32)
        self.output = work / "out.h5"

    def session(self, threads: int) -> Any:
        """ONNX Runtime by itself, as its documentation begins."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        return onnxruntime.InferenceSession(self.options.onnx, options, providers=["CPUExecutionProvider"])

    def run(self) -> Run:
        return Run(self.engine, str(self.output), True, Provenance("benchmark"))

    def bare(self, n: int) -> dict[str, Callable[[], Any]]:
        """The network alone over about `n` faces in memory: by one session on all cores, and by a call on each core."""
        together, single, n_batches = self.session(workers(0)), self.session(1), max(1, n // _BATCH)

        def by_calls(of: int) -> None:
            parts = np.array_split(self.batch, _BATCH // of)
            with ThreadPoolExecutor(workers(0)) as pool:
                list(pool.map(lambda part: single.run(None, {"images": part}), parts * n_batches))

        return {
            "one": lambda: [together.run(None, {"images": self.batch}) for _ in range(n_batches)],
            **{f"calls of {of}": partial(by_calls, of) for of in _CALLS},
        }

    def predict(self, path: Path) -> int:
        with open_faces(path) as faces:
            return predict_faces(self.run(), faces, str(path))

    def faces(self) -> bool:
        n = self.options.faces // _BATCH * _BATCH
        path = self.work / "faces.h5"
        write_faces(path, n, self.size)
        found, processor = both_medians(self.options.rounds, **self.bare(n), ours=lambda: self.predict(path))
        ratio, of_processor = (network_alone(one) / one["ours"] for one in (found, processor))
        told = ", ".join(f"{name} {n / s:.1f}/s, {1000 * processor[name] / n:.3f} ms" for name, s in found.items())
        text = f"{ratio:.3f} of ONNX Runtime alone, {of_processor:.3f} by processor time ({told})"
        return say("faces", ratio >= 0.95, text)

    def folder(self) -> bool:
        n = self.options.images // _BATCH * _BATCH
        folder = self.work / "jpegs"
        folder.mkdir()
        write_jpegs(folder, n, 2 * self.size)
        paths = sorted(folder.iterdir())

        def decode() -> None:
            with ThreadPoolExecutor(workers(0)) as pool:
                list(pool.map(lambda path: cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR), paths))

        search = Search.named("whole", None, None)
        found = medians(
            self.options.rounds,
            **self.bare(n),
            decode=decode,
            ours=lambda: predict_photographs(self.run(), Photographs([str(folder)]), search),
        )
        ratio = (found["decode"] + network_alone(found)) / found["ours"]
        told = ", ".join(f"{name} {n / seconds:.1f}/s" for name, seconds in found.items())
        return say("folder", ratio >= 0.85, f"{ratio:.3f} of the ideal ({told})")

    def photographs(self) -> bool:
        if self.options.photographs is None:
            return say("photographs", False, "not measured: give --photographs")
        folder = self.options.photographs
        files = [one.source for one in Photographs([folder])]
        search = Search.named("finder", None, None)

        def on_all_cores(function: Callable[[Any], Any], items: list[Any]) -> list[Any]:
            with ThreadPoolExecutor(workers(0)) as pool:
                return list(pool.map(function, items))

        images = on_all_cores(lambda path: cv2.imread(path), files)
        n_faces = predict_photographs(self.run(), Photographs([folder]), search)
        n_runs = (1 + search.refine) * n_faces
        found = medians(
            self.options.rounds,
            **self.bare(n_runs),
            decode=lambda: on_all_cores(lambda path: cv2.imread(path) is None, files),
            find=lambda: on_all_cores(lambda image: search.detector.find_faces(image, ""), images),
            ours=lambda: predict_photographs(self.run(), Photographs([folder]), search),
        )
        network = network_alone(found) * n_runs / (max(1, n_runs // _BATCH) * _BATCH)
        ratio = (found["decode"] + found["find"] + network) / found["ours"]
        told = ", ".join(f"{name} {found[name]:.2f} s" for name in ("decode", "find", "ours"))
        text = f"{ratio:.3f} of the ideal ({len(files)} photographs, {n_faces} faces; network {network:.2f} s, {told})"
        return say("photographs", ratio >= 0.85, text)

    def eager(self) -> bool:
        if self.options.model is None:
            return say("eager", False, "not measured: give --model")
        import torch

        from kdtools.model.file import load_model

        network = load_model(self.options.model, torch.device("cpu"))
        torch.set_num_threads(workers(0))
        images = torch.from_numpy(self.batch).contiguous(memory_format=torch.channels_last)
        path, n = self.work / "eager.h5", 4 * _BATCH
        write_faces(path, n, self.size)

        def by(batch: int) -> None:
            with torch.inference_mode():
                for first in range(0, n, batch):
                    at = first % _BATCH
                    network(images[at : at + batch])

        found = medians(
            self.options.rounds,
            one=lambda: by(1),
            batches=lambda: by(_BATCH),
            ours=lambda: self.predict(path),
        )
        ratio, of_batches = found["one"] / found["ours"], found["batches"] / found["ours"]
        told = ", ".join(f"{name} {n / seconds:.1f}/s" for name, seconds in found.items())
        return say("eager", ratio >= 2.5, f"{ratio:.2f} times PyTorch, {of_batches:.2f} times its batches ({told})")

    def latency(self) -> bool:
        engine, session = load_engine(self.options.onnx, threads=workers(0)), self.session(workers(0))
        crop, image = np.zeros((1, self.size, self.size, 3), np.uint8), self.batch[:1]
        found = calm_medians(
            self.options.rounds,
            bare=lambda: session.run(None, {"images": image}),
            ours=lambda: engine.predict(crop),
        )
        ratio = found["ours"] / found["bare"]
        told = ", ".join(f"{name} {1000 * seconds:.2f} ms" for name, seconds in found.items())
        return say("latency", ratio <= 1.15, f"{ratio:.3f} times ONNX Runtime alone ({told})")

    def process(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-X", "importtime", "-c", _KD_PREDICT]
        return subprocess.run([*command, *words], capture_output=True, text=True, check=False)

    def cold(self) -> bool:
        write_image(self.work / "one.png", np.zeros((self.size, self.size, 3), np.uint8))
        words = [self.options.onnx, str(self.work / "one.png"), "--detector", "whole", "-f", "-o", str(self.output)]
        errors: list[str] = []
        found = medians(self.options.rounds, ours=lambda: errors.append(self.process(*words).stderr))
        torch = any(line.rpartition("|")[2].strip() == "torch" for line in errors[-1].splitlines())
        text = f"{found['ours']:.2f} s until a process that has predicted one image is over"
        return say("cold", found["ours"] <= 2 and not torch, text + (", and torch was loaded" if torch else ""))

    def memory(self) -> bool:
        path, n = self.work / "large.h5", self.options.large
        write_faces(path, n, self.size)
        # By way of a small process: a started program's peak memory includes that of the one that starts it.
        code = (
            "import resource, subprocess, sys; status = subprocess.run(sys.argv[1:]).returncode; "
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(status)"
        )
        ours = [sys.executable, "-c", _KD_PREDICT, self.options.onnx, str(path), "-q", "-f", "-o", str(self.output)]
        done = subprocess.run([sys.executable, "-c", code, *ours], capture_output=True, text=True, check=False)
        path.unlink()
        peak = int(done.stdout) * 1024 / 1e6
        return say("memory", done.returncode == 0 and peak < 600, f"{peak:.0f} MB for {n} faces")

    def damaged(self) -> bool:
        folder, n = self.work / "many", self.options.many
        folder.mkdir()
        write_jpegs(folder, n, self.size)
        bad = sorted(folder.iterdir())[50::100]
        for k, path in enumerate(bad):
            path.write_bytes((b"", b"no image", path.read_bytes()[:500])[k % 3])
        done = self.process(self.options.onnx, str(folder), "--detector", "whole", "-f", "-o", str(self.output))
        named = {line.split()[2].rstrip(":") for line in done.stderr.splitlines() if " skipped " in line}
        with open_faces(self.output) as faces:
            ids = faces.ids
        good = sorted({path.name for path in folder.iterdir()} - {path.name for path in bad})
        holds = done.returncode == 4 and ids == good and named == {path.name for path in bad}
        return say(
            "damaged", holds, f"{len(ids)} of {len(good)} good images predicted, {len(named)} of {len(bad)} named"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("onnx")
    parser.add_argument("--model")
    parser.add_argument("--faces", type=int, default=2048)
    parser.add_argument("--images", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large", type=int, default=100_000)
    parser.add_argument("--many", type=int, default=10_000)
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--photographs", help="a folder of photographs with faces")
    parser.add_argument("--folder", help="for the files that are made; by default that of temporary files")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as work:
        bench = Bench(options, Path(work))
        print(f"{options.onnx}, {bench.size} px, {workers(0)} cores, {options.rounds} rounds")
        held = [getattr(bench, name)() for name in options.only]  # all are measured, whatever the first ones gave
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
