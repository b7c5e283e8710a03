"""The faster way to run a network is taken, and only where it is clearly faster."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from kdtools.training.execution import Execution, choose_execution, faster_of

PLAIN, HALF = Execution(), Execution(torch.bfloat16)


@pytest.mark.parametrize(("seconds", "expected"), [(0.5, HALF), (0.97, PLAIN), (2.0, PLAIN), (float("inf"), PLAIN)])
def test_the_faster_way_is_taken(seconds: float, expected: Execution) -> None:
    times = {PLAIN: 1.0, HALF: seconds}
    assert faster_of(PLAIN, HALF, nn.Identity(), torch.zeros(1), lambda way, *_: times[way]) == expected


def test_both_ways_are_timed_on_a_copy() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert faster_of(PLAIN, HALF, network, torch.rand(2, 3, 8, 8)) in (PLAIN, HALF)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize(
    ("amp", "compiling", "expected"),
    [
        ("auto", "auto", PLAIN),
        ("off", "off", PLAIN),
        ("bf16", "off", HALF),
        ("off", "on", Execution(None, compiled=True)),
    ],
)
def test_on_a_cpu_nothing_is_measured(amp: str, compiling: str, expected: Execution) -> None:
    """A choice by the clock would keep the same seed from giving the same file."""

    def no_example() -> torch.Tensor:
        raise AssertionError("nobody looks at it")

    assert choose_execution(amp, compiling, nn.Identity(), torch.device("cpu"), 10**6, no_example) == expected


def test_it_says_what_it_does() -> None:
    assert [str(PLAIN), str(HALF), str(Execution(None, True))] == ["float32", "bfloat16", "float32, compiled"]
