"""Merging faces files row by row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

import numpy as np

from kdtools.errors import DataError, some_of
from kdtools.faces.box_origin import common_origin
from kdtools.faces.conventions import FaceConventions, join_conventions
from kdtools.faces.detector import common_detector
from kdtools.faces.file import FacesFile
from kdtools.faces.lineage import lineage_of_faces
from kdtools.faces.schema import ARRAYS
from kdtools.faces.selection import IdPatterns, Part
from kdtools.faces.writer import FacesWriter
from kdtools.landmarks import Scheme, convert_mask, convert_points
from kdtools.landmarks.conventions import Convention
from kdtools.landmarks.conversions import conversion_between
from kdtools.landmarks.geometry import IDENTITY
from kdtools.landmarks.point_names import order_by_names
from kdtools.landmarks.shape_model import ShapeModel
from kdtools.reporting import Reporter

_BLOCK_BYTES = 64 << 20  # of images copied at a time
# Values for rows of files that lack an array; the other arrays have no value for "unknown".
_NEUTRAL: dict[str, Any] = {"to_source": IDENTITY, "score": np.nan, "confidence": np.nan}
SMALL_ARRAYS = [
    name
    for name, spec in ARRAYS.items()
    if spec.dims[0] == "face" and name not in ("id", "image", "landmarks", "convention")
]
_LACKING = {
    "image": "--no-images brings the points of both to their source images",
    "landmarks": "merge files that have points with others that have them",
}


class _FilesOf(Sequence[FacesFile]):
    """The files of some parts, opened on access."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return len(self._parts)

    def __getitem__(self, number: Any) -> Any:
        return self._parts[number].faces


def check_joinable(parts: Sequence[Part], *, with_images: bool, any_scheme: bool, may_reorder: bool = True) -> None:
    """Raises DataError, which names both files, where parts cannot stand in one file.

    Points of the same names in another order can, if they `may_reorder`.
    """
    check_alike(_FilesOf(parts), with_images=with_images, any_scheme=any_scheme, may_reorder=may_reorder)
    _check_unique(parts)


def check_labels(parts: Sequence[Part]) -> None:
    """Raises DataError for points that no convention can be stated for, as they state themselves whose places they are.

    An origin put back into predictions would be taken off twice.
    """
    for faces in _FilesOf(parts):
        if faces.put_back is not None:
            what = f"{faces.name}: its points are already those of {_answered(faces)}"
            raise DataError(what, "leave --convention out")


def check_alike(files: Sequence[FacesFile], *, with_images: bool, any_scheme: bool, may_reorder: bool) -> None:
    """Raises DataError, which names both files, where they hold different arrays or points of different meaning."""
    if any_scheme:
        files[0].require("landmarks")
    for k in range(1, len(files)):
        first, other = files[0], files[k]  # on each turn, since a file pool may have closed the first
        names = f"{first.name} and {other.name}"
        for array in ("image", "landmarks"):
            if (array in first) != (array in other) and (with_images or array != "image"):
                one, lacks = (first, other) if array in first else (other, first)
                raise DataError(f"{one.name}: holds /{array}, but {lacks.name} holds none", _LACKING[array])
        if with_images and first.has_images and first.image_size != other.image_size:
            (h, w), (oh, ow) = first.image_size, other.image_size
            hint = "import both with the same --size, or leave the images out with --no-images"
            raise DataError(f"{names}: images of {w} x {h} and of {ow} x {oh} px", hint)
        if "landmarks" not in first:
            continue
        if first.role != other.role:
            raise DataError(f"{names}: landmarks of the roles {first.role} and {other.role}", "merge those of one role")
        if first.put_back != other.put_back:
            raise DataError(
                f"{names}: points of {_answered(first)} and {_answered(other)}",
                "predict both with the same --convention",
            )
        if not any_scheme:
            other.require_points(first.n_points, first.name)
            _check_same_meaning(first, other, may_reorder=may_reorder)


def _answered(faces: FacesFile) -> str:
    """Whose places predictions are, in words."""
    convention = faces.put_back
    if convention is None:
        return "no stated annotation convention"
    origin = f" with its origin {convention.offset[0]:g}, {convention.offset[1]:g} added" if convention.origin else ""
    return f"the annotation convention {convention.name}{origin}"


def _check_same_meaning(first: FacesFile, other: FacesFile, *, may_reorder: bool) -> None:
    one, two = first.scheme, other.scheme
    if one.names and two.names:
        order = first.order_of_points(other)
        if not isinstance(order, slice):
            if may_reorder:
                return  # points of the other file are put into the order of the first one
            raise DataError(
                f"{first.name} and {other.name}: points with the same names, in another order",
                "leave --virtual out, so that they can be reordered",
            )
    for key in ("name", "mirror", "outer_corners", "left_eye", "right_eye"):
        if getattr(one, key) != getattr(two, key):
            what = f"{one.name} and {two.name}" if key == "name" else f"{one.name}, but with another {key}"
            raise DataError(f"{first.name} and {other.name}: schemes {what}", "--convert converts points to one scheme")


def _check_unique(parts: Sequence[Part]) -> None:
    counts = Counter(identity for part in parts for identity in part.ids)
    twice = [identity for identity, count in counts.items() if count > 1]
    if not twice:
        return
    holders = [part.name for part in parts if twice[0] in set(part.ids)]
    if len(holders) == 1:
        raise DataError(f"{holders[0]}: ids occur more than once: {some_of(twice)}", "write the file again")
    alike = Path(holders[0]).stem == Path(holders[1]).stem
    hint = "the files have the same name; rename one" if alike else "--prefix puts each file's name before its ids"
    raise DataError(f"{' and '.join(holders[:2])} hold {len(twice)} of the same ids: {some_of(twice)}", hint)


def write_merged(
    writer: FacesWriter,
    parts: Sequence[Part],
    *,
    with_images: bool,
    target: Scheme | None,
    added: dict[str, IdPatterns],
    reporter: Reporter,
    convention: Convention | None = None,
) -> None:
    """Write the parts one after the other into one file; all faces are of the `convention`, if one is stated.

    Without images, points are in pixels of the source images. `target` is a scheme to convert them to. `added` maps new
    subsets to the patterns of their ids. Warns of arrays that cannot be kept. Raises UsageError if a file's points
    cannot be converted.
    """
    first = parts[0]
    ids = [identity for part in parts for identity in part.ids]
    files = _FilesOf(parts)
    own_target = first.faces.scheme if target is None and "landmarks" in first.arrays else target
    if own_target is not None and any(_differs(faces.scheme, own_target) for faces in files):
        target = own_target  # the same points in another order, or else `check_joinable` has refused them
    has_images = with_images and "image" in first.arrays
    converted = target is not None and _check_conversions(files, target, reporter)
    writer.put_ids(ids)
    writer.add_lineage(reduce(or_, map(lineage_of_faces, files)))
    writer.put_detector(common_detector(files))
    if has_images:
        _copy_images(writer, parts)
        put_common_crop(writer, files, reporter)
    if "landmarks" in first.arrays:
        writer.put_pieces("landmarks", len(ids), (_points_of(part, has_images, target) for part in parts))
        writer.describe_landmarks(target or first.faces.scheme, first.faces.role, attributes_of_points(files))
    put_joined_conventions(
        writer, [(part.name, part.faces.conventions.of_rows(part.rows)) for part in parts], convention
    )
    for name in SMALL_ARRAYS:
        lacking = [part.name for part in parts if name not in part.arrays]
        attributes, why = _attributes_of(name, files)
        if len(lacking) == len(parts) or (name == "to_source" and not has_images):
            continue
        if lacking and name not in _NEUTRAL:
            reporter.warn(f"/{name} is left out: {lacking[0]} holds none")
        elif why:
            reporter.warn(f"/{name} is left out: {why}")
        else:
            writer.put_pieces(name, len(ids), (_values_of(part, name, target) for part in parts), **attributes)
    _put_subsets(writer, parts, ids, added)
    put_common_shape_model(writer, files, converted, reporter)


def attributes_of_points(files: Sequence[FacesFile]) -> dict[str, Any]:
    """Attributes of joined predictions: whose places they are, and `flipped` where all are."""
    return attributes_of_answers(files[0]) | ({"flipped": True} if all(faces.flipped for faces in files) else {})


def attributes_of_answers(faces: FacesFile) -> dict[str, Any]:
    """Attributes of predictions that say whose places they are, and which origin was put back into them."""
    convention, found = faces.put_back, dict[str, Any]()
    if convention is not None:
        found = {"convention": convention.name} if convention.name else {}
        if convention.origin is not None:
            found["origin"] = np.array(convention.origin)
    return found


def put_joined_conventions(
    writer: FacesWriter, parts: Sequence[tuple[str, FaceConventions]], convention: Convention | None = None
) -> None:
    """Write the conventions of the parts' faces, or for all of them the one stated, with its origin in the parts.

    Raises DataError where one name has two origins.
    """
    joined = join_conventions(parts) if convention is None else FaceConventions((), np.empty(0, np.int64))
    if convention is not None:
        n_faces = sum(len(stated.of_faces) for _, stated in parts)
        if convention.origin is None:  # what the files state, if they state it alike
            found = join_conventions([(name, stated.only(convention.name)) for name, stated in parts]).all
            convention = found[0] if found else convention
        joined = FaceConventions((convention,), np.zeros(n_faces, np.int64))
    writer.copy_conventions(joined)


def _attributes_of(name: str, files: Sequence[FacesFile]) -> tuple[dict[str, str], str]:
    """Attributes of a merged array beside those of the format; and why the arrays cannot stand in one, else ""."""
    if name != "box":
        return {}, ""
    origin, why = common_origin(files)
    return {"origin": origin} if origin else {}, why


def _check_conversions(files: Sequence[FacesFile], target: Scheme, reporter: Reporter) -> bool:
    """Whether points of any file are converted; warns of approximate ones. Raises UsageError for impossible ones."""
    sources = [faces.scheme for faces in files if _differs(faces.scheme, target)]
    for name, source in sorted({source.name: source for source in sources}.items()):
        conversion = conversion_between(source, target)
        if conversion.approximate:
            reporter.warn(f"{name} to {target.name} is approximate: {conversion.note}")
    return bool(sources)


def _differs(source: Scheme, target: Scheme) -> bool:
    """Whether points need a conversion. Schemes of one name may differ in what they state of their points."""
    if (source.name, source.n_points) != (target.name, target.n_points):
        return True
    order = order_by_names(target.names, source.names) if source.names and target.names else None
    return order is not None and not np.array_equal(order, np.arange(len(order)))


def _copy_images(writer: FacesWriter, parts: Sequence[Part]) -> None:
    height, width = parts[0].faces.image_size
    images = writer.create_images(sum(len(part.rows) for part in parts), height, width)
    step = max(1, _BLOCK_BYTES // (height * width * 3))
    at = 0
    for part in parts:
        for first in range(0, len(part.rows), step):
            rows = part.rows[first : first + step]
            images[at : at + len(rows)] = part.faces.images[rows]
            at += len(rows)
    writer.h5.flush()  # raises if the disk is full


def _points_of(part: Part, in_images: bool, target: Scheme | None) -> np.ndarray:
    """Landmarks (n, L, 2) of a part, converted to `target`."""
    faces = part.faces
    points = faces.points("image" if in_images else "source")[part.rows]
    if target is not None and _differs(faces.scheme, target):
        points = convert_points(points, faces.scheme, target)
    return np.asarray(points, np.float32)


def _values_of(part: Part, name: str, target: Scheme | None) -> Any:
    """Rows of an array for a part, neutral ones if its file lacks the array."""
    faces, spec = part.faces, ARRAYS[name]
    if name not in faces:
        row = [dim if isinstance(dim, int) else (target or faces.scheme).n_points for dim in spec.dims[1:]]
        return np.broadcast_to(_NEUTRAL[name], (len(part.rows), *row))
    values = np.asarray(faces.read(name, 0, len(faces)), object if spec.dtype == "text" else None)[part.rows]
    if "landmark" in spec.dims and target is not None and _differs(faces.scheme, target):
        values = convert_mask(values, faces.scheme, target)
    return values


def _put_subsets(writer: FacesWriter, parts: Sequence[Part], ids: list[str], added: dict[str, IdPatterns]) -> None:
    """The subsets of all parts, without faces of files that lack them, and the `added` ones."""
    members = [{name: flags[part.rows] for name, flags in part.faces.subsets.items()} for part in parts]
    names = {name for subsets in members for name in subsets}
    for name in sorted(names | set(added)):
        flags = np.concatenate(
            [subsets.get(name, np.zeros(len(part.rows), bool)) for part, subsets in zip(parts, members, strict=True)]
        )
        if name in added:
            flags = flags | added[name].match(ids)
        writer.put(f"subset/{name}", flags)


def put_common_crop(writer: FacesWriter, files: Sequence[FacesFile], reporter: Reporter) -> None:
    """Write the crop rule if it is the same in all files; warn if not."""
    named = [(faces.name, faces.crop) for faces in files]
    rules = [rule for _, rule in named]
    if rules[0] is not None and all(rule == rules[0] for rule in rules):
        writer.put_crop(rules[0])
        return
    for name, rule in named:
        if rule != rules[0]:
            first, other = (r.to_json() if r else "none" for r in (rules[0], rule))
            reporter.warn(f"no crop rule is written: {named[0][0]} states {first}, {name} {other}")
            return


def put_common_shape_model(
    writer: FacesWriter, files: Sequence[FacesFile], converted: bool, reporter: Reporter
) -> None:
    """Write the shape model if it is the same in all files, as in parts of one kd-asm file; warn if not."""
    if not any("shape_model/mean" in faces for faces in files):
        return
    same = not converted and all("shape_model/mean" in faces for faces in files)
    model = files[0].shape_model if same else None
    if model is not None and all(_same_model(model, files[k].shape_model) for k in range(1, len(files))):
        writer.put_shape_model(model)
    else:
        reporter.warn("/shape_model is left out: it is not that of all faces; kd-asm fits one")


def _same_model(one: ShapeModel, two: ShapeModel) -> bool:
    return one.align == two.align and all(
        np.array_equal(getattr(one, part), getattr(two, part)) for part in ("mean", "modes", "variance")
    )
