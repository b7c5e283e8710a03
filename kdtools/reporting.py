"""What the library calls on while it works: kinds of functions that a tool gives it, and one that says nothing."""

from __future__ import annotations

from collections.abc import Callable

Tell = Callable[[str], None]  # a message, or a warning
Skip = Callable[[str, str], None]  # the name of an input that could not be used, and why
Progress = Callable[[int], None]  # how many things are done


def silent(*words: object) -> None:
    """For callers that want to be told nothing."""


def printable(text: str) -> str:
    """A text in one line, without letters that a terminal would obey or a picture, and XML, cannot hold."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def without_middle(text: str, kept: int) -> str:
    """So many letters of a text: its two ends, which tell more than its middle, with an ellipsis between.

    >>> without_middle("helen/testset/3035796193_1.jpg", 12)
    'helen/…_1.jpg'
    """
    start = kept // 2
    return f"{text[:start]}…{text[len(text) - kept + start :]}"
