"""MODEL and INPUT of kd-predict's command line: existence first, then the usual mistakes, each with the right call."""

from __future__ import annotations

import contextlib
import difflib
import itertools
import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from kdtools.bundled import bundled_names, weights_file
from kdtools.errors import FileError, UsageError
from kdtools.model.card import form_of
from kdtools.prediction.inputs import kind_of
from kdtools.prediction.inputs.tar import stream_of
from kdtools.storage.outputs import STANDARD_STREAM, is_stream, name_of

_OWN = "kd-student trains one, kd-export exports it"


def check_words(
    model: str, inputs: Sequence[str], *, listed: bool = False, resume: bool = False, detector: str = "auto"
) -> None:
    """Raises FileError for a word that names nothing, UsageError where the model or the inputs were forgotten, where
    they stand in the wrong order, or where `resume` could not tell whether one of them is still the same.
    """
    if not inputs and _is_model(model):
        raise UsageError("no input was named", f"for example: kd-predict {shlex.quote(model)} FOLDER -o points.csv")
    wrong = not _is_model(model)
    if wrong and inputs and _is_model(inputs[0]):
        right = " ".join(map(shlex.quote, (inputs[0], model, *inputs[1:])))
        raise UsageError(f"{model} is not a model, but {inputs[0]} is", f"the model comes first: kd-predict {right}")
    for word in inputs if inputs else [model]:
        if word != "-" and not word.isdecimal() and not Path(word).exists():  # a number may be a camera
            raise FileError(f"{word}: no such file or folder", _similar(word))
    is_other = kind_of(model) != "faces" and not model.endswith((".safetensors", ".onnx"))
    if wrong and (not inputs or is_other):
        raise UsageError(f"{model}: no model was named before it", _example([model, *inputs]))
    if not weights_file(model).exists():
        names = bundled_names()
        hint = f"{_listed(names)} with kdtools; else name a file of kd-student or kd-export" if names else _OWN
        raise FileError(f"{model}: no such model", hint)
    form_of(model)  # raises for any other file
    twice = next((word for word in inputs if [model, *inputs].count(word) > 1 and is_stream(word)), None)
    if twice is not None:
        raise UsageError(f"{name_of(twice)} is named twice, and can be read only once", "name it once")
    for word in inputs if not listed else ():
        _check_stream(model, word)
    for word in (*inputs, model, detector) if resume else ():
        if is_stream(word):
            hint = "write it to a file"
            if word in inputs:
                hint += "; kd-merge joins what a stopped run left in FILE.partial/*.h5"
            raise UsageError(f"{name_of(word)} can be read only once, so it cannot be resumed", hint)


def _similar(word: str) -> str:
    """A question with the most similar name in the folder of a misspelt one; empty where there is none."""
    folder, name = Path(word).parent, Path(word).name
    with contextlib.suppress(OSError):
        names = [entry.name for entry in itertools.islice(os.scandir(folder), _MOST_NAMES)]
        if close := difflib.get_close_matches(name, names, n=1):
            return f"is {shlex.quote(str(folder / close[0]))} meant?"
    return ""


_MOST_NAMES = 10_000  # of a folder that are looked through

_PICTURES = {b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG", b"RIFF": "WebP", b"GIF8": "GIF"}


def _check_stream(model: str, word: str) -> None:
    """Raises UsageError for a stream of names, as of `ls`, or of a picture; a tar file or a faces file is awaited."""
    if not is_stream(word) or (word == STANDARD_STREAM and sys.stdin.isatty()):
        return
    start = stream_of(word).peek(_LOOK_AT)[:_LOOK_AT]
    call = f"kd-predict {shlex.quote(model)} {shlex.quote(word)}"
    if holds_names(start):
        raise UsageError(f"{name_of(word)} holds names of files, not a tar file of them", f"{call} --list")
    kind = next((kind for begin, kind in _PICTURES.items() if start.startswith(begin)), None)
    if kind is not None:
        hint = f"name its file, or pack it: tar c FILE | {call}"
        raise UsageError(f"{name_of(word)} is a {kind} picture, and a stream is a tar file or a faces file", hint)


_LOOK_AT = 4096


def holds_names(start: bytes) -> bool:
    """Whether a stream that begins so holds names, one a line or each with a \\0 behind it, rather than an archive.

    >>> holds_names(b"a.jpg\\nb.jpg\\n"), holds_names(b"a.jpg\\0b.jpg\\0"), holds_names(b"a.jpg" + bytes(95) + b"0644")
    (True, True, False)
    """
    if _is_header_of_tar(start):
        return False
    first, end, rest = start.partition(b"\n") if b"\n" in start.partition(b"\0")[0] else start.partition(b"\0")
    try:
        name = first.removesuffix(b"\r").decode()
    except UnicodeDecodeError:  # as HDF5 begins
        return False
    if not (name.isprintable() and name and end):
        return False
    return end == b"\n" or rest[:1] not in (b"", b"\0")


def _is_header_of_tar(start: bytes) -> bool:
    """Whether a tar file begins so: with its mark, or, in old ones, a name in 100 bytes and then an octal number."""
    has_one_name = not re.search(rb"[\0\n]", start[:100].rstrip(b"\0"))
    is_old = has_one_name and re.fullmatch(rb" *[0-7]+[ \0]*", start[100:107])
    return start[257:262] == b"ustar" or bool(is_old)


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
