"""The arrays of a faces file, format 1: their dimensions, types and units (docs/design.md, section 1)."""

from __future__ import annotations

from dataclasses import dataclass

from kdtools.errors import UsageError
from kdtools.storage import lineage

KIND = "faces"
FORMAT = 1


@dataclass(frozen=True)
class ArraySpec:
    """`dims` names the axes; a number is an axis of that length. `dtype` is the type as written."""

    dims: tuple[str | int, ...]
    dtype: str
    unit: str = ""


ARRAYS: dict[str, ArraySpec] = {
    "id": ArraySpec(("face",), "text"),
    "image": ArraySpec(("face", "row", "column", 3), "uint8", "RGB intensity"),
    "landmarks": ArraySpec(("face", "landmark", 2), "float32", "pixel"),
    "visible": ArraySpec(("face", "landmark"), "uint8", "1 seen, 0 occluded"),
    "box": ArraySpec(("face", 4), "float32", "pixel of the source image, half-open"),
    "to_source": ArraySpec(("face", 2, 3), "float64", "pixel of the source image per pixel of /image"),
    "source": ArraySpec(("face",), "text"),
    "convention": ArraySpec(("face",), "text"),
    "score": ArraySpec(("face",), "float32"),
    "confidence": ArraySpec(("face", "landmark"), "float32"),
    "frame": ArraySpec(("face",), "int32", "number of the frame in its video, from 0; -1 in no video"),
    "time": ArraySpec(("face",), "float64", "second of the video"),
    "track": ArraySpec(("face",), "int32", "number of the face in its video, from 0; -1 not followed"),
    "shape_model/mean": ArraySpec(("landmark", 2), "float64"),
    "shape_model/modes": ArraySpec(("mode", "landmark", 2), "float64"),
    "shape_model/variance": ArraySpec(("mode",), "float64"),
}
COMPANIONS = ("box", "source", "frame", "time", "track")  # copied from a faces file to predictions of its faces
SUBSET = ArraySpec(("face",), "bool")
MOST_SUBSETS = 1000
LONGEST_TEXT = 1 << 20  # characters of an id or a source

# Attributes of the file, its arrays and /shape_model that are read; those of other programs are ignored.
ATTRIBUTES = (
    *("kd_kind", "kd_format", "scheme", "crop", "created", "tool", "version", "argv", "inputs", "roles", "partial"),
    "detector",
    *(
        "listing",
        "role",
        "mirror",
        "outer_corners",
        "left_eye",
        "right_eye",
        "names",
        "regions",
        "outlines",
        "align",
        "origin",
    ),
    *("conventions", "convention", "flipped"),
    *lineage.ATTRIBUTES,
)

AXIS_NAMES = {
    ("landmarks", 2): "xy",
    ("image", 3): "rgb",
    ("box", 1): "x0 y0 x1 y1",
    ("to_source", 1): "xy",
    ("to_source", 2): "x y 1",
    ("shape_model/mean", 1): "xy",
    ("shape_model/modes", 2): "xy",
}
ANNOTATION, CROP = "annotation", "crop"
BOX_ORIGINS = (ANNOTATION, "detector", CROP)
ROLES = ("hard", "soft", "predicted")


def check_subset_name(name: str) -> None:
    """Raises UsageError for a name that no subset can have."""
    if name == "full":
        raise UsageError("no subset can be called full: that is all faces, whatever the subsets", "choose another name")
    if name in ("", ".", "..") or "/" in name or "\0" in name or not name.isprintable():
        raise UsageError(f"a subset cannot be called {name!r}", "choose a name without a slash")


def spec_of(name: str) -> ArraySpec | None:
    """Specification of an array by its path without leading slash; None if the format does not define it."""
    return SUBSET if name.startswith("subset/") else ARRAYS.get(name)


def is_known(path: str) -> bool:
    """Whether an array or a group of that path, without leading slash, belongs to the format."""
    return spec_of(path) is not None or path == "shape_model"


def dims_of(name: str) -> list[str]:
    """Names of an array's axes, for its `dims` attribute."""
    spec = spec_of(name)
    assert spec is not None
    return [AXIS_NAMES.get((name, axis), str(dim)) for axis, dim in enumerate(spec.dims)]
