"""Frames of videos and cameras, by OpenCV."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from kdtools.errors import FileError, reason_of
from kdtools.storage.devices import read_fault

# What is wrong with a video is said by us, in one line. Asked for when FFmpeg is first used; -8 is AV_LOG_QUIET.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

# A video is one file. FFmpeg would also take a playlist called .mp4 (ffconcat, m3u8, sdp), and open what it names.
_CONTAINERS = (
    *(
        "mov",
        "mp4",
        "matroska",
        "webm",
        "avi",
        "mpeg",
        "mpegts",
        "mpegvideo",
        "asf",
        "flv",
        "ogg",
        "gif",
        "m4v",
        "h264",
    ),
    *("hevc", "mjpeg", "ivf", "dv", "mxf", "nut", "rm", "yuv4mpegpipe"),
)
_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
_OWN_OPTIONS = f"protocol_whitelist;file|format_whitelist;{','.join(_CONTAINERS)}"
if _OWN_OPTIONS not in os.environ.get(_OPTIONS, ""):
    os.environ[_OPTIONS] = "|".join(filter(None, (os.environ.get(_OPTIONS, ""), _OWN_OPTIONS)))


def open_video(source: str) -> cv2.VideoCapture:
    """The video file, or the camera of that number; what is none gives no frames.

    FFmpeg would take a name like `12:30.mp4` for a URL, which an absolute path never is.
    """
    return cv2.VideoCapture(int(source)) if source.isdecimal() else cv2.VideoCapture(os.path.abspath(source))


def frames_in(capture: cv2.VideoCapture) -> Iterator[tuple[np.ndarray, float]]:
    """Images (H, W, 3) RGB from where the capture stands, and their times in seconds."""
    while capture.isOpened():
        there, image = capture.read()
        if not there:
            return
        yield cv2.cvtColor(image, cv2.COLOR_BGR2RGB), capture.get(cv2.CAP_PROP_POS_MSEC) / 1000


def check_readable(capture: cv2.VideoCapture, path: str | Path, n_frames: int) -> None:
    """Raises FileError if the disk does not give all of a file, of which `n_frames` frames were decoded.

    FFmpeg takes such a fault for the end of the video. The file is read once more, unless it gave all that it states.
    """
    if 0 < capture.get(cv2.CAP_PROP_FRAME_COUNT) <= n_frames:
        return
    try:
        if stat.S_ISREG(os.stat(path).st_mode):
            with open(path, "rb", buffering=0) as stream:
                while stream.read(_BLOCK):
                    pass
    except FileNotFoundError:
        return
    except OSError as error:
        raise read_fault(str(path), error) or FileError(f"{path}: {reason_of(error)}") from error


def stated_frames(path: Path) -> int:
    """Number of frames that a video's header states; 0 where it states none. Some headers are off by a few frames.

    Raises FileError where the disk does not give the file.
    """
    capture = open_video(os.path.abspath(path))
    try:
        n_frames = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        if not n_frames:
            check_readable(capture, path, 0)
        return n_frames
    finally:
        capture.release()


def frame_times(path: Path) -> np.ndarray:
    """Seconds (N,) of all frames of a video file, which are decoded for it. Raises FileError where the disk fails."""
    capture, times = open_video(str(path)), []
    try:
        while capture.grab():
            times.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
        check_readable(capture, path, len(times))
    finally:
        capture.release()
    return np.array(times, np.float64)


_BLOCK = 1 << 20  # bytes that are read at once
_SLOTS = 30  # of a constant rate for each frame of variable rate, at most


def constant_rate(times: np.ndarray, stated: float) -> float:
    """Frames per second at which frames of these times (N,) can be shown, each within half a frame of its time.

    This is the `stated` rate if their times are in step with it, or if they state none. Else it is that of the shortest
    intervals, unless that would take a great many frames.
    """
    times = times - times[:1]
    intervals = np.diff(times)
    intervals = intervals[intervals > 0]
    if not len(intervals) or np.abs(times * stated - np.arange(len(times))).max() <= 0.5:
        return stated
    return float(min(1 / np.percentile(intervals, 10), _SLOTS * len(times) / intervals.sum()))


class FrameReader:
    """Frames of a video file by their number from 0 on; in rising order each frame is decoded once.

    All frames are decoded in order, because seeking is exact in few files only. Nothing but the last frame is kept.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._capture: cv2.VideoCapture | None = None
        self._next = 0
        self._image: np.ndarray | None = None

    def read(self, frame: int) -> np.ndarray:
        """Image (H, W, 3) RGB. Raises FileError where there is no such frame."""
        if self._image is not None and frame == self._next - 1:
            return self._image
        if self._capture is None or frame < self._next:
            self.close()
            self._capture = cv2.VideoCapture(os.path.abspath(self.path))  # a plain number would be a camera
        capture = self._capture
        while self._next < frame and capture.grab():
            self._next += 1
        there, image = capture.read() if self._next == frame else (False, None)
        if not there or image is None:
            n_frames = self._next
            try:
                check_readable(capture, self.path, n_frames)
            finally:
                self.close()
            if not n_frames:
                raise FileError(f"{self.path}: not a video that can be decoded")
            raise FileError(f"{self.path}: has only {n_frames} frames that can be decoded; there is no frame {frame}")
        self._next += 1
        self._image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        return self._image

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
        self._capture, self._next, self._image = None, 0, None
