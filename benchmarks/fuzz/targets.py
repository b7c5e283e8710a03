"""What is fuzzed: each reader of kdtools as a function of bytes, with seeds that the tools themselves make.

`python targets.py NAME CORPUS [libFuzzer's options]` fuzzes one reader in this process, guided by coverage (atheris).
A reader may raise KdError, or OSError, for which commands have a line of their own too; anything else is a finding, and
so are a crash, a hang and too much memory (see run.py, which runs all of them).
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "datasets" / "formats")]

with atheris.instrument_imports(include=["kdtools"]):
    from kdtools.datasets.annotations import Sources, read_annotations
    from kdtools.datasets.dump_blocks import Selection
    from kdtools.datasets.formats import FORMATS
    from kdtools.errors import KdError
    from kdtools.faces.file import FacesFile
    from kdtools.faces.writer import create_faces
    from kdtools.images.reading import decode_image, read_reduced
    from kdtools.inspection.check import check_file
    from kdtools.inspection.open import open_any
    from kdtools.landmarks import IBUG68, SCHEMES
    from kdtools.landmarks.crop_rule import CropRule
    from kdtools.landmarks.scheme_toml import read_scheme, scheme_to_toml
    from kdtools.model.card import ModelCard, read_card
    from kdtools.prediction.inputs.photograph import photographs_listed
    from kdtools.prediction.inputs.tar import photographs_in_tar
    from kdtools.storage.passed_over import PassedOver
    from kdtools.storage.provenance import Provenance

import cv2  # noqa: E402
import h5py  # noqa: E402
import numpy as np  # noqa: E402
from safetensors.numpy import save_file  # noqa: E402
from test_fuzz_formats import IMAGES, SAMPLES  # noqa: E402

_MOST_ROWS = 1000
_ROOM = Path(tempfile.mkdtemp(prefix="kdtools-fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))

Target = Callable[[bytes], None]


# ---- readers
def faces_file(data: bytes) -> None:
    """All that kd-info --check, kd-dump and the trainings read of a faces file."""
    path = _written("faces.h5", data)
    with open_any(str(path)) as opened:
        list(check_file(opened))
        faces = opened.content
        if isinstance(faces, FacesFile) and len(faces) < _MOST_ROWS:
            for read in (faces.check_unique, lambda: faces.images[:2].sum(), lambda: _blocks(faces)):
                with contextlib.suppress(KdError, OSError):
                    read()


def _blocks(faces: FacesFile) -> None:
    faces.require("landmarks")
    list(Selection(faces).blocks())


def model_file(data: bytes) -> None:
    """The description and all tensors of a model file."""
    path = _written("model.safetensors", data)
    read_card(path)
    with open_any(str(path)) as opened:
        list(check_file(opened))


def onnx_file(data: bytes) -> None:
    model_file(data)


def tar_file(data: bytes) -> None:
    path = _written("photographs.tar", data)
    for photograph in photographs_in_tar(str(path), "", lambda name: True, PassedOver()):
        with contextlib.suppress(KdError, OSError):
            decode_image(photograph.fetch(), photograph.id)


def list_of_images(data: bytes) -> None:
    for photograph in photographs_listed(str(_written("list.txt", data))):
        assert photograph.id is not None


def scheme(data: bytes) -> None:
    found = read_scheme(_written("scheme.toml", data))
    _written("again.toml", scheme_to_toml(found).encode(errors="surrogatepass"))


def image(data: bytes) -> None:
    decode_image(data, "image")
    read_reduced(_written("image.jpg", data), 8)


def annotation_reader(name: str) -> Target:
    """The reader of a data-set format; the bytes take the place of one file of its sample, chosen by the first."""
    source = SAMPLES[name](_ROOM / name)
    files = _annotation_files(source)
    originals = {path: path.read_bytes() for path in files}

    def read(data: bytes) -> None:
        victim = files[data[0] % len(files)] if data else files[0]
        victim.write_bytes(data[1:])
        try:
            read_annotations(Sources([str(source)], name, pictures=False))
        finally:
            victim.write_bytes(originals[victim])

    return read


def _annotation_files(source: Path) -> list[Path]:
    folder = source if source.is_dir() else source.parent
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix.lower() not in IMAGES]


def _written(name: str, data: bytes) -> Path:
    path = _ROOM / name
    path.write_bytes(data)
    return path


# ---- seeds
def faces_seeds() -> list[bytes]:
    """As kdtools writes it, in HDF5's oldest layout, without checksums of its metadata, and with chunks and filters."""
    path = _ROOM / "seed.h5"
    points = SCHEMES["points5"]
    with create_faces(str(path), True, Provenance("kd-fuzz")) as writer:
        writer.put_ids([f"a/{k}.jpg" for k in range(3)])
        writer.put_landmarks(np.arange(30, dtype=np.float32).reshape(3, 5, 2) / 4, points, "hard")
        writer.create_images(3, 8, 8)[...] = 7
        writer.put("box", np.tile([0, 0, 8, 8], (3, 1)))
        writer.put("source", [f"/photographs/{k}.jpg" for k in range(3)])
        writer.put("visible", np.ones((3, 5)))
        writer.put("subset/common", np.array([1, 0, 1]))
        writer.put_crop(CropRule())
    seeds = [path.read_bytes()]
    for filters in ({}, {"chunks": True, "compression": "gzip", "shuffle": True}, {"chunks": True, "fletcher32": True}):
        other = _ROOM / "other.h5"
        with h5py.File(path) as old, h5py.File(other, "w", libver="earliest") as new:
            new.attrs.update(old.attrs)
            for name in ("id", "landmarks", "image", "box", "source", "visible", "subset/common"):
                packing = filters if old[name].dtype.kind != "O" else {}  # texts behind a filter are refused
                data = new.create_dataset(name, data=old[name][...], dtype=old[name].dtype, **packing)
                data.attrs.update(old[name].attrs)
        seeds.append(other.read_bytes())
    return seeds


def model_seeds() -> list[bytes]:
    import json

    card = ModelCard("tiny", 32, IBUG68, CropRule(0.25), (0, 0, 0), (1, 1, 1))
    fields = {"kd_kind": "model", "kd_format": 1, **Provenance("kd-fuzz").attributes(), **card.to_fields()}
    tensors = {
        "head.weight": np.zeros((136, 2), np.float32),
        "head.bias": np.zeros(136, np.float32),
        "backbone.a": np.zeros(2, np.float16),
    }
    path = _ROOM / "seed.safetensors"
    save_file(tensors, path, metadata={"kdtools": json.dumps(fields)})
    return [path.read_bytes()]


def onnx_seeds() -> list[bytes]:
    import json

    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [helper.make_node("Identity", ["images"], ["landmarks"])],
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 32, 32])],
        [helper.make_tensor_value_info("landmarks", TensorProto.FLOAT, ["batch", 3, 32, 32])],
        [numpy_helper.from_array(np.zeros(4, np.float32), "weight")],
    )
    model = helper.make_model(graph)
    card = ModelCard("tiny", 32, SCHEMES["points5"], CropRule(0.25), (0, 0, 0), (1, 1, 1))
    fields = {"kd_kind": "model", "kd_format": 1, **Provenance("kd-fuzz").attributes(), **card.to_fields()}
    helper.set_model_props(model, {"kdtools": json.dumps(fields)})
    return [model.SerializeToString()]


def image_seeds() -> list[bytes]:
    pixels = np.random.default_rng(0).integers(0, 255, (9, 13, 3), dtype=np.uint8)
    seeds = [cv2.imencode(suffix, pixels)[1].tobytes() for suffix in (".jpg", ".png", ".bmp", ".webp", ".tif", ".ppm")]
    jpeg = seeds[0]
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    return [*seeds, jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:]]


def tar_seeds() -> list[bytes]:
    picture, seeds = image_seeds()[0], []
    for mode in ("w", "w:gz", "w:bz2", "w:xz"):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode=mode) as archive:
            for name in ("a.jpg", "b/c.jpg", "../up.jpg", "/etc/passwd", "long/" * 30 + "d.jpg"):
                member = tarfile.TarInfo(name)
                member.size = len(picture)
                archive.addfile(member, io.BytesIO(picture))
            link = tarfile.TarInfo("link.jpg")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(link)
        seeds.append(stream.getvalue())
    return seeds


def annotation_seeds(name: str) -> list[bytes]:
    with tempfile.TemporaryDirectory(dir=_ROOM) as folder:
        files = _annotation_files(SAMPLES[name](Path(folder) / "set"))
        return [bytes([k]) + path.read_bytes() for k, path in enumerate(files[:4])]


TARGETS: dict[str, tuple[Callable[[], Target], Callable[[], list[bytes]]]] = {
    "faces": (lambda: faces_file, faces_seeds),
    "model": (lambda: model_file, model_seeds),
    "onnx": (lambda: onnx_file, onnx_seeds),
    "image": (lambda: image, image_seeds),
    "tar": (lambda: tar_file, tar_seeds),
    "list": (lambda: list_of_images, lambda: [b"a.jpg\nb/c.jpg\n", b"a.jpg\0../b.jpg\0"]),
    "scheme": (
        lambda: scheme,
        lambda: [
            *(scheme_to_toml(SCHEMES[name]).encode() for name in ("points5", "ibug68")),
            (REPOSITORY / "examples" / "my_points.toml").read_bytes(),
        ],
    ),
    **{
        f"format-{name}": (lambda name=name: annotation_reader(name), lambda name=name: annotation_seeds(name))
        for name in sorted(set(FORMATS) & set(SAMPLES))
    },
}


def main() -> None:
    name, corpus = sys.argv[1], Path(sys.argv[2])
    make, make_seeds = TARGETS[name]
    corpus.mkdir(parents=True, exist_ok=True)
    for k, seed in enumerate(make_seeds()):
        (corpus / f"seed{k}").write_bytes(seed)
    read = make()

    def one(data: bytes) -> None:
        with contextlib.suppress(KdError, OSError):
            read(data)

    os.chdir(_ROOM)
    atheris.Setup([sys.argv[0], *sys.argv[3:], str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    try:
        main()
    finally:
        shutil.rmtree(_ROOM, ignore_errors=True)
