"""The first wrong turns with kd-predict's words each get the right call as their answer."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from contract.running import fail, run_tool

from kdtools.prediction.command_line import holds_names


@pytest.mark.parametrize(
    ("words", "status", "message", "hint"),
    [
        ("photos", 2, "photos: no model was named before it", "kd-predict face68 photos -o points.csv"),
        ("a.jpg b.jpg", 2, "a.jpg: no model was named before it", "kd-predict face68 a.jpg b.jpg -o points.csv"),
        ("a.jpg face68", 2, "a.jpg is not a model, but face68 is", "kd-predict face68 a.jpg"),
        ("photos model.onnx a.jpg", 2, "photos is not a model", "kd-predict model.onnx photos a.jpg"),
        ("face68", 2, "no input was named", "kd-predict face68 FOLDER -o points.csv"),
        ("phtos", 1, "phtos: no such file or folder", ""),
        ("face68 phtos --max-faces 1", 1, "phtos: no such file or folder", ""),
        ("nomodel photos", 1, "nomodel: no such model", "face68 and face68-tiny come with kdtools"),
        ("text.txt photos", 1, "text.txt: not a model file", "kd-student"),
        ("m.tflite photos", 1, "m.tflite: TensorFlow Lite, which kdtools writes but does not read", ".safetensors"),
    ],
)
def test_wrong_turns(
    words: str, status: int, message: str, hint: str, tiny_onnx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for name in ("a.jpg", "b.jpg", "text.txt"):
        Path(name).write_text("anything")
    Path("m.tflite").write_bytes(b"\x1c\0\0\0TFL3\x14\0\x20\0")
    Path("model.onnx").symlink_to(tiny_onnx)
    result = run_tool("kd-predict", *words.split(), "-o", "points.csv")
    fail(result, "kd-predict", status, message)
    assert hint in result.stderr


@pytest.mark.parametrize("length", [5, 98, 99, 100, 101, 155])
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, "old"])
def test_a_tar_file_is_none_of_names_however_long_its_first_name(length: int, form: int | str) -> None:
    """The name fills its field of 100 bytes, without a \\0 behind it."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT if form == "old" else int(form)) as archive:
        name = "a" * (length // 2 - 1) + "/" + "b" * (length - length // 2)
        archive.addfile(tarfile.TarInfo(name))
    start = stream.getvalue()
    if form == "old":  # before POSIX, nothing stood behind the fields of the name of a link
        start = start[:257] + bytes(255)
    assert not holds_names(start)


def test_names_of_digits_are_no_tar_file() -> None:
    for end in ("\n", "\0"):
        assert holds_names("".join(f"{number:09}{end}" for number in range(40)).encode())
