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
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import time
import tomllib
import traceback
from dataclasses import dataclass
from pathlib import Path

from common import one_at_a_time

REPOSITORY = Path(__file__).resolve().parent.parent
TOOLS = tuple(tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["scripts"])
PYTHON = "warm-python"
PREPARE = "KDTOOLS_WARM_PREPARE"  # MODULE:FUNCTION, which gets a tool's name and words and returns other words

_IMPORTED = (
    *("torch", "torch.distributed.run", "timm", "cv2", "h5py", "matplotlib.pyplot", "onnx", "onnxscript"),
    *("onnxruntime", "scipy.io", "scipy.optimize", "yaml"),
    *(f"kdtools.{name}" for name in ("datasets.import_faces", "datasets.dump", "evaluation.evaluate")),
    *(f"kdtools.{name}" for name in ("reports.output", "reports.plots", "training.run", "training.distributed")),
    *(f"kdtools.{name}" for name in ("export.check", "export.graph", "export.cache")),
    *(f"kdtools.{name}" for name in ("prediction.engines.torch", "prediction.predict_photographs")),
    *(f"kdtools.cli.{tool.replace('-', '_')}" for tool in TOOLS),
)
# Of the extras dev and sleap: absent, as after a plain `pip install .`
_ABSENT = ("pytest", "xdist", "hypothesis", "pandas", "tables", "pycocotools", "pyarrow", "sleap_io")

_STAND_IN = """#!{python} -IS
import json, os, signal, socket, sys
line = socket.socket(socket.AF_UNIX)
line.connect({address!r})
numbers = (signal.SIGHUP, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM)
ignored = [number for number in numbers if signal.getsignal(number) == signal.SIG_IGN]
call = json.dumps([os.path.basename(sys.argv[0]), sys.argv[1:], os.getcwd(), dict(os.environ), ignored]).encode()
socket.send_fds(line, [b"%12d" % len(call)], [0, 1, 2])
line.sendall(call)
for number in numbers:
    if number not in ignored:
        signal.signal(number, lambda number, _: line.send(bytes([number])))
os.close(0)
os.close(1)
status = int(line.recv(9) or 1)
if status < 0:
    signal.signal(-status, signal.SIG_DFL)
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
def _serve(address: str, owner: int) -> None:
    sys.modules.update(dict.fromkeys(_ABSENT))
    for name in _IMPORTED:
        importlib.import_module(name)
    gc.freeze()  # else each child's collector would copy all that was imported
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen(64)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children are not waited for: each tells its caller itself
        print("ready", flush=True)
        for number in (1, 2):  # whoever waits for the end of the tests' output does not wait for this process
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
        listening.settimeout(1)
        while _is_there(owner):
            with contextlib.suppress(TimeoutError):
                line, _ = listening.accept()
                if os.fork() == 0:
                    listening.close()
                    try:
                        _keep(line)
                    finally:
                        os._exit(1)
                line.close()


def _is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def _keep(line: socket.socket) -> None:
    """Have one call answered by a child, pass signals on to it, and tell the script how it ended."""
    line.setblocking(True)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, streams, _, _ = socket.recv_fds(line, 12, 3)
    text = b""
    while len(text) < int(size):
        text += line.recv(int(size) - len(text))
    child = os.fork()
    if child == 0:
        line.close()
        _answer(*json.loads(text), streams)
    for stream in streams:
        os.close(stream)
    ended = os.pidfd_open(child)
    status = None
    while status is None:
        ready, _, _ = select.select([line, ended], [], [])
        if ended in ready:
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        elif numbers := line.recv(9):
            for number in numbers:
                os.kill(child, number)
        else:  # the script was killed
            os.kill(child, signal.SIGKILL)
            os._exit(0)
    with contextlib.suppress(OSError):
        line.sendall(str(status).encode())
    os._exit(0)


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
