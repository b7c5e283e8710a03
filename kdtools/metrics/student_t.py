"""Student's t distribution with a whole number of degrees of freedom.

SciPy's would do, but is 140 MB in an environment that otherwise needs nothing of it (requirements/predict.txt).
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np

_LONGEST_SERIES = 100_000  # degrees of freedom; beyond, the normal approximation errs by less than 1e-9


def two_sided_p(t: float, degrees: int) -> float:
    """Probability that |T| >= t >= 0.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, the finite series 26.7.3 and 26.7.4; for many
    degrees of freedom the normal approximation 26.7.8.

    >>> round(two_sided_p(1.0, 1), 12)
    0.5
    """
    if degrees > _LONGEST_SERIES:
        return 2 * NormalDist().cdf(-t * (1 - 1 / (4 * degrees)) / math.sqrt(1 + t * t / (2 * degrees)))
    n = float(degrees)
    cosine_squared = n / (n + t * t)
    sine = t / math.sqrt(n + t * t)
    is_odd = degrees % 2
    k = np.arange(1 + is_odd, degrees - 2, 2, dtype=np.float64)  # each term is the one before it times k / (k + 1)
    series = 1 + float(np.cumprod(k / (k + 1) * cosine_squared).sum())
    if not is_odd:
        return max(0.0, 1 - sine * series)
    rest = sine * math.sqrt(cosine_squared) * series if degrees > 1 else 0.0
    return max(0.0, 2 / math.pi * (math.atan2(math.sqrt(n), t) - rest))


@lru_cache(maxsize=1024)
def quantile(level: float, degrees: int) -> float:
    """The t >= 0 with P(|T| <= t) = level.

    >>> round(quantile(0.95, 10), 4)
    2.2281
    """
    low, high = 0.0, 1.0
    while two_sided_p(high, degrees) > 1 - level:
        low, high = high, 2 * high
    while (middle := (low + high) / 2) not in (low, high):
        if two_sided_p(middle, degrees) > 1 - level:
            low = middle
        else:
            high = middle
    return high
