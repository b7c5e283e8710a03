"""Videos with landmarks over their frames, each written aside and renamed when it is whole."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from kdtools.errors import FileError
from kdtools.images.drawing import draw_landmarks
from kdtools.landmarks import Scheme
from kdtools.storage.outputs import check_output, written_aside

_USUAL_RATE = 30.0  # frames per second, of a source that does not say


class AnnotatedVideos:
    """Takes the frames of one video after the other; a context that ends with the last one in its place.

    `sources` are all videos that will be drawn. Raises FileError where two of them would be drawn into one file, and
    for files that are there without `force`: now, not when the first videos are done.
    """

    def __init__(self, folder: str, force: bool, sources: Sequence[str]) -> None:
        self._folder, self._force = Path(folder), force
        self._source = ""
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
        self._stack = contextlib.ExitStack()

    def draw(self, source: str, image: np.ndarray, faces: Sequence[np.ndarray], scheme: Scheme) -> None:
        """Add a frame (H, W, 3) RGB with its faces' points (L, 2).

        Raises FileError where the video cannot be encoded.
        """
        if source != self._source or self._writer is None:
            self.close()
            self._source, self._writer = source, self._open(source, image.shape[1], image.shape[0])
        for points in faces:
            image = draw_landmarks(image, points, scheme)
        self._writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))

    def _output(self, source: str) -> Path:
        name = f"camera{source}" if source.isdecimal() else Path(source).stem
        return self._folder / f"{name}.mp4"

    def _open(self, source: str, width: int, height: int) -> cv2.VideoWriter:
        self._folder.mkdir(parents=True, exist_ok=True)
        output = self._output(source)
        part = self._stack.enter_context(written_aside(str(output), self._force))
        capture = cv2.VideoCapture() if source.isdecimal() else cv2.VideoCapture(source)
        rate = capture.get(cv2.CAP_PROP_FPS)
        capture.release()
        writer = cv2.VideoWriter(
            str(part), cv2.VideoWriter.fourcc(*"mp4v"), rate if 0 < rate < 1000 else _USUAL_RATE, (width, height)
        )
        self._stack.callback(writer.release)  # before it is renamed
        if not writer.isOpened():
            raise FileError(f"{output}: OpenCV cannot encode a video of {width} x {height} px")
        return writer

    def close(self) -> None:
        """Put the video that is being written in its place."""
        self._writer = None
        self._stack.close()

    def __enter__(self) -> AnnotatedVideos:
        return self

    def __exit__(self, *error: Any) -> None:
        """Also puts the last one in its place, or removes it after an error."""
        self._stack.__exit__(*error)
