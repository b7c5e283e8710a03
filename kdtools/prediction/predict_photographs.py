"""Prediction of the faces in photographs and videos."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from kdtools.errors import DataError, FileError, UsageError, some_of
from kdtools.images.detection import BoxesFile, ReducedSearch
from kdtools.parallel import in_background
from kdtools.prediction.batching import grouped, shard_range
from kdtools.prediction.inputs import Photograph, Photographs, kind_of
from kdtools.prediction.partial_output import Parts
from kdtools.prediction.photograph_work import PhotographWork, Search
from kdtools.prediction.pipeline import Run, collect, digest_inputs, drawn_folder, open_parts_of
from kdtools.prediction.unchanged import Stamp, content_of_photograph, listing_digest, stamp_of
from kdtools.reporting import counted

if TYPE_CHECKING:
    from kdtools.prediction.drawn_folder import DrawnFolder

_FRAMES = 4  # largest group of frames, which are all in memory


def predict_photographs(
    run: Run, photographs: Photographs, search: Search, *, draw: str | None = None, smooth: bool = False
) -> int:
    """Detect and predict the faces in photographs; returns their number. In videos faces are tracked.

    Raises DataError if none was found and each photograph was skipped, FileError if an interrupted run had other
    inputs, UsageError for drawing only a part of a video, or into an input, and for smoothing without a video.
    """
    size = run.group_size
    if draw is not None:
        from kdtools.prediction.drawn_folder import check_not_read  # its imports are needed for pictures only

        check_not_read(draw, photographs.paths)
    if photographs.have_frames:
        if draw is not None and (run.shard is not None or run.resume):
            raise UsageError("a video is drawn from its first frame to its last", "leave out --draw, or start over: -f")
        if run.resume:
            photographs.check_rereadable()
        size, run = min(size, _FRAMES), replace(run, jobs=1)
    elif smooth:
        raise UsageError("--smooth is for videos and cameras")
    if isinstance(search.detector, BoxesFile) and search.detector.reading:
        run.reporter.say(f"the list of boxes: {search.detector.reading}")
    first, stop, n_known = 0, None, 0
    if run.shard is not None:
        n_known = photographs.count()
        passed_over = photographs.passed_over if run.shard[0] == 0 else None  # of all files, told by the first shard
        first, stop = shard_range(run.shard, n_known, size)
    digests = digest_inputs(run, photographs.paths)
    with (
        drawn_folder(run, draw) as drawn,
        _work_for(run, photographs, search, drawn, smooth) as work,
        open_parts_of(run, first, photographs.paths) as parts,
    ):
        remaining = _remaining(parts, photographs, work)
        # Slow for millions of names, and from here on beside the work, which need not wait for it.
        listing = in_background(lambda: listing_digest(photographs))
        if drawn is not None:
            drawn.begin(parts.n_items - parts.first)
        run.report_taken_up(parts)
        rest = islice(remaining, None if stop is None else stop - parts.n_items)
        collect(run, parts, work, grouped(rest, parts.n_items, size))
        if run.shard is None:
            passed_over = photographs.passed_over
        if passed_over is not None:
            passed_over.report(run.reporter)
        detector = search.detector
        if isinstance(detector, ReducedSearch) and detector.remark:
            run.reporter.say(detector.remark)
        if isinstance(detector, BoxesFile) and detector.unused and not (first or stop or parts.skipped):
            run.reporter.warn(
                f"there are boxes of {counted(len(detector.unused), 'name')} that no image has: "
                f"{some_of(detector.unused)}"
            )
        if not (parts.n_items or n_known):
            raise FileError(f"{', '.join(photographs.inputs)}: no images in there")
        if not parts.n_faces and run.shard is None and not run.without_face.count:
            parts.remove()  # the run came to its end, so there is nothing to go on with
            if run.require_face:
                raise DataError(f"no face found in {counted(parts.n_items, 'image')}")
            skipped = counted(parts.n_items, "image was", "images were")
            hint = ""
            if photographs.are_one_image:
                hint = "one call for a whole folder skips what cannot be read, and writes the others"
            raise DataError(f"{skipped} skipped, and there are no others, so there are no points to write", hint)
        if run.without_face.count:
            count = f"{run.without_face.count} of {parts.n_items - parts.first} photographs"
            run.reporter.say(f"no face found in {count}: {run.without_face}")
        parts.finish(run.output, digests(), listing=listing(), may_be_empty=True)
        return parts.n_faces


@contextlib.contextmanager
def _work_for(
    run: Run, photographs: Photographs, search: Search, drawn: DrawnFolder | None, smooth: bool
) -> Iterator[PhotographWork]:
    """Yields the work on a group; videos that it draws are complete when the block ends without an error."""
    drawings = None
    if drawn is not None:
        from kdtools.prediction.drawings import AnnotatedVideos, Drawings  # its imports are needed for pictures only

        drawings = Drawings(drawn, run.force)
        if not run.resume:
            drawings.check_room(photographs)
    if not photographs.have_frames:
        yield PhotographWork(run.engine, search, drawings)
        return
    from kdtools.prediction.video_work import VideoWork

    if drawn is None:
        yield VideoWork(run.engine, search, None, None, smooth=smooth)
        return
    sources = [name for name in photographs.inputs if kind_of(name) in ("video", "camera")]
    with AnnotatedVideos(drawn, run.force, sources) as videos:
        yield VideoWork(run.engine, search, drawings, videos, smooth=smooth)


def _remaining(parts: Parts, photographs: Iterable[Photograph], work: PhotographWork) -> Iterator[Photograph]:
    """The photographs still to be done. Raises FileError if those before them have changed.

    In the middle of a video, `work` first tracks the faces up to there again, from the first frame on.
    """
    items = iter(photographs)
    last: Photograph | None = None

    def pass_over() -> Iterator[tuple[Stamp, Callable[[], bytes]]]:
        nonlocal last
        for number, last in enumerate(islice(items, parts.n_items)):
            if number >= parts.first:
                yield stamp_of(last), partial(content_of_photograph, last)

    passed = pass_over()
    if not parts.check_inputs(passed):
        return _remaining(parts, photographs, work)
    deque(passed, maxlen=0)
    if last is None or last.frame is None:
        return items
    items = islice(photographs, parts.n_items - 1 - last.frame, None)
    for frame in islice(items, last.frame + 1):
        work([frame])
    return items
