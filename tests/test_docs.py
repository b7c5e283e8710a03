"""The documentation, as a stranger reads it: every command line runs, every option, link, path and figure is there.

A block of a page that begins with ```sh or ```python is run, all blocks of a page in order, in a folder that holds
small stand-ins for the files that pages name; what a page makes takes their place. What stands behind the language
says why a block is not run (`sh no-run: four GPUs`), or that `make soak` alone runs it (`sh slow: four networks`).
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import re
import shlex
import shutil
import tarfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import onnx
import pytest
import typer
from docs_shell import IN_FULL, STAND_IN_TIME, Shell
from factories import write_faces
from warm import Warm

from kdtools.faces import schema
from kdtools.landmarks import IBUG68, SCHEMES, convert_points
from kdtools.landmarks.crop_rule import CropRule
from kdtools.synth import draw_face

REPOSITORY = Path(__file__).resolve().parent.parent
TOOLS = tuple(tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["scripts"])
DOCS = REPOSITORY / "docs"
PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
SIDE = 240
SEEDS = (0, 1, 2, 4, 5, 7, 9, 11, 12, 14, 15, 16)  # of drawn faces that the finder and the cascade find
# Pages whose commands run for minutes to hours; their options are still checked.
MEASUREMENTS = {DOCS / "results.md", DOCS / "reliability.md", *(DOCS / "experiments").glob("*.md")}
# Options that pages name without the program before them, and that are no tool's.
OF_OTHERS = {"--cpus-per-task", "--kill-on-invalid-dep", "--signal", "--time"}  # sbatch


# ---- what stands on a page
@dataclass(frozen=True)
class Block:
    language: str
    note: str
    text: str
    line: int


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text()
    found = re.finditer(r"^( *)```(\w+)[ \t]*(.*)\n((?:.*\n)*?)\1```$", text, re.MULTILINE)
    return [
        Block(m[2], m[3], re.sub(f"^{m[1]}", "", m[4], flags=re.MULTILINE), text.count("\n", 0, m.start()) + 1)
        for m in found
    ]


def prose_of(page: Path) -> str:
    return re.sub(r"^( *)```.*\n(?:.*\n)*?\1```$", "", page.read_text(), flags=re.MULTILINE)


def is_run(page: Path, block: Block, soak: bool) -> bool:
    if page in MEASUREMENTS or block.language not in ("sh", "python") or block.note.startswith("no-run: "):
        return False
    return soak or not block.note.startswith("slow: ")


def words_of(command: str) -> list[str]:
    """Shell words and punctuation, without comments; a line that no shell would read is split at spaces."""
    lexer = shlex.shlex(command.replace("\\\n", " ").replace("\n", ";"), posix=True, punctuation_chars=True)
    lexer.commenters = ""
    try:
        return list(lexer)
    except ValueError:
        return command.split()


def uses_of(command: str) -> Iterator[tuple[str, str]]:
    """Each tool and option that a command line gives it."""
    tool = ""
    for word in words_of(re.sub(r"(^|\s)#.*", "", command)):
        if re.fullmatch(r"[();<>|&]+", word):
            tool = ""
        elif word in TOOLS:
            tool = word
        elif " " in word and any(name in word for name in TOOLS):
            yield from uses_of(word)
        elif tool and re.match(r"--?[a-z]", word):
            yield tool, word.partition("=")[0] if word.startswith("--") else word[:2]


def parameters_of(tool: str) -> list[Any]:
    name = tool.replace("-", "_")
    app = typer.Typer(add_completion=False)
    app.command()(getattr(importlib.import_module(f"kdtools.cli.{name}"), name))
    return typer.main.get_command(app).params


@cache
def options_of(tool: str) -> frozenset[str]:
    """All names that the tool's --help shows."""
    return frozenset(["-h", "--help"]).union(*(option.opts + option.secondary_opts for option in parameters_of(tool)))


# ---- stand-ins
@cache
def drawn_face(k: int) -> tuple[np.ndarray, np.ndarray]:
    """An image of SIDE px with room around the face, and its 68 points. Few are drawn: that takes time."""
    image, landmarks, _ = draw_face(np.random.default_rng(SEEDS[k % len(SEEDS)]), SIDE, margin=0.75)
    return image, landmarks


def put_photographs(folder: Path, n: int, first: int, *, suffix: str = ".jpg", pts: bool = True) -> None:
    """Images, and beside each its points as 300W writes them."""
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(n):
        image, landmarks = drawn_face(first + k)
        cv2.imwrite(str(folder / f"image_{k:04d}{suffix}"), image[..., ::-1])
        if pts:
            lines = "".join(f"{x + 1:.3f} {y + 1:.3f}\n" for x, y in landmarks)
            (folder / f"image_{k:04d}.pts").write_text(f"version: 1\nn_points: 68\n{{\n{lines}}}\n")


def points_as(scheme: str, n: int) -> np.ndarray:
    """Points of another scheme (n, L, 2) of the first drawn faces."""
    points = np.stack([drawn_face(k)[1] for k in range(n)])
    if scheme != "wflw98":
        return convert_points(points, IBUG68, SCHEMES[scheme])
    one_each = np.repeat(np.eye(98)[:, :, None], 2, axis=2)
    weights = convert_points(one_each, SCHEMES["wflw98"], IBUG68)[..., 0].T  # (68, 98)
    centre = points.mean(axis=1, keepdims=True)  # what 68 points do not tell lies there
    return np.linalg.pinv(weights) @ (points - centre) + centre


def put_wflw(folder: Path) -> None:
    lists = folder / "WFLW_annotations" / "list_98pt_rect_attr_train_test"
    lists.mkdir(parents=True)
    for part, n in (("train", 12), ("test", 8)):
        place = folder / "WFLW_images" / part
        place.mkdir(parents=True)
        lines = []
        for k, face in enumerate(points_as("wflw98", n)):
            cv2.imwrite(str(place / f"{k}.jpg"), drawn_face(k)[0][..., ::-1])
            box = [*face.min(axis=0).astype(int), *face.max(axis=0).astype(int)]
            numbers = [*(f"{x:.4f}" for x in face.ravel()), *map(str, box), *"010010"]
            lines.append(" ".join([*numbers, f"{part}/{k}.jpg"]) + "\n")
        (lists / f"list_98pt_rect_attr_{part}.txt").write_text("".join(lines))


def put_cofw(path: Path, letters: str, n: int) -> None:
    """As MATLAB 7.3 writes it: HDF5 with the axes in reverse behind 512 bytes of text."""
    points = points_as("cofw29", n)
    with h5py.File(path, "w", userblock_size=512) as file:
        file[f"phis{letters}"] = np.stack([[*(p[:, 0] + 1), *(p[:, 1] + 1), *([0] * 28), 1] for p in points]).T
        file[f"bboxes{letters}"] = np.array([[21.0, 21, 120, 120]] * n).T
        cells = file.create_dataset(f"Is{letters}", (1, n), h5py.ref_dtype)
        for k in range(n):
            cells[0, k] = file.create_dataset(f"#refs#/{k}", data=drawn_face(k)[0].T).ref
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: a day".ljust(124) + b"\0\2IM")


def put_annotations(folder: Path) -> None:
    """A table of seven points, and its images."""
    put_photographs(folder / "images", 24, 0, pts=False)
    lines = ["image," + ",".join(f"x{k},y{k}" for k in range(7)) + "\n"]
    for k in range(24):
        seven = drawn_face(k)[1][[36, 39, 42, 45, 30, 48, 54]]
        lines.append(f"image_{k:04d}.jpg," + ",".join(f"{x:.2f}" for x in seven.ravel()) + "\n")
    (folder / "annotations.csv").write_text("".join(lines))


def put_video(path: Path) -> None:
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (SIDE, SIDE))
    for k in range(4):
        video.write(np.roll(drawn_face(0)[0], k, axis=1)[..., ::-1])
    video.release()


def put_exported(path: Path, tiny_onnx: Path) -> None:
    """The tests' exported model, with the crop rule that is everybody's."""
    model = onnx.load(tiny_onnx)
    card = json.loads(model.metadata_props[0].value)
    onnx.helper.set_model_props(model, {"kdtools": json.dumps(card | {"crop": json.loads(CropRule().to_json())})})
    onnx.save(model, path)


# With the tools themselves. Both teachers are one network: the pages do not look at what they answer.
MADE_BY_TOOLS = """
tiny="--arch test_resnet --input-size 32 --batch 8 --epochs 1 --init none --device cpu"
kd-synth -q -n 16 --size 64 --seed 1 -j 1 -o train.h5
kd-synth -q -n 8 --size 64 --seed 2 -j 1 -o test.h5
kd-synth -q -n 4 --size 64 --seed 3 -j 1 -o val.h5
kd-asm -q train.h5 -o soft.h5
kd-student -q train.h5 --loss l1 $tiny -o student.safetensors
kd-predict -q student.onnx train.h5 -o tough.h5
kd-predict -q student.onnx test.h5 -o pred.h5
rm student.last.safetensors student.log.jsonl
cp tough.h5 tolerant.h5
cp pred.h5 l2.h5
for method in l1 kd; do for seed in 0 1; do cp pred.h5 $method.$seed.h5; done; done
cp pred.h5 kd.h5
cp student.safetensors tough.safetensors
cp student.safetensors tolerant.safetensors
mkdir shards pred results results/common
kd-split -q train.h5 --share 0.5 -o shards/a.h5 --rest shards/b.h5
for part in a b; do mkdir pred/$part; kd-predict -q student.onnx shards/$part.h5 -o pred/$part/student.h5; done
cp test.h5 common.h5
cp pred.h5 results/common/baseline.h5
cp pred.h5 results/common/best.h5
kd-import -q 300W/helen 300W/lfpw 300W/ibug --size 64 -o - | kd-merge -q - --subset common --subset challenging -o of.h5
kd-predict -q student.onnx of.h5 -o - | kd-dump -q - --format coco -o theirs.json
rm of.h5
"""


@pytest.fixture(scope="module")
def shell(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return Shell(warm, tmp_path_factory.mktemp("docs"))


@pytest.fixture(scope="module")
def world(shell: Shell, tiny_onnx: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of everything that the pages name and do not make. All of it is older than what a page makes."""
    folder = tmp_path_factory.mktemp("world")
    put_exported(folder / "student.onnx", tiny_onnx)
    shutil.copy2(folder / "student.onnx", folder / "small.int8.onnx")
    put_photographs(folder / "photos" / "train", 12, 0)
    put_photographs(folder / "photos" / "test", 6, 6)
    put_photographs(folder / "photos" / "2024", 1, 0, suffix=".png", pts=False)
    put_photographs(folder / "holiday", 2, 0, pts=False)
    shutil.copy2(folder / "holiday" / "image_0000.jpg", folder / "face.jpg")
    with tarfile.open(folder / "more.tar", "w") as tar:
        tar.add(folder / "holiday", "more")
    put_video(folder / "clip.mp4")
    for k, place in enumerate(("afw", "helen/trainset", "helen/testset", "lfpw/trainset", "lfpw/testset", "ibug")):
        put_photographs(folder / "300W" / place, 4, k)
    put_wflw(folder)
    put_cofw(folder / "COFW_train_color.mat", "Tr", 12)
    put_cofw(folder / "COFW_test_color.mat", "T", 6)
    put_annotations(folder)
    (folder / "last").touch()
    made = shell.run(MADE_BY_TOOLS, folder, **IN_FULL)
    assert made.returncode == 0, made.stderr
    for name in ("raw", "smooth"):
        put_followed(folder / f"{name}.h5")
    for path in folder.rglob("*"):
        os.utime(path, (STAND_IN_TIME, STAND_IN_TIME))
    os.utime(folder / "last", (0, 0))
    return folder


def put_followed(path: Path) -> None:
    """A face that is followed through some frames of a video."""
    points = np.random.default_rng(0).uniform(20, 80, (68, 2)) + np.arange(6)[:, None, None]
    write_faces(path, points, ids=[f"clip.mp4#frame={k:06d}" for k in range(len(points))], role="predicted")


def run_page(page: Path, soak: bool, shell: Shell, world: Path, folder: Path) -> Path:
    """Run the blocks of a page in order, as far as they are run at all."""
    here = folder / "here"
    shutil.copytree(world, here)
    for name in ("examples", "benchmarks"):
        (here / name).symlink_to(REPOSITORY / name)
    for block in blocks_of(page):
        if is_run(page, block, soak):
            run = shell.run_python if block.language == "python" else shell.run
            result = run(block.text, here)
            place = f"{page.relative_to(REPOSITORY)}:{block.line}"
            assert result.returncode == 0, f"{place}: status {result.returncode}\n{result.stdout}{result.stderr}"
    return here


def pages_with(note: str) -> list[Path]:
    """Pages that have something to run and, where a note is named, a block with it."""
    return [
        page
        for page in PAGES
        if any(is_run(page, block, bool(note)) and block.note.startswith(note) for block in blocks_of(page))
    ]


# ---- tests
_QUICK_PAGES = ("README", "tutorial", "training")  # what a newcomer types first; all others are for make soak, and CI


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.stem, marks=() if page.stem in _QUICK_PAGES else pytest.mark.soak)
        for page in pages_with("")
    ],
)
def test_commands_of_a_page_run(page: Path, shell: Shell, world: Path, tmp_path: Path) -> None:
    here = run_page(page, False, shell, world, tmp_path)
    check = PRODUCTS.get(page.stem)
    if check is not None:
        check(here)


@pytest.mark.soak
@pytest.mark.parametrize("page", pages_with("slow: "), ids=lambda page: page.stem)
def test_slow_commands_of_a_page_run(page: Path, shell: Shell, world: Path, tmp_path: Path) -> None:
    run_page(page, True, shell, world, tmp_path)


def check_tutorial(here: Path) -> None:
    with h5py.File(here / "faces.h5") as faces:
        assert faces["landmarks"].shape == (24, 7, 2)
        assert faces.attrs["scheme"] == "mine"
    assert (here / "drawn" / "image_0001.jpg").is_file()


def check_datasets(here: Path) -> None:
    sizes = {
        "300w": (24, 68),
        "300w_train": (12, 68),
        "300w_test": (12, 68),
        "wflw_test": (8, 98),
        "cofw_test": (6, 29),
    }
    for name, shape in sizes.items():
        with h5py.File(here / f"{name}.h5") as faces:
            assert faces["landmarks"].shape[:2] == shape, name


def check_phone(here: Path) -> None:
    """The program finds what kd-predict finds."""
    with h5py.File(here / "face.h5") as faces:
        assert CropRule().margin == 0.2  # as in the program
        difference = np.loadtxt(here / "points.txt") - faces["landmarks"][0]
    assert np.abs(difference).max() < 1.0


PRODUCTS = {"tutorial": check_tutorial, "datasets": check_datasets, "phone": check_phone}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_options_of_a_page_exist(page: Path) -> None:
    commands = [block.text for block in blocks_of(page) if block.language == "sh"]
    spans = re.findall(r"`([^`\n]+)`", prose_of(page))
    for command in commands + spans:
        for tool, option in uses_of(command):
            assert option in options_of(tool), f"{page.name}: {tool} has no {option}: {command}"
    known = OF_OTHERS.union(*map(options_of, TOOLS))
    for span in spans if page not in MEASUREMENTS else ():  # there they are those of benchmarks
        for option in re.findall(r"^--[a-z][a-z-]+", span):
            assert option in known, f"{page.name}: no tool has {option}"


def test_notes_of_blocks_say_why() -> None:
    for page in PAGES:
        for block in blocks_of(page):
            assert re.fullmatch(r"|(no-run|slow): \S.*", block.note), f"{page.name}:{block.line}: {block.note}"


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


CARDS = sorted((REPOSITORY / "kdtools").rglob("*.md"))  # of the bundled networks


@pytest.mark.parametrize("page", [*PAGES, *CARDS, REPOSITORY / "CHANGELOG.md"], ids=lambda page: page.stem)
def test_links_and_paths_of_a_page_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(page)):
        if not target.startswith("http"):
            path, _, anchor = target.partition("#")
            there = (page.parent / path).resolve() if path else page
            assert there.exists(), f"{page.name}: {target}"
            if anchor:
                headings = re.findall(r"^#+ (.*)", prose_of(there), re.MULTILINE)
                assert anchor in map(slug, headings), f"{page.name}: {target}"
    code = "\n".join([*re.findall(r"`([^`\n]+)`", prose_of(page)), *(block.text for block in blocks_of(page))])
    for path in re.findall(r"(?:^|(?<=[\s(]))(?:examples|benchmarks|tests|docs|kdtools)/[\w./-]+\w", code):
        assert (REPOSITORY / path).exists(), f"{page.name}: {path}"


@pytest.mark.parametrize("folder", [DOCS, DOCS / "experiments"], ids=lambda folder: folder.name)
def test_the_index_names_every_page(folder: Path) -> None:
    index = (folder / "README.md").read_text()
    for page in folder.glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in index, page.name


def test_every_experiment_has_question_date_and_parts() -> None:
    for page in sorted((DOCS / "experiments").glob("*.md")):
        text = page.read_text()
        if page.name != "README.md":
            assert re.search(r"^\*\*Question\.\*\* ", text, re.MULTILINE), page.name
            assert re.search(r"Measured\s+on\s+\d{4}-\d\d-\d\d", text), page.name
            assert re.search(r"^(\|---)+\|$", text, re.MULTILINE), f"{page.name}: no table"


def values_in(text: str) -> set[str]:
    """Numbers with a decimal point, as they stand."""
    return set(re.findall(r"(?<![\d.])\d+\.\d+", text))


def test_results_are_those_of_their_experiments() -> None:
    """Each row of the results that names an experiment has its values from there, and every row has a date."""
    text = (DOCS / "results.md").read_text()
    for row in re.findall(r"^\| .*", text, re.MULTILINE):
        for page in re.findall(r"\]\((experiments/[\w-]+\.md)", row):
            values = values_in(re.sub(r"`[^`]*`", "", row))
            assert values <= values_in((DOCS / page).read_text()), row
        cells = row.split("|")
        assert cells[-2].strip() == "on" or re.search(r"\d{4}-\d\d-\d\d|measured in|experiments/", cells[-2]), row


def test_values_of_the_readme_are_those_of_the_results() -> None:
    """Errors and speeds, in its table and elsewhere; parameters are those of the experiment."""
    readme = (REPOSITORY / "README.md").read_text()
    results = (DOCS / "results.md").read_text()
    values = re.findall(r"\d+\.\d+(?= %)|\d+(?= faces/s)", readme)
    assert len(values) >= 9
    for value in values:
        assert re.search(rf"(?<![\d.]){re.escape(value)}(?!\d)", results), value
    experiment = (DOCS / "experiments" / "known-networks.md").read_text()
    for row in re.findall(r"^\| .*faces/s \|$", readme, re.MULTILINE):
        assert values_in(row) <= values_in(experiment), row


def test_the_readme_is_short() -> None:
    assert len((REPOSITORY / "README.md").read_text().splitlines()) <= 120


def test_the_format_page_is_the_schema() -> None:
    rows = re.findall(r"^\| `/(\S+)` \|(.*)\|$", (REPOSITORY / "docs" / "format.md").read_text(), re.MULTILINE)
    described = {name: [cell.strip() for cell in cells.split("|")] for name, cells in rows}
    assert described.keys() == {*schema.ARRAYS, "subset/NAME"}
    for name, (shape, dtype, dims, unit) in described.items():
        spec = schema.spec_of(name)
        assert spec is not None
        assert dtype.replace("UTF-8 ", "") == spec.dtype
        assert re.findall("`([^`]*)`", dims) == schema.dims_of(name)
        assert len(shape.strip("()").strip(",").split(",")) == len(spec.dims)
        assert unit == spec.unit


def test_the_picture_of_the_losses_is_the_codes(tmp_path: Path) -> None:
    path = REPOSITORY / "docs" / "pictures" / "losses.py"
    spec = importlib.util.spec_from_file_location("losses_picture", path)
    assert spec is not None
    assert spec.loader is not None
    picture = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(picture)
    picture.N_ERRORS = 9  # -0.08, -0.06, ..., 0.08; teachers at 0.02 and 0.05
    errors, values, slopes = picture.curves("reference")
    at = {round(error, 2): k for k, error in enumerate(errors)}
    # By hand, docs/design.md: 2 * 3 * 0.04; 1.9 * (0.04 - 0.02); -0.4 * (0.05 - 0.04)
    assert [values[name][at[0.04]] for name in ("main", "tough", "tolerant")] == pytest.approx([0.24, 0.038, -0.004])
    assert values["total"] == pytest.approx(values["main"] + values["tough"] + values["tolerant"])
    assert slopes["total"][at[0.04]] == pytest.approx(2 * 3 + 1.9 + 0.4)
    assert slopes["total"][at[0.08]] == pytest.approx(2 * 2 * 0.08 + 1.9 + 1.8)  # past the tolerant teacher: half
    assert values["total"] == pytest.approx(values["total"][::-1])
    picture.draw_losses(tmp_path)
    assert cv2.imread(str(tmp_path / "losses.png")).shape[:2] == cv2.imread(str(path.with_suffix(".png"))).shape[:2]


def test_design_lists_the_tools_that_need_no_output() -> None:
    listed = re.search(r"Every tool needs `-o`, except .*?:\s(.*?)\swrite", (DOCS / "design.md").read_text(), re.DOTALL)
    assert listed is not None
    needing = {tool for tool in TOOLS if any("-o" in option.opts and option.required for option in parameters_of(tool))}
    assert set(re.findall(r"`(kd-\w+|kdtools)`", listed[1])) == set(TOOLS) - needing


def test_programs_of_a_page_do_not_count_on_68_points() -> None:
    """A model may have five points: programs on pages take no point by a number beyond the first."""
    for page in PAGES:
        for block in blocks_of(page):
            if block.language == "python":
                assert not re.search(r"(points|landmarks|units)\[[1-9]\d*\]", block.text), f"{page.name}:{block.line}"
