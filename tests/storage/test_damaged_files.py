"""Damaged and hostile models, pictures, tar files, lists, schemes and names: refused or made harmless, soon."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import resource
import struct
import tarfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from reporters import Recorder
from safetensors.numpy import save_file

from kdtools.datasets.annotations import Sources, read_annotations
from kdtools.datasets.dump import crop_name, point_file_name
from kdtools.errors import DataError, FileError, KdError
from kdtools.images.reading import decode_image, read_image
from kdtools.inspection.check import check_file
from kdtools.inspection.describe import describe_file
from kdtools.inspection.open import open_any
from kdtools.landmarks import SCHEMES
from kdtools.landmarks.crop_rule import CropRule
from kdtools.landmarks.scheme import Scheme
from kdtools.landmarks.scheme_toml import read_scheme
from kdtools.model.card import ModelCard, read_card
from kdtools.prediction.engines.onnx import OnnxEngine
from kdtools.prediction.inputs import Photographs
from kdtools.prediction.inputs.photograph import photographs_listed
from kdtools.prediction.inputs.tar import photographs_in_tar
from kdtools.reporting import SILENT
from kdtools.storage.passed_over import PassedOver
from kdtools.storage.provenance import Provenance
from kdtools.viewing.output import plan_pictures

N_FLIPS = 150


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# ---- model files


def model_fields(**changes: object) -> dict[str, object]:
    card = ModelCard("mobilenetv2_035", 32, SCHEMES["points5"], CropRule(0.25), (0, 0, 0), (1, 1, 1))
    fields = {"kd_kind": "model", "kd_format": 1, **Provenance("kd-test").attributes(), **card.to_fields()}
    return {**fields, **changes}


def write_model(path: Path, text: str | None = None, **changes: object) -> Path:
    tensors = {"head.weight": np.zeros((10, 4), np.float32), "head.bias": np.zeros(10, np.float32)}
    save_file(tensors, path, metadata={"kdtools": text or json.dumps(model_fields(**changes))})
    return path


def read_model(path: Path) -> None:
    read_card(path)
    with open_any(str(path)) as file:
        list(check_file(file))
        describe_file(file, follow=False)


def test_model_files_with_flipped_bytes_or_cut_off(tmp_path: Path, tiny_onnx: Path) -> None:
    for original in (write_model(tmp_path / "m.safetensors"), tiny_onnx):
        data, rng, bent = original.read_bytes(), random.Random(0), tmp_path / f"bent{original.suffix}"
        for k in range(N_FLIPS):
            damaged = bytearray(data if k % 3 else data[: rng.randrange(len(data))])
            for _ in range(rng.choice([1, 1, 2, 8])):
                if damaged:
                    damaged[rng.randrange(len(damaged))] = rng.randrange(256)
            bent.write_bytes(damaged)
            try:
                read_model(bent)
            except KdError as error:
                assert len(error.message.splitlines()) == 1, error  # noqa: PT017


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scheme": {"name": "x", "n_points": 10**9}}, "1000000000 is not a number of points"),
        ({"scheme": {"name": "x", "n_points": 10**12, "mirror": [0]}}, "is not a number of points"),
        ({"scheme": {"name": "x", "n_points": "5"}}, "is not a number of points"),
        ({"scheme": [1]}, "damaged"),
        ({"input_size": 10**6}, "an input of 1000000 px"),
        ({"input_size": -1}, "an input of -1 px"),
        ({"mean": [1e400] * 4}, "damaged"),
        ({"std": "abc"}, "damaged"),
        ({"head": "exec"}, "a head 'exec' is not known"),
        ({"kd_format": "1"}, "kd_format is '1', not a version number"),
        ({"kd_format": -5}, "kd_format is '-5', not a version number"),
        ({"kd_format": 1.0}, "not a version number"),
        ({"kd_format": True}, "not a version number"),
        ({"input_size": 64.9}, "an input of 64.9 px, which is not a whole number"),
        ({"input_size": "64"}, "not a whole number"),
        ({"input_size": True}, "not a whole number"),
        ({"crop": {"margin": 1e300}}, "not a crop rule"),
        ({"crop": {"margin": -0.49999999}}, "not a crop rule"),
        ({"crop": {"margin": "0.2"}}, "'0.2' is not a number"),
        ({"crop": {"margin": True}}, "not a number"),
        ({"crop": {"margin": 0.2, "box": "given", "relation": {"side": 1e-300}}}, "not a crop rule"),
        ({"crop": {"margin": 0.2, "box": "given", "relation": {"shift_x": 1e300}}}, "not a crop rule"),
        ({"std": [1, 0, 1]}, "a deviation of 0"),
        ({"std": [1, float("nan"), 1]}, "for the mean or deviation"),
        ({"mean": [1e300, 0, 0]}, "for the mean or deviation"),
        ({"mean": "123"}, "instead of three numbers"),
        ({"arch": 7}, "instead of a name"),
        ({"settings": []}, "settings that are"),
        ({"settings": 3}, "damaged"),
    ],
)
def test_descriptions_of_models_that_claim_absurd_things(
    changes: dict[str, object], message: str, tmp_path: Path
) -> None:
    path = write_model(tmp_path / "m.safetensors", **changes)
    with pytest.raises(FileError, match=message) as caught:
        read_model(path)
    assert str(path) in caught.value.message


def test_deep_json_in_a_model_file(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="description is damaged"):
        read_card(write_model(tmp_path / "m.safetensors", text="[" * 100_000))


def test_a_small_file_that_names_a_huge_network(tmp_path: Path) -> None:
    """A network of two billion weights: their shapes are compared before memory is taken for them."""
    import torch

    from kdtools.model.file import load_model

    path, before = write_model(tmp_path / "m.safetensors", arch="vit_gigantic_patch14_224", input_size=224), peak_mb()
    with pytest.raises(FileError, match="its weights are not those of vit_gigantic_patch14_224"):
        load_model(path, torch.device("cpu"))
    assert peak_mb() < before + 500


def test_headers_of_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"

    def write(header: object, data: bytes = b"") -> None:
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + data)

    meta = {"__metadata__": {"kdtools": json.dumps(model_fields())}}
    for tensor in (
        {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]},
        {"dtype": "O", "shape": [1], "data_offsets": [0, 4]},
    ):
        write({**meta, "head.weight": tensor}, bytes(4))
        with pytest.raises(FileError, match="not a model file"):
            read_model(path)
    path.write_bytes(struct.pack("<Q", 2**63) + b"{}")
    with pytest.raises(FileError, match="not a model file"):
        read_model(path)


def test_an_exported_model_reads_no_other_file(tmp_path: Path, tiny_onnx: Path) -> None:
    """ONNX lets weights lie in another file, by its name; those that kd-export writes do not."""
    import onnx

    model = onnx.load(tiny_onnx)
    (tmp_path / "secret").write_bytes(bytes(10_000))
    for location in ("../secret", str(tmp_path / "secret"), "../../../../../../etc/hostname"):
        weight = model.graph.initializer[0]
        weight.ClearField("raw_data")
        weight.ClearField("external_data")
        weight.data_location = onnx.TensorProto.EXTERNAL
        weight.external_data.add(key="location", value=location)
        (tmp_path / "below").mkdir(exist_ok=True)
        path = tmp_path / "below" / "m.onnx"
        path.write_bytes(model.SerializeToString())
        with pytest.raises(FileError, match="its weights are in another file"):
            OnnxEngine(path, 1)
        with open_any(str(path)) as file:
            faults = list(check_file(file))
        assert any("another file" in fault for fault in faults)


def test_a_damaged_copy_in_the_cache_is_made_again(
    tmp_path: Path, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kdtools.export import cache

    exports: list[Path] = []

    def export(model: Path, path: Path, layer: str | None) -> None:
        exports.append(path)
        path.write_bytes(tiny_onnx.read_bytes())

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_export", export)
    model = write_model(tmp_path / "m.safetensors")
    for damage, n_exports in (
        (None, 1),
        (None, 1),
        (b"", 2),
        (b"\x08 not a model", 3),
        (tiny_onnx.read_bytes()[:99], 4),
    ):
        with cache.exported_copy(model, SILENT) as copy:
            if damage is not None:
                copy.write_bytes(damage)
        with cache.exported_copy(model, SILENT) as copy:
            assert copy.read_bytes() == tiny_onnx.read_bytes()
        assert len(exports) == n_exports


# ---- pictures


def png_of(width: int, height: int, rows: bytes = b"") -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def jpeg_of(width: int, height: int) -> bytes:
    data = bytearray(cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8))[1].tobytes())
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def bmp_of(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IHHIIiiHHIIIIII", 54, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


def tiff_of(width: int, height: int) -> bytes:
    tags = ((256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8))
    tags += ((277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, 8))
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + bytes(4)


def gif_of(width: int, height: int) -> bytes:
    picture = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x4c\x01\x00;"
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6) + picture


@pytest.mark.parametrize(
    "data",
    [
        png_of(60_000, 60_000),
        png_of(2**31 - 1, 1),
        jpeg_of(65_500, 65_500),
        bmp_of(60_000, 60_000),
        bmp_of(2**31 - 1, -(2**31)),
        tiff_of(60_000, 60_000),
        gif_of(60_000, 60_000),
        b"P6\n60000 60000\n255\n",
        b"P5\n99999999999 99999999999\n255\n",
    ],
    ids=["png", "png row", "jpeg", "bmp", "bmp turned", "tiff", "gif", "ppm", "pgm"],
)
def test_pictures_that_claim_sixty_thousand_pixels_a_side(data: bytes) -> None:
    before = peak_mb()
    with pytest.raises(KdError, match=r"bomb: (cannot be decoded|not an image)") as caught:
        decode_image(data, "bomb")
    assert len(caught.value.message.splitlines()) == 1
    assert peak_mb() < before + 100


def test_pictures_with_flipped_bytes() -> None:
    pixels, rng = np.random.default_rng(0).integers(0, 255, (9, 13, 3), dtype=np.uint8), random.Random(0)
    for suffix in (".jpg", ".png", ".bmp", ".webp", ".tif", ".ppm"):
        data = cv2.imencode(suffix, pixels)[1].tobytes()
        for _ in range(60):
            bent = bytearray(data[: rng.choice([len(data), rng.randrange(1, len(data))])])
            for _ in range(rng.choice([1, 2, 8])):
                bent[rng.randrange(len(bent))] = rng.randrange(256)
            try:
                image = decode_image(bytes(bent), "bent")
            except KdError as error:
                assert len(error.message.splitlines()) == 1, error  # noqa: PT017
            else:
                assert image.dtype == np.uint8
                assert image.shape[2] == 3


def test_what_is_no_file_is_not_read_as_a_picture(tmp_path: Path) -> None:
    """A pipe and a device would never end."""
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    with (tmp_path / "large.jpg").open("wb") as stream:
        stream.truncate(2**40)  # takes no room on the disk
    for name in ("pipe.jpg", "zero.jpg", "large.jpg", "a\0b.jpg", "n" * 5000 + ".jpg"):
        with pytest.raises(FileError, match=r"is not a file|too many for an image|no such file|too long"):
            read_image(tmp_path / name)


def jpeg_of_scans(side: int, n_scans: int, *, is_progressive: bool = True) -> bytes:
    """A grey JPEG of one scan of a flat image, and of further ones that refine nothing."""

    def segment(marker: int, body: bytes) -> bytes:
        return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body

    n_blocks = ((side + 7) // 8) ** 2
    data = b"\xff\xd8" + segment(0xDB, bytes([0]) + bytes([1] * 64))
    n_colours = 1 if is_progressive else 3
    colours = b"".join(bytes([k + 1, 0x11, 0]) for k in range(n_colours))
    data += segment(0xC2 if is_progressive else 0xC0, struct.pack(">BHHB", 8, side, side, n_colours) + colours)
    tables = (bytes([0, 1, *[0] * 15, 0]), bytes([0x10, 1, *[0] * 15, 0x00]))  # one code, 0, of no difference or end
    data += b"".join(segment(0xC4, table) for table in tables)
    for k in range(n_scans):
        if is_progressive:  # DC first, then a coefficient of each scan, in blocks that end at once
            band = (0, 0) if k == 0 else (1 + (k - 1) % 63,) * 2
            colour, n_bits = 1, n_blocks
        else:
            band, colour, n_bits = (0, 63), k % 3 + 1, 2 * n_blocks
        data += segment(0xDA, bytes([1, colour, 0, *band, 0])) + bytes(-(-n_bits // 8))
    return data + b"\xff\xd9"


def test_jpegs_of_many_scans() -> None:
    """Each scan is a pass over the whole image: 600 of 16,000 px a side would take minutes."""
    assert decode_image(jpeg_of_scans(64, 10), "a.jpg").shape == (64, 64, 3)
    for is_progressive in (True, False):
        with pytest.raises(FileError, match=r"^a\.jpg: a JPEG of more than 100 scans of 64 x 64 pixels"):
            decode_image(jpeg_of_scans(64, 600, is_progressive=is_progressive), "a.jpg")
    with pytest.raises(FileError, match="a JPEG of more than 16 scans of 16000 x 16000"):
        decode_image(jpeg_of_scans(16_000, 20), "a.jpg")
    photograph = np.random.default_rng(0).integers(0, 256, (300, 200, 3), np.uint8)
    flags = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
    data = cv2.imencode(".jpg", photograph, flags)[1].tobytes()
    assert data.count(b"\xff\xda") > 5
    assert decode_image(data, "b.jpg").shape == (300, 200, 3)
    assert decode_image(data + b"\xff\xda" * 1000 + b"\xff\xd9", "b.jpg").shape == (300, 200, 3)  # a phone's film


# ---- tar files and lists


def tar_of(*members: tuple[str, bytes, bytes], mode: str = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for name, kind, data in members:
            member = tarfile.TarInfo(name)
            member.type, member.size = kind, len(data)
            member.linkname = "/etc/passwd"
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_members_of_tar_files_stay_names(mode: str, tmp_path: Path) -> None:
    """Links and devices are no pictures; names that climb out become ids that do not; nothing is unpacked."""
    picture = cv2.imencode(".png", np.zeros((2, 2, 3), np.uint8))[1].tobytes()
    regular = [(name, tarfile.REGTYPE, picture) for name in ("../../x.png", "/etc/y.png", "a/../../z.png", "a\0b.png")]
    kinds = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)
    path = tmp_path / "p.tar"
    path.write_bytes(tar_of(*regular, *(("link.png", kind, b"") for kind in kinds), mode=mode))
    found = list(photographs_in_tar(str(path), "", lambda name: True, PassedOver()))
    assert [one.id for one in found] == ["x.png", "etc/y.png", "z.png", "a"]
    assert all(decode_image(one.fetch(), one.id).shape == (2, 2, 3) for one in found)  # type: ignore[arg-type]
    assert os.listdir(tmp_path) == ["p.tar"]


def test_tar_files_that_claim_or_inflate_to_too_much(tmp_path: Path) -> None:
    header = tarfile.TarInfo("a.png")
    header.size = 2**40
    path, before = tmp_path / "p.tar", peak_mb()
    path.write_bytes(header.tobuf() + bytes(1024))
    (found, *_) = photographs_in_tar(str(path), "", lambda name: True, PassedOver())
    with pytest.raises(FileError, match="too many for an image"):
        found.fetch()
    name = tarfile.TarInfo("././@LongLink")  # a name of 300 MB, in a file of 300 KB
    name.type, name.size = tarfile.GNUTYPE_LONGNAME, 300 * 2**20
    packer = zlib.compressobj(9, wbits=31)
    packed = packer.compress(name.tobuf(tarfile.GNU_FORMAT))
    path = tmp_path / "p.tar.gz"
    path.write_bytes(packed + b"".join(packer.compress(bytes(2**20)) for _ in range(300)) + packer.flush())
    (damaged,) = photographs_in_tar(str(path), "", lambda name: True, PassedOver())
    with pytest.raises(FileError, match="not a tar file, or damaged"):
        damaged.fetch()
    assert peak_mb() < before + 100


def test_compressed_tar_files_of_many_zeros(tmp_path: Path) -> None:
    """A thousandth of what is in it: files of 80 MB are not read, whether they are images or something else."""
    path, before, packer = tmp_path / "p.tar.gz", peak_mb(), zlib.compressobj(9, wbits=31)
    picture = cv2.imencode(".png", np.zeros((2, 2, 3), np.uint8))[1].tobytes()
    with path.open("wb") as stream:
        for name in ("zeros.bin", "a.png", "b.png"):
            header = tarfile.TarInfo(name)
            header.size = 80 * 2**20
            stream.write(packer.compress(header.tobuf()))
            for _ in range(80):
                stream.write(packer.compress(bytes(2**20)))
        stream.write(packer.compress(tar_of(("c.png", tarfile.REGTYPE, picture))) + packer.flush())
    started = time.process_time()
    with gzip.open(path) as unpacked:
        while unpacked.read(1 << 16):
            pass
    unpacking, started = time.process_time() - started, time.process_time()
    *bombs, sound = photographs_in_tar(str(path), "", lambda name: name.endswith(".png"), PassedOver())
    assert time.process_time() - started < 5 * unpacking  # tarfile by itself takes 14 times as long
    assert [bomb.id for bomb in bombs] == ["a.png", "b.png"]
    for bomb in bombs:
        with pytest.raises(FileError, match="too many for an image"):
            bomb.fetch()
    assert sound.fetch() == picture
    assert peak_mb() < before + 50


def test_tar_files_with_flipped_bytes(tmp_path: Path) -> None:
    rng, path = random.Random(0), tmp_path / "p.tar"
    for mode in ("w", "w:gz", "w:bz2", "w:xz"):
        data = tar_of(*((f"{k}.png", tarfile.REGTYPE, bytes(600)) for k in range(3)), mode=mode)
        for _ in range(60):
            bent = bytearray(data[: rng.choice([len(data), rng.randrange(1, len(data))])])
            for _ in range(rng.choice([1, 2, 8])):
                bent[rng.randrange(min(len(bent), 3000))] = rng.randrange(256)
            path.write_bytes(bent)
            for photograph in photographs_in_tar(str(path), "", lambda name: True, PassedOver()):
                try:
                    photograph.fetch()
                except FileError:
                    continue


def test_lists_without_an_end(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    for content in (b"x" * 3_000_000, b"a.jpg\n" + b"x" * 5000 + b"\nb.jpg\n"):
        path.write_bytes(content)
        with pytest.raises(FileError, match="a name of over 4096 bytes"):
            list(photographs_listed(str(path)))


# ---- schemes


def test_schemes_that_are_too_deep_too_long_or_too_many(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    many = ", ".join(f'"p{k}"' for k in range(200_000))
    for text, message in (
        ("name = " + "[" * 100_000, "not TOML"),
        ('name = "x"\nn_points = 1000000000', "n_points: must be"),
        (f'name = "x"\nnames = [{many}]', "n_points: must be"),
        ("#" * 10_000_001, "bytes, which no scheme has"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=message):
            read_scheme(path)
    with pytest.raises(DataError, match="is not a number of points"):
        Scheme("x", 10**12, mirror=(0,))
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(DataError, match="bytes, which no scheme has"):
        read_scheme(path)


# ---- names


def test_names_that_no_faces_file_can_hold_are_skipped(tmp_path: Path) -> None:
    names = {"good.jpg": [], "a\0b.jpg": [], "c.jpg": ["../up"], "d.jpg": ["a\0b"], "e.jpg": ["ok"]}
    document = {
        "images": [{"id": k, "file_name": name, "height": 9, "width": 9} for k, name in enumerate(names)],
        "annotations": [
            {"id": k, "image_id": k, "keypoints": [1, 2, 1, 3, 4, 1, 5, 6, 1], "kd_subsets": subsets}
            for k, subsets in enumerate(names.values())
        ],
        "categories": [],
    }
    source = tmp_path / "faces.json"
    source.write_text(json.dumps(document))
    recorder = Recorder()
    sources = Sources([str(source)], "coco", pictures=False)
    found = read_annotations(sources, recorder)
    assert [one.id for one in found] == ["good.jpg", "e.jpg"]
    assert [name for name, _ in recorder.skipped] == [r"a\x00b.jpg", "c.jpg", "d.jpg"]
    picture = cv2.imencode(".png", np.zeros((2, 2, 3), np.uint8))[1].tobytes()
    folder = tmp_path / "photographs"
    folder.mkdir()
    for name in (b"a.png", b"b\xff.png"):
        Path(os.fsdecode(os.path.join(os.fsencode(folder), name))).write_bytes(picture)
    first, second = Photographs([str(folder)])
    assert first.fetch() == picture
    with pytest.raises(DataError, match="not UTF-8"):
        second.fetch()


# ---- names of pictures that are written


@pytest.mark.parametrize(
    "id", ["../../x", "/etc/x", "//etc/x", "a/../../../x", "..", ".", "/", "", "a\0b", "a\nb", "\x1b[2Jx", "a/./b"]
)
def test_pictures_of_faces_stay_in_their_folder(id: str, tmp_path: Path) -> None:
    (path,) = plan_pictures([id], tmp_path / "out").values()
    assert (tmp_path / "out") in path.parents
    assert path.resolve() == path
    assert path.name.isprintable()


@pytest.mark.parametrize("name_of", [crop_name, lambda id: point_file_name(id, ".pts")])
@pytest.mark.parametrize("id", ["../x", "/etc/x", "a/../x", "a\0b", "a\nb", "\x1b[2J", "..", ""])
def test_dumped_files_are_not_named_so(id: str, name_of: Callable[[str], str]) -> None:
    with pytest.raises(DataError, match="cannot be the name of a file"):
        name_of(id)
