"""What a data-set format is to kd-import and kd-dump."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from kdtools.datasets.formats.shared.annotation import Annotation, Blocks, FaceBlock, Reading
from kdtools.landmarks import Scheme


@dataclass(frozen=True)
class Format:
    """`base` is the coordinate of the first pixel's centre in the format's own files; readers subtract it.

    `accepts(source)` looks at a file or folder that exists and says whether it is of this format, as narrowly as it
    can; `read(source, reading)` yields its annotations in a fixed order. `write(blocks, scheme, stream)` writes faces
    as one file; `write_face(block, k)` gives the bytes of a file for face k of a block, for a format of one file a
    face; `write_picture(name, faces, scheme)` those of a file for all faces of a picture. Names end in `suffix`.
    Writers add `base` themselves. `find_base(source)` takes the place of `base` where one layout carries data sets that
    count differently; `names_of(source)` gives the points' names, where files tell them, and
    `mirror_of(source)` the point that each becomes in a mirrored image.
    `names_of_category(source, names)` takes the place of `names_of` in formats whose files may hold points of several
    things; their readers heed `Reading.categories`.
    `accepts_named(source)` says what the format reads where the user names it, if that is more than what it knows.
    `scheme` is the one that all its points have, where a program knows no other; `predicted` says that programs alone
    write it, and `cleans_names` that its reader takes names of images for paths, which only clean ones outlive.
    `box` is for formats whose readers take any box for one of the annotation, so that no other is written: what stands
    in the place of another, `none` or that around the `points`.
    """

    name: str
    what: str
    base: float
    accepts: Callable[[Path], bool]
    read: Callable[[Path, Reading], Iterator[Annotation]]
    write: Callable[[Blocks, Scheme, BinaryIO], None] | None = None
    write_face: Callable[[FaceBlock, int], bytes] | None = None
    write_picture: Callable[[str, Sequence[tuple[FaceBlock, int]], Scheme], bytes] | None = None
    suffix: str = ""
    find_base: Callable[[Path], float] | None = None
    names_of: Callable[[Path], list[str] | None] | None = None
    accepts_named: Callable[[Path], bool] | None = None
    mirror_of: Callable[[Path], tuple[int, ...] | None] | None = None
    scheme: str = ""
    predicted: bool = False
    cleans_names: bool = False
    box: Literal["", "none", "points"] = ""
    names_of_category: Callable[[Path, tuple[str, ...]], list[str] | None] | None = None

    @property
    def is_written(self) -> bool:
        return bool(self.write or self.write_face or self.write_picture)

    @property
    def in_folder(self) -> bool:
        """Whether it is written as a folder of files."""
        return bool(self.write_face or self.write_picture)

    def point_names(self, source: Path, categories: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Names of the points of a source, of these categories; empty where it has none."""
        if self.names_of_category is not None:
            return tuple(self.names_of_category(source, categories) or ())
        return tuple((self.names_of and self.names_of(source)) or ())

    def base_of(self, source: Path) -> float:
        """Coordinate of the first pixel's centre in a source of this format."""
        return self.base if self.find_base is None else self.find_base(source)
