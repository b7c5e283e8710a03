"""Runs the tools for a shell without importing them each time.

`Tools` starts this file as a server, which imports the tools, torch and all, once. Its folder `bin` holds a small
program for each tool, which hands its words, streams and environment to the server and ends as the tool does there,
in a fork. So a line of documentation runs as a user types it, pipes and loops and all, at a tenth of the time.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
SCRIPTS: dict[str, str] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["scripts"]
HEAVY = (
    "torch",
    "timm",
    "cv2",
    "h5py",
    "onnxruntime",
    "kdtools.training",
    "kdtools.prediction",
    "kdtools.engines.torch",
)

_CLIENT = f"""#!{sys.executable} -SE
import json, os, socket, sys

server = socket.socket(socket.AF_UNIX)
server.connect(os.environ["KD_TEST_SERVER"])
message = json.dumps([os.path.basename(sys.argv[0]), sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [message], [0, 1, 2])
server.shutdown(socket.SHUT_WR)
sys.exit(int(server.recv(8) or 70))
"""


class Tools:
    """A shell's way to the tools. `added` are words put behind those of a tool, such as what makes a training small."""

    def __init__(self, added: dict[str, Sequence[str]] | None = None) -> None:
        self._added = added or {}

    def __enter__(self) -> Tools:
        self._folder = tempfile.TemporaryDirectory(prefix="kd")
        self._socket = str(Path(self._folder.name) / "socket")
        binary = Path(self._folder.name) / "bin"
        binary.mkdir()
        for tool in SCRIPTS:
            (binary / tool).write_text(_CLIENT)
            (binary / tool).chmod(0o755)
        path = f"{binary}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = {**os.environ, "PATH": path, "KD_TEST_SERVER": self._socket}
        command = [sys.executable, __file__, self._socket, json.dumps(self._added)]
        self._server = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
        assert self._server.stdout is not None
        assert self._server.stdout.readline() == b"ready\n"
        return self

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._server.pid, signal.SIGKILL)
        self._server.wait()
        self._folder.cleanup()

    def shell(self, line: str, folder: Path, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """Run a line, or several, in bash; any command that fails ends it."""
        words = ["bash", "-euo", "pipefail", "-c", line]
        return subprocess.run(
            words, cwd=folder, env=self.environment, capture_output=True, text=True, check=False, timeout=timeout
        )


def _serve(address: str, added: dict[str, list[str]]) -> None:
    for name in HEAVY:
        importlib.import_module(name)
    mains = {tool: importlib.import_module(entry.partition(":")[0]).main for tool, entry in SCRIPTS.items()}
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(64)
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _run_one(connection, mains, added)
        connection.close()


def _run_one(connection: socket.socket, mains: dict[str, object], added: dict[str, list[str]]) -> None:
    """In a fork: be the tool that the client asks for."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, streams, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    while more := connection.recv(1 << 20):
        message += more
    tool, words, folder, environment = json.loads(message)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [tool, *words, *added.get(tool, [])]
    status = 70
    try:
        mains[tool]()  # type: ignore[operator]
    except SystemExit as stop:
        status = int(stop.code or 0)
    finally:
        connection.send(str(status).encode())
        os._exit(0)


if __name__ == "__main__":
    _serve(sys.argv[1], json.loads(sys.argv[2]))
