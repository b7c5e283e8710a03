"""Trains the face finder that comes with kdtools, as a student of YuNet.

    python benchmarks/face_finder/train.py labels.json DATA -o finder.pt [--steps N] [--resume]

`labels.json` is what labels.py found in DATA/unlabelled/wflw_scenes (every seventh photograph is kept apart, for
measure.py), DATA/unlabelled/lfw, and the training parts of DATA/lfpw68, DATA/helen68 and DATA/youtube68, whose own
points replace what the teacher found. The network is written after every `--every` steps, with finder.onnx beside it;
a run that was stopped goes on with --resume, with the batches that it would have had.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch
from network import FinderNet, export_finder, finder_loss
from views import HELD_OUT, Views, drawn_portraits, read_labels, with_known_points

AHEAD = 4  # batches that are made while others are learned
N_DRAWN = 250
EMA = 0.998  # of the weights that are kept, per step
Batch = tuple[np.ndarray, list[np.ndarray]]  # images, targets of each stride


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--every", type=int, default=250)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    cv2.setNumThreads(1)
    views = Views(*photographs(options.labels, options.data), options.seed)
    network = FinderNet().to(memory_format=torch.channels_last)
    average = copy.deepcopy(network)
    optimiser = torch.optim.AdamW(network.parameters(), lr=options.lr, weight_decay=1e-2)
    first = 0
    if options.resume and options.output.exists():
        kept = torch.load(options.output, weights_only=True)
        network.load_state_dict(kept["network"])
        average.load_state_dict(kept["average"])
        optimiser.load_state_dict(kept["optimiser"])
        first = kept["step"]
        print(f"resumed after step {first}", flush=True)
    began, sums = time.monotonic(), np.zeros(2)
    network.train()
    for step, (images, targets) in batches(views, first, options.steps, options.batch):
        x = torch.from_numpy(images).permute(0, 3, 1, 2).float().sub_(127.5).div_(127.5)
        outputs = network(x.contiguous(memory_format=torch.channels_last))
        score, place = finder_loss(outputs, [torch.from_numpy(target) for target in targets])
        for group in optimiser.param_groups:
            group["lr"] = options.lr * share_of_rate(step, options.steps)
        optimiser.zero_grad()
        (score + place).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimiser.step()
        update(average, network, min(EMA, (step + 1) / (step + 10)))
        sums += score.item(), place.item()
        if (step + 1) % 50 == 0:
            speed = (step + 1 - first) * options.batch / (time.monotonic() - began)
            print(f"step {step + 1} score {sums[0] / 50:.4f} place {sums[1] / 50:.4f} {speed:.1f} views/s", flush=True)
            sums[:] = 0
        if (step + 1) % options.every == 0 or step + 1 == options.steps:
            states = {"network": network, "average": average, "optimiser": optimiser}
            kept = {name: part.state_dict() for name, part in states.items()}
            aside = options.output.with_suffix(".new")
            torch.save({**kept, "step": step + 1}, aside)
            aside.replace(options.output)
            export_finder(average, options.output.with_suffix(".onnx"), {})


def photographs(labels: Path, data: Path) -> tuple[list, list]:
    """Scenes, and photographs with one large face each."""
    scenes = read_labels(labels, data / "unlabelled" / "wflw_scenes")
    scenes = [scene for k, scene in enumerate(scenes) if k % HELD_OUT]
    portraits = read_labels(labels, data / "unlabelled" / "lfw")
    for name in ("lfpw68", "helen68", "youtube68"):
        folder = data / name / "train"
        portraits += with_known_points(read_labels(labels, folder), folder)
    portraits += drawn_portraits(N_DRAWN)
    print(f"{len(scenes)} scenes, {len(portraits)} portraits", flush=True)
    return scenes, portraits


def batches(views: Views, first: int, last: int, size: int) -> Iterator[tuple[int, Batch]]:
    with ThreadPoolExecutor(2) as pool:
        waiting = [(step, pool.submit(views.batch, step, size)) for step in range(first, min(last, first + AHEAD))]
        while waiting:
            step, future = waiting.pop(0)
            ready = future.result()
            if step + AHEAD < last:
                waiting.append((step + AHEAD, pool.submit(views.batch, step + AHEAD, size)))
            yield step, ready


def share_of_rate(step: int, n_steps: int) -> float:
    """Of the learning rate: rises over 200 steps, falls over the last 40 %; until then --resume may change --steps."""
    return min(1.0, (step + 1) / 200, (n_steps - step) / (0.4 * n_steps))


@torch.no_grad()
def update(average: FinderNet, network: FinderNet, decay: float) -> None:
    for kept, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if kept.dtype.is_floating_point:
            kept.lerp_(new, 1 - decay)
        else:
            kept.copy_(new)


if __name__ == "__main__":
    main()
