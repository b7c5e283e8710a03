"""How the threads of ONNX Runtime wait."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest

from kdtools.onnx_session import open_session

SPINNING = "session.intra_op.allow_spinning"


@pytest.mark.parametrize(("policy", "may_spin"), [("PASSIVE", False), ("ACTIVE", True), ("", True)])
def test_threads_spin_unless_they_are_to_sleep(
    tiny_onnx: Path, policy: str, may_spin: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", policy)
    entries: dict[str, str] = {}

    class Options(onnxruntime.SessionOptions):
        def add_session_config_entry(self, key: str, value: str) -> None:
            entries[key] = value
            super().add_session_config_entry(key, value)

    monkeypatch.setattr(onnxruntime, "SessionOptions", Options)
    open_session(tiny_onnx, 2)
    assert entries.get(SPINNING) == (None if may_spin else "0")
