"""Frames of videos and cameras, by OpenCV."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from kdtools.errors import FileError
from kdtools.sources.photograph import Photograph, failing

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".wmv", ".flv")


def frames_of(source: str, prefix: str = "") -> Iterator[Photograph]:
    """The frames of a video file, or of the camera of that number, in order; `NAME#frame=000012` is the 13th.

    A video that cannot be opened, or has no frame, is a photograph that cannot be read. A frame's `time` is the one
    that the file states; a camera's is the time since its first frame.
    """
    is_camera = source.isdecimal()
    name = f"camera{source}" if is_camera else f"{prefix}{Path(source).name}"
    capture = cv2.VideoCapture(int(source)) if is_camera else cv2.VideoCapture(source)
    try:
        frame = 0
        for image, time in _read_all(capture):
            identity = f"{name}#frame={frame:06d}"
            yield Photograph(identity, source, partial(np.asarray, image), frame, time)
            frame += 1
        if not frame:
            error = FileError("there is no such camera" if is_camera else "not a video that can be decoded")
            yield Photograph(name, source, failing(error))
    finally:
        capture.release()


def _read_all(capture: cv2.VideoCapture) -> Iterator[tuple[np.ndarray, float]]:
    """Images (H, W, 3) RGB and their times in seconds."""
    while capture.isOpened():
        there, image = capture.read()
        if not there:
            return
        yield cv2.cvtColor(image, cv2.COLOR_BGR2RGB), capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
