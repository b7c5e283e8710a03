"""Running a tool, in this process or in one of its own, and judging how it ended."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import typer.main
from warm import Warm

from kdtools.cli import _app
from kdtools.cli._app import session

from .table import SCRIPTS

_usual_command_of = typer.main.get_command
_commands: dict[Any, Any] = {}

CLOSED = -1  # in the place of a descriptor
_TEMPORARY = tempfile.gettempdir()  # tests give tools others, which may be full


@dataclass(frozen=True)
class Result:
    """How a tool ended and what it wrote to its two streams."""

    status: int
    stdout: bytes
    stderr: str


def entry_point(tool: str) -> Callable[[], None]:
    """The function behind a console script."""
    module, _, name = SCRIPTS[tool].partition(":")
    function: Callable[[], None] = getattr(importlib.import_module(module), name)
    return function


@contextlib.contextmanager
def standard_streams(*given: int) -> Iterator[None]:
    """Put these descriptors in the place of 0, 1 and 2, or nothing for CLOSED; for Python and for C alike."""
    before, kept = (sys.stdin, sys.stdout, sys.stderr), [os.dup(fd) for fd in range(3)]
    for stream in before[1:]:
        stream.flush()
    modes, streams = ("r", "w", "w"), []
    try:
        for fd, other in enumerate(given):
            if other != CLOSED:
                os.dup2(other, fd)
                buffering = 1 if fd == 2 else -1
                streams.append(open(fd, modes[fd], buffering, closefd=False))  # noqa: SIM115
            else:
                os.close(fd)
                streams.append(None)
        sys.stdin, sys.stdout, sys.stderr = streams
        yield
        sys.stdout.flush()
    finally:
        sys.stdin, sys.stdout, sys.stderr = before
        for fd, old in enumerate(kept):
            os.dup2(old, fd)
            os.close(old)


def run_tool(
    tool: str, *words: str | Path, stdin: bytes | int = b"", stdout: int | None = None, stderr: int | None = None
) -> Result:
    """Run a tool in this process, as its console script would; streams are bytes, descriptors such as a terminal's, or
    CLOSED."""
    main, argv = entry_point(tool), sys.argv
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    threads = _threads_of_torch()
    session.verbosity = session.n_skipped = 0
    sys.argv, status = [tool, *map(str, words)], -1
    with contextlib.ExitStack() as stack:
        given, out, err = (stack.enter_context(tempfile.TemporaryFile(dir=_TEMPORARY)) for _ in range(3))
        if isinstance(stdin, bytes):
            given.write(stdin)
            given.seek(0)
            stdin = given.fileno()
        stdout, stderr = (file.fileno() if fd is None else fd for fd, file in ((stdout, out), (stderr, err)))
        try:
            with (
                standard_streams(stdin, stdout, stderr),
                mock.patch.object(_app, "n_unclosed", return_value=0),
                mock.patch.object(typer.main, "get_command", _command_of),
            ):
                try:
                    main()  # after a full disk a tool ends its process at once, which here is that of the tests
                except SystemExit as stop:
                    status = int(stop.code or 0)
        finally:
            sys.argv = argv
            for number, handler in handlers.items():
                signal.signal(number, handler)
            if threads and threads != _threads_of_torch():
                sys.modules["torch"].set_num_threads(threads)
        out.seek(0)
        err.seek(0)
        return Result(status, out.read(), err.read().decode())


def _command_of(app: typer.Typer) -> Any:
    """typer's own, kept: to read the options of a function takes some 10 ms."""
    key = tuple((one.callback, repr(one.context_settings)) for one in app.registered_commands)
    if key not in _commands:
        command = _usual_command_of(app)
        _commands[key] = command, [parameter.required for parameter in command.params]
    command, required = _commands[key]
    for parameter, is_required in zip(command.params, required, strict=True):
        parameter.required = is_required  # --show-settings makes them optional
    return command


def _threads_of_torch() -> int:
    """PyTorch's number of threads, on which sums depend and which kd-predict sets; 0 before its import."""
    return sys.modules["torch"].get_num_threads() if "torch" in sys.modules else 0


def script(tool: str) -> str:
    """Path of a tool's console script."""
    path = Path(sys.executable).with_name(tool)
    assert path.exists(), f"{path}: install the package first (pip install -e .)"
    return str(path)


def start_tool(tool: str, *words: str | Path, warm: Warm | None = None, **options: Any) -> subprocess.Popen[bytes]:
    """Start a tool in a process and process group of its own; with `warm`, one that need not import torch."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    path = warm.script(tool) if warm else script(tool)
    return subprocess.Popen([path, *map(str, words)], start_new_session=True, **{**pipes, **options})


def finish(process: subprocess.Popen[bytes], timeout: float = 600) -> Result:
    """Wait for a process started with `start_tool`."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return Result(process.returncode, out or b"", (err or b"").decode())


def run_script(tool: str, *words: str | Path, **options: Any) -> Result:
    """Run a tool in a process of its own to its end."""
    return finish(start_tool(tool, *words, **options))


def run_code(code: str) -> None:
    """Run Python code in a process of its own, to a good end."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float = 600) -> None:
    """Wait until a process has come so far; fails where it ends before."""
    until = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, finish(process).stderr
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.01)


def group_is_gone(group: int) -> bool:
    """Whether no process of a group is left, after a moment."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    os.killpg(group, signal.SIGKILL)
    return False


def succeed(result: Result, status: int = 0) -> Result:
    """Assert that a run ended well, with nothing on standard output."""
    assert result.status == status, result.stderr
    assert "Traceback" not in result.stderr
    assert "\x1b" not in result.stderr, "escape codes where there is no terminal"
    assert result.stdout == b""
    return result


def fail(result: Result, tool: str, status: int, *said: str | Path) -> None:
    """Assert that a run failed in the documented way: one or two lines on standard error, `said` in the first."""
    assert result.status == status, result.stderr or result.stdout
    assert "Traceback" not in result.stderr
    assert "\x1b" not in result.stderr, "escape codes where there is no terminal"
    lines = [line for line in result.stderr.splitlines() if not line.startswith(f"{tool}: skipped ")]
    errors = [k for k, line in enumerate(lines) if line.startswith(f"{tool}: error: ")]
    assert errors, f"no line starts with '{tool}: error: ': {result.stderr!r}"
    message = lines[errors[0] :]
    assert len(message) <= 2, result.stderr
    assert all(line.startswith("  ") for line in message[1:]), result.stderr
    assert "bug in kdtools" not in result.stderr
    for text in said:
        assert str(text).replace("\n", r"\n") in message[0], result.stderr
    assert result.stdout == b""


def left_in(folder: Path) -> list[str]:
    """Names of everything in a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
