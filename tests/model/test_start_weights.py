"""ImageNet weights without a connection."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from factories import drawn_faces, write_faces
from huggingface_hub import constants as hub

from kdtools.errors import FileError
from kdtools.model import backbones
from kdtools.model.hub import check_reachable, is_reachable


def test_without_a_connection_it_says_at_once_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise OSError("no connection")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    before = hub.HF_HUB_OFFLINE
    began = time.monotonic()
    with pytest.raises(FileError, match="are not on this machine") as caught:
        backbones.create_backbone("test_resnet.r160_in1k", 32, pretrained=True)
    assert time.monotonic() - began < 30  # the library's own trials take 50 s
    assert "there is no connection" in caught.value.message
    assert "--init face68 or --init none, or fetch them elsewhere: --init FILE.safetensors" in caught.value.hint
    assert "none" in caught.value.hint
    assert before == hub.HF_HUB_OFFLINE


def test_a_server_is_reached_by_itself_or_through_its_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert is_reachable(f"http://127.0.0.1:{port}/models")
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        assert is_reachable("https://weights.invalid")
    assert not is_reachable("https://weights.invalid")
    monkeypatch.delenv("https_proxy")
    assert not is_reachable(f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("tool", ["kd-teacher", "kd-student"])
def test_a_preset_without_a_connection_ends_before_torch_is_loaded(tool: str, tmp_path: Path) -> None:
    """PyTorch and timm take seconds."""
    images, points = drawn_faces(4, 32, seed=0)
    faces, text = Path(write_faces(tmp_path / "faces.h5", points, images=images)), tmp_path / "text.h5"
    text.write_text("no faces")
    module = tool.replace("-", "_")
    code = (
        f"import sys; from kdtools.cli import _app; from kdtools.cli.{module} import {module} as command\n"
        "try: _app.run(sys.argv[0], command)\n"
        "finally: print('torch' in sys.modules)"
    )
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"}

    def call(path: Path) -> tuple[str, str]:
        words = [str(path), "--init", "imagenet", "--arch", "mobilenetv2_100", "--set", "loss=l2"]
        command = [sys.executable, "-c", f"import sys; sys.argv[0] = {tool!r}\n{code}", *words]
        command += ["-o", str(tmp_path / "m.safetensors")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 1
        return done.stdout, done.stderr

    loaded, message = call(faces)
    assert loaded == "False\n"
    assert "ImageNet weights of mobilenetv2_100 are not on this machine: there is no connection" in message
    assert "go on with --init face68 or --init none, or fetch them elsewhere" in message
    assert "not a faces file" in call(text)[1]


def test_weights_in_the_cache_need_no_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    (tmp_path / "models--timm--mobilenetv2_100.ra_in1k").mkdir()
    check_reachable("mobilenetv2_100")
    for other in ("mobilenetv2_10", "efficientnet_b3"):
        with pytest.raises(FileError, match=f"ImageNet weights of {other} are not on this machine"):
            check_reachable(other)
