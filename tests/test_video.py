"""Videos: a drawn face that moves is followed with few searches, smoothed on demand, drawn, and its jitter measured."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from kdtools.cards import ModelCard
from kdtools.detect import Found
from kdtools.errors import FileError, UsageError
from kdtools.files import Provenance, open_faces
from kdtools.geometry import BoxRelation, CropRule, points_square
from kdtools.metrics import acceleration_per_face
from kdtools.prediction import Run, Search, predict_photographs
from kdtools.prediction.outcome import Outcome
from kdtools.prediction.parts import Parts
from kdtools.prediction.video import SEARCH_EVERY, VideoWork
from kdtools.schemes import IBUG68
from kdtools.smoothing import BETA
from kdtools.sources import Photograph, Photographs
from kdtools.synth import draw_faces

RATE, N_FRAMES, HEIGHT, WIDTH, FACE = 25.0, 40, 120, 200, 48
IMAGE, POINTS, _ = next(iter(draw_faces(1, FACE, seed=3)))
IMAGE = np.maximum(IMAGE, 40)  # brighter than what is around it
UNIT = (POINTS + 0.5) / FACE


def frame_with(*corners: tuple[float, float]) -> np.ndarray:
    """A dark frame (H, W, 3) with the drawn face at whole pixels."""
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for x, y in corners:
        column, row = round(x), round(y)
        frame[row : row + FACE, column : column + FACE] = IMAGE
    return frame


class BrightEngine:
    """Finds the points where they lie in the bright square nearest to the middle of a crop, with some noise."""

    card = ModelCard("none", 64, IBUG68, CropRule(0.4), (0, 0, 0), (1, 1, 1))
    threads, batch, name = 1, 8, "bright"

    def __init__(self, noise: float = 0.0) -> None:
        self._noise, self._rng = noise, np.random.default_rng(0)

    def predict(self, crops: np.ndarray) -> np.ndarray:
        found = []
        for crop in crops:
            _, _, boxes, centres = cv2.connectedComponentsWithStats((crop.max(axis=2) > 20).astype(np.uint8))
            if len(boxes) < 2:  # nothing bright: a network answers all the same
                found.append(UNIT - 0.5)
                continue
            nearest = 1 + np.linalg.norm(centres[1:] - 31.5, axis=1).argmin()
            x, y, width, height = boxes[nearest, :4]
            points = np.array([x, y]) + UNIT * np.array([width, height])
            found.append(points / 64 - 0.5 + self._rng.normal(scale=self._noise, size=(68, 2)))
        return np.stack(found).astype(np.float32)


class BrightDetector:
    """The bright squares of a frame, and how often it was asked."""

    name, relation = "bright", BoxRelation()

    def __init__(self) -> None:
        self.n_searches = 0

    def find_faces(self, image: np.ndarray, image_id: str) -> list[Found]:
        self.n_searches += 1
        _, _, boxes, _ = cv2.connectedComponentsWithStats((image.max(axis=2) > 20).astype(np.uint8))
        tight = points_square(POINTS)
        return [Found(tight + np.tile(box[:2], 2), 1.0) for box in boxes[1:]]


def follow(frames: list[np.ndarray], *, noise: float = 0.0, smooth: bool = False) -> tuple[dict, BrightDetector]:  # type: ignore[type-arg]
    detector = BrightDetector()
    work = VideoWork(BrightEngine(noise), Search(detector), None, None, smooth=smooth)
    photographs = [
        Photograph(f"v.avi#frame={k:06d}", "v.avi", lambda frame=frame: frame, k, k / RATE)  # type: ignore[misc]
        for k, frame in enumerate(frames)
    ]
    outcomes = [work(photographs[first : first + 3]) for first in range(0, len(photographs), 3)]
    assert not any(outcome.skipped for outcome in outcomes)
    names = outcomes[0].columns
    return {name: np.concatenate([outcome.columns[name] for outcome in outcomes]) for name in names}, detector


def moving_face(speed: float) -> tuple[list[np.ndarray], np.ndarray]:
    """Frames of a face that moves to the right at whole px a frame, and its points (n, 68, 2)."""
    corners = [(10 + speed * k, 30.0) for k in range(N_FRAMES)]
    return [frame_with(corner) for corner in corners], POINTS + np.array(corners)[:, None]


def test_a_moving_face_is_one_track_and_needs_few_searches() -> None:
    frames, truth = moving_face(3)
    found, detector = follow(frames)
    assert detector.n_searches == N_FRAMES / SEARCH_EVERY
    assert found["track"].tolist() == [0] * N_FRAMES
    assert found["frame"].tolist() == list(range(N_FRAMES))
    np.testing.assert_allclose(found["time"], np.arange(N_FRAMES) / RATE)
    assert found["id"][7] == "v.avi#frame=000007"
    assert np.linalg.norm(found["landmarks"] - truth, axis=2).max() < 2


def test_smoothing_lowers_jitter_and_its_lag_stays_bounded() -> None:
    def jitter(points: np.ndarray) -> float:
        return float(np.mean(acceleration_per_face(points[2:], points[1:-1], points[:-2], np.ones(N_FRAMES - 2))))

    size = np.ptp(POINTS, axis=0).max()
    for speed, most in ((0, 0.5), (3, 1.0)):  # what moves fast is hardly smoothed, for the sake of the lag
        frames, truth = moving_face(speed)
        raw, smooth = (follow(frames, noise=0.01, smooth=wanted)[0]["landmarks"] for wanted in (False, True))
        assert jitter(smooth) < most * jitter(raw)
        assert np.linalg.norm(smooth - truth, axis=2).mean() < np.linalg.norm(raw - truth, axis=2).mean()
        lag = (raw - smooth)[10:, :, 0].mean()
        assert abs(lag) < 1.2 * size / (2 * np.pi * BETA)


def test_faces_keep_their_numbers_when_others_come_and_go() -> None:
    left, right = (10.0, 20.0), (140.0, 60.0)
    n = 4 * SEARCH_EVERY
    frames = [frame_with(left, right)] * n + [frame_with(right)] * n + [frame_with(left, right)] * n
    found, _ = follow(frames)
    of_right = found["landmarks"][:, :, 0].mean(axis=1) > WIDTH / 2
    first, last = found["track"][0], found["track"][-1]
    (number,) = set(found["track"][of_right])
    assert of_right.sum() == 3 * n
    assert len(set(found["track"])) == 3  # who comes back is somebody new
    assert {first, last, number} <= {0, 1, 2}
    assert 2 in found["track"][-2:]
    gone = found["frame"][~of_right]
    assert not ((gone > n + 3 * SEARCH_EVERY) & (gone < 2 * n)).any()  # nothing is followed where no face is left
    rows = found["frame"] == 3 * n - 1
    assert set(found["id"][rows]) == {
        f"v.avi#frame={3 * n - 1:06d}" + (f"#{k + 1}" if k else "") for k in found["track"][rows]
    }


def test_frames_without_a_face_are_searched_and_not_complained_about() -> None:
    found, detector = follow([frame_with()] * 6 + [frame_with((60.0, 40.0))] * 6)
    assert detector.n_searches == 7 + 1  # the first ones, the one with the face, and the tenth
    assert found["frame"].tolist() == list(range(6, 12))


def write_video(path: Path, frames: list[np.ndarray]) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), RATE, (WIDTH, HEIGHT))
    for frame in frames:
        writer.write(frame[..., ::-1])
    writer.release()


def predict(video: Path, output: Path, **options: object) -> int:
    run_options = {name: options.pop(name) for name in ("shard", "resume", "force") if name in options}
    given = {"force": False, **run_options}
    run = Run(engine=BrightEngine(), output=str(output), provenance=Provenance("test"), **given)  # type: ignore[arg-type]
    return predict_photographs(run, Photographs([str(video)]), Search(BrightDetector()), **options)  # type: ignore[arg-type]


def test_a_video_file_becomes_a_faces_file_and_an_annotated_video(tmp_path: Path) -> None:
    frames, truth = moving_face(3)
    write_video(tmp_path / "v.avi", frames)
    assert predict(tmp_path / "v.avi", tmp_path / "p.h5", draw=str(tmp_path / "drawn")) == N_FRAMES
    with open_faces(tmp_path / "p.h5") as faces:
        assert faces.h5["track"][...].tolist() == [0] * N_FRAMES
        assert np.linalg.norm(faces.landmarks - truth, axis=2).mean() < 2
    (drawn,) = (tmp_path / "drawn").iterdir()
    assert drawn.name == "v.mp4"
    capture = cv2.VideoCapture(str(drawn))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == N_FRAMES
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(RATE)
    there, image = capture.read()
    assert there
    assert (image.astype(int)[..., 1] - image[..., 0] > 60).sum() > 20  # green points
    with pytest.raises(FileError, match=r"v\.mp4: exists already"):
        predict(tmp_path / "v.avi", tmp_path / "q.h5", draw=str(tmp_path / "drawn"))
    assert [one.name for one in (tmp_path / "drawn").iterdir()] == ["v.mp4"]
    assert not (tmp_path / "q.h5").exists()


@pytest.mark.parametrize("smooth", [False, True])
def test_a_video_in_parts_is_followed_as_if_it_were_one(smooth: bool, tmp_path: Path) -> None:
    """Sharded, or stopped and resumed: the same points, and the same faces keep their numbers."""
    left, right = (10.0, 20.0), (140.0, 60.0)
    write_video(tmp_path / "v.avi", [frame_with((10.0 + k, 20.0), right) for k in range(15)] + [frame_with(left)] * 20)
    predict(tmp_path / "v.avi", tmp_path / "whole.h5", smooth=smooth)
    found: dict[str, list[np.ndarray]] = {"landmarks": [], "track": [], "frame": []}
    for k in range(3):
        predict(tmp_path / "v.avi", tmp_path / f"{k}.h5", smooth=smooth, shard=(k, 3))
        with open_faces(tmp_path / f"{k}.h5") as part:
            for name, values in found.items():
                values.append(part.h5[name][...])
    stop_at = 17
    with pytest.MonkeyPatch.context() as patch:
        add = Parts.add

        def add_and_stop(parts: Parts, outcome: Outcome) -> None:
            add(parts, outcome)
            if parts.n_items >= stop_at:
                raise KeyboardInterrupt

        patch.setattr(Parts, "add", add_and_stop)
        patch.setattr("kdtools.prediction.parts.WORTH_KEEPING", 0.0)
        with pytest.raises(KeyboardInterrupt):
            predict(tmp_path / "v.avi", tmp_path / "resumed.h5", smooth=smooth)
    predict(tmp_path / "v.avi", tmp_path / "resumed.h5", smooth=smooth, resume=True)
    assert (tmp_path / "resumed.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()
    with open_faces(tmp_path / "whole.h5") as whole:
        assert set(whole.h5["track"]) >= {0, 1}
        for name, values in found.items():
            np.testing.assert_array_equal(np.concatenate(values), whole.h5[name])


def test_drawings_of_parts_of_videos_and_smoothing_of_photographs_are_refused(tmp_path: Path) -> None:
    write_video(tmp_path / "v.avi", [frame_with((60.0, 40.0))] * 2)
    for options in ({"shard": (0, 2)}, {"resume": True}):
        with pytest.raises(UsageError, match="from its first frame to its last"):
            predict(tmp_path / "v.avi", tmp_path / "p.h5", draw=str(tmp_path / "drawn"), **options)
    cv2.imwrite(str(tmp_path / "a.png"), frame_with((60.0, 40.0)))
    with pytest.raises(UsageError, match="--smooth"):
        predict(tmp_path / "a.png", tmp_path / "p.h5", smooth=True)


def test_kd_eval_measures_jitter_without_truth(tmp_path: Path) -> None:
    def kd_eval(*words: str) -> subprocess.CompletedProcess[str]:
        code = "from kdtools.cli.kd_eval import main; main()"
        return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)

    write_video(tmp_path / "v.avi", moving_face(0)[0][:6])
    predict(tmp_path / "v.avi", tmp_path / "p.h5")
    head, row = kd_eval(f"still={tmp_path / 'p.h5'}", "--jitter", "--norm", "10").stdout.splitlines()
    values = dict(zip(head.split("\t"), row.split("\t"), strict=True))
    assert (values["pred"], values["n_runs"], values["n_frames"]) == ("still", "1", "4")
    assert float(values["jitter_percent"]) < 10
    both = kd_eval(str(tmp_path / "p.h5"), "--jitter", "--truth", str(tmp_path / "p.h5"))
    assert (both.returncode, "either --truth FILE or --jitter" in both.stderr) == (2, True)


def test_acceleration_is_that_of_the_points_that_are_there() -> None:
    steady = np.arange(3.0)[:, None, None, None] * np.ones((2, 4, 2))
    jumped = steady[2].copy()
    jumped[0, 1] += [3, 4]
    jumped[0, 3] = np.nan
    jumped[1] = np.nan
    found = acceleration_per_face(jumped, steady[1], steady[0], [10.0, 10.0])
    assert found[0] == pytest.approx(5 / 3 / 10)  # three points are known
    assert np.isnan(found[1])
