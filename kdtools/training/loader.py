"""Augmented batches, made on the device; each process makes those of its own faces."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from kdtools.training.augmentation import AUGMENTATIONS, Changes, augment, draw_changes, draw_noise
from kdtools.training.distributed import n_processes, process_number
from kdtools.training.face_set import shuffled_batches
from kdtools.training.settings import Settings
from kdtools.training.task import Task


@dataclass(frozen=True)
class Batch:
    """This process's part of a batch: images (b, 3, S, S) in [0, 1], points (b, L, 2). `n_faces` is the total.

    `layers` (b,) are the last layers of the faces' annotation conventions, None where they state none.
    """

    images: Tensor
    points: dict[str, Tensor]
    n_faces: int
    layers: Tensor | None = None


@dataclass(frozen=True)
class _Prepared:
    """This process's part of a batch before augmentation, and the parameters of that; `n_faces` is the total."""

    images: Tensor
    points: dict[str, Tensor]
    layers: Tensor | None
    changes: Changes
    n_faces: int


class Loader:
    """Augmented batches of this process's faces, made on the device."""

    def __init__(self, task: Task, settings: Settings, device: torch.device) -> None:
        self._faces, self._settings, self._device = task.train.cached(device), settings, device
        # An online teacher must not get an upscaled face, so images are made at the largest of all input sizes.
        self._size = max([settings.input_size, *(teacher.card.input_size for teacher in task.online.values())])
        mirror = task.scheme.mirror
        self._mirror = None if mirror is None else torch.tensor(mirror, device=device)
        augmentation = AUGMENTATIONS[settings.augmentation]
        self._augmentation = augmentation if mirror is not None else augmentation.without_flip()
        self._own = slice(process_number(), None, n_processes())

    def batches(self, epoch: int, first: int) -> Iterator[tuple[int, Batch]]:
        """Yields (step, batch) for an epoch, from step `first` on."""
        generator = torch.Generator().manual_seed(seed_of(self._settings.seed, epoch))
        order = list(shuffled_batches(len(self._faces), self._settings.batch, generator))
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

    def _prepare(self, epoch: int, step: int, at: np.ndarray) -> _Prepared:
        generator = torch.Generator().manual_seed(seed_of(self._settings.seed, epoch, step + 1))
        changes = draw_changes(len(at), self._augmentation, generator)  # of the whole batch; see distributed.py
        own = at[self._own]
        images, points = self._faces.take(own, self._device)
        layers = self._faces.layers_of(own, self._device)
        return _Prepared(images, points, layers, changes.part(self._own, self._device), len(at))

    def _finish(self, faces: _Prepared, noise: Tensor | None) -> Batch:
        images, points = augment(faces.images, faces.points, self._size, faces.changes, self._mirror, noise)
        return Batch(images, points, faces.n_faces, faces.layers)


def seed_of(seed: int, *place: int) -> int:
    """A 64-bit seed derived from the seed of the run and a place in it, such as epoch and step."""
    return int(np.random.SeedSequence([seed, *place]).generate_state(1, np.uint64)[0])
