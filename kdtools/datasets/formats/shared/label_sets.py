"""Labels of points that do not fit together: of things that share none, and of hardly any face."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from kdtools.datasets.formats.shared.annotation import Reading
from kdtools.errors import DataError, some_of

_FEWEST_OF_A_THING = 3  # labels; fewer are rather points that were clicked by mistake
_RARE = 0.05  # share of the faces that have a label, at most, for it to be one by mistake
_FEWEST_TO_COMPARE = 10  # faces


def check_labels_are_shared(source: Path, faces: Iterable[set[str]]) -> None:
    """Raises DataError where labels fall into sets that no face has in common: eyes and nose, thumb and palm.

    `faces` are the labels of each face.
    """
    sets: list[set[str]] = []
    for labels in faces:
        apart = [one for one in sets if not one & labels]
        sets = [*apart, labels.union(*(one for one in sets if one & labels))]
    things = sorted(sorted(one) for one in sets if len(one) >= _FEWEST_OF_A_THING)
    if len(things) > 1:
        raise DataError(
            f"{source}: holds points of different things, which share no label: {'; '.join(map(some_of, things))}",
            "draw rectangles with a label around them and name one with --category, or export one kind alone",
        )


def warn_of_rare(source: Path, counts: Counter[str], n_faces: int, reading: Reading) -> None:
    """A warning of labels that hardly any face has: the point is missing in all others, and may be a misspelt one."""
    rare = [label for label, n in counts.items() if n <= max(1, _RARE * n_faces)]
    if rare and n_faces >= _FEWEST_TO_COMPARE and 2 * len(rare) <= len(counts):
        reading.warn(
            f"{source}: hardly any of its {n_faces} faces has the points {some_of(sorted(rare))}, which are missing in "
            "all others; correct these labels if they are misspelt"
        )
