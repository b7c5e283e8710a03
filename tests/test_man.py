"""The manual pages: as the code is, as mandoc wants them, at most 80 columns wide, and their examples run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import h5py
import pytest
from docs_shell import IN_FULL, Shell
from page_facts import BUGS, SYNOPSES, WORKFLOW
from update_pages import MAN, OF_EVERY_TOOL, OVERVIEW, TOOLS, command_of, synopsis_macros, update
from warm import Warm

from kdtools import __version__
from kdtools.cli._tools import PURPOSES
from kdtools.faces.file import open_faces
from kdtools.images.detection import FaceFinder
from kdtools.images.reading import read_image
from kdtools.model.card import read_card

REPOSITORY = MAN.parent
PAGES = sorted(path.name for path in MAN.glob("*.[1-9]"))
SECTIONS = ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "ENVIRONMENT", "FILES", "EXIT STATUS", "EXAMPLES", "NOTES"]
CLOSING = ["SEE ALSO", "AUTHORS", "BUGS"]
every_page = pytest.mark.parametrize("name", PAGES)
SMALL = "--arch test_resnet --input-size 32 --epochs 1 --batch 8 --device cpu"
OUTPUTS = re.compile(r"(?:-o |--rest |--draw |--plot ced=|--plot-modes )'?([\w.{}$/-]+)")


def sections_of(text: str) -> dict[str, str]:
    parts = re.split(r"^\.Sh (.*)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


# ---- what they say
def test_every_tool_has_its_page_and_no_page_is_left_over() -> None:
    assert sorted([*(f"{tool}.1" for tool in TOOLS), "kd-hdf5.5", OVERVIEW]) == PAGES


@every_page
def test_made_parts_are_those_of_the_code(name: str) -> None:
    text = (MAN / name).read_text()
    assert update(text, name) == text, "an option or a table was changed: make man"


@pytest.mark.parametrize("tool", TOOLS)
def test_every_option_is_there(tool: str) -> None:
    """By the command itself, not by what made the page."""
    text = (MAN / f"{tool}.1").read_text()
    assert all(f'.\\" begin {part}\n' in text for part in OF_EVERY_TOOL)
    options = sections_of(text)["OPTIONS"].replace("\\-", "-")
    command, context = command_of(tool)
    for parameter in command.get_params(context):
        for option in (*parameter.opts, *parameter.secondary_opts):
            if option.startswith("-"):
                assert re.search(rf"^\.It .*Fl {re.escape(option[1:])}( |$)", options, re.MULTILINE), option
            else:
                assert re.search(rf"^\.It Ar {parameter.metavar}( |$)", options, re.MULTILINE), option


@pytest.mark.parametrize("tool", TOOLS)
def test_sections_stand_in_their_order(tool: str) -> None:
    found = list(sections_of((MAN / f"{tool}.1").read_text()))
    optional = {"FILES", "NOTES"}
    assert [name for name in found if name not in optional] == [
        *(name for name in SECTIONS if name not in optional),
        *CLOSING,
    ]
    assert [name for name in SECTIONS if name in found] == found[:-3]


@every_page
def test_every_page_ends_with_references_authors_and_bugs(name: str) -> None:
    sections = sections_of((MAN / name).read_text())
    assert list(sections)[-3:] == CLOSING
    assert "kdtools doctor" in sections["BUGS"]


@pytest.mark.parametrize("tool", TOOLS)
def test_synopses_are_calls_that_the_tool_takes(tool: str) -> None:
    """Their options and values are the tool's, and each has all that is required, unless its option ends the tool."""
    command, context = command_of(tool)
    parameters = command.get_params(context)
    values = {name: option.metavar for option in parameters for name in (*option.opts, *option.secondary_opts)}
    arguments = {option.metavar for option in parameters if option.param_type_name == "argument"}
    required = [option for option in parameters if option.required]
    for synopsis in SYNOPSES[tool]:
        words = re.sub(r"[][]|NAME=(?=PRED)", "", synopsis).split()  # a name may be given to an argument
        for word, following in zip(words, [*words[1:], ""], strict=True):
            if word.startswith("-"):
                assert word in values, synopsis
                if values[word] is not None:
                    assert following.islower() or following == values[word], f"{synopsis}: {word} {values[word]}"
            elif word.isupper() and word not in values.values():
                assert word in arguments, f"{synopsis}: {word}"
        if not {"--formats", "--bundled", "--show-settings"} & set(words):
            for option in required:
                assert {option.metavar, *option.opts} & set(words), f"{synopsis}: {option.opts}"


def test_synopses_in_mdoc() -> None:
    assert synopsis_macros("[options] --share SHARE FACES ... [-o FILE]") == (
        ".Op Ar options\n.Fl \\-share\n.Ar SHARE\n.Ar FACES ...\n.Op Fl o Ar FILE\n"
    )
    assert synopsis_macros("--precision int8 MODEL") == ".Fl \\-precision\n.Cm int8\n.Ar MODEL\n"


def test_every_tool_has_its_place_in_the_workflow() -> None:
    assert set(SYNOPSES) == set(TOOLS)
    assert set(WORKFLOW) == {*TOOLS, "kd-hdf5"}
    assert set(BUGS) <= {*WORKFLOW, OVERVIEW}
    for tool, (before, after, related) in WORKFLOW.items():
        assert set(f"{before} {after} {related}".split()) <= set(TOOLS)
        assert tool not in related


def test_kdtools_lists_every_tool_with_the_purpose_of_its_page() -> None:
    named = {tool: re.findall(r"^\.Nd (.*)$", (MAN / f"{tool}.1").read_text(), re.MULTILINE) for tool in TOOLS}
    assert {tool: [purpose] for tool, purpose in PURPOSES.items()} == named


SKIPPING = ("kd-eval", "kd-import", "kd-info", "kd-merge", "kd-predict", "kd-view")


@pytest.mark.parametrize("tool", TOOLS)
def test_statuses_are_those_the_tool_may_end_with(tool: str) -> None:
    """3 where its source says that it may answer no; 4 where it, or the library for it, may skip inputs."""
    source = (REPOSITORY / "kdtools" / "cli" / f"{tool.replace('-', '_')}.py").read_text()
    statuses = re.findall(r"^\.It (\d+)$", sections_of((MAN / f"{tool}.1").read_text())["EXIT STATUS"], re.MULTILINE)
    expected = ["0", "1", "2", "3" * ("NEGATIVE" in source), "4" * (tool in SKIPPING), "130", "141", "143"]
    assert statuses == [status for status in expected if status]


@every_page
def test_other_pages_that_are_named_are_there(name: str) -> None:
    named = re.findall(r"Xr (\S+) (\d)", (MAN / name).read_text())
    assert {f"{page}.{section}" for page, section in named} <= set(PAGES)
    assert f"{name.partition('.')[0]} {name[-1]}" not in {" ".join(other) for other in named[-8:]}


@every_page
def test_lines_to_be_typed_can_be_copied(name: str) -> None:
    """A bare hyphen or quote becomes another sign in some terminals."""
    for display in displays_of((MAN / name).read_text()):
        assert not re.search(r"(?<!\\)-|['`^~]", display), display


# ---- how they look
@every_page
def test_mandoc_finds_nothing_to_complain_of(name: str) -> None:
    if shutil.which("mandoc") is None:
        pytest.skip("mandoc is not installed")
    lint = subprocess.run(["mandoc", "-T", "lint", MAN / name], capture_output=True, text=True, check=False)
    # Pages that are not installed yet are another test's; what Os is there for is the version.
    known = ("referenced manual not found", "operating system explicitly specified")
    lines = [line for line in lint.stdout.splitlines() if not any(text in line for text in known)]
    assert lines == []


@every_page
def test_no_line_is_wider_than_a_terminal(name: str) -> None:
    if shutil.which("mandoc") is None:
        pytest.skip("mandoc is not installed")
    command = ["mandoc", "-T", "utf8", "-O", "width=78", MAN / name]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = re.sub(r".\x08", "", shown).splitlines()
    assert [line for line in lines if len(line) > 80] == []


@every_page
def test_head_and_foot_are_those_of_kdtools(name: str) -> None:
    """groff, which man(1) uses on Linux, has "BSD General Commands Manual" in the head unless a page says otherwise."""
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    command = ["groff", "-mdoc", "-Tutf8", MAN / name]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().splitlines()
    assert "kdtools Manual" in lines[0]
    assert re.fullmatch(rf"kdtools {re.escape(__version__)} +[A-Z]\w+ \d+, \d{{4}} +kdtools \S+", lines[-1])
    assert "BSD" not in lines[0] + lines[-1]


def test_they_are_installed_with_the_package() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    installed = project["tool"]["setuptools"]["data-files"]
    for name in PAGES:
        assert f"man/*.{name[-1]}" in installed[f"share/man/man{name[-1]}"]


# ---- their examples
def displays_of(text: str) -> list[str]:
    """The lines to be typed, as they stand in a page."""
    return re.findall(r"^\.Bd -literal -offset indent\n(.*?)^\.Ed$", text, re.MULTILINE | re.DOTALL)


def as_typed(display: str) -> str:
    for name, sign in (("aq", "'"), ("ha", "^"), ("ti", "~"), ("ga", "`")):
        display = display.replace(f"\\({name}", sign)
    return display.replace("\\-", "-").replace("\\e", "\\")


def examples_of(name: str) -> list[str]:
    return [as_typed(display) for display in displays_of(sections_of((MAN / name).read_text())["EXAMPLES"])]


@pytest.fixture(scope="module")
def shell(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return Shell(warm, tmp_path_factory.mktemp("shell"))


@pytest.fixture(scope="module")
def world(shell: Shell, tiny_onnx: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of everything that the examples read, by the names that they use."""
    folder = tmp_path_factory.mktemp("world")
    shutil.copy(tiny_onnx, folder / "student.onnx")
    lines = f"""
        kd-synth -n 24 --size 64 --seed 1 -j 1 -o train.h5
        kd-synth -n 8 --size 64 --seed 2 -o test.h5
        kd-synth -n 8 --size 64 --seed 3 -o other.h5
        kd-merge --prefix train.h5 test.h5 other.h5 --add-subset 'test=test/*' -o faces.h5
        cp train.h5 copy.h5
        kd-asm train.h5 -o soft.h5
        kd-teacher train.h5 --val test.h5 -o tough.safetensors {SMALL}
        cp tough.safetensors tolerant.safetensors
        cp tough.safetensors student.safetensors
        kd-predict student.safetensors test.h5 --backend torch -o pred.h5
        kd-predict tough.safetensors train.h5 --backend torch -o tough.h5
        cp tough.h5 tolerant.h5
        cp pred.h5 l2.h5
        kd-predict student.onnx test.h5 -o kd.h5
        for k in 1 2; do cp l2.h5 l2.$k.h5; cp kd.h5 kd.$k.h5; done
        kd-split pred.h5 --share 0.5 --group '(.*)' -o part1.h5 --rest part2.h5
        kd-synth -n 24 --size 96 --margin 0.5 --seed 4 -o drawn.h5
        kd-dump drawn.h5 --format pts --crops photos/train -o photos/train
        kd-synth -n 12 --size 96 --margin 0.5 --seed 5 -o drawn.h5 -f
        kd-dump drawn.h5 --format pts --crops photos/test -o photos/test
        rm drawn.h5 tough.last.safetensors tough.log.jsonl
        """
    made = shell.run(f"mkdir photos\n{lines}", folder, **IN_FULL)
    assert made.returncode == 0, made.stderr
    shutil.copy(folder / "train.h5", folder / "mirrored.h5")  # as kd-predict --flip of a good network would answer
    with h5py.File(folder / "mirrored.h5", "r+") as h5:
        h5["landmarks"].attrs.update({"role": "predicted", "flipped": True})
    detector = FaceFinder()
    for image in (folder / "photos").rglob("*.png"):  # not every drawing looks like a face to it
        if not detector.find_boxes(read_image(image)):
            image.unlink()
            image.with_suffix(".pts").unlink()
    made = shell.run("kd-import photos --no-images -o points.h5; kd-dump points.h5 -o points.csv; rm points.h5", folder)
    assert made.returncode == 0, made.stderr
    return folder


def cases() -> Iterator[object]:
    """The first of each page; the others, and exports, which take seconds each, are for make soak, and CI."""
    for name in PAGES:
        for number, example in enumerate(examples_of(name)):
            marks = [pytest.mark.soak] if number > 0 or "kd-export" in example else []
            yield pytest.param(name, number, marks=marks)


@pytest.mark.parametrize(("name", "number"), list(cases()))
def test_examples_run(name: str, number: int, shell: Shell, world: Path, tmp_path: Path) -> None:
    """Each in a folder of its own; what it writes is whole and of its kind."""
    example = examples_of(name)[number]
    if "h5dump" in example and shutil.which("h5dump") is None:
        pytest.skip("HDF5's tools are not installed")
    folder = tmp_path / "work"
    shutil.copytree(world, folder, copy_function=os.link)
    outputs = [folder / output.replace("{}", "1").replace("$k", "1") for output in OUTPUTS.findall(example)]
    for output in outputs:
        if output.is_file():
            output.unlink()
    before = set(folder.rglob("*"))
    ran = shell.run(example, folder)
    left = 141 if "| head" in example else 0  # a tool whose reader leaves early
    assert ran.returncode in (0, left), f"{example}\n{ran.stderr}"
    assert "Traceback" not in ran.stderr
    for output in outputs:
        if output.name == "-":
            continue
        assert output.is_dir() or output.stat().st_size > 0, output
        if output.suffix == ".h5":
            with open_faces(output) as faces:
                assert len(faces) > 0
        elif output.suffix in (".safetensors", ".onnx"):
            assert read_card(output)[0].scheme.name == "ibug68"
    made = set(folder.rglob("*")) - before
    assert outputs or made or ran.stdout or "$(" in example, "an example that does nothing"
