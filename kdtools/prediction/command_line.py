"""MODEL and INPUT of kd-predict's command line: existence first, then the usual mistakes, each with the right call."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from kdtools.bundled import bundled_names, weights_file
from kdtools.errors import FileError, UsageError
from kdtools.model.card import form_of
from kdtools.prediction.inputs import kind_of

_OWN = "kd-student trains one, kd-export exports it"


def check_words(model: str, inputs: Sequence[str]) -> None:
    """Raises FileError for a word that names nothing, UsageError where the model or the inputs were forgotten, or where
    they stand in the wrong order.
    """
    if not inputs and _is_model(model):
        raise UsageError("no input was named", f"for example: kd-predict {shlex.quote(model)} FOLDER -o points.csv")
    wrong = not _is_model(model)
    if wrong and inputs and _is_model(inputs[0]):
        right = " ".join(map(shlex.quote, (inputs[0], model, *inputs[1:])))
        raise UsageError(f"{model} is no model, but {inputs[0]} is", f"the model comes first: kd-predict {right}")
    for word in inputs if inputs else [model]:
        if word != "-" and not word.isdecimal() and not Path(word).exists():  # a number may be a camera
            raise FileError(f"{word}: no such file or folder")
    is_other = kind_of(model) != "faces" and not model.endswith((".safetensors", ".onnx"))
    if wrong and (not inputs or is_other):
        raise UsageError(f"{model}: no model was named before it", _example([model, *inputs]))
    if not weights_file(model).exists():
        names = bundled_names()
        hint = f"{_listed(names)} with kdtools; else name a file of kd-student or kd-export" if names else _OWN
        raise FileError(f"{model}: no such model", hint)
    form_of(model)  # raises for any other file


def _example(words: Sequence[str]) -> str:
    names = bundled_names()
    call = f"kd-predict {names[0] if names else 'student.onnx'} {' '.join(map(shlex.quote, words))} -o points.csv"
    return f"{_listed(names)} with kdtools: {call}" if names else f"{_OWN}; then: {call}"


def _listed(names: Sequence[str]) -> str:
    return f"{' and '.join(names)} {'comes' if len(names) == 1 else 'come'}"


def _is_model(word: str) -> bool:
    try:
        form_of(word)
    except (FileError, OSError):
        return False
    return True
