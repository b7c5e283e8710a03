"""examples/compare_losses.sh, small: several seeds of several losses, and one table; what examples keep in a folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from docs_shell import Shell
from factories import drawn_faces, write_faces
from warm import Warm

SCRIPT = Path(__file__).resolve().parent.parent.parent / "examples" / "compare_losses.sh"
# A stand-in for a tool: its output holds its command line.
WRITES = 'for ((k = 1; k < $#; k++)); do [ "${!k}" != -o ] || { at=$((k + 1)) && echo "$0 $*" > "${!at}"; }; done'


@pytest.fixture(scope="module")
def shell(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return Shell(warm, tmp_path_factory.mktemp("cache"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, n in (("train", 12), ("test", 6)):
        images, points = drawn_faces(n, 48, len(name))
        write_faces(tmp_path / f"{name}.h5", points, images=images)
    return tmp_path


def test_methods_differ_in_loss_and_teachers_alone(folder: Path, shell: Shell) -> None:
    settings = {"SEEDS": "0 1", "METHODS": "l1 kd"}
    first = shell.run(f"{SCRIPT} train.h5 test.h5 work", folder, **settings)
    assert first.returncode == 0, first.stderr
    rows = [dict(zip(lines[0], line, strict=True)) for lines in [_cells(first.stdout)] for line in lines[1:]]
    assert [(row["prediction"], row["n_models"]) for row in rows if row["subset"] == "full"] == [
        ("l1", "2"),
        ("kd", "2"),
    ]
    assert float(rows[-1]["models_sd_percent"]) > 0
    assert float(rows[-1]["difference_low_percent"]) < float(rows[-1]["difference_high_percent"])
    calls = [line.split() for line in first.stderr.splitlines() if line.startswith("$ kd-student")]
    assert len(calls) == 4
    of_l1, of_kd = ([word for word in calls[k] if not word.startswith(("l1", "kd"))] for k in (0, 1))
    added = ["--set", "w_main=2", "--set", "w_tough=1", "--tough", "tough.0.h5", "--tolerant", "tolerant.0.h5"]
    assert sorted(of_kd) == sorted(of_l1 + added)
    assert {f"tough.{seed}.h5" for seed in (0, 1)} <= {path.name for path in (folder / "work").iterdir()}
    again = shell.run(f"{SCRIPT} train.h5 test.h5 work", folder, **settings)
    assert again.stdout == first.stdout
    assert "$ kd-" not in again.stderr


@pytest.mark.parametrize(
    ("settings", "answer"),
    [
        ({"NORM": "inter-eye"}, "inter-eye"),
        ({"METHODS": "l1 l3"}, "METHODS has l3"),
        ({"METHODS": "kd"}, "METHODS has fewer than two methods"),
        ({"METHODS": "l1 kd l1"}, "METHODS or SEEDS has l1 twice"),
        ({"SEEDS": "0"}, "SEEDS has fewer than two seeds"),
        ({"SEEDS": " "}, "SEEDS has fewer than two seeds"),
        ({"SEEDS": "0 0"}, "METHODS or SEEDS has 0 twice"),
        ({"SEEDS": "0 00"}, "SEEDS has 00"),
        ({"STUDENT": "--epoch 3"}, "No such option: --epoch"),
        ({"TEACHER": "--input-size x"}, "--input-size"),
    ],
)
def test_what_cannot_be_compared_is_said_before_any_training(
    folder: Path, shell: Shell, settings: dict[str, str], answer: str
) -> None:
    result = shell.run(f"{SCRIPT} train.h5 test.h5 work", folder, **settings)
    assert result.returncode != 0
    assert answer in result.stderr
    assert not (folder / "work").exists()


def test_runs_of_other_faces_or_options_are_not_mixed(folder: Path, shell: Shell, tmp_path: Path) -> None:
    """Here the tools only write what they were called with."""
    for tool in ("kd-student", "kd-teacher", "kd-predict"):
        write_tool(tmp_path / "bin" / tool, '[[ $* == *--show-settings ]] || echo "$0 $*" > "${!#}"')
    write_tool(tmp_path / "bin" / "kd-asm", 'echo soft > "${!#}"')
    write_tool(tmp_path / "bin" / "kd-eval", "echo table")
    (folder / "init.bin").write_bytes(b"1")
    words = {"SEEDS": "0 1", "METHODS": "l1 kd", "STUDENT": f"--init {folder / 'init.bin'}", "TEACHER": "--epochs 2"}

    def run(train: str = "train.h5", test: str = "test.h5", work: str = "work", **changed: str) -> tuple[int, str]:
        path = f"{tmp_path / 'bin'}:{shell.environment['PATH']}"
        result = shell.run(f"{SCRIPT} {train} {test} {work}", folder, **(words | changed | {"PATH": path}))
        return result.returncode, result.stderr

    def files() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (folder / "work").iterdir()}

    assert run()[0] == 0
    made = files()
    for name in ("tough.0.h5", "tolerant.1.h5", "l1.0.test.h5", "kd.1.test.h5"):
        assert re.search(rb"kd-predict .* --resume ", made[name]), "an interrupted one goes on"
    for changed, name in (
        ({"train": "test.h5"}, "TRAIN"),
        ({"test": "train.h5"}, "TEST"),
        ({"TEACHER": "--epochs 3"}, "TEACHER"),
        ({"STUDENT": ""}, "STUDENT"),
    ):
        status, err = run(**changed)
        assert status == 2
        assert re.search(rf"(?s)name another WORK.*\n  before: {name} .*\n  now:    {name} ", err), changed
        assert files() == made
    (folder / "init.bin").write_bytes(b"2")
    assert "before: FILE" in run()[1]
    (folder / "init.bin").write_bytes(b"1")

    assert run(SEEDS="1 0 2", METHODS="l1 l2 kd", NORM="face-size")[0] == 0
    assert {"l2.2.test.h5", "tough.2.h5"} < set(files())
    assert {name: files()[name] for name in made} == made
    (folder / "work" / "settings").unlink()
    assert "models of unknown settings" in run()[1]


@pytest.mark.parametrize(
    ("script", "inputs", "others"),
    [
        ("own_points.sh", "train.h5 photos", ("TEACHER", "STUDENT", "UNLABELLED")),
        ("real_faces.sh", "photos", ("TEACHER", "STUDENT", "SIZE")),
    ],
)
def test_other_examples_keep_no_products_of_other_options(
    folder: Path, shell: Shell, tmp_path: Path, script: str, inputs: str, others: tuple[str, ...]
) -> None:
    (folder / "photos").mkdir()
    (folder / "a.pts").write_text("1 2")
    (folder / "photos" / "a.pts").symlink_to("../a.pts")
    for tool in ("kd-import", "kd-split", "kd-asm", "kd-student", "kd-teacher", "kd-predict"):
        write_tool(tmp_path / "bin" / tool, WRITES)
    write_tool(tmp_path / "bin" / "kd-info", "echo ibug68")
    write_tool(tmp_path / "bin" / "kd-eval", "echo table")

    def run(work: str = "work", **changed: str) -> tuple[int, str]:
        path = f"{tmp_path / 'bin'}:{shell.environment['PATH']}"
        result = shell.run(f"{SCRIPT.parent / script} {inputs} {work}", folder, **(changed | {"PATH": path}))
        return result.returncode, result.stderr

    def files() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (folder / "work").iterdir()}

    assert run()[0] == 0
    made = files()
    assert {"settings", "tough.safetensors"} < set(made)
    for name in others:
        status, err = run(**{name: "--epochs 3"})
        assert status == 2
        assert f"{script}: error: " in err
        assert re.search(rf"(?s)name another WORK.*\n  before: {name} .*\n  now:    {name} ", err), name
    (folder / "photos" / "a.pts").write_text("1 3")
    assert re.search(r"(?s)before: (\w+ .*photos: 1 files, ).*now:    \1", run()[1])
    (folder / "photos" / "a.pts").write_text("1 2")
    (folder / "photos" / ".DS_Store").write_bytes(b"1")  # which a look at the folder makes on macOS
    assert run()[0] == 0
    assert files() == made
    (folder / "work").rename(folder / "photos" / "work")
    assert run("photos/work")[0] == 0, "WORK itself is not among the photographs"
    (folder / "photos" / "work").rename(folder / "work")
    (folder / "work" / "settings").unlink()
    assert "models of unknown settings" in run()[1]


def test_own_points_goes_on_after_photographs_without_faces_also_beside_its_input(
    folder: Path, shell: Shell, tmp_path: Path
) -> None:
    (folder / "photos").mkdir()
    (folder / "train.h5").rename(folder / "faces.h5")
    (folder / "test.h5").unlink()
    for tool in ("kd-import", "kd-split", "kd-student", "kd-teacher", "kd-predict"):
        write_tool(tmp_path / "bin" / tool, f"{WRITES}; [[ $* != *found.jsonl* ]] || exit 4")
    write_tool(tmp_path / "bin" / "kd-info", "echo ibug68")
    write_tool(tmp_path / "bin" / "kd-eval", "echo table")
    path = f"{tmp_path / 'bin'}:{shell.environment['PATH']}"
    for _ in range(2):
        result = shell.run(f"{SCRIPT.parent / 'own_points.sh'} faces.h5 photos .", folder, PATH=path)
        assert result.returncode == 0, result.stderr
        assert result.stdout == "table\n"


def test_options_are_corrected_where_nothing_is_made_yet(folder: Path, shell: Shell, tmp_path: Path) -> None:
    write_tool(tmp_path / "bin" / "kd-student", "[[ $* == *--show-settings* ]] || exit 1")
    for arch in ("a", "b"):
        path = f"{tmp_path / 'bin'}:{shell.environment['PATH']}"
        result = shell.run(f"{SCRIPT} train.h5 test.h5 work", folder, STUDENT=f"--arch {arch}", PATH=path)
        assert result.returncode == 1
        assert "another WORK" not in result.stderr


def test_examples_run_in_the_bash_of_macos() -> None:
    """Version 3.2: under set -u an empty array is an unbound variable, and newer expansions are errors."""
    for path in [*SCRIPT.parent.glob("*.sh"), *SCRIPT.parent.glob("scheduled/*.sh")]:
        code = path.read_text()
        assert not re.search(r"@[QEPA]\}|mapfile|readarray|(declare|local) -[Ang]|\$\{\w+[,^]", code), path
        may_be_empty = re.findall(r'read -ra (\w+) <<< ?"\$\{\w+:-\}"', code)
        may_be_empty += [name for name in re.findall(r"\b(\w+)=\(\)", code) if f"{name}+=(" not in code]
        may_be_empty += re.findall(r'\b(\w+)=\("\$\{@', code)
        for name in may_be_empty:
            guarded = f'${{{name}[@]+"${{{name}[@]}}"}}'
            assert f'"${{{name}[@]}}"' not in code.replace(guarded, ""), f"{path}: {name}"


def write_tool(path: Path, code: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/usr/bin/env bash\n{code}\n")
    path.chmod(0o755)


def _cells(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines()]
