"""A folder of images, or one image, without annotation: each image is taken for one face."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kdtools.datasets.formats.shared.annotation import Annotation, Reading, images_below
from kdtools.datasets.formats.shared.format import Format
from kdtools.reporting import SILENT
from kdtools.storage.file_kinds import IMAGE_SUFFIXES
from kdtools.storage.passed_over import PassedOver


def accepts(source: Path) -> bool:
    if source.is_dir():
        return any(True for _ in images_below(source))
    return source.suffix.lower() in IMAGE_SUFFIXES


def read(source: Path, reading: Reading | None = None) -> Iterator[Annotation]:
    """Annotations without points; `reading` is told what is passed over, and acts on nothing else."""
    if source.is_dir():
        passed = PassedOver()
        for image in images_below(source, passed):
            yield Annotation(image.relative_to(source).as_posix(), image)
        passed.report(SILENT if reading is None else reading.reporter)
    else:
        yield Annotation(source.name, source)


FORMAT = Format("images", "images without annotation", 0, accepts, read)
