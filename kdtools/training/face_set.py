"""The faces of a training, on the device or read as they are needed, and the order in which they come."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kdtools.model.sampling import release_pages
from kdtools.training.distributed import n_processes_here

_SHARE_OF_DEVICE = 0.5  # of a GPU's free memory that images may take; networks and batches want the rest
_SHARE_OF_MEMORY = 0.5  # of free memory, the same for compressed images
_BLOCK = 4096  # faces brought to a device at a time


@dataclass(frozen=True)
class FaceSet:
    """Faces to train on or to measure with.

    `images` (N, H, W, 3) uint8, an array or tensor sliceable by an index array; `points` are sets of (N, L, 2) float32
    in unit coordinates: `truth` and the teachers' predictions. `rows` are those of `images` that belong to this set.
    """

    images: Any
    points: dict[str, Tensor]
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def cached(self, device: torch.device) -> FaceSet:
        """The same faces with their images where they are read fastest.

        On a GPU that has room, all lie on it. Compressed ones are unpacked into memory where they fit. Else they stay
        as they are: a memory map, of which the system keeps in memory what there is room for.
        """
        n_bytes = math.prod(self.images.shape)
        if device.type == "cuda" and n_bytes < _SHARE_OF_DEVICE * torch.cuda.mem_get_info(device)[0]:
            resident = torch.empty(self.images.shape, dtype=torch.uint8, device=device)
            for first in range(0, len(self.images), _BLOCK):
                resident[first : first + _BLOCK] = torch.from_numpy(np.array(self.images[first : first + _BLOCK]))
            return replace(self, images=resident)
        room = _SHARE_OF_MEMORY * _free_memory() / n_processes_here()
        if not isinstance(self.images, np.ndarray) and n_bytes < room:
            return replace(self, images=self.images[...])
        return self

    def take(self, at: np.ndarray, device: torch.device) -> tuple[Tensor, dict[str, Tensor]]:
        """Images (B, H, W, 3) uint8 and points (B, L, 2) of the faces at these places of the set."""
        rows = self.rows[at]
        index = torch.from_numpy(rows)
        points = {name: p[index].to(device) for name, p in self.points.items()}
        if isinstance(self.images, Tensor):
            return self.images[index.to(self.images.device)].to(device), points
        order = np.argsort(rows)  # in file order: kinder to a disk, and h5py demands it
        pixels = np.empty((len(rows), *self.images.shape[1:]), np.uint8)
        pixels[order] = self.images[rows[order]]
        release_pages(self.images)
        return torch.from_numpy(pixels).to(device), points


def _free_memory() -> int:
    """Bytes of memory that are free now; where the system does not tell, none."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 0


def shuffled_batches(n_faces: int, batch: int, generator: torch.Generator) -> Iterator[np.ndarray]:
    """Each face at most once, in random order.

    A last batch of less than half the size is left out: the statistics of batch norm would be taken from few faces.
    """
    order = torch.randperm(n_faces, generator=generator).numpy()
    for step in range(count_batches(n_faces, batch)):
        yield order[step * batch : (step + 1) * batch]


def count_batches(n_faces: int, batch: int) -> int:
    """Steps of one epoch; at least one."""
    return max(1, n_faces // batch + (n_faces % batch >= max(2, batch / 2)))  # batch norm needs two
