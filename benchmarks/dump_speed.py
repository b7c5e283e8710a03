"""How fast kd-dump writes points as CSV, and in how much memory, against pyarrow's CSV writer on the same numbers.

    python benchmarks/dump_speed.py [--faces 1000000]

Both read the faces file of 68 float32 points a face by blocks and write a file beside it, each in a process of its
own, in turn; the least time of the rounds counts, and the peak is that of the whole process. Both write the shortest
digits that give the same float32, which is checked on the first lines. Needs pyarrow.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
from processes import run_measured

N_POINTS = 68
BLOCK = 4096
PIXELS = 500


def write_faces(path: Path, n_faces: int) -> None:
    """A faces file of random points, block by block."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as h5:
        h5.attrs.update({"kd_kind": "faces", "kd_format": 1, "scheme": "ibug68"})
        ids = h5.create_dataset("id", (n_faces,), h5py.string_dtype())
        points = h5.create_dataset("landmarks", (n_faces, N_POINTS, 2), np.float32)
        for first in range(0, n_faces, BLOCK):
            n = min(BLOCK, n_faces - first)
            ids[first : first + n] = [f"set/{first + k:07d}.jpg" for k in range(n)]
            points[first : first + n] = PIXELS * rng.random((n, N_POINTS, 2), np.float32)


def write_with_pyarrow(source: Path, output: Path) -> None:
    """The same table: id, x0, y0, ..."""
    import pyarrow as pa
    import pyarrow.csv

    names = [f"{axis}{k}" for k in range(N_POINTS) for axis in "xy"]
    schema = pa.schema([("id", pa.string()), *((name, pa.float32()) for name in names)])
    options = pyarrow.csv.WriteOptions(quoting_style="needed")
    with h5py.File(source) as h5, pyarrow.csv.CSVWriter(output, schema, write_options=options) as writer:
        for first in range(0, len(h5["id"]), BLOCK):
            columns = np.ascontiguousarray(h5["landmarks"][first : first + BLOCK].reshape(-1, 2 * N_POINTS).T)
            ids = pa.array(h5["id"].asstr()[first : first + BLOCK])
            writer.write_table(pa.table([ids, *map(pa.array, columns)], schema=schema))


def write_with_kd_dump(source: Path, output: Path) -> None:
    from kdtools.cli.kd_dump import main

    sys.argv = ["kd-dump", str(source), "-o", str(output), "-q", "-f"]
    main()


WRITERS = {"kd-dump": write_with_kd_dump, "pyarrow": write_with_pyarrow}


def measure(writer: str, source: Path, output: Path) -> tuple[float, float]:
    """Seconds and peak MB of a process that writes the table, start and imports included."""
    return run_measured([sys.executable, __file__, "--one", writer, str(source), str(output)])[:2]


def numbers_in(path: Path, n_lines: int = 1000) -> np.ndarray:
    with path.open() as stream:
        next(stream)
        return np.array([line.split(",")[1:] for line, _ in zip(stream, range(n_lines), strict=False)], np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        writer, source, output = args.one
        WRITERS[writer](Path(source), Path(output))
        return
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "faces.h5"
        write_faces(source, args.faces)
        outputs = {writer: Path(folder) / f"{writer}.csv" for writer in WRITERS}
        results = [{w: measure(w, source, outputs[w]) for w in WRITERS} for _ in range(args.rounds)]
        numbers = [numbers_in(path) for path in outputs.values()]
        with h5py.File(source) as h5:
            truth = h5["landmarks"][: len(numbers[0])].reshape(len(numbers[0]), -1)
        if not all(np.array_equal(found, truth) for found in numbers):
            raise SystemExit("the numbers written are not those of the file")
        print(f"{args.faces} faces x {N_POINTS} points, file of {source.stat().st_size / 2**20:.0f} MiB")
        seconds = {}
        for writer in WRITERS:
            seconds[writer] = min(result[writer][0] for result in results)
            peak = max(result[writer][1] for result in results)
            size, speed = outputs[writer].stat().st_size / 2**20, args.faces / seconds[writer]
            print(
                f"{writer:8} {seconds[writer]:7.2f} s {speed:9.0f} faces/s, {size:.0f} MiB, peak memory {peak:.0f} MB"
            )
        print(f"speed of kd-dump over pyarrow: {seconds['pyarrow'] / seconds['kd-dump']:.2f}")


if __name__ == "__main__":
    main()
