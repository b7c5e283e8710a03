"""Networks that come with kdtools. Where a model is expected, their name does: `kd-predict face68 photos/`.

Each is two files in kdtools/pretrained: `NAME.safetensors`, the weights in float16, from which a training can start,
and `NAME.onnx`, which ONNX Runtime runs without torch. LICENSE-WEIGHTS states what they were trained on. Without the
folder everything else works.
"""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent / "pretrained"
_WEIGHTS, _EXPORT = ".safetensors", ".onnx"


def bundled_names() -> list[str]:
    """Names of the networks that are here."""
    return sorted(path.stem for path in _FOLDER.glob(f"*{_WEIGHTS}"))


def bundled_in_words() -> str:
    """For help texts: `bundled network (NAME, ...)`."""
    return f"bundled network ({', '.join(bundled_names()) or 'none is installed'})"


def weights_file(model: str | Path) -> Path:
    """The weights of a bundled network for its name; any other word as it is. A file of that name comes first."""
    return _file_of(model, _WEIGHTS) or Path(model)


def export_file(model: str | Path) -> Path | None:
    """The exported bundled network for its name; None for any other word."""
    return _file_of(model, _EXPORT)


def finder_file() -> Path | None:
    """The network of the face finder (`--detector finder`); None if it is not here."""
    path = _FOLDER / "face_finder.onnx"
    return path if path.is_file() else None


def named_finder(word: str | Path) -> Path | None:
    """The face finder's network for its name, `finder`; None for any other word. A file of that name comes first."""
    return finder_file() if str(word) == "finder" and not Path(word).exists() else None


def finder_edition() -> str:
    """What the face finder's file states as its edition; empty if there is no such file."""
    import onnx

    path = finder_file()
    entries = [] if path is None else onnx.load(path).metadata_props
    return next((entry.value for entry in entries if entry.key == "edition"), "")


def is_hidden_by_file(model: str | Path) -> bool:
    """Whether the word names a bundled network, but a file of that name is meant instead."""
    return str(model) in bundled_names() and Path(model).exists()


def _file_of(model: str | Path, suffix: str) -> Path | None:
    if str(model) not in bundled_names() or Path(model).exists():
        return None
    path = _FOLDER / f"{model}{suffix}"
    return path if path.is_file() else None
