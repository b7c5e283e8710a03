"""What the library calls on while it works: kinds of functions that a tool gives it, and one that says nothing."""

from __future__ import annotations

from collections.abc import Callable

Tell = Callable[[str], None]  # a message, or a warning
Skip = Callable[[str, str], None]  # the name of an input that could not be used, and why
Progress = Callable[[int], None]  # how many things are done


def silent(*words: object) -> None:
    """For callers that want to be told nothing."""
