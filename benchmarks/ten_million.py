"""Whether kd-predict keeps its pace and its memory over millions of inputs; ten million are worked out from fewer.

    python benchmarks/ten_million.py [--inputs N] [--shards N] [--network FILE.onnx] [--folder DIR] [--only PART ...]

A list of N names of few pictures of 32 px (hard links) and a network of 32 px, so that most of the time is what a run
adds to its network. By default the network is an untrained MobileNetV2 0.35 with 68 points. Measured are

- the names alone, in this process: to count and to list them, and what --resume and the end of a run do with each;
- the whole run: processor time an input, early and late, and resident memory, as blocks of results appear;
- a run that is stopped after nine tenths: how long --resume takes until it continues, and whether its result has the
  bytes of the whole run;
- the 900th of 1,000 shards (or of as many as asked for): how long until it predicts;
- that many faces files joined by kd-merge --virtual, and read by kd-eval against one file.

Prints a line for each, with "ok" or "NOT" for what should hold: rate and memory constant within 15 %, the same bytes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kdtools.faces.file import open_faces
from kdtools.faces.writer import create_faces
from kdtools.images.drawing import write_image
from kdtools.landmarks import IBUG68
from kdtools.landmarks.crop_rule import CropRule
from kdtools.prediction.inputs import Photographs
from kdtools.prediction.unchanged import digest_of_stamps, listing_digest, stamp_of
from kdtools.storage.provenance import Provenance

_N_LINKS = 30_000  # of one picture; ext4 allows 65,000
_IN_FOLDER = 1000
_SIZE = 32  # px
_POLL = 0.2  # s


@dataclass(frozen=True)
class Point:
    """A moment of a run: inputs done, elapsed and processor seconds, resident memory in MB."""

    done: int
    seconds: float
    processor: float
    memory: float


def report(name: str, holds: bool, text: str) -> bool:
    print(f"{name:8} {'ok ' if holds else 'NOT'} {text}", flush=True)
    return holds


def write_inputs(folder: Path, n: int) -> Path:
    """Hard links to smooth noise, and the list of their names."""
    import cv2

    rng, original, names = np.random.default_rng(0), folder / "original.jpg", folder / "list.txt"
    with names.open("w") as stream:
        for k in range(n):
            if k % _N_LINKS == 0:
                original.unlink(missing_ok=True)
                write_image(original, cv2.resize(rng.integers(0, 255, (8, 8, 3), np.uint8), (_SIZE, _SIZE)))
            place = folder / "photos" / f"{k // _IN_FOLDER:05d}"
            if k % _IN_FOLDER == 0:
                place.mkdir(parents=True)
            os.link(original, name := f"{place}/{k:08d}.jpg")
            stream.write(name + "\n")
    return names


def write_network(path: Path) -> None:
    import torch

    from kdtools.export.graph import export_onnx
    from kdtools.model.card import ModelCard
    from kdtools.model.network import LandmarkNet

    torch.manual_seed(0)
    card = ModelCard("mobilenetv2_035", _SIZE, IBUG68, CropRule(), (0.5,) * 3, (0.25,) * 3)
    fields = {"kd_kind": "model", "kd_format": 1, **card.to_fields()}
    export_onnx(LandmarkNet(card).eval(), path, fields)


def started(tool: str, *words: str) -> subprocess.Popen[str]:
    code = f"from kdtools.cli.{tool.replace('-', '_')} import main; main()"
    return subprocess.Popen([sys.executable, "-c", code, *words], stderr=subprocess.PIPE, text=True)


def timed(tool: str, *words: str) -> str:
    """How long a command takes, in words; one that fails ends the benchmark."""
    began, before = time.perf_counter(), os.times()
    process = started(tool, *words)
    _, said = process.communicate()
    if process.returncode:
        sys.exit(f"{tool}: status {process.returncode}: {said}")
    after = os.times()
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    return f"{time.perf_counter() - began:.1f} s ({processor:.1f} s of a processor)"


def usage(pid: int) -> tuple[float, float]:
    """Processor seconds and resident memory in MB of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK"), int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def followed(process: subprocess.Popen[str], output: Path, *, until: int | None = None) -> list[Point]:
    """A point for each block of a run as it appears; ends the run with SIGTERM after `until` inputs."""
    began, points, n_blocks = time.perf_counter(), [Point(0, 0.0, 0.0, 0.0)], 0
    while process.poll() is None:
        time.sleep(_POLL)
        block = Path(f"{output}.partial/block-{n_blocks:06d}.h5")
        try:
            now = time.perf_counter() - began, *usage(process.pid)
            if not block.exists():
                continue
            with open_faces(block) as faces:
                done = json.loads(faces.h5.attrs["partial"])["stop"]
        except (OSError, IndexError, ProcessLookupError):
            continue
        points.append(Point(done, *now))
        n_blocks += 1
        if until is not None and done >= until:
            process.send_signal(signal.SIGTERM)
            break
    return points


class Bench:
    def __init__(self, options: argparse.Namespace, work: Path) -> None:
        self.n, self.n_shards, self.work = options.inputs, options.shards, work
        self.network = options.network or str(work / "network.onnx")
        if options.network is None and set(options.only) != {"listed"}:
            write_network(Path(self.network))
        began = time.perf_counter()
        self.names = write_inputs(work, self.n)
        print(f"{self.n} hard links and their list: {time.perf_counter() - began:.0f} s", flush=True)

    def words(self, output: Path, *more: str) -> list[str]:
        return [self.network, str(self.names), "--list", "--detector", "whole", "-o", str(output), *more]

    def listed(self) -> bool:
        photographs = Photographs([str(self.names)], listed=True)
        tasks: dict[str, Callable[[], object]] = {
            "count": photographs.count,
            "list": lambda: deque(photographs, maxlen=0),
            "list, ask the system for each and compare": lambda: digest_of_stamps(map(stamp_of, photographs)),
            "digest of the listing": lambda: listing_digest(photographs),
        }
        texts = []
        for name, task in tasks.items():
            began = time.process_time()
            task()
            texts.append(f"{name} {1e6 * (time.process_time() - began) / self.n:.2f}")
        return report("names", True, f"microseconds of a processor each: {', '.join(texts)}")

    def whole(self) -> bool:
        began, output = time.perf_counter(), self.work / "whole.h5"
        process = started("kd-predict", *self.words(output))
        points = followed(process, output)
        _, said = process.communicate()
        total = time.perf_counter() - began
        if process.returncode:
            sys.exit(said)

        def at(share: float) -> Point:
            """The block that ends nearest to a share of the inputs."""
            return min(points, key=lambda point: abs(point.done - share * self.n))

        def each(first: float, stop: float) -> float:
            """Milliseconds of processor time an input between two shares of the inputs."""
            one, two = at(first), at(stop)
            return 1000 * (two.processor - one.processor) / max(two.done - one.done, 1)

        early, late = each(0.1, 0.3), each(0.8, 1)  # not from 0: the first blocks hold the start, too
        text = f"processor time an input: {early:.3f} ms between 0.1 and 0.3 of them, {late:.3f} ms from 0.8 on"
        rate = report("rate", late < 1.15 * early, text)
        memory, most = at(0.2).memory, max(point.memory for point in points)
        text = f"{memory:.0f} MB after 0.2 of the inputs, at most {most:.0f} MB"
        last = total - points[-1].seconds
        print(f"{self.n / total:.0f} inputs/s, {total:.0f} s; the end, in which the blocks are joined: {last:.1f} s")
        return report("memory", most < 1.15 * memory, text) and rate

    def resumed(self) -> bool:
        output = self.work / "resumed.h5"
        process = started("kd-predict", *self.words(output))
        followed(process, output, until=self.n * 9 // 10)
        process.communicate()
        began, process = time.perf_counter(), started("kd-predict", *self.words(output, "--resume"))
        assert process.stderr is not None
        line = process.stderr.readline().strip()
        passed, processor = time.perf_counter() - began, usage(process.pid)[0]
        process.communicate()
        same = output.read_bytes() == (self.work / "whole.h5").read_bytes()
        text = f"after {passed:.1f} s ({processor:.1f} s of a processor), start included: {line}; same bytes: {same}"
        return report("resume", same and "continues after" in line, text)

    def shard(self) -> bool:
        number = max(self.n_shards * 9 // 10, 1)
        seconds = timed("kd-predict", *self.words(self.work / "shard.h5", "--shard", f"{number}/{self.n_shards}"))
        with open_faces(self.work / "shard.h5") as faces:
            n_faces = len(faces)
        text = f"number {number} of {self.n_shards}, {n_faces} faces, in {seconds}, start included"
        return report("shard", n_faces > 0, text)

    def virtual(self) -> bool:
        folder, output = self.work / "shards", self.work / "virtual.h5"
        folder.mkdir()
        bounds = np.linspace(0, self.n, self.n_shards + 1).astype(int)
        with open_faces(self.work / "whole.h5") as faces:
            for k, (first, stop) in enumerate(itertools.pairwise(bounds)):
                with create_faces(str(folder / f"{k:06d}.h5"), True, Provenance("benchmark")) as writer:
                    writer.put("id", faces.read("id", int(first), int(stop)))
                    writer.put_landmarks(faces.read("landmarks", int(first), int(stop)), faces.scheme, "predicted")
                    writer.put("box", faces.read("box", int(first), int(stop)))
        parts = sorted(map(str, folder.iterdir()))
        join = timed("kd-merge", "--virtual", *parts, "-o", str(output))
        truth, table = str(self.work / "whole.h5"), str(self.work / "table.tsv")
        read = timed("kd-eval", str(output), "--truth", truth, "--norm", "100", "-o", table)
        text = f"{len(parts)} files of {self.n // len(parts)} faces joined in {join}, evaluated in {read}"
        return report("virtual", True, text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--shards", type=int, default=1000)
    parser.add_argument("--network")
    parser.add_argument("--folder", help="for the files that are made; by default that of temporary files")
    parts = ("listed", "whole", "resumed", "shard", "virtual")
    parser.add_argument("--only", nargs="+", choices=parts, default=parts, help="resumed and virtual need whole")
    options = parser.parse_args()
    if "whole" not in options.only and set(options.only) & {"resumed", "virtual"}:
        parser.error("--only: resumed and virtual compare with the result of whole, so name it too")
    with tempfile.TemporaryDirectory(dir=options.folder) as work:
        bench = Bench(options, Path(work))
        held = [getattr(bench, part)() for part in parts if part in options.only]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
