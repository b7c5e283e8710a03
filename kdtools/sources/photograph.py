"""What all sources give: photographs, named and not yet read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kdtools.errors import KdError


@dataclass(frozen=True)
class Photograph:
    """One image to look at. `fetch` gives its file's bytes, or its pixels (H, W, 3) RGB where they come decoded.

    `id` is what its faces are called by, `source` its path. In videos `frame` counts from 0 and `time` is in seconds.
    `fetch` may be called from any thread; it raises KdError or OSError where the photograph cannot be read.
    """

    id: str
    source: str
    fetch: Callable[[], bytes | np.ndarray]
    frame: int | None = None
    time: float | None = None


def failing(error: KdError) -> Callable[[], bytes | np.ndarray]:
    """A `fetch` for what is known to be unreadable, so that it is told, counted and skipped in its turn."""

    def fetch() -> bytes | np.ndarray:
        raise error

    return fetch
