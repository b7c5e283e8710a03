"""Reporters that tests hand to the library."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from kdtools.reporting import Reporter


class Recorder(Reporter):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.details: list[str] = []
        self.warned: list[str] = []
        self.skipped: list[tuple[str, str]] = []
        self.tasks: list[tuple[str, int | None]] = []
        self.done: list[int] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def detail(self, text: str) -> None:
        self.details.append(text)

    def warn(self, text: str) -> None:
        self.warned.append(text)

    def skip(self, name: str, reason: str) -> None:
        self.skipped.append((name, reason))

    @contextlib.contextmanager
    def progress(self, task: str, total: int | None) -> Iterator[Callable[[int], None]]:
        self.tasks.append((task, total))
        yield self.done.append


class Strict(Reporter):
    """Fails the test when an input is skipped, and when something is warned of."""

    def warn(self, text: str) -> None:
        pytest.fail(text)

    def skip(self, name: str, reason: str) -> None:
        pytest.fail(f"skipped {name}: {reason}")


class NoSkips(Strict):
    """Fails the test when an input is skipped."""

    def warn(self, text: str) -> None:
        """Warnings are welcome."""
