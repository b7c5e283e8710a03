"""Both sides of the guard of HDF5 files: sound files of all kinds open, damaged ones do no harm.

    python benchmarks/hdf5_guard.py --sound 10000 --damaged 10000

Sound files are faces files as other programs might write them with h5py: of random library versions, layouts, filters,
types, ids, attributes and further arrays. Each must open and give what was put in. Damaged ones are such files with
flipped bytes, cut off, or with hostile numbers in their structures, ten of each sound one. Each must be refused or give
the same content; where a damage hits the stored values themselves they are other values, which HDF5 cannot tell.

A file is read in a worker process, so that a crash, a hang or too much memory is seen. The same seed makes the same
files.
"""

from __future__ import annotations

import argparse
import faulthandler
import functools
import os
import random
import resource
import signal
import struct
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from kdtools.errors import KdError
from kdtools.faces.file import open_faces
from kdtools.inspection.describe import describe_file
from kdtools.inspection.open import open_any

VERSIONS = ("earliest", "v108", "v110", "v112", "v114", "latest")
DAMAGES = 10  # of each sound file
HANG_S, MOST_MB, TIMES_FILE = 60, 300, 4
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789_-./éß漢"


# ---- sound files
class Content:
    """What was written: to be compared with what is read."""

    def __init__(self, ids: list[str], points: np.ndarray, scheme: str, images: np.ndarray | None) -> None:
        self.ids, self.points, self.scheme, self.images = ids, points, scheme, images


def write_sound(path: Path, rng: random.Random) -> Content:
    """A faces file of a random kind."""
    n, n_points = rng.choice([1, 2, 3, 10, 30, 100, 300]), rng.choice([1, 5, 68])
    content = Content(
        make_ids(n, rng),
        np.random.default_rng(rng.randrange(2**32)).uniform(0, 200, (n, n_points, 2)).astype(np.float32),
        "own" * rng.choice([1, 1, 30]),
        None,
    )
    if rng.random() < 0.3:
        side = rng.choice([1, 8, 16])
        content.images = np.random.default_rng(n).integers(0, 256, (n, side, side, 3), np.uint8)
    with new_file(path, rng) as file:
        attributes = {"kd_kind": "faces", "kd_format": 1, "scheme": content.scheme}
        if rng.random() < 0.5:
            attributes |= {"tool": "theirs", "argv": '["x", "y"]', "inputs": "{}", "created": "2026-01-01"}
        for name, value in attributes.items():
            put_attribute(file, name, value, rng)
        parts: list[Callable[[], object]] = [
            lambda: put_texts(file, "id", content.ids, rng),
            lambda: put_numbers(file, "landmarks", content.points, rng),
        ]
        if content.images is not None:
            parts.append(lambda: put_numbers(file, "image", content.images, rng, exact=True))
        if rng.random() < 0.4:
            parts.append(lambda: put_texts(file, "source", make_ids(n, rng), rng))
        if rng.random() < 0.4:
            parts.append(lambda: put_numbers(file, "box", np.tile([0.0, 0, 9, 9], (n, 1)), rng))
        if rng.random() < 0.4:
            parts.append(lambda: put_numbers(file, "visible", np.ones((n, n_points), np.uint8), rng))
        if rng.random() < 0.2:
            parts.append(lambda: file.create_dataset("score", (n,), np.float32, fillvalue=rng.choice([None, 0.5])))
        if rng.random() < 0.3:
            parts.append(lambda: put_numbers(file, "subset/common", np.ones(n, bool), rng))
        if rng.random() < 0.3:
            parts.append(lambda: put_foreign(file, rng))
        rng.shuffle(parts)
        for part in parts:
            part()
        put_attribute(file["landmarks"], "role", "predicted", rng)
        if rng.random() < 0.3:
            file["landmarks"].attrs["mirror"] = np.arange(n_points, dtype=rng.choice(["<i4", ">i8"]))
        for k in range(rng.choice([0, 0, 3, 12, 60])):
            place = rng.choice([file, file["landmarks"], file["id"]])
            place.attrs[f"note{k}"] = rng.choice([k, "t" * rng.choice([0, 5, 300, 3000]), np.arange(k)])
        if rng.random() < 0.1:
            put_foreign_attributes(file, rng)
    return content


def new_file(path: Path, rng: random.Random) -> h5py.File:
    options: dict[str, Any] = {"libver": rng.choice(VERSIONS), "track_order": rng.random() < 0.3}
    if rng.random() < 0.2:
        options["userblock_size"] = rng.choice([512, 4096])
    elif rng.random() < 0.2 and options["libver"] not in ("earliest", "v108"):
        options |= {"fs_strategy": rng.choice(["fsm", "page", "aggregate", "none"]), "fs_persist": rng.random() < 0.5}
    if rng.random() < 0.1:
        create = h5py.h5p.create(h5py.h5p.FILE_CREATE)
        create.set_sizes(rng.choice([4, 8]), rng.choice([4, 8]))
        return h5py.File(h5py.h5f.create(os.fsencode(path), h5py.h5f.ACC_TRUNC, fcpl=create))
    return h5py.File(path, "w", **options)


def make_ids(n: int, rng: random.Random) -> list[str]:
    lengths = rng.choice([[5], [5, 20, 60], [5, 60, 200, 800, 4000], range(1, 60), [0, 1, 2, 3, 300]])
    text = "".join(rng.choices(LETTERS, k=5000))
    starts = [(rng.randrange(900), rng.choice(lengths)) for _ in range(n)]
    ids = [f"{text[start : start + length]}/{k:06d}.jpg" for k, (start, length) in enumerate(starts)]
    if rng.random() < 0.02:
        ids[-1] = "z" * rng.choice([10_000, 100_000, 1_000_000])
    return ids


def put_attribute(item: Any, name: str, value: Any, rng: random.Random) -> None:
    """Texts of fixed or variable length, numbers of any width; sometimes an array of one."""
    if isinstance(value, str):
        value = rng.choice([value, np.bytes_(value.encode())])
    else:
        value = rng.choice([value, np.int64(value), np.uint8(value), np.array(value, ">i4")])
    if rng.random() < 0.1:
        shape = (1,)
        kind = h5py.string_dtype() if isinstance(value, str) else None
        item.attrs.create(name, [value], shape, kind)
        return
    item.attrs[name] = value


def put_texts(file: h5py.File, name: str, texts: list[str], rng: random.Random) -> None:
    encoded = [text.encode() for text in texts]
    longest = max(map(len, encoded))
    if longest < 2000 and rng.random() < 0.3:
        kind: Any = rng.choice([h5py.string_dtype("utf-8", max(1, longest)), np.dtype(f"S{max(1, longest)}")])
        data: Any = np.array(encoded, kind)
    else:
        kind, data = h5py.string_dtype(), texts
    file.create_dataset(name, data=data, dtype=kind, **layout_of((len(texts),), rng, is_text=True))


def put_numbers(file: h5py.File, name: str, values: Any, rng: random.Random, *, exact: bool = False) -> None:
    values = np.asarray(values)
    if not exact and values.dtype.kind == "f":
        values = values.astype(rng.choice(["<f4", "<f8", ">f4", ">f8"]))
    elif not exact:
        values = values.astype(rng.choice(["u1", "<i4", ">i8", "?"]))
    if values.nbytes < 60_000 and rng.random() < 0.15:
        create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        create.set_layout(h5py.h5d.COMPACT)
        kind = h5py.h5t.py_create(values.dtype, logical=True)
        links = h5py.h5p.create(h5py.h5p.LINK_CREATE)
        links.set_create_intermediate_group(True)
        space = h5py.h5s.create_simple(values.shape)
        data = h5py.h5d.create(file.id, name.encode(), kind, space, create, lcpl=links)
        data.write(h5py.h5s.ALL, h5py.h5s.ALL, np.ascontiguousarray(values))
        return
    options = layout_of(values.shape, rng, can_scale=values.dtype.kind in "iu")
    file.create_dataset(name, data=values, **options)


def layout_of(shape: tuple[int, ...], rng: random.Random, *, is_text: bool = False, can_scale: bool = False) -> dict:
    """Options of `create_dataset`: contiguous, chunked, growing, packed in several ways."""
    if rng.random() < 0.4:
        return {}
    chunks = tuple(rng.randint(1, max(1, length)) for length in shape)
    options: dict[str, Any] = {"chunks": rng.choice([True, chunks])}
    if rng.random() < 0.3:
        options["maxshape"] = (None, *shape[1:])
    if rng.random() < 0.3:
        options["fletcher32"] = True
    if rng.random() < 0.3:
        options["shuffle"] = True
    if rng.random() < 0.6:
        options["compression"] = rng.choice(["gzip", "gzip", "lzf"])
    elif can_scale and not is_text and rng.random() < 0.3:
        options = {"chunks": options["chunks"], "scaleoffset": 0}
    if is_text:
        options.pop("fletcher32", None)  # not for texts of variable length
    return options


def put_foreign(file: h5py.File, rng: random.Random) -> None:
    """Arrays of another program: lists, records, references, scales, types."""
    group = file.create_group("theirs", track_order=rng.random() < 0.5)
    lists = group.create_dataset("lists", (3,), h5py.vlen_dtype(np.int32))
    lists[0] = [1, 2, 3]
    group["records"] = np.zeros(4, [("x", "f4"), ("name", "S5"), ("at", "i8", 3)])
    group["references"] = np.array([file.ref, group.ref], h5py.ref_dtype)
    group["kind"] = np.dtype("f8")
    group["link"] = h5py.SoftLink("/nowhere")
    group["scale"] = np.arange(3.0)
    group["scale"].make_scale("x")
    lists.dims[0].attach_scale(group["scale"])
    group["empty"] = h5py.Empty("f4")
    if rng.random() < 0.5:
        del group["records"]  # leaves a hole


def put_foreign_attributes(file: h5py.File, rng: random.Random) -> None:
    file.attrs["reference"] = file.ref
    file.attrs.create("lists", [np.arange(3), np.arange(2)], (2,), h5py.vlen_dtype(np.int64))
    file.attrs["record"] = np.zeros((), [("x", "f4"), ("y", "i2")])
    file.attrs["words"] = ["a", "bc" * rng.choice([1, 500])]
    file.attrs["nothing"] = h5py.Empty("f4")


# ---- damages
def damage(data: bytes, rng: random.Random) -> bytes:
    """Flipped bits, other bytes, a cut, or hostile numbers."""
    kind = rng.choice(["bits", "bits", "bytes", "zeros", "cut", "number", "number", "swap", "structure", "structure"])
    bent = bytearray(data)
    if kind == "cut":
        return data[: rng.randrange(len(data))]
    if kind == "structure":  # near a signature, where the library believes what it reads
        marks = [
            b"OHDR",
            b"TREE",
            b"HEAP",
            b"SNOD",
            b"GCOL",
            b"FRHP",
            b"FHDB",
            b"BTHD",
            b"BTLF",
            b"FADB",
            b"EAHD",
            b"OCHK",
        ]
        places = [at for mark in marks for at in find_all(data, mark)] or [0]
        for _ in range(rng.choice([1, 1, 2, 8])):
            at = min(len(bent) - 1, rng.choice(places) + rng.randrange(4, 200))
            bent[at] = rng.choice([bent[at] ^ (1 << rng.randrange(8)), 0, 255, rng.randrange(256)])
        return bytes(bent)
    for _ in range(rng.choice([1, 1, 1, 2, 8, 30])):
        at = rng.randrange(len(bent))
        if kind == "bits":
            bent[at] ^= 1 << rng.randrange(8)
        elif kind == "bytes":
            bent[at] = rng.randrange(256)
        elif kind == "zeros":
            length = rng.choice([1, 4, 8, 16, 64])
            bent[at : at + length] = bytes(min(length, len(bent) - at))
        elif kind == "number":
            value = rng.choice([0, 1, 2**16 - 1, 2**31, 2**32 - 1, 2**40, 2**63, 2**64 - 1, len(data), len(data) - 8])
            width = rng.choice([4, 8])
            at = at // 8 * 8
            bent[at : at + width] = struct.pack("<Q", value)[: min(width, len(bent) - at)]
        else:
            other, length = rng.randrange(len(bent)), rng.choice([8, 16, 64])
            piece = data[other : other + length]
            bent[at : at + len(piece)] = piece[: len(bent) - at]
    return bytes(bent[: len(data)])


def find_all(data: bytes, mark: bytes) -> list[int]:
    places, at = [], -1
    while (at := data.find(mark, at + 1)) >= 0:
        places.append(at)
    return places


# ---- reading
def read(path: Path) -> dict[str, Any]:
    """All that tools read of a faces file."""
    with open_faces(path) as faces:
        found: dict[str, Any] = {"ids": faces.ids, "scheme": faces.scheme.name, "role": faces.role}
        found["points"] = np.array(faces.points())
        found["images"] = np.array(faces.images[:]) if faces.has_images else None
        for name in ("source", "box", "visible", "score"):
            if name in faces:
                found[name] = faces.read(name, 0, len(faces))
        found["subsets"] = faces.subsets
    with open_any(str(path)) as file:
        describe_file(file, follow=False)
    return found


def is_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and one.shape == other.shape and one.tobytes() == other.tobytes()
    return bool(one == other)


def outcome_of_sound(path: Path, seed: int, number: int) -> tuple[str, str]:
    content = write_sound(path, random.Random(f"{seed} sound {number}"))
    try:
        found = read(path)
    except KdError as error:
        return "REFUSED", error.message
    same = (
        found["ids"] == content.ids
        and found["scheme"] == content.scheme
        and np.array_equal(found["points"], content.points)
        and (content.images is None or np.array_equal(found["images"], content.images))
    )
    return ("opened", "") if same else ("OTHER CONTENT", "")


@functools.lru_cache(1)
def _sound(folder: Path, seed: int, number: int) -> tuple[bytes, dict[str, Any]]:
    """Bytes and content of a sound file."""
    path = folder / f"whole{number}.h5"
    write_sound(path, random.Random(f"{seed} sound {number}"))
    try:
        return path.read_bytes(), read(path)
    finally:
        path.unlink()


def outcome_of_damaged(path: Path, seed: int, number: int) -> tuple[str, str]:
    sound, before = _sound(path.parent, seed, number // DAMAGES)
    path.write_bytes(damage(sound, random.Random(f"{seed} damaged {number}")))
    try:
        return ("same content" if is_same(before, read(path)) else "other values"), ""
    except KdError as error:
        return "refused", error.message
    except Exception as error:
        return "TRACEBACK", repr(error)


OUTCOMES = {"sound": outcome_of_sound, "damaged": outcome_of_damaged}
BAD = ("REFUSED", "OTHER CONTENT", "TRACEBACK", "CRASH", "HANG", "MEMORY")


def try_files(kind: str, numbers: range, seed: int, folder: Path) -> Counter[str]:
    """Files of these numbers, in a worker that is started anew when it dies."""
    counts: Counter[str] = Counter()
    waiting = list(numbers)
    while waiting:
        done = _worker(kind, waiting, seed, folder, counts)
        waiting = waiting[done:]
    return counts


def _worker(kind: str, numbers: list[int], seed: int, folder: Path, counts: Counter[str]) -> int:
    """Try files until one ends the worker; returns how many were tried."""
    inner, outer = os.pipe()
    worker = os.fork()
    if worker == 0:
        os.close(inner)
        with os.fdopen(outer, "w", buffering=1) as report:
            faulthandler.disable()
            np.seterr(all="ignore")  # a damaged number may be any
            for number in numbers:
                signal.setitimer(signal.ITIMER_PROF, HANG_S)  # of computing, beside which other work may run
                path = folder / f"{kind}{number}.h5"
                before_mb = peak_mb()
                outcome, message = OUTCOMES[kind](path, seed, number)
                size_mb = path.stat().st_size / 2**20
                if peak_mb() - before_mb > max(MOST_MB, TIMES_FILE * size_mb):
                    outcome, message = "MEMORY", f"{peak_mb() - before_mb:.0f} MB of a file of {size_mb:.1f} MB"
                if outcome not in BAD:
                    path.unlink()
                report.write(f"{outcome}\t{' '.join(message.split())}\n")
        os._exit(0)
    os.close(outer)
    done = 0
    with os.fdopen(inner) as report:
        for line in report:
            outcome, _, message = line.rstrip("\n").partition("\t")
            note(kind, numbers[done], outcome, message, counts)
            done += 1
    status = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
    if status:
        note(kind, numbers[done], "HANG" if status == -signal.SIGPROF else "CRASH", f"status {status}", counts)
        done += 1
    return done


def note(kind: str, number: int, outcome: str, message: str, counts: Counter[str]) -> None:
    counts[outcome] += 1
    if outcome in BAD:
        print(f"{kind} {number}: {outcome}: {message}", flush=True)


def peak_mb() -> float:
    """Of this process, or of one that it started."""
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sound", type=int, default=1000, metavar="N")
    parser.add_argument("--damaged", type=int, default=1000, metavar="N")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for files that did harm; else they are not kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        n_bad = 0
        for kind, n in (("sound", options.sound), ("damaged", options.damaged)):
            start = time.monotonic()
            counts = try_files(kind, range(options.first, options.first + n), options.seed, folder)
            n_bad += sum(counts[name] for name in BAD)
            listed = ", ".join(f"{count} {name}" for name, count in counts.most_common())
            print(f"{n} {kind} files in {time.monotonic() - start:.0f} s: {listed}", flush=True)
    raise SystemExit(1 if n_bad else 0)


if __name__ == "__main__":
    main()
