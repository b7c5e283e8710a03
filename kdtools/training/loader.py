"""Augmented batches, made on the device; each process makes those of its own faces."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from kdtools.training.augmentation import AUGMENTATIONS, Changes, augment, draw_changes, draw_noise
from kdtools.training.distributed import n_processes, process_number
from kdtools.training.face_set import FaceSet, continued_positions, count_batches, shuffled_batches
from kdtools.training.settings import Settings
from kdtools.training.task import Task

# Places of unlabelled faces in `seed_of`; epochs count from 1, so these are nobody else's.
_ORDER, _CHANGES = (0, 1), (0, 2)


@dataclass(frozen=True)
class Batch:
    """This process's part of a step's faces: images (b, 3, S, S) in [0, 1], points (l, L, 2). `n_faces` is the total.

    `layers` (b,) are the last layers of the faces' annotation conventions, None where they state none. The last b - l
    images are unlabelled faces. Of these, `unlabelled` maps teachers to points (b - l, L, 2), and `confidence`
    (b - l, L) is Tough's, if a faces file states it.
    """

    images: Tensor
    points: dict[str, Tensor]
    n_faces: int
    layers: Tensor | None = None
    n_unlabelled: int = 0
    unlabelled: dict[str, Tensor] = field(default_factory=dict)
    confidence: Tensor | None = None


@dataclass(frozen=True)
class _Part:
    """This process's faces of one kind before augmentation, and the parameters of that; `n_faces` is the total."""

    images: Tensor
    points: dict[str, Tensor]
    layers: Tensor | None
    changes: Changes
    n_faces: int
    confidence: Tensor | None = None


class Loader:
    """Augmented batches of this process's faces, made on the device.

    A step has `batch` labelled faces, and as many unlabelled ones beside them as make their share of all. An epoch is
    one pass over the labelled faces, or over the unlabelled ones where there are no others; beside labelled ones they
    are taken in an order of their own, which goes on over the epochs.
    """

    def __init__(self, task: Task, settings: Settings, device: torch.device) -> None:
        self._settings, self._device = settings, device
        n_labelled, self._n_unlabelled = faces_per_step(settings)
        # An online teacher must not get an upscaled face, so images are made at the largest of all input sizes.
        self._size = max([settings.input_size, *(teacher.card.input_size for teacher in task.online.values())])
        self._labelled = task.train.cached(device, self._size) if n_labelled else None
        self._unlabelled = None if task.unlabelled is None else task.unlabelled.cached(device, self._size)
        self._rules = None if task.train.rules is None else task.train.rules.to(device)
        self._n_faces = len(faces_of_epoch(task, settings))
        self.n_steps = count_batches(self._n_faces, settings.batch)
        mirror = task.scheme.mirror
        self._mirror = None if mirror is None else torch.tensor(mirror, device=device)
        augmentation = AUGMENTATIONS[settings.augmentation]
        self._augmentation = augmentation if mirror is not None else augmentation.without_flip()
        self._own = slice(process_number(), None, n_processes())

    def batches(self, epoch: int, first: int) -> Iterator[tuple[int, Batch]]:
        """Yields (step, batch) for an epoch, from step `first` on."""
        generator = torch.Generator().manual_seed(seed_of(self._settings.seed, epoch))
        order = list(shuffled_batches(self._n_faces, self._settings.batch, generator))
        noise = draw_noise(self._size, generator).to(self._device) if self._augmentation.noise else None
        steps = range(first, len(order))
        if self._device.type == "cpu":  # a prefetching thread would compete with the network
            prepared = (self._prepare(epoch, step, order[step]) for step in steps)
            yield from ((step, self._finish(one, noise)) for step, one in zip(steps, prepared, strict=True))
            return
        with ThreadPoolExecutor(1) as pool:
            waiting = [pool.submit(self._prepare, epoch, step, order[step]) for step in steps[:2]]
            for step in steps:
                if step + 2 < len(order):
                    waiting.append(pool.submit(self._prepare, epoch, step + 2, order[step + 2]))
                yield step, self._finish(waiting.pop(0).result(), noise)

    def _prepare(self, epoch: int, step: int, at: np.ndarray) -> list[_Part]:
        """The faces of a step and what is to be changed in them: the labelled ones, then the unlabelled ones."""
        seed, parts = self._settings.seed, []
        if self._labelled is not None:
            parts.append(self._part(self._labelled, at, seed_of(seed, epoch, step + 1)))
        if self._unlabelled is not None:
            number = (epoch - 1) * self.n_steps + step  # of all steps, from 0
            if self._labelled is not None:
                n = len(self._unlabelled)
                at = continued_positions(n, self._n_unlabelled, number, lambda k: seed_of(seed, *_ORDER, k))
            parts.append(self._part(self._unlabelled, at, seed_of(seed, *_CHANGES, number)))
        return parts

    def _part(self, faces: FaceSet, at: np.ndarray, seed: int) -> _Part:
        generator = torch.Generator().manual_seed(seed)
        changes = draw_changes(len(at), self._augmentation, generator)  # of the whole batch; see distributed.py
        own = at[np.argsort(faces.rows[at], kind="stable")][self._own]  # so that a disk reads forward
        images, points = faces.take(own, self._device, self._size)
        own_changes = changes.part(self._own, self._device)
        layers, confidence = faces.layers_of(own, self._device), faces.confidence_of(own, self._device)
        if self._rules is not None and layers is not None:
            if faces is self._labelled:
                by_rule = (torch.rand(len(at), generator=generator) < 0.5)[self._own].to(self._device)
                layers = torch.where(by_rule, self._rules[layers], layers)
            # A set's labels are not symmetric, and its layer is there to learn that.
            own_changes = own_changes.without_flip_of(layers != self._rules[layers])
        return _Part(images, points, layers, own_changes, len(at), confidence)

    def _finish(self, parts: list[_Part], noise: Tensor | None) -> Batch:
        made = [augment(part.images, part.points, self._size, part.changes, self._mirror, noise) for part in parts]
        images = made[0][0] if len(made) == 1 else torch.cat([images for images, _ in made])
        n_faces = sum(part.n_faces for part in parts)
        if self._unlabelled is None:
            return Batch(images, made[0][1], n_faces, parts[0].layers)
        last, (own_images, points) = parts[-1], made[-1]
        confidence = last.confidence
        if confidence is not None and self._mirror is not None:
            confidence = torch.where(last.changes.flip[:, None], confidence[:, self._mirror], confidence)
        labelled = {} if self._labelled is None else made[0][1]
        layers = [part.layers for part in parts if part.layers is not None]
        of_all = torch.cat(layers) if layers else None
        return Batch(images, labelled, n_faces, of_all, len(own_images), points, confidence)


def faces_of_epoch(task: Task, settings: Settings) -> FaceSet:
    """The faces of which an epoch is one pass."""
    return task.unlabelled if settings.unlabelled_share == 1 and task.unlabelled is not None else task.train


def faces_per_step(settings: Settings) -> tuple[int, int]:
    """Labelled and unlabelled faces of a step.

    `batch` counts the labelled faces, or the unlabelled ones where there are no others.

    >>> from kdtools.training.settings import resolve_settings
    >>> faces_per_step(resolve_settings("kd-student", "default", {"batch": 30, "unlabelled_share": 0.25}))
    (30, 10)
    """
    share = settings.unlabelled_share
    if share == 1:
        return 0, settings.batch
    return settings.batch, max(1, round(settings.batch * share / (1 - share))) if share else 0


def seed_of(seed: int, *place: int) -> int:
    """A 64-bit seed derived from the seed of the run and a place in it, such as epoch and step."""
    return int(np.random.SeedSequence([seed, *place]).generate_state(1, np.uint64)[0])
