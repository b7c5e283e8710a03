"""The log of a training run: a line of JSON per epoch, and TensorBoard events."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kdtools.storage.outputs import written_aside


@contextlib.contextmanager
def open_events(folder: str | None) -> Iterator[Callable[[Any], None]]:
    """Yields a function that writes a `trainer.Epoch` to `folder`; does nothing if that is None."""
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
            writer.flush()  # so that TensorBoard shows each epoch at once

        yield write


def write_log(path: Path, history: list[dict[str, Any]]) -> None:
    with written_aside(str(path), force=True, binary=False, follow_link=False) as part:
        # Sorted, because restored entries have their fields in another order than new ones.
        part.write_text("".join(json.dumps(line, sort_keys=True) + "\n" for line in history), encoding="utf-8")
