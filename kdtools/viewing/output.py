"""Picture files: one sheet, or a folder with one picture per face."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from kdtools.errors import DataError, FileError, UsageError
from kdtools.reporting import SILENT, Reporter
from kdtools.storage.outputs import Outputs, check_output, written_aside
from kdtools.viewing.gallery import Gallery, read_shown
from kdtools.viewing.lettering import legend_texts
from kdtools.viewing.overlay import Style
from kdtools.viewing.sheet import check_room, compose_sheet, make_cell
from kdtools.viewing.sources import source_path

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}


def check_picture(output: str, force: bool) -> None:
    """Raises as `check_output` does, and UsageError for a name without a picture's suffix."""
    check_output(output, force)
    if output != "-" and Path(output).suffix.lower() not in FORMATS:
        hint = "give a name that ends in .png or .jpg; or one that ends in /, for one picture per face in that folder"
        raise UsageError(f"{output}: not a kind of picture", hint)


def write_sheet(
    gallery: Gallery, rows: np.ndarray, style: Style, output: str, force: bool, reporter: Reporter = SILENT
) -> int:
    """Write the faces of these rows as one picture; returns their number.

    Raises DataError if no face can be drawn or the sheet would be too large.
    """
    check_room(len(rows), style)
    cells = []
    with reporter.progress("drawing", len(rows)) as progress:
        for face in read_shown(gallery, rows, style.size, reporter):
            cells.append(make_cell(face, gallery.scheme, style))
            progress(len(cells))
    if not cells:
        raise _nothing_drawn(gallery)
    with written_aside(output, force) as path:
        path.write_bytes(picture_bytes(compose_sheet(cells, legend_texts(gallery), style), Path(output).suffix))
    return len(cells)


def write_each(
    gallery: Gallery, rows: np.ndarray, style: Style, output: str, force: bool, reporter: Reporter = SILENT
) -> int:
    """Write each face of these rows as a picture into a folder, all or none; returns their number.

    Raises, before anything is written, as `claim_pictures` does, and DataError if no face can be drawn.
    """
    ids = gallery.faces.ids
    sources = gallery.faces.texts("source") if "source" in gallery.faces else []
    places = (source_path(source, gallery.folders) for source in sources)
    claim_pictures([ids[row] for row in rows], Path(output), places, force)
    n_done = 0
    with Outputs(force) as outputs, reporter.progress("drawing", len(rows)) as progress:
        folder = outputs.folder(output, may_hold_others=True)
        for face in read_shown(gallery, rows, style.size, reporter):
            path = place_picture(face.id, folder)
            path.parent.mkdir(parents=True, exist_ok=True)
            picture = compose_sheet([make_cell(face, gallery.scheme, style)], legend_texts(gallery), style)
            path.write_bytes(picture_bytes(picture, path.suffix))
            n_done += 1
            progress(n_done)
        if not n_done:
            raise _nothing_drawn(gallery)
    return n_done


def _nothing_drawn(gallery: Gallery) -> DataError:
    hint = "" if gallery.faces.has_images else "--images DIR says where the source images lie"
    return DataError(f"{gallery.faces.name}: no face could be drawn", hint)


def claim_pictures(ids: Sequence[str], folder: Path, sources: Iterable[Path], force: bool) -> dict[str, Path]:
    """As `plan_pictures`. Raises FileError for a picture that exists, without `force`, or is one of the `sources`."""
    planned = plan_pictures(ids, folder)
    originals = {source.resolve() for source in sources}
    for path in planned.values():
        if path.resolve() in originals:
            raise FileError(f"{path}: is one of the source images", "give a folder of its own")
        if path.exists() and not force:
            raise FileError(f"{path}: exists already", "add -f to replace it, or give another folder")
    return planned


def place_picture(identity: str, folder: Path) -> Path:
    """A picture's path in the folder for an id, without parts of the id that would lead out of it.

    Control characters become `_`, as they may be invalid in names or disturb a terminal.
    """
    printable = "".join("_" if unicodedata.category(letter) == "Cc" else letter for letter in identity)
    parts = [part for part in PurePosixPath(printable).parts if part not in ("/", "//", "..")] or ["face"]
    path = folder.joinpath(*parts)
    return path if path.suffix.lower() in FORMATS else path.with_name(path.name + ".png")


def plan_pictures(ids: Sequence[str], folder: Path) -> dict[str, Path]:
    """The path of `place_picture` for each id.

    Raises DataError if two ids have the same path, or if one path would be a folder of another.
    """
    planned = {identity: place_picture(identity, folder) for identity in ids}
    of_path = {path: identity for identity, path in planned.items()}
    for identity, path in planned.items():
        other = next(
            (of_path[place] for place in (path, *path.parents) if of_path.get(place, identity) != identity), None
        )
        if other is not None:
            hint = "show them with --ids one after the other, or as a sheet"
            raise DataError(f"the pictures of {other!r} and {identity!r} would have one name: {path}", hint)
    return planned


def picture_bytes(picture: np.ndarray, suffix: str = ".png", *, small: bool = False) -> bytes:
    """A picture (H, W, 3) uint8 RGB encoded by suffix: .jpg or .jpeg, or PNG for any other.

    `small` compresses a PNG better, in more time. JPEG colours are not subsampled.
    """
    data = io.BytesIO()
    kind = FORMATS.get(suffix.lower(), "PNG")
    Image.fromarray(picture).save(data, kind, optimize=small, quality=92, subsampling=0)
    return data.getvalue()
