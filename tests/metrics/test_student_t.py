"""Student's t against SciPy's."""

from __future__ import annotations

import pytest
from scipy.special import stdtr, stdtrit

from kdtools.metrics.student_t import quantile, two_sided_p

DEGREES = [1, 2, 3, 4, 5, 10, 11, 384, 999, 20_000, 99_999, 100_001, 3_000_000]


@pytest.mark.parametrize("degrees", DEGREES)
def test_probability_and_quantile_are_those_of_scipy(degrees: int) -> None:
    for t in (0.0, 0.01, 0.5, 1.0, 2.0, 5.0, 40.0):
        assert two_sided_p(t, degrees) == pytest.approx(2 * stdtr(degrees, -t), abs=1e-9)
    for level in (0.5, 0.9, 0.95, 0.99):
        assert quantile(level, degrees) == pytest.approx(stdtrit(degrees, (1 + level) / 2), rel=1e-9)


@pytest.mark.parametrize("degrees", DEGREES[:8])
def test_few_degrees_of_freedom_are_exact(degrees: int) -> None:
    assert quantile(0.95, degrees) == pytest.approx(stdtrit(degrees, 0.975), rel=1e-13)
    assert two_sided_p(1.5, degrees) == pytest.approx(2 * stdtr(degrees, -1.5), abs=1e-14)
