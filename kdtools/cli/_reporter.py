"""The tools' reporter: messages, warnings, skipped inputs and progress bars on standard error."""

from __future__ import annotations

import contextlib
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator

from kdtools.reporting import Reporter, kind_of, one_line
from kdtools.storage.pipes import with_names_of_pipes

_N_PRINTED = 10  # messages of one kind; more are counted
_LONGEST_NAME = 255  # characters of the name of a skipped input


class StderrReporter(Reporter):
    """Prints `tool: text` lines. After ten of a kind it only counts them; `finish` prints how many more there were.

    `verbosity` is -1 with -q, which hides messages and bars, and 1 with -v, which prints every line.
    """

    def __init__(self, tool: str) -> None:
        self.begin(tool)

    def begin(self, tool: str) -> None:
        """Reset for a new run."""
        self.tool, self.verbosity, self.n_skipped = tool, 0, 0
        self._counts: Counter[tuple[str, str]] = Counter()
        self._first: dict[tuple[str, str], str] = {}  # text of the first message of each kind

    def say(self, text: str) -> None:
        """A message; none with -q."""
        if self.verbosity >= 0:
            self._report("", "", text, text)

    def detail(self, text: str) -> None:
        """A message with -v alone."""
        if self.verbosity > 0:
            self._report("", "", text, text)

    def warn(self, text: str) -> None:
        self._report("warning: ", "", text, kind_of(text))

    def skip(self, name: str, reason: str) -> None:
        """Report an input that could not be used; the tool will exit with status 4."""
        self.n_skipped += 1
        reason = _without_name(reason, name)
        self._report("skipped ", f"{one_line(name, _LONGEST_NAME)}: ", reason, kind_of(reason))

    def _report(self, label: str, name: str, text: str, kind: str) -> None:
        text = with_names_of_pipes(text)
        if self.verbosity <= 0:
            self._counts[label, kind] += 1
            self._first.setdefault((label, kind), text)
            if self._counts[label, kind] > _N_PRINTED:
                return
        print(f"{self.tool}: {label}{name}{one_line(text)}", file=sys.stderr)

    def finish(self) -> None:
        """Print how many messages of each kind were not printed."""
        counts, self._counts = self._counts, Counter()
        for (label, kind), count in counts.items():
            if (n := count - _N_PRINTED) > 0:
                first = one_line(self._first[label, kind])
                if label == "skipped ":
                    text = f"{n} more {'was' if n == 1 else 'were'} skipped for the same reason: {first}"
                else:
                    text = f"{label}{n} more of this kind: {first}"
                print(f"{self.tool}: {text}", file=sys.stderr)

    @contextlib.contextmanager
    def progress(self, task: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Yields a function to call with the number of things done; draws a bar only on a terminal."""
        if self.verbosity < 0 or not sys.stderr.isatty():
            yield lambda done: None
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            number = bar.add_task(task, total=total)
            yield lambda done: bar.update(number, completed=done)


def _without_name(reason: str, name: str) -> str:
    """A reason without the path at its beginning, if that is of the file that `name` says already.

    >>> _without_name("photos/a.png: is empty", "a.png"), _without_name("b.png: is empty", "a.png")
    ('is empty', 'b.png: is empty')
    """
    for end in re.finditer(": ", reason):
        path = f"/{reason[: end.start()]}"
        if path.endswith(f"/{name}") or f"/{name}".endswith(path):
            return reason[end.end() :]
    return reason
