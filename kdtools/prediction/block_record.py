"""The record of its run in a block of a partial output, and how two runs differ."""

from __future__ import annotations

import json
from typing import Any

from kdtools.errors import FileError
from kdtools.faces.file import FacesFile
from kdtools.faces.schema import spec_of
from kdtools.prediction.unchanged import command_differs, detector_differs, files_differ
from kdtools.storage.hdf5_guard import HDF5_ERRORS
from kdtools.storage.provenance import Provenance

ATTRIBUTE = "partial"  # of a block: JSON
ANEW = "add -f to start over"


def read_record(faces: FacesFile) -> dict[str, Any]:
    """The record of its run in a block. Raises FileError if it is damaged."""
    try:
        record = json.loads(faces.h5.attrs[ATTRIBUTE])
        return {
            "run": dict(record["run"]),
            "columns": [name for name in record["columns"] if spec_of(name) is not None],
            **{key: int(record[key]) for key in ("first", "stop")},
            **{key: str(record[key]) for key in ("last", "stamps", "contents")},
            "skipped": [(str(identity), str(reason)) for identity, reason in record["skipped"]],
        }
    except (*HDF5_ERRORS, RecursionError) as error:
        raise FileError(f"{faces.name}: the record of its run is damaged: {error}", ANEW) from error


def difference_of(then: dict[str, Any], run: dict[str, Any], provenance: Provenance) -> str:
    """The first difference between an earlier run and this one, in words."""
    if then.get("version") != run["version"]:
        return f"it was begun by version {then.get('version')}, this is {run['version']}"
    changed = command_differs(then.get("argv", []), provenance)
    changed = changed or detector_differs(then.get("detector", {}), run["detector"])
    changed = changed or files_differ(then.get("inputs", {}), run["inputs"])
    changed = changed or files_differ(then.get("files", {}), run["files"])
    return changed or f"its groups are of up to {then.get('batch')} inputs, here of {run['batch']} (--batch)"
