"""Videos: a drawn face that moves is followed with few searches, smoothed on demand, drawn, and its jitter measured."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from kdtools.errors import FileError, UsageError
from kdtools.faces.file import open_faces
from kdtools.images.detection import Found
from kdtools.images.video import constant_rate, frame_times, frames_in, open_video
from kdtools.landmarks import IBUG68
from kdtools.landmarks.crop_rule import BoxRelation, CropRule, points_square
from kdtools.metrics import acceleration_per_face
from kdtools.model.card import ModelCard
from kdtools.prediction.inputs import Photograph, Photographs
from kdtools.prediction.outcome import Outcome
from kdtools.prediction.partial_output import Parts
from kdtools.prediction.photograph_work import Search
from kdtools.prediction.pipeline import Run
from kdtools.prediction.predict_photographs import predict_photographs
from kdtools.prediction.smoothing import BETA, Cuts
from kdtools.prediction.video_work import SEARCH_EVERY, VideoWork
from kdtools.storage.provenance import Provenance
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
    threads, batch, name, has_confidence = 1, 8, "bright", True

    def __init__(self, noise: float = 0.0) -> None:
        self._noise, self._rng = noise, np.random.default_rng(0)

    def predict(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
        points = np.stack(found).astype(np.float32)
        return points, points[..., 0] + 0.5


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


class LaggingEngine(BrightEngine):
    """Sees where the face is but not how large it is: its points take up a bit more of each crop than they should."""

    def predict(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found, confidence = super().predict(crops)
        middle = (found.max(axis=1, keepdims=True) + found.min(axis=1, keepdims=True)) / 2
        shape = (POINTS - (POINTS.max(axis=0) + POINTS.min(axis=0)) / 2) / np.ptp(POINTS, axis=0).max()
        return np.float32(middle + 1.06 * shape / (1 + 2 * self.card.crop.margin)), confidence


class FoundDetector(BrightDetector):
    """Finds the same boxes in each frame, but for those that it finds in some frames."""

    def __init__(self, always: list[np.ndarray], sometimes: dict[int, list[np.ndarray]]) -> None:
        super().__init__()
        self._always, self._sometimes = always, sometimes

    def find_faces(self, image: np.ndarray, image_id: str) -> list[Found]:
        self.n_searches += 1
        boxes = self._sometimes.get(int(image_id.split("=")[1]), self._always)
        return [Found(box, 1.0) for box in boxes]


def follow(
    frames: list[np.ndarray],
    *,
    noise: float = 0.0,
    smooth: bool = False,
    engine: BrightEngine | None = None,
    detector: BrightDetector | None = None,
) -> tuple[dict, BrightDetector]:  # type: ignore[type-arg]
    detector = detector or BrightDetector()
    work = VideoWork(engine or BrightEngine(noise), Search(detector), None, None, smooth=smooth)
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
    assert detector.n_searches == 8  # frames 0, 2, 5, 9, 14, ...: less and less often, up to SEARCH_EVERY
    assert found["track"].tolist() == [0] * N_FRAMES
    assert found["frame"].tolist() == list(range(N_FRAMES))
    np.testing.assert_allclose(found["time"], np.arange(N_FRAMES) / RATE)
    assert found["id"][7] == "v.avi#frame=000007"
    assert np.linalg.norm(found["landmarks"] - truth, axis=2).max() < 2
    side = found["box"][:, 2:3] - found["box"][:, :1]
    place = (found["landmarks"][..., 0] - found["box"][:, :1]) / side  # what BrightEngine calls confidence
    np.testing.assert_allclose(found["confidence"], place, atol=0.1)


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
    assert detector.n_searches == 7 + 2  # the first ones, that with the face, and two after it
    assert found["frame"].tolist() == list(range(6, 12))


def test_a_face_that_drifts_is_put_right() -> None:
    """Each crop comes from the last points: 6 % a frame too large is 10 times too large after 40 frames."""
    frames, truth = moving_face(1)
    found, _ = follow(frames, engine=LaggingEngine())
    assert found["track"].tolist() == [0] * N_FRAMES
    side = np.ptp(found["landmarks"], axis=1).max(axis=1) / np.ptp(POINTS, axis=0).max()
    assert side.min() > 1.05
    assert side.max() < 1.06**4 + 0.01  # twice around the detector's box, and two frames later it looks again
    assert np.linalg.norm(found["landmarks"] - truth, axis=2).mean() < 6


def test_a_jump_is_looked_at_in_the_same_frame() -> None:
    corners = [(20.0 if k < 12 else 36.0, 30.0) for k in range(14)]
    found, detector = follow([frame_with(corner) for corner in corners])
    assert found["track"].tolist() == [0] * 14
    assert detector.n_searches == 5  # 0, 2, 5, 9, and 12, where it jumps
    assert np.linalg.norm(found["landmarks"] - POINTS - np.array(corners)[:, None], axis=2).max() < 2


def test_a_cut_ends_what_is_followed() -> None:
    left, right = (10.0, 20.0), (140.0, 60.0)
    found, _ = follow([frame_with(left)] * 12 + [frame_with(right)] * 8)
    assert found["track"].tolist() == [0] * 12 + [1] * 8  # and nobody is left where the first one was
    assert np.linalg.norm(found["landmarks"][12:] - POINTS - right, axis=2).max() < 2


def test_who_stays_in_place_over_a_cut_is_still_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cuts, "begins", lambda self, image: True)
    found, detector = follow([frame_with((10.0 + k, 20.0)) for k in range(6)])
    assert found["track"].tolist() == [0] * 6
    assert detector.n_searches == 6


def test_cuts_are_told_from_motion_and_noise() -> None:
    rng = np.random.default_rng(0)
    scenes = [cv2.resize(rng.integers(0, 256, (9, 24, 3), np.uint8), (480, 180)) for _ in range(2)]
    for gain in (1.0, 0.1):  # by day and by night
        cuts = Cuts()
        frames = [scene[:, k : k + 320] for scene in scenes for k in range(0, 40, 4)]
        found = [cuts.begins(np.uint8(gain * frame)) for frame in frames]
        assert [k for k, begins in enumerate(found) if begins] == [10]
    cuts = Cuts()
    assert not any(cuts.begins(rng.integers(100, 103, (180, 320, 3), np.uint8)) for _ in range(5))


def test_what_was_a_face_only_once_is_not_followed_on() -> None:
    face = points_square(POINTS) + np.tile([10.0, 20.0], 2)
    nothing = face + np.tile([120.0, 40.0], 2)
    detector = FoundDetector([face], {4: [face, nothing]})
    found, _ = follow([frame_with((10.0, 20.0))] * 20, engine=LaggingEngine(), detector=detector)
    assert found["frame"][found["track"] == 1].tolist() == [4, 5]
    assert (found["track"] == 0).sum() == 20


def test_one_face_is_not_followed_twice() -> None:
    """Even where one of the two is much smaller: the engine's points fill each crop alike."""
    large = points_square(POINTS) + np.tile([10.0, 20.0], 2)
    small = large + np.array([12.0, 12, -6, -6])
    detector = FoundDetector([large, small], {})
    found, _ = follow([frame_with((10.0, 20.0))] * 6, engine=LaggingEngine(), detector=detector)
    assert found["track"].tolist() == [0] * 6


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
    assert drawn.name == "v.avi.mp4"
    capture = cv2.VideoCapture(str(drawn))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == N_FRAMES
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(RATE)
    there, image = capture.read()
    assert there
    assert (image.astype(int)[..., 1] - image[..., 0] > 60).sum() > 20  # green points
    with pytest.raises(FileError, match=r"v\.avi\.mp4: exists already"):
        predict(tmp_path / "v.avi", tmp_path / "q.h5", draw=str(tmp_path / "drawn"))
    assert [one.name for one in (tmp_path / "drawn").iterdir()] == ["v.avi.mp4"]
    assert not (tmp_path / "q.h5").exists()


def test_a_name_with_a_colon_is_a_file_and_no_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames, _ = moving_face(3)
    write_video(tmp_path / "v.avi", frames[:4])
    name = "2024-05-01T12:30:05.avi"
    (tmp_path / "v.avi").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for number, video in enumerate((Path(name), tmp_path / name)):
        assert predict(video, tmp_path / f"{number}.h5", draw=str(tmp_path / f"drawn{number}")) == 4
    assert (tmp_path / "drawn0" / "2024-05-01T12:30:05.avi.mp4").stat().st_size


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="FFmpeg makes the video of variable rate")
@pytest.mark.parametrize(
    "text", ["ffconcat version 1.0\nfile own.avi\n", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nown.avi\n"]
)
def test_a_playlist_called_a_video_leads_nowhere(text: str, tmp_path: Path) -> None:
    """FFmpeg recognises playlists by their content, and would read the files that they name."""
    writer = cv2.VideoWriter(str(tmp_path / "own.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 25, (16, 16))  # type: ignore[attr-defined]
    writer.write(np.zeros((16, 16, 3), np.uint8))
    writer.release()
    assert len(frame_times(tmp_path / "own.avi")) == 1
    (tmp_path / "film.mp4").write_text(text)
    assert len(frame_times(tmp_path / "film.mp4")) == 0


def test_a_drawn_video_shows_each_frame_at_its_time(tmp_path: Path) -> None:
    """20 frames at 10 a second, then 20 at 40: the average rate would show frame 19 at 1.2 s, not 1.9."""
    write_video(tmp_path / "constant.avi", [frame_with((10.0 if k < 20 else 140.0, 30.0)) for k in range(40)])
    times = "if(lt(N,20),N*0.1,2+(N-20)*0.025)/TB"
    words = ["-i", tmp_path / "constant.avi", "-vf", f"settb=1/1000,setpts='{times}'"]
    words += ["-vsync", "vfr", "-enc_time_base", "1/1000", tmp_path / "v.mp4"]
    subprocess.run(["ffmpeg", "-v", "error", *words], check=True, stdin=subprocess.DEVNULL)
    assert predict(tmp_path / "v.mp4", tmp_path / "p.h5", draw=str(tmp_path / "drawn")) == 40
    with open_faces(tmp_path / "p.h5") as faces:
        times = faces.h5["time"][...]
    assert times[[0, 19, 20, 39]] == pytest.approx([0, 1.9, 2, 2.475], abs=0.01)
    drawn = open_video(str(tmp_path / "drawn" / "v.mp4"))
    shown = [(image, time) for image, time in frames_in(drawn)]
    assert drawn.get(cv2.CAP_PROP_FPS) == pytest.approx(40, abs=0.1)
    jump = next(time for image, time in shown if image[:, WIDTH // 2 :].mean() > image[:, : WIDTH // 2].mean())
    assert jump == pytest.approx(2, abs=0.02)
    assert shown[-1][1] == pytest.approx(times[-1], abs=0.02)


def test_the_rate_of_a_drawn_video() -> None:
    steps = np.arange(100)
    assert constant_rate(steps / 25 + 3, 25) == 25  # from another time than 0
    assert constant_rate(np.round(steps / 29.97, 3), 29.97) == 29.97  # times in whole milliseconds
    assert constant_rate(np.zeros(100), 30) == constant_rate(np.zeros(0), 30) == 30  # times that are not stated
    assert constant_rate(np.r_[steps / 60, 5 + steps], 2) == pytest.approx(60 * 30 * 200 / 60 / 104 * 1.0, rel=0.05)


def test_videos_that_differ_in_their_suffix_are_drawn_apart(tmp_path: Path) -> None:
    """In one run, and one after the other with -f, where the second replaced the drawing of the first."""
    frames = [frame_with((60.0, 40.0))] * 3
    names = ("v.avi", "v.mkv", "v.mp4")
    for n_frames, name in zip((3, 2, 1), names, strict=True):
        write_video(tmp_path / "v.avi", frames[:n_frames])
        (tmp_path / "v.avi").rename(tmp_path / name)
    write_video(tmp_path / "v.avi", frames)
    drawn = {f"{name}.mp4".replace(".mp4.mp4", ".mp4"): n for name, n in zip(names, (3, 2, 1), strict=True)}

    def run(output: str, draw: str, videos: Sequence[str]) -> None:
        inputs = Photographs([str(tmp_path / name) for name in videos])
        task = Run(engine=BrightEngine(), output=str(tmp_path / output), force=True, provenance=Provenance("test"))
        predict_photographs(task, inputs, Search(BrightDetector()), draw=str(tmp_path / draw))

    run("p.h5", "together", names)
    for number, name in enumerate(names):
        run(f"{number}.h5", "in turn", [name])
    for folder in ("together", "in turn"):
        found = {path.name: len(list(frames_in(open_video(str(path))))) for path in (tmp_path / folder).iterdir()}
        assert found == drawn


def test_two_drawings_of_one_name_are_refused_before_anything_is_done(tmp_path: Path) -> None:
    videos = [tmp_path / name / "v.avi" for name in ("a", "b")]
    for video in videos:
        video.parent.mkdir()
        write_video(video, [frame_with((60.0, 40.0))] * 2)
    detector = BrightDetector()
    run = Run(engine=BrightEngine(), output=str(tmp_path / "p.h5"), force=False, provenance=Provenance("test"))
    with pytest.raises(FileError, match="would be drawn of both"):
        predict_photographs(run, Photographs(list(map(str, videos))), Search(detector), draw=str(tmp_path / "drawn"))
    assert detector.n_searches == 0
    assert not (tmp_path / "drawn").exists()


@pytest.mark.parametrize("smooth", [False, True])
def test_a_video_in_parts_is_followed_as_if_it_were_one(smooth: bool, tmp_path: Path) -> None:
    """Sharded, or stopped and resumed: the same points, and the same faces keep their numbers, though there are cuts
    and the file is cut off.
    """
    left, right = (10.0, 20.0), (140.0, 60.0)
    scenes = [frame_with((10.0 + k, 20.0), right) for k in range(15)] + [frame_with(left)] * 10
    scenes += [frame_with((110.0 - k, 70.0)) for k in range(10)]
    write_video(tmp_path / "v.avi", scenes + scenes[:10])
    data = (tmp_path / "v.avi").read_bytes()
    (tmp_path / "v.avi").write_bytes(data[: int(len(data) * 0.78)])
    *_, last = Photographs([str(tmp_path / "v.avi")])
    assert last.frame is None
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
        patch.setattr("kdtools.prediction.partial_output.WORTH_KEEPING", 0.0)
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
