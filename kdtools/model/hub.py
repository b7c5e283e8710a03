"""The server and the cache of timm's pretrained weights; loads neither torch nor timm."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from huggingface_hub import constants as hub

from kdtools.errors import FileError

_CONNECTION_S = 5.0  # within which a server has to answer
_NO_CONNECTION = "there is no connection to fetch them"


def check_reachable(arch: str) -> None:
    """Raises FileError if ImageNet weights, on the hub as timm/`arch`, are neither in the cache nor to be fetched."""
    if any(Path(hub.HF_HUB_CACHE).glob(f"models--timm--{arch}.*")) or os.environ.get("TIMM_USE_OLD_CACHE"):
        return
    if is_offline():
        raise no_weights(arch)


def is_offline() -> bool:
    """Whether the hub is not to be asked, or does not answer."""
    return bool(hub.HF_HUB_OFFLINE) or not is_reachable(hub.ENDPOINT)


def no_weights(arch: str, reason: str = _NO_CONNECTION) -> FileError:
    return FileError(
        f"the ImageNet weights of {arch} are not on this machine: {reason}",
        "go on with --init face68 or --init none, or fetch them elsewhere: --init FILE.safetensors",
    )


def is_reachable(url: str) -> bool:
    """Whether a server, or the proxy before it, takes a connection."""
    target = urlsplit(url)
    proxy = getproxies().get(target.scheme)
    if proxy and not proxy_bypass(target.hostname or ""):
        target = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    try:
        port = target.port or {"http": 80}.get(target.scheme, 443)
        with socket.create_connection((target.hostname or "", port), _CONNECTION_S):
            return True
    except (OSError, ValueError):
        return False
