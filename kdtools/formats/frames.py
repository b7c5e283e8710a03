"""Frames of videos as pictures: their names, and where they lie once they are extracted.

Frame 12 (the first is 0) of walk.mp4 is walk/frame_000012, its picture walk/frame_000012.png or with another suffix:
ffmpeg -i walk.mp4 -start_number 0 walk/frame_%06d.png
"""

from __future__ import annotations

import os
from pathlib import Path

from kdtools.formats.annotation import Reading
from kdtools.storage.file_kinds import IMAGE_SUFFIXES


def frame_name(video: str, frame: int) -> str:
    return f"{video}/frame_{frame:06d}"


def find_frame(reading: Reading, name: str, folder: Path, where: str) -> Path | None:
    """Picture of the frame `name`, in the folder of its video or, below `reading.roots`, without that folder."""
    if reading.pictures:
        for root in (*reading.roots, folder, folder / "images"):
            for tail in (name, name.rsplit("/", 1)[-1]) if root in reading.roots else (name,):
                for suffix in sorted(IMAGE_SUFFIXES):
                    if os.path.isfile(root / (tail + suffix)):
                        return reading.find_image(name + suffix, folder, where)
    return reading.find_image(f"{name}.png", folder, where)
