"""What went into a file: data sets, start weights and teachers, in alphabetical order, with the terms of each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from kdtools.errors import DataError

NOT_STATED = "not stated"
LONGEST_TERMS = 1000  # characters
_SHOWN = 5  # entries of a message
# Keys in faces files and in model files.
_OF_FACES = {"data": "data_sets", "start_weights": "start_weights", "teachers": "teachers"}
_OF_MODEL = {**_OF_FACES, "data": "trained_on"}
TERMS = "terms"
ATTRIBUTES = (*_OF_FACES.values(), TERMS)


@dataclass(frozen=True)
class Lineage:
    """Names in alphabetical order, which is no ranking.

    `terms` has those of each data set, and of start weights and teachers that do not say what they are made from.
    """

    data: tuple[str, ...] = ()
    start_weights: tuple[str, ...] = ()
    teachers: tuple[str, ...] = ()
    terms: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def of_data(names: Iterable[str], terms: str = NOT_STATED) -> Lineage:
        data = tuple(sorted(set(names)))
        return Lineage(data, terms=dict.fromkeys(data, terms))

    def __or__(self, other: Lineage) -> Lineage:
        """All that went into both. Where both state other terms of one name, both are kept."""
        terms = dict(self.terms)
        for name, text in other.terms.items():
            known = terms.get(name, NOT_STATED)
            if known in (NOT_STATED, text):
                terms[name] = text
            elif text != NOT_STATED and text not in known.split("; "):
                terms[name] = "; ".join(sorted({*known.split("; "), text}))
        return Lineage(
            _sorted(self.data + other.data),
            _sorted(self.start_weights + other.start_weights),
            _sorted(self.teachers + other.teachers),
            dict(sorted(terms.items())),
        )

    def as_teacher(self, name: str) -> Lineage:
        """What a network or prediction is made from that a teacher of this lineage serves, which is called `name`."""
        return self | Lineage(teachers=(name,), terms={} if self.data else {name: NOT_STATED})

    def as_start(self, name: str) -> Lineage:
        """What a network is made from that starts from weights of this lineage, which are called `name`."""
        return self | Lineage(start_weights=(name,), terms={} if self.data else {name: NOT_STATED})

    def of_faces(self) -> dict[str, str]:
        """Attributes of a faces file, as JSON text."""
        return {key: json.dumps(value) for key, value in self.of_report().items()}

    def of_report(self) -> dict[str, Any]:
        """The same as lists and a dictionary."""
        return self._stored(_OF_FACES)

    def of_model(self) -> dict[str, Any]:
        """Fields of a model file's description."""
        return self._stored(_OF_MODEL)

    def _stored(self, keys: Mapping[str, str]) -> dict[str, Any]:
        lists = {key: list(getattr(self, name)) for name, key in keys.items()}
        return {key: value for key, value in {**lists, TERMS: dict(self.terms)}.items() if value}

    @staticmethod
    def from_faces(attributes: Mapping[str, Any]) -> Lineage:
        """From attributes of a faces file; empty where it has none. Raises DataError for others."""
        try:
            return _lineage({key: json.loads(attributes[key]) for key in ATTRIBUTES if key in attributes}, _OF_FACES)
        except (ValueError, TypeError, RecursionError) as error:
            raise _damage(error) from error

    @staticmethod
    def from_model(fields: Mapping[str, Any]) -> Lineage:
        """From a model file's description; empty where it says nothing. Raises DataError for another kind of value.

        Terms may be one text, which then holds for all that it was trained on.
        """
        try:
            return _lineage(fields, _OF_MODEL)
        except (ValueError, TypeError) as error:
            raise _damage(error) from error

    def sentence(self) -> str:
        """The terms in one line, for a message, each with the names it holds for; of many the first ones."""
        holders: dict[str, list[str]] = {}
        for name, text in self.terms.items():
            holders.setdefault(text, []).append(name)
        shown = [f"{text} ({_first(names, ', ')})" for text, names in holders.items()]
        return _first(shown, "; ")


def _lineage(values: Mapping[str, Any], keys: Mapping[str, str]) -> Lineage:
    lists = [values.get(key, []) for key in keys.values()]
    if not all(isinstance(names, list) for names in lists):
        raise ValueError("names stand in lists")
    terms = values.get(TERMS, {})
    if isinstance(terms, str):
        terms = dict.fromkeys(lists[0], terms)
    if not isinstance(terms, dict):
        raise ValueError("terms stand behind names")
    if not all(isinstance(text, str) for text in (*terms, *terms.values(), *chain.from_iterable(lists))):
        raise ValueError("names and terms are texts")
    data, start_weights, teachers = map(_sorted, lists)
    return Lineage(data, start_weights, teachers, dict(sorted(terms.items())))


def _first(words: list[str], separator: str) -> str:
    more = len(words) - _SHOWN
    return separator.join(words[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))


def _damage(error: Exception) -> DataError:
    return DataError(
        f"what it says of its data and their terms ({', '.join(ATTRIBUTES)}) cannot be read: {error}",
        "correct these attributes or leave them out",
    )
