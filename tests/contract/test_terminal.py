"""What a tool shows a person at a terminal, however narrow and plain it is, and what it keeps from one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import struct
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from .running import fail, run_tool
from .table import BINARY_WRITERS, TOOLS
from .world import World

COLOUR = re.compile(rb"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])[;m]")
ESCAPES = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]")
REPORTERS = sorted(name for name, row in TOOLS.items() if row.printed is not None)


class Terminal:
    """A terminal of some width, and what was written to it."""

    def __init__(self, columns: int) -> None:
        self._master, self.fd = os.openpty()
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self._shown = b""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        """Until the other end is closed. Without a reader, what is long would wait for one."""
        with contextlib.suppress(OSError):
            while piece := os.read(self._master, 1 << 16):
                self._shown += piece

    def close(self) -> bytes:
        """Everything that was written to it."""
        os.close(self.fd)
        self._reader.join()
        os.close(self._master)
        return self._shown


def show(tool: str, *words: str | Path, columns: int = 80, stream: str = "stdout") -> bytes:
    """What a run that ends well shows at a terminal."""
    terminal = Terminal(columns)
    try:
        result = run_tool(tool, *words, **{stream: terminal.fd})
    finally:
        shown = terminal.close()
    assert (result.status, "Traceback" in result.stderr) == (0, False), result.stderr
    return shown


def widths(shown: bytes) -> Iterator[int]:
    """Length of each line, without escape codes."""
    return map(len, ESCAPES.sub(b"", shown).decode().splitlines())


@pytest.mark.parametrize("tool", REPORTERS)
def test_a_report_on_a_terminal(tool: str, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table keeps within 40 columns; no colour with NO_COLOR, no escape codes at all where TERM is dumb."""
    form = {"--json", "--tsv"}  # without these it is for people
    words = [word for word in world.words(tool, "-") if word not in form]
    if tool != "kd-dump":  # which prints data, at a terminal too
        assert max(widths(show(tool, *words, columns=40))) <= 40
        monkeypatch.setenv("COLUMNS", "40")
        assert max(widths(show(tool, *words, columns=200))) <= 40
        monkeypatch.delenv("COLUMNS")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not COLOUR.search(show(tool, *words))
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert b"\x1b" not in show(tool, *words)


def test_progress_is_for_terminals_and_not_with_quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call = ["-n", "3", "--size", "16", "-j", "1", "-f", "-o", tmp_path / "out.h5"]
    assert b"drawing" in show("kd-synth", *call, stream="stderr")
    assert show("kd-synth", *call, "-q", stream="stderr") == b""
    narrow = show("kd-synth", *call, stream="stderr", columns=40)
    assert max(len(line) for line in re.split(rb"[\r\n]", ESCAPES.sub(b"", narrow)) if b"\x1b" not in line) <= 40 * 3
    monkeypatch.setenv("NO_COLOR", "1")
    assert not COLOUR.search(show("kd-synth", *call, stream="stderr"))
    monkeypatch.setenv("TERM", "dumb")
    assert b"\x1b" not in show("kd-synth", *call, stream="stderr")


@pytest.mark.parametrize("tool", BINARY_WRITERS)
def test_a_product_is_refused_on_a_terminal(tool: str, world: World) -> None:
    terminal = Terminal(80)
    try:
        fail(run_tool(tool, *world.words(tool, "-"), stdout=terminal.fd), tool, 2, "terminal")
    finally:
        assert terminal.close() == b""


def test_standard_input_that_is_a_terminal(world: World) -> None:
    master, slave = os.openpty()
    try:
        fail(run_tool("kd-eval", "-", "--truth", world.files["test"], stdin=slave), "kd-eval", 2, "terminal")
        assert select.select([master], [], [], 0)[0] == []
    finally:
        os.close(master)
        os.close(slave)
