"""Fixtures that several test files share."""

from __future__ import annotations

import os
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
