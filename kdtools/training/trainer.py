"""The training loop of teachers and students, in one process or several.

Every random number depends only on seed, epoch and step, and is drawn for the whole batch before processes share it.
So a resumed run, at any step and with any number of processes, repeats one that was never interrupted.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from kdtools.errors import TrainingError, UsageError
from kdtools.model.backbones import colour_statistics, synchronise_norms
from kdtools.model.card import ModelCard
from kdtools.model.file import create_network, save_model
from kdtools.model.network import LandmarkNet, to_device
from kdtools.model.sampling import resized
from kdtools.reporting import SILENT, Reporter, counted
from kdtools.storage.provenance import Provenance
from kdtools.training.checkpoints import Learner, Progress, RunFiles, digest_task, restore_checkpoint, save_checkpoint
from kdtools.training.conventions import layers_without_faces
from kdtools.training.distributed import (
    any_process,
    copy_from_first,
    is_first,
    n_processes,
    sum_over_processes,
    wait_for_all,
)
from kdtools.training.execution import choose_execution
from kdtools.training.loader import Loader, faces_of_epoch, faces_per_step, seed_of
from kdtools.training.log import write_log
from kdtools.training.objective import Objective
from kdtools.training.settings import Settings
from kdtools.training.task import Task
from kdtools.training.validation import mean_shape, nme_of_mean_shape, validate
from kdtools.training.waiting import Waiting

TIME_DECAY = 1e-4  # of the learning rate, per step, with --schedule time (arXiv 2111.07047, section 4)
WARMUP_SHARE = 0.05  # of all steps, with --schedule cosine
_CHECK_EVERY = 20  # steps between reads of the loss, each of which synchronises the GPU
_AGREE_EVERY = 4  # steps between checks whether any process was asked to stop


@dataclass(frozen=True)
class Epoch:
    """One line of the log. `terms` are means over the batches.

    `val_nme_percent` and `mean_shape_nme_percent`, the error of always predicting the mean shape of the faces to train
    on, are normalised by `normaliser`.

    `seconds` and `images_per_second` are since the last start or resume. All other values repeat with the same seed.
    """

    epoch: int
    epochs: int
    terms: dict[str, float]
    val_nme_percent: float
    mean_shape_nme_percent: float
    normaliser: str
    lr: float
    seconds: float
    images_per_second: float
    best: bool


@dataclass(frozen=True)
class Step:
    """How far an epoch is. `terms` are the means of its loss terms so far; None on most steps, to save time."""

    epoch: int
    epochs: int
    step: int
    n_steps: int
    images_per_second: float
    terms: dict[str, float] | None


class Stopped(Exception):
    """The training was asked to stop; its checkpoint holds all steps so far."""


# ---- the loop
def train(
    task: Task,
    settings: Settings,
    files: RunFiles,
    *,
    device: torch.device,
    provenance: Provenance,
    resume: bool,
    reporter: Reporter = SILENT,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_step: Callable[[Step], None] = lambda step: None,
    stop_asked: Callable[[], bool] = lambda: False,
) -> float:
    """Train, and leave the best network in `files.best`. Returns its validation NME in percent.

    Every process of a distributed run calls this; only the first one writes. `stop_asked` is called after each step;
    once it returns True, a checkpoint is written and Stopped raised. Raises TrainingError if the loss is not finite;
    the last checkpoint stays.
    """
    _check_batch(settings, len(faces_of_epoch(task, settings)))
    mean_shape_nme = nme_of_mean_shape(task.train, task.val, task.scheme)
    learner, start = _create_learner(task, settings, device)
    network = learner.network
    reporter.say(f"{settings.arch}, {sum(p.numel() for p in network.parameters()) / 1e6:.2f} M parameters, {start}")
    digest = digest_task(task)
    progress = Progress()
    if resume and files.last.exists():
        progress = restore_checkpoint(files.last, learner, settings, digest)
        at_step = f" and {progress.step} steps" if progress.step else ""
        reporter.say(f"resumed after epoch {len(progress.history)} of {settings.epochs}{at_step}")
    elif resume:
        reporter.say(f"{files.last} is not there, so this starts from the beginning")
    wait_for_all()  # all have read what the first one is about to write

    loader, objective = Loader(task, settings, device), Objective(task, settings, device)
    n_steps = loader.n_steps
    if settings.unlabelled_share:
        n_labelled, n_unlabelled = faces_per_step(settings)
        parts = f"{n_labelled} labelled and {n_unlabelled} unlabelled faces" if n_labelled else "unlabelled faces alone"
        reporter.say(f"{counted(n_steps, 'step')} an epoch, each of {parts}")
    if unlearnt := layers_without_faces(task.learnt, faces_of_epoch(task, settings)):
        reporter.warn(
            f"no face to learn from is of the annotation convention {', '.join(unlearnt)}, so answers by it stay those "
            "of the start weights"
        )
    n_all_steps = settings.epochs * n_steps
    execution = choose_execution(settings.amp, settings.compile, device)
    if device.type == "cuda" or execution.dtype is not None or execution.compiled:
        reporter.say(f"computing in {execution}")
        for card in (network.card, learner.averaged.card):
            card.settings["computed_in"] = str(execution)

    def save(progress: Progress) -> None:
        if is_first():
            save_checkpoint(files.last, learner, progress, settings, digest, provenance)

    if is_first():
        write_log(files.log, progress.history)
        _restore_best(files, learner.averaged, progress, provenance)
        if not progress.history and not progress.step:
            save(progress)

    run = execution.wrap(network, device)
    waiting = Waiting(device.type)
    averages, own = floats_of(learner.averaged), floats_of(network)

    for epoch in range(len(progress.history) + 1, settings.epochs + 1):
        began = time.monotonic()
        network.train()
        n_seen, first = 0, progress.step
        for step, batch in loader.batches(epoch, first):
            waiting.look()
            number = (epoch - 1) * n_steps + step  # of all steps, from 0
            for group in learner.optimiser.param_groups:
                group["lr"] = learning_rate(settings, number, n_all_steps)
            _seed_dropout(seed_of(settings.seed, epoch, step + 1), device)  # the loader has its own numbers
            with execution.autocast(device):
                answers = objective.ask_teachers(batch)
                images = resized(batch.images, settings.input_size).contiguous(memory_format=torch.channels_last)
                pred, heatmaps = run(images, batch.layers)
            terms = objective.terms(pred, heatmaps, batch, answers)
            learner.optimiser.zero_grad(set_to_none=True)
            terms["total"].backward()
            learner.optimiser.step()
            if settings.ema:
                average_weights(averages, own, settings.ema, number)
            for name, value in terms.items():
                progress.sums[name] = progress.sums.get(name, 0.0) + value.detach()
            progress.step, n_seen = step + 1, n_seen + batch.n_faces
            means = None
            if progress.step % _CHECK_EVERY == 0 or progress.step == n_steps:
                means = _mean_terms(progress)
                if not math.isfinite(means["total"]):
                    raise _diverged("loss", epoch, files)
            speed = n_seen / (time.monotonic() - began)
            on_step(Step(epoch, settings.epochs, progress.step, n_steps, speed, means))
            if _should_stop(stop_asked, number, device):
                if not math.isfinite(_mean_terms(progress)["total"]):  # keep the checkpoint before
                    raise _diverged("loss", epoch, files)
                # Sums differ between processes; the checkpoint must suit any number of them.
                progress.sums = {name: sum_over_processes(v) / n_processes() for name, v in progress.sums.items()}
                save(progress)
                raise Stopped
        trained_s = time.monotonic() - began
        copy_from_first(network.buffers())  # statistics of batch norm are each process's own on a CPU
        copy_from_first(learner.averaged.buffers())
        nme, normaliser = validate(learner.averaged, task.val, task.scheme, device, settings.batch)
        if not math.isfinite(nme):
            raise _diverged("validation NME", epoch, files)
        line = Epoch(
            epoch=epoch,
            epochs=settings.epochs,
            terms=_mean_terms(progress),
            val_nme_percent=nme,
            mean_shape_nme_percent=mean_shape_nme,
            normaliser=normaliser,
            lr=learning_rate(settings, epoch * n_steps - 1, n_all_steps),
            seconds=time.monotonic() - began,
            images_per_second=n_seen / max(trained_s, 1e-9),
            best=nme < progress.best_nme,
        )
        if line.best and is_first():
            progress.best = {name: v.detach().cpu().clone() for name, v in learner.averaged.state_dict().items()}
            save_model(files.best, learner.averaged, provenance)
        progress = Progress([*progress.history, asdict(line)], best=progress.best)
        save(progress)
        if is_first():
            write_log(files.log, progress.history)
        on_epoch(line)
    if progress.best_nme >= mean_shape_nme:
        reporter.warn(
            f"the network ({progress.best_nme:.2f} %) is no better than always predicting the mean shape "
            f"({mean_shape_nme:.2f} %): it needs more epochs, more faces, start weights, or another --lr"
        )
    return progress.best_nme


def learning_rate(settings: Settings, step: int, n_steps: int) -> float:
    """Learning rate of a step, counted from 0 over the whole training.

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


def _seed_dropout(seed: int, device: torch.device) -> None:
    """As `torch.manual_seed`, which takes half a millisecond of each step for GPUs that are not in use."""
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


# ---- network and optimiser
def _create_learner(task: Task, settings: Settings, device: torch.device) -> tuple[Learner, str]:
    """Network, average and optimiser, and a description of the initial weights."""
    torch.manual_seed(seed_of(settings.seed, 0))
    mean, std = colour_statistics(settings.arch)
    card = ModelCard(
        settings.arch, settings.input_size, task.scheme, task.crop, mean, std, settings.to_store(), settings.head
    )
    card = replace(card, conventions=task.learnt.all, convention=task.learnt.default, layers=task.learnt.layers)
    network, start = create_network(card, settings.init, mean_shape(task.train))
    to_device(network, device)
    averaged = copy.deepcopy(network).requires_grad_(False) if settings.ema else network
    if device.type == "cuda" and n_processes() > 1:
        synchronise_norms(network)
    if settings.freeze:
        network.freeze(settings.freeze)  # must follow synchronise_norms, which replaces layers
    # One fused kernel for all weights saves a tenth of a small network's step.
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings.optimiser]
    optimiser = kind(_parameter_groups(network, settings.weight_decay), lr=settings.lr, fused=True)
    return Learner(network, averaged, optimiser), start


def _parameter_groups(network: LandmarkNet, weight_decay: float) -> list[dict[str, object]]:
    """Weight decay for filters and matrices only, not for biases and the parameters of norms."""
    learning = [p for p in network.parameters() if p.requires_grad]
    decayed, others = [p for p in learning if p.ndim > 1], [p for p in learning if p.ndim <= 1]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def floats_of(network: LandmarkNet) -> list[Tensor]:
    """Weights and batch norm statistics, in the same order for networks of one architecture."""
    return [tensor for tensor in (*network.parameters(), *network.buffers()) if tensor.is_floating_point()]


@torch.no_grad()
def average_weights(averages: list[Tensor], own: list[Tensor], keep: float, number: int) -> None:
    """Moving average after step `number`, in place; the decay starts low, so that the initial weights are forgotten."""
    torch._foreach_lerp_(averages, own, 1 - min(keep, (1 + number) / (10 + number)))


def _restore_best(files: RunFiles, network: LandmarkNet, progress: Progress, provenance: Provenance) -> None:
    """Write `files.best` from the checkpoint, or remove that of an earlier run."""
    files.best.unlink(missing_ok=True)
    if progress.best:
        best = copy.deepcopy(network)
        best.load_state_dict(progress.best)
        save_model(files.best, best, provenance)


def _mean_terms(progress: Progress) -> dict[str, float]:
    """Means of the loss terms over this epoch's steps and all processes."""
    return {
        name: float(sum_over_processes(value)) / n_processes() / progress.step for name, value in progress.sums.items()
    }


# ---- errors and stopping
def _check_batch(settings: Settings, n_faces: int) -> None:
    """Raises UsageError if a batch, or the last half batch of an epoch, has fewer than two faces per process.

    Of unlabelled faces beside labelled ones, each process needs one.
    """
    if n_faces < 2 * n_processes():
        raise UsageError(f"{n_faces} faces are too few for {n_processes()} processes", "start fewer processes")
    if n_processes() > 1 and settings.batch < 4 * n_processes():
        hint = f"give at least --batch {4 * n_processes()}; it counts the faces of all processes together"
        raise UsageError(f"--batch {settings.batch} is too small for {n_processes()} processes", hint)
    n_unlabelled = faces_per_step(settings)[1]
    if 0 < n_unlabelled < n_processes():
        message = f"{n_unlabelled} unlabelled faces a step are too few for {n_processes()} processes"
        raise UsageError(message, "give a larger --set unlabelled_share, or a larger --batch")


def _should_stop(stop_asked: Callable[[], bool], number: int, device: torch.device) -> bool:
    """Whether to stop after this step. All processes must stop after the same one, so they agree now and then."""
    if n_processes() == 1:
        return stop_asked()
    return (number + 1) % _AGREE_EVERY == 0 and any_process(stop_asked(), device)


def _diverged(what: str, epoch: int, files: RunFiles) -> TrainingError:
    hint = f"use a smaller --lr; {files.last} holds the network as it was before"
    return TrainingError(f"the {what} is no longer a number in epoch {epoch}", hint)
