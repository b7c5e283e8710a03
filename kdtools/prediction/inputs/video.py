"""Frames of videos and cameras."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from kdtools.errors import FileError
from kdtools.images.video import check_readable, frames_in, open_video
from kdtools.prediction.inputs.photograph import Photograph, failing
from kdtools.storage.names import frame_id
from kdtools.storage.stamps import Stamp, changed_error, stamp_of

_STATES_COUNT = (".mp4", ".m4v", ".mov", ".avi")  # other formats state only a duration
_TAIL = 1.0  # s that may be missing at the end, as when sound goes on, but at most a tenth of the video
_FEW = 2  # frames that may be missing in any file
_MOST_FRAMES = 1 << 40  # FFmpeg reports absurd numbers if the count is unknown


def frames_of(source: str, prefix: str = "") -> Iterator[Photograph]:
    """The frames of a video file or of a camera, given by its number, in order; the id of the 13th ends in
    `#frame=000012`.

    A video that cannot be opened or has no frame yields a photograph that cannot be read, and so does one with fewer
    frames than it states, after its last frame. `time` is stated by the file, or the time since the first frame of a
    camera.
    """
    is_camera = source.isdecimal()
    name = f"camera{source}" if is_camera else f"{prefix}{Path(source).name}"
    stamp = None if is_camera else _stamp_of(source)
    capture = open_video(source)
    try:
        frame, time = 0, 0.0
        for image, time in frames_in(capture):
            if _is_written_to(source, stamp):
                yield Photograph(name, source, failing(changed_error(source)))
                return
            yield Photograph(frame_id(name, frame), source, partial(np.asarray, image), frame, time)
            frame += 1
        if not is_camera:
            try:
                check_readable(capture, source, frame)
            except FileError as fault:
                yield Photograph(name, source, failing(fault))
                return
        if not frame:
            error = FileError("there is no such camera" if is_camera else "not a video that can be decoded")
            yield Photograph(name, source, failing(error))
        elif not is_camera and (n_stated := _stated(capture, source, frame, time)):
            error = FileError(f"damaged or cut off: only {frame} of its {n_stated} frames can be decoded")
            yield Photograph(name, source, failing(error))
    finally:
        capture.release()


def _stamp_of(source: str) -> Stamp | None:
    try:
        return stamp_of(os.stat(source))
    except OSError:
        return None


def _is_written_to(source: str, stamp: Stamp | None) -> bool:
    """Whether the file is the same but has other contents. One that has been replaced is open still, as it was."""
    now = None if stamp is None else _stamp_of(source)
    return now is not None and stamp is not None and now != stamp and now[:2] == stamp[:2]


def _stated(capture: cv2.VideoCapture, source: str, n_frames: int, last_time: float) -> int:
    """The number of frames that the file states if it had clearly fewer, else 0."""
    n_stated, rate = capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)
    if not (0 < n_stated < _MOST_FRAMES and rate > 0):
        return 0
    if not source.lower().endswith(_STATES_COUNT):
        n_frames = max(n_frames, round(last_time * rate) + 1)
    return int(n_stated) if n_stated - n_frames > max(_FEW, min(_TAIL * rate, n_stated / 10)) else 0
