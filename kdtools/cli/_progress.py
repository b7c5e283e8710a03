"""Progress line of a training run: epoch, steps, images/s, loss terms, validation NME, time left."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from kdtools.cli._app import session

if TYPE_CHECKING:
    from rich.console import Console

    from kdtools.training.trainer import Epoch, Step


@contextlib.contextmanager
def training_progress(
    console: Console | None = None,
) -> Iterator[tuple[Callable[[Step], None], Callable[[Epoch], None]]]:
    """Yields functions to call after each step and each epoch. Draws only on a terminal, and not with -q."""
    if console is None and (session.verbosity < 0 or not sys.stderr.isatty()):
        yield lambda step: None, lambda epoch: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns: tuple[Any, ...] = (
        TextColumn("epoch {task.fields[epoch]}"),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[speed]}"),
        TextColumn("{task.fields[terms]}"),
        TextColumn("{task.fields[nme]}"),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console or Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, epoch="", speed="", terms="", nme="")

        def end_step(step: Step) -> None:
            done = (step.epoch - 1) * step.n_steps + step.step
            fields: dict[str, Any] = {"epoch": f"{step.epoch}/{step.epochs}"}
            if step.terms is not None:
                fields["terms"] = " ".join(f"{name} {value:.3g}" for name, value in step.terms.items())
                fields["speed"] = f"{step.images_per_second:.0f} images/s"
            bar.update(task, completed=done, total=step.epochs * step.n_steps, **fields)

        def end_epoch(epoch: Epoch) -> None:
            bar.update(task, nme=f"NME {epoch.val_nme_percent:.2f} %")

        yield end_step, end_epoch
