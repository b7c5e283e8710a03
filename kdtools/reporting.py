"""Callbacks for messages, skipped inputs and progress, and text made fit for one line."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator


class Reporter:
    """Callbacks for messages, skipped inputs and progress; this one ignores them all, subclasses show or keep them.

    The library tells a reporter what happens while it works and never prints. Texts are one sentence without a final
    dot, and may hold whatever stands in the input.

    >>> class Printing(Reporter):
    ...     def skip(self, name: str, reason: str) -> None:
    ...         print(f"{name}: {reason}")
    >>> Printing().skip("a.png", "no face found")
    a.png: no face found
    """

    def say(self, text: str) -> None:
        """A message that a user may want to read."""

    def detail(self, text: str) -> None:
        """A message for those who want to know everything."""

    def warn(self, text: str) -> None:
        """Something that may be a mistake; the work goes on."""

    def skip(self, name: str, reason: str) -> None:
        """An input that could not be used, and why; the work goes on without it."""

    @contextlib.contextmanager
    def progress(self, task: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Yields a function to call with the number of things done, out of `total` (None: not known)."""
        yield lambda done: None


SILENT = Reporter()  # has no state, so one serves all


def counted(n: int, one: str, many: str = "") -> str:
    """A number and what is counted. The plural `many` has an s if it is not given.

    >>> counted(1, "face"), counted(2, "face"), counted(0, "face is", "faces are")
    ('1 face', '2 faces', '0 faces are')
    """
    return f"{n} {one if n == 1 else many or one + 's'}"


def printable(text: str) -> str:
    r"""A text from outside in one line that is safe to show: what a terminal or a reader could obey is escaped.

    Escaped as Python escapes them are control characters, line ends, marks that turn the direction of writing, letters
    without a shape, and the bytes of a file name that are not UTF-8. Whatever any tool prints of a file, a name or the
    command line passes through here, and so does what stands in its reports and pictures.

    >>> printable("red\x1b[31m.jpg"), printable("caf\udce9.jpg")
    ('red\\x1b[31m.jpg', 'caf\\xe9.jpg')
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _escape_of(letter) for letter in text)


def printable_lines(text: str) -> str:
    """A text of several lines, each of them `printable`; tabs stay."""
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))


def _escape_of(letter: str) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # stands for a byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return repr(letter)[1:-1]


_LONGEST_QUOTED, _LONGEST_WORD, _LONGEST_MESSAGE = 120, 255, 2000  # characters; 255 is the longest name of a file
_QUOTED = re.compile(r"""(?<!\w)(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""")
_NAME = re.compile(r"[\d/\\]|\w\.\w")  # what tells names and numbers in a message from its words


def one_line(text: str, longest: int = _LONGEST_MESSAGE, longest_word: int | None = _LONGEST_WORD) -> str:
    """Text from outside as one short line: control characters escaped; quoted names, words and the whole cut.

    An error names the path that it is about whole, so it takes no `longest_word`.

    >>> one_line("two\\nlines")
    'two\\\\nlines'
    """
    text = _QUOTED.sub(lambda quoted: _cut(quoted[0], _LONGEST_QUOTED + 2), printable(text))
    if longest_word is not None:
        text = re.sub(r"\S+", lambda word: _cut(word[0], longest_word), text)
    return _cut(text, longest)


def kind_of(text: str) -> str:
    """A message without the names and numbers in it, which is alike for messages that say the same of several inputs.

    >>> kind_of("5 points, but 'my b' has 3") == kind_of("7 points, but a.png has 3")
    True
    """
    words = ["…" if _NAME.search(word) else word for word in _QUOTED.sub("…", text).split()]
    return re.sub(r"…( …)+", "…", " ".join(words))


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else without_middle(text, longest - 1)


def without_middle(text: str, kept: int) -> str:
    """So many letters of a text: its two ends, which tell more than its middle, with an ellipsis between.

    >>> without_middle("helen/testset/3035796193_1.jpg", 12)
    'helen/…_1.jpg'
    """
    start = kept // 2
    return f"{text[:start]}…{text[len(text) - kept + start :]}"
