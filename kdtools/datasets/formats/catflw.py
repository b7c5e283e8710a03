"""CatFLW and its like: `labels/NAME.json` beside `images/NAME.png`, 48 points of a cat's face and a box.

{"labels": [[412.3, 288.1], ...], "bounding_boxes": [211.0, 104.5, 702.4, 640.0]}

The box is x0, y0, x1, y1. DogFLW has 46 points. No point is missing. 0-based: nothing is said of it, and the data set's
own code draws the numbers as they are.

Source: G. Martvel et al., "CatFLW: Cat Facial Landmarks in the Wild Dataset", 2023 (github.com/martvelge/CatFLW).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from kdtools.datasets.formats.shared.annotation import Annotation, Reading, box_from_corners
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.label_folders import find_labelled
from kdtools.datasets.formats.shared.text_lists import load_json, numbers_of, pairs_of, peek_text, text_files
from kdtools.errors import DataError, KdError

_N_LOOKED_AT = 10  # files of a folder, to see what they are
_POINTS, _BOX = "labels", "bounding_boxes"


def accepts(source: Path) -> bool:
    return any(map(_looks_right, islice(text_files(source, ".json"), _N_LOOKED_AT)))


def _looks_right(path: Path) -> bool:
    text = peek_text(path)
    return text.startswith("{") and f'"{_POINTS}"' in text and f'"{_BOX}"' in text


def read(source: Path, reading: Reading) -> Iterator[Annotation]:
    root = source if source.is_dir() else source.parent
    for path in text_files(source, ".json"):
        try:
            entry = load_json(path)
            if not isinstance(entry, dict) or not {_POINTS, _BOX} <= entry.keys():
                raise DataError(f"has not the keys {_POINTS} and {_BOX}")
            points = pairs_of(entry[_POINTS], _POINTS) - reading.base
            corners = numbers_of(entry[_BOX], _BOX) - reading.base
            if len(corners) != 4:
                raise DataError(f"{_BOX}: not four numbers")
        except KdError as error:
            reading.skip(str(path), error.message)
            continue
        found = find_labelled(path, root, reading)
        if found:
            yield Annotation(*found, points, box=box_from_corners(*corners))


FORMAT = Format("catflw", "CatFLW, DogFLW: a .json file of labels and bounding_boxes for each image", 0, accepts, read)
