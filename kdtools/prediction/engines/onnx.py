"""ONNX Runtime on a CPU, without torch."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kdtools.errors import FileError
from kdtools.model.card import read_card
from kdtools.onnx_session import CONFIDENCE, INPUT, OUTPUT, Session, open_session
from kdtools.prediction.engines.answers import check_answers, probe_engine

_BATCH = 8  # the feature maps of larger batches do not fit into a core's caches: 16 are up to 8 % slower
_FLOAT = "tensor(float)"
_INTERFACE_HINT = "docs/export.md has the names, types and shapes of an exported model; make it again with kd-export"


class OnnxEngine:
    """An exported model on `threads` cores. Raises FileError for another file, and for one with absurd answers.

    `name` is the file's name in errors, if it is not that of `path`.
    """

    def __init__(self, path: Path, threads: int, name: str = "") -> None:
        self.card, _ = read_card(path)
        self.threads, self.batch = threads, _BATCH
        self.name = f"ONNX Runtime, {threads} threads" if threads > 1 else "ONNX Runtime, 1 thread"
        self._file = name or str(path)
        self._session = open_session(path, threads)
        self.has_confidence = CONFIDENCE in {output.name for output in self._session.outputs}
        _check_interface(self._session, self.card.input_size, self.card.scheme.n_points, self._file)
        self._own = threading.local()
        self._run = self._session.first_run
        probe_engine(self, self._file)
        self._run = self._session.run

    def _images(self, n: int) -> np.ndarray:
        """Room for `n` images. Each thread keeps its own, since new memory costs as much as filling it."""
        shape = 3, self.card.input_size, self.card.input_size
        if n > _BATCH:
            return np.empty((n, *shape), np.float32)
        if not hasattr(self._own, "images"):
            self._own.images = np.empty((_BATCH, *shape), np.float32)
        images: np.ndarray = self._own.images[:n]
        return images

    def predict(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        # numpy and ONNX Runtime both release the global interpreter lock.
        images = self._images(len(crops))
        planes = np.ascontiguousarray(crops.transpose(0, 3, 1, 2))  # as bytes, which are quick to bring into this order
        np.multiply(planes, np.float32(1 / 255), out=images)
        points, *more = self._run([OUTPUT, CONFIDENCE][: 1 + self.has_confidence], {INPUT: images})
        confidence = more[0] if more else None
        check_answers(points, confidence, len(crops), self.card.scheme.n_points, self._file)
        return points, confidence


def _check_interface(session: Session, size: int, n_points: int, name: str) -> None:
    """Raises FileError unless inputs and outputs have the names, types and shapes of an exported model."""
    for kind, found, wanted in (("input", session.inputs, INPUT), ("output", session.outputs, OUTPUT)):
        names = [one.name for one in found]
        if wanted not in names or (kind == "input" and len(names) > 1):
            have = ", ".join(map(repr, names)) or "none"
            raise FileError(f"{name}: has {have} as {kind}, not {wanted!r}", _INTERFACE_HINT)
    shapes = {INPUT: (None, 3, size, size), OUTPUT: (None, n_points, 2), CONFIDENCE: (None, n_points)}
    for one in (*session.inputs, *session.outputs):
        if one.name not in shapes:
            continue
        if one.type != _FLOAT:
            raise FileError(f"{name}: {one.name!r} is {one.type}, not {_FLOAT}", _INTERFACE_HINT)
        if not _fits(one.shape, shapes[one.name]):
            wanted_shape = ", ".join("batch" if length is None else str(length) for length in shapes[one.name])
            have = ", ".join("?" if length is None else str(length) for length in one.shape)
            raise FileError(f"{name}: {one.name!r} is of shape ({have}), not ({wanted_shape})", _INTERFACE_HINT)


def _fits(shape: Sequence[Any], wanted: Sequence[int | None]) -> bool:
    """Whether a shape, in which a text or None is any length, can be the wanted one, in which None must be any.

    None at all means that the file does not say.
    """
    if not shape:
        return True
    if len(shape) != len(wanted):
        return False
    return all(
        not isinstance(have, int) or (want is not None and have == want)
        for have, want in zip(shape, wanted, strict=True)
    )
