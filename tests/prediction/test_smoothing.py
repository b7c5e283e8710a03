"""The One-Euro filter: steadier where a face is still, close behind where it moves, whatever its size and the rate."""

from __future__ import annotations

import numpy as np

from kdtools.prediction.smoothing import BETA, OneEuro

RATE = 30.0
FACE = np.random.default_rng(1).random((68, 2)) * 100


def smoothed(points: np.ndarray, times: np.ndarray) -> np.ndarray:
    euro = OneEuro()
    return np.stack([euro.smooth(frame, time) for frame, time in zip(points, times, strict=True)])


def moving(speed: float, n: int = 90, rate: float = RATE) -> tuple[np.ndarray, np.ndarray]:
    """A face that moves to the right at so many px a second: points (n, 68, 2) and times (n,)."""
    times = np.arange(n) / rate
    return FACE + np.array([speed, 0]) * times[:, None, None], times


def acceleration(points: np.ndarray) -> float:
    return float(np.linalg.norm(np.diff(points, 2, axis=0), axis=2).mean())


def test_a_still_face_trembles_several_times_less() -> None:
    points, times = moving(0)
    noisy = points + np.random.default_rng(0).normal(size=points.shape)
    steady = smoothed(noisy, times)
    assert acceleration(steady) < acceleration(noisy) / 3
    assert np.abs(steady[30:] - points[30:]).mean() < 0.7 * np.abs(noisy[30:] - points[30:]).mean()


def test_the_lag_behind_a_moving_face_is_bounded() -> None:
    size = np.ptp(FACE, axis=0).max()
    for speed in (20.0, 100.0, 500.0):
        points, times = moving(speed)
        lag = (points - smoothed(points, times))[-1, :, 0]
        assert (lag > 0).all()
        assert lag.max() < 1.05 * size / (2 * np.pi * BETA)


def test_faces_of_any_size_are_smoothed_alike() -> None:
    points, times = moving(60)
    noisy = points + np.random.default_rng(0).normal(size=points.shape)
    np.testing.assert_allclose(smoothed(7 * noisy, times), 7 * smoothed(noisy, times), rtol=1e-9)


def test_time_counts_and_not_the_number_of_frames() -> None:
    lags = []
    for rate in (30.0, 120.0):
        points, times = moving(100, n=int(3 * rate), rate=rate)
        lags.append((points - smoothed(points, times))[-1, 0, 0])
    assert lags[1] < 1.5 * lags[0]
    assert lags[0] < 2.5 * lags[1]


def test_equal_times_and_lost_points_do_no_harm() -> None:
    points, _ = moving(60, n=6)
    points[3] = np.nan
    found = smoothed(points, np.zeros(6))
    assert np.isnan(found[3]).all()
    np.testing.assert_array_equal(found[4], points[4])  # begins anew
    assert np.isfinite(found[[0, 1, 2, 4, 5]]).all()
