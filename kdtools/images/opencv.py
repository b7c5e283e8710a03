"""OpenCV, set up when this is imported: one thread, and no messages of its own; and its errors as ours."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import cv2

from kdtools.errors import DataError

# One image is one task of a pool; OpenCV's own threads would fight with the pool for the cores.
cv2.setNumThreads(1)
# What goes wrong is said by us, in a line that names the file; OpenCV would say it again in its own way.
_set_log_level = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel  # the older name and the newer
_set_log_level(0)


@contextlib.contextmanager
def opencv_errors(what: str) -> Iterator[None]:
    """OpenCV's errors become a DataError in one line that starts with `what`, so that callers need not know OpenCV."""
    try:
        yield
    except cv2.error as error:
        raise DataError(f"{what}: {getattr(error, 'err', '') or ' '.join(str(error).split())}") from error
