"""Standard input and output: `-`, pipes, readers that leave, streams that the shell has closed or cannot write."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from warm import Warm

from .running import CLOSED, fail, left_in, run_script, run_tool, script, succeed
from .table import TOOLS, every_tool
from .world import World, check_product, content_of

PRINTERS = sorted(name for name, row in TOOLS.items() if row.suffix or row.printed is not None)
every_printer = pytest.mark.parametrize("tool", PRINTERS)


@every_printer
def test_standard_output_takes_the_product(tool: str, world: World, tmp_path: Path, spool_folder: Path) -> None:
    result = run_tool(tool, *world.words(tool, "-"))
    assert result.status == 0, result.stderr
    if TOOLS[tool].printed is not None:
        assert b"\x1b" not in result.stdout
    if TOOLS[tool].suffix:
        output = tmp_path / f"out{TOOLS[tool].suffix}"
        output.write_bytes(result.stdout)
        check_product(output)
    assert left_in(spool_folder) == []


STREAM_INPUTS = [pytest.param(tool, name, id=f"{tool}-{name}") for tool in TOOLS for name in TOOLS[tool].faces]


@pytest.mark.parametrize(("tool", "name"), STREAM_INPUTS)
def test_standard_input_takes_a_faces_file(
    tool: str, name: str, world: World, tmp_path: Path, spool_folder: Path
) -> None:
    folder, suffix = tmp_path / "out", TOOLS[tool].suffix
    folder.mkdir()
    data = world.files[name].read_bytes()
    result = run_tool(tool, *world.words(tool, folder / f"piped{suffix}", **{name: "-"}), stdin=data)
    assert result.status == 0, result.stderr
    if suffix == ".onnx":  # what it says of its input changes the length of what stands before
        check_product(folder / f"piped{suffix}")
        return
    direct = run_tool(tool, *world.words(tool, folder / f"named{suffix}"))
    piped = content_of(result.stdout, folder / f"piped{suffix}")
    named = content_of(direct.stdout, folder / f"named{suffix}")
    if isinstance(named, bytes):  # a report names its inputs
        named = re.sub(rb'/[^"\t\n]*/' + world.files[name].name.encode(), b"standard input", named)
    assert piped == named
    assert left_in(spool_folder) == []


def test_a_pipe_from_predict_to_eval(world: World, warm: Warm) -> None:
    files = world.files
    line = '"$1" "$3" "$4" -q -o - | "$2" - --truth "$4" --value nme_percent'
    command = ["bash", "-o", "pipefail", "-c", line, "-", warm.script("kd-predict"), script("kd-eval")]
    done = subprocess.run(
        [*command, files["student"], files["test"]], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    direct = run_tool("kd-eval", files["pred"], "--truth", files["test"], "--value", "nme_percent")
    assert float(done.stdout) == pytest.approx(float(direct.stdout), abs=1e-3)


# ---- a reader that left
@pytest.fixture
def broken_pipe() -> Iterator[int]:
    """The end to write to of a pipe that nobody reads, as `| head -1` leaves it."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@every_printer
def test_a_reader_that_left(tool: str, world: World, broken_pipe: int, spool_folder: Path) -> None:
    """No traceback, no message, and no temporary file, of a text, of binary data and of --help."""
    for words in ([*world.words(tool, "-"), "-q"], ["--help"], ["--version"]):
        result = run_tool(tool, *words, stdout=broken_pipe)
        assert (result.status, result.stderr) == (128 + signal.SIGPIPE, ""), words
    assert left_in(spool_folder) == []


@pytest.mark.parametrize("tool", ["kd-eval", "kd-synth"])
def test_a_reader_that_left_a_process(tool: str, world: World, broken_pipe: int) -> None:
    """Python too has nothing to say as it ends."""
    result = run_script(tool, *world.words(tool, "-"), "-q", stdout=broken_pipe)
    assert (result.status, result.stderr) == (128 + signal.SIGPIPE, "")


# ---- a device that takes nothing
@every_printer
def test_standard_output_on_a_full_disk(tool: str, world: World, spool_folder: Path) -> None:
    with open("/dev/full", "wb") as full:
        for words in ([*world.words(tool, "-"), "-q"], ["--help"]):
            fail(run_tool(tool, *words, stdout=full.fileno()), tool, 1, "standard output", os.strerror(errno.ENOSPC))
    assert left_in(spool_folder) == []


@pytest.mark.parametrize("n", [1, 100_000])
def test_long_texts_and_short_ones_fail_alike(n: int) -> None:
    code = f"import sys; from kdtools.cli._app import run; run('kd-info', lambda: sys.stdout.write('x' * {n}) and 0)"
    for unbuffered in ("", "1"):
        environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
        with open("/dev/full", "wb") as full:
            done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=-1, env=environment, check=False)
        assert done.stderr.decode() == "kd-info: error: standard output: No space left on device\n"
        assert done.returncode == 1


@pytest.mark.parametrize("tool", ["kd-eval", "kd-synth"])
def test_standard_output_of_a_process_on_a_full_disk(tool: str, world: World) -> None:
    with open("/dev/full", "wb") as full:
        result = run_script(tool, *world.words(tool, "-"), "-q", stdout=full)
    fail(result, tool, 1, os.strerror(errno.ENOSPC))


# ---- closed by the shell: >&-, 2>&-, <&-
@every_printer
def test_a_closed_standard_output(tool: str, world: World, tmp_path: Path, spool_folder: Path) -> None:
    """A product for it is lost, and that is said; a file gets its own all the same."""
    fail(run_tool(tool, *world.words(tool, "-"), stdout=CLOSED), tool, 1, "standard output", os.strerror(errno.EBADF))
    assert left_in(spool_folder) == []
    if TOOLS[tool].suffix:
        output = tmp_path / f"out{TOOLS[tool].suffix}"
        succeed(run_tool(tool, *world.words(tool, output), stdout=CLOSED))
        check_product(output)


@every_tool
def test_a_closed_standard_error(tool: str, world: World, tmp_path: Path) -> None:
    """Messages are lost, and nothing else."""
    output = tmp_path / f"out{TOOLS[tool].suffix}"
    result = run_tool(tool, *world.words(tool, output), stderr=CLOSED)
    assert (result.status, result.stderr) == (0, "")
    if TOOLS[tool].suffix:
        check_product(output)
        assert run_tool(tool, *world.words(tool, output), stderr=CLOSED).status == 1


@pytest.mark.parametrize(("tool", "name"), STREAM_INPUTS[:1] + STREAM_INPUTS[-1:])
def test_a_closed_standard_input(tool: str, name: str, world: World, tmp_path: Path) -> None:
    words = world.words(tool, tmp_path / f"out{TOOLS[tool].suffix}", **{name: "-"})
    fail(run_tool(tool, *words, stdin=CLOSED), tool, 1, "standard input", os.strerror(errno.EBADF))
    assert left_in(tmp_path) == []


def test_a_process_without_any_stream(world: World, tmp_path: Path) -> None:
    """Files that it opens do not come to stand in the places of the streams."""
    line = '"$@" <&- >&- 2>&-'
    output = tmp_path / "out.h5"
    command = ["sh", "-c", line, "-", script("kd-synth"), *world.words("kd-synth", output)]
    assert subprocess.run(command, check=False).returncode == 0
    check_product(output)
