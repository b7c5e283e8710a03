"""Provenance of a file, and whether its inputs still exist unchanged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kdtools.errors import DataError, KdError
from kdtools.faces.validation import plain
from kdtools.inspection.open import open_any
from kdtools.storage.provenance import recorded_places, sha256_of

UNCHANGED, CHANGED, GONE, UNREADABLE = "unchanged", "changed", "gone", "unreadable"
NOT_COMPARED = "not compared"

# A file from a stranger names what it likes as its inputs.
_MOST_LEVELS = 30
_MOST_FILES, _MOST_BYTES = 200_000, 2**37  # looked at and read in all
_OF_THE_SYSTEM = {
    *("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "proc", "sbin", "sys", "usr"),
    *("System", "Library"),
}  # folders of the root in which nobody keeps faces


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
    them. A changed file is not followed, as its history is now another, and none is followed twice, or beyond
    `_MOST_LEVELS`. Of folders of the system, and beyond `_MOST_FILES` or `_MOST_BYTES`, nothing is read.
    """
    return _Search().follow(provenance, folder, _MOST_LEVELS)


class _Exhausted(Exception):
    """More would be read than `_MOST_FILES` or `_MOST_BYTES`."""


class _Search:
    """Looks at each file once, whatever names lead to it."""

    def __init__(self) -> None:
        self._digests: dict[tuple[int, int], str] = {}  # of device and inode
        self._followed: set[tuple[int, int]] = set()
        self._files, self._bytes = _MOST_FILES, _MOST_BYTES

    def follow(self, provenance: dict[str, Any], folder: Path, n_levels: int) -> dict[str, Any]:
        inputs = []
        for recorded in provenance["inputs"]:
            path, state = self._find(recorded["name"], recorded["sha256"], folder)
            source = {**recorded, "state": state}
            if state == UNCHANGED and path.is_file() and n_levels and (key := _key_of(path)) not in self._followed:
                self._followed.add(key)
                origin = _provenance_in(path)
                if origin is not None:
                    source["provenance"] = self.follow(origin, path.parent, n_levels - 1)
            inputs.append(source)
        return {**provenance, "inputs": inputs}

    def _find(self, name: str, digest: str, folder: Path) -> tuple[Path, str]:
        """The input of that name and its state; a file with the recorded hash is preferred."""
        state = GONE
        for path in recorded_places(name, folder):
            try:
                if not (path.is_file() or path.is_dir()):  # pipes and devices cannot be hashed
                    continue
                found = self._digest_of(path)
            except (OSError, ValueError):  # a name with \0 in it
                state = UNREADABLE
                continue
            except _Exhausted:
                state = NOT_COMPARED
                continue
            if found == digest:
                return path, UNCHANGED
            state = CHANGED
        return Path(name), state

    def _digest_of(self, path: Path) -> str:
        parts = path.resolve().parts
        if len(parts) < 2 or parts[1] in _OF_THE_SYSTEM:
            raise _Exhausted
        key = _key_of(path)
        if key not in self._digests:
            self._digests[key] = sha256_of(path, self._spend)
        return self._digests[key]

    def _spend(self, n_bytes: int) -> None:
        self._files -= 1
        self._bytes -= n_bytes
        if min(self._files, self._bytes) < 0:
            raise _Exhausted


def _key_of(path: Path) -> tuple[int, int]:
    about = path.stat()
    return about.st_dev, about.st_ino


def _provenance_in(path: Path) -> dict[str, Any] | None:
    """Provenance of a file of kdtools; None for any other file, such as a list of images."""
    try:
        with open_any(str(path)) as opened:
            return provenance_of(opened.attributes, opened.name)
    except KdError:
        return None
