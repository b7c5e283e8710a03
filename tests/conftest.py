"""Fixtures that several test files share."""

from __future__ import annotations

import os

# Networks in tests are tiny: several threads would only wait for each other, for minutes on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder of reference values and real faces that is kept beside the repository; skips where it is absent."""
    folder = Path(os.environ.get("KDTOOLS_SHARED") or REPOSITORY.parent / "shared")
    if not (folder / "golden").is_dir():
        pytest.skip(f"reference data not found in {folder}; set KDTOOLS_SHARED to their folder")
    return folder
