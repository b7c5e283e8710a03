"""Kinds of files, recognised by their first bytes; images by their suffixes."""

from __future__ import annotations

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".wmv", ".flv")
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
HDF5, SAFETENSORS, ONNX = "hdf5", "safetensors", "onnx"
N_START = 16  # bytes that `form_of_start` needs


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
