"""ImageNet weights without a connection."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants as hub

from kdtools.errors import FileError
from kdtools.model import backbones


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
        assert backbones._is_reachable(f"http://127.0.0.1:{port}/models")
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        assert backbones._is_reachable("https://weights.invalid")
    assert not backbones._is_reachable("https://weights.invalid")
    monkeypatch.delenv("https_proxy")
    assert not backbones._is_reachable(f"http://127.0.0.1:{port}")
