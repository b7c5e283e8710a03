"""The mean 3-D head is that of the drawn faces."""

from __future__ import annotations

import numpy as np

from kdtools.landmarks.head_shape import mean_head
from kdtools.synth import head as drawn


class _Middle:
    """A generator whose every number is the middle of its range, and that opens no mouth and shuts no eye."""

    def normal(self, mean: float = 0.0, scale: float = 1.0) -> float:
        return 0.0

    def uniform(self, low: float, high: float) -> float:
        return (low + high) / 2

    def random(self) -> float:
        return 1.0


def test_the_mean_head_is_the_mean_of_drawn_heads() -> None:
    head = drawn._make_head(_Middle())  # type: ignore[arg-type]
    head = drawn.Head(drawn._MEAN, head.outline_angle, head.outline_radius, 1.0)
    t, angle = drawn._polar(head, head.xy)
    t[:17] = 1
    expected = drawn.surface(head, t, angle) * (1, -1, 1)
    np.testing.assert_allclose(mean_head(), expected, atol=0.01)
