"""Several processes that train one network, started by torchrun. With a single process everything here does nothing.

All draw the same random numbers for a whole batch and each takes its part of the faces, so that the course does not
depend on how many they are.
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
    """From 0; process 0 writes and speaks."""
    return dist.get_rank() if n_processes() > 1 else 0


def is_first() -> bool:
    return process_number() == 0


def n_processes_here() -> int:
    """Of this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if started_by_torchrun() else 1


def started_by_torchrun() -> bool:
    """Whether there are several processes, told by the variables that torchrun sets."""
    return "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextlib.contextmanager
def joined_processes(device: torch.device) -> Iterator[torch.device]:
    """Join the processes that torchrun started, by nccl on GPUs and gloo elsewhere; yields this one's own device.

    Raises UsageError where processes on one machine outnumber its GPUs.
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
    """This process's rows of those that all processes share; every process gets another part, and all are taken."""
    return rows[process_number() :: n_processes()]


def sum_over_processes(value: Tensor) -> Tensor:
    """The sum of every process's tensor; its own where it is alone. Never part of a gradient."""
    if n_processes() == 1:
        return value
    total = value.detach().clone()
    dist.all_reduce(total)
    return total


def any_process(flag: bool, device: torch.device) -> bool:
    """Whether any process says yes, known to all of them."""
    return bool(sum_over_processes(torch.tensor(float(flag), device=device)) > 0) if n_processes() > 1 else flag


def copy_from_first(tensors: Iterable[Tensor]) -> None:
    """Overwrite each process's tensors by those of the first."""
    if n_processes() > 1:
        for tensor in tensors:
            dist.broadcast(tensor, 0)


def wait_for_all() -> None:
    """Return when every process has come here."""
    if n_processes() > 1:
        dist.barrier()
