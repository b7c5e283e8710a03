"""TensorBoard events of a training."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def open_events(folder: str | None) -> Iterator[Callable[[Any], None]]:
    """Yields a function that writes a `training.Epoch` as events into `folder`; without a folder it does nothing."""
    if folder is None:
        yield lambda epoch: None
        return
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(folder) as writer:

        def write(epoch: Any) -> None:
            for name, value in epoch.terms.items():
                writer.add_scalar(f"loss/{name}", value, epoch.epoch)
            writer.add_scalar(f"nme_percent/{epoch.normaliser}", epoch.val_nme_percent, epoch.epoch)
            writer.add_scalar("learning_rate", epoch.lr, epoch.epoch)
            writer.add_scalar("images_per_second", epoch.images_per_second, epoch.epoch)
            writer.flush()  # so that it can be watched while it grows

        yield write
