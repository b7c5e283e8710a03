"""The training loop, one for teachers and students. It reads top to bottom: data, network, epochs, checkpoints.

Beside the output NAME.safetensors lie, while it runs, NAME.last.safetensors (a usable model and all that is needed to
go on), NAME.best.safetensors (renamed to the output at the end) and NAME.log.jsonl (one line per epoch).
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kdtools.batches import AUGMENTATIONS, FaceSet, augment, count_batches, shuffled_batches
from kdtools.errors import DataError, FileError, TrainingError, UsageError
from kdtools.files import Provenance
from kdtools.inference import predict_units
from kdtools.losses import loss_terms
from kdtools.metrics import clean_points, nme_per_face, normalisers_of
from kdtools.models import (
    LandmarkNet,
    ModelCard,
    colour_statistics,
    create_network,
    load_model,
    load_training_state,
    save_model,
    to_device,
)
from kdtools.schemes import Scheme
from kdtools.tasks import Task

TIME_DECAY = 1e-4  # of the learning rate, per step, with --schedule time (arXiv 2111.07047, section 4)
WARMUP_SHARE = 0.05  # of all steps, with --schedule cosine
_CHECK_EVERY = 20  # steps between looks at the loss; each look makes a GPU wait
SCHEDULES = ("cosine", "time", "constant")


@dataclass(frozen=True)
class Settings:
    """Everything that decides a training besides its data. Stored in the model file."""

    arch: str
    input_size: int
    loss: str
    variant: str
    epochs: int
    batch: int
    lr: float
    schedule: str
    augmentation: str
    init: str
    seed: int
    val_share: float


@dataclass(frozen=True)
class Epoch:
    """One line of the log. `val_nme_percent` is normalised by `normaliser`; terms are means over the batches."""

    epoch: int
    epochs: int
    terms: dict[str, float]
    val_nme_percent: float
    normaliser: str
    lr: float
    seconds: float
    images_per_second: float
    best: bool


@dataclass(frozen=True)
class RunFiles:
    """Where a training keeps its files. Made from the path of the output."""

    last: Path
    best: Path
    log: Path

    @staticmethod
    def beside(output: Path) -> RunFiles:
        stem = output.with_suffix("") if output.suffix == ".safetensors" else output
        return RunFiles(
            *(stem.with_name(stem.name + end) for end in (".last.safetensors", ".best.safetensors", ".log.jsonl"))
        )


# ---- the loop
def count_steps(task: Task, settings: Settings) -> int:
    """Steps of one epoch."""
    return count_batches(len(task.train), settings.batch)


def train(
    task: Task,
    settings: Settings,
    files: RunFiles,
    *,
    device: torch.device,
    provenance: Provenance,
    resume: bool,
    say: Callable[[str], None],
    on_epoch: Callable[[Epoch], None],
    on_step: Callable[[int], None],
) -> float:
    """Train, and leave the best network in `files.best`. Returns its validation NME in percent.

    The epoch's random numbers depend on the seed and its number alone, so a resumed run takes the same course as one
    that was never interrupted. Raises TrainingError when the loss is no longer a number; the last checkpoint stays.
    """
    _validation_truth(task.val, task.scheme)
    torch.manual_seed(_seed_of(settings.seed, 0))
    mean, std = colour_statistics(settings.arch)
    card = ModelCard(settings.arch, settings.input_size, task.scheme, task.crop, mean, std, asdict(settings))
    network, start, has_head = create_network(card, settings.init)
    say(f"{settings.arch}, {sum(p.numel() for p in network.parameters()) / 1e6:.2f} M parameters, {start}")
    if not has_head:
        network.start_at(_mean_shape(task.train))
    to_device(network, device)
    optimiser = torch.optim.Adam(network.parameters(), lr=settings.lr)
    n_steps = count_steps(task, settings)
    # An online teacher must not see a blurred face, so all images are made at the size of who sees most.
    largest = max([settings.input_size, *(teacher.card.input_size for teacher in task.online.values())])
    mirror = None if task.scheme.mirror is None else torch.tensor(task.scheme.mirror, device=device)
    history: list[dict[str, Any]] = []
    if resume and files.last.exists():
        history = _restore(files.last, network, optimiser, settings, task)
        if history and not files.best.exists():
            raise FileError(f"{files.best}: is gone, so the run cannot go on", "start again without --resume")
        say(f"resumed after epoch {len(history)} of {settings.epochs}")
    best_nme = min((line["val_nme_percent"] for line in history), default=math.inf)
    _write_log(files.log, history)
    if not history:
        files.best.unlink(missing_ok=True)  # of a run before: it must never pass for this one's
        _save_checkpoint(files.last, network, optimiser, provenance, settings, task, history)

    for epoch in range(len(history) + 1, settings.epochs + 1):
        began = time.monotonic()
        # torch's own generator is for dropout, ours for order and augmentation
        torch.manual_seed(_seed_of(settings.seed, epoch))
        generator = torch.Generator().manual_seed(_seed_of(settings.seed, epoch))
        network.train()
        sums: dict[str, Tensor] = {}
        n_seen = 0
        for step, at in enumerate(shuffled_batches(len(task.train), settings.batch, generator)):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(settings, (epoch - 1) * n_steps + step, settings.epochs * n_steps)
            images, points = task.train.take(at, device)
            images, points = augment(images, points, largest, AUGMENTATIONS[settings.augmentation], mirror, generator)
            truth = points.pop("truth")
            with torch.no_grad():
                for name, teacher in task.online.items():
                    points[name] = teacher(_resized(images, teacher.card.input_size))
            pred = network(_resized(images, settings.input_size).contiguous(memory_format=torch.channels_last))
            terms = loss_terms(settings.loss, pred, truth, points, settings.variant)
            optimiser.zero_grad(set_to_none=True)
            terms["total"].backward()
            optimiser.step()
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + value.detach()
            if (step + 1) % _CHECK_EVERY == 0 or step + 1 == n_steps:
                _require_finite(sums["total"], epoch, files.last)
            n_seen += len(at)
            on_step(step + 1)
        trained = time.monotonic() - began
        nme, normaliser = validate(network, task.val, task.scheme, device, settings.batch)
        if not math.isfinite(nme):
            raise _diverged("validation NME", epoch, files.last)
        line = Epoch(
            epoch=epoch,
            epochs=settings.epochs,
            terms={name: float(value) / n_steps for name, value in sums.items()},
            val_nme_percent=nme,
            normaliser=normaliser,
            lr=optimiser.param_groups[0]["lr"],
            seconds=time.monotonic() - began,
            images_per_second=n_seen / trained,
            best=nme < best_nme,
        )
        history.append(asdict(line))
        if line.best:
            best_nme = nme
            save_model(files.best, network, provenance)
        _save_checkpoint(files.last, network, optimiser, provenance, settings, task, history)
        _write_log(files.log, history)
        on_epoch(line)
    return best_nme


def learning_rate(settings: Settings, step: int, n_steps: int) -> float:
    """Of this step, counted from 0 over the whole training.

    `cosine` rises over the first 5 % and then falls to 0; `time` is the paper's lr / (1 + decay · step).
    """
    if settings.schedule == "constant":
        return settings.lr
    if settings.schedule == "time":
        return settings.lr / (1 + TIME_DECAY * step)
    warmup = max(1, int(WARMUP_SHARE * n_steps))
    if step < warmup:
        return settings.lr * (step + 1) / warmup
    return settings.lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, n_steps - warmup)))


def validate(network: LandmarkNet, val: FaceSet, scheme: Scheme, device: torch.device, batch: int) -> tuple[float, str]:
    """Mean NME in percent over the validation faces, and what normalised it."""
    network.eval()
    pred = predict_units(network, val.images, val.rows, device=device, batch=batch)
    truth, size, length, kind = _validation_truth(val, scheme)
    nme = nme_per_face(truth, pred * size, length)
    return float(100 * nme[~np.isnan(nme)].mean()), kind


def _validation_truth(val: FaceSet, scheme: Scheme) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """Truth (N, L, 2) in pixels of the images, their width and height, and the normaliser (N,) with its name.

    Raises DataError where no face can be measured, so that it is said before hours of training.
    """
    size = np.array(val.images.shape[2:0:-1])  # unit coordinates times this are pixels, in which lengths mean something
    truth = val.points["truth"][torch.from_numpy(val.rows)].numpy() * size
    known = clean_points(truth)
    possible = {normaliser.name: normaliser for normaliser in normalisers_of(scheme)}
    for kind in ("inter-ocular", "box-size"):
        if kind in possible and ((length := possible[kind].lengths(known)) > 0).any():
            return truth, size, length, kind
    raise DataError("no validation face can be measured", "their points are missing or coincide")


def _resized(images: Tensor, size: int) -> Tensor:
    """Augmented images (B, 3, S, S) at a network's own input size."""
    if images.shape[-1] == size:
        return images
    return torch.nn.functional.interpolate(images, (size, size), mode="bilinear", antialias=True)


def _mean_shape(faces: FaceSet) -> Tensor:
    """(L, 2); a point that nobody annotated lies at the centre."""
    return faces.points["truth"][torch.from_numpy(faces.rows)].nanmean(dim=0).nan_to_num()


def _require_finite(total: Tensor, epoch: int, checkpoint: Path) -> None:
    if not math.isfinite(float(total)):
        raise _diverged("loss", epoch, checkpoint)


def _diverged(what: str, epoch: int, checkpoint: Path) -> TrainingError:
    hint = f"use a smaller --lr; {checkpoint} holds the network as it was before this epoch"
    return TrainingError(f"the {what} is no longer a number in epoch {epoch}", hint)


def _seed_of(seed: int, epoch: int) -> int:
    """A seed for torch, which takes 64 bits, from a pair of numbers of any size."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0])


# ---- checkpoints
def _save_checkpoint(
    path: Path,
    network: LandmarkNet,
    optimiser: torch.optim.Optimizer,
    provenance: Provenance,
    settings: Settings,
    task: Task,
    history: list[dict[str, Any]],
) -> None:
    tensors = {
        f"{index}.{name}": value
        for index, state in optimiser.state_dict()["state"].items()
        for name, value in state.items()
    }
    fields = {"settings": asdict(settings), "data": _fingerprint(task), "history": history}
    save_model(path, network, provenance, training_state=tensors, training_fields=fields)


def _restore(
    path: Path, network: LandmarkNet, optimiser: torch.optim.Optimizer, settings: Settings, task: Task
) -> list[dict[str, Any]]:
    """Put a checkpoint's state into network and optimiser; returns its history.

    Raises UsageError where it comes from other settings or other faces: the mixture would be neither run.
    """
    tensors, fields = load_training_state(path)
    for name, value in asdict(settings).items():
        if fields["settings"].get(name) != value:
            raise UsageError(
                f"{path} was trained with {name} = {fields['settings'].get(name)}, not {value}",
                "resume with the same options, or start again without --resume",
            )
    if fields["data"] != _fingerprint(task):
        raise UsageError(f"{path} was trained on other faces", "start again without --resume")
    device = network.head.weight.device
    network.load_state_dict(load_model(path, device).state_dict())
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return list(fields["history"])


def _fingerprint(task: Task) -> str:
    """Of the faces and points a run is trained on; cheap, and enough to tell two data sets apart."""
    digest = hashlib.sha256()
    for faces in (task.train, task.val):
        digest.update(faces.rows.tobytes())
        for name in sorted(faces.points):
            digest.update(name.encode() + faces.points[name].numpy().tobytes())
    for name, teacher in sorted(task.online.items()):
        digest.update(name.encode())
        for weights in teacher.parameters():
            digest.update(weights.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _write_log(path: Path, history: list[dict[str, Any]]) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text("".join(json.dumps(line) + "\n" for line in history), encoding="utf-8")
    os.replace(part, path)
