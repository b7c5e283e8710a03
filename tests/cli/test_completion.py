"""The tab key: what tools answer to the shells, whether every option is thought of, and the three shells themselves."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from update_pages import TOOLS, command_of

from kdtools.cli import _complete
from kdtools.cli._app import COMPLETE

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPTS = REPOSITORY / "completions"
TIMEOUT = 120  # on a busy machine
every_tool = pytest.mark.parametrize("tool", TOOLS)


def answers(line: str) -> list[str]:
    """What may stand where a command line ends."""
    tool, *words = line.split(" ")
    return [value for value, _ in _complete.completions(*command_of(tool), tool, words)]


# ---- the answers
@every_tool
def test_every_option_is_offered_with_the_beginning_of_its_help(tool: str) -> None:
    command, context = command_of(tool)
    offered = dict(_complete.completions(command, context, tool, ["-"]))
    for parameter in command.get_params(context):
        if parameter.param_type_name == "option":
            assert {*parameter.opts, *parameter.secondary_opts} <= set(offered)
    assert all(0 < len(text) <= 60 for text in offered.values()), offered
    assert answers(f"{tool} --verb") == ["--verbose"]


@every_tool
def test_every_value_is_thought_of(tool: str) -> None:
    command, _ = command_of(tool)
    for parameter in command.params:
        if not getattr(parameter, "is_flag", False):
            values = _complete.values_of(command, tool, parameter)("")
            assert len(set(values)) == len(values), parameter.name


def test_no_value_is_left_over() -> None:
    names = {(tool, parameter.name) for tool in TOOLS for parameter in command_of(tool)[0].params}
    for key in _complete.VALUES:
        tool, dot, name = key.rpartition(".")
        assert (tool, name) in names if dot else any(name == known for _, known in names), key


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("kd-asm ", "*.h5"),
        ("kd-asm train.h5 --align p", "procrustes"),
        ("kd-dump --format=j", "jsonl"),
        ("kd-dump a.h5 -o ", "*"),
        ("kd-eval kd=", "*"),
        ("kd-eval --plot ", "ced= landmarks= scatter= worst="),
        ("kd-eval --plot ced=", "*.svg *.pdf *.png *.jpg"),
        ("kd-eval --norm inter-", "inter-ocular inter-pupil"),
        ("kd-eval a.h5 --protocol ", "300w wflw cofw aflw19 spiga star pipnet kdloss"),
        ("kd-export ", "face68 face68-tiny *.safetensors"),
        ("kd-export --precision int", "int8"),
        ("kd-import --format dl", "dlib"),
        ("kd-import photos --convert ibug", "ibug68 ibug51 *.toml"),
        ("kd-info ", "face68 face68-tiny *.h5 *.safetensors *.onnx"),
        ("kd-info a.h5 --value image.", "image.height image.width image.stored"),
        ("kd-merge a.h5 b.h5 ", "*.h5"),
        ("kd-merge -- -", "*.h5"),
        ("kd-predict ", "face68 face68-tiny *.safetensors *.onnx"),
        ("kd-predict student.onnx photos ", "*"),
        ("kd-predict student.onnx - --detector w", "whole *.onnx *.csv"),
        ("kd-split --share 0.5 ", "*.h5"),
        ("kd-student --loss l1", "l1 l1+assist l1+mimic"),
        ("kd-student --set he", "head="),
        ("kd-student --set head=", "linear heatmap"),
        ("kd-student a.h5 --preset ", "default paper best best+mimic"),
        ("kd-synth --seed ", ""),
        ("kd-synth --seed 3 -", "-o --output -n --faces --size --margin --seed -j --jobs -f --force -q --quiet -v "
         "--verbose --version -h --help"),
        ("kd-teacher --loss ", "l2 l1 wing smooth"),
        ("kd-teacher --tolerant ", "*.h5"),
        ("kd-teacher -o ", "*.safetensors *.h5"),
        ("kd-view a.h5 b.h5 --draw", ""),
        ("kd-view a.h5 --sort ", "error score id"),
    ],
)  # fmt: skip
def test_answers(line: str, expected: str) -> None:
    assert sorted(answers(line)) == sorted(expected.split())


def test_kinds_of_plots_are_those_of_the_code() -> None:
    text = (REPOSITORY / "kdtools" / "reports" / "plots" / "kinds.py").read_text()  # loading it would take long
    assert all(f'"{plot.rstrip("=")}"' in text for plot in _complete.PLOTS)


def test_completing_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "sys.path.insert(0, 'man')\n"
        "from update_pages import TOOLS, command_of\n"
        "from kdtools.cli._complete import VALUES, completions\n"
        "for tool in TOOLS: list(completions(*command_of(tool), tool, ['-']))\n"
        "light = {name for name in ('torch', 'numpy', 'h5py', 'cv2') if name in sys.modules}\n"
        "for find in VALUES.values(): find('')\n"
        "sys.exit(f'{light}' if light else 'torch' in sys.modules or 'matplotlib' in sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


# ---- the shells
@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files and a folder to complete."""
    place = tmp_path_factory.mktemp("files")
    for name in ("faces one.h5", "faces.txt", "student.onnx"):
        (place / name).touch()
    (place / "fast").mkdir()
    return place


def shell(name: str, code: str, folder: Path, *options: str) -> list[str]:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    result = subprocess.run(
        [name, *options, "-c", code],
        cwd=folder,
        env={**os.environ, "PATH": path, "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    return result.stdout.splitlines()


@pytest.mark.parametrize("name", ["kdtools", "_kdtools", "kdtools.fish"])
def test_scripts_are_for_every_tool(name: str) -> None:
    text = (SCRIPTS / name).read_text()
    lists = 2 if name == "_kdtools" else 1  # zsh: of #compdef and of compdef
    assert sorted(re.findall(r"\bkd-\w+|(?<= )kdtools$", text.replace("kd-*", ""), re.M)) == sorted(TOOLS * lists)
    assert COMPLETE in text


def in_bash(folder: Path, *words: str) -> list[str]:
    """Replies of the function in bash, which splits words at = before it calls it."""
    split = [part for word in words for part in re.split(r"(=)", word) if part or not word]
    quoted = " ".join(f"'{word}'" for word in split)
    code = (
        f"source '{SCRIPTS / 'kdtools'}'; compopt() {{ :; }}; COMP_WORDS=({quoted}); COMP_CWORD={len(split) - 1}; "
        f"_kdtools {words[0]}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    return shell("bash", code, folder, "--norc")


def test_bash(folder: Path) -> None:
    assert in_bash(folder, "kd-asm", "fa") == ["faces one.h5", "fast"]
    assert in_bash(folder, "kd-student", "--set", "loss=l1") == ["l1", "l1+assist", "l1+mimic"]


def test_bash_with_the_tab_key(folder: Path) -> None:
    """A real terminal: the option, and the only model among the files, are written out."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        words = ["bash", "--norc", "--noprofile", "-i"]
        os.execvpe("bash", words, {**os.environ, "PATH": path, "TERM": "dumb", "PS1": "> ", "HOME": str(folder)})
    try:
        os.write(terminal, f"source '{SCRIPTS / 'kdtools'}'; bind 'set bell-style none'\n".encode())
        os.write(terminal, b"kd-predict stu\t")
        assert "kd-predict student.onnx " in read_until(terminal, "student.onnx ")
        os.write(terminal, b"--dete\t")
        assert "--detector " in read_until(terminal, "--detector ")
    finally:
        os.kill(process, 9)
        os.waitpid(process, 0)
        os.close(terminal)


def read_until(terminal: int, text: str) -> str:
    """What a terminal shows until it shows `text`, or for as long as a test may wait."""
    shown, end = "", time.monotonic() + TIMEOUT
    while text not in shown and time.monotonic() < end:
        if select.select([terminal], [], [], 0.5)[0]:
            shown += os.read(terminal, 4096).decode()
    return shown


def test_zsh(folder: Path) -> None:
    """The function in zsh, with its helpers replaced by what tells how they were called."""
    code = (
        f"compdef() {{ :; }}; source '{SCRIPTS / '_kdtools'}'\n"
        "compset() { :; }; _files() { print -r files $@; }; compadd() { print -r compadd $@; }\n"
        '_describe() { print -r -l -- "${(@P)3}"; }\n'
        "try() { words=($@ ''); CURRENT=$#words; _kdtools; }\n"
        "try kd-export; try kd-teacher --preset; try kd-view a.h5 -o; words=(kd-synth --ma); CURRENT=2; _kdtools"
    )
    found = shell("zsh", code, folder, "-f")
    assert found[:6] == ["face68", "face68-tiny", "files -g *.safetensors", "default", "paper", "best"]
    assert found[6:9] == ["files -g *.png", "files -g *.jpg", "files -/"]
    assert found[9].startswith("--margin:Margin on each side of the points")


def test_fish(folder: Path) -> None:
    def in_fish(line: str) -> list[str]:
        code = f"source '{SCRIPTS / 'kdtools.fish'}'; complete -C '{line}'"
        return [answer.partition("\t")[0] for answer in shell("fish", code, folder, "--no-config")]

    assert sorted(in_fish("kd-asm fa")) == ["faces one.h5", "fast/"]
    assert in_fish("kd-student --preset ") == ["default", "paper", "best", "best+mimic"]
    assert in_fish("kd-student --set loss=l1+") == ["loss=l1+assist", "loss=l1+mimic"]
    assert in_fish("kd-synth --ver") == ["--verbose", "--version"]
