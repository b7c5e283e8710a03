"""What a file looks like that no format reads, for the error that says so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from kdtools.datasets.formats.shared.text_lists import load_json, peek_text
from kdtools.errors import KdError, some_of

_LARGEST = 1 << 26  # bytes; of a larger file the beginning tells enough
_NOT_READ = "is not read: export it as COCO keypoints, or as one of kd-import --formats"
# Programs whose JSON is known and not read: keys of the object, or of the first one of a list.
_JSON = (
    ({"project", "config", "attribute", "file", "view", "metadata"}, f"a project of VIA 3, which {_NOT_READ}"),
    ({"tags", "objects", "size"}, f"Supervisely, which {_NOT_READ}"),
    ({"metadata", "instances"}, f"SuperAnnotate, which {_NOT_READ}"),
    ({"item", "annotations", "version"}, f"Darwin of V7, which {_NOT_READ}"),
    ({"data_row", "projects"}, f"Labelbox, which {_NOT_READ}"),
    ({"type", "features"}, f"GeoJSON, which {_NOT_READ}"),
    ({"image", "annotations"}, "CreateML, which holds boxes and no points"),
    ({"people"}, "OpenPose, but without points of a face"),
    ({"image_id", "bbox"}, "results of a COCO detector, which hold boxes and no keypoints"),
)
_XML = (
    ("annotations", "<track ", "CVAT for video 1.1, whose tracks are not read: export it as CVAT for images 1.1"),
    ("annotation", "<bndbox", "PASCAL VOC, which holds boxes and no points"),
    ("annotation", "<polygon", "the old LabelMe's polygons, which are no points"),
    ("dataset", "", "dlib's, but without images"),
)


def kind_of_json_or_xml(source: Path) -> str:
    """What a file, or the only JSON or XML file of a folder, seems to be; empty where nothing can be said."""
    path = source
    if source.is_dir():
        files = [one for one in sorted(source.iterdir()) if one.suffix.lower() in (".json", ".xml") and one.is_file()]
        if len(files) != 1:
            return ""
        path = files[0]
    text = peek_text(path)
    if text.startswith(("{", "[")):
        return _json(path)
    return _xml(text) if text.startswith("<") else ""


def _json(path: Path) -> str:
    document = _load(path)
    if document is None:
        return "JSON that is cut off, damaged or too large for a closer look"
    entry, kind = document, "JSON with keys"
    if isinstance(document, list):
        entry, kind = (document[0] if document else None), "a JSON list of objects with keys"
    if not isinstance(entry, dict):
        return "a JSON list, but not of objects" if isinstance(document, list) else "JSON, but no object"
    keys = set(entry)
    names = f"{kind} {some_of(sorted(key[:40] for key in keys))}" if keys else "an empty JSON object"
    known = _coco(entry) or next((what for wanted, what in _JSON if wanted <= keys), "")
    return f"{names}: {known}" if known else names


def _load(path: Path) -> Any:
    try:
        return load_json(path) if path.stat().st_size <= _LARGEST else None
    except (KdError, OSError):
        return None


def _coco(document: dict[str, Any]) -> str:
    if {"images", "annotations"} <= set(document):
        return "COCO, but no keypoints"
    return "COCO, but without its images" if {"annotations", "categories"} <= set(document) else ""


def _xml(text: str) -> str:
    root = re.search(r"<([A-Za-z_][\w.:-]*)", text)
    if root is None:
        return "XML without an element"
    what = next((what for tag, part, what in _XML if root[1] == tag and part in text), "")
    return f"XML that begins with <{root[1][:40]}>" + (f": {what}" if what else "")
