"""Damaged and hostile HDF5 files end in a clear error, soon, and in bounded memory; nothing outside of them is read."""

from __future__ import annotations

import faulthandler
import random
import resource
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from reporters import Strict

from kdtools.datasets.dump_blocks import Selection
from kdtools.datasets.formats.shared.hdf5 import attribute_of, numbers_at, opened
from kdtools.errors import DataError, FileError, KdError
from kdtools.faces.file import FacesFile, open_faces
from kdtools.faces.virtual import write_virtual
from kdtools.faces.writer import create_faces
from kdtools.inspection.check import check_file
from kdtools.inspection.describe import describe_file
from kdtools.inspection.open import open_any
from kdtools.landmarks import SCHEMES
from kdtools.storage import hdf5_guard
from kdtools.storage.hdf5_guard import guarded_file
from kdtools.storage.provenance import Provenance

NAMES = ("id", "landmarks", "image", "box", "source", "visible", "subset/common")


@pytest.fixture(autouse=True)
def _no_test_hangs() -> Iterator[None]:
    """The library in a circle hears no signal: then the process goes, and says where it was."""
    faulthandler.dump_traceback_later(300, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


def write_sound(path: Path) -> Path:
    with create_faces(str(path), True, Provenance("kd-test", ["kd-test"])) as writer:
        writer.put_ids([f"a/{k}.jpg" for k in range(3)])
        writer.put_landmarks(np.arange(30).reshape(3, 5, 2) / 4, SCHEMES["points5"], "hard")
        writer.create_images(3, 8, 8)[...] = 7
        writer.put("box", np.tile([0, 0, 8, 8], (3, 1)))
        writer.put("source", [f"/photographs/{k}.jpg" for k in range(3)])
        writer.put("visible", np.ones((3, 5)))
        writer.put("subset/common", np.array([1, 0, 1]))
    return path


def write_old(path: Path, **packing: object) -> Path:
    """The same in HDF5's oldest layout, whose metadata carry no checksums, so that damage is believed."""
    with h5py.File(write_sound(path.with_name("sound.h5"))) as old, h5py.File(path, "w", libver="earliest") as new:
        new.attrs.update(old.attrs)
        for name in NAMES:
            is_text = old[name].dtype.kind == "O"
            data = new.create_dataset(name, data=old[name][...], dtype=old[name].dtype, **({} if is_text else packing))
            data.attrs.update(old[name].attrs)
    return path


def read_all(path: Path) -> None:
    """What kd-info, kd-info --check, kd-dump and the trainings read of a faces file."""
    with open_any(str(path)) as file:
        list(check_file(file))
        for read in (lambda: describe_file(file, follow=False), lambda: read_arrays(file.content)):
            try:
                read()
            except KdError:
                continue


def read_arrays(faces: object) -> None:
    if isinstance(faces, FacesFile):
        faces.check_unique()
        list(Selection(faces).blocks())
        np.asarray(faces.images[:2]).sum()


@pytest.mark.parametrize("n_flips", [25, pytest.param(100, marks=pytest.mark.soak)])
@pytest.mark.parametrize("layout", ["ours", "oldest", "packed"])
def test_flipped_bytes(layout: str, n_flips: int, tmp_path: Path) -> None:
    """The fuzzing in benchmarks/fuzz goes on from here."""
    write = {
        "ours": write_sound,
        "oldest": write_old,
        "packed": lambda path: write_old(path, chunks=True, compression="gzip", shuffle=True),
    }[layout]
    data, path, rng = write(tmp_path / "faces.h5").read_bytes(), tmp_path / "bent.h5", random.Random(layout)
    for k in range(n_flips):
        bent = bytearray(data)
        at = (k * len(data)) // n_flips + rng.randrange(len(data) // n_flips)  # every part of the file has its turn
        for place in [at, *(rng.randrange(len(data)) for _ in range(rng.choice([0, 0, 1, 8])))]:
            bent[place] = rng.choice([bent[place] ^ (1 << rng.randrange(8)), 0, 255, rng.randrange(256)])
        path.write_bytes(bent)
        try:
            read_all(path)
        except KdError as error:
            assert len(error.message.splitlines()) == 1, error  # noqa: PT017


def test_truncation(tmp_path: Path) -> None:
    data, path = write_sound(tmp_path / "faces.h5").read_bytes(), tmp_path / "cut.h5"
    for length in [0, 1, 7, 8, 9, 47, 48, 511, 2047, 2048, 2049, *range(4096, len(data), 499), len(data) - 1]:
        path.write_bytes(data[:length])
        with pytest.raises(FileError, match=r"cut\.h5: (is empty|cannot be opened|is of another kind|is not a file)"):
            read_all(path)


def test_a_packed_chunk_of_no_bytes(tmp_path: Path) -> None:
    """Found by fuzzing: the filter of checksums ended the process, for it takes 4 bytes off the chunk's 0."""
    path = write_sound(tmp_path / "faces.h5")
    with h5py.File(path, "r+") as file:
        points = file["landmarks"][:]
        attributes = dict(file["landmarks"].attrs)
        del file["landmarks"]
        data = file.create_dataset("landmarks", data=points, fletcher32=True)
        data.attrs.update(attributes)
        size, place = data.id.get_chunk_info(0).size, data.id.get_chunk_info(0).byte_offset
    raw = path.read_bytes()
    entry = struct.pack("<II", size, 0)  # of the tree of chunks: how long one is, and which filters it skips
    assert raw.count(entry) == 1, (size, place)
    for length in (0, 3, 4):
        path.write_bytes(raw.replace(entry, struct.pack("<II", length, 0)))
        with pytest.raises(KdError, match=f"/landmarks: a packed chunk of {length} bytes"):
            read_all(path)


def test_an_attribute_of_a_kind_that_there_is_not(tmp_path: Path) -> None:
    """Found by fuzzing: where the kind of a type of variable length is damaged, the library ends the process."""
    path = write_old(tmp_path / "faces.h5")
    raw, text = path.read_bytes(), bytes.fromhex("19010100 10000000")  # a UTF-8 text of variable length
    n_refused, at = 0, -1
    while (at := raw.find(text, at + 1)) >= 0:
        for kind in (0xD3, 0x00, 0x02):
            path.write_bytes(raw[: at + 1] + bytes([kind]) + raw[at + 2 :])
            try:
                read_all(path)
            except KdError as error:
                n_refused += "is neither a number nor a text" in error.message
    assert n_refused >= 10
    with h5py.File(path, "w") as h5:
        lists = h5py.h5t.vlen_create(h5py.h5t.NATIVE_UINT8)
        h5py.h5a.create(h5.id, b"lists", lists, h5py.h5s.create(h5py.h5s.SCALAR))
    with opened(path) as h5, pytest.raises(DataError, match="'lists' is neither a number nor a text"):
        attribute_of(h5, "lists")


# ---- texts of variable length


def heap_and_ids(data: bytes, path: Path) -> tuple[int, int]:
    """Places of the first heap of texts and of /id's elements."""
    with h5py.File(path) as h5:
        return data.index(b"GCOL\x01"), h5["id"].id.get_offset()


def free_space_of(data: bytes, heap: int) -> int:
    """Place of the object that stands for a heap's free space."""
    at = heap + 16
    while True:
        index, length = struct.unpack_from("<H6xQ", data, at)
        if index == 0:
            return at
        at += 16 + (length + 7) // 8 * 8


def test_a_heap_that_does_not_end(tmp_path: Path) -> None:
    """The library by itself runs in a circle for ever on each of these."""
    path = write_sound(tmp_path / "faces.h5")
    data = path.read_bytes()
    heap, _ = heap_and_ids(data, path)
    free = free_space_of(data, heap)
    for at, content in (
        (free, struct.pack("<HH4xQ", 0, 0, 0)),
        (heap + 16, struct.pack("<HH4xQ", 0, 0, 0)),
        (heap + 16, struct.pack("<HH4xQ", 1, 0, 2**64 - 16)),
    ):
        path.write_bytes(data[:at] + content + data[at + len(content) :])
        with pytest.raises(FileError, match="does not come to an end"):
            read_all(path)
        with pytest.raises(FileError), opened(path) as h5:  # as the importers open files of other programs
            dict(h5.attrs)


def test_a_file_that_is_but_the_beginning_of_a_heap(tmp_path: Path) -> None:
    """Found by fuzzing: the library reads 8 bytes to look for its signature, and the guard took them for a heap."""
    path = tmp_path / "faces.h5"
    for data in (b"GCOL\1", b"GCOL\1" + bytes(3), b"GCOL\1".ljust(15, b"\xff")):
        path.write_bytes(data)
        with pytest.raises(FileError), guarded_file(path, "faces.h5", lambda *_: None):
            pass
        with pytest.raises(FileError), opened(path):
            pass


def test_a_text_longer_than_the_file(tmp_path: Path) -> None:
    """For each the library by itself takes 4 GB."""
    path = write_sound(tmp_path / "faces.h5")
    data = path.read_bytes()
    heap, ids = heap_and_ids(data, path)
    path.write_bytes(data[:ids] + struct.pack("<I", 2**32 - 1) + data[ids + 4 :])
    with pytest.raises(FileError, match=r"damaged: .*memory"):
        read_all(path)
    old = write_old(tmp_path / "old.h5")
    data = old.read_bytes()
    heap, ids = heap_and_ids(data, old)
    n_refused = at = 0
    while (at := data.find(struct.pack("<Q", heap), at + 1)) >= 0:
        if ids <= at - 4 < ids + 48:
            continue
        old.write_bytes(data[: at - 4] + struct.pack("<I", 2**32 - 1) + data[at:])
        try:
            read_all(old)
        except FileError as error:
            n_refused += "memory" in error.message
    assert n_refused >= 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 4_000_000  # KB; of one 4 GB text alone it would be more


def test_sound_files_of_many_texts_are_not_refused(tmp_path: Path) -> None:
    """Several heaps, texts of all lengths and long attributes: nothing in them is taken for damage."""
    rng = random.Random(0)
    ids = [f"{k}/" + "".join(rng.choices("abcé", k=rng.randrange(300))) for k in range(2000)]
    for libver in ("earliest", "v110"):
        path = tmp_path / f"{libver}.h5"
        with h5py.File(path, "w", libver=libver) as h5:
            h5.attrs.update(kd_kind="faces", kd_format=1, argv="['x']", inputs="{}", note="n" * 50_000)
            for k in range(20):
                h5.attrs[f"text{k}"] = "t" * k * 40
            h5.create_dataset("id", data=ids, dtype=h5py.string_dtype())
            h5.create_dataset("source", data=ids, dtype=h5py.string_dtype(), chunks=(100,))
            h5["score"] = np.arange(2000, dtype=np.float32)
        with open_faces(path) as faces:
            assert faces.ids == ids
            assert faces.texts("source") == ids
            assert len(faces.h5.attrs["note"]) == 50_000
            assert [faces.h5.attrs[f"text{k}"] for k in range(20)] == ["t" * k * 40 for k in range(20)]


def test_what_an_unused_part_of_a_header_holds_is_not_refused(tmp_path: Path) -> None:
    """Where attributes were moved away a header keeps their bytes, and what stands before them now may look like the
    length of a text: of 80 drawn faces of 48 px, for one, it did."""
    path, rng = tmp_path / "faces.h5", random.Random(0)
    for n, size in [(80, 48), *((rng.randrange(1, 90), rng.choice((16, 32, 48))) for _ in range(12))]:
        with create_faces(str(path), True, Provenance("kd-test", ["kd-test"])) as writer:
            writer.create_images(n, size, size)[...] = np.full((n, size, size, 3), 7, np.uint8)
            writer.put_ids([f"a/{k}" for k in range(n)])
            writer.put_landmarks(np.zeros((n, 68, 2)), SCHEMES["ibug68"], "hard")
        with open_faces(path) as faces:
            for item in (faces.h5, *faces.h5.values()):
                assert dict(item.attrs)


# ---- what is not where, or not what, it should be


def spoil(path: Path, change: Callable[[h5py.File], object]) -> Path:
    with h5py.File(write_sound(path), "r+") as h5:
        change(h5)
    return path


def refused(path: Path, message: str) -> None:
    with pytest.raises(KdError, match=message) as caught, open_faces(path) as faces:
        read_arrays(faces)
    assert str(path) in caught.value.message
    assert len(caught.value.message.splitlines()) == 1


def replace(name: str, make: Callable[[h5py.File], object]) -> Callable[[h5py.File], None]:
    def change(h5: h5py.File) -> None:
        del h5[name]
        make(h5)

    return change


def test_absurd_sizes(tmp_path: Path) -> None:
    path, rows = tmp_path / "faces.h5", 10**12
    text = h5py.string_dtype()
    makers: dict[str, Callable[[h5py.File], object]] = {
        "id": lambda h5: h5.create_dataset("id", (rows,), text, chunks=(1024,)),
        "box": lambda h5: h5.create_dataset("box", (3, 4), np.float32, chunks=(3, 4), fillvalue=1)[...],
        "landmarks": lambda h5: h5.create_dataset("landmarks", (3, 10**9, 2), np.float32, chunks=(1, 64, 2)),
        "image": lambda h5: h5.create_dataset("image", (3, 60_000, 60_000, 3), np.uint8, chunks=(1, 64, 64, 3)),
    }
    for name, make in makers.items():
        spoil(path, replace(name, make))
        if name == "box":
            with open_faces(path) as faces:  # a few fill values do no harm
                assert (faces.h5["box"][...] == 1).all()
        else:
            refused(path, f"/{name}: claims [0-9]+ bytes")
    # The shape of an array that is stored whole lies in its header, which claims what it likes.
    data = bytearray(write_old(path).read_bytes())
    for at in [k for k in range(0, len(data) - 24, 8) if struct.unpack_from("<3Q", data, k) == (3, 5, 2)]:
        data[at : at + 8] = struct.pack("<Q", rows)
    path.write_bytes(data)
    refused(path, "/landmarks: claims 40000000000000 bytes|damaged: .*invalid dataset size")


def test_a_file_that_inflates_a_thousand_times(tmp_path: Path) -> None:
    def bomb(h5: h5py.File) -> None:
        chunk = (3, 2**22, 2)  # 100 MB, of which some are written
        data = h5.create_dataset("landmarks", (3, 2**24, 2), np.float32, chunks=chunk, compression="gzip")
        for k in range(4):
            data.id.write_direct_chunk((0, k * 2**22, 0), packed)

    import zlib

    unpacked = 4 * 3 * 2**22 * 2
    packer = zlib.compressobj(9)
    packed = b"".join([*(packer.compress(bytes(2**20)) for _ in range(unpacked // 2**20)), packer.flush()])
    path = spoil(tmp_path / "faces.h5", replace("landmarks", bomb))
    assert path.stat().st_size < 1_000_000
    refused(path, "/landmarks: claims 402653184 bytes, but only [0-9]+ are stored")


def test_links_and_arrays_that_lead_out_of_the_file(tmp_path: Path) -> None:
    secret = write_sound(tmp_path / "secret.h5")
    path = tmp_path / "below" / "faces.h5"
    path.parent.mkdir()

    def virtual(h5: h5py.File, source: str) -> None:
        layout = h5py.VirtualLayout((3, 4), np.float32)
        layout[...] = h5py.VirtualSource(source, "box", (3, 4))
        h5.create_virtual_dataset("box", layout)

    def link(name: str, made: object) -> Callable[[h5py.File], None]:
        return replace(name, lambda h5: h5.__setitem__(name, made))

    raw = [(str(secret), 0, 48)]
    for change, message in (
        (link("box", h5py.ExternalLink(str(secret), "/box")), "/box: is a link"),
        (link("id", h5py.ExternalLink("../secret.h5", "/id")), "/id: is a link"),
        (link("subset", h5py.ExternalLink("../secret.h5", "/subset")), "/subset: is a link"),
        (link("box", h5py.SoftLink("/box")), "/box: is a link"),
        (link("box", h5py.SoftLink("/landmarks")), "/box: is a link"),
        (replace("box", lambda h5: virtual(h5, "../secret.h5")), "/box refers to '../secret.h5'"),
        (replace("box", lambda h5: virtual(h5, "a/../../secret.h5")), "/box refers to"),
        (replace("box", lambda h5: virtual(h5, str(secret))), "/box refers to"),
        (replace("box", lambda h5: virtual(h5, "absent.h5")), "is absent: absent.h5"),
        (
            replace("box", lambda h5: h5.create_dataset("box", (3, 4), np.float32, external=raw)),
            "/box: is stored in other files",
        ),
    ):
        refused(spoil(path, change), message)


def test_a_virtual_file_finds_its_parts_beside_it_alone(tmp_path: Path) -> None:
    part = write_sound(tmp_path / "part.h5")
    with open_faces(part) as faces, create_faces(str(tmp_path / "all.h5"), True, Provenance("kd-test")) as writer:
        write_virtual(writer, [faces], str(tmp_path / "all.h5"), Strict())
    with open_faces(tmp_path / "all.h5") as faces:
        assert faces.ids == [f"a/{k}.jpg" for k in range(3)]
        assert faces.parts == {"part.h5"}
    (tmp_path / "below").mkdir()
    with (
        pytest.raises(DataError, match="is outside"),
        open_faces(part) as faces,
        create_faces(str(tmp_path / "below" / "all.h5"), True, Provenance("kd-test")) as writer,
    ):
        write_virtual(writer, [faces], str(tmp_path / "below" / "all.h5"), Strict())
    data = part.read_bytes()  # a part whose texts would send the library in a circle
    free = free_space_of(data, data.index(b"GCOL\x01"))
    part.write_bytes(data[:free] + bytes(16) + data[free + 16 :])
    with pytest.raises(FileError, match="does not come to an end"), open_faces(tmp_path / "all.h5") as faces:
        faces.ids  # noqa: B018


def test_other_types_where_numbers_and_texts_belong(tmp_path: Path) -> None:
    path = tmp_path / "faces.h5"
    pair = np.zeros((3, 4), [("x", "f4"), ("y", "f4")])
    makers: dict[str, tuple[str, Callable[[h5py.File], object]]] = {
        "objects": ("box", lambda h5: h5.create_dataset("box", (3, 4), h5py.ref_dtype)),
        "regions": ("box", lambda h5: h5.create_dataset("box", (3, 4), h5py.regionref_dtype)),
        "compound": ("box", lambda h5: h5.create_dataset("box", data=pair)),
        "texts": ("box", lambda h5: h5.create_dataset("box", (3, 4), h5py.string_dtype())),
        "lists": ("box", lambda h5: h5.create_dataset("box", (3, 4), h5py.vlen_dtype(np.float32))),
        "opaque": ("box", lambda h5: h5.create_dataset("box", data=np.zeros((3, 4), "V8"))),
        "a type": ("box", lambda h5: h5.__setitem__("box", np.dtype("f4"))),
        "a group": ("box", lambda h5: h5.create_group("box")),
        "numbers": ("id", lambda h5: h5.create_dataset("id", data=np.arange(3))),
        "nothing": ("box", lambda h5: h5.create_dataset("box", data=h5py.Empty("f4"))),
    }
    for name, make in makers.values():
        refused(spoil(path, replace(name, make)), f"/{name} (holds|is not|has)")

    def committed(h5: h5py.File) -> None:
        h5["kind"] = np.dtype("f4")
        h5.create_dataset("box", data=np.ones((3, 4)), dtype=h5["kind"])

    with open_faces(spoil(path, replace("box", committed))) as faces:  # a type with a name is that type
        assert (faces.h5["box"][...] == 1).all()


def test_texts_behind_a_filter(tmp_path: Path) -> None:
    path, ids = tmp_path / "faces.h5", [f"a/{k}.jpg" for k in range(3)]
    text = h5py.string_dtype()
    made = replace("id", lambda h5: h5.create_dataset("id", data=ids, dtype=text, chunks=(3,), compression="gzip"))
    with open_faces(spoil(path, made)) as faces:
        assert faces.ids == ids


def test_filters_that_are_not_there(tmp_path: Path) -> None:
    path = tmp_path / "faces.h5"
    spoil(
        path, replace("box", lambda h5: h5.create_dataset("box", data=np.ones((3, 4)), chunks=(3, 4), fletcher32=True))
    )
    data = path.read_bytes()
    at = data.index(struct.pack("<HHHHI", 3, 1, 0, 0, 0)[:2] + b"\x00\x00", data.index(b"OHDR"))
    path.write_bytes(data[:at] + struct.pack("<H", 999) + data[at + 2 :])
    with pytest.raises((KdError, OSError)), open_faces(path) as faces:
        faces.read("box", 0, 3)


def test_attributes(tmp_path: Path) -> None:
    """Large ones, deep ones, and such of other types."""
    path, deep = tmp_path / "faces.h5", "[" * 100_000
    for where, name, value, message in (
        ("/", "kd_kind", "x" * 60_000, "not a faces file"),
        ("/", "kd_kind", np.arange(8000), "not a faces file"),
        ("/", "kd_format", h5py.Empty("i4"), "kd_format"),
        ("landmarks", "names", deep, "are not a scheme"),
        ("landmarks", "outlines", f"[[0, {10**30}]]", "are not a scheme"),
        ("landmarks", "mirror", np.arange(8000), "are not a scheme"),
        ("/", "crop", deep, "not a crop rule"),
        ("/", "argv", deep, "its provenance is damaged"),
        ("/", "inputs", "[1]", "its provenance is damaged"),
    ):

        def change(h5: h5py.File, where: str = where, name: str = name, value: object = value) -> None:
            h5[where].attrs[name] = value

        spoil(path, change)
        with pytest.raises(KdError, match=message), open_any(str(path)) as file:  # noqa: PT012
            assert isinstance(file.content, FacesFile)
            describe_file(file, follow=False)
            file.content.scheme  # noqa: B018
            file.content.crop  # noqa: B018


def test_ids_that_are_no_utf8(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "faces.h5")
    path.write_bytes(path.read_bytes().replace(b"a/1.jpg", b"a/\xff.jpg"))
    with open_faces(path) as faces, pytest.raises(FileError, match="/id: damaged"):
        faces.ids  # noqa: B018


def test_files_of_other_programs_are_read_through_the_same_guard(tmp_path: Path) -> None:
    path = tmp_path / "matlab.mat"
    with h5py.File(path, "w", userblock_size=512, libver="earliest") as h5:
        h5.attrs["made_by"] = "somebody"
        h5["x"] = np.arange(3.0)
    with opened(path) as h5:  # addresses count from behind MATLAB's block
        assert h5.attrs["made_by"] == "somebody"
        assert numbers_at(h5, "x").tolist() == [0, 1, 2]


@pytest.mark.parametrize("n_bytes", [512, 2048])
def test_only_what_has_the_signature_is_tried_in_a_process(
    n_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At byte 0 or behind a block of 512 bytes, 1024, 2048...; so kd-import need not fork for each text."""
    sound, text = tmp_path / "sound.h5", tmp_path / "text.h5"
    with h5py.File(sound, "w", userblock_size=n_bytes) as h5:
        h5["x"] = np.arange(3.0)
    with opened(sound) as h5:
        assert numbers_at(h5, "x").tolist() == [0, 1, 2]
    monkeypatch.setattr(hdf5_guard, "rehearse", lambda *_: pytest.fail("a process"))
    text.write_bytes(b"x" * (n_bytes + 1) + hdf5_guard._SIGNATURE)
    for path in (text, tmp_path / "empty.h5"):
        path.touch()
        with pytest.raises(FileError, match="cannot be opened as HDF5") as caught, opened(path):
            pass
        assert caught.value.hint == "it may be truncated or damaged; make it again"


def test_a_hostile_file_takes_no_memory(tmp_path: Path) -> None:
    """kd-info in 600 MB of address space beyond what it needs to start: an error, not the machine's memory."""
    path = spoil(
        tmp_path / "faces.h5",
        replace("landmarks", lambda h5: h5.create_dataset("landmarks", (3, 10**9, 2), np.float32, chunks=(1, 64, 2))),
    )
    script = (
        "import resource, sys; import kdtools.inspection.describe, kdtools.cli.kd_info as tool, kdtools.faces;"
        "now = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize();"
        "resource.setrlimit(resource.RLIMIT_AS, (now + 600 * 2**20,) * 2);"
        f"sys.argv = ['kd-info', {str(path)!r}]; tool.main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"kd-info: error: {path}:/landmarks: claims 24000000000 bytes")
    assert done.stdout == ""
