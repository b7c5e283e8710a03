"""Predictions about faces that are followed through the frames of a video.

The crop of a followed face comes from its points in the last frame, so the detector is needed only now and then: for
faces that are new, and to see that what is followed still is a face, since a network finds points in anything.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kdtools.engines import Engine
from kdtools.errors import KdError, reason_of
from kdtools.images import crop_image
from kdtools.prediction.annotated import AnnotatedVideos
from kdtools.prediction.drawings import Drawings
from kdtools.prediction.outcome import Outcome
from kdtools.prediction.photographs import Face, PhotographWork, Search, Seen, undrawn
from kdtools.prediction.sameness import stamp_of
from kdtools.prediction.timing import Stopwatch
from kdtools.smoothing import OneEuro
from kdtools.sources import Photograph
from kdtools.tracking import associate, overlaps

SEARCH_EVERY = 10  # frames
_SAME_FACE = 0.3  # least overlap of what is followed with what the detector finds
_STEADY = 0.4  # least overlap of a face with itself in the frame before; points that jump farther are of something else
_TWICE = 0.6  # overlap of two followed faces that have become one
_MOST_MISSES = 2  # searches in a row that may not find a followed face: detectors miss those that turn away


@dataclass
class _Track:
    """A followed face: its number in the video and its points (L, 2) in the last frame, before smoothing."""

    number: int
    points: np.ndarray
    square: np.ndarray
    score: float
    n_missed: int = 0
    filter: OneEuro = field(default_factory=OneEuro)


class VideoWork(PhotographWork):
    """As `PhotographWork`, but for frames in their order, one call at a time; photographs among them are as ever.

    The first face of a video has the ids of its frames, the face k its frames' ids with `#k` behind, for as long as it
    is followed. A frame without a face is nothing to be named.
    """

    def __init__(
        self,
        engine: Engine,
        search: Search,
        drawings: Drawings | None,
        videos: AnnotatedVideos | None,
        *,
        smooth: bool,
    ) -> None:
        super().__init__(engine, search, drawings)
        self._videos, self._smooth = videos, smooth
        self._tracks: list[_Track] = []
        self._source, self._n_tracks = "", 0

    def __call__(self, group: Sequence[Photograph]) -> Outcome:
        watch = Stopwatch()
        stamps = [stamp_of(photograph) for photograph in group]
        skipped: list[tuple[str, str]] = []
        latencies: list[float] = []
        done: list[Seen] = []
        for photograph in group:
            if photograph.frame is None:
                seen = self._look(photograph, watch)
                if isinstance(seen, Seen):
                    latencies += self._finish([seen], watch)
            else:
                seen = self._follow(photograph, watch)
                if isinstance(seen, Seen):
                    latencies.append(watch.lap("infer") - seen.began)
            if isinstance(seen, str):
                skipped.append((photograph.id, seen))
            else:
                seen.image = np.empty((0, 0, 3), np.uint8)
                done.append(seen)
        return Outcome(self._columns(done), stamps, skipped + undrawn(done), watch.seconds, latencies)

    def _follow(self, photograph: Photograph, watch: Stopwatch) -> Seen | str:
        """The frame with the points of all faces that are followed in it, or why it cannot be read."""
        began = watch.lap("read")
        if photograph.source != self._source or photograph.frame == 0:
            self._tracks, self._n_tracks, self._source = [], 0, photograph.source
        try:
            image = self._read(photograph, watch)
            self._move(image, watch)
            if not self._tracks or (photograph.frame or 0) % SEARCH_EVERY == 0:
                self._search_frame(Seen(photograph, image, [], began), watch)
        except (KdError, OSError, MemoryError) as error:
            return reason_of(error)
        faces = [self._face_of(track, photograph.time) for track in self._tracks]
        if self._videos is not None:
            self._videos.draw(photograph.source, image, [face.points for face in faces], self._engine.card.scheme)
            watch.lap("draw")
        return Seen(photograph, image, faces, began)

    def _face_of(self, track: _Track, time: float | None) -> Face:
        points = track.filter.smooth(track.points, np.nan if time is None else time) if self._smooth else track.points
        return Face(np.empty(0), np.empty(0), track.square, track.score, points, track.number)

    def _move(self, image: np.ndarray, watch: Stopwatch) -> None:
        """Find the followed faces around where they were; those that cannot be found there are lost."""
        faces, tracks = [], []
        for track in self._tracks:
            with contextlib.suppress(KdError):  # it has left the frame
                faces.append(Face(*crop_image(image, track.square, self._size), track.square, track.score))
                tracks.append(track)
        watch.lap("crop")
        self._predict(faces)
        watch.lap("infer")
        self._tracks = []
        for track, face in zip(tracks, faces, strict=True):
            if self._take(track, face.points) and not self._is_followed(track.square):
                self._tracks.append(track)

    def _take(self, track: _Track, points: np.ndarray) -> bool:
        """Give a track its points in this frame; whether they can be those of the same face."""
        try:
            square = self._rule.square_around_points(points)
        except KdError:
            return False
        steady = overlaps(track.square[None], square[None])[0, 0] >= _STEADY
        track.points, track.square = points, square
        return bool(steady)

    def _is_followed(self, square: np.ndarray) -> bool:
        others = [track.square for track in self._tracks]
        return bool(others) and bool((overlaps(square[None], np.stack(others)) > _TWICE).any())

    def _search_frame(self, seen: Seen, watch: Stopwatch) -> None:
        """Begin to follow faces that are new, and cease with what is no face any more, by the detector."""
        found = self._search.detector.find_faces(seen.image, seen.photograph.id)
        watch.lap("detect")
        squares = np.array([one.crop_square(self._rule) for one in found]).reshape(-1, 4)
        known = np.array([track.square for track in self._tracks]).reshape(-1, 4)
        pairs = associate(known, squares, _SAME_FACE)
        again = {at: found[k] for at, k in pairs}
        for at, track in enumerate(self._tracks):
            track.n_missed = 0 if at in again else track.n_missed + 1
            track.score = again[at].score if at in again else track.score
        self._tracks = [track for track in self._tracks if track.n_missed <= _MOST_MISSES]
        room = len(found) if self._search.most is None else max(0, self._search.most - len(self._tracks))
        known_ones = {k for _, k in pairs}
        seen.faces, _ = self._crop(seen.image, [one for k, one in enumerate(found) if k not in known_ones][:room])
        watch.lap("crop")
        self._find_points([seen], watch)
        for face in seen.faces:
            track = _Track(self._n_tracks, face.points, face.box, face.score)
            if (
                np.isfinite(face.points).all()
                and self._take(track, face.points)
                and not self._is_followed(track.square)
            ):
                self._tracks.append(track)
                self._n_tracks += 1

    def _columns(self, seen: Sequence[Seen]) -> dict[str, Any]:
        columns = super()._columns(seen)
        frames = [(one.photograph, face) for one in seen for face in one.faces]
        columns["frame"] = np.array([-1 if p.frame is None else p.frame for p, _ in frames], np.int32)
        columns["time"] = np.array([np.nan if p.time is None else p.time for p, _ in frames], np.float64)
        columns["track"] = np.array([face.track for _, face in frames], np.int32)
        return columns
