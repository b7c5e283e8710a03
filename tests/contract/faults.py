"""How many faults the soak tests tried, for docs/reliability.md."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path


class Faults:
    """Counts what was tried and what came of it; `SOAK=N` in the environment makes everything N times as long."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._times = float(os.environ.get("SOAK") or 1)

    def n_of(self, number: int) -> int:
        """How often to try something that is tried `number` times by default."""
        return max(1, round(number * self._times))

    def tried(self, what: str, tool: str, outcome: str) -> None:
        """One more fault of a kind was tried on a tool."""
        self._counts[what, tool, outcome] += 1

    def report(self) -> str:
        """A line for each kind and tool: how many, and what came of them."""
        lines = []
        for what, tool in sorted({key[:2] for key in self._counts}):
            outcomes = {key[2]: n for key, n in sorted(self._counts.items()) if key[:2] == (what, tool)}
            told = ", ".join(f"{n} {outcome}" for outcome, n in outcomes.items())
            lines.append(f"| {what} | {tool} | {sum(outcomes.values())} | {told} |")
        return "".join(line + "\n" for line in lines)

    def write(self, path: Path) -> None:
        """Add the report to a file; processes that share out the tests each add their own."""
        if self._counts:
            with path.open("a", encoding="utf-8") as stream:
                stream.write(self.report())
