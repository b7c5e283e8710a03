"""Comparison of an exported model with the original: its points, its confidence and its speed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from kdtools.errors import DataError
from kdtools.export import FLOAT16, FLOAT32, INT8
from kdtools.faces.file import FacesFile, open_faces
from kdtools.landmarks import Scheme
from kdtools.landmarks.conventions import layer_among
from kdtools.metrics import clean_points, default_normaliser, nme_per_face
from kdtools.model.card import ModelCard
from kdtools.model.heads import HeatmapHead
from kdtools.model.network import LandmarkNet
from kdtools.model.sampling import resize_images
from kdtools.onnx_session import CONFIDENCE, OUTPUT, open_session, run_session
from kdtools.synth import draw_faces

N_CHECKED, N_CALIBRATION = 256, 128
MOST_WORSE = 0.02  # relative increase in NME above which kd-export warns
_N_DRAWN = 8
BATCH = 16
_N_TIMED = 5  # batches, of which the median counts
# float32 rounding moves a point by some thousandths of a pixel; more means that the graph is wrong. float16 can move
# single points of an unclear face farther, so only its mean is limited. int8 is judged by NME.
_MOST_LARGEST_PX = {FLOAT32: 0.05, FLOAT16: np.inf, INT8: np.inf}
_MOST_CONFIDENCE = 0.01
_MOST_MEAN_PX = {FLOAT32: 0.05, FLOAT16: 0.25, INT8: np.inf}


@dataclass(frozen=True)
class Sample:
    """Faces to check or calibrate with: images (N, 3, S, S) float32 RGB in [0, 1], and a description of them.

    `truth` (N, L, 2) is in unit coordinates, None if the file holds no points.
    """

    images: np.ndarray
    truth: np.ndarray | None
    name: str


@dataclass(frozen=True)
class Agreement:
    """Distances between the points of the exported model and the original, in pixels of the input, over `n_faces`.

    `nme` is the mean error of the original and of the export as a fraction of the default normaliser, None if no face
    can be measured.
    """

    n_faces: int
    largest_px: float
    mean_px: float
    nme: tuple[float, float] | None = None

    @property
    def worse(self) -> float:
        """Relative increase in NME from the original to the export; 0 if there is no truth."""
        if self.nme is None or self.nme[0] == self.nme[1]:
            return 0.0
        original, exported = self.nme
        return exported / original - 1 if original > 0 else float("inf")


def sample_faces(path: str | None, network: LandmarkNet, most: int) -> Sample:
    """At most `most` faces, evenly spread over a faces file, or of a few synthetic ones if `path` is None.

    Of faces of several annotation conventions only those that the network answers by, if there are any. Their points
    are those at the true places.

    Raises DataError for a file without images, or with another number of points than the model.
    """
    card = network.card
    if path is None:
        images = np.stack([image for image, _, _ in draw_faces(min(most, _N_DRAWN), card.input_size, seed=0)])
        return Sample(_network_inputs(images, card.input_size), None, "drawn faces")
    with open_faces(path) as faces:
        faces.require("image")
        candidates = _of_convention(faces, card)
        at = np.linspace(0, len(candidates) - 1, min(most, len(candidates))).round().astype(int)
        rows = candidates[np.unique(at)]
        truth = None
        if "landmarks" in faces:
            faces.require_scheme(card.scheme, "the model")
            truth = faces.to_frame(faces.true_landmarks[rows], "unit")
        return Sample(_network_inputs(faces.images[rows], card.input_size), truth, f"faces of {faces.name}")


def _of_convention(faces: FacesFile, card: ModelCard) -> np.ndarray:
    """Rows of the faces of the card's convention; of all where none has it."""
    answered = [layer_among(one.name, card.layers) is not None for one in faces.conventions.all]
    own = np.flatnonzero(np.array([*answered, False])[faces.conventions.of_faces])
    return own if len(own) else np.arange(len(faces))


def _network_inputs(images: np.ndarray, size: int) -> np.ndarray:
    return resize_images(torch.from_numpy(np.array(images)), size).numpy()


def can_be_measured(sample: Sample, scheme: Scheme) -> bool:
    """Whether at least one face has points, and a length to divide errors by."""
    return sample.truth is not None and bool(np.isfinite(_nme_of_faces(sample.truth, sample.truth, scheme)).any())


class Run(Protocol):
    """An exported model's answers: images (N, 3, S, S) float32 RGB in [0, 1] -> points (N, L, 2), or confidence."""

    def __call__(self, images: np.ndarray, output: str = OUTPUT) -> np.ndarray: ...


def onnx_run(path: Path) -> Run:
    """By ONNX Runtime, on all cores."""
    return partial(run_session, open_session(path, threads=0))


def compare_with_original(network: LandmarkNet, path: Path, sample: Sample, precision: str = FLOAT32) -> Agreement:
    """Compare an ONNX file with the network on the sample, as `compare_answers` does."""
    return compare_answers(network, onnx_run(path), sample, precision)


def compare_answers(network: LandmarkNet, run: Run, sample: Sample, precision: str = FLOAT32) -> Agreement:
    """Compare both models on the sample. Raises DataError if they differ by more than the precision explains.

    Confidence is compared in float32 only; in other precisions it must only be finite.
    """
    size = network.card.input_size
    if isinstance(network.head, HeatmapHead):
        _compare_confidence(network, run, sample.images[:BATCH], precision)
    exported = _in_batches(run, sample.images)
    original = _in_batches(lambda images: _run_network(network, images), sample.images)
    distance = np.linalg.norm(exported - original, axis=2) * size
    largest, mean = float(distance.max()), float(distance.mean())
    if not (largest <= _MOST_LARGEST_PX[precision] and mean <= _MOST_MEAN_PX[precision]):  # NaN is refused too
        raise DataError(
            f"the exported model differs from the original by up to {largest:.3g} px, {mean:.3g} px on average",
            "the network does something that the format does not express; try another --arch"
            if precision == FLOAT32
            else f"the network does not tolerate {precision}; export it in float32",
        )
    nme = None
    if sample.truth is not None and can_be_measured(sample, network.card.scheme):
        nme = _nme(sample.truth, original, network.card.scheme), _nme(sample.truth, exported, network.card.scheme)
    return Agreement(len(distance), largest, mean, nme)


def _compare_confidence(network: LandmarkNet, run: Run, images: np.ndarray, precision: str) -> None:
    exported = run(images, CONFIDENCE)
    with torch.inference_mode():
        _, original = network.points_and_confidence(torch.from_numpy(images))
    assert original is not None
    difference = float(np.abs(exported - original.numpy()).max())
    if not difference <= (_MOST_CONFIDENCE if precision == FLOAT32 else 1.0):  # NaN is refused too
        raise DataError(
            f"the exported model's confidence differs from the original's by up to {difference:.3g}",
            "the network does something that the format does not express; try another --arch",
        )


def _nme(truth: np.ndarray, points: np.ndarray, scheme: Scheme) -> float:
    """Mean NME over the faces that can be measured, at least one, as a fraction."""
    return float(np.nanmean(_nme_of_faces(truth, points, scheme)))


def _nme_of_faces(truth: np.ndarray, points: np.ndarray, scheme: Scheme) -> np.ndarray:
    """NME (N,), NaN for faces that cannot be measured. Unit coordinates will do, since crops are square."""
    known = clean_points(truth)
    return nme_per_face(truth, points, default_normaliser(scheme, known).lengths(known))


def measure_speed(network: LandmarkNet, run: Run, images: np.ndarray) -> tuple[float, float]:
    """Faces per second of the original in PyTorch and of the export, on all cores."""
    batch = images[:BATCH]
    times = alternating_times([lambda: _run_network(network, batch), lambda: run(batch)], _N_TIMED)
    original, export = (len(batch) / statistics.median(taken) for taken in times)
    return original, export


def alternating_times(runs: Sequence[Callable[[], object]], n_turns: int) -> list[list[float]]:
    """Seconds of each call in each turn. Calls alternate, so that other work on the machine slows all of them."""
    times: list[list[float]] = [[] for _ in runs]
    for turn in range(n_turns + 1):
        for run, taken in zip(runs, times, strict=True):
            began = time.perf_counter()
            run()
            if turn:  # the first is a warm-up
                taken.append(time.perf_counter() - began)
    return times


def _run_network(network: LandmarkNet, images: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        points: np.ndarray = network(torch.from_numpy(images)).numpy()
    return points


def _in_batches(run: Callable[[np.ndarray], np.ndarray], images: np.ndarray) -> np.ndarray:
    return np.concatenate([run(images[first : first + BATCH]) for first in range(0, len(images), BATCH)])
