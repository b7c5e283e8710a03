"""Images per second of kd-student's training loop, against a bare loop of the same network in the same process.

    python benchmarks/train_speed.py [--device cuda] [--arch NAME] [--input-size PX] [--batch N] [--only-l2]
                                     [--processor-time] [--precision]

The bare loop knows one batch, resident on the device: forward, L2 loss, backward, fused Adam, and nothing else. It
takes the network, order of memory and precision of the real one, which besides reads faces of 256 px from a
memory-mapped file and augments them. After each epoch of the real loop the bare one does as many steps; ratios are
medians over these rounds. Three trainings: L2; KD-Loss with cached predictions; KD-Loss with teachers that run on every
batch. Validation is not counted. Ends with status 1 where a target is missed: 0.95 of the bare loop on a CPU and 0.90
on a GPU with L2, and 0.97 of L2's speed with cached teachers.

--processor-time counts the processor time of all threads instead of the clock's, for cores that other work shares; give
it with OMP_NUM_THREADS=1, since threads that wait for each other use time too.

--precision also times the bare step in float32 and bfloat16, as it is and compiled (which takes minutes on a CPU).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from kdtools.faces.writer import create_faces
from kdtools.landmarks import IBUG68
from kdtools.landmarks.crop_rule import CropRule
from kdtools.model.file import save_model
from kdtools.model.network import LandmarkNet, ModelCard, choose_device, to_device
from kdtools.parallel import workers
from kdtools.storage.provenance import Provenance
from kdtools.synth import draw_faces
from kdtools.training.checkpoints import RunFiles
from kdtools.training.execution import Execution, choose_execution
from kdtools.training.settings import Settings, resolve_settings
from kdtools.training.task import load_task
from kdtools.training.trainer import Epoch, train

FACE_PX = 256
N_DRAWN = 64  # further faces of a file are these again: drawing takes longer than training
N_VAL = 8
MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)  # of colours; they cost the same whatever they are
LEAST = {"cpu": 0.95, "cuda": 0.90}  # of the bare loop
LEAST_CACHED = 0.97  # of the speed with L2


# ---- files
def write_files(folder: Path, n_faces: int, teacher: str, input_size: int) -> None:
    """Faces to train on and to validate with, both teachers' predictions for them, and an untrained teacher."""
    drawn = list(draw_faces(N_DRAWN, FACE_PX, 0, jobs=workers(0)))
    images = np.stack([image for image, _, _ in drawn])
    points: np.ndarray = np.stack([points for _, points, _ in drawn])
    rng = np.random.default_rng(0)
    rows = np.arange(n_faces) % N_DRAWN
    ids = [f"face{k}" for k in range(n_faces)]
    for name, count in (("faces", n_faces), ("val", N_VAL)):
        with create_faces(str(folder / f"{name}.h5"), True, Provenance("benchmark")) as writer:
            kept = writer.create_images(count, FACE_PX, FACE_PX)
            for k in range(count):
                kept[k] = images[rows[k]]
            writer.put_ids(ids[:count] if name == "faces" else [f"val/{k}" for k in range(count)])
            writer.put_landmarks(points[rows[:count]], IBUG68, "hard")
    for name in ("tough", "tolerant"):
        with create_faces(str(folder / f"{name}.h5"), True, Provenance("benchmark")) as writer:
            writer.put_ids(ids)
            writer.put_landmarks(points[rows] + rng.normal(0, 2, (n_faces, 68, 2)), IBUG68, "predicted")
    save_model(folder / "teacher.safetensors", create_network(teacher, input_size), Provenance("benchmark"))


def create_network(arch: str, input_size: int) -> LandmarkNet:
    return LandmarkNet(ModelCard(arch, input_size, IBUG68, CropRule(), MEAN, STD))


# ---- the two loops
class Bare:
    """Training steps of a network on one batch."""

    def __init__(self, arch: str, input_size: int, batch: int, device: torch.device, execution: Execution) -> None:
        self.network = to_device(create_network(arch, input_size), device).train()
        self.run = torch.compile(self.network) if execution.compiled else self.network
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=1e-3, fused=True)
        self.images, self.truth = resident_batch(input_size, batch, device)
        self.device, self.execution = device, execution

    def speed(self, n_steps: int) -> float:
        """Images per second."""
        self.wait()
        began = time.monotonic()
        for _ in range(n_steps):
            with self.execution.autocast(self.device):
                pred = self.run(self.images)
            loss = torch.nn.functional.mse_loss(pred.float(), self.truth)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self.optimiser.step()
        self.wait()
        return n_steps * len(self.images) / (time.monotonic() - began)

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def resident_batch(input_size: int, batch: int, device: torch.device) -> tuple[Tensor, Tensor]:
    images = torch.rand(batch, 3, input_size, input_size, device=device)
    return images.contiguous(memory_format=torch.channels_last), torch.rand(batch, 68, 2, device=device) - 0.5


def measure(
    folder: Path, settings: Settings, teachers: dict[str, str], bare: Bare, n_steps: int
) -> list[tuple[float, float]]:
    """Images per second of the real loop and of the bare one, in turns, after a first round that warms up."""
    rounds: list[tuple[float, float]] = []

    def end_epoch(epoch: Epoch) -> None:
        rounds.append((epoch.images_per_second, bare.speed(n_steps)))

    with load_task(
        str(folder / "faces.h5"),
        str(folder / "val.h5"),
        None,
        {name: str(folder / path) for name, path in teachers.items()},
        val_share=settings.val_share,
        seed=settings.seed,
        device=bare.device,
    ) as task:
        train(
            task,
            settings,
            RunFiles.for_output(folder / "model"),
            device=bare.device,
            provenance=Provenance("benchmark"),
            resume=False,
            on_epoch=end_epoch,
            on_step=lambda _: None,
        )
    return rounds[1:]


# ---- what is printed
def print_precisions(options: argparse.Namespace, device: torch.device) -> None:
    """The bare step in each precision, as it is and compiled, in turns."""
    ways = [Execution(dtype, compiled) for compiled in (False, True) for dtype in (None, torch.bfloat16)]
    loops = [Bare(options.arch, options.input_size, options.batch, device, way) for way in ways]
    began = time.monotonic()
    for loop in loops:
        loop.speed(3)  # warms up, and compiles
    print(f"warmed up and compiled in {time.monotonic() - began:.0f} s")
    found = [[loop.speed(options.steps) for loop in loops] for _ in range(options.rounds)]
    for way, speeds in zip(ways, zip(*found, strict=True), strict=True):
        ratio = statistics.median(speed / one[0] for speed, one in zip(speeds, found, strict=True))
        print(f"bare step in {way!s:<22} {statistics.median(speeds):8.1f} images/s  {ratio:5.2f} of float32")


def cases() -> Iterator[tuple[str, str, dict[str, str]]]:
    """Name, loss, and the file of each teacher."""
    yield "L2", "l2", {}
    yield "KD-Loss, cached predictions", "kd", {name: f"{name}.h5" for name in ("tough", "tolerant")}
    yield "KD-Loss, teachers online", "kd", dict.fromkeys(("tough", "tolerant"), "teacher.safetensors")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", default="mobilenetv2_100")
    parser.add_argument("--teacher", default="efficientnet_b3", help="network of the two that run online")
    parser.add_argument("--input-size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=10, help="of a round; give more on a GPU")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ema", type=float, default=0.0, help="share that averaged weights keep; 0: none are kept")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--only-l2", action="store_true")
    parser.add_argument("--processor-time", action="store_true")
    parser.add_argument("--precision", action="store_true")
    options = parser.parse_args()
    if options.processor_time:
        mock.patch("time.monotonic", time.process_time).start()
    device = choose_device(options.device)
    asked = {"arch": options.arch, "input_size": options.input_size, "batch": options.batch}
    settings = resolve_settings("kd-student", "default", {**asked, "epochs": options.rounds + 1})
    execution = choose_execution("auto", "off", device)
    amp, compiling = "off" if execution.dtype is None else "bf16", "on" if execution.compiled else "off"
    settings = replace(settings, ema=options.ema, amp=amp, compile=compiling)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"{options.arch}, {options.input_size} px, batch {options.batch}, {name}, {execution}")
    bare = Bare(options.arch, options.input_size, options.batch, device, execution)
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), options.steps * options.batch, options.teacher, options.input_size)
        ratios = {}
        for case, loss, teachers in islice(cases(), 1 if options.only_l2 else None):
            found = measure(Path(folder), replace(settings, loss=loss), teachers, bare, options.steps)
            ratios[case] = statistics.median(real / alone for real, alone in found)
            real, alone = (statistics.median(speeds) for speeds in zip(*found, strict=True))
            of_l2 = ratios[case] / ratios["L2"]
            print(
                f"{case:<28} {real:8.1f} images/s  bare {alone:8.1f}  {ratios[case]:5.2f} of bare  {of_l2:5.2f} of L2",
                flush=True,
            )
    plain, cached = ratios["L2"], ratios.get("KD-Loss, cached predictions")
    least = LEAST[device.type]
    good = plain >= least and (cached is None or cached >= LEAST_CACHED * plain)
    print(f"target (L2 {least} of bare, cached {LEAST_CACHED} of L2): {'met' if good else 'NOT met'}")
    if options.precision:
        print_precisions(options, device)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
