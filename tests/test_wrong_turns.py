"""What a newcomer may type between the install and the first point, and the answer that leads on."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from contract.running import run_tool, succeed
from factories import drawn_faces, write_faces
from warm import Warm

from kdtools.images.detection import usual_detector
from kdtools.images.drawing import write_image
from kdtools.synth import draw_face


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with photos/, of three unannotated pictures, and train.h5, faces with points."""
    images, points = drawn_faces(3, 64, seed=1)
    (tmp_path / "photos").mkdir()
    for number, image in enumerate(images):
        write_image(tmp_path / "photos" / f"{number}.png", image)
    write_faces(tmp_path / "train.h5", images=images, landmarks=points)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_photographs_without_annotations_are_imported(here: Path) -> None:
    told = succeed(run_tool("kd-import", "photos", "-o", "x.h5")).stderr
    assert f"3 whole images, no face detection; --detector {usual_detector()} finds faces" in told
    told = succeed(run_tool("kd-predict", "face68", "x.h5", "-o", "points.csv")).stderr
    assert "holds whole images, in which no faces were looked for" in told
    assert "give the photographs themselves, or import them with --detector" in told
    for tool in ("kd-asm", "kd-teacher"):
        told = run_tool(tool, "x.h5", "-o", "y.h5" if tool == "kd-asm" else "y.safetensors").stderr
        assert "holds no /landmarks" in told
        assert "kd-import reads annotations, kd-predict finds points" in told
    result = run_tool("kd-import", "photos", "--scheme", "ibug68", "-o", "y.h5")
    assert result.status == 2
    assert "kd-import --formats lists what is read" in result.stderr


def test_a_detector_that_was_asked_for_is_not_advised(here: Path) -> None:
    told = succeed(run_tool("kd-import", "photos", "--detector", "whole", "-o", "x.h5")).stderr
    assert "looked for" not in told
    succeed(run_tool("kd-merge", "x.h5", "-o", "y.h5"))
    for name in ("x.h5", "y.h5"):  # nor is it warned of what was wanted
        told = succeed(run_tool("kd-predict", "face68", name, "-o", f"{name}.csv")).stderr
        assert "whole images" not in told


def test_annotated_faces_are_cropped_and_that_is_told(here: Path) -> None:
    succeed(run_tool("kd-dump", "train.h5", "--crops", "pictures", "--format", "jsonl", "-o", "points.jsonl"))
    told = succeed(run_tool("kd-import", "points.jsonl", "--images", "pictures", "-o", "x.h5")).stderr
    assert "each face is cropped around its points; --detector whole keeps whole images" in told
    told = succeed(run_tool("kd-predict", "face68", "x.h5", "-o", "p.csv")).stderr
    assert "whole images" not in told


def test_no_teacher_where_none_is_wanted(here: Path) -> None:
    result = run_tool("kd-student", "train.h5", "-o", "s.safetensors")
    assert result.status == 2
    assert "a student learns from labels alone, or from teachers too" in result.stderr
    assert "labels alone: kd-student train.h5 --preset best -o s.safetensors; a teacher: kd-teacher" in result.stderr
    result = run_tool("kd-student", "photos", "-o", "s.safetensors")
    assert result.status == 1
    assert (
        "photos: is a folder, not a faces file\n  kd-import makes one from a folder of annotated images"
        in result.stderr
    )


def test_photographs_without_a_model(here: Path) -> None:
    result = run_tool("kd-predict", "photos")
    assert result.status == 2
    assert "face68 and face68-tiny come with kdtools: kd-predict face68 photos -o points.csv" in result.stderr


def test_the_last_message_says_where_the_points_are(here: Path) -> None:
    for words, told in (
        (("-o", "points.csv"), "kd-predict: 3 faces to points.csv\n"),
        (("-o", "points"), "3 faces to points, a faces file (HDF5); -o points.csv writes text"),
        ((), "3 faces; -o points.csv writes their points"),
    ):
        result = run_tool("kd-predict", "face68", "photos", "--detector", "whole", *words)
        assert result.status == 0
        assert told in result.stderr


def test_a_forgotten_word_is_shown_in_its_place(here: Path) -> None:
    result = run_tool("kd-predict")
    assert result.status == 2
    assert "Missing argument 'MODEL'\n  kd-predict [OPTIONS] MODEL INPUT...; see kd-predict --help\n" in result.stderr
    result = run_tool("kd-merge", "train.h5")
    assert "  kd-merge [OPTIONS] FACES... -o FILE; see kd-merge --help\n" in result.stderr


def test_what_is_no_faces_file_says_how_to_get_one(here: Path) -> None:
    """A folder, points as CSV, and a network's name in the place of a faces file."""
    succeed(run_tool("kd-predict", "face68", "train.h5", "-o", "points.csv"))
    for words in (("kd-view", "{}", "-o", "v.png"), ("kd-merge", "{}", "-o", "m.h5"), ("kd-dump", "{}")):
        for name, told in (
            ("photos", "kd-predict predicts points in photographs"),
            ("points.csv", "kd-predict -o FILE.h5 writes one"),
            ("face68", "a network that comes with kdtools"),
        ):
            result = run_tool(*(word.format(name) for word in words))
            assert result.status == 1, (words, name)
            assert told in result.stderr, (words, name)


def test_a_misspelt_folder_is_answered_with_the_one_that_is_there(here: Path) -> None:
    result = run_tool("kd-predict", "face68", "phtos", "-o", "points.csv")
    assert result.status == 1
    assert "phtos: no such file or folder\n  is photos meant?\n" in result.stderr
    result = run_tool("kd-predict", "face68", "photos/7.png")
    assert "photos/7.png: no such file or folder\n  is photos/" in result.stderr
    assert run_tool("kd-predict", "face68", "quite/else").stderr.endswith("quite/else: no such file or folder\n")


def test_an_option_of_another_program_is_answered_with_the_usage(here: Path) -> None:
    """As -i of ffmpeg, or --model of many Python scripts."""
    for words in (("-i", "photos", "face68"), ("--model", "face68", "--input", "photos")):
        result = run_tool("kd-predict", *words)
        assert result.status == 2
        assert f"No such option: {words[0]}" in result.stderr
        assert "  kd-predict [OPTIONS] MODEL INPUT...; see kd-predict --help\n" in result.stderr


def test_a_batch_over_a_folder_goes_on_after_a_photograph_without_a_face_and_a_broken_one(
    here: Path, warm: Warm
) -> None:
    """As README says; a loop over single photographs stops at the broken one, and is told of the folder."""
    write_image(here / "photos" / "wall.png", np.full((100, 120, 3), 120, np.uint8))
    (here / "photos" / "broken.png").write_bytes((here / "photos" / "0.png").read_bytes()[:300])
    image, _, _ = draw_face(np.random.default_rng(0), 240, margin=0.75)
    write_image(here / "photos" / "face.png", image)
    script = f"""set -euo pipefail
        {warm.script("kd-predict")} face68 photos/ --include face.png --include wall.png --include broken.png \\
            -o points.csv || [ $? -eq 4 ]
        echo done"""
    batch = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert (batch.returncode, batch.stdout) == (0, "done\n"), batch.stderr
    assert "skipped broken.png: " in batch.stderr
    assert "no face found in 1 of 3 photographs: wall.png" in batch.stderr
    assert [line.partition(",")[0] for line in Path("points.csv").read_text().splitlines()] == ["id", "face.png"]
    alone = run_tool("kd-predict", "face68", "photos/broken.png", "-o", "one.csv")
    assert alone.status == 1
    assert "one call for a whole folder skips what cannot be read" in alone.stderr
    few = run_tool("kd-predict", "face68", "photos/", "--include", "broken.png", "-o", "one.csv")
    assert few.status == 1
    assert "whole folder" not in few.stderr
