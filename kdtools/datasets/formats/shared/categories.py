"""Which things of a file are meant, where it holds points of several: faces and hands, or cats and dogs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from kdtools.errors import DataError

NO_LABEL = "no label"  # name of the category of things without one, where others have a label
_MOST_LISTED = 12


@dataclass(frozen=True)
class Category:
    """A kind of things: its `name`, that of the kind above it, and the names of its points where they are told."""

    name: str
    above: str = ""
    points: tuple[str, ...] = ()


def choose_categories(
    source: object, wanted: Sequence[str], known: Mapping[Any, Category], found: Iterable[tuple[Any, int]]
) -> frozenset[Any]:
    """Keys of the categories to read: those of one name, or those that are `wanted` by name or by the name above.

    A wanted name may be a pattern, as `*` for all. `found` are the key and the number of points of each thing that
    could be read; categories that are declared and have none do not matter. Raises DataError that lists the categories
    where several are left and none is wanted, where a wanted one is absent, and where wanted ones have other points.
    """
    counts: dict[Any, list[int]] = {}
    for key, n_points in found:
        counts.setdefault(key, []).append(n_points)
    things = {key: known.get(key, Category(key if isinstance(key, str) else f"id {key}")) for key in counts}
    chosen = set(things)
    for name in wanted:
        if not any(_fits(thing.name, name) or thing.above == name for thing in things.values()):
            hint = f"it has {_listed(things, counts)}" if things else "leave --category out: nothing in it has one"
            raise DataError(f"{source}: no points are of the category {name!r}", hint)
    if wanted:
        names = {thing.name for thing in things.values()}
        chosen = {
            key
            for key, thing in things.items()
            if any(_fits(thing.name, word) or (word == thing.above and word not in names) for word in wanted)
        }
    elif len({thing.name for thing in things.values()}) > 1:
        raise DataError(
            f"{source}: holds points of different things: {_listed(things, counts)}",
            "name one with --category NAME; the option may be repeated for categories of the same points, '*' is all",
        )
    meanings = {things[key].points for key in chosen}
    sizes = {size for key in chosen for size in counts[key]} if len(chosen) > 1 else set()
    if len(meanings) > 1 or len(sizes) > 1:
        left = {key: things[key] for key in chosen}
        raise DataError(
            f"{source}: these categories have different points: {_listed(left, counts)}",
            "name one of them with --category",
        )
    return frozenset(chosen)


def _fits(name: str, wanted: str) -> bool:
    return name == wanted or fnmatchcase(name, wanted)


def _listed(things: Mapping[Any, Category], counts: Mapping[Any, Sequence[int]]) -> str:
    """`face (9 annotations of 5 points), hand (12 of 5)`."""
    texts = []
    for key, thing in things.items():
        sizes = counts[key]
        points = f"{min(sizes)}" if min(sizes) == max(sizes) else f"{min(sizes)} to {max(sizes)}"
        texts.append(f"{thing.name!r} ({len(sizes)} annotations of {points} points)")
    return ", ".join(texts[:_MOST_LISTED]) + (", ..." if len(texts) > _MOST_LISTED else "")
