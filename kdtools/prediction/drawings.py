"""Drawings of predicted landmarks: a picture per photograph, a video per video; source files are never replaced."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from kdtools.errors import DataError, FileError
from kdtools.images.drawing import draw_landmarks, number_face
from kdtools.images.video import constant_rate, frame_times, open_video
from kdtools.landmarks import Scheme
from kdtools.prediction.drawn_folder import DrawnFolder
from kdtools.prediction.inputs import Photographs
from kdtools.storage.outputs import check_output
from kdtools.viewing.output import place_picture


class Drawings:
    """Drawings of photographs, each with its name in the folder."""

    def __init__(self, drawn: DrawnFolder, force: bool) -> None:
        self._drawn, self._folder, self._force = drawn, drawn.folder, force
        self._owner: dict[Path, str] = {}

    def check_room(self, photographs: Photographs) -> None:
        """Raises FileError as `write` does, before any work, for the names that can be listed without reading."""
        if not self._folder.exists() or not os.listdir(self._folder) or photographs.has_stream:
            return
        for one in photographs.in_files() if photographs.have_frames else photographs:
            self._place(one.id, one.source)

    def write(self, identity: str, source: str, image: np.ndarray) -> None:
        """Write a drawn photograph (H, W, 3) RGB.

        Raises FileError if the drawing exists without `force` or the folder holds the source image, DataError if
        another photograph of this run has the same path.
        """
        path = self._place(identity, source)
        if self._owner.setdefault(path, identity) != identity:
            raise DataError(f"the pictures of {self._owner[path]!r} and {identity!r} would have one name: {path}")
        self._drawn.write(path, image)

    def _place(self, identity: str, source: str) -> Path:
        path = place_picture(identity, self._folder)
        if self._folder.resolve() in Path(source).resolve().parents:
            raise FileError(f"{self._folder}: holds {source}, one of the source images", "give a folder of its own")
        if path.exists() and not self._force:
            raise FileError(f"{path}: exists already", "add -f to replace it, or give another folder")
        return path


_USUAL_RATE = 30.0  # frames per second, if the source states none
_HIGHEST_RATE = 1000.0
_SUFFIX = ".mp4"


def _rate_of(source: str) -> tuple[float, bool]:
    """The constant rate at which a video, or a camera, is drawn, and whether its frames are to be put at their times.

    A camera is open already; its frames have times.
    """
    if source.isdecimal():
        return _USUAL_RATE, True
    capture = open_video(source)
    stated = capture.get(cv2.CAP_PROP_FPS)
    capture.release()
    times = frame_times(Path(source))
    stated = stated if 0 < stated < _HIGHEST_RATE else _USUAL_RATE
    rate = min(constant_rate(times, stated), _HIGHEST_RATE)
    return rate, rate != stated


class AnnotatedVideos:
    """Writes the annotated frames of one video after the other; a context that completes the last one.

    Drawn videos have a constant rate; frames are repeated, or left out, so that each is shown at its own time.
    `sources` are all videos to draw. Raises FileError if two of them would have the same output, or one exists without
    `force`. One that cannot be drawn is a failure of the folder `drawn`, not of the run.
    """

    def __init__(self, drawn: DrawnFolder, force: bool, sources: Sequence[str]) -> None:
        self._drawn, self._folder = drawn, drawn.folder
        self._source = ""
        self._last: np.ndarray = np.empty(0)
        owner: dict[Path, str] = {}
        for source in sources:
            output = self._output(source)
            if Path(source).resolve() == output.resolve():
                raise FileError(f"{output}: is the video itself", "give --draw a folder of its own")
            if output in owner:
                raise FileError(f"{output}: would be drawn of both {owner[output]} and {source}", "rename one")
            owner[output] = source
            if self._folder.is_dir():
                check_output(str(output), force)
        self._writer: cv2.VideoWriter | None = None
        self._n_written = 0

    def draw(
        self, source: str, image: np.ndarray, faces: Mapping[int, np.ndarray], scheme: Scheme, time: float | None = None
    ) -> None:
        """Add a frame (H, W, 3) RGB with the points (L, 2) of its faces, shown at `time`, in seconds of its video.

        `faces` are by their number in the video, from 0, which is written beside all but the first one.
        """
        if self._drawn.failure:
            return
        if source != self._source or self._writer is None:
            self.close()
            self._source, self._writer = source, self._open(source, image.shape[1], image.shape[0])
            self._n_written, self._began = 0, 0.0 if time is None else time
        for number, points in faces.items():
            image = draw_landmarks(image, points, scheme)
            if number:
                number_face(image, points, number + 1)
        place = self._n_written if time is None or not self._keeps_time else round((time - self._began) * self._rate)
        while 0 < self._n_written < place:
            self._write(self._last)
        self._last = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        if place >= self._n_written:
            self._write(self._last)

    def _write(self, image: np.ndarray) -> None:
        if self._writer is not None:
            self._writer.write(image)
            self._n_written += 1

    def _output(self, source: str) -> Path:
        name = f"camera{source}" if source.isdecimal() else Path(source).name
        return self._folder / (name if name.endswith(_SUFFIX) else name + _SUFFIX)  # a.mov keeps apart from a.avi

    def _open(self, source: str, width: int, height: int) -> cv2.VideoWriter:
        self._part = self._drawn.path(self._output(source))
        self._rate, self._keeps_time = _rate_of(source)
        writer = cv2.VideoWriter(str(self._part), cv2.VideoWriter.fourcc(*"mp4v"), self._rate, (width, height))
        if not writer.isOpened():
            self._drawn.give_up(f"OpenCV cannot encode a video of {width} x {height} px")
        return writer

    def close(self) -> None:
        """Complete the current video. OpenCV does not say whether it could write, so its frames are counted."""
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        if self._drawn.failure:
            return
        capture = cv2.VideoCapture(str(self._part))
        n_frames = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        capture.release()
        if n_frames < self._n_written:
            self._drawn.give_up(f"{n_frames} of {self._n_written} frames could be written; is the device full?")

    def __enter__(self) -> AnnotatedVideos:
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        if kind is None:
            self.close()
        elif self._writer is not None:
            self._writer.release()
