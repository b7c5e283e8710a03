"""A selection of faces as a text or a folder of texts, and its crops as pictures; whole or not at all."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path, PurePosixPath
from typing import Any

from kdtools.datasets.dump_blocks import Selection
from kdtools.datasets.formats import FORMATS, Format, csv_points
from kdtools.datasets.formats.shared.annotation import FaceBlock, clean_name
from kdtools.datasets.formats.shared.tables import picture_of
from kdtools.errors import DataError, UsageError, require
from kdtools.images.head_pose import check_pose
from kdtools.storage.file_kinds import IMAGE_SUFFIXES, check_text_name
from kdtools.storage.outputs import STANDARD_STREAM, Outputs, standard_output

_DELIMITERS = {"csv": ",", "tsv": "\t"}


def form_named(name: str | None, output: str) -> Format:
    """The format of that name; without one, that of the output's suffix, or csv. (.txt means none of them.)

    Raises UsageError for a format that is unknown or only read, and for a suffix that promises another format.
    """
    forms = {form.name: form for form in FORMATS.values() if form.is_written}
    suffix = PurePosixPath(output).suffix.lower()
    of_suffix = [form.name for form in forms.values() if form.suffix == suffix and suffix not in ("", ".txt")]
    if name is None:
        name = of_suffix[0] if of_suffix else "csv"
    if name not in forms:
        raise UsageError(f"there is no format {name!r} to write", f"give one of {', '.join(forms)}")
    if not forms[name].in_folder and name not in of_suffix:
        check_text_name(output, name, forms[name].suffix)
    return forms[name]


def write_dump(
    selection: Selection,
    form: Format,
    output: str,
    force: bool,
    *,
    images: str | None = None,
    header: bool = True,
    details: bool = False,
    folders: Mapping[str, Callable[[Path], None]] | None = None,
) -> None:
    """Write the chosen faces to `output`, whole or not at all, and with `images` their crops to that folder.

    Further `folders`, by name, are filled by the functions they lead to, each with the path to write to, and appear
    together with the rest.

    A text goes to standard output for `-`, as it comes. Of a table, `header` is the line of names, and `details` are
    the columns of box, score and confidence. Raises UsageError for a combination that makes no sense.
    """
    selection.faces.require("landmarks")
    is_table = form.name in _DELIMITERS
    require(header or is_table, f"--no-header: {form.name} has no header", "it is for csv and tsv")
    require(not details or is_table, f"--details: {form.name} has no such columns", "it is for csv and tsv")
    if selection.with_pose:
        has_angles = is_table or form.name == "jsonl"
        require(has_angles, f"--head-pose: {form.name} has no such columns", "it is for csv, tsv and jsonl")
        check_pose(selection.faces.scheme)
    if form.in_folder:
        _write_folder(selection, form, output, force, images, folders or {})
        return
    if images is not None:
        selection = replace(selection, picture=_crop_below(images, output))
        require(header, "--no-header hides which column is the picture", "leave one of them out")
    elif form.cleans_names:
        selection = replace(selection, picture=_clean_picture)
    pose = selection.with_pose
    write = text_writer(form, header=header, images=images is not None, details=details, pose=pose)
    with Outputs(force) as together:
        path = None if output == STANDARD_STREAM else together.file(output, binary=False)
        if images is not None:
            write_crops(selection, together.folder(images))
        for name, fill in (folders or {}).items():
            fill(together.folder(name))
        with path.open("wb") if path else standard_output() as stream:
            write(selection.blocks, selection.faces.scheme, stream)


def text_writer(
    form: Format, *, header: bool = True, images: bool = False, details: bool = False, pose: bool = False
) -> Any:
    """The function that writes blocks of faces as this text; the options are those of csv and tsv."""
    if form.name not in _DELIMITERS:
        return form.write
    delimiter = _DELIMITERS[form.name]
    return partial(csv_points.write, delimiter=delimiter, header=header, images=images, details=details, pose=pose)


def _write_folder(
    selection: Selection,
    form: Format,
    output: str,
    force: bool,
    images: str | None,
    folders: Mapping[str, Callable[[Path], None]],
) -> None:
    per = "face" if form.write_face else "picture"
    require(output != STANDARD_STREAM, f"{form.name} is a file for each {per}", "name a folder for them with -o")
    require(
        images is None or Path(images).resolve() == Path(output).resolve(),
        f"a {form.suffix} file belongs next to its image",
        "give -o and --crops the same folder",
    )
    with Outputs(force) as together:
        folder = together.folder(output)
        if images is not None:
            write_crops(selection, folder)
            selection = replace(selection, picture=crop_name)
        for name, fill in folders.items():
            fill(together.folder(name))
        if form.write_picture is not None:
            _write_picture_files(selection, form, folder)
        else:
            _write_point_files(selection, form, folder, beside_crops=images is not None)


def _clean_picture(id: str) -> str:
    """Name of a face's picture. Raises DataError for one that readers would make another of."""
    picture = picture_of(id)
    clean = clean_name(picture)
    if clean != picture:
        hint = "write jsonl or csv, which hold any id, or leave the face out with --ids"
        raise DataError(f"{id!r}: this format's readers would take its picture for {clean!r}", hint)
    return picture


def _crop_below(images: str, output: str) -> Callable[[str], str]:
    """Id -> path of the crop as the output should name it, from its own folder."""
    base = Path.cwd() if output == STANDARD_STREAM else Path(output).resolve().parent
    way = os.path.relpath(Path(images).resolve(), base)
    prefix = "" if way == "." else f"{way}/"
    return lambda id: prefix + crop_name(id)


def _write_picture_files(selection: Selection, form: Format, folder: Path) -> None:
    """A file for each picture, named like it. All faces are held, since those of a picture need not stand together."""
    faces: dict[str, list[tuple[FaceBlock, int]]] = {}
    for block in selection.blocks():
        for k, name in enumerate(block.images):
            faces.setdefault(name, []).append((block, k))
    files = [point_file_name(name, form.suffix) for name in faces]
    unique_names(list(faces), files)
    for file, (name, found) in zip(files, faces.items(), strict=True):
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(form.write_picture(name, found, selection.faces.scheme) if form.write_picture else b"")


def sizes_in(folders: Sequence[str]) -> Callable[[str], tuple[int, int]]:
    """A function from the name of a picture below one of `folders` to its width and height. It raises FileError."""
    from kdtools.datasets.formats.shared.annotation import size_of_picture

    @cache
    def size_of(name: str) -> tuple[int, int]:
        paths = [Path(folder) / name for folder in folders]
        height, width = size_of_picture(next((path for path in paths if path.is_file()), paths[0]))
        return width, height

    return size_of


def write_crops(selection: Selection, folder: Path) -> None:
    """The crops as PNG files in `folder`, named by `crop_name`."""
    from kdtools.images.drawing import write_image_at  # which loads OpenCV, and texts need none

    selection.faces.require("image")
    names, images = iter(crop_names(selection)), selection.faces.images
    for run, wanted in selection.slices():
        for image in images[run][wanted]:
            write_image_at(folder / next(names), image)


def crop_names(selection: Selection) -> list[str]:
    """The names of the files for the faces' crops. Raises DataError as `crop_name` and `unique_names` do."""
    ids = list(selection.ids())
    names = [crop_name(id) for id in ids]
    unique_names(ids, names)
    return names


def _write_point_files(selection: Selection, form: Format, folder: Path, beside_crops: bool) -> None:
    def name_of(id: str) -> str:
        return crop_name(id).removesuffix(".png") + form.suffix if beside_crops else point_file_name(id, form.suffix)

    ids = list(selection.ids())
    unique_names(ids, list(map(name_of, ids)))
    for block in selection.blocks():
        for k, id in enumerate(block.ids):
            path = folder / name_of(id)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(form.write_face(block, k) if form.write_face else b"")


def crop_name(id: str) -> str:
    """Name of the file for a face's crop: its id, with .png added where it does not end so.

    Raises DataError for an id that cannot be the name of a file below a folder.
    """
    odd = any(letter == "\\" or unicodedata.category(letter) == "Cc" for letter in id)
    if id != id.strip() or odd or any(part in ("", ".", "..") for part in id.split("/")):
        raise DataError(f"{id!r} cannot be the name of a file", "leave it out with --ids, or write one file, as csv")
    return id if id.endswith(".png") else f"{id}.png"


def point_file_name(id: str, suffix: str) -> str:
    """Name of a face's own file of points: its id with `suffix` for that of the picture, `a.jpg#2` -> `a#2.pts`."""
    crop_name(id)
    picture = picture_of(id)
    ending = PurePosixPath(picture).suffix
    stem = picture.removesuffix(ending) if ending.lower() in IMAGE_SUFFIXES else picture
    return stem + id[len(picture) :] + suffix


def unique_names(ids: Sequence[str], names: Sequence[str]) -> None:
    """Raises DataError where two faces would be written to one file."""
    first: dict[str, str] = {}
    for id, name in zip(ids, names, strict=True):
        if first.setdefault(name, id) != id:
            raise DataError(f"{first[name]!r} and {id!r} would both be written to {name}", "choose with --ids")
