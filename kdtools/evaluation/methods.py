"""Training methods: predictions of one name, each by a model of another seed, measured together."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kdtools.errors import UsageError
from kdtools.evaluation.measure import Measured
from kdtools.evaluation.read_points import files_at, split_name
from kdtools.evaluation.results import MEAN_SHAPE, Values
from kdtools.reporting import Reporter, counted

_EXAMPLE = "such as l1='l1.*.h5' kd='kd.*.h5'"


@dataclass(frozen=True)
class Method:
    """Predictions with one name; without --group-models each prediction is one by itself."""

    name: str
    models: Sequence[Measured]


def expand_models(words: Sequence[str]) -> list[tuple[str, str]]:
    """(method, file) of each model, in order; of a glob each file is a model.

    Raises UsageError for a word without NAME=, a list with commas, a file given twice, and where no method has several
    models; FileError for a glob without matches.
    """
    models: list[tuple[str, str]] = []
    for word in words:
        name, place = split_name(word)
        if name is None:
            raise UsageError(f"--group-models: {word} has no name", f"write NAME=FILE, {_EXAMPLE}")
        if name == MEAN_SHAPE:
            raise UsageError(f"no method can be called {name!r}", "choose another name")
        paths = files_at(place)
        if paths == [place] and "," in place and not os.path.exists(place):
            hint = "repeat the name: " + " ".join(f"{name}={one}" for one in place.split(","))
            raise UsageError(f"--group-models: there is no file {place}", hint)
        models += [(name, path) for path in paths]
    twice = [path for path, n in Counter(os.path.realpath(path) for _, path in models).items() if n > 1]
    if twice:
        raise UsageError(f"--group-models: {os.path.relpath(twice[0])} is given twice", "give every model once")
    if max(Counter(name for name, _ in models).values()) < 2:
        raise UsageError(
            "--group-models: every name has one prediction",
            f"give several of each, {_EXAMPLE}; without --group-models single networks are compared",
        )
    return models


def check_comparison(models: Sequence[tuple[str, str]], mean_shape: str | None) -> None:
    """Raises UsageError where all models are of one method, and there is no mean shape to compare it with."""
    names = {name for name, _ in models}
    if len(names) + (mean_shape is not None) < 2:
        problem = f"--compare needs two methods, and all predictions are of {names.pop()}"
        raise UsageError(problem, f"give each method a NAME of its own, {_EXAMPLE}; or add --mean-shape FILE")


def methods_of(measured: Sequence[Measured], names: Sequence[str]) -> list[Method]:
    """Methods in order of their first model; `names` has that of each prediction, the mean shape is by itself."""
    models: dict[str, list[Measured]] = {}
    for name, one in zip([*names, *(one.name for one in measured[len(names) :])], measured, strict=True):
        models.setdefault(name, []).append(one)
    return [Method(name, own) for name, own in models.items()]


def notes_on_methods(methods: Sequence[Method], reporter: Reporter) -> list[str]:
    """Notes on methods with one model. Warns of models with the same errors at every face."""
    notes = []
    for method in methods:
        if len(method.models) == 1 and method.name != MEAN_SHAPE:
            notes.append(f"{method.name}: one model, so nothing is known of how others of its method would differ")
        for k, one in enumerate(method.models):
            for other in method.models[:k]:
                if np.array_equal(one.distance, other.distance, equal_nan=True):
                    reporter.warn(f"{other.name} and {one.name} have the same errors: is it the same model twice?")
    return notes


def grouping_of(methods: Sequence[Method]) -> str:
    """`l1: 3 models, kd: 3 models`."""
    return ", ".join(
        f"{method.name}: {counted(len(method.models), 'model')}" for method in methods if method.name != MEAN_SHAPE
    )


def mean_values(of_models: Sequence[Values]) -> Values:
    """Mean over models of each value, and the largest of counts; None where a model has none."""
    if len(of_models) == 1:
        return of_models[0]
    means: Values = {}
    for key in dict.fromkeys(key for values in of_models for key in values):
        found = [values.get(key, 0 if key == "missing" else None) for values in of_models]
        known = [value for value in found if value is not None]
        if len(known) < len(found):
            means[key] = None
        else:
            means[key] = max(known) if all(isinstance(value, int) for value in known) else float(np.mean(known))
    return means
