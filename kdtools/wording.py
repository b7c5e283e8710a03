"""Texts made fit to be shown: names of files and faces may hold anything, and be of any length."""

from __future__ import annotations


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
