"""Long runs: blocks beside the output, going on after a stop, shards; all give the file of a run without them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pytest
from factories import write_faces
from reporters import Recorder, Strict

from kdtools.errors import DataError, FileError
from kdtools.faces.file import open_faces
from kdtools.faces.merge import check_joinable, write_merged
from kdtools.faces.selection import take_parts
from kdtools.faces.writer import create_faces
from kdtools.images.detection import Found
from kdtools.images.drawing import write_image
from kdtools.landmarks import IBUG68
from kdtools.landmarks.crop_rule import BoxRelation, CropRule
from kdtools.model.card import ModelCard
from kdtools.prediction import partial_output as parts
from kdtools.prediction import predict_faces as faces_files
from kdtools.prediction.batching import group_bounds
from kdtools.prediction.inputs import Photographs
from kdtools.prediction.outcome import Timing
from kdtools.prediction.photograph_work import Search
from kdtools.prediction.pipeline import Run
from kdtools.prediction.predict_faces import predict_faces
from kdtools.prediction.predict_photographs import predict_photographs
from kdtools.prediction.unchanged import is_finished
from kdtools.storage.provenance import Provenance, sha256_of

N = 60  # photographs and faces


def predict_file(run: Run, path: Path, draw: str | None = None) -> int:
    with open_faces(path) as faces:
        return predict_faces(run, faces, str(path), draw=draw)


class MeanEngine:
    """Points that follow the crop's colours, so that each face has its own. Ctrl-C comes in the call `stop_at`."""

    threads, batch, name, has_confidence = 1, 4, "mean", False

    def __init__(self, stop_at: int | None = None) -> None:
        self.card = ModelCard("none", 32, IBUG68, CropRule(0.25), (0, 0, 0), (1, 1, 1))
        self.n_calls, self._stop_at = 0, stop_at

    def predict(self, crops: np.ndarray) -> tuple[np.ndarray, None]:
        self.n_calls += 1
        if self.n_calls == self._stop_at:
            raise KeyboardInterrupt
        means = crops.mean(axis=(1, 2), dtype=np.float32) / 255
        return (means[:, :1, None] + np.linspace(-0.5, 0.2, 136, dtype=np.float32).reshape(68, 2)) / 2, None


class OneOrTwo:
    """Finds two faces in every fourth photograph, none in every seventh."""

    name, relation = "one or two", BoxRelation()

    def find_faces(self, image: np.ndarray, image_id: str) -> list[Found]:
        number = int(image_id.rpartition("/")[2].partition(".")[0])
        faces = [Found(np.array([5.0, 5, 45, 45]), 0.9), Found(np.array([10.0, 10, 40, 40]), 0.8)]
        return [] if number % 7 == 6 else faces[: 1 + (number % 4 == 0)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs, of which two cannot be read."""
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    for k in range(N):
        (folder / f"{k % 3}").mkdir(exist_ok=True)
        write_image(folder / f"{k % 3}" / f"{k:02d}.png", rng.integers(0, 255, (50, 50, 3)).astype(np.uint8))
    for name in ("0/12.png", "2/53.png"):
        (folder / name).write_bytes(b"broken")
    return folder


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("faces") / "faces.h5"
    rng = np.random.default_rng(1)
    images = rng.integers(0, 255, (N, 32, 32, 3))
    return write_faces(path, images=images, source=[f"photo{k}.jpg" for k in range(N)], subset_odd=np.arange(N) % 2)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks are written often, even what took no time is worth keeping, and few rows are read at a time."""
    monkeypatch.setattr(faces_files, "_ROWS", 10)
    monkeypatch.setattr(parts, "BLOCK_FACES", 9)
    monkeypatch.setattr(parts, "WORTH_KEEPING", 0.0)


def predict(source: Path, output: Path, engine: MeanEngine | None = None, **options: Any) -> Recorder:
    """Predict a faces file or a folder, with options of a run."""
    recorder = Recorder()
    run = Run(
        engine or MeanEngine(),
        str(output),
        options.pop("force", False),
        options.pop("provenance", Provenance("test")),
        jobs=options.pop("jobs", 1),
        reporter=recorder,
        **options,
    )
    if source.is_file():
        predict_file(run, source)
    else:
        predict_photographs(run, Photographs([str(source)]), Search(OneOrTwo()))
    return recorder


def content_of(path: Path) -> dict[str, Any]:
    """Every array of a file with its attributes, and the attributes of the file that say what the points are."""
    found: dict[str, Any] = {}
    with h5py.File(path) as h5:
        found["scheme"] = h5.attrs["scheme"]
        h5.visititems(
            lambda name, item: (
                found.update({name: (item[...].tolist(), {k: str(v) for k, v in item.attrs.items()})})
                if isinstance(item, h5py.Dataset)
                else None
            )
        )
    return found


@pytest.fixture(params=["folder", "faces"])
def source(request: pytest.FixtureRequest) -> Path:
    path: Path = request.getfixturevalue(request.param)
    return path


@pytest.fixture
def plain(source: Path, tmp_path: Path) -> Iterator[Path]:
    """The output of a run that wrote no blocks."""
    path = tmp_path / "plain.h5"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "BLOCK_FACES", 10_000)
        predict(source, path)
    return path


def test_blocks_make_no_difference(source: Path, plain: Path, tmp_path: Path) -> None:
    predict(source, tmp_path / "out.h5", jobs=2)
    assert content_of(tmp_path / "out.h5") == content_of(plain)
    assert (tmp_path / "out.h5").read_bytes() == plain.read_bytes()
    assert not (tmp_path / "out.h5.partial").exists()


@pytest.mark.parametrize("stop_at", [1, 9, 14, 25])
def test_a_stopped_run_goes_on(stop_at: int, source: Path, plain: Path, tmp_path: Path) -> None:
    output, partial = tmp_path / "out.h5", tmp_path / "out.h5.partial"
    with pytest.raises(KeyboardInterrupt):
        predict(source, output, MeanEngine(stop_at))
    assert not output.exists()
    blocks = sorted(partial.glob("*")) if partial.exists() else []
    done: list[str] = []
    for path in blocks:
        with open_faces(path) as block:  # each can be read as it is
            assert block.n_points == 68
            done += block.ids
    with open_faces(plain) as whole:
        assert done == whole.ids[: len(done)]
    assert bool(done) == (stop_at > 1)
    if done:
        with pytest.raises(FileError, match="an interrupted run left it"):
            predict(source, output)
        other = Provenance("test", ["a b", "--refine", "2"])
        with pytest.raises(FileError, match=r"another run: its command was test$"):
            predict(source, output, resume=True, provenance=other)
    engine = MeanEngine()
    resumed = predict(source, output, engine, resume=True)
    skipped = [name for name, _ in resumed.skipped]
    assert sum(text.startswith("continues after ") for text in resumed.said) == bool(done)
    assert content_of(output) == content_of(plain)
    assert output.read_bytes() == plain.read_bytes()
    assert not partial.exists()
    if source.is_dir():
        assert len(skipped) == len(set(skipped)) == 2  # those of before the stop too
    elif done:
        assert engine.n_calls == len(list(group_bounds(len(done), N, 4)))  # nothing is done twice


def test_a_run_is_stopped_again_and_again(source: Path, plain: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.h5"
    for _ in range(100):
        try:
            predict(source, output, MeanEngine(stop_at=5), resume=True)
            break
        except KeyboardInterrupt:
            pass
    assert output.read_bytes() == plain.read_bytes()


def test_force_starts_anew(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.h5"
    with pytest.raises(KeyboardInterrupt):
        predict(folder, output, MeanEngine(9))
    (tmp_path / "out.h5.partial" / ".block-000007.h5.host.x8yz.part").mkdir()  # as kill -9 leaves one
    engine = MeanEngine()
    predict(folder, output, engine, force=True)
    assert engine.n_calls > 30
    assert [path.name for path in tmp_path.iterdir()] == ["out.h5"]


@pytest.mark.parametrize("resume", [False, True])
def test_blocks_are_not_sought_through_links_nor_others_deleted(resume: bool, faces: Path, tmp_path: Path) -> None:
    output, partial, other = tmp_path / "out.h5", tmp_path / "out.h5.partial", tmp_path / "other"
    other.mkdir()
    block = shutil.copy(faces, other / "block-000000.h5")
    partial.symlink_to(other)
    with pytest.raises(FileError, match=r"out\.h5\.partial: is a link"):
        predict(faces, output, resume=resume, force=True)
    partial.unlink()
    (other / ".lock").symlink_to(tmp_path / "diary.txt")
    other.rename(partial)
    with pytest.raises(FileError, match="is not a lock file"):
        predict(faces, output, resume=resume, force=True)
    (partial / ".lock").unlink()
    (partial / "notes.txt").touch()
    with pytest.raises(FileError, match=r"no run of kd-predict left: 'block-000000.h5', 'notes.txt'"):
        predict(faces, output, resume=resume, force=True)
    assert (partial / Path(block).name).read_bytes() == faces.read_bytes()
    assert not output.exists()


def test_inputs_that_changed_are_no_continuation(source: Path, tmp_path: Path) -> None:
    output, changed = tmp_path / "out.h5", tmp_path / source.name
    with pytest.raises(KeyboardInterrupt):
        predict(source, output, MeanEngine(40 if source.is_dir() else 20))
    if source.is_dir():
        for path in sorted(source.rglob("*.png"))[1:]:
            (changed / path.parent.name).mkdir(parents=True, exist_ok=True)
            (changed / path.parent.name / path.name).write_bytes(path.read_bytes())
    else:
        changed.write_bytes(source.read_bytes())
        with h5py.File(changed, "r+") as h5:
            h5["id"][...] = [f"other{k}" for k in range(N)]
    with pytest.raises(FileError, match="the inputs have changed" if source.is_dir() else "faces.h5 has changed since"):
        predict(changed, output, resume=True)
    lost = sorted((tmp_path / "out.h5.partial").iterdir())[0]
    lost.unlink()
    with pytest.raises(FileError, match="a block before it is missing"):
        predict(source, output, resume=True)


@pytest.mark.parametrize("again", [False, True])
def test_contents_that_changed_are_not_mixed(again: bool, source: Path, tmp_path: Path) -> None:
    """Under the same names, of the same size: with force they are done anew."""
    changed, output, plain = tmp_path / source.name, tmp_path / "out.h5", tmp_path / "plain.h5"
    (shutil.copytree if source.is_dir() else shutil.copy)(source, changed)
    with pytest.raises(KeyboardInterrupt):
        predict(changed, output, MeanEngine(40 if source.is_dir() else 20))
    if source.is_dir():
        path = sorted(changed.rglob("*.png"))[3]
        data = path.read_bytes()
        write_image(path, np.full((50, 50, 3), 200, np.uint8))
        path.write_bytes(path.read_bytes().ljust(len(data), b"\0"))
        assert path.stat().st_size == len(data)
    else:
        with h5py.File(changed, "r+") as h5:
            h5["image"][...] = 255 - h5["image"][...]
    predict(changed, plain)
    if again:
        assert len(predict(changed, output, resume=True, force=True).skipped) in (0, 2)
        assert output.read_bytes() == plain.read_bytes()
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["out.h5", "plain.h5", changed.name])
    else:
        told = "of numbers 1 to .* some are others" if source.is_dir() else "faces.h5 has changed since"
        with pytest.raises(FileError, match=told):
            predict(changed, output, resume=True)
        assert not output.exists()


def test_other_models_and_batches_are_told_in_words(faces: Path, tmp_path: Path) -> None:
    output, first = tmp_path / "out.h5", Provenance("test", ["m.onnx"], {"m.onnx": "12"})
    with pytest.raises(KeyboardInterrupt):
        predict(faces, output, MeanEngine(20), provenance=first)
    with pytest.raises(FileError, match=r"another run: m.onnx has changed since$"):
        predict(faces, output, resume=True, provenance=Provenance("test", ["m.onnx"], {"m.onnx": "13"}))
    with pytest.raises(FileError, match=r"another run: its groups are of up to 4 inputs, here of 8 \(--batch\)"):
        predict(faces, output, resume=True, provenance=first, batch=8)


def test_blocks_are_of_one_process(faces: Path, tmp_path: Path) -> None:
    """Neither -f nor --resume take them from one that runs."""
    output, told = tmp_path / "out.h5", []

    class Meddled(MeanEngine):
        def predict(self, crops: np.ndarray) -> tuple[np.ndarray, None]:
            if self.n_calls == 20:
                for options in ({"force": True}, {"resume": True}):
                    with pytest.raises(FileError, match="another process writes there") as error:
                        predict(faces, output, **options)  # type: ignore[arg-type]
                    told.append(error)
            return super().predict(crops)

    predict(faces, output, Meddled())
    assert len(told) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["out.h5"]


def test_time_is_told_of_what_this_process_did(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.h5"
    with pytest.raises(KeyboardInterrupt):
        predict(folder, output, MeanEngine(30))
    with open_faces(sorted((tmp_path / "out.h5.partial").iterdir())[-1]) as block:
        n_before = json.loads(block.h5.attrs["partial"])["stop"]
    timing = Timing()
    predict(folder, output, resume=True, timing=timing)
    assert timing.n_items == N - n_before
    with open_faces(output) as out:
        assert 0 < timing.n_faces < len(out)
    assert timing.lines("mean")[0].startswith(f"{timing.n_items} images, {timing.n_faces} faces in ")
    assert timing.lines("mean")[1] == "mean; 1 worker"


def test_an_error_keeps_what_was_written_and_a_short_run_leaves_nothing(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(MeanEngine):
        def predict(self, crops: np.ndarray) -> tuple[np.ndarray, None]:
            if self.n_calls == 16:
                raise FileError("no")
            return super().predict(crops)

    output, partial = tmp_path / "out.h5", tmp_path / "out.h5.partial"
    with pytest.raises(FileError, match="no"):
        predict(faces, output, Failing())
    assert len(list(partial.iterdir())) >= 1
    predict(faces, output, resume=True)
    output.unlink()
    monkeypatch.setattr(parts, "BLOCK_FACES", 10_000)
    monkeypatch.setattr(parts, "WORTH_KEEPING", 10.0)
    with pytest.raises(KeyboardInterrupt):
        predict(faces, output, MeanEngine(16))
    assert list(tmp_path.iterdir()) == []


def test_a_stop_says_where_the_work_is(faces: Path, tmp_path: Path) -> None:
    recorder = Recorder()
    run = Run(MeanEngine(20), str(tmp_path / "o.h5"), False, Provenance("test"), jobs=1, reporter=recorder)
    with pytest.raises(KeyboardInterrupt):
        predict_file(run, faces)
    assert recorder.said == [f"the results so far are in {tmp_path / 'o.h5.partial'}; --resume continues it"]


def test_a_finished_run_is_known(faces: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.h5"
    provenance = Provenance("test", ["model", "--refine", "1"], {"model": "12"})
    assert not is_finished(str(output), provenance, str(faces), is_shard=False)
    predict(faces, output, provenance=provenance)
    assert is_finished(str(output), provenance, str(faces), is_shard=False)
    for other, told in (
        (Provenance("test", ["model"], {"model": "12"}), "its command was test model --refine 1"),
        (Provenance("test", ["model", "--refine", "1"], {"model": "13"}), "model has changed since"),
    ):
        with pytest.raises(FileError, match=f"exists already, of another run: {told}"):
            is_finished(str(output), other, str(faces), is_shard=False)
    with pytest.raises(FileError, match="standard input, or from a camera, cannot be compared"):
        is_finished(str(output), provenance, "-", is_shard=False)
    output.write_bytes(b"junk")
    with pytest.raises(FileError, match="it does not say of which"):
        is_finished(str(output), provenance, str(faces), is_shard=False)


@pytest.mark.parametrize("shard", [None, (1, 3)])
def test_a_finished_run_of_other_inputs_is_none(shard: tuple[int, int] | None, source: Path, tmp_path: Path) -> None:
    changed, output = tmp_path / source.name, tmp_path / "out.h5"
    (shutil.copytree if source.is_dir() else shutil.copy)(source, changed)
    predict(changed, output, shard=shard)

    def is_whole() -> bool:
        inputs = Photographs([str(changed)]) if source.is_dir() else str(changed)
        return is_finished(str(output), Provenance("test"), inputs, is_shard=shard is not None)

    assert is_whole()
    if source.is_dir():
        new = changed / "0" / "new.png"
        shutil.copy(changed / "0" / "00.png", new)
        with pytest.raises(FileError, match="images have come or gone"):
            is_whole()
        new.unlink()
        assert is_whole()
        shutil.copy2(source / "1" / "01.png", changed / "1" / "01.png")  # the same again
        assert is_whole()
        os.rename(changed / "1" / "04.png", tmp_path / "one")  # exchanged, with old times
        os.rename(changed / "1" / "01.png", changed / "1" / "04.png")
        os.rename(tmp_path / "one", changed / "1" / "01.png")
        with pytest.raises(FileError, match=r"01\.png has changed since"):
            is_whole()
    else:
        with h5py.File(changed, "r+") as h5:
            h5["image"][N // 2] = 255 - h5["image"][N // 2]
        with pytest.raises(FileError, match="inputs have changed" if shard else r"faces\.h5 has changed since"):
            is_whole()


def test_a_folder_exchanged_for_another_is_no_finished_run(tmp_path: Path) -> None:
    """Of the same names, sizes and times, all older than the output; by renaming, and by a link that is set anew."""
    for name, grey in (("a", 40), ("b", 200)):
        (tmp_path / name).mkdir()
        for k in range(4):
            path = tmp_path / name / f"{k}.bmp"  # of one size, whatever is in it
            path.write_bytes(cv2.imencode(".bmp", np.full((50, 50, 3), grey + k, np.uint8))[1].tobytes())
            os.utime(path, (1e9, 1e9))
    link, output = tmp_path / "link", tmp_path / "out.h5"
    link.symlink_to("a")

    def is_whole() -> bool:
        return is_finished(str(output), Provenance("test"), Photographs([str(link)]), is_shard=False)

    predict(link, output)
    assert is_whole()
    link.unlink()
    link.symlink_to("b")
    with pytest.raises(FileError, match="changed since"):
        is_whole()
    link.unlink()
    os.rename(tmp_path / "a", tmp_path / "old")
    os.rename(tmp_path / "b", tmp_path / "a")
    link.symlink_to("a")
    with pytest.raises(FileError, match="changed since"):
        is_whole()


def test_a_path_may_be_spelt_in_another_way(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`photos` and `photos/` were two commands. Another folder is one."""
    shutil.copytree(folder, tmp_path / "photos")
    shutil.copytree(folder, tmp_path / "others")
    monkeypatch.chdir(tmp_path)

    def provenance(*words: str) -> Provenance:
        return Provenance("kd-predict", [*words, "--resume"]).with_inputs(["photos/0/00.png"])

    predict(Path("photos"), Path("out.h5"), provenance=provenance("m", "photos", "--draw", "d"))
    for spelt in ("photos", "photos/", "./photos", ".//photos//"):
        now = replace(
            provenance("m", spelt, "--draw", "d/"), inputs={"./photos/0/00.png": sha256_of("photos/0/00.png")}
        )
        assert is_finished("out.h5", now, Photographs([spelt]), is_shard=False), spelt
    for words in (("m", "others", "--draw", "d"), ("m", "photos", "--draw", "e"), ("m", "photos")):
        with pytest.raises(FileError, match="its command was kd-predict m photos --draw d"):
            is_finished("out.h5", provenance(*words), Photographs(["photos"]), is_shard=False)


def test_a_stopped_run_goes_on_with_copies_of_its_inputs_but_not_with_others(folder: Path, tmp_path: Path) -> None:
    moved, output = tmp_path / "photos", tmp_path / "out.h5"
    shutil.copytree(folder, moved)
    with pytest.raises(KeyboardInterrupt):
        predict(moved, output, MeanEngine(40))
    first, second = moved / "0" / "00.png", moved / "0" / "03.png"
    for path in (first, second):
        shutil.copy(path, tmp_path / "copy")  # another inode and another time
        os.replace(tmp_path / "copy", path)
    predict(moved, tmp_path / "plain.h5")
    predict(moved, output, resume=True)
    assert output.read_bytes() == (tmp_path / "plain.h5").read_bytes()


def test_shards_joined_are_the_whole(source: Path, plain: Path, tmp_path: Path) -> None:
    shards = [tmp_path / f"{k}.h5" for k in range(5)]
    for k, output in enumerate(shards):
        if k == 2:  # one of them is stopped and goes on
            with pytest.raises(KeyboardInterrupt):
                predict(source, output, MeanEngine(3), shard=(k, 5))
        predict(source, output, shard=(k, 5), resume=True)
    with_attributes = content_of(plain)
    merge(shards, tmp_path / "joined.h5")
    assert content_of(tmp_path / "joined.h5") == with_attributes
    with open_faces(shards[1]) as part:
        assert str(source) not in json.loads(part.h5.attrs["inputs"])


def test_a_shard_may_be_without_faces(tmp_path: Path) -> None:
    for k in (6, 13, 20, 21):  # nobody is in the first three
        write_image(tmp_path / f"{k:02d}.png", np.full((50, 50, 3), k, np.uint8))
    outputs = [tmp_path / f"{k}.h5" for k in range(2)]
    for k, output in enumerate(outputs):
        predict(tmp_path, output, shard=(k, 2))
    with open_faces(outputs[0]) as part:
        assert len(part) == 0
        assert part.n_points == 68
    merge(outputs, tmp_path / "joined.h5")
    with open_faces(tmp_path / "joined.h5") as joined:
        assert joined.ids == ["21.png"]


def test_a_shard_may_be_without_inputs(source: Path, tmp_path: Path) -> None:
    outputs = [tmp_path / f"{k}.h5" for k in range(2)]
    predict(source, outputs[0], shard=(0, 1000))
    predict(source, outputs[1], shard=(1, 2))
    with open_faces(outputs[0]) as part:
        assert (len(part), part.n_points, part.role) == (0, 68, "predicted")
    merge(outputs, tmp_path / "joined.h5")
    with open_faces(tmp_path / "joined.h5") as joined, open_faces(outputs[1]) as part:
        assert joined.ids == part.ids


def test_a_run_that_ends_without_a_face_leaves_no_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to go on with, and the next run is not to be refused for them."""
    monkeypatch.setattr(parts, "BLOCK_SECONDS", 0.0)
    (tmp_path / "photographs").mkdir()
    for name in ("1.png", "2.png"):
        (tmp_path / "photographs" / name).write_bytes(b"broken")
    for _ in range(2):
        with pytest.raises(DataError, match="2 images were skipped, and there are no others"):
            predict(tmp_path / "photographs", tmp_path / "out.h5")
        assert [path.name for path in tmp_path.iterdir()] == ["photographs"]


def merge(paths: list[Path], output: Path) -> None:
    """As kd-merge does."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        files = take_parts([stack.enter_context(open_faces(path)) for path in paths])
        check_joinable(files, with_images=True, any_scheme=False)
        with create_faces(str(output), False, Provenance("test")) as writer:
            write_merged(writer, files, with_images=True, target=None, added={}, reporter=Strict())
