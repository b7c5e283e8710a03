"""TensorBoard events of a training."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kdtools.storage.outputs import written_aside


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


def write_log(path: Path, history: list[dict[str, Any]]) -> None:
    with written_aside(str(path), force=True, binary=False) as part:
        # Sorted, because a history that was restored has its fields in another order than one that was made.
        part.write_text("".join(json.dumps(line, sort_keys=True) + "\n" for line in history), encoding="utf-8")
