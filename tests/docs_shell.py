"""A shell whose kd-* tools answer at once: what tests/test_docs.py runs the documentation's command lines in.

Starting a tool costs seconds, nearly all of them for importing torch. So one process imports it once and forks a child
for each call. What bash finds as `kd-student` is a stub that hands over its words, folder, environment and standard
streams and ends with the child's status: pipes, redirections, loops and scripts are bash's own.

Trainings and drawings are made small by words put behind those of the page (SMALL); the page's own words are read and
checked by the tool all the same.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
STAND_IN_TIME = 1_000_000_000  # s; a file changed at this moment is a stand-in and makes way for the page's own output
SERVER, IN_FULL = "KDTOOLS_DOCS_SERVER", "KDTOOLS_DOCS_IN_FULL"

_TRAINING = (
    *("--arch", "test_resnet", "--input-size", "32", "--batch", "8", "--epochs", "1", "--init", "none"),
    *("--device", "cpu", "--set", "head=linear", "--set", "w_heat=0", "--set", "freeze=0"),
)
SMALL = {
    "kd-teacher": _TRAINING,
    "kd-student": _TRAINING,
    "kd-synth": ("-n", "16", "--size", "64", "-j", "1"),
    "kd-predict": ("--device", "cpu"),
}
_IMPORTED_ONCE = ("torch", "timm", "cv2", "h5py", "matplotlib.pyplot", "onnx", "onnxscript", "onnxruntime", "scipy.io")

# Of the extras dev and sleap: absent, as after a plain `pip install .`
_ABSENT = ("pytest", "xdist", "hypothesis", "pandas", "tables", "pycocotools", "pyarrow", "sleap_io")

_STUB = """#!{python} -IS
import json, os, socket, sys
line = socket.socket(socket.AF_UNIX)
line.connect(os.environ["{server}"])
call = [os.path.basename(sys.argv[0]), sys.argv[1:], os.getcwd(), dict(os.environ)]
socket.send_fds(line, [json.dumps(call).encode()], [0, 1, 2])
line.shutdown(socket.SHUT_WR)
sys.exit(int(line.recv(9) or 1))
"""


class Shell:
    """bash with the stubs in its PATH."""

    def __init__(self, stubs: Path, address: Path, cache: Path) -> None:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "SBATCH", "KDTOOLS"))
        }
        self.environment = kept | {
            "PATH": f"{stubs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "XDG_CACHE_HOME": str(cache),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(REPOSITORY),
            "COLUMNS": "100",
            SERVER: str(address),
        }

    def run(self, script: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Commands in `folder`, up to the first that fails. Standard error tells each of them before it runs."""
        return subprocess.run(
            ["bash", "-euxo", "pipefail", "-c", script],
            cwd=folder,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
        )


@contextlib.contextmanager
def shell_of(tools: Sequence[str], folder: Path) -> Iterator[Shell]:
    """A Shell with stubs of `tools` in `folder`, which is made."""
    stubs, address = folder / "bin", folder / "s"
    stubs.mkdir(parents=True)
    for tool in tools:
        (stubs / tool).write_text(_STUB.format(python=sys.executable, server=SERVER))
        (stubs / tool).chmod(0o755)
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    server = subprocess.Popen([sys.executable, __file__, address], env=environment, stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        assert server.stdout.readline(), "the server did not start"
        yield Shell(stubs, address, folder / "cache")
    finally:
        server.kill()
        server.wait()


# ---- the process that forks
_LIBRARY = (
    *("datasets.import_faces", "datasets.dump", "evaluation.evaluate", "reports.output", "reports.plots"),
    *("training.trainer", "export.check", "export.graph", "prediction.engines.torch", "prediction.predict_photographs"),
)


def _serve(address: str) -> None:
    sys.modules.update(dict.fromkeys(_ABSENT))
    for name in _IMPORTED_ONCE:
        importlib.import_module(name)
    for name in _LIBRARY:
        importlib.import_module(f"kdtools.{name}")
    for path in (REPOSITORY / "kdtools" / "cli").glob("kd_*.py"):
        importlib.import_module(f"kdtools.cli.{path.stem}")
    gc.freeze()  # else each child's collector would copy all that was imported
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen(64)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children are not waited for: each tells its caller itself
        print("ready", flush=True)
        while True:
            line, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                _answer(line)
            line.close()


def _answer(line: socket.socket) -> None:
    """One call, in a process of its own, which ends here."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    text, streams, _, _ = socket.recv_fds(line, 1 << 20, 3)
    while more := line.recv(1 << 20):
        text += more
    tool, words, folder, environment = json.loads(text)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.stdin, sys.stdout, sys.stderr = (open(k, "rw"[k > 0], closefd=False) for k in range(3))  # noqa: SIM115
    status = 1
    try:
        if IN_FULL not in environment:
            words = _made_small(tool, words)
        sys.argv = [tool, *words]
        importlib.import_module(f"kdtools.cli.{tool.replace('-', '_')}").main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    line.sendall(str(status).encode())
    os._exit(status)


def _made_small(tool: str, words: list[str]) -> list[str]:
    if {"--help", "-h", "--version", "--show-settings"} & set(words):
        return words
    for option, output in itertools.pairwise(words):
        if option in ("-o", "--output", "--rest") and _is_stand_in(Path(output)):
            Path(output).unlink()
    if tool in ("kd-teacher", "kd-student"):
        _check_settings(tool, words)
    if tool == "kd-predict" and words and words[0].endswith(".safetensors"):
        words = [*words, "--backend", "torch"]  # spares an export
    return [*words, *SMALL.get(tool, ())]


def _is_stand_in(path: Path) -> bool:
    return path.is_file() and path.stat().st_mtime == STAND_IN_TIME


def _check_settings(tool: str, words: list[str]) -> None:
    """The page's own settings, before small ones hide them: the tool itself says what is wrong with them."""
    subprocess.run([tool, *words, "--show-settings"], stdout=subprocess.DEVNULL, check=True)


if __name__ == "__main__":
    _serve(sys.argv[1])
