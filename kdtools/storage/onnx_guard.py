"""What an ONNX file may ask for, checked before a library runs it.

ONNX Runtime does what a file says: it reads weights from other files that the graph names, wherever in it, and takes
the memory that an array claims before it looks whether the file holds that much. So the protobuf message is walked here
first, weights skipped. Field numbers are those of onnx.proto.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kdtools.errors import FileError
from kdtools.storage.devices import read_faults_named
from kdtools.storage.stamps import changed_error, meet, stamp_of
from kdtools.storage.systems import open_to_read

_MOST_BYTES = 1 << 31  # protobuf's own limit
_MOST_NODES = 200_000
_DEEPEST = 20  # graphs within graphs; protobuf itself reads about 30

# Message -> field number -> message inside it. What is not listed holds no weights and names no file.
_INSIDE = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
}
_OP_TYPE = 4  # of a node
_FUNCTION_NAME = 1
_DIMS, _DATA_TYPE, _STRINGS, _RAW, _EXTERNAL, _LOCATION = 1, 2, 6, 9, 13, 14  # of a tensor
_TYPED = (4, 5, 7, 10, 11)  # float_data, int32_data, int64_data, double_data, uint64_data
_STRING = 8  # data type
_BITS = {
    **dict.fromkeys((1, 6, 12), 32),
    **dict.fromkeys((7, 11, 13, 14), 64),
    **dict.fromkeys((4, 5, 10, 16), 16),
    15: 128,
    **dict.fromkeys((21, 22, 23), 4),
}  # any other: 8
_TOO_MANY = f"has more than {_MOST_NODES} nodes"
_ENDLESS = (b"Loop", b"Scan")  # operators that repeat a graph


@dataclass
class OnnxFile:
    """The content of a checked file. `repeats` says whether an operator in it repeats a graph, perhaps without end."""

    content: bytes
    repeats: bool = False


@dataclass
class _Walk:
    """What is found on the way: operators of the graph and of each function of the file, by the function's name."""

    content: bytes
    operators: list[bytes]
    functions: dict[bytes, list[bytes]]
    n_nodes: int = 0


class _Damaged(Exception):
    pass


class _Refused(Exception):
    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.hint = hint


def read_onnx(path: str | Path) -> OnnxFile:
    """Read and check an ONNX file.

    Raises FileError for one that is damaged, changes meanwhile, reads other files, or claims arrays that it lacks.
    """
    return check_onnx(_content_of(path), str(path))


def _content_of(path: str | Path) -> bytes:
    try:  # without O_NONBLOCK, opening a pipe would wait for its other end
        descriptor = open_to_read(path)
    except FileNotFoundError as error:
        raise FileError(f"{path}: no such file") from error
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise FileError(f"{path}: is not a regular file", "give the path of a model file")
        if status.st_size >= _MOST_BYTES:
            raise FileError(f"{path}: {status.st_size / 1e9:.1f} GB are too large for a model in one file")
        meet(path, status, str(path))
        with read_faults_named(str(path)):
            content = stream.read()
        if stamp_of(os.fstat(descriptor)) != stamp_of(status):
            raise changed_error(str(path))
        return content


def check_onnx(content: bytes, name: str) -> OnnxFile:
    """As `read_onnx`, for the content of a file; `name` is its name in errors."""
    walk = _Walk(content, [], {})
    try:
        _look(walk, "model", 0, len(content), 0)
        _check_expansion(walk)
    except _Damaged as error:
        raise FileError(f"{name}: not an ONNX model, or damaged", "make it again with kd-export") from error
    except _Refused as error:
        raise FileError(f"{name}: {error}", error.hint) from error
    found = {*walk.operators, *(name for names in walk.functions.values() for name in names)}
    return OnnxFile(content, repeats=not found.isdisjoint(_ENDLESS))


def _look(walk: _Walk, kind: str, start: int, stop: int, depth: int) -> None:
    if kind == "tensor":
        _look_at_tensor(walk.content, start, stop)
        return
    if kind == "sparse":
        raise _Refused("holds sparse arrays, which are not read", "export it with dense weights")
    if kind == "graph":
        depth += 1
        if depth > _DEEPEST:
            raise _Refused(f"holds graphs within graphs, {_DEEPEST} levels and more")
    inside, outer = _INSIDE[kind], walk.operators
    if kind == "function":
        walk.operators = []
    for number, wire, value, end in _fields(walk.content, start, stop):
        if number in inside:
            if wire != 2:
                raise _Damaged
            _look(walk, inside[number], value, end, depth)
        elif kind == "node" and number == _OP_TYPE and wire == 2:
            _look_at_operator(walk, walk.content[value:end])
        elif kind == "function" and number == _FUNCTION_NAME and wire == 2:
            walk.functions.setdefault(walk.content[value:end], []).extend(walk.operators)
            walk.operators = walk.functions[walk.content[value:end]]
    walk.operators = outer


def _look_at_operator(walk: _Walk, name: bytes) -> None:
    walk.n_nodes += 1
    if walk.n_nodes > _MOST_NODES:
        raise _Refused(_TOO_MANY)
    if name == b"EPContext":
        raise _Refused("holds a graph compiled for other hardware (EPContext)", "export it as plain ONNX")
    walk.operators.append(name)


def _check_expansion(walk: _Walk) -> None:
    """Raises _Refused where functions that call functions make a small file a graph without bounds."""
    sizes: dict[bytes, int] = {}

    def size(name: bytes, depth: int) -> int:
        if name not in walk.functions:
            return 1
        if depth > _DEEPEST:
            raise _Refused(f"holds functions that call functions, {_DEEPEST} levels and more")
        if name not in sizes:
            sizes[name] = sum(size(inner, depth + 1) for inner in walk.functions[name])
        return sizes[name]

    if sum(size(name, 0) for name in walk.operators) > _MOST_NODES:
        raise _Refused(_TOO_MANY)


def _look_at_tensor(content: bytes, start: int, stop: int) -> None:
    """Raises _Refused for an array whose numbers lie in another file, or that claims more than it holds."""
    n_values, data_type, n_strings, raw, typed = 1, 0, 0, -1, 0
    for number, wire, value, end in _fields(content, start, stop):
        if number == _EXTERNAL or (number == _LOCATION and value == 1):
            raise _Refused(
                "its weights are in another file, which is not read",
                "save it with all weights inside: onnx.save(model, path, save_as_external_data=False)",
            )
        if number == _DIMS:
            for length in [value] if wire == 0 else _varints(content, value, end):
                n_values *= length  # a negative one is beyond 2^63 here
        elif number == _DATA_TYPE:
            data_type = value
        elif number == _STRINGS:
            n_strings += 1
        elif number == _RAW:
            raw = end - value
        elif number in _TYPED:
            typed += end - value if wire == 2 else {0: 1, 1: 8, 5: 4}[wire]
    if data_type == _STRING:
        enough = n_values <= n_strings
    elif raw >= 0:
        enough = n_values * _BITS.get(data_type, 8) <= 8 * raw
    else:
        enough = n_values <= typed  # a number takes a byte at least
    if not enough:
        raise _Refused("claims an array that is larger than what the file holds of it", "the file is damaged")


def _varints(content: bytes, start: int, stop: int) -> Iterator[int]:
    while start < stop:
        value, start = _varint(content, start, stop)
        yield value


def _fields(content: bytes, start: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
    """(number, wire type, value, end) of each field of a message; bytes are content[value:end]."""
    while start < stop:
        tag, start = _varint(content, start, stop)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, start = _varint(content, start, stop)
            yield number, wire, value, start
            continue
        if wire == 2:
            length, start = _varint(content, start, stop)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise _Damaged
        end = start + length
        if number == 0 or end > stop:
            raise _Damaged
        yield number, wire, start, end
        start = end


def _varint(content: bytes, start: int, stop: int) -> tuple[int, int]:
    """A number and the position behind it: seven bits per byte, lowest first; the eighth is set if more follow."""
    value = shift = 0
    while start < stop and shift < 70:
        byte = content[start]
        start += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & (1 << 64) - 1, start
        shift += 7
    raise _Damaged
