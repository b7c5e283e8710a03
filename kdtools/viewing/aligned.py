"""Face crops in which eyes, nose and mouth are always in the same place, from the file's images or the photographs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kdtools.errors import DataError, FileError, KdError, reason_of
from kdtools.faces.file import FacesFile
from kdtools.images.cropping import warp_square
from kdtools.images.drawing import write_image_at
from kdtools.landmarks.alignment import aligned_to_source, five_point_weights, five_points
from kdtools.reporting import SILENT, Reporter
from kdtools.storage.stamps import note_input
from kdtools.viewing.sources import check_sources_apart, source_images, source_path

_BLOCK = 1024  # faces whose points are in memory


@dataclass(frozen=True)
class AlignedCrops:
    """Crops of `size` px of the `rows` of a faces file, by the `names` of their files.

    They are cut out of the file's images, unless it has none or `from_sources`: then out of the source images, which
    are below `folders`, or where their names say.
    """

    faces: FacesFile
    rows: Sequence[int]
    names: Sequence[str]
    size: int
    from_sources: bool = False
    folders: Sequence[str] = ()
    reporter: Reporter = field(default=SILENT)

    def write(self, folder: Path, place: str) -> None:
        """Write them as PNG files into `folder`, which becomes `place`.

        A face of which one of the five points is missing, or whose image cannot be read, is skipped. Raises DataError
        where the scheme does not name the five points or no face can be aligned, FileError where a file would replace a
        source image.
        """
        faces = self.faces
        faces.require("landmarks")
        in_images = faces.has_images and not self.from_sources
        if not in_images:
            faces.require("source")
            self._check_sources(Path(place))
        maps = self._maps("image" if in_images else "source")
        n_done = 0
        with self.reporter.progress("aligning", len(self.rows)) as progress:
            for done, (k, load) in enumerate(self._images(in_images), start=1):
                try:
                    crop = warp_square(load(), maps[k], self.size)
                except (KdError, OSError, MemoryError) as error:
                    self.reporter.skip(faces.ids[self.rows[k]], reason_of(error))
                    continue
                write_image_at(folder / self.names[k], crop)
                n_done += 1
                progress(done)
        if not n_done:
            hint = "" if in_images else "--images DIR says where the source images lie"
            raise DataError(f"{faces.name}: no face could be aligned", hint)

    def _images(self, in_images: bool) -> Iterator[tuple[int, Callable[[], np.ndarray]]]:
        """Positions in `rows`, each with what reads its image."""
        if in_images:
            images = self.faces.images
            for k, row in enumerate(self.rows):
                yield k, lambda row=row: np.asarray(images[row])  # type: ignore[misc]
            return
        position = {row: k for k, row in enumerate(self.rows)}
        for row, load in source_images(self.faces, self.rows, self.folders):
            yield position[row], load

    def _maps(self, frame: str) -> np.ndarray:
        """From each crop to the image that its face is in (n, 2, 3); NaN where points are missing."""
        weights = five_point_weights(self.faces.scheme)
        maps = np.full((len(self.faces), 2, 3), np.nan)
        for first in range(0, len(self.faces), _BLOCK):
            run = slice(first, first + _BLOCK)
            stored = self.faces.read("landmarks", run.start, run.stop)
            points = self.faces.to_frame(stored, "image" if frame == "image" else "source", run)
            maps[run] = aligned_to_source(five_points(points, weights), self.size)
        return maps[list(self.rows)]

    def _check_sources(self, place: Path) -> None:
        """Note the source images as inputs. Raises FileError where a crop would be one of them."""
        sources = self.faces.texts("source")
        chosen = [sources[row] for row in self.rows]
        check_sources_apart(chosen, self.folders)
        paths = {source_path(name, self.folders) for name in chosen}
        for path in paths:
            note_input(str(path))
        originals = {path.resolve() for path in paths}
        for name in self.names:
            if (place / name).resolve() in originals:
                raise FileError(f"{place / name}: is one of the source images", "give a folder of its own")
