"""The folder of --draw is whole or absent, and whatever happens to it, the points of the run are not lost."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from contract.running import run_tool, succeed
from factories import write_faces
from reporters import Recorder

from kdtools.errors import FileError, UsageError
from kdtools.faces.file import open_faces
from kdtools.images.drawing import write_image
from kdtools.images.reading import read_image
from kdtools.landmarks import IBUG68
from kdtools.landmarks.crop_rule import CropRule
from kdtools.model.card import ModelCard
from kdtools.prediction import drawn_folder
from kdtools.prediction import partial_output as parts
from kdtools.prediction.inputs import Photographs
from kdtools.prediction.photograph_work import Search
from kdtools.prediction.pipeline import Run
from kdtools.prediction.predict_faces import predict_faces
from kdtools.prediction.predict_photographs import predict_photographs
from kdtools.storage.provenance import Provenance

N = 24


class StoppedEngine:
    """Points in the middle. Ctrl-C comes in the call `stop_at`."""

    threads, batch, name, has_confidence = 1, 4, "middle", False

    def __init__(self, stop_at: int | None = None) -> None:
        self.card = ModelCard("none", 32, IBUG68, CropRule(0.25), (0, 0, 0), (1, 1, 1))
        self._n_calls, self._stop_at = 0, stop_at

    def predict(self, crops: np.ndarray) -> tuple[np.ndarray, None]:
        self._n_calls += 1
        if self._n_calls == self._stop_at:
            raise KeyboardInterrupt
        spread = np.linspace(-0.3, 0.3, 136, dtype=np.float32).reshape(68, 2)
        return np.broadcast_to(spread, (len(crops), 68, 2)).copy(), None


@pytest.fixture(params=["faces", "photographs"])
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source") / "set"
    (folder / "a").mkdir(parents=True)
    images = np.random.default_rng(0).integers(0, 255, (N, 32, 32, 3)).astype(np.uint8)
    if request.param == "faces":
        return write_faces(folder / "faces.h5", images=images, ids=[f"a/{k:02d}.png" for k in range(N)])
    for k, image in enumerate(images):
        write_image(folder / "a" / f"{k:02d}.png", image)
    return folder


def predict(source: Path, output: Path, draw: Path, engine: StoppedEngine | None = None, **options: Any) -> Recorder:
    recorder = Recorder()
    run = Run(
        engine or StoppedEngine(),
        str(output),
        options.pop("force", False),
        Provenance("test"),
        jobs=1,
        reporter=recorder,
        **options,
    )
    if source.is_file():
        with open_faces(source) as faces:
            predict_faces(run, faces, str(source), draw=str(draw))
    else:
        predict_photographs(run, Photographs([str(source)]), Search.named("whole", None, None), draw=str(draw))
    return recorder


def pictures(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def n_points(output: Path) -> int:
    with open_faces(output) as faces:
        assert np.isfinite(faces.landmarks).all()
        return len(faces)


@pytest.fixture
def full_after(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes the device full after some pictures: the next one is cut off."""

    def fill_after(n: int, number: int = errno.ENOSPC) -> None:
        done: list[Path] = []

        def write(path: Path, image: np.ndarray) -> None:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_image(path, image)
            done.append(path)
            if len(done) > n:
                path.write_bytes(path.read_bytes()[:20])
                raise OSError(number, os.strerror(number))

        monkeypatch.setattr(drawn_folder, "write_image_at", write)

    return fill_after


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO])
def test_a_full_device_costs_the_drawings_and_not_the_points(
    number: int, source: Path, full_after: Any, tmp_path: Path
) -> None:
    full_after(7, number)
    recorder = predict(source, tmp_path / "p.h5", tmp_path / "drawn")
    assert n_points(tmp_path / "p.h5") == N
    reason = f"nothing was drawn: {os.strerror(number)}; all points are written"
    assert recorder.skipped == [(str(tmp_path / "drawn"), reason)]
    assert [path.name for path in tmp_path.iterdir()] == ["p.h5"]


def test_old_drawings_stay_unless_all_are_replaced(source: Path, full_after: Any, tmp_path: Path) -> None:
    drawn = tmp_path / "drawn"
    predict(source, tmp_path / "p.h5", drawn)
    assert len(pictures(drawn)) == N
    assert all(cv2.imread(str(drawn / name)) is not None for name in pictures(drawn))
    for name in pictures(drawn):
        (drawn / name).write_bytes(b"old")
    (drawn / "notes.txt").write_text("mine")
    old = pictures(drawn)
    full_after(7)
    assert predict(source, tmp_path / "p.h5", drawn, force=True).skipped
    assert pictures(drawn) == old
    full_after(N)
    assert not predict(source, tmp_path / "p.h5", drawn, force=True).skipped
    new = pictures(drawn)
    assert new.pop("notes.txt") == b"mine"
    assert len(new) == N
    assert b"old" not in new.values()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["drawn", "p.h5"]


def test_a_run_that_is_stopped_draws_nothing_and_goes_on_with_its_drawings(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict(source, tmp_path / "plain.h5", tmp_path / "plain")
    drawn, partial = tmp_path / "a" / "b" / "drawn", tmp_path / "a" / "b" / "drawn.partial"
    with pytest.raises(KeyboardInterrupt):  # at once: nothing is worth keeping
        predict(source, tmp_path / "p.h5", drawn, StoppedEngine(3))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plain", "plain.h5"]
    monkeypatch.setattr(parts, "BLOCK_FACES", 5)
    monkeypatch.setattr(parts, "WORTH_KEEPING", 0.0)
    with pytest.raises(KeyboardInterrupt):
        predict(source, tmp_path / "p.h5", drawn, StoppedEngine(4))
    assert partial.is_dir()
    assert not drawn.exists()
    with pytest.raises(FileError, match="an interrupted run left it"):
        predict(source, tmp_path / "p.h5", drawn)
    predict(source, tmp_path / "p.h5", drawn, resume=True)
    assert pictures(drawn) == pictures(tmp_path / "plain")
    assert (tmp_path / "p.h5").read_bytes() == (tmp_path / "plain.h5").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "p.h5", "plain", "plain.h5"]
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["drawn"]


def test_drawings_of_what_is_done_are_missed(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "BLOCK_FACES", 5)
    monkeypatch.setattr(parts, "WORTH_KEEPING", 0.0)
    with pytest.raises(KeyboardInterrupt):
        predict(source, tmp_path / "p.h5", tmp_path / "drawn", StoppedEngine(4))
    (tmp_path / "drawn.partial").rename(tmp_path / "elsewhere")
    with pytest.raises(FileError, match="the drawings of 3 inputs that this run has done are no longer there"):
        predict(source, tmp_path / "p.h5", tmp_path / "drawn", resume=True)
    predict(source, tmp_path / "p.h5", tmp_path / "drawn", force=True)
    assert len(pictures(tmp_path / "drawn")) == N


def test_what_has_the_name_of_unfinished_drawings(source: Path, tmp_path: Path) -> None:
    """That of a run that was killed is taken; a link and others' files stay, and stop the run before it begins."""
    drawn, partial, other = tmp_path / "drawn", tmp_path / "drawn.partial", tmp_path / "other"
    partial.mkdir(0o700)
    (partial / ".kdtools-drawings" / "a").mkdir(parents=True)
    (partial / ".kdtools-drawings" / "a" / "stale.png").touch()
    predict(source, tmp_path / "p.h5", drawn)
    assert len(pictures(drawn)) == N
    assert not partial.exists()
    other.mkdir(0o700)
    partial.symlink_to(other)
    with pytest.raises(FileError, match=r"drawn\.partial: is a link"):
        predict(source, tmp_path / "p.h5", drawn, force=True)
    partial.unlink()
    for put_in_the_way in (lambda: partial.touch(), lambda: partial.mkdir(), lambda: partial.mkdir(0o700)):
        put_in_the_way()
        if partial.is_dir() and partial.stat().st_mode & 0o77 == 0:
            (partial / "notes.txt").touch()
        with pytest.raises(FileError, match="is no folder of unfinished drawings"):
            predict(source, tmp_path / "p.h5", drawn, force=True)
        assert partial.exists()
        if partial.is_file():
            partial.unlink()
        elif not os.listdir(partial):
            partial.rmdir()
    assert os.listdir(partial) == ["notes.txt"]


def test_drawings_go_through_no_link(source: Path, tmp_path: Path) -> None:
    drawn, elsewhere = tmp_path / "drawn", tmp_path / "elsewhere"
    drawn.mkdir()
    elsewhere.mkdir()
    (elsewhere / "diary.png").write_text("dear diary")
    top = "set" if source.is_dir() else "a"
    (drawn / "a").symlink_to(elsewhere)
    (drawn / top).exists() or (drawn / top).symlink_to(elsewhere)
    recorder = predict(source, tmp_path / "p.h5", drawn, force=True)
    assert n_points(tmp_path / "p.h5") == N
    assert "is a link, which is not followed" in recorder.skipped[0][1]
    assert pictures(elsewhere) == {"diary.png": b"dear diary"}


def test_points_and_drawings_have_places_of_their_own(source: Path, tmp_path: Path) -> None:
    for draw in ("p.h5", "p.h5.partial"):
        with pytest.raises(UsageError, match="is where the points go"):
            predict(source, tmp_path / "p.h5", tmp_path / draw)
    assert list(tmp_path.iterdir()) == []


def test_a_video_that_cannot_be_drawn_costs_no_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither where it cannot be begun, nor where frames are lost, of which OpenCV says nothing."""
    frames = np.random.default_rng(0).integers(0, 255, (6, 64, 64, 3)).astype(np.uint8)
    writer = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 64))
    for frame in frames:
        writer.write(frame)
    writer.release()

    class Losing:
        """Loses the frames after the third one."""

        def __init__(self, *arguments: Any) -> None:
            self._writer, self._n = cv2_writer(*arguments), 0

        def isOpened(self) -> bool:
            return opens

        def write(self, image: np.ndarray) -> None:
            self._n += 1
            if self._n <= 3:
                self._writer.write(image)

        def release(self) -> None:
            self._writer.release()

    cv2_writer = cv2.VideoWriter
    fourcc = cv2.VideoWriter.fourcc
    Losing.fourcc = staticmethod(fourcc)  # type: ignore[attr-defined]
    monkeypatch.setattr("kdtools.prediction.drawings.cv2.VideoWriter", Losing)
    for opens, reason in ((False, "cannot encode a video of 64 x 64 px"), (True, "3 of 6 frames could be written")):
        output = tmp_path / f"{opens}.h5"
        recorder = Recorder()
        run = Run(StoppedEngine(), str(output), False, Provenance("test"), jobs=1, reporter=recorder)
        search = Search.named("whole", None, None)
        predict_photographs(run, Photographs([str(tmp_path / "v.avi")]), search, draw=str(tmp_path / "drawn"))
        assert reason in recorder.skipped[0][1]
        assert n_points(output) == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["False.h5", "True.h5", "v.avi"]


@pytest.mark.parametrize("draw", ["set", "set/drawn", "set/a/deep/drawn", "link/drawn"])
def test_a_folder_in_an_input_is_refused(draw: str, tmp_path: Path) -> None:
    """Its drawings would be photographs of the next run. A hidden folder is not searched."""
    (tmp_path / "set" / "a").mkdir(parents=True)
    write_image(tmp_path / "set" / "a" / "0.png", np.zeros((32, 32, 3), np.uint8))
    (tmp_path / "link").symlink_to("set")
    output = tmp_path / "p.h5"
    with pytest.raises(UsageError, match="the next run would read the drawings as photographs"):
        predict(tmp_path / "set", output, tmp_path / draw)
    for allowed in ("set/.drawn", "set drawn", "drawn"):
        predict(tmp_path / "set", output, tmp_path / allowed, force=True)
        assert list(pictures(tmp_path / allowed)) == ["a/0.png"]
        assert n_points(output) == 1


def test_several_faces_have_their_numbers(tiny_onnx: Path, tmp_path: Path) -> None:
    """Of two faces, as the boxes name them; a single face has none, and its id neither."""
    (tmp_path / "photos").mkdir()
    for name in ("one.png", "two.png"):
        write_image(tmp_path / "photos" / name, np.zeros((200, 400, 3), np.uint8))
    boxes = "name,x0,y0,x1,y1\none.png,20,80,100,160\ntwo.png,20,80,100,160\ntwo.png,260,80,340,160\n"
    (tmp_path / "boxes.csv").write_text(boxes)
    words = ("--detector", tmp_path / "boxes.csv", "--refine", "0", "--draw", tmp_path / "drawn")
    succeed(run_tool("kd-predict", tiny_onnx, tmp_path / "photos", *words, "-o", tmp_path / "p.h5"))
    one, two = (read_image(tmp_path / "drawn" / name).astype(int) for name in ("one.png", "two.png"))
    written = np.abs(one - two).max(axis=2) > 0
    with open_faces(tmp_path / "p.h5") as faces:
        assert faces.ids == ["one.png", "two.png", "two.png#2"]
        tops = faces.landmarks[:, :, 1].min(axis=1)
    assert written[: int(tops[1]), :200].sum() > 10  # above the first face of the second picture
    assert written[: int(tops[2]), 200:].sum() > 10
    assert not one[: int(tops[0]) - 3].any()
