"""Sets of faces to train on or validate with, and the batches they are split into."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kdtools.images.cropping import shrink_images, shrunk_shape
from kdtools.training.distributed import n_processes_here

_SHARE_OF_DEVICE = 0.5  # of a GPU's free memory that images may take; networks and batches need the rest
_SHARE_OF_MEMORY = 0.5  # of free memory that decompressed images may take
_BLOCK = 4096  # faces copied to a device at a time


@dataclass(frozen=True)
class FaceSet:
    """Faces to train on or to validate with.

    `images` (N, H, W, 3) uint8, an array, tensor or the images of a faces file. `points` are (N, L, 2) float32 in unit
    coordinates: `truth` and the teachers' predictions. `rows` are the indices of the faces in this set. `layers` (N,)
    int64 are the last layers that the faces' annotation conventions have; None where they state none. `rules` (C,) is,
    for each of these, the last layer that the faces are learnt by half of the time, and a layer that has another one is
    a set's, whose faces are not mirrored; None where there are no sets.
    `confidence` (N, L) is the Tough teacher's, of unlabelled faces alone.
    """

    images: Any
    points: dict[str, Tensor]
    rows: np.ndarray
    layers: Tensor | None = None
    confidence: Tensor | None = None
    rules: Tensor | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def cached(self, device: torch.device, size: int) -> FaceSet:
        """The same faces with their images on the GPU if they fit, else compressed ones in memory if they fit there.

        Otherwise they are read from the file in each batch; the system caches what it can of it. On the GPU are the
        images that `take` gives for this size.
        """
        shape = (len(self.images), *shrunk_shape(self.images.shape[1:3], size), 3)
        if device.type == "cuda" and math.prod(shape) < _SHARE_OF_DEVICE * torch.cuda.mem_get_info(device)[0]:
            resident = torch.empty(shape, dtype=torch.uint8, device=device)
            for first in range(0, len(self.images), _BLOCK):
                block = np.array(self.images[first : first + _BLOCK])
                resident[first : first + _BLOCK] = torch.from_numpy(shrink_images(block, size))
            return replace(self, images=resident)
        n_bytes = math.prod(self.images.shape)
        room = _SHARE_OF_MEMORY * _free_memory() / n_processes_here()
        if getattr(self.images, "is_packed", False) and n_bytes < room:
            return replace(self, images=self.images[...])
        return self

    def take(self, at: np.ndarray, device: torch.device, size: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Images (B, H, W, 3) uint8 and points (B, L, 2) of the faces at these positions in the set.

        Images at least twice as large as `size` are averaged by a whole factor, see `shrink_images`.
        """
        rows = self.rows[at]
        index = torch.from_numpy(rows)
        points = {name: p[index].to(device) for name, p in self.points.items()}
        if isinstance(self.images, Tensor):
            return self.images[index.to(self.images.device)].to(device), points
        return torch.from_numpy(shrink_images(self.images[rows], size)).to(device), points

    def layers_of(self, at: np.ndarray, device: torch.device) -> Tensor | None:
        """Last layers (B,) of the faces at these positions in the set; None where there are none."""
        return self._of(self.layers, at, device)

    def confidence_of(self, at: np.ndarray, device: torch.device) -> Tensor | None:
        """Confidence (B, L) of the faces at these positions in the set; None where there is none."""
        return self._of(self.confidence, at, device)

    def _of(self, values: Tensor | None, at: np.ndarray, device: torch.device) -> Tensor | None:
        return None if values is None else values[torch.from_numpy(self.rows[at])].to(device)


def _free_memory() -> int:
    """Bytes of memory that are free now; 0 if the system does not report it."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 0


def shuffled_batches(n_faces: int, batch: int, generator: torch.Generator) -> Iterator[np.ndarray]:
    """Positions of the faces of each batch, in random order.

    A last batch of less than half the size is left out: it has too few faces for batch norm.
    """
    order = torch.randperm(n_faces, generator=generator).numpy()
    for step in range(count_batches(n_faces, batch)):
        yield order[step * batch : (step + 1) * batch]


def continued_positions(n_faces: int, n: int, step: int, seed_of_pass: Callable[[int], int]) -> np.ndarray:
    """Positions of the `n` faces of a step, counted from 0 over the whole training.

    Pass after pass takes each face once, each in an order of its own, which `seed_of_pass` seeds; a step may end one
    pass and begin the next.
    """
    found: list[np.ndarray] = []
    at, missing = step * n, n
    while missing:
        number, start = divmod(at, n_faces)
        generator = torch.Generator().manual_seed(seed_of_pass(number))
        part = torch.randperm(n_faces, generator=generator).numpy()[start : start + missing]
        found.append(part)
        at, missing = at + len(part), missing - len(part)
    return np.concatenate(found)


def count_batches(n_faces: int, batch: int) -> int:
    """Steps of one epoch; at least one."""
    return max(1, n_faces // batch + (n_faces % batch >= max(2, batch / 2)))  # batch norm needs two
