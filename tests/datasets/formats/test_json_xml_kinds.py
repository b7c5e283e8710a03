"""A file that no format reads is refused in a line that says what it looks like."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kdtools.datasets.formats import find_format
from kdtools.errors import FileError


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        (
            "a.json",
            {"annotations": [], "categories": []},
            "keys 'annotations', 'categories': COCO, but without its images",
        ),
        ("a.json", {"images": {}, "annotations": {}}, "COCO, but no keypoints"),
        ("a.json", [{"image_id": 1, "bbox": [1, 2, 3, 4]}], "results of a COCO detector"),
        ("a.json", {"tags": [], "objects": [], "size": {}}, "Supervisely, which is not read: export it as COCO"),
        ("a.json", {key: {} for key in ("project", "config", "attribute", "file", "view", "metadata")}, "VIA 3"),
        ("a.json", [1, 2], "a JSON list, but not of objects"),
        ("a.json", {"weights": [1]}, "JSON with keys 'weights'"),
        ("a.json", '{"a": [1,', "JSON that is cut off"),
        ("a.xml", "<annotations><version>1.1</version><track id='0'></track></annotations>", "CVAT for video 1.1"),
        ("a.xml", "<?xml version='1.0'?><annotation><object><bndbox/></object></annotation>", "PASCAL VOC"),
        ("a.xml", "<svg></svg>", "XML that begins with <svg>"),
    ],
)
def test_refused_by_what_it_looks_like(tmp_path: Path, name: str, content: Any, part: str) -> None:
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    for source in (path, tmp_path):
        with pytest.raises(FileError) as caught:
            find_format("cvat" if source == path else "auto", source)
        assert "it looks like " in caught.value.message
        assert part in caught.value.message
