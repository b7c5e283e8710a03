"""Files of a training run: the checkpoint to resume from, the best network so far, and the log.

They are kept in the folder of the output NAME.safetensors: NAME.last.safetensors (a usable model plus the training
state, including the best network), NAME.best.safetensors (renamed to the output at the end) and NAME.log.jsonl (one
line per epoch).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kdtools.errors import FileError, KdError, UsageError, reason_of, require
from kdtools.landmarks.conventions import conventions_to_json
from kdtools.model.card import read_card
from kdtools.model.file import load_training_state, save_model
from kdtools.model.network import LandmarkNet
from kdtools.storage.outputs import check_no_link, is_stream
from kdtools.storage.provenance import Provenance
from kdtools.training.settings import EXECUTION_SETTINGS, Settings, with_defaults
from kdtools.training.task import Task

_ROWS = 64  # faces whose images are read together
_OPTIMISER, _RAW, _BEST, _SUMS = "optimiser.", "raw.", "best.", "sums."


@dataclass(frozen=True)
class RunFiles:
    """Paths of the files of a training run."""

    last: Path
    best: Path
    log: Path

    @staticmethod
    def for_output(output: Path) -> RunFiles:
        if not output.name:
            raise FileError(f"{output}: is a folder", "name a file in it")
        stem = output.with_suffix("") if output.suffix == ".safetensors" else output
        ends = (".last.safetensors", ".best.safetensors", ".log.jsonl")
        return RunFiles(*(stem.with_name(stem.name + end) for end in ends))


@dataclass
class Progress:
    """How far a training has come: `history` has an entry per finished epoch; `step` steps of the next one are done.

    `sums` are the loss terms summed over these steps. `best` holds the weights of the best epoch, empty before the
    first one ends.
    """

    history: list[dict[str, Any]] = field(default_factory=list)
    step: int = 0
    sums: dict[str, Tensor] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)

    @property
    def best_nme(self) -> float:
        return min((line["val_nme_percent"] for line in self.history), default=float("inf"))


@dataclass(frozen=True)
class Learner:
    """The network in training, its moving average (the network itself if none is kept) and the optimiser."""

    network: LandmarkNet
    averaged: LandmarkNet
    optimiser: torch.optim.Optimizer


def save_checkpoint(
    path: Path, learner: Learner, progress: Progress, settings: Settings, task_digest: str, provenance: Provenance
) -> None:
    """Write a checkpoint atomically. Used as a model, it is the averaged network."""
    tensors = {
        f"{_OPTIMISER}{index}.{name}": value
        for index, state in learner.optimiser.state_dict()["state"].items()
        for name, value in state.items()
    }
    if learner.averaged is not learner.network:
        tensors |= _prefixed(_RAW, learner.network.state_dict())
    tensors |= _prefixed(_BEST, progress.best) | _prefixed(_SUMS, progress.sums)
    fields = {"settings": settings.to_store(), "data": task_digest, "history": progress.history, "step": progress.step}
    save_model(path, learner.averaged, provenance, training_state=tensors, training_fields=fields)


def restore_checkpoint(path: Path, learner: Learner, settings: Settings, task_digest: str) -> Progress:
    """Load a checkpoint into `learner`; returns how far that run had come.

    Raises UsageError if the checkpoint belongs to other settings, faces or teachers, FileError if it is damaged.
    """
    model, state, fields = load_training_state(path)
    try:
        _check_same_run(path, fields, settings, task_digest)
        _restore_learner(learner, model, state)
        sums = {name: value.to(learner.network.device) for name, value in _with_prefix(_SUMS, state).items()}
        progress = Progress(list(fields["history"]), int(fields.get("step", 0)), sums, _with_prefix(_BEST, state))
        if progress.step < 0 or not all(isinstance(line["val_nme_percent"], int | float) for line in progress.history):
            raise ValueError("a history without results")
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError) as error:
        raise FileError(
            f"{path}: the state of its training is damaged: {reason_of(error)}", "start again without --resume"
        ) from error
    return progress


def _check_same_run(path: Path, fields: dict[str, Any], settings: Settings, task_digest: str) -> None:
    stored = with_defaults(fields["settings"])
    for name, value in asdict(settings).items():
        if name not in stored:
            raise UsageError(f"{path} was written by an older kdtools", "start again without --resume")
        before = stored[name]
        if before != value and name not in EXECUTION_SETTINGS:
            raise UsageError(
                f"{path} was trained with {name} = {before}, not {value}",
                "resume with the same options, or start again without --resume",
            )
    if fields["data"] != task_digest:
        raise UsageError(f"{path} was trained on other faces, points or teachers", "start again without --resume")


def _restore_learner(learner: Learner, model: dict[str, Tensor], state: dict[str, Tensor]) -> None:
    """Weights and the optimiser's moments."""
    learner.averaged.load_state_dict(model)
    if learner.averaged is not learner.network:
        learner.network.load_state_dict(_with_prefix(_RAW, state))
    moments: dict[int, dict[str, Tensor]] = {}
    for key, tensor in _with_prefix(_OPTIMISER, state).items():
        index, _, name = key.partition(".")
        moments.setdefault(int(index), {})[name] = tensor
    weights: list[Tensor] = [weight for group in learner.optimiser.param_groups for weight in group["params"]]
    for number, state_of in moments.items():
        for name, tensor in state_of.items():
            if tensor.shape == weights[number].shape:
                # The fused kernel needs the moments in the memory format of their weights.
                state_of[name] = torch.empty_like(weights[number]).copy_(tensor)
    groups = learner.optimiser.state_dict()["param_groups"]
    learner.optimiser.load_state_dict({"state": moments, "param_groups": groups})


def check_resumable(paths: Iterable[str]) -> None:
    """Raises UsageError for a stream among the inputs and the output: it cannot be compared with a stopped run's."""
    stream = next(filter(is_stream, paths), None)
    hint = "name files for the inputs and the output"
    require(stream is None, f"--resume needs files, and {stream} is standard input or output, or a pipe", hint)


def check_nothing_to_lose(files: RunFiles, output: str, *, resume: bool, force: bool) -> None:
    """Raises FileError if a run would replace files that are not its own, or go through a link.

    Without `force` it replaces neither the checkpoint of a run that was stopped or has finished, nor a file that only
    has the name of one of its own.
    """
    present = [path for path in (files.last, files.best, files.log) if os.path.lexists(path)]
    for path in present:
        check_no_link(path)
    if force or (resume and files.last in present):  # restore_checkpoint looks at it
        return
    done, epochs = _epochs_of(files.last)
    if epochs and done >= epochs:
        raise FileError(
            f"{files.last}: this training is finished already: {done} of {epochs} epochs",
            f"--resume writes {output} from it; -f trains again from the start",
        )
    if epochs:
        hint = "continue with --resume, or start over with -f"
        raise FileError(f"{files.last} holds {done} of {epochs} epochs of a run that was stopped", hint)
    for path in present:
        raise FileError(f"{path}: exists already", "this training would replace it: add -f, or name another output")


def _epochs_of(path: Path) -> tuple[int, int]:
    """Epochs that are done, and all epochs, of the run that wrote a checkpoint; 0 of 0 for what is none."""
    try:
        training = read_card(path)[1]["training"]
        return len(training["history"]), int(training["settings"]["epochs"])
    except (KdError, OSError, KeyError, TypeError, ValueError):
        return 0, 0


def _prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def _with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def digest_task(task: Task) -> str:
    """SHA-256 of scheme, rows, points, conventions, teachers and all images: a second or two for every 2 GB of them."""
    digest = hashlib.sha256(task.scheme.to_json().encode())
    for faces in (task.train, task.val, task.unlabelled):
        if faces is None:
            continue
        digest.update(faces.rows.tobytes())
        rows = np.sort(faces.rows)
        for start in range(0, len(rows), _ROWS):
            digest.update(np.ascontiguousarray(faces.images[rows[start : start + _ROWS]]).data)
        for name in sorted(faces.points):
            digest.update(name.encode() + faces.points[name].numpy().tobytes())
        if faces.layers is not None:
            digest.update(faces.layers.numpy().tobytes())
        if faces.rules is not None:
            digest.update(b"rules, sets not mirrored" + faces.rules.numpy().tobytes())
        if faces.confidence is not None:
            digest.update(b"confidence" + faces.confidence.numpy().tobytes())
    for name, teacher in sorted(task.online.items()):
        digest.update(f"{name}{teacher.card.input_size}".encode())
        for weights in teacher.state_dict().values():
            digest.update(weights.cpu().contiguous().numpy().tobytes())
    if task.learnt.all:
        digest.update(f"{task.learnt.default} of {conventions_to_json(task.learnt.all)}".encode())
    return digest.hexdigest()
