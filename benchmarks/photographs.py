"""What a newcomer's first command finds in folders of photographs: faces, rows and seconds, also on a poor machine.

    python benchmarks/photographs.py WORK FOLDER...

For each folder `kd-predict face68 FOLDER -o points.csv --draw drawn` runs three times: as it is, then without any
network connection (`unshare`, of util-linux), then without one and with a home that cannot be written. The first run's
time contains the start of the tool. The table has a line for each run; the rows have to be the same in all three. WORK
gets the drawn pictures, to be looked at.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

_OFFLINE = ("unshare", "--map-root-user", "--net")
_NO_HOME = {"HOME": "/proc/none", "XDG_CACHE_HOME": "/proc/none/cache"}
RUNS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "as it is": ((), {}),
    "no connection": (_OFFLINE, {}),
    "no connection, no home": (_OFFLINE, _NO_HOME),
}


def rows_of(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    print(f"{'folder':12} {'machine':24} {'photographs':>11} {'with faces':>10} {'rows':>5} {'seconds':>7}  same rows")
    for folder in given.folders:
        pictures = [p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png")]
        first: list[list[str]] = []
        for number, (name, (before, environment)) in enumerate(RUNS.items()):
            output, drawn = (given.work / f"{folder.name}.{number}{end}" for end in (".csv", ".drawn"))
            shutil.rmtree(drawn, ignore_errors=True)
            command = [
                *before,
                "kd-predict",
                "face68",
                str(folder),
                "-q",
                "-f",
                "-o",
                str(output),
                "--draw",
                str(drawn),
            ]
            began = time.monotonic()
            status = subprocess.run(command, env=os.environ | environment, check=False).returncode
            seconds = time.monotonic() - began
            if status:
                sys.exit(f"{' '.join(command)}: exit status {status}")
            rows = rows_of(output)
            first = first or rows
            with_faces = {row[0].rpartition("#")[0] or row[0] for row in rows}
            print(
                f"{folder.name:12} {name:24} {len(pictures):11} {len(with_faces):10} {len(rows):5} {seconds:7.1f}  "
                f"{'yes' if rows == first else 'NO'}"
            )


if __name__ == "__main__":
    main()
