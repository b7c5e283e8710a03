"""Damaged inputs of every format end in a clean import or in a clear error, never in wrong points.

Each format's own tests make a small valid set; here its files are damaged. For 1,000 rounds of each format:
`python tests/datasets/formats/test_fuzz_formats.py 1000`.
"""

from __future__ import annotations

import contextlib
import importlib
import random
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from reporters import Recorder

from kdtools.datasets.annotations import Sources, read_annotations
from kdtools.datasets.formats import FORMATS, Annotation
from kdtools.errors import KdError

rounds = pytest.mark.parametrize("n_rounds", [10, pytest.param(40, marks=pytest.mark.soak)])
sys.path.insert(0, str(Path(__file__).parent))
SAMPLES: dict[str, Callable[[Path], Path]] = {}
for path in sorted(Path(__file__).parent.glob("test_format_*.py")):
    SAMPLES.update(getattr(importlib.import_module(path.stem), "SAMPLES", {}))
IMAGES = {".jpg", ".png", ".ppm"}


def read(name: str, source: Path, pictures: bool = True) -> list[Annotation]:
    return read_annotations(Sources([str(source)], name, pictures=pictures))


def damage(data: bytes, rng: random.Random) -> bytes:
    """One to four small damages: bytes flipped, removed, doubled, cut off, numbers made absurd, tokens swapped."""
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.choice([1, 1, 2, 8, 40]))
        kind = rng.randrange(8)
        if kind == 0:
            data = data[:at] + bytes(rng.randrange(256) for _ in range(end - at)) + data[end:]
        elif kind == 1:
            data = data[:at] + data[end:]
        elif kind == 2:
            data = data[:end] + data[at:]
        elif kind == 3:
            data = data[:at]
        elif kind == 4:
            odd = rng.choice([b"nan", b"inf", b"1e308", b"-1", b"99999999999999999999", b"", b"null", b'"', b"{", b"x"])
            numbers = list(re.finditer(rb"-?\d+(?:\.\d+)?", data)) or [None]
            chosen = rng.choice(numbers)
            data = data if chosen is None else data[: chosen.start()] + odd + data[chosen.end() :]
        elif kind == 5:
            data = data.replace(b"\n", rng.choice([b"\r\n", b"\r", b"\n\n", b" ", b""]), rng.choice([-1, 1]))
        elif kind == 6 and data:
            data = data[:at] + bytes([data[at % len(data)] ^ (1 << rng.randrange(8))]) + data[at + 1 :]
        else:
            data = data[:at] + rng.choice([b",", b" ", b"\t", b"\xff\xfe", b"\0", b"\xe2\x80\xa8", b";"]) + data[at:]
    return data


def check(annotations: list[Annotation]) -> None:
    for one in annotations:
        assert one.id
        if one.points is not None:
            assert one.points.ndim == 2
            assert one.points.shape[1] == 2
            assert not np.isinf(one.points).any()
            for extra in (one.visible, one.confidence):
                assert extra is None or extra.shape == one.points.shape[:1]
        if one.box is not None:
            assert one.box.shape == (4,)
            assert (one.box[2:] > one.box[:2]).all()


def files_of(source: Path) -> list[Path]:
    folder = source if source.is_dir() else source.parent
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix.lower() not in IMAGES]


def fuzz(name: str, rounds: int, seed: int = 0) -> int:
    """Damage one file of the sample at a time; returns how many rounds ended in an error."""
    rng, errors = random.Random(f"{name} {seed}"), 0
    with tempfile.TemporaryDirectory() as work:
        original = SAMPLES[name](Path(work) / "original")
        folder = original if original.is_dir() else original.parent
        for k in range(rounds):
            copy = Path(work) / f"copy{k % 2}"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(folder, copy)
            source = copy if original.is_dir() else copy / original.name
            victim = rng.choice(files_of(source))
            victim.write_bytes(damage(victim.read_bytes(), rng))
            try:
                check(read(name, source, pictures=k % 2 == 0))
            except KdError:
                errors += 1
    return errors


def test_every_format_has_a_sample() -> None:
    assert set(SAMPLES) == set(FORMATS) - {"images"}


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_samples_are_told_apart(name: str, tmp_path: Path) -> None:
    source = SAMPLES[name](tmp_path / "set")
    recorder = Recorder()
    found = read_annotations(Sources([str(source)]), recorder)
    assert found
    assert f"read as {name} " in recorder.said[0]
    assert recorder.skipped == []
    for other, form in FORMATS.items():
        if other not in ("csv", "tsv", "images"):  # these take what nobody else knows, and stand last
            assert form.accepts(source) == (other == name), other


@pytest.mark.in_child
@rounds
@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_damage_ends_in_points_or_in_an_error(name: str, n_rounds: int) -> None:
    fuzz(name, n_rounds)


@rounds
@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_lost_number_never_shifts_the_points(name: str, n_rounds: int, tmp_path: Path) -> None:
    """Of a text, one number is taken out: no face may then come with many other points than before."""
    source = SAMPLES[name](tmp_path / "set")
    texts = [path for path in files_of(source) if is_text(path)]
    if not texts:
        pytest.skip("a binary format")
    before = read(name, source)
    rng = random.Random(name)
    for _ in range(n_rounds):
        victim = rng.choice(texts)
        data = victim.read_bytes()
        number = rng.choice(list(re.finditer(rb"(?<![\w.#-])-?\d+(?:\.\d+)?(?![\w.])[ ,;\t]?", data)))
        victim.write_bytes(data[: number.start()] + data[number.end() :])
        with contextlib.suppress(KdError):
            for one in read(name, source):
                # Where one of several faces in an image is skipped, the others move up.
                same_image = [old for old in before if old.image == one.image and old.points.shape == one.points.shape]
                if same_image:
                    assert min(n_changed(old.points, one.points) for old in same_image) <= 1, (number, one.id)
        victim.write_bytes(data)


def n_changed(before: np.ndarray, after: np.ndarray) -> int:
    return int((~np.isclose(before, after, equal_nan=True).all(axis=1)).sum())


def is_text(path: Path) -> bool:
    try:
        path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


if __name__ == "__main__":
    for name in sorted(SAMPLES):
        print(name, fuzz(name, int(sys.argv[1])), "errors", flush=True)
