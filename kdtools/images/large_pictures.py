"""Large pictures are worked on by one thread at a time, so that memory does not grow with the number of workers."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Iterator

_LARGE = 3 * 2**26  # bytes, decoded: 67 megapixels, more than nearly all cameras take
# First bytes of the formats beside PNG and JPEG that both OpenCV and Pillow read; before a box, its length.
_STARTS = (b"GIF8", b"RIFF", b"II*\0", b"MM\0*", b"BM", b"P", b"\x59\xa6\x6a\x95", b"\xff\x4f\xff\x51")
_BOXES = (b"ftyp", b"jP  ")
_turn = threading.RLock()
_spans = threading.local()


@contextlib.contextmanager
def large_pictures_in_turn() -> Iterator[None]:
    """Spans a thread's work on some pictures, until it has dropped them.

    From the first large one that it decodes to the end of the span, other threads wait with theirs. Work within it must
    not wait for that of another thread, but for what decodes no picture.
    """
    with contextlib.ExitStack() as stack:
        _spans.stack = stack
        try:
            yield
        finally:
            _spans.stack = None


def wait_for_turn(n_bytes: int | None) -> None:
    """Called before a picture is decoded to `n_bytes`, None if that is not known; waits if it is large.

    Does nothing outside `large_pictures_in_turn`.
    """
    stack: contextlib.ExitStack | None = getattr(_spans, "stack", None)
    if stack is not None and (n_bytes is None or n_bytes > _LARGE):
        stack.enter_context(_turn)


def stated_pixels(data: bytes) -> int | None:
    """Number of pixels by the header of an image file that is no JPEG; None where it is not known, or absurd."""
    if data.startswith(b"\x89PNG") and len(data) >= 24:
        return int.from_bytes(data[16:20], "big") * int.from_bytes(data[20:24], "big")
    if not data.startswith(_STARTS) and data[4:8] not in _BOXES:
        return None  # without Pillow, which would load all its decoders
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.width * image.height
    except Exception:  # damaged headers raise errors of all kinds; decoding says what is wrong
        return None
