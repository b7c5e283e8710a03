"""kd-predict and its scripts from the command line, with a tiny exported model."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from factories import plain_images, write_faces
from warm import Warm

from kdtools.cli import kd_predict
from kdtools.cli._app import session
from kdtools.faces.file import open_faces
from kdtools.images.drawing import write_image
from kdtools.landmarks import IBUG68, Scheme

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
ENVIRONMENT = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tiny_onnx: Path) -> Run:
    """Runs kd-predict with the tiny model in this process: its exit status and what it said."""
    handler = signal.getsignal(signal.SIGTERM)

    def call(*words: Any, stdin: bytes = b"") -> tuple[int, str]:
        session.verbosity = session.n_skipped = 0
        monkeypatch.setattr(sys, "argv", ["kd-predict", str(tiny_onnx), *map(str, words)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(stdin))))  # type: ignore
        with pytest.raises(SystemExit) as stop:
            kd_predict.main()
        signal.signal(signal.SIGTERM, handler)
        return int(stop.value.code or 0), capsys.readouterr().err

    return call


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty images in three folders, one of them broken."""
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    for k in range(30):
        (folder / f"{k % 3}").mkdir(exist_ok=True)
        write_image(folder / f"{k % 3}" / f"{k:02d}.png", rng.integers(0, 255, (40, 40, 3)).astype(np.uint8))
    (folder / "1" / "13.png").write_bytes(b"broken")
    return folder


def test_a_model_of_other_points_is_told(run: Run, tmp_path: Path) -> None:
    points = np.random.default_rng(0).uniform(5, 30, (2, 68, 2)).astype(np.float32)
    images = plain_images(2, 32, 90)
    write_faces(tmp_path / "same.h5", points, images=images)
    status, said = run(tmp_path / "same.h5", "-o", tmp_path / "a.h5")
    assert status == 0
    assert "points" not in said.replace(str(tmp_path), "")
    others = Scheme("mine", 68, mirror=tuple(range(67, -1, -1)))
    write_faces(tmp_path / "others.h5", points, images=images, scheme=others)
    status, said = run(tmp_path / "others.h5", "-o", tmp_path / "b.h5")
    assert status == 0
    assert "its points (mine) are not those of the model (ibug68)" in said
    assert "the model's points" in said


def rows_of(path: Path) -> dict[str, list[float]]:
    with open_faces(path) as faces:
        return dict(zip(faces.ids, faces.landmarks.tolist(), strict=True))


def test_every_way_to_name_images_gives_the_same_points(
    run: Run, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, monkey = ("--detector", "whole"), tmp_path / "out.h5"
    status, said = run(photographs, *whole, "-o", monkey)
    assert status == 4
    assert "skipped 1/13.png: " in said
    assert said.splitlines()[-1] == f"kd-predict: 29 faces to {monkey}"
    expected = rows_of(monkey)
    assert len(expected) == 29
    names = sorted(path.relative_to(photographs).as_posix() for path in photographs.rglob("*.png"))
    with tarfile.open(tmp_path / "all.tar", "w") as archive:
        archive.add(photographs, ".")
    monkeypatch.chdir(photographs)
    listed = "".join(f"./{name}\n" for name in names).encode()
    for words, stdin in (
        (("-", "--list"), listed),
        (("-", "--list"), listed.replace(b"\n", b"\0")),
        ((tmp_path / "all.tar",), b""),
        (("-",), (tmp_path / "all.tar").read_bytes()),
        ((".", "--include", "[012]/*.png"), b""),
    ):
        assert run(*words, *whole, "-f", "-o", monkey, stdin=stdin)[0] == 4
        assert rows_of(monkey) == expected
    with h5py.File(monkey) as h5:
        assert json.loads(h5.attrs["inputs"]).keys() > {"."}


def test_boxes_say_where_faces_are(run: Run, photographs: Path, tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_text("name,x0,y0,x1,y1\n0/00.png,5,5,25,25\n0/00.png,10,10,20,20\n9.png,0,0,9,9\n")
    status, said = run(photographs, "--detector", tmp_path / "boxes.csv", "--refine", "0", "-o", tmp_path / "o.h5")
    assert status == 4
    assert "boxes of 1 name that no image has: '9.png'" in said
    with open_faces(tmp_path / "o.h5") as found:
        assert found.ids == ["0/00.png", "0/00.png#2"]
        np.testing.assert_allclose(found.h5["box"], [[0, 0, 30, 30], [7.5, 7.5, 22.5, 22.5]])  # with their margin
    status, said = run(photographs, "--detector", "points", "-o", tmp_path / "p.h5")
    assert (status, "--detector points needs annotations" in said) == (2, True)


def test_the_mirror_image_counts_as_much(run: Run, photographs: Path, tmp_path: Path) -> None:
    """The tiny model says the same of an image and its mirror image, since their mean colours are the same."""
    plain, flipped = tmp_path / "plain.h5", tmp_path / "flipped.h5"
    assert run(photographs, "--detector", "whole", "-o", plain)[0] == 4
    status, said = run(photographs, "--detector", "whole", "--flip", "--bench", "-o", flipped)
    assert (status, "flipped too; " in said) == (4, True)
    with open_faces(plain) as one, open_faces(flipped) as two:
        points = one.landmarks[:]
        mirrored = points[:, list(IBUG68.mirror or ())]
        mirrored[..., 0] = 39 - mirrored[..., 0]  # of 40 px
        np.testing.assert_allclose(two.landmarks[:], (points + mirrored) / 2, atol=1e-4)
        assert (one.flipped, two.flipped) == (False, True)
    assert "exists already, of another run" in run(photographs, "--detector", "whole", "--resume", "-o", flipped)[1]


def test_where_the_time_went(run: Run, photographs: Path, tmp_path: Path) -> None:
    said = run(photographs, "--detector", "whole", "--bench", "-o", tmp_path / "o.h5")[1]
    for stage in ("list", "read", "decode", "detect", "crop", "infer", "write"):
        assert f"kd-predict: {stage} " in said
    assert "30 images, 29 faces in " in said
    assert "; 1 worker\n" not in said
    assert "latency, ms: 50 % within " in said
    first = (tmp_path / "o.h5").read_bytes()
    said = run(photographs, "--detector", "whole", "-f", "-q", "--bench", "-o", tmp_path / "o.h5")[1]
    assert "30 images, 29 faces in " in said
    assert (tmp_path / "o.h5").read_bytes() == first


def test_a_whole_output_is_not_made_again(run: Run, photographs: Path, tmp_path: Path) -> None:
    words = (photographs, "--detector", "whole", "--resume", "-o", tmp_path / "o.h5")
    assert run(*words)[0] == 4
    made = (tmp_path / "o.h5").stat()
    status, said = run(*words)
    assert (status, said) == (0, f"kd-predict: {tmp_path / 'o.h5'} is whole already\n")
    assert (tmp_path / "o.h5").stat().st_mtime_ns == made.st_mtime_ns
    status, said = run(*words, "--refine", "1")
    assert (status, "exists already, of another run: its command was kd-predict " in said) == (1, True)
    assert run(*words, "-f")[0] == 4
    assert (tmp_path / "o.h5").stat().st_mtime_ns > made.st_mtime_ns
    (tmp_path / "o.h5").write_bytes(b"junk")
    assert run(*words)[0] == 1
    assert run(*words, "-f")[0] == 4


def test_an_image_that_is_not_named_as_one(run: Run, photographs: Path, tmp_path: Path) -> None:
    (tmp_path / "photo").write_bytes((photographs / "0" / "00.png").read_bytes())
    status, said = run(tmp_path / "photo", "-o", tmp_path / "o.h5")
    assert status == 1
    assert "images, tar files and videos are recognised by their suffixes; an image without one needs a --list" in said


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["a.h5", "b.h5"], "no image, folder"),
        (["a.h5", "--max-faces", "1"], "are for images"),
        (["a.h5", "--refine", "0"], "are for images"),
        (["x", "--shard", "3/2"], "--shard"),
        (["0", "--shard", "1/2"], "can be read only once"),
        (["0", "--resume"], "can be read only once"),
        (["-", "--list", "--shard", "1/2"], "can be read only once"),
    ],
)
def test_what_cannot_be_meant(
    words: list[str],
    told: str,
    run: Run,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("inputs"))
    for name in ("a.h5", "b.h5", "x"):
        Path(name).touch()
    status, said = run(*words, "-o", tmp_path / "o.h5")
    assert status == 2
    assert told in said
    assert list(tmp_path.iterdir()) == []


def test_an_exported_model_needs_no_torch(tiny_onnx: Path, photographs: Path, tmp_path: Path) -> None:
    words = ["kd-predict", str(tiny_onnx), str(photographs), "--detector", "whole", "-q", "-o", str(tmp_path / "o.h5")]
    code = f"""
import sys
sys.argv = {words!r}
from kdtools.cli.kd_predict import main
try:
    main()
except SystemExit as stop:
    assert stop.code == 4, stop.code
slow = {{"torch", "onnx", "scipy", "matplotlib", "timm", "PIL"}} & sys.modules.keys()
assert not slow, slow
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_stopped_run_says_how_to_go_on(tiny_onnx: Path, tmp_path: Path) -> None:
    """SIGTERM, in a process of its own."""
    write_faces(tmp_path / "faces.h5", images=plain_images(4000, 32))
    words = ["kd-predict", str(tiny_onnx), str(tmp_path / "faces.h5"), "-j", "1", "-o", str(tmp_path / "o.h5")]
    code = f"""
import os, signal, sys
from kdtools.prediction import partial_output as parts
parts.WORTH_KEEPING = 0.0
add = parts.Parts.add
def add_and_tell(self, outcome):
    add(self, outcome)
    if self.n_items > 1000 and "--resume" not in sys.argv:
        os.kill(os.getpid(), signal.SIGTERM)
parts.Parts.add = add_and_tell
sys.argv = {words!r} + sys.argv[1:]
from kdtools.cli.kd_predict import main
main()
"""
    stopped = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert stopped.returncode == 143, stopped.stderr
    place = tmp_path / "o.h5.partial"
    assert (
        stopped.stderr
        == f"kd-predict: the results so far are in {place}; --resume continues it\nkd-predict: terminated\n"
    )
    resumed = subprocess.run([sys.executable, "-c", code, "--resume"], capture_output=True, text=True, check=False)
    goes_on, written = resumed.stderr.splitlines()
    assert goes_on.startswith("kd-predict: continues after 10")
    assert (resumed.returncode, written) == (0, f"kd-predict: 4000 faces to {tmp_path / 'o.h5'}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faces.h5", "o.h5"]


# ---- scripts
@pytest.fixture(scope="module", autouse=True)
def _warm_tools(warm: Warm) -> None:
    """Those that the scripts start."""
    ENVIRONMENT["PATH"] = warm.path


def script(name: str, *words: Any, **environment: str) -> tuple[int, str, str]:
    done = subprocess.run(
        ["bash", EXAMPLES / name, *map(str, words)],
        env=ENVIRONMENT | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def parts_folder(tiny_onnx: Path, photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a job array of three tasks, one of which was not run."""
    folder = tmp_path_factory.mktemp("array") / "out of it"
    for task in ("1", "3"):
        words = ("slurm/predict.sbatch", folder, "3", tiny_onnx, photographs, "--", "--detector", "whole")
        status, out, err = script(*words, SLURM_ARRAY_TASK_ID=task)
        assert (status, out) == (0, ""), err
        assert f"task {task} is done" in err
    return folder


def test_a_job_array_gives_the_file_of_one_run(
    run: Run, parts_folder: Path, tiny_onnx: Path, photographs: Path, tmp_path: Path
) -> None:
    assert script("slurm/predict.sbatch", "--todo", parts_folder, "3")[:2] == (0, "2\n")
    status, _, err = script("slurm/predict.sbatch", "--join", parts_folder, "3")
    assert (status, "parts are missing: 2" in err) == (1, True)
    words = ("slurm/predict.sbatch", parts_folder, "3", tiny_onnx, photographs, "--", "--detector", "whole")
    assert script(*words, SLURM_ARRAY_TASK_ID="2")[0] == 0
    assert "is done already" in script(*words, SLURM_ARRAY_TASK_ID="2")[2]
    assert script("slurm/predict.sbatch", "--todo", parts_folder, "3")[:2] == (0, "\n")
    run(photographs, "--detector", "whole", "-o", tmp_path / "plain.h5")
    for join in ("", "--virtual"):
        (parts_folder / "all.h5").unlink(missing_ok=True)
        assert script("slurm/predict.sbatch", "--join", parts_folder, "3", JOIN=join)[0] == 0
        assert rows_of(parts_folder / "all.h5") == rows_of(tmp_path / "plain.h5")


@pytest.mark.parametrize(
    ("words", "task", "told"),
    [
        ((), "1", "no output folder"),
        (("out", "none"), "1", "N is 'none'"),
        (("out", "3", "model"), "1", "no model, or no inputs"),
        (("out", "3", "model", "in"), "", "no task of a job array"),
        (("out", "3", "model", "in"), "4", "there is no task 4"),
    ],
)
def test_a_task_that_is_asked_wrongly(words: tuple[str, ...], task: str, told: str, tmp_path: Path) -> None:
    status, out, err = script("slurm/predict.sbatch", *words, SLURM_ARRAY_TASK_ID=task)
    assert (status, out) == (2, "")
    assert told in err


def test_the_warning_before_the_time_limit_requeues_a_task_that_has_gained_something(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    stub = tmp_path / "bin" / "kd-predict"
    stub.write_text(
        '#!/bin/bash\nfor output; do :; done\nmkdir -p "$output.partial"\n'
        'trap \'[ -n "${LAZY:-}" ] || touch "$output.partial/block"; exit 143\' TERM\n'
        "kill -USR1 $PPID\nsleep 20 & wait\n"
    )
    (tmp_path / "bin" / "scontrol").write_text('#!/bin/sh\necho "$@" >"$LOG"\n')
    for path in (tmp_path / "bin").iterdir():
        path.chmod(0o755)
    path, log = f"{tmp_path / 'bin'}:{ENVIRONMENT['PATH']}", tmp_path / "log"
    job = {"PATH": path, "LOG": str(log), "SLURM_JOB_ID": "41", "SLURM_ARRAY_JOB_ID": "39", "SLURM_ARRAY_TASK_ID": "2"}
    words = ("slurm/predict.sbatch", tmp_path / "out", "3", "model", "in")
    assert script(*words, **job, LAZY="yes")[0] == 143
    assert not log.exists()
    assert script(*words, **job)[0] == 143
    assert log.read_text() == "requeue 39_2\n"


def test_processes_share_out_the_work(tiny_onnx: Path, photographs: Path, tmp_path: Path, run: Run) -> None:
    """Where GNU parallel is installed."""
    if subprocess.run(["bash", "-c", "command -v parallel"], capture_output=True, check=False).returncode:
        pytest.skip("GNU parallel is not installed")
    run(photographs, "--detector", "whole", "-o", tmp_path / "plain.h5")
    words = ("parallel.sh", "3", tmp_path / "o.h5", tiny_onnx, photographs, "--", "--detector", "whole")
    assert script(*words)[0] == 0
    assert rows_of(tmp_path / "o.h5") == rows_of(tmp_path / "plain.h5")


@pytest.mark.parametrize("name", ["parallel.sh", "slurm/predict.sbatch"])
def test_scripts_can_be_run(name: str) -> None:
    assert os.access(EXAMPLES / name, os.X_OK)
    assert subprocess.run(["bash", "-n", EXAMPLES / name], check=False).returncode == 0


def test_make_joins_parts_and_does_them_again_where_photographs_change(
    run: Run, tiny_onnx: Path, photographs: Path, warm: Warm, tmp_path: Path
) -> None:
    photos = tmp_path / "photos" / "of mine"
    shutil.copytree(photographs / "0", photos / "0")
    (tmp_path / "kd-predict").write_text('#!/bin/sh\nexec "$KD_PREDICT" "$@" --detector whole\n')  # quicker than faces
    (tmp_path / "kd-predict").chmod(0o755)
    command = ["make", "-f", EXAMPLES / "Makefile", "predicted.h5", f"MODEL={tiny_onnx}", "PHOTOS=photos", "PARTS=2"]
    environment = ENVIRONMENT | {"PATH": f"{tmp_path}:{ENVIRONMENT['PATH']}", "KD_PREDICT": warm.script("kd-predict")}

    def make() -> str:
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    make()
    assert len(list(tmp_path.glob("predicted.*of2.h5"))) == 2
    assert "is up to date" in make()
    shutil.copy2(photographs / "2" / "02.png", photos / "0")
    make()
    run(tmp_path / "photos", "--detector", "whole", "-o", tmp_path / "plain.h5")
    assert rows_of(tmp_path / "predicted.h5") == rows_of(tmp_path / "plain.h5")
    assert "of mine/0/02.png" in rows_of(tmp_path / "predicted.h5")
