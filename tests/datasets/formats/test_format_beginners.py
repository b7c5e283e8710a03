"""What people begin with: Kaggle's facial keypoints, and tables whose header only numbers the columns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from format_reading import read_all
from test_format_downloads import write_text

from kdtools.datasets.formats import csv_points, find_format, kaggle
from kdtools.errors import FileError

NAMES = ["left_eye_center", "right_eye_center", "nose_tip", "mouth_left_corner"]
SIDE = 12


def grey(k: int) -> np.ndarray:
    return np.random.default_rng(k).integers(0, 256, (SIDE, SIDE))


def write_kaggle(folder: Path) -> Path:
    lines = [",".join([f"{name}_{axis}" for name in NAMES for axis in "xy"] + ["Image"])]
    for k in range(3):
        points = [f"{value:.6f}" for value in np.random.default_rng(9 + k).uniform(1, 11, 8)]
        lines.append(",".join([*points, " ".join(map(str, grey(k).reshape(-1)))]))
    return write_text(folder / "training.csv", "\n".join(lines) + "\n")


SAMPLES: dict[str, Callable[[Path], Path]] = {"kaggle": write_kaggle}


def test_kaggle_points_and_pixels(tmp_path: Path) -> None:
    source = write_kaggle(tmp_path)
    assert find_format("auto", source).name == "kaggle"
    assert kaggle.names_of(source) == NAMES
    found, skips = read_all(kaggle.FORMAT, source)
    assert skips == []
    assert [one.id for one in found] == ["training/1", "training/2", "training/3"]
    for k, one in enumerate(found):
        truth = np.random.default_rng(9 + k).uniform(1, 11, 8).reshape(4, 2)
        np.testing.assert_allclose(np.asarray(one.points), truth, atol=1e-6)
        assert one.load is not None
        np.testing.assert_array_equal(one.load(), np.repeat(grey(k)[..., None], 3, axis=2))


def test_kaggle_missing_points_and_damaged_images(tmp_path: Path) -> None:
    source = write_kaggle(tmp_path)
    lines = source.read_text().splitlines()
    cells = lines[1].split(",")
    lines[1] = ",".join([*cells[:2], "", *cells[3:]])
    lines[2] = lines[2].rpartition(" ")[0]
    lines[3] = lines[3].rpartition(" ")[0] + " 256"
    source.write_text("\n".join(lines))
    found, skips = read_all(kaggle.FORMAT, source)
    assert [one.id for one in found] == ["training/1"]
    assert np.isnan(np.asarray(found[0].points)).any(axis=1).tolist() == [False, True, False, False]
    assert "143 pixels, which is not a square number" in skips[0][1]
    assert "from 0 to 255" in skips[1][1]


def test_kaggle_test_set_has_images_alone(tmp_path: Path) -> None:
    rows = [f"{k + 5},{' '.join(map(str, grey(k).reshape(-1)))}" for k in range(2)]
    source = write_text(tmp_path / "test.csv", "\n".join(["ImageId,Image", *rows]))
    assert find_format("auto", source).name == "kaggle"
    found, _ = read_all(kaggle.FORMAT, source)
    assert [(one.id, one.points) for one in found] == [("test/5", None), ("test/6", None)]


def test_kaggle_with_other_columns_is_refused(tmp_path: Path) -> None:
    source = write_kaggle(tmp_path)
    source.write_text(source.read_text().replace("nose_tip_x", "age"))
    with pytest.raises(FileError, match="not Image and the x and y of points"):
        read_all(kaggle.FORMAT, source)


def test_cases_of_kaggle_and_of_a_numbered_header(shared_dir: Path) -> None:
    source = shared_dir / "cases" / "formats" / "R05_kaggle.csv"
    found, skips = read_all(kaggle.FORMAT, source)
    rows = [line.split(",") for line in source.read_text().splitlines()[1:]]
    assert (len(found), skips) == (len(rows), [])
    for one, row in zip(found, rows, strict=True):
        truth = np.array([float(cell or "nan") for cell in row[:30]]).reshape(15, 2)
        truth[np.isnan(truth).any(axis=1)] = np.nan
        np.testing.assert_allclose(np.asarray(one.points), truth, atol=1e-9)
        assert one.load is not None
        assert one.load()[..., 1].reshape(-1).tolist() == [int(value) for value in row[30].split()]
    source = shared_dir / "cases" / "formats" / "R05_numbered_header.csv"
    found, skips = read_all(csv_points.FORMAT, source, pictures=False)
    rows = [line.split(",") for line in source.read_text().splitlines()[1:]]
    assert [one.id for one in found] == [row[0] for row in rows]
    truth = np.array([row[1:] for row in rows], float).reshape(-1, 68, 2)
    np.testing.assert_allclose(np.stack([np.asarray(one.points) for one in found]), truth, atol=1e-9)


@pytest.mark.parametrize("header", ["", "image", "0", "Unnamed: 0"])
@pytest.mark.parametrize("start", [0, 1])
def test_numbered_headers(header: str, start: int, shared_dir: Path, tmp_path: Path) -> None:
    case = shared_dir / "cases" / "formats" / "R05_numbered_header.csv"
    rows = [line.split(",") for line in case.read_text().splitlines()[1:]]
    first = ",".join([header, *map(str, range(start, start + 136))])
    source = write_text(tmp_path / "a.csv", "\n".join([first, *map(",".join, rows)]))
    found, skips = read_all(csv_points.FORMAT, source, pictures=False)
    assert (len(found), skips) == (len(rows), [])
    assert np.asarray(found[0].points)[1].tolist() == [float(rows[0][3]), float(rows[0][4])]
    turned = [[row[0], *row[1::2], *row[2::2]] for row in rows]  # all x before all y
    source = write_text(tmp_path / "b.csv", "\n".join([first, *map(",".join, turned)]))
    with pytest.raises(FileError, match="numbers the columns"):
        read_all(csv_points.FORMAT, source, pictures=False)
