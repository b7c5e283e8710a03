"""Distributed training under torchrun; with a single process nothing here has an effect.

Every process draws the random numbers of the whole batch and takes its part of the faces, so results do not depend on
the number of processes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from kdtools.errors import UsageError


def n_processes() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def process_number() -> int:
    """Rank of this process; process 0 writes files and reports."""
    return dist.get_rank() if n_processes() > 1 else 0


def is_first() -> bool:
    return process_number() == 0


def n_processes_here() -> int:
    """Number of processes on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if started_by_torchrun() else 1


def started_by_torchrun() -> bool:
    """Whether torchrun started several processes, by the variables it sets."""
    return "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextlib.contextmanager
def joined_processes(device: torch.device) -> Iterator[torch.device]:
    """Join the process group (nccl on GPUs, gloo elsewhere); yields the device of this process.

    Raises UsageError if there are more processes on this machine than GPUs.
    """
    if not started_by_torchrun():
        yield device
        return
    if device.type == "cuda":
        n_gpus = torch.cuda.device_count()
        if n_processes_here() > n_gpus:
            hint = f"start fewer: torchrun --nproc-per-node {n_gpus}"
            raise UsageError(f"{n_processes_here()} processes on a machine with {n_gpus} GPUs", hint)
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield device
    finally:
        dist.destroy_process_group()


def own_part(rows: np.ndarray) -> np.ndarray:
    """The rows that this process works on; each row belongs to one process."""
    return rows[process_number() :: n_processes()]


def sum_over_processes(value: Tensor) -> Tensor:
    """Sum of a tensor over all processes, without gradient; `value` itself if there is only one."""
    if n_processes() == 1:
        return value
    total = value.detach().clone()
    dist.all_reduce(total)
    return total


def any_process(flag: bool, device: torch.device) -> bool:
    """Whether `flag` is true in any process; all processes get the same answer."""
    return bool(sum_over_processes(torch.tensor(float(flag), device=device)) > 0) if n_processes() > 1 else flag


def copy_from_first(tensors: Iterable[Tensor]) -> None:
    """Overwrite the tensors of each process with those of the first."""
    if n_processes() > 1:
        for tensor in tensors:
            dist.broadcast(tensor, 0)


def wait_for_all() -> None:
    """Return when every process has called this."""
    if n_processes() > 1:
        dist.barrier()
