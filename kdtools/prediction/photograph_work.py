"""The work on photographs: decode, detect faces, crop, predict."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from kdtools.errors import KdError, UsageError, reason_of
from kdtools.images.detection import Detector, Found, decode_for, find_detector, find_in
from kdtools.images.drawing import draw_landmarks, number_face
from kdtools.images.large_pictures import large_pictures_in_turn
from kdtools.images.picture import Picture
from kdtools.landmarks.geometry import apply_affine, unit_to_pixels
from kdtools.parallel import batched, share_out
from kdtools.prediction.engines import Engine
from kdtools.prediction.inputs import Photograph
from kdtools.prediction.outcome import NO_FACE, Outcome, Stopwatch
from kdtools.prediction.unchanged import recording, stamp_of
from kdtools.reporting import SILENT, Reporter

if TYPE_CHECKING:
    from kdtools.prediction.drawings import Drawings

_HELD_BYTES = 64 << 20  # of decoded photographs that a worker holds before it runs the network


@dataclass(frozen=True)
class Search:
    """Which faces of a photograph are predicted: the `most` largest that `detector` finds (None: all).

    `refine` is how often the crop is taken again around the predicted points.
    """

    detector: Detector
    refine: int = 1
    most: int | None = None

    @staticmethod
    def named(
        detector: str,
        most: int | None,
        refine: int | None,
        min_score: float | None = None,
        search_size: int | None = None,
        *,
        reporter: Reporter = SILENT,
    ) -> Search:
        """From options: `refine` is 0 for whole images, which are crops already, else 1.

        Raises UsageError for an unknown detector, and as `find_detector` does.
        """
        if detector in ("points", "given"):
            hint = "kd-import reads them; give finder, cascade, yunet, whole, a YuNet model (.onnx) or boxes (.csv)"
            raise UsageError(f"--detector {detector} needs annotations", hint)
        if refine is None:
            refine = 0 if detector == "whole" else 1
        return Search(find_detector(detector, min_score, reporter, search_size=search_size), refine, most)


@dataclass
class Face:
    """A face: its crop (S, S, 3) with the map (2, 3) to the photograph, its box (4,) and its points (L, 2).

    `confidence` is (L,), or empty if the engine has none. `track` is its number in a video, -1 in a photograph.
    """

    crop: np.ndarray
    to_source: np.ndarray
    box: np.ndarray
    score: float
    points: np.ndarray = field(default_factory=lambda: np.empty((0, 2)))
    track: int = -1
    confidence: np.ndarray = field(default_factory=lambda: np.empty(0))


@dataclass
class Seen:
    """A decoded photograph and its faces. `began` is in seconds; `undrawn` is why it could not be drawn.

    `data` are the bytes of its file where they have to be decoded again, in full size.
    """

    photograph: Photograph
    picture: Picture
    faces: list[Face]
    began: float
    undrawn: str = ""
    data: bytes = b""

    @property
    def n_bytes(self) -> int:
        return self.picture.image.nbytes + len(self.data)


def undrawn(seen: Iterable[Seen]) -> list[tuple[str, str]]:
    """(id, reason) of the photographs that could not be drawn."""
    return [(one.photograph.id, f"not drawn: {one.undrawn}") for one in seen if one.undrawn]


class PhotographWork:
    """Reads, detects, crops and predicts a group of photographs.

    Crops follow the model's crop rule, around the detector's box first and then `refine` times around the points, as in
    training. A face has the id of its photograph, with `#2`, `#3`, ... from the second one on, the largest first.
    """

    def __init__(self, engine: Engine, search: Search, drawings: Drawings | None) -> None:
        self._engine, self._search, self._drawings = engine, search, drawings
        self._rule, self._size = engine.card.crop, engine.card.input_size

    def __call__(self, group: Sequence[Photograph]) -> Outcome:
        with large_pictures_in_turn():
            return self._work_on(group)

    def _work_on(self, group: Sequence[Photograph]) -> Outcome:
        watch = Stopwatch()
        stamps = [stamp_of(photograph) for photograph in group]
        group, contents = recording(group)
        skipped: list[tuple[str, str]] = []
        latencies: list[float] = []
        done: list[Seen] = []
        waiting: list[Seen] = []
        for photograph in group:
            seen = self._look(photograph, watch)
            if isinstance(seen, str):
                skipped.append((photograph.id, seen))
                continue
            waiting.append(seen)
            if sum(one.n_bytes for one in waiting) > _HELD_BYTES:
                latencies += self._finish(waiting, watch)
                done, waiting = done + waiting, []
        latencies += self._finish(waiting, watch)
        done += waiting
        return Outcome(self._columns(done), stamps, contents(), skipped + undrawn(done), watch.seconds, latencies)

    def _look(self, photograph: Photograph, watch: Stopwatch) -> Seen | str:
        """The photograph with its crops, or why there are none: one bad image must not stop a run over millions."""
        began = watch.lap("read")
        try:
            data = photograph.fetch()
            watch.lap("read")
            picture, found = self._search_in(data, photograph, watch)
            found = found[: self._search.most]
            if isinstance(data, bytes) and not picture.is_fine_for((self._square(one) for one in found), self._size):
                picture = Picture.decoded(data, photograph.source)
                watch.lap("decode")
        except (KdError, OSError, MemoryError) as error:
            return reason_of(error)
        if not found:
            return NO_FACE
        faces, reasons = self._crop(picture, found)
        watch.lap("crop")
        if not faces:
            return reasons[0]
        is_decoded_again = self._drawings is not None and picture.reduction > 1
        kept = data if is_decoded_again and isinstance(data, bytes) else b""
        return Seen(photograph, picture, faces, began, data=kept)

    def _search_in(
        self, data: bytes | np.ndarray, photograph: Photograph, watch: Stopwatch
    ) -> tuple[Picture, list[Found]]:
        """The picture, no larger than the search needs it, and the faces found in it."""
        detector = self._search.detector
        source = photograph.source
        picture = Picture.of(data) if isinstance(data, np.ndarray) else decode_for(detector, data, source)
        watch.lap("decode")
        found = find_in(detector, picture, photograph.id)
        watch.lap("detect")
        return picture, found

    def _square(self, found: Found) -> np.ndarray:
        return found.crop_square(self._rule)

    def _crop(self, picture: Picture, found: Sequence[Found]) -> tuple[list[Face], list[str]]:
        """The faces that can be cropped, and the reasons for those that cannot."""
        faces, reasons = [], []
        for one in found:
            square = self._square(one)
            try:
                faces.append(Face(*picture.crop(square, self._size), square, one.score))
            except (KdError, MemoryError) as error:
                reasons.append(reason_of(error))
        return faces, reasons

    def _finish(self, waiting: Sequence[Seen], watch: Stopwatch) -> list[float]:
        """Predict and draw the faces of these photographs; returns the latency of each photograph."""
        ended = self._find_points(waiting, watch)
        if self._drawings is not None:
            for seen in waiting:
                self._draw(seen, self._drawings)
            watch.lap("draw")
        latencies = [ended - seen.began for seen in waiting]
        for seen in waiting:
            seen.picture.drop()
            seen.data = b""
        return latencies

    def _find_points(self, waiting: Sequence[Seen], watch: Stopwatch) -> float:
        """Predict the faces of these photographs; returns when this was done."""
        faces = [(seen.picture, face) for seen in waiting for face in seen.faces]
        # A photograph of a crowd holds as much work as a hundred others: workers without any take part in it.
        return watch.add(share_out(self._find_points_in_batch, batched(faces, self._engine.batch)))

    def _find_points_in_batch(self, faces: Sequence[tuple[Picture, Face]]) -> Stopwatch:
        watch = Stopwatch()
        self._predict([face for _, face in faces])
        watch.lap("infer")
        for _ in range(self._search.refine):
            for picture, face in faces:
                with contextlib.suppress(KdError):  # coinciding points, or outside the photograph: keep the crop
                    square = self._rule.square_around_points(face.points)
                    (face.crop, face.to_source), face.box = picture.crop(square, self._size), square
            watch.lap("crop")
            self._predict([face for _, face in faces])
            watch.lap("infer")
        return watch

    def _predict(self, faces: Sequence[Face]) -> None:
        for some in batched(faces, self._engine.batch):
            units, confidence = self._engine.predict(np.stack([face.crop for face in some]))
            to_source = np.stack([face.to_source for face in some])
            points = apply_affine(to_source, unit_to_pixels(units, self._size, self._size))
            for k, face in enumerate(some):
                face.points = points[k]
                if confidence is not None:
                    face.confidence = confidence[k]

    def _draw(self, seen: Seen, drawings: Drawings) -> None:
        try:
            image = (Picture.decoded(seen.data, seen.photograph.source) if seen.data else seen.picture).image
            for face in seen.faces:
                image = draw_landmarks(image, face.points, self._engine.card.scheme)
            for number, face in enumerate(seen.faces if len(seen.faces) > 1 else [], 1):
                number_face(image, face.points, number)
            drawings.write(seen.photograph.id, seen.photograph.source, image)
        except (KdError, OSError, MemoryError) as error:
            seen.undrawn = reason_of(error)

    def _columns(self, seen: Sequence[Seen]) -> dict[str, Any]:
        n_points = self._engine.card.scheme.n_points
        pairs = [
            (one.photograph, k if face.track < 0 else face.track, face)
            for one in seen
            for k, face in enumerate(one.faces)
        ]
        columns = {
            "id": [photograph.id if k == 0 else f"{photograph.id}#{k + 1}" for photograph, k, _ in pairs],
            "landmarks": np.array([face.points for _, _, face in pairs], np.float32).reshape(-1, n_points, 2),
            "box": np.array([face.box for _, _, face in pairs], np.float32).reshape(-1, 4),
            "source": [photograph.source for photograph, _, _ in pairs],
            "score": np.array([face.score for _, _, face in pairs], np.float32),
        }
        if self._engine.has_confidence:
            confidence = [face.confidence for _, _, face in pairs]
            columns["confidence"] = np.array(confidence, np.float32).reshape(-1, n_points)
        return columns
