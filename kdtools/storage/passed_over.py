"""Files of folders and archives that are no inputs: counted by suffix, so that nobody misses one unknowingly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import TypeVar

from kdtools.reporting import Reporter
from kdtools.storage.file_kinds import VIDEO_SUFFIXES

_N_NAMED = 10_000  # names that are kept for -v
_N_KINDS = 8  # that a message lists
_Item = TypeVar("_Item")


class PassedOver:
    """Files that were passed over, by suffix, and what is no file, such as a link to a folder that was searched."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._names: list[str] = []
        self._empty: list[str] = []

    def add_file(self, name: str) -> None:
        suffix = PurePath(name).suffix.lower()
        self._add(suffix or "without suffix", name)

    def add_link(self, name: str) -> None:
        """A link to a folder whose files come under other names."""
        self._add("links to folders searched under another name", name)

    def add_other(self, name: str) -> None:
        """A member of an archive that is no file: a link, hard ones included, or a device."""
        self._add("links or devices in tar files", name)

    def watch(self, name: str, items: Iterable[_Item]) -> Iterator[_Item]:
        """The items of an input; one without any is noted, as the others would hide that it is the wrong one."""
        is_empty = True
        for item in items:
            is_empty = False
            yield item
        if is_empty:
            self._empty.append(name)

    def _add(self, kind: str, name: str) -> None:
        self._counts[kind] += 1
        if len(self._names) < _N_NAMED:
            self._names.append(name)

    @property
    def summary(self) -> str:
        """One line, such as "passed over: 3 .txt, 1 .mp4"; empty if nothing was."""
        if not self._counts:
            return ""
        ranked = self._counts.most_common()
        kinds = [f"{n} {kind}" for kind, n in ranked[:_N_KINDS]]
        if rest := sum(n for _, n in ranked[_N_KINDS:]):
            kinds.append(f"{rest} of other kinds")
        hint = "-v names them"
        if any(kind in VIDEO_SUFFIXES for kind in self._counts):
            hint = "name videos as inputs of their own; " + hint
        return f"passed over: {', '.join(kinds)} ({hint})"

    def report(self, reporter: Reporter) -> None:
        """Tell how many files were passed over, and to those who want to know, which; warn of inputs without images."""
        for name in self._empty:
            reporter.warn(f"{name}: no images in there")
        for name in self._names:
            reporter.detail(f"passed over: {name}")
        if self._counts:
            reporter.say(self.summary)
