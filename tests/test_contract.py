"""What every tool must do alike: help, errors, streams, exit statuses, outputs that are whole or absent.

The tools are those of pyproject.toml. A new one needs a row in TOOLS, which says how it is called and what its inputs
are; the tests below then run for it. Most run a tool in this process, which saves importing torch each time; signals,
pipes, full disks and times need a process of their own.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import json
import os
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import onnxruntime
import pytest
import typer
from safetensors import safe_open
from safetensors.numpy import save_file

from kdtools import __version__
from kdtools.cli._app import session

REPOSITORY = Path(__file__).resolve().parent.parent
SCRIPTS: dict[str, str] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["scripts"]
HEAVY = ("torch", "timm", "cv2", "h5py", "numpy", "matplotlib", "onnx", "onnxruntime", "safetensors")
HELP_TIME_LIMIT = 1.5  # times `python -c "import typer"` (docs/design.md, section 3)
LARGEST_N_OPTIONS = 25
TINY = "--arch test_resnet --input-size 32 --batch 8 --device cpu"


@dataclass(frozen=True)
class Row:
    """How a tool is called rightly: words, in which {name} stands for a file of the world, {output} for its output and
    {second} for a second output beside it.

    `faces`, `models` and `sources` name those that are faces files, model files, and folders of annotated images;
    `either` those of them that may as well be a file other-kind. Those in `joined` must hold the same ids, and
    those in `points` the same number of points, as the rest. `limited` is what has to be added to a call so that it
    needs more room than a small disk has.
    """

    words: str
    suffix: str = ""
    faces: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    either: tuple[str, ...] = ()
    joined: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    no_torch: bool = False
    two_streams: str = ""


TOOLS = {
    "kd-import": Row("{folder} --size 48 -o {output}", ".h5", sources=("folder",), no_torch=True, two_streams="- -"),
    "kd-synth": Row("-n 6 --size 48 -j 1 -o {output}", ".h5", no_torch=True),
    "kd-asm": Row(
        "{faces} --model {soft} -o {output}",
        ".h5",
        faces=("faces", "soft"),
        points=("soft",),
        no_torch=True,
        two_streams="- --model -",
    ),
    "kd-split": Row("{faces} --share 0.5 -o {output} --rest {second}", ".h5", faces=("faces",), no_torch=True),
    "kd-teacher": Row(
        "{faces} --landmarks {soft} --val {test} --init {tough_model} --epochs 1 -o {output} " + TINY,
        ".safetensors",
        faces=("faces", "soft", "test"),
        models=("tough_model",),
        joined=("soft",),
        points=("soft", "test"),
        two_streams="- --landmarks -",
    ),
    "kd-student": Row(
        "{faces} --tough {tough} --tolerant {tolerant_model} --val {test} --epochs 1 -o {output} " + TINY,
        ".safetensors",
        faces=("faces", "tough", "test"),
        models=("tolerant_model",),
        either=("tough", "tolerant_model"),
        joined=("tough",),
        points=("tough", "tolerant_model", "test"),
        two_streams="- --tough - --tolerant -",
    ),
    "kd-export": Row("{student} --faces {faces} -o {output}", ".onnx", faces=("faces",), models=("student",)),
    "kd-predict": Row(
        "{student} {test} --device cpu -o {output}",
        ".h5",
        faces=("test",),
        models=("student",),
        points=("student",),
        two_streams="- -",
    ),
    "kd-info": Row("{faces} --json --no-inputs", faces=("faces",), either=("faces",), no_torch=True, two_streams="- -"),
    "kd-merge": Row(
        "{faces} {other} -o {output}",
        ".h5",
        faces=("faces", "other"),
        points=("other",),
        no_torch=True,
        two_streams="- -",
    ),
    "kd-dump": Row("{faces}", faces=("faces",), no_torch=True),
    "kd-view": Row(
        "{test} {pred} --size 48 --error-bars --no-legend -o {output}",
        ".png",
        faces=("test", "pred"),
        joined=("pred",),
        points=("pred",),
        no_torch=True,
        two_streams="- -",
    ),
    "kd-eval": Row(
        "{pred} --truth {test} --mean-shape {faces} --tsv",
        faces=("pred", "test", "faces"),
        joined=("pred",),
        points=("pred", "faces"),
        no_torch=True,
        two_streams="- --truth -",
    ),
}
WRITERS = sorted(name for name, row in TOOLS.items() if row.suffix)
TRAINERS = sorted(name for name, row in TOOLS.items() if row.suffix == ".safetensors")
every_tool = pytest.mark.parametrize("tool", sorted(SCRIPTS))
every_writer = pytest.mark.parametrize("tool", WRITERS)


# ---- running a tool
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
def standard_streams(stdin: int, stdout: int, stderr: int) -> Iterator[None]:
    """Put these descriptors in the place of 0, 1 and 2, for Python and for C alike."""
    before, kept = (sys.stdin, sys.stdout, sys.stderr), [os.dup(fd) for fd in range(3)]
    for stream in before[1:]:
        stream.flush()
    try:
        for fd, given in enumerate((stdin, stdout, stderr)):
            os.dup2(given, fd)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", 1, closefd=False)  # noqa: SIM115
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
    """Run a tool in this process, as its console script would; streams are bytes, or descriptors such as a terminal."""
    main, argv, handler = entry_point(tool), sys.argv, signal.getsignal(signal.SIGTERM)
    session.verbosity = session.n_skipped = 0
    sys.argv, status = [tool, *map(str, words)], -1
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        if isinstance(stdin, bytes):
            given.write(stdin)
            given.seek(0)
            stdin = given.fileno()
        try:
            with standard_streams(stdin, stdout or out.fileno(), stderr or err.fileno()):
                try:
                    main()
                except SystemExit as stop:
                    status = int(stop.code or 0)
        finally:
            sys.argv = argv
            signal.signal(signal.SIGTERM, handler)
        out.seek(0)
        err.seek(0)
        return Result(status, out.read(), err.read().decode())


def script(tool: str) -> str:
    """Path of a tool's console script."""
    path = Path(sys.executable).with_name(tool)
    assert path.exists(), f"{path}: install the package first (pip install -e .)"
    return str(path)


def start_tool(tool: str, *words: str | Path, **options: Any) -> subprocess.Popen[bytes]:
    """Start a tool in a process and process group of its own."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([script(tool), *map(str, words)], start_new_session=True, **{**pipes, **options})


def finish(process: subprocess.Popen[bytes], timeout: float = 60) -> Result:
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


def succeed(result: Result, status: int = 0) -> Result:
    """Assert that a run ended well, with nothing on standard output."""
    assert result.status == status, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == b""
    return result


def fail(result: Result, tool: str, status: int, *said: str) -> None:
    """Assert that a run failed in the documented way: one or two lines on standard error, `said` in the first."""
    assert result.status == status, result.stderr or result.stdout
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if not line.startswith(f"{tool}: skipped ")]
    errors = [k for k, line in enumerate(lines) if line.startswith(f"{tool}: error: ")]
    assert errors, f"no line starts with '{tool}: error: ': {result.stderr!r}"
    message = lines[errors[0] :]
    assert len(message) <= 2, result.stderr
    assert all(line.startswith("  ") for line in message[1:]), result.stderr
    assert "fault in kdtools" not in result.stderr
    for text in said:
        assert text in message[0], result.stderr
    assert result.stdout == b""


def left_in(folder: Path) -> list[str]:
    """Names of everything in a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


# ---- a small world
@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small run many times slower on several threads where other work keeps the cores busy."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.delenv("PYTHONUNBUFFERED", raising=False)
        yield
    torch.set_num_threads(before)


@dataclass(frozen=True)
class World:
    """Files by name, for the {names} in a row's words."""

    folder: Path
    files: dict[str, Path]

    def words(self, tool: str, output: str | Path, **changes: str | Path) -> list[str]:
        """The words of a right call of a tool, with some files changed."""
        files = {**self.files, "second": self.second_output(output), **changes, "output": output}
        return [word.format(**files) for word in TOOLS[tool].words.split()]

    def second_output(self, output: str | Path) -> Path:
        """The {second} that goes with an {output}: a name beside it, or in a folder of its own for `-`."""
        if output == "-":
            return Path(tempfile.mkdtemp(dir=self.folder)) / "second.h5"
        return Path(output).with_name(f"{Path(output).stem}-second{Path(output).suffix}")


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Twenty-four faces of 48 px, eight to test with, and what each tool makes of them."""
    folder = tmp_path_factory.mktemp("world")

    def make(name: str, tool: str, line: str) -> None:
        files[name] = folder / f"{name}{TOOLS[tool].suffix}"
        words = [word.format(**files) for word in line.split()]
        succeed(run_tool(tool, *words, "-o", files[name], "-q"))

    files: dict[str, Path] = {}
    make("faces", "kd-synth", "-n 24 --size 48 --seed 1 -j 1")
    make("test", "kd-synth", "-n 8 --size 48 --seed 2 -j 1")
    make("other", "kd-synth", "-n 24 --size 48 --seed 3 -j 1")
    files["five"] = write_five_points(files["faces"], folder / "five.h5")
    files["folder"] = write_pts_folder(files["test"], folder / "photographs")
    make("soft", "kd-asm", "{faces}")
    make("five_soft", "kd-asm", "{five}")
    make("tough_model", "kd-teacher", f"{{faces}} --val {{test}} --epochs 2 {TINY}")
    make("five_model", "kd-teacher", f"{{five}} --val {{five}} --epochs 1 {TINY}")
    make("tolerant_model", "kd-teacher", f"{{faces}} --landmarks {{soft}} --epochs 1 {TINY}")
    make("tough", "kd-predict", "{tough_model} {faces} --device cpu")
    make("student", "kd-student", f"{{faces}} --tough {{tough}} --tolerant {{tolerant_model}} --epochs 1 {TINY}")
    make("pred", "kd-predict", "{student} {test} --device cpu")
    return World(folder, files)


def write_five_points(source: Path, path: Path) -> Path:
    """A copy of a faces file with five points per face in place of its own, and another scheme."""
    shutil.copy(source, path)
    with h5py.File(path, "r+") as h5:
        points = h5["landmarks"][...][:, [36, 45, 30, 48, 54]]
        del h5["landmarks"], h5["visible"]
        h5["landmarks"] = points
        h5.attrs["scheme"] = "points5"
        corners = h5["landmarks"].attrs
        corners["role"], corners["outer_corners"] = "hard", np.array([0, 1])
    return path


def write_pts_folder(source: Path, folder: Path) -> Path:
    """The faces of a file as images with .pts files beside them."""
    folder.mkdir()
    with h5py.File(source) as h5:
        for k, (image, points) in enumerate(zip(h5["image"], h5["landmarks"], strict=True)):
            cv2.imwrite(str(folder / f"{k}.png"), image[..., ::-1])
            lines = "".join(f"{x + 1} {y + 1}\n" for x, y in points)
            (folder / f"{k}.pts").write_text(f"version: 1\nn_points: {len(points)}\n{{\n{lines}}}\n")
    return folder


def spoil(kind: str, good: Path, stranger: Path, folder: Path) -> Path:
    """A file of no use in the place of `good`; `stranger` is a good file other-kind."""
    path = folder / f"spoilt{good.suffix}"
    if kind == "directory":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("Faces:\n1 2 3\n" * 20)
    elif kind == "truncated":
        path.write_bytes(good.read_bytes()[: good.stat().st_size * 6 // 10])
    elif kind == "other-kind":
        shutil.copy(stranger, path)
    elif kind == "foreign":
        write_foreign(path)
    elif kind == "newer":
        write_newer(good, path)
    else:
        assert kind == "missing"
    return path


def write_foreign(path: Path) -> None:
    """A sound file that kdtools did not write."""
    if path.suffix == ".h5":
        with h5py.File(path, "w") as h5:
            h5["landmarks"] = np.zeros((3, 68, 2))
    else:
        save_file({"weight": np.zeros((3, 3), np.float32)}, path)


def write_newer(good: Path, path: Path) -> None:
    """A copy of a file that says it is of the next format version."""
    if path.suffix == ".h5":
        shutil.copy(good, path)
        with h5py.File(path, "r+") as h5:
            h5.attrs["kd_format"] = 2
        return
    with safe_open(good, framework="np") as stored:
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        fields = json.loads(stored.metadata()["kdtools"])
    save_file(tensors, path, metadata={"kdtools": json.dumps({**fields, "kd_format": 2})})


def check_product(path: Path) -> None:
    """Assert that a file is a whole picture, or a whole faces file or model file with its provenance."""
    if path.suffix == ".png":
        assert cv2.imread(str(path)) is not None
        return
    if path.suffix == ".h5":
        with h5py.File(path) as h5:
            found = dict(h5.attrs)
            assert len(h5["id"]) > 0
    elif path.suffix == ".onnx":
        session = onnxruntime.InferenceSession(path.read_bytes())
        found = json.loads(session.get_modelmeta().custom_metadata_map["kdtools"])
    else:
        with safe_open(path, framework="np") as stored:
            found = json.loads(stored.metadata()["kdtools"])
    assert found["kd_kind"] in ("faces", "model")
    assert found["kd_format"] == 1
    assert found["version"] == __version__
    assert {"created", "tool", "argv", "inputs"} <= found.keys()


def check_leftovers(folder: Path, output: Path) -> None:
    """Assert that beside the output there is nothing but what a training documents."""
    stem = output.with_suffix("").name
    allowed = {output.name, f"{stem}-second{output.suffix}"}
    if output.suffix == ".safetensors":
        allowed |= {f"{stem}.last.safetensors", f"{stem}.log.jsonl"}
    assert set(left_in(folder)) <= allowed


# ---- the table
def test_every_tool_has_a_row() -> None:
    assert set(TOOLS) == set(SCRIPTS), "each console script of pyproject.toml needs a row in TOOLS"


def test_rows_name_inputs_of_their_words() -> None:
    for row in TOOLS.values():
        names = set(re.findall(r"\{(\w+)\}", row.words))
        assert names - {"output", "second"} == {*row.faces, *row.models, *row.sources}
        assert {*row.either, *row.joined, *row.points} <= names
        assert ("output" in names) == bool(row.suffix)


# ---- help, version, usage
def options_of(tool: str) -> list[Any]:
    """The option records of a tool."""
    module = importlib.import_module(SCRIPTS[tool].partition(":")[0])
    app = typer.Typer(add_completion=False)
    app.command()(getattr(module, tool.replace("-", "_")))
    return [param for param in typer.main.get_command(app).params if param.param_type_name == "option"]


@every_tool
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help(tool: str, option: str) -> None:
    result = run_tool(tool, option)
    assert (result.status, result.stderr) == (0, "")
    text = result.stdout.decode()
    assert text.splitlines()[0].startswith(f"Usage: {tool} ")
    for record in options_of(tool):
        assert record.help, record.name
        for name in record.opts:
            assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text), name


@every_tool
def test_options_mean_the_same_everywhere(tool: str) -> None:
    letters = {"-o": "--output", "-f": "--force", "-q": "--quiet", "-v": "--verbose", "-j": "--jobs"}
    records = options_of(tool)
    names = [set(record.opts) for record in records]
    for letter, long in letters.items():
        assert all((letter in opts) == (long in opts) for opts in names)
    everywhere = {"--quiet", "--verbose", "--version"}
    wanted = everywhere | ({"--output", "--force"} if TOOLS[tool].suffix else set())
    assert wanted <= set().union(*names)
    assert len(records) - len(everywhere) <= LARGEST_N_OPTIONS


@every_tool
def test_version(tool: str) -> None:
    assert run_tool(tool, "--version") == Result(0, f"{tool} {__version__}\n".encode(), "")


@every_tool
@pytest.mark.parametrize("words", [["--no-such-option"], []])
def test_a_wrong_command_line(tool: str, words: list[str]) -> None:
    fail(run_tool(tool, *words), tool, 2)


@pytest.mark.parametrize("tool", sorted(name for name, row in TOOLS.items() if row.two_streams))
def test_only_one_input_can_be_standard_input(tool: str, tmp_path: Path) -> None:
    output = ["-o", str(tmp_path / "out")] if TOOLS[tool].suffix else []
    fail(run_tool(tool, *TOOLS[tool].two_streams.split(), *output), tool, 2)
    assert left_in(tmp_path) == []


def test_help_loads_nothing_heavy() -> None:
    code = f"""
import importlib, sys
for tool, place in {SCRIPTS!r}.items():
    module, _, name = place.partition(":")
    sys.argv = [tool, "--help"]
    try:
        getattr(importlib.import_module(module), name)()
    except SystemExit as stop:
        assert not stop.code
    loaded = [name for name in {HEAVY!r} if name in sys.modules]
    assert not loaded, (tool, loaded)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("tool", sorted(name for name, row in TOOLS.items() if row.no_torch))
def test_a_light_tool_never_loads_torch(tool: str, world: World, tmp_path: Path) -> None:
    module, _, name = SCRIPTS[tool].partition(":")
    argv = [tool, *world.words(tool, tmp_path / f"out{TOOLS[tool].suffix}")]
    code = f"""
import importlib, sys
sys.argv = {argv!r}
try:
    getattr(importlib.import_module({module!r}), {name!r})()
except SystemExit as stop:
    assert not stop.code
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def seconds_of(command: list[str]) -> float:
    """Wall time of a command that says nothing."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def test_help_is_as_fast_as_typer() -> None:
    """The least of several interleaved runs, since a busy machine only ever adds to a time."""
    commands = {tool: [script(tool), "--help"] for tool in SCRIPTS}
    commands["typer"] = [sys.executable, "-c", "import typer"]
    least = dict.fromkeys(commands, float("inf"))
    for attempt in range(12):
        for name, command in commands.items():
            least[name] = min(least[name], seconds_of(command))
        ratios = {tool: round(least[tool] / least["typer"], 2) for tool in SCRIPTS}
        if attempt >= 2 and max(ratios.values()) <= HELP_TIME_LIMIT:
            break
    print(f"time of --help over that of importing typer ({least['typer']:.3f} s): {ratios}")
    assert max(ratios.values()) <= HELP_TIME_LIMIT, ratios


# ---- outputs
@every_writer
def test_an_existing_output_is_kept_or_replaced(tool: str, world: World, tmp_path: Path) -> None:
    output = tmp_path / f"out{TOOLS[tool].suffix}"
    output.write_text("keep me")
    words = world.words(tool, output)
    fail(run_tool(tool, *words), tool, 1, str(output), "exists already")
    assert output.read_text() == "keep me"
    assert left_in(tmp_path) == [output.name]
    succeed(run_tool(tool, *words, "-f"))
    check_product(output)
    check_leftovers(tmp_path, output)


@every_writer
def test_a_quiet_run_says_nothing(tool: str, world: World, tmp_path: Path) -> None:
    """Under a name with spaces and non-ASCII letters, through a symbolic link that stays."""
    suffix = TOOLS[tool].suffix
    output, link = tmp_path / f"Ausgabe größer, 顔{suffix}", tmp_path / f"a link{suffix}"
    output.write_text("old")
    link.symlink_to(output)
    result = succeed(run_tool(tool, *world.words(tool, link), "-f", "-q"))
    assert result.stderr == ""
    assert link.is_symlink()
    check_product(output)


@every_writer
def test_an_output_in_a_missing_directory(tool: str, world: World, tmp_path: Path) -> None:
    output = tmp_path / "nowhere" / f"out{TOOLS[tool].suffix}"
    fail(run_tool(tool, *world.words(tool, output)), tool, 1, str(output), "there is no directory")
    assert left_in(tmp_path) == []


@every_writer
def test_an_output_that_is_a_directory(tool: str, world: World, tmp_path: Path) -> None:
    fail(run_tool(tool, *world.words(tool, tmp_path), "-f"), tool, 1, str(tmp_path), "is a directory")
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("tool", [name for name in WRITERS if TOOLS[name].suffix == ".h5" and TOOLS[name].faces])
def test_an_output_may_be_the_input(tool: str, world: World, tmp_path: Path) -> None:
    place = TOOLS[tool].faces[0]
    path = tmp_path / "faces.h5"
    shutil.copy(world.files[place], path)
    succeed(run_tool(tool, *world.words(tool, path, **{place: path}), "-f"))
    check_leftovers(tmp_path, path)
    with h5py.File(path) as new, h5py.File(world.files[place]) as old:
        assert new.attrs["tool"] == tool
        assert set(new["id"]) <= set(old["id"]) or tool == "kd-merge"  # it adds the faces of others


# ---- inputs
SPOILT_FACES = ("missing", "directory", "empty", "text", "truncated", "foreign", "newer", "other-kind")
SPOILT_SOURCES = ("missing", "empty", "text")


def spoilt_inputs() -> Iterator[Any]:
    """(tool, input, kind) for each input of each tool and each way in which it can be wrong."""
    for tool, row in TOOLS.items():
        for name in (*row.faces, *row.models):
            for kind in SPOILT_FACES:
                if kind != "other-kind" or name not in row.either:
                    yield pytest.param(tool, name, kind, id=f"{tool}-{name}-{kind}")
        for name in row.sources:
            for kind in SPOILT_SOURCES:
                yield pytest.param(tool, name, kind, id=f"{tool}-{name}-{kind}")


def spoil_source(kind: str, folder: Path) -> Path:
    """A folder of annotated images that is none."""
    path = folder / "spoilt"
    if kind == "empty":
        path.mkdir()
    elif kind == "text":
        path.write_text("no images in here")
    return path


@pytest.mark.parametrize(("tool", "name", "kind"), list(spoilt_inputs()))
def test_a_spoilt_input(tool: str, name: str, kind: str, world: World, tmp_path: Path) -> None:
    row, folder = TOOLS[tool], tmp_path / "out"
    folder.mkdir()
    if name in row.sources:
        spoilt = spoil_source(kind, tmp_path)
    else:
        stranger = world.files["faces" if name in row.models else "student"]
        spoilt = spoil(kind, world.files[name], stranger, tmp_path)
    fail(run_tool(tool, *world.words(tool, folder / f"out{row.suffix}", **{name: spoilt})), tool, 1, str(spoilt))
    assert left_in(folder) == []


def joined_inputs(attribute: str) -> list[Any]:
    """(tool, input) for each input that a row names in this attribute."""
    return [pytest.param(tool, name, id=f"{tool}-{name}") for tool in TOOLS for name in getattr(TOOLS[tool], attribute)]


@pytest.mark.parametrize(("tool", "name"), joined_inputs("joined"))
def test_ids_that_do_not_match(tool: str, name: str, world: World, tmp_path: Path) -> None:
    stranger = world.files["other"]
    words = world.words(tool, tmp_path / f"out{TOOLS[tool].suffix}", **{name: stranger})
    fail(run_tool(tool, *words), tool, 1, str(stranger), "'synth/", "lacks")
    assert left_in(tmp_path) == []


@pytest.mark.parametrize(("tool", "name"), joined_inputs("points"))
def test_a_wrong_number_of_points(tool: str, name: str, world: World, tmp_path: Path) -> None:
    row = TOOLS[tool]
    stranger = world.files["five_model" if name in row.models else "five_soft" if name == "soft" else "five"]
    result = run_tool(tool, *world.words(tool, tmp_path / f"out{row.suffix}", **{name: stranger}))
    fail(result, tool, 1, "points per face")
    assert re.search(r"\b68\b.*\b5\b|\b5\b.*\b68\b", result.stderr.splitlines()[-2]), result.stderr
    assert left_in(tmp_path) == []


def test_a_file_without_what_is_needed(world: World, tmp_path: Path) -> None:
    """Faces without images, and images without landmarks."""
    output = tmp_path / "out"
    for tool in ("kd-teacher", "kd-student"):
        words = world.words(tool, output, faces=world.files["soft"])
        fail(run_tool(tool, *words), tool, 1, str(world.files["soft"]), "holds no /image")
    bare = tmp_path / "bare.h5"
    succeed(run_tool("kd-import", world.files["folder"], "--format", "images", "--size", "32", "-o", bare))
    for tool, name in (("kd-teacher", "faces"), ("kd-asm", "faces"), ("kd-eval", "pred"), ("kd-eval", "test")):
        fail(run_tool(tool, *world.words(tool, output, **{name: bare})), tool, 1, str(bare), "holds no /landmarks")
    assert left_in(tmp_path) == ["bare.h5"]


def test_bad_images_are_skipped_by_import(world: World, tmp_path: Path) -> None:
    folder, output = tmp_path / "photographs", tmp_path / "out.h5"
    shutil.copytree(world.files["folder"], folder)
    (folder / "3.png").write_bytes(b"no image")
    (folder / "5.pts").write_text("version: 1\nn_points: 68\n{\n1 2\n}\n")
    result = succeed(run_tool("kd-import", folder, "--size", "48", "-o", output), status=4)
    assert len(re.findall(r"^kd-import: skipped ", result.stderr, re.MULTILINE)) == 2
    assert "3.png" in result.stderr
    assert "5.pts" in result.stderr
    with h5py.File(output) as h5:
        assert list(h5["id"].asstr()) == ["0.png", "1.png", "2.png", "4.png", "6.png", "7.png"]
        assert {len(h5[name]) for name in ("image", "landmarks", "box", "to_source", "source")} == {6}
        assert h5["image"].id.get_offset() is not None
        good = h5["image"][...]
    succeed(run_tool("kd-import", world.files["folder"], "--size", "48", "-o", output, "-f"))
    with h5py.File(output) as h5:
        np.testing.assert_array_equal(good, h5["image"][[0, 1, 2, 4, 6, 7]])


def test_import_without_a_good_image(world: World, tmp_path: Path) -> None:
    folder, out = tmp_path / "photographs", tmp_path / "out"
    out.mkdir()
    shutil.copytree(world.files["folder"], folder)
    for image in folder.glob("*.png"):
        image.write_bytes(image.read_bytes()[:100])
    fail(run_tool("kd-import", folder, "-o", out / "out.h5"), "kd-import", 1, "no face could be imported")
    assert left_in(out) == []


def test_broken_photographs_are_skipped_by_predict(world: World, tmp_path: Path) -> None:
    folder, output = tmp_path / "photographs", tmp_path / "out.h5"
    folder.mkdir()
    image = cv2.imread(str(world.files["folder"] / "0.png"))
    assert image is not None
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        cv2.imwrite(str(folder / name), image)
    (folder / "b.jpg").write_bytes((folder / "b.jpg").read_bytes()[:300])
    result = succeed(
        run_tool("kd-predict", world.files["student"], folder, "--detector", "whole", "-o", output), status=4
    )
    assert "kd-predict: skipped b.jpg: " in result.stderr
    with h5py.File(output) as h5:
        assert list(h5["id"].asstr()) == ["a.jpg", "c.jpg"]
    output.unlink()
    for path in folder.iterdir():
        path.write_bytes(b"\xff\xd8")
    fail(
        run_tool("kd-predict", world.files["student"], folder, "--detector", "whole", "-o", output),
        "kd-predict",
        1,
        "no face found",
    )
    assert not output.exists()


@pytest.mark.parametrize("tool", [name for name, row in TOOLS.items() if row.faces])
def test_verbose_shows_where_an_error_arose(tool: str, world: World, tmp_path: Path) -> None:
    words = world.words(tool, tmp_path / f"out{TOOLS[tool].suffix}", **{TOOLS[tool].faces[0]: tmp_path / "absent.h5"})
    result = run_tool(tool, *words, "-v")
    assert result.status == 1
    assert "Traceback" in result.stderr
    assert f"\n{tool}: error: {tmp_path / 'absent.h5'}: " in result.stderr


def test_a_second_output_that_fails_leaves_no_first(world: World, tmp_path: Path) -> None:
    """Status 1 means that nothing was written, pictures or not."""
    (tmp_path / "file").touch()
    words = world.words("kd-predict", tmp_path / "out.h5")
    fail(run_tool("kd-predict", *words, "--draw", tmp_path / "file"), "kd-predict", 1, str(tmp_path / "file"))
    assert left_in(tmp_path) == ["file"]
    plot, words = tmp_path / "nowhere" / "modes.png", world.words("kd-asm", tmp_path / "out.h5")
    fail(run_tool("kd-asm", *words, "--plot", plot), "kd-asm", 1, str(plot))
    assert left_in(tmp_path) == ["file"]


# ---- streams
@pytest.fixture
def spool_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go, to see whether they go away again."""
    folder = tmp_path / "spool"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@every_writer
def test_standard_output_takes_the_product(tool: str, world: World, tmp_path: Path, spool_folder: Path) -> None:
    result = run_tool(tool, *world.words(tool, "-"))
    assert result.status == 0, result.stderr
    output = tmp_path / f"out{TOOLS[tool].suffix}"
    output.write_bytes(result.stdout)
    check_product(output)
    assert left_in(spool_folder) == []


@every_writer
def test_a_product_is_refused_on_a_terminal(tool: str, world: World) -> None:
    master, slave = os.openpty()
    try:
        fail(run_tool(tool, *world.words(tool, "-"), stdout=slave), tool, 2, "terminal")
        assert select.select([master], [], [], 0)[0] == []
    finally:
        os.close(master)
        os.close(slave)


STREAM_INPUTS = [
    pytest.param(tool, name, id=f"{tool}-{name}") for tool in TOOLS for name in TOOLS[tool].faces if TOOLS[tool].faces
]


@pytest.mark.parametrize(("tool", "name"), STREAM_INPUTS)
def test_standard_input_takes_a_faces_file(
    tool: str, name: str, world: World, tmp_path: Path, spool_folder: Path
) -> None:
    folder, suffix = tmp_path / "out", TOOLS[tool].suffix
    folder.mkdir()
    data = world.files[name].read_bytes()
    result = run_tool(tool, *world.words(tool, folder / f"piped{suffix}", **{name: "-"}), stdin=data)
    assert result.status == 0, result.stderr
    direct = run_tool(tool, *world.words(tool, folder / f"named{suffix}"))
    assert content_of(result.stdout, folder / f"piped{suffix}", name) == content_of(
        direct.stdout.replace(str(world.files[name]).encode(), b"standard input"), folder / f"named{suffix}", name
    )
    assert left_in(spool_folder) == []


def content_of(stdout: bytes, path: Path, name: str) -> Any:
    """What a run gave, apart from its provenance: the report, or every array."""
    if path.suffix == ".h5":
        arrays: dict[str, Any] = {}
        with h5py.File(path) as h5:
            h5.visititems(lambda key, item: arrays.update({key: np.asarray(item).tolist()}) if item.name else None)
        return arrays
    if path.suffix == ".safetensors":
        with safe_open(path, framework="np") as stored:
            return {key: stored.get_tensor(key).tobytes() for key in stored.keys()}  # noqa: SIM118
    if path.suffix == ".png":
        return path.read_bytes()
    return stdout


@pytest.mark.parametrize("kind", ["empty", "text", "truncated"])
def test_bad_standard_input(kind: str, world: World, spool_folder: Path, tmp_path: Path) -> None:
    spoilt = spoil(kind, world.files["pred"], world.files["student"], tmp_path).read_bytes()
    result = run_tool("kd-eval", "-", "--truth", world.files["test"], stdin=spoilt)
    fail(result, "kd-eval", 1, "standard input")
    assert left_in(spool_folder) == []


def test_standard_input_that_is_a_terminal(world: World) -> None:
    master, slave = os.openpty()
    try:
        fail(run_tool("kd-eval", "-", "--truth", world.files["test"], stdin=slave), "kd-eval", 2, "terminal")
    finally:
        os.close(master)
        os.close(slave)


def test_a_pipe_from_predict_to_eval(world: World) -> None:
    files = world.files
    line = '"$1" "$3" "$4" -q -o - | "$2" - --truth "$4" --value nme_percent'
    command = ["bash", "-o", "pipefail", "-c", line, "-", script("kd-predict"), script("kd-eval")]
    done = subprocess.run(
        [*command, files["student"], files["test"]], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    direct = run_tool("kd-eval", files["pred"], "--truth", files["test"], "--value", "nme_percent")
    assert float(done.stdout) == pytest.approx(float(direct.stdout), abs=1e-3)


@pytest.mark.parametrize("tool", ["kd-eval", "kd-synth"])
@pytest.mark.parametrize("help_only", [True, False])
def test_a_reader_that_left(tool: str, help_only: bool, world: World) -> None:
    """A text and a binary product into a pipe that nobody reads, and --help too: no traceback, no message."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        words = ["--help"] if help_only else [*world.words(tool, "-"), "-q"]
        result = run_script(tool, *words, stdout=writer)
    finally:
        os.close(writer)
    assert result.stderr == ""
    assert result.status == 128 + signal.SIGPIPE


def test_progress_is_for_terminals_and_not_with_quiet(tmp_path: Path) -> None:
    def said(*words: str) -> bytes:
        master, slave = os.openpty()
        try:
            call = ["-n", "3", "--size", "16", "-j", "1", "-f", "-o", str(tmp_path / "out.h5")]
            succeed(run_tool("kd-synth", *call, *words, stderr=slave))
            return os.read(master, 1 << 16) if select.select([master], [], [], 0)[0] else b""
        finally:
            os.close(master)
            os.close(slave)

    assert b"drawing" in said()
    assert said("-q") == b""


# ---- a full device
@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts a disk of so many bytes; skips where that is not permitted."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(n_bytes: int) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", f"size={n_bytes}", "none", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            pytest.skip(f"no mount: {error}")
        if done.returncode:
            pytest.skip(f"mounting is not permitted: {done.stderr.strip()}")
        return folder

    yield mount
    if folder.is_mount():
        subprocess.run(["umount", "-l", str(folder)], check=True)


@every_writer
def test_a_full_disk(tool: str, world: World, small_disk: Callable[[int], Path]) -> None:
    folder = small_disk(4096)
    output = folder / f"out{TOOLS[tool].suffix}"
    fail(run_script(tool, *world.words(tool, output)), tool, 1, str(folder / "out"), os.strerror(errno.ENOSPC))
    assert set(left_in(folder)) <= ({"out.log.jsonl"} if tool in TRAINERS else set())


def limit_file_size() -> None:
    """Let no file of this process grow past 4 KiB."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


@pytest.mark.parametrize("tool", [name for name in WRITERS if TOOLS[name].no_torch] + ["kd-teacher"])
def test_a_file_that_may_not_grow(tool: str, world: World, tmp_path: Path) -> None:
    """The same by a limit on the size of files, which needs no permission."""
    output = tmp_path / f"out{TOOLS[tool].suffix}"
    result = run_script(tool, *world.words(tool, output), preexec_fn=limit_file_size)
    fail(result, tool, 1, str(tmp_path / "out"), os.strerror(errno.EFBIG))
    assert set(left_in(tmp_path)) <= ({"out.log.jsonl"} if tool in TRAINERS else set())


def test_a_disk_that_fills_in_the_middle_of_a_training(world: World, small_disk: Callable[[int], Path]) -> None:
    """Room for the first checkpoint and the best network, not for the optimiser's state after an epoch."""
    folder = small_disk(world.files["tough_model"].stat().st_size * 5 // 2)
    result = run_tool("kd-teacher", *world.words("kd-teacher", folder / "out.safetensors"))
    fail(result, "kd-teacher", 1, str(folder / "out"), os.strerror(errno.ENOSPC))
    assert set(left_in(folder)) <= {"out.last.safetensors", "out.best.safetensors", "out.log.jsonl"}
    check_product(folder / "out.last.safetensors")


@pytest.mark.parametrize("tool", ["kd-eval", "kd-synth"])
@pytest.mark.parametrize("help_only", [True, False])
def test_standard_output_on_a_full_disk(tool: str, help_only: bool, world: World) -> None:
    with open("/dev/full", "wb") as full:
        words = ["--help"] if help_only else [*world.words(tool, "-"), "-q"]
        result = run_script(tool, *words, stdout=full)
    fail(result, tool, 1, os.strerror(errno.ENOSPC))


# ---- signals
def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float = 60) -> None:
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


SIGNALS = pytest.mark.parametrize(
    ("number", "status", "word"), [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")]
)


@SIGNALS
def test_a_signal_while_faces_are_drawn(number: int, status: int, word: str, tmp_path: Path) -> None:
    """SIGTERM goes to the tool alone, as kill sends it; SIGINT to its workers too, as a terminal sends Ctrl-C."""
    output = tmp_path / "out.h5"
    process = start_tool("kd-synth", "-n", "50000", "--size", "64", "-j", "2", "-o", output)
    wait_for(lambda: bool(left_in(tmp_path)), process)
    time.sleep(1.0)
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    result = finish(process)
    assert (result.status, result.stdout, result.stderr) == (status, b"", f"kd-synth: {word}\n")
    assert left_in(tmp_path) == []
    assert group_is_gone(process.pid)


LONG = f"--epochs 30 --schedule time {TINY}"


@pytest.mark.parametrize(
    ("tool", "number", "status", "word"),
    [("kd-teacher", signal.SIGTERM, 143, "terminated"), ("kd-student", signal.SIGINT, 130, "interrupted")],
)
def test_an_interrupted_training_goes_on(
    tool: str, number: int, status: int, word: str, world: World, tmp_path: Path
) -> None:
    """What is left is a usable model, and --resume ends with the very file of a run that was not interrupted."""
    output, last, log = (tmp_path / f"out{end}" for end in (".safetensors", ".last.safetensors", ".log.jsonl"))
    teachers = ["--tough", world.files["tough"], "--tolerant", world.files["tough"]] if tool == "kd-student" else []
    call = [str(word) for word in (world.files["faces"], *teachers, *LONG.split(), "-o", output)]
    process = start_tool(tool, *call)
    wait_for(lambda: log.exists() and log.stat().st_size > 0, process)
    process.send_signal(number)
    result = finish(process)
    assert result.status == status, result.stderr
    assert result.stderr.splitlines()[-1] == f"{tool}: {word}"
    assert "Traceback" not in result.stderr
    assert left_in(tmp_path) == ["out.best.safetensors", last.name, log.name]
    n_done = len(log.read_text().splitlines())
    assert 1 <= n_done < 30
    succeed(run_tool("kd-predict", last, world.files["test"], "--device", "cpu", "-o", tmp_path / "pred.h5"))
    resumed = succeed(run_tool(tool, *call, "--resume"))
    assert re.search(rf"resumed after epoch ({n_done}|{n_done + 1}) of 30", resumed.stderr)
    check_product(output)
    assert left_in(tmp_path) == [last.name, log.name, output.name, "pred.h5"]
    assert [json.loads(line)["epoch"] for line in log.read_text().splitlines()] == list(range(1, 31))
    whole = tmp_path / "whole.safetensors"
    succeed(run_tool(tool, *call[:-1], str(whole)))
    assert whole.read_bytes() == output.read_bytes()


def test_resume_of_a_finished_training(world: World, tmp_path: Path) -> None:
    """With its output in place there is nothing to do; else it gives the same file again, or says why it cannot."""
    output = tmp_path / "out.safetensors"
    words = world.words("kd-teacher", output)
    succeed(run_tool("kd-teacher", *words))
    before = output.read_bytes()
    succeed(run_tool("kd-teacher", *words, "--resume"))
    assert output.read_bytes() == before
    for extra in (["-f"], []):
        result = run_tool("kd-teacher", *words, "--resume", *extra)
        if result.status:
            fail(result, "kd-teacher", 1)
            assert "--resume" in result.stderr
        if result.status == 0 or extra:
            assert output.read_bytes() == before
        output.unlink(missing_ok=True)


# ---- the same seed
@every_writer
def test_the_same_call_gives_the_same_file(tool: str, world: World, tmp_path: Path) -> None:
    """Under another name, by another process, with other jobs."""
    suffix = TOOLS[tool].suffix
    jobs = any("--jobs" in record.opts for record in options_of(tool))
    outputs = [tmp_path / f"one{suffix}", tmp_path / f"another{suffix}"]
    succeed(run_tool(tool, *world.words(tool, outputs[0]), *(["-j", "1"] if jobs else [])))
    succeed(run_script(tool, *world.words(tool, outputs[1]), *(["-j", "2"] if jobs else []), "-q"))
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_another_seed_gives_another_file(tmp_path: Path) -> None:
    outputs = [tmp_path / name for name in ("one.h5", "two.h5")]
    for seed, output in enumerate(outputs):
        succeed(run_tool("kd-synth", "-n", "2", "--size", "16", "-j", "1", "--seed", str(seed), "-o", output))
    with h5py.File(outputs[0]) as one, h5py.File(outputs[1]) as two:
        assert not np.array_equal(one["image"], two["image"])
