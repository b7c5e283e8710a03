"""Where a file comes from, and whether what it was made from is still there and the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kdtools.errors import DataError, KdError
from kdtools.faces.validation import plain
from kdtools.inspection.open import open_any
from kdtools.storage.provenance import sha256_of

UNCHANGED, CHANGED, GONE, UNREADABLE = "unchanged", "changed", "gone", "unreadable"


def provenance_of(attributes: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What a file states of its making. Other programs need not state it all.

    Raises DataError where `argv` or `inputs` is no JSON of the right shape.
    """
    stated: dict[str, Any] = {key: str(plain(attributes.get(key, ""))) for key in ("tool", "version", "created")}
    try:
        argv, inputs = (
            json.loads(str(plain(attributes.get(key, none)))) for key, none in (("argv", "[]"), ("inputs", "{}"))
        )
        stated["argv"] = [str(word) for word in argv]
        stated["inputs"] = [{"name": str(path), "sha256": str(digest)} for path, digest in inputs.items()]
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{name}: its provenance is damaged: {error}", "make the file again") from error
    return stated


def follow_inputs(provenance: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Add to each input its `state` and, where it is unchanged and of kdtools, its own provenance, followed likewise.

    An input is looked for by its name as given, and beside the file made from it. A changed file is not followed: its
    history is not that of the file made from what it was before. No file can be among its own inputs by hash, so this
    ends.
    """
    return _follow(provenance, folder, {})


def _follow(provenance: dict[str, Any], folder: Path, digests: dict[Path, str]) -> dict[str, Any]:
    inputs = []
    for given in provenance["inputs"]:
        path, state = _find(given["name"], given["sha256"], folder, digests)
        found = {**given, "state": state}
        if state == UNCHANGED and path.is_file():
            origin = _provenance_in(path)
            if origin is not None:
                found["provenance"] = _follow(origin, path.parent, digests)
        inputs.append(found)
    return {**provenance, "inputs": inputs}


def _find(name: str, digest: str, folder: Path, digests: dict[Path, str]) -> tuple[Path, str]:
    """The input of that name and its state; one with the right bytes before one without."""
    state = GONE
    for path in dict.fromkeys((Path(name), folder / name)):
        try:
            if not (path.is_file() or path.is_dir()):  # of pipes and devices nothing can be told
                continue
            if path not in digests:
                digests[path] = sha256_of(path)
        except OSError:
            state = UNREADABLE
            continue
        if digests[path] == digest:
            return path, UNCHANGED
        state = CHANGED
    return Path(name), state


def _provenance_in(path: Path) -> dict[str, Any] | None:
    """That of a file of kdtools; None for any other file, such as a list of images."""
    try:
        with open_any(str(path)) as opened:
            return provenance_of(opened.attributes, opened.name)
    except KdError:
        return None
