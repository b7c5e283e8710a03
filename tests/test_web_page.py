"""examples/web: the page finds landmarks in the camera's picture in Chromium, at the points that kd-predict finds."""

from __future__ import annotations

import functools
import http.server
import json
import queue
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path

import cv2
import numpy as np
import pytest

from kdtools.bundled import export_file, finder_file
from kdtools.datasets.annotations import Sources, read_annotations
from kdtools.faces.file import open_faces
from kdtools.images.drawing import write_image
from kdtools.images.reading import read_image
from kdtools.prediction.engines import load_engine
from kdtools.prediction.inputs import Photographs
from kdtools.prediction.photograph_work import Search
from kdtools.prediction.pipeline import Run
from kdtools.prediction.predict_photographs import predict_photographs
from kdtools.storage.provenance import Provenance

PAGE = Path(__file__).resolve().parent.parent / "examples" / "web"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MOST_PX = 0.5
SECONDS = 240  # a machine may be busy with other tests; alone it takes five


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The folder that is served: the page, onnxruntime-web and the bundled networks."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    if not (PAGE / "node_modules" / "onnxruntime-web").is_dir():
        pytest.skip("onnxruntime-web is not there: examples/web/get.sh fetches it")
    folder, networks = tmp_path / "site", (export_file("face68"), finder_file())
    if None in networks:
        pytest.skip("the bundled networks are not there")
    folder.mkdir()
    for path in PAGE.iterdir():
        (folder / path.name).symlink_to(path)
    for network in filter(None, networks):
        (folder / network.name).unlink(missing_ok=True)
        (folder / network.name).symlink_to(network)
    return folder


Reports = queue.Queue[EmailMessage]


class _Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *request: object, reports: Reports, directory: str) -> None:
        self._reports = reports
        self.extensions_map = {**self.extensions_map, ".mjs": "text/javascript"}
        super().__init__(*request, directory=directory)  # type: ignore[arg-type]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        message = BytesParser(EmailMessage, policy=HTTP).parsebytes(head + body)
        assert isinstance(message, EmailMessage)
        self._reports.put(message)
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(site: Path) -> Iterator[tuple[str, Reports]]:
    """The address of the page, and what it reports."""
    reports: Reports = queue.Queue()
    handler = functools.partial(_Handler, reports=reports, directory=str(site))
    with http.server.ThreadingHTTPServer(("localhost", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}", reports
        server.shutdown()


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_the_page_sends_no_pictures_to_another_server(tmp_path: Path) -> None:
    """A link could name any: the page says so before it opens the camera."""
    for path in PAGE.iterdir():
        if path.is_file():
            (tmp_path / path.name).symlink_to(path)
    runtime = tmp_path / "node_modules" / "onnxruntime-web" / "dist"
    runtime.mkdir(parents=True)
    (runtime / "ort.wasm.min.mjs").write_text("export const env = { wasm: {} };")  # no network is run
    reports: Reports = queue.Queue()
    handler = functools.partial(_Handler, reports=reports, directory=str(tmp_path))
    with (
        http.server.ThreadingHTTPServer(("localhost", 0), handler) as server,
        http.server.ThreadingHTTPServer(("localhost", 0), handler) as other,
    ):
        for one in (server, other):
            threading.Thread(target=one.serve_forever, daemon=True).start()
        elsewhere = f"//localhost:{other.server_port}"
        shown = page_after_loading(f"http://localhost:{server.server_port}/?report={elsewhere}/report", tmp_path)
        server.shutdown()
        other.shutdown()
    assert f"Error: reports go only to http://localhost:{server.server_port}, not to http:{elsewhere}" in shown
    assert reports.empty()


def page_after_loading(address: str, folder: Path) -> str:
    """HTML of a page after its scripts have run for five seconds of its own time."""
    assert CHROMIUM is not None
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}", "--no-first-run"]
    command = [CHROMIUM, *flags, "--virtual-time-budget=5000", "--dump-dom", address]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS).stdout


def camera_from(photograph: np.ndarray, path: Path) -> None:
    """A stream for Chromium's made camera that shows a photograph (H, W, 3) of even sides."""
    height, width = photograph.shape[:2]
    write_image(path.with_suffix(".png"), photograph)
    command = ["ffmpeg", "-v", "error", "-loop", "1", "-i", str(path.with_suffix(".png")), "-frames:v", "3"]
    subprocess.run([*command, "-pix_fmt", "yuv420p", "-s", f"{width}x{height}", str(path)], check=True)


def reported(address: str, reports: Reports, camera: Path, profile: Path) -> EmailMessage:
    """The first report of the page on what a camera shows."""
    assert CHROMIUM is not None
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", "--mute-audio"]
    flags += ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    flags += [f"--use-file-for-fake-video-capture={camera}", "--no-first-run", "--remote-debugging-port=0"]
    browser = subprocess.Popen(
        [CHROMIUM, *flags, f"{address}/?report=/report"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        return reports.get(timeout=SECONDS)
    finally:
        browser.terminate()
        browser.wait(30)


def group(data: Path) -> np.ndarray | None:
    photograph = next((data / "scenes" / "group").glob("*.jpg"), None)
    return None if photograph is None else read_image(photograph)


def face_alone(data: Path) -> np.ndarray | None:
    """Too large for the first search."""
    one = next(iter(read_annotations(Sources([str(data / "lfpw68" / "train")]))), None)
    if one is None:
        return None
    low, high = one.points.min(axis=0).astype(int), one.points.max(axis=0).astype(int)
    room = (high - low).max() // 5
    x0, y0 = np.maximum(low - room, 0)
    x1, y1 = high + room
    return read_image(Path(one.image))[y0:y1, x0:x1]


@pytest.mark.parametrize("photograph", [group, face_alone])
@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="there is no ffmpeg, which makes the camera's stream")
def test_the_page_finds_the_points_of_kd_predict(
    photograph: Callable[[Path], np.ndarray | None], server: tuple[str, Reports], shared_dir: Path, tmp_path: Path
) -> None:
    image = photograph(shared_dir / "data")
    if image is None:
        pytest.skip("there are no photographs")
    scale = 640 / max(image.shape[:2])
    height, width = (int(side * scale) // 2 * 2 for side in image.shape[:2])
    camera_from(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), tmp_path / "camera.y4m")
    message = reported(*server, tmp_path / "camera.y4m", tmp_path / "profile")
    assert message.is_multipart(), message.get_content()
    parts = {part.get_param("name", header="content-disposition"): part for part in message.iter_parts()}
    (tmp_path / "picture.png").write_bytes(parts["picture"].get_payload(decode=True))
    found = json.loads(parts["faces"].get_payload(decode=True))

    run = Run(load_engine("face68", threads=1), str(tmp_path / "pred.h5"), False, Provenance("test"))
    predict_photographs(run, Photographs([str(tmp_path / "picture.png")]), Search.named("finder", None, None))
    with open_faces(tmp_path / "pred.h5") as faces:
        expected = faces.landmarks
    assert len(found) == len(expected) >= 1
    apart = np.linalg.norm(np.array([face["points"] for face in found]) - expected, axis=2)
    print(f"{len(found)} faces: {apart.mean():.3f} px apart on average, {apart.max():.3f} px at most")
    assert apart.max() < MOST_PX
