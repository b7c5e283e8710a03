"""A file from a stranger may name any inputs: each is looked at once, and nothing of the system."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from factories import write_faces

from kdtools.inspection import history
from kdtools.inspection.describe import describe_file
from kdtools.inspection.open import open_any
from kdtools.storage.provenance import sha256_of


def write_with_inputs(path: Path, inputs: dict[str, str]) -> Path:
    write_faces(path, np.zeros((1, 5, 2)))
    with h5py.File(path, "r+") as file:
        file.attrs["inputs"] = json.dumps(inputs)
    return path


def provenance_in(path: Path) -> dict[str, Any]:
    with open_any(str(path)) as file:
        described: dict[str, Any] = describe_file(file, follow=True)["provenance"]
        return described


def levels_of(provenance: dict[str, Any]) -> int:
    return 1 + max((levels_of(one["provenance"]) for one in provenance["inputs"] if "provenance" in one), default=0)


def test_two_names_of_one_file_are_followed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of a chain names the one before twice, so that there are 2^40 ways through it."""
    (tmp_path / "x").mkdir()
    before: dict[str, str] = {}
    opened: list[str] = []
    monkeypatch.setattr(history, "open_any", lambda path: opened.append(path) or open_any(path))  # type: ignore[func-returns-value]
    for k in range(41):
        path = write_with_inputs(tmp_path / f"{k}.h5", before)
        before = dict.fromkeys((path.name, f"x/../{path.name}"), sha256_of(path))
    provenance = provenance_in(path)
    assert [one["state"] for one in provenance["inputs"]] == ["unchanged", "unchanged"]
    assert ["provenance" in one for one in provenance["inputs"]] == [True, False]
    assert len(opened) == len(set(opened)) == 30
    assert levels_of(provenance) == 31


@pytest.mark.parametrize("name", ["/", "/usr", "/proc/kcore", "/proc/kmsg", "../" * 40 + "usr", "link/lib"])
def test_the_system_is_not_read(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to("/usr")
    monkeypatch.setattr(history, "sha256_of", lambda *_: pytest.fail("read"))
    (source,) = provenance_in(write_with_inputs(tmp_path / "faces.h5", {name: "0" * 64}))["inputs"]
    assert source["state"] in ("not compared", "gone")  # not every system has each


def test_a_folder_of_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for k in range(4):
        (folder / f"{k}.txt").write_text("x" * 100)
    path = write_with_inputs(tmp_path / "faces.h5", {"pictures": sha256_of(folder)})
    assert provenance_in(path)["inputs"][0]["state"] == "unchanged"
    for limit in ("_MOST_FILES", "_MOST_BYTES"):
        with monkeypatch.context() as less:
            less.setattr(history, limit, 3)
            assert provenance_in(path)["inputs"][0]["state"] == "not compared"
