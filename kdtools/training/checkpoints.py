"""The files of a training: a checkpoint that can be resumed, the best network so far, a log; each written whole.

Beside the output NAME.safetensors lie, while it runs, NAME.last.safetensors (a usable model and all that is needed to
go on, the best network included), NAME.best.safetensors (renamed to the output at the end) and NAME.log.jsonl (one line
per epoch).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kdtools.errors import FileError, KdError, UsageError
from kdtools.model.card import read_card
from kdtools.model.file import load_training_state, save_model
from kdtools.model.network import LandmarkNet
from kdtools.storage.provenance import Provenance
from kdtools.training.settings import CARRIED_OUT, Settings
from kdtools.training.task import Task

_N_IMAGES = 16  # of each set of faces, by which others are told
_OPTIMISER, _RAW, _BEST, _SUMS = "optimiser.", "raw.", "best.", "sums."


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


@dataclass
class Course:
    """How far a training has come: `history` has a line for each whole epoch; `step` steps of the next one are done.

    `sums` are the loss terms summed over these steps; `best` the weights of the best epoch, which is none at first.
    """

    history: list[dict[str, Any]] = field(default_factory=list)
    step: int = 0
    sums: dict[str, Tensor] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)

    @property
    def best_nme(self) -> float:
        return min((line["val_nme_percent"] for line in self.history), default=float("inf"))


@dataclass(frozen=True)
class Trained:
    """What a training changes: the network that learns, its average (itself where none is kept), the optimiser."""

    network: LandmarkNet
    averaged: LandmarkNet
    optimiser: torch.optim.Optimizer


def save_checkpoint(
    path: Path, trained: Trained, course: Course, settings: Settings, task_digest: str, provenance: Provenance
) -> None:
    """Write a checkpoint in one step. As a model it is the averaged network, the one that would be the output."""
    tensors = {
        f"{_OPTIMISER}{index}.{name}": value
        for index, state in trained.optimiser.state_dict()["state"].items()
        for name, value in state.items()
    }
    if trained.averaged is not trained.network:
        tensors |= _prefixed(_RAW, trained.network.state_dict())
    tensors |= _prefixed(_BEST, course.best) | _prefixed(_SUMS, course.sums)
    fields = {"settings": asdict(settings), "data": task_digest, "history": course.history, "step": course.step}
    save_model(path, trained.averaged, provenance, training_state=tensors, training_fields=fields)


def restore_checkpoint(path: Path, trained: Trained, settings: Settings, task_digest: str) -> Course:
    """Put a checkpoint's state into network, average and optimiser; returns how far it had come.

    Raises UsageError where it comes from other settings, faces or teachers: the mixture would be neither run.
    """
    model, state, fields = load_training_state(path)
    for name, value in asdict(settings).items():
        if name not in fields["settings"]:
            raise UsageError(f"{path} was written by an older kdtools", "start again without --resume")
        before = fields["settings"][name]
        if before != value and name not in CARRIED_OUT:
            raise UsageError(
                f"{path} was trained with {name} = {before}, not {value}",
                "resume with the same options, or start again without --resume",
            )
    if fields["data"] != task_digest:
        raise UsageError(f"{path} was trained on other faces, points or teachers", "start again without --resume")
    device = trained.network.device
    trained.averaged.load_state_dict(model)
    if trained.averaged is not trained.network:
        trained.network.load_state_dict(_with_prefix(_RAW, state))
    moments: dict[int, dict[str, Tensor]] = {}
    for key, tensor in _with_prefix(_OPTIMISER, state).items():
        index, _, name = key.partition(".")
        moments.setdefault(int(index), {})[name] = tensor
    weights: list[Tensor] = [weight for group in trained.optimiser.param_groups for weight in group["params"]]
    for number, state_of in moments.items():
        for name, tensor in state_of.items():
            if tensor.shape == weights[number].shape:
                # The fused kernel walks through memory, so moments must lie there in the order of their weights.
                state_of[name] = torch.empty_like(weights[number]).copy_(tensor)
    groups = trained.optimiser.state_dict()["param_groups"]
    trained.optimiser.load_state_dict({"state": moments, "param_groups": groups})
    sums = {name: value.to(device) for name, value in _with_prefix(_SUMS, state).items()}
    return Course(list(fields["history"]), int(fields.get("step", 0)), sums, _with_prefix(_BEST, state))


def check_nothing_to_lose(path: Path) -> None:
    """Raises FileError where a checkpoint holds a run that did not come to its end, which a new one would replace."""
    try:
        _, fields = read_card(path)
    except KdError:  # it is not there, or no checkpoint
        return
    done, wanted = len(fields.get("history", ())), fields.get("settings", {}).get("epochs", 0)
    if done < wanted:
        hint = "go on with --resume, or start again with -f"
        raise FileError(f"{path} holds {done} of {wanted} epochs of a run that was stopped", hint)


def _prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def _with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def digest_task(task: Task) -> str:
    """Of what a run is trained on: points, what they mean, teachers, and a few images, since all would take long."""
    digest = hashlib.sha256(task.scheme.to_json().encode())  # which point is mirrored to which
    for faces in (task.train, task.val):
        digest.update(faces.rows.tobytes())
        for row in faces.rows[:: -(-len(faces) // _N_IMAGES)]:
            digest.update(np.ascontiguousarray(faces.images[row]).tobytes())
        for name in sorted(faces.points):
            digest.update(name.encode() + faces.points[name].numpy().tobytes())
    for name, teacher in sorted(task.online.items()):
        digest.update(f"{name}{teacher.card.input_size}".encode())
        for weights in teacher.state_dict().values():
            digest.update(weights.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
