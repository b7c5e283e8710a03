"""Kinds of files, recognised by their first bytes or by their suffixes."""

from __future__ import annotations

import os
from pathlib import PurePosixPath
from typing import BinaryIO

from kdtools.errors import UsageError

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".wmv", ".flv")
_USUAL_IMAGES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_RARER_IMAGES = (".avif", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpe", ".pbm", ".pnm")
IMAGE_SUFFIXES = {*_USUAL_IMAGES, *_RARER_IMAGES}
# In the order in which they are tried for the image of a name without suffix, each also in capitals.
SUFFIXES_TO_TRY = tuple(variant for suffix in (*_USUAL_IMAGES, *_RARER_IMAGES) for variant in (suffix, suffix.upper()))
HDF5, SAFETENSORS, ONNX = "hdf5", "safetensors", "onnx"
_TFLITE_SUFFIX = ".tflite"
TFLITE_MARK = b"TFL3"  # its fifth to eighth byte
_CORE_ML_SUFFIXES = (".mlpackage", ".mlmodel")
_N_START = 16  # bytes that `form_of_start` needs
_USER_BLOCK = 512  # bytes, or a power of two times as many, that others may put before HDF5's signature


def read_start(stream: BinaryIO) -> bytes:
    """The bytes of a file that `form_of_start` needs: its first ones, or HDF5's signature where HDF5 looks for it."""
    start = stream.read(_N_START)
    if form_of_start(start) == HDF5 or not stream.seekable():
        return start
    at, size = _USER_BLOCK, stream.seek(0, os.SEEK_END)
    while at < size:
        stream.seek(at)
        if stream.read(len(HDF5_SIGNATURE)) == HDF5_SIGNATURE:
            return HDF5_SIGNATURE
        at *= 2
    return start


def form_of_start(start: bytes) -> str:
    """`hdf5`, `safetensors` or `onnx`, by the beginning of a file; empty for any other.

    A safetensors file begins with the length of its JSON header, at most 100 MB, as eight bytes, lowest first; so four
    of them are 0, unlike in text. An ONNX model is a protobuf message whose first field is its version.

    >>> form_of_start(b"\\x08\\x07"), form_of_start(b'[{"id": {"a": 1}}]')
    ('onnx', '')
    """
    if start.startswith(HDF5_SIGNATURE):
        return HDF5
    if start[4:9] == b"\0\0\0\0{":
        return SAFETENSORS
    return ONNX if start[:1] == b"\x08" else ""


_FACES, _MODEL, _EXPORT = "a faces file", "a model file", "an exported model"
# What a suffix promises. A suffix that is not here promises nothing, and any file may have it.
_PROMISED = {
    **dict.fromkeys((".h5", ".hdf5"), _FACES),
    ".safetensors": _MODEL,
    ".onnx": _EXPORT,
    **dict.fromkeys((".csv", ".tsv", ".json", ".jsonl", ".ljson", ".pts", ".xml"), "points as text"),
    **dict.fromkeys((".txt", ".md", ".html", ".htm", ".tex", ".toml", ".yaml", ".yml", ".pdf", ".svg"), "a text"),
    **dict.fromkeys((".xls", ".xlsx", ".ods", ".parquet", ".feather"), "a spreadsheet"),
    **dict.fromkeys((*IMAGE_SUFFIXES, ".gif", ".avif", ".heic"), "a picture"),
    **dict.fromkeys(VIDEO_SUFFIXES, "a video"),
    **dict.fromkeys((".npy", ".npz", ".mat", ".pkl", ".pickle"), "arrays"),
    **dict.fromkeys((".zip", ".tar", ".gz", ".tgz"), "an archive"),
    **dict.fromkeys((".pt", ".pth", ".ckpt", ".bin", ".keras", ".pb"), "a model of another program"),
    **dict.fromkeys((_TFLITE_SUFFIX, *_CORE_ML_SUFFIXES, ".engine", ".trt"), "a model of another program"),
}


def check_faces_name(output: str) -> None:
    """Raises UsageError for the name of a faces file with a suffix that promises another format."""
    name = f"{_stem_of(output)}.h5"
    hints = {
        "points as text": f"write {name}, then: kd-dump {name} -o {output}",
        "a spreadsheet": f"write {name}, then: kd-dump {name} -o {_stem_of(output)}.csv",
        "a picture": f"write {name}, then: kd-view {name} -o {output}",
    }
    _check_name(output, _FACES, ".h5", hints)


def check_model_name(output: str) -> None:
    """Raises UsageError for the name of a model file with a suffix that promises another format."""
    name = f"{_stem_of(output)}.safetensors"
    _check_name(output, _MODEL, ".safetensors", {_EXPORT: f"write {name}, then: kd-export {name} -o {output}"})


def check_export_name(output: str) -> None:
    """Raises UsageError for the name of an exported model with a suffix of another format than ONNX and .tflite."""
    own, stem = PurePosixPath(output).suffix.lower(), _stem_of(output)
    if own in _CORE_ML_SUFFIXES:
        raise UsageError(
            f"{output}: Core ML files are not written: coremltools fails on these networks with today's PyTorch",
            f"for iOS write {stem}.onnx, for ONNX Runtime Mobile, or {stem}.tflite, for LiteRT",
        )
    if not is_tflite_name(output):
        _check_name(
            output, _EXPORT, ".onnx", {"a model of another program": "give it a name that ends in .onnx or .tflite"}
        )


def is_tflite_name(output: str) -> bool:
    return PurePosixPath(output).suffix.lower() == _TFLITE_SUFFIX


def check_text_name(output: str, form: str, suffix: str) -> None:
    """Raises UsageError for a name with a suffix that promises another format than the text format `form`."""
    own = PurePosixPath(output).suffix.lower()
    if own != ".txt" and own in _PROMISED:
        raise UsageError(
            f"{output}: {own} promises another format than {form}", f"give it a name that ends in {suffix}"
        )


def _check_name(output: str, kind: str, suffix: str, hints: dict[str, str]) -> None:
    own = PurePosixPath(output).suffix.lower()
    promised = _PROMISED.get(own, kind)
    if promised != kind:
        hint = hints.get(promised, f"give it a name that ends in {suffix}")
        raise UsageError(f"{output}: {own} promises {promised}, but what is written is {kind} ({suffix})", hint)


def _stem_of(output: str) -> str:
    path = PurePosixPath(output)
    return str(path.with_suffix("") if path.name else path)  # a folder such as . has no name
