"""What files record of their making."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from kdtools.errors import UsageError
from kdtools.storage.provenance import Provenance, sha256_of


def test_the_moment_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert Provenance("test").attributes()["created"] == "2023-11-14T22:13:20Z"
    for empty in ("", None):
        monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
        if empty is not None:
            monkeypatch.setenv("SOURCE_DATE_EPOCH", empty)
        assert len(Provenance("test").attributes()["created"]) == len("2023-11-14")


@pytest.mark.parametrize("epoch", ["99999999999999999", "9" * 5000, "1e9", "yesterday", "²", "-" + "9" * 30, "nan"])
def test_what_is_no_moment_is_refused_before_the_work(epoch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was taken for absent, or named no variable."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH is '"):
        Provenance("test")


def test_files_of_a_folder_that_cannot_be_asked_for_are_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.pts").write_text("a")
    alone = sha256_of(tmp_path)
    (tmp_path / "nothing").symlink_to("absent")
    (tmp_path / "circle").symlink_to("circle")
    assert sha256_of(tmp_path) == alone
    (tmp_path / "b.pts").write_text("b")
    usual = os.stat

    def stat(path: str | os.PathLike[str], **options: bool) -> os.stat_result:
        if os.fspath(path).endswith("b.pts"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return usual(path, **options)

    monkeypatch.setattr(os, "stat", stat)
    with pytest.raises(PermissionError, match=r"b\.pts"):
        sha256_of(tmp_path)
