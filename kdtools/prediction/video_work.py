"""Prediction of faces that are tracked through the frames of a video.

The crop of a tracked face comes from its points in the frame before. The detector runs only now and then: to find new
faces, to drop tracks that are no face, since a network predicts points for anything, and to correct drift.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kdtools.errors import KdError, reason_of
from kdtools.images.cropping import crop_image
from kdtools.images.picture import Picture
from kdtools.images.reading import decode_image
from kdtools.landmarks.boxes import inside, overlaps
from kdtools.landmarks.crop_rule import points_square
from kdtools.prediction.drawings import AnnotatedVideos, Drawings
from kdtools.prediction.engines import Engine
from kdtools.prediction.inputs import Photograph
from kdtools.prediction.outcome import Outcome, Stopwatch
from kdtools.prediction.photograph_work import Face, PhotographWork, Search, Seen, undrawn
from kdtools.prediction.smoothing import Cuts, OneEuro
from kdtools.prediction.unchanged import recording, stamp_of

SEARCH_EVERY = 10  # frames between searches while they confirm the tracks
SEARCH_SOON = 2  # frames to the next search after one that changed a track
_PATIENCE = 30  # frames that a track goes on although searches miss it, as detectors do with faces that turn away
# Smallest overlaps (IoU):
_SAME_FACE = 0.3  # of a track with the detection of the same face
_SAME_SCENE = 0.6  # the same across a cut, which may be only a change of light
_AGREES = 0.9  # of a track with the points from the detector's crop, if it has not drifted
_CALM = 0.8  # of a track with itself in the frame before; below, a search follows at once
_STEADY = 0.4  # the same; below, the track is lost
_GROWTH = 1.5  # largest change in size of a track since it was last detected
_TWICE = 0.7  # fraction of the smaller of two tracks inside the other above which they are one face


@dataclass
class _Track:
    """A tracked face: its number in the video, its points (L, 2) in the last frame, not smoothed, and their confidence.

    `square` is the crop around the points. `found` is the frame of the last search that detected it, `side` the side of
    its square there. A track is new until a second search detects it.
    """

    number: int
    points: np.ndarray
    confidence: np.ndarray
    square: np.ndarray
    score: float
    found: int
    side: float
    is_new: bool = True
    is_calm: bool = True
    filter: OneEuro = field(default_factory=OneEuro)


def _overlap(square: np.ndarray, other: np.ndarray) -> float:
    return float(overlaps(square[None], other[None])[0, 0])


class VideoWork(PhotographWork):
    """As `PhotographWork`, for frames in order, one call at a time; photographs may come among them.

    The first track of a video has the ids of its frames, track k those ids with `#k`. A frame without a face is not
    reported.
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
        self._begin("")

    def _begin(self, source: str) -> None:
        """Start a video, without tracks."""
        self._source, self._cuts = source, Cuts()
        self._tracks: list[_Track] = []
        self._n_tracks, self._wait, self._searched = 0, SEARCH_SOON, 0

    def __call__(self, group: Sequence[Photograph]) -> Outcome:
        watch = Stopwatch()
        stamps = [stamp_of(photograph) for photograph in group]
        group, contents = recording(group)
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
                seen.picture.drop()
                done.append(seen)
        return Outcome(self._columns(done), stamps, contents(), skipped + undrawn(done), watch.seconds, latencies)

    def _follow(self, photograph: Photograph, watch: Stopwatch) -> Seen | str:
        """The frame with the points of all tracks, or why it cannot be read."""
        began = watch.lap("read")
        frame = photograph.frame or 0
        if photograph.source != self._source or frame == 0:
            self._begin(photograph.source)
        try:
            image = self._read_frame(photograph, watch)
            is_cut = self._cuts.begins(image)
            if not is_cut:
                self._move(image, watch)
            is_due = frame - self._searched >= self._wait or not all(track.is_calm for track in self._tracks)
            if is_cut or is_due or not self._tracks:
                self._search_frame(Seen(photograph, Picture.of(image), [], began), frame, is_cut, watch)
        except (KdError, OSError, MemoryError) as error:
            return reason_of(error)
        faces = [self._face_of(track, photograph.time) for track in self._tracks]
        if self._videos is not None:
            points = {face.track: face.points for face in faces}
            self._videos.draw(photograph.source, image, points, self._engine.card.scheme, photograph.time)
            watch.lap("draw")
        return Seen(photograph, Picture.of(image), faces, began)

    def _read_frame(self, photograph: Photograph, watch: Stopwatch) -> np.ndarray:
        data = photograph.fetch()
        watch.lap("read")
        image = data if isinstance(data, np.ndarray) else decode_image(data, photograph.source)
        watch.lap("decode")
        return image

    def _face_of(self, track: _Track, time: float | None) -> Face:
        points = track.filter.smooth(track.points, np.nan if time is None else time) if self._smooth else track.points
        return Face(np.empty(0), np.empty(0), track.square, track.score, points, track.number, track.confidence)

    def _move(self, image: np.ndarray, watch: Stopwatch) -> None:
        """Predict the tracks around their last positions; drop those that are lost."""
        faces, tracks = [], []
        for track in self._tracks:
            with contextlib.suppress(KdError):  # it has left the frame
                faces.append(Face(*crop_image(image, track.square, self._size), track.square, track.score))
                tracks.append(track)
        watch.lap("crop")
        self._predict(faces)
        watch.lap("infer")
        self._tracks = [track for track, face in zip(tracks, faces, strict=True) if self._take(track, face)]
        self._join()

    def _take(self, track: _Track, face: Face) -> bool:
        """Update a track with its points in this frame; returns whether they can be the same face."""
        square = self._square_of(face.points)
        if square is None:
            return False
        overlap = _overlap(track.square, square)
        track.points, track.confidence, track.square = face.points, face.confidence, square
        track.is_calm = overlap >= _CALM
        return overlap >= _STEADY

    def _square_of(self, points: np.ndarray) -> np.ndarray | None:
        """The crop around points; None if they do not define one."""
        try:
            return self._rule.square_around_points(points) if np.isfinite(points).all() else None
        except KdError:
            return None

    def _join(self) -> None:
        """Of tracks on the same face keep the one detected last, or else the oldest."""
        squares = np.array([points_square(track.points) for track in self._tracks]).reshape(-1, 4)
        shares = inside(squares, squares)
        kept: list[int] = []
        for at in sorted(range(len(squares)), key=lambda k: (-self._tracks[k].found, self._tracks[k].number)):
            if not (shares[at, kept] > _TWICE).any():
                kept.append(at)
        self._tracks = [self._tracks[at] for at in sorted(kept)]

    def _search_frame(self, seen: Seen, frame: int, is_cut: bool, watch: Stopwatch) -> None:
        """Detect faces: start new tracks, correct those that have drifted, drop those that are no face."""
        detections = self._search.detector.find_faces(seen.picture.image, seen.photograph.id)
        watch.lap("detect")
        faces, _ = self._crop(seen.picture, detections)
        known = np.array([track.square for track in self._tracks]).reshape(-1, 4)
        squares = np.array([face.box for face in faces]).reshape(-1, 4)
        again = {k: self._tracks[at] for at, k in associate(known, squares, _SAME_SCENE if is_cut else _SAME_FACE)}
        numbers = {track.number for track in again.values()}
        self._tracks = [
            track
            for track in self._tracks
            if track.number in numbers or (not is_cut and self._may_be_there(track, frame))
        ]
        room = len(faces) if self._search.most is None else max(0, self._search.most - len(self._tracks))
        new = [k for k in range(len(faces)) if k not in again][:room]
        seen.faces = [faces[k] for k in (*again, *new)]
        watch.lap("crop")
        self._find_points([seen], watch)
        is_well = True
        for track, face in zip(again.values(), seen.faces, strict=False):
            is_well &= self._confirm(track, face, frame, is_cut)
        for face in seen.faces[len(again) :]:
            square = self._square_of(face.points)
            if square is not None and _overlap(square, face.box) >= _STEADY:
                side = square[2] - square[0]
                track = _Track(self._n_tracks, face.points, face.confidence, square, face.score, frame, side)
                self._tracks.append(track)
                self._n_tracks += 1
                is_well = False
        self._join()
        self._searched = frame
        self._wait = min(self._wait + 1, SEARCH_EVERY) if is_well else SEARCH_SOON

    def _may_be_there(self, track: _Track, frame: int) -> bool:
        """Whether a track that a search did not detect may still be a face."""
        growth = (track.square[2] - track.square[0]) / track.side
        known = track.is_calm and not track.is_new
        return known and frame - track.found < _PATIENCE and 1 / _GROWTH < growth < _GROWTH

    def _confirm(self, track: _Track, face: Face, frame: int, is_cut: bool) -> bool:
        """Compare a track with its detection `face`; returns whether they agree. If not, it takes the points of `face`.

        The detector's crop is independent of the track, so it shows drift.
        """
        square = self._square_of(face.points)
        if square is None:
            return False
        agrees = not is_cut and _overlap(track.square, square) >= _AGREES
        if not agrees:
            track.points, track.confidence, track.square = face.points, face.confidence, square
            track.filter = OneEuro()
        track.found, track.score, track.is_new = frame, face.score, False
        track.side = track.square[2] - track.square[0]
        return agrees

    def _columns(self, seen: Sequence[Seen]) -> dict[str, Any]:
        columns = super()._columns(seen)
        frames = [(one.photograph, face) for one in seen for face in one.faces]
        columns["frame"] = np.array([-1 if p.frame is None else p.frame for p, _ in frames], np.int32)
        columns["time"] = np.array([np.nan if p.time is None else p.time for p, _ in frames], np.float64)
        columns["track"] = np.array([face.track for _, face in frames], np.int32)
        return columns


def associate(boxes: np.ndarray, others: np.ndarray, least: float) -> list[tuple[int, int]]:
    """Pairs (index in boxes, index in others) with an IoU of at least `least`, each index once, the best first.

    Ties are resolved in the order of the boxes.
    """
    if not (len(boxes) and len(others)):
        return []
    shares = overlaps(boxes, others)
    pairs: list[tuple[int, int]] = []
    for flat in np.argsort(-shares, axis=None, kind="stable"):
        box, other = divmod(int(flat), len(others))
        if shares[box, other] < least:
            break
        if all(box != a and other != b for a, b in pairs):
            pairs.append((box, other))
    return pairs
