"""How a network is run is decided by rule."""

from __future__ import annotations

import pytest
import torch

from kdtools.training.execution import Execution, choose_execution

PLAIN, HALF = Execution(), Execution(torch.bfloat16)


@pytest.mark.parametrize(
    ("amp", "compiling", "expected"),
    [
        ("auto", "off", PLAIN),
        ("off", "off", PLAIN),
        ("bf16", "off", HALF),
        ("off", "on", Execution(None, compiled=True)),
    ],
)
def test_on_a_cpu(amp: str, compiling: str, expected: Execution) -> None:
    assert choose_execution(amp, compiling, torch.device("cpu")) == expected


@pytest.mark.parametrize(
    ("amp", "supported", "expected"),
    [("auto", True, HALF), ("auto", False, PLAIN), ("off", True, PLAIN), ("bf16", False, HALF)],
)
def test_on_a_gpu(amp: str, supported: bool, expected: Execution, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not where bfloat16 is only emulated, which is slow."""
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation: supported or including_emulation)
    monkeypatch.setattr("torch.backends.cudnn.benchmark", False)
    assert choose_execution(amp, "off", torch.device("cuda")) == expected


def test_it_says_what_it_does() -> None:
    assert [str(PLAIN), str(HALF), str(Execution(None, True))] == ["float32", "bfloat16", "float32, compiled"]
