"""Annotations of frames of videos, with their pixels: decoded in order, a video at a time, in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from kdtools.datasets.formats import Annotation
from kdtools.errors import KdError
from kdtools.images.video import FrameReader


def with_frames(annotations: Iterable[Annotation]) -> Iterator[Annotation]:
    """The same annotations; those of a video's frame come with its pixels, held until the annotation is dropped.

    Where frames come in rising order, each video is decoded once. `load` raises FileError for a frame that is absent.
    """
    video: FrameReader | None = None
    try:
        for one in annotations:
            if one.frame is None or one.load is not None:
                yield one
                continue
            if video is None or video.path != one.image:
                if video is not None:
                    video.close()
                video = FrameReader(one.image)
            yield replace(one, load=_loader(video, one.frame))
    finally:
        if video is not None:
            video.close()


def _loader(video: FrameReader, frame: int) -> Callable[[], np.ndarray]:
    try:
        return partial(np.asarray, video.read(frame))
    except KdError as error:
        return partial(_fail, error)


def _fail(error: KdError) -> np.ndarray:
    raise error
