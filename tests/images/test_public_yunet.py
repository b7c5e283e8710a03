"""--detector yunet: the public file is fetched once, by its SHA-256."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from kdtools.errors import FileError
from kdtools.images.detection import yunet

CONTENT = b"a network" * 1000


class _Server(BaseHTTPRequestHandler):
    content, n_requests = CONTENT, 0

    def do_GET(self) -> None:
        _Server.n_requests += 1
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HTTPServer]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(_Server, "n_requests", 0)
    with HTTPServer(("127.0.0.1", 0), _Server) as http:
        monkeypatch.setattr(yunet, "PUBLIC_URL", f"http://127.0.0.1:{http.server_port}/{yunet.PUBLIC_NAME}")
        monkeypatch.setattr(yunet, "PUBLIC_SHA256", hashlib.sha256(CONTENT).hexdigest())
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield http
        http.shutdown()


def test_it_is_fetched_once_and_again_if_it_is_damaged(server: HTTPServer) -> None:
    path = Path(yunet.public_model())
    assert path.read_bytes() == CONTENT
    assert yunet.public_model() == str(path)
    assert _Server.n_requests == 1
    path.write_bytes(b"another network")
    assert Path(yunet.public_model()).read_bytes() == CONTENT
    assert _Server.n_requests == 2


def test_another_file_is_refused(server: HTTPServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_Server, "content", b"another network")
    with pytest.raises(FileError, match=r"YuNet cannot be fetched: .*hash") as error:
        yunet.public_model()
    assert yunet.PUBLIC_URL in error.value.hint
    assert list((tmp_path / "cache" / "kdtools").iterdir()) == []


def test_without_a_connection_it_says_where_the_file_is(server: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yunet, "PUBLIC_URL", "http://127.0.0.1:9/yunet.onnx")
    with pytest.raises(FileError, match=r"YuNet cannot be fetched: there is no connection to 127\.0\.0\.1$") as error:
        yunet.public_model()
    assert "--detector face_detection_yunet_2023mar.onnx" in error.value.hint
