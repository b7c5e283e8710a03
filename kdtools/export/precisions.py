"""Which precision pays off on this machine: float32, float16 and int8, measured side by side on a user's faces."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kdtools.errors import DataError
from kdtools.export import FLOAT32, PRECISIONS
from kdtools.export.check import (
    BATCH,
    N_CALIBRATION,
    Agreement,
    Sample,
    alternating_times,
    can_be_measured,
    compare_with_original,
)
from kdtools.export.graph import export_onnx
from kdtools.model.network import LandmarkNet
from kdtools.onnx_session import open_session, run_session
from kdtools.reporting import Reporter

MOST_WORSE_PERCENT = 1.0  # increase in NME that a recommended precision may have
LEAST_GAIN = 1.05  # times the speed of float32: less is not worth fewer bits, nor more than timing varies
_N_TURNS = 15


@dataclass(frozen=True)
class MeasuredPrecision:
    """One precision: size, speed on all cores and times that of float32, NME and its change from the original's."""

    precision: str
    megabytes: float
    faces_per_second: float
    times_float32: float
    nme_percent: float
    nme_change_percent: float
    mean_px: float
    recommended: str = ""


def split_for_calibration(sample: Sample) -> tuple[Sample, np.ndarray]:
    """The faces to measure on, and images to calibrate with: every third face, as far as they are needed.

    Raises DataError for a single face.
    """
    n_faces = len(sample.images)
    if n_faces < 2:
        raise DataError(f"{sample.name}: one face, which cannot both calibrate int8 and judge it", "give more faces")
    calibrates = np.zeros(n_faces, bool)
    calibrates[: 3 * N_CALIBRATION : 3] = True
    truth = None if sample.truth is None else sample.truth[~calibrates]
    return replace(sample, images=sample.images[~calibrates], truth=truth), sample.images[calibrates]


def measure_precisions(
    network: LandmarkNet, fields: dict[str, Any], sample: Sample, calibration: np.ndarray, reporter: Reporter
) -> list[MeasuredPrecision]:
    """Export in each precision, compare with the original over the sample, and time all in turns.

    A precision that the network does not tolerate is left out, with a warning. Raises DataError if no face can be
    measured.
    """
    if not can_be_measured(sample, network.card.scheme):
        raise DataError(f"{sample.name}: no landmarks, so no errors to compare", "give faces with landmarks")
    with tempfile.TemporaryDirectory(prefix="kdtools-") as folder:
        agreements: dict[str, Agreement] = {}
        for precision in PRECISIONS:
            path = Path(folder, precision)
            export_onnx(network, path, fields, precision, calibration)
            try:
                agreements[precision] = compare_with_original(network, path, sample, precision)
            except DataError as error:
                if precision == FLOAT32:
                    raise
                reporter.warn(f"{precision} is left out: {error.message}")
        paths = [Path(folder, precision) for precision in agreements]
        batch = sample.images[:BATCH]
        sessions = [open_session(path, threads=0) for path in paths]
        times = alternating_times([partial(run_session, session, batch) for session in sessions], _N_TURNS)
        sizes = [path.stat().st_size / 1e6 for path in paths]
    rows = []
    for (precision, agreement), size, taken in zip(agreements.items(), sizes, times, strict=True):
        assert agreement.nme is not None
        rows.append(
            MeasuredPrecision(
                precision,
                size,
                len(batch) / statistics.median(taken),
                statistics.median(first / own for first, own in zip(times[0], taken, strict=True)),
                100 * agreement.nme[1],
                100 * agreement.worse,
                agreement.mean_px,
            )
        )
    best = recommended(rows)
    return [replace(row, recommended="yes") if row is best else row for row in rows]


def recommended(rows: Sequence[MeasuredPrecision]) -> MeasuredPrecision:
    """The fastest whose NME is at most 1 % larger; float32, the first, if none is at least 5 % faster than it."""
    worthy = [row for row in _faster(rows) if row.nme_change_percent <= MOST_WORSE_PERCENT]
    return max(worthy, key=lambda row: row.times_float32, default=rows[0])


def why_recommended(rows: Sequence[MeasuredPrecision]) -> str:
    """The reason for the recommended precision, in words."""
    best = recommended(rows)
    if best is not rows[0]:
        return f"{best.times_float32:.2f} times as fast as float32, NME {best.nme_change_percent:+z.1f} %"
    if _faster(rows):
        return f"every faster one raises the NME by more than {MOST_WORSE_PERCENT:.0f} %"
    return f"no other is at least {100 * (LEAST_GAIN - 1):.0f} % faster"


def _faster(rows: Sequence[MeasuredPrecision]) -> list[MeasuredPrecision]:
    """Those that are faster than float32, the first, by more than timing varies."""
    return [row for row in rows[1:] if row.times_float32 >= LEAST_GAIN]
