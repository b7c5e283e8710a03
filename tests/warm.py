"""Console scripts that answer at once: one process imports torch and forks a child for each call.

Starting a tool of PyTorch takes over five seconds of a core, nearly all of them for imports. `Warm.scripts` is a folder
of stand-ins for the tools, for torchrun and, as `warm-python`, for Python. Each hands over its words, folder,
environment and standard streams, passes on the signals that it gets, and ends as the child ends. A child whose script
was killed is killed too. So a test can start, signal and wait for one as for the real script; what it cannot see is
what happens before the first line of a tool, and a process group of the tool's own.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import marshal
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import time
import tomllib
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from common import one_at_a_time, use_huge_pages

import kdtools

REPOSITORY = Path(__file__).resolve().parent.parent
TOOLS = tuple(tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["scripts"])
PYTHON = "warm-python"
PREPARE = "KDTOOLS_WARM_PREPARE"  # MODULE:FUNCTION, which gets a tool's name and words and returns other words

_LIBRARIES = (
    *("torch", "torch.distributed.run", "timm", "cv2", "h5py", "onnx", "onnxscript", "onnxruntime", "yaml", "jinja2"),
    *("scipy.io", "scipy.optimize", "scipy.stats", "safetensors.numpy", "matplotlib.pyplot"),
    *(f"matplotlib.backends.backend_{name}" for name in ("agg", "pdf", "svg")),
)
# Of the extras: absent, as after a plain `pip install .`
_ABSENT = ("pytest", "xdist", "hypothesis", "pandas", "tables", "pycocotools", "pyarrow", "sleap_io", "litert_torch")

_STAND_IN = """#!{python} -IS
import _signal, _socket, array, marshal, os, sys  # json, signal and socket take longer than all the rest
line = _socket.socket(_socket.AF_UNIX)
line.connect({address!r})
numbers = (_signal.SIGHUP, _signal.SIGINT, _signal.SIGUSR1, _signal.SIGUSR2, _signal.SIGTERM)
ignored = [number for number in numbers if _signal.getsignal(number) == _signal.SIG_IGN]
call = marshal.dumps((os.path.basename(sys.argv[0]), sys.argv[1:], os.getcwd(), dict(os.environ), ignored))
streams = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", (0, 1, 2)))
line.sendmsg([b"%12d" % len(call)], [streams])
line.sendall(call)
for number in numbers:
    if number not in ignored:
        _signal.signal(number, lambda number, _: line.send(bytes([number])))
os.close(0)
os.close(1)
status = int(line.recv(9) or 1)
if status < 0:
    _signal.signal(-status, _signal.SIG_DFL)
    os.kill(os.getpid(), -status)
os._exit(status)
"""


@dataclass(frozen=True)
class Warm:
    """The folder of the scripts; `SCRIPTS:$PATH` as a PATH has them found before the real ones."""

    scripts: Path

    @property
    def path(self) -> str:
        """A PATH that has the scripts first, then those of this environment."""
        return f"{self.scripts}:{Path(sys.executable).parent}:{os.environ['PATH']}"

    def script(self, name: str) -> str:
        """The path of a script."""
        return str(self.scripts / name)


def start_once(folder: Path, owner: int) -> Warm:
    """Start the process that forks, unless another test process has; it ends after the process `owner`."""
    scripts, address = folder / "bin", folder / "s"
    with one_at_a_time(folder):
        if not scripts.is_dir():
            environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
            server = subprocess.Popen(
                [sys.executable, __file__, address, str(owner)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                start_new_session=True,  # a Ctrl-C is not for it
            )
            assert server.stdout is not None
            assert server.stdout.readline(), "the server did not start"
            scripts.mkdir()
            for name in (*TOOLS, "torchrun", PYTHON):
                (scripts / name).write_text(_STAND_IN.format(python=sys.executable, address=str(address)))
                (scripts / name).chmod(0o755)
    return Warm(scripts)


# ---- the process that forks
@dataclass
class _Call:
    """A script that waits, and the child that answers it."""

    line: socket.socket
    child: int
    ended: int  # descriptor of the child, which can be read from once it has ended


def _serve(address: str, owner: int) -> None:
    sys.modules.update(dict.fromkeys(_ABSENT))
    for name in _imported():
        importlib.import_module(name)
    _parse_once()
    gc.collect()
    gc.freeze()  # else each child's collector would copy all that was imported
    use_huge_pages()
    with socket.socket(socket.AF_UNIX) as listening, selectors.EpollSelector() as waiting:
        listening.bind(address)
        listening.listen(64)
        waiting.register(listening, selectors.EVENT_READ)
        print("ready", flush=True)
        for number in (1, 2):  # whoever waits for the end of the tests' output does not wait for this process
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
        while _is_there(owner):
            for key, _ in waiting.select(1):
                if key.fileobj is listening:
                    with contextlib.suppress(ConnectionError):  # the script was killed before it had handed over all
                        _begin(listening, waiting)
                elif key.fd == key.data.ended:
                    _end(key.data, waiting)
                elif waiting.get_map().get(key.fd) is key:  # the call has not ended in this same round
                    _pass_on(key.data, waiting)


def _imported() -> Iterator[str]:
    """All that tools import, also when their work has started."""
    yield from _LIBRARIES
    for module in pkgutil.walk_packages(kdtools.__path__, "kdtools."):
        yield module.name


def _parse_once() -> None:
    """typer loads what it converts values with when it meets the first."""
    app = typer.Typer()

    @app.command()
    def command(number: Annotated[int, typer.Option(min=0)], other: float, path: Path) -> None:
        """Do nothing."""

    app(["--number", "1", "1.5", "name"], standalone_mode=False)


def _is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def _begin(listening: socket.socket, waiting: selectors.EpollSelector) -> None:
    """Take the call of a script and have a child answer it."""
    line, _ = listening.accept()
    size, streams, _, _ = socket.recv_fds(line, 12, 3)
    text = b""
    while len(text) < int(size or 0):
        if not (part := line.recv(int(size) - len(text))):
            break
        text += part
    if not size or len(text) < int(size):
        child = 0
    elif (child := os.fork()) == 0:
        for descriptor in (line.fileno(), waiting.fileno(), *waiting.get_map()):
            os.close(descriptor)
        _answer(*marshal.loads(text), streams)
    for stream in streams:
        os.close(stream)
    if not child:
        line.close()
        return
    call = _Call(line, child, os.pidfd_open(child))
    waiting.register(line, selectors.EVENT_READ, call)
    waiting.register(call.ended, selectors.EVENT_READ, call)


def _pass_on(call: _Call, waiting: selectors.EpollSelector) -> None:
    """Send the child the signals that its script got; end it where the script was killed."""
    try:
        numbers = call.line.recv(9)
    except ConnectionError:
        numbers = b""
    for number in numbers:
        os.kill(call.child, number)
    if not numbers:
        os.kill(call.child, signal.SIGKILL)
        waiting.unregister(call.line)


def _end(call: _Call, waiting: selectors.EpollSelector) -> None:
    """Tell a script how its child ended."""
    status = os.waitstatus_to_exitcode(os.waitpid(call.child, 0)[1])
    waiting.unregister(call.ended)
    os.close(call.ended)
    with contextlib.suppress(KeyError):
        waiting.unregister(call.line)
    with call.line, contextlib.suppress(OSError):
        call.line.sendall(str(status).encode())


def _answer(
    tool: str, words: list[str], folder: str, environment: dict[str, str], ignored: list[int], streams: list[int]
) -> None:
    """One call, in a process of its own, which ends here."""
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.stdin, sys.stdout, sys.stderr = (open(k, "rw"[k > 0], 1 if k == 2 else -1, closefd=False) for k in range(3))  # noqa: SIM115
    status = 1
    try:
        if environment.get(PREPARE):
            module, _, name = environment[PREPARE].partition(":")
            words = getattr(importlib.import_module(module), name)(tool, words)
        _run(tool, words)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


def _run(tool: str, words: list[str]) -> None:
    sys.argv = [tool, *words]
    if tool == "torchrun":
        importlib.import_module("torch.distributed.run").main(words)
    elif tool == PYTHON:
        sys.argv = words
        sys.path[0] = ""
        if words[0] == "-c":
            sys.argv = ["-c", *words[2:]]
            exec(compile(words[1], "<string>", "exec"), {"__name__": "__main__"})
        else:
            runpy.run_path(words[0], run_name="__main__")
    else:
        importlib.import_module(f"kdtools.cli.{tool.replace('-', '_')}").main()


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
