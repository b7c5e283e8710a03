"""Provenance of a file, and whether its inputs still exist unchanged."""

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
    """Tool, version, date, command line and inputs that a file records; files of other programs may lack some.

    Raises DataError if `argv` or `inputs` is not JSON of the right structure.
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
    """Add to each input its `state` and, if it is an unchanged file of kdtools, its own provenance, recursively.

    Inputs are looked up by their recorded name, from the working directory and from the folder of the file made from
    them. A changed file is not followed, as its history is now another. The recursion ends because no file can contain
    its own hash.
    """
    return _follow(provenance, folder, {})


def _follow(provenance: dict[str, Any], folder: Path, digests: dict[Path, str]) -> dict[str, Any]:
    inputs = []
    for recorded in provenance["inputs"]:
        path, state = _find(recorded["name"], recorded["sha256"], folder, digests)
        source = {**recorded, "state": state}
        if state == UNCHANGED and path.is_file():
            origin = _provenance_in(path)
            if origin is not None:
                source["provenance"] = _follow(origin, path.parent, digests)
        inputs.append(source)
    return {**provenance, "inputs": inputs}


def _find(name: str, digest: str, folder: Path, digests: dict[Path, str]) -> tuple[Path, str]:
    """The input of that name and its state; a file with the recorded hash is preferred."""
    state = GONE
    for path in dict.fromkeys((Path(name), folder / name)):
        try:
            if not (path.is_file() or path.is_dir()):  # pipes and devices cannot be hashed
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
    """Provenance of a file of kdtools; None for any other file, such as a list of images."""
    try:
        with open_any(str(path)) as opened:
            return provenance_of(opened.attributes, opened.name)
    except KdError:
        return None
