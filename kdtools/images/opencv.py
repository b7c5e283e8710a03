"""OpenCV's settings (one thread, no messages), applied on import; and its errors as DataError."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import cv2

from kdtools.errors import DataError

# One image is one task of a pool; OpenCV's own threads would fight with the pool for the cores.
cv2.setNumThreads(1)
# Errors are reported by kdtools, with the name of the file; OpenCV would report them again.
_set_log_level = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel  # the older name and the newer
_set_log_level(0)


@contextlib.contextmanager
def opencv_errors(what: str) -> Iterator[None]:
    """Turns OpenCV's errors into a DataError of one line that starts with `what`."""
    try:
        yield
    except cv2.error as error:
        raise DataError(f"{what}: {getattr(error, 'err', '') or ' '.join(str(error).split())}") from error
