"""Report on the bundled face finder, which is no landmark network: `kd-info finder`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kdtools.errors import FileError
from kdtools.storage.onnx_guard import read_onnx
from kdtools.storage.provenance import sha256_of


def describe_finder(name: str, path: Path) -> dict[str, Any]:
    """Report on the face finder's file (see `FIELDS`); `name` is what the user called it."""
    import onnx

    entries = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    return {
        "file": name,
        "kind": "face finder",
        "edition": entries.get("edition", ""),
        "bytes": path.stat().st_size,
        "form": "onnx",
        "detector": {"name": "finder", "sha256": sha256_of(path)},
        "trained_on": entries.get("trained_on", "").split(", "),
        "teachers": entries.get("teachers", "").split(", "),
        "terms": {name: entries.get("terms", "not stated")},
    }


def check_finder(path: Path) -> list[str]:
    """What is wrong with the file, as `check_file` says it of others."""
    try:
        read_onnx(path)
    except FileError as error:
        return [error.message]
    return []
