"""A folder of images with landmarks.csv, less the second and later rows of an image: they were annotated carelessly.

    python benchmarks/first_annotations.py SOURCE FOLDER

FOLDER gets a table of its own and a link to SOURCE's images.
"""

from __future__ import annotations

import sys
from pathlib import Path


def take_first_annotations(source: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "images").exists():
        (folder / "images").symlink_to((source / "images").resolve())
    first: dict[str, str] = {}
    for line in (source / "landmarks.csv").read_text().splitlines():
        first.setdefault(line.partition(",")[0], line)
    (folder / "landmarks.csv").write_text("\n".join([*first.values(), ""]))


if __name__ == "__main__":
    take_first_annotations(Path(sys.argv[1]), Path(sys.argv[2]))
