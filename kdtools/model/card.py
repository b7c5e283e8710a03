"""The model card: the description stored in model files and exported models, read without torch or onnx."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from kdtools.bundled import weights_file
from kdtools.errors import DataError, FileError, UsageError
from kdtools.landmarks import Scheme
from kdtools.landmarks.conventions import (
    MOST_CONVENTIONS,
    Convention,
    conventions_from_json,
    conventions_to_json,
    layer_among,
)
from kdtools.landmarks.crop_rule import CropRule
from kdtools.model import HEADS
from kdtools.storage.devices import read_faults_named
from kdtools.storage.file_kinds import ONNX, SAFETENSORS, TFLITE_MARK, form_of_start, read_start
from kdtools.storage.lineage import Lineage
from kdtools.storage.pipes import seekable
from kdtools.storage.tensor_file import open_tensors

MODEL_KIND = "model"
MODEL_FORMAT = 1
TRAINING_PREFIX = "training."  # of the tensors in a checkpoint that are not part of the model
METADATA = "kdtools"  # metadata key of the JSON description
_LARGEST_SHADE = 1000.0  # of mean and deviation; colours are from 0 to 1, or to 255 in other programs
_LARGEST_INPUT = 4096  # px; a larger network would exhaust memory before its weights are checked

# Protobuf field numbers in ONNX: ModelProto.metadata_props, StringStringEntryProto.key and .value.
_METADATA_PROPS, _KEY, _VALUE = 14, 1, 2


@dataclass(frozen=True)
class ModelCard:
    """All that is needed to use a network's weights. `input_size` in px; `mean` and `std` of RGB in [0, 1].

    `head` is one of HEADS, see heads.py. `conventions` are the annotation conventions of the faces that it was trained
    on, sorted by name; empty where they stated none. The head has a last layer for each of `layers`, in this order; if
    none are given, one for each rule, which the sets of it share. `convention` is the layer that it answers by unless
    another is asked for.
    """

    arch: str
    input_size: int
    scheme: Scheme
    crop: CropRule
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    settings: dict[str, Any] = field(default_factory=dict)
    head: str = "linear"
    conventions: tuple[Convention, ...] = ()
    convention: str = ""
    layers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.layers:
            object.__setattr__(self, "layers", rules_of(self.conventions))

    @property
    def default_layer(self) -> int:
        """Index of `convention` in `layers`; 0 if there are none."""
        return self.layers.index(self.convention) if self.conventions else 0

    def find_convention(self, name: str, whose: str | Path) -> Convention:
        """The convention called `name`; the bare name of a layer is one too, of no known origin.

        Raises UsageError, which lists the known ones, where there is none.
        """
        if not self.conventions:
            message = f"{whose}: was trained without annotation conventions, so there is none called {name!r}"
            raise UsageError(message, "leave out --convention")
        if not self.knows(name):
            hint = f"give one of {', '.join(sorted(self._by_name))}"
            raise UsageError(f"{whose}: has no annotation convention {name!r}", hint)
        return self._by_name[name]

    def knows(self, name: str) -> bool:
        """Whether there is a convention called `name`, as `find_convention` looks for it."""
        return name in self._by_name

    @property
    def _by_name(self) -> dict[str, Convention]:
        layers = {layer: Convention(layer) for layer in self.layers}
        return {**layers, **{one.name: one for one in self.conventions}}

    def layer_of(self, name: str) -> str:
        """The last layer that answers by the convention called `name`; the default's for one that it does not know."""
        return layer_among(name, self.layers) or self.convention

    def with_one_layer(self, layer: str) -> ModelCard:
        """The card of the network that has this one of its last layers alone."""
        kept = tuple(one for one in self.conventions if layer_among(one.name, self.layers) == layer)
        return replace(self, conventions=kept or (Convention(layer),), convention=layer, layers=(layer,))

    def convention_fields(self) -> dict[str, Any]:
        """Those of `to_fields` that say what conventions there are; none where there are none."""
        if not self.conventions:
            return {}
        conventions = json.loads(conventions_to_json(self.conventions))
        return {"conventions": conventions, "convention": self.convention, "layers": self.layers}

    def to_fields(self) -> dict[str, Any]:
        return {
            "arch": self.arch,
            "head": self.head,
            "input_size": self.input_size,
            "scheme": json.loads(self.scheme.to_json()),
            "crop": json.loads(self.crop.to_json()),
            "mean": self.mean,
            "std": self.std,
            "settings": self.settings,
            **self.convention_fields(),
        }

    @staticmethod
    def from_fields(fields: dict[str, Any]) -> ModelCard:
        conventions = _conventions(fields.get("conventions", {}))
        layers = layers_of_fields(fields, conventions)
        return ModelCard(
            arch=_text(fields["arch"]),
            input_size=_known_size(fields["input_size"]),
            scheme=Scheme.from_json(json.dumps(fields["scheme"])),
            crop=CropRule.from_json(json.dumps(fields["crop"])),
            mean=_three_numbers(fields["mean"]),
            std=_divisors(fields["std"]),
            settings=_settings(fields["settings"]),
            head=_known_head(_text(fields.get("head", "linear"))),
            conventions=conventions,
            convention=_one_of(layers, fields.get("convention", "")),
            layers=layers,
        )


def rules_of(conventions: Iterable[Convention]) -> tuple[str, ...]:
    """The rules of these conventions, sorted: names of the last layers of a head that has none for single sets."""
    return tuple(sorted({one.rule for one in conventions}))


def layers_of_fields(fields: dict[str, Any], conventions: Iterable[Convention]) -> tuple[str, ...]:
    """Names of the last layers that a card's fields state, in their order. Raises DataError for impossible ones."""
    known = list(conventions)
    if "layers" not in fields:
        return rules_of(known)
    layers, names = fields["layers"], {*(one.name for one in known), *rules_of(known)}
    are_names = isinstance(layers, list) and all(isinstance(layer, str) and layer in names for layer in layers)
    if not are_names or len(set(layers)) < len(layers) or not all(layer_among(one.name, layers) for one in known):
        raise DataError(f"{str(layers)[:60]} instead of the last layers of {', '.join(one.name for one in known)}")
    return tuple(layers)


def _known_head(name: str) -> str:
    if name not in HEADS:
        raise DataError(f"a head {name!r} is not known", "upgrade kdtools")
    return name


def _conventions(fields: Any) -> tuple[Convention, ...]:
    by_name = conventions_from_json(json.dumps(fields))
    if len(by_name) > MOST_CONVENTIONS:
        raise DataError(f"{len(by_name)} annotation conventions", f"at most {MOST_CONVENTIONS} are read")
    return tuple(by_name[name] for name in sorted(by_name))


def _one_of(layers: tuple[str, ...], name: Any) -> str:
    if not layers and name == "":
        return ""
    if name not in layers:
        raise DataError(f"{str(name)[:40]!r} instead of an annotation convention")
    return str(name)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise DataError(f"{str(value)[:40]} instead of a name")
    return value


def _settings(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"settings that are {str(value)[:40]}")
    return value


def _known_size(input_size: Any) -> int:
    if type(input_size) is not int:
        raise DataError(f"an input of {str(input_size)[:40]} px, which is not a whole number")
    if not 1 <= input_size <= _LARGEST_INPUT:
        raise DataError(f"an input of {input_size} px", f"1 to {_LARGEST_INPUT} px are read")
    return input_size


def _three_numbers(values: Any) -> tuple[float, float, float]:
    if not isinstance(values, list | tuple) or any(type(value) not in (int, float) for value in values):
        raise DataError(f"{str(values)[:40]} instead of three numbers")
    red, green, blue = map(float, values)
    if not all(abs(shade) < _LARGEST_SHADE for shade in (red, green, blue)):  # of NaN too
        raise DataError(f"{red:g}, {green:g}, {blue:g} for the mean or deviation of colours from 0 to 1")
    return red, green, blue


def _divisors(values: Any) -> tuple[float, float, float]:
    numbers = _three_numbers(values)
    if min(numbers) <= 0:
        raise DataError(f"a deviation of {min(numbers):g}, which colours are divided by")
    return numbers


def read_card(path: str | Path) -> tuple[ModelCard, dict[str, Any]]:
    """Card and all metadata fields of a model file or an exported model.

    Raises FileError for a file that is absent, damaged, no kdtools model, or newer than this package.
    """
    name, path = weights_file(path), seekable(weights_file(path))
    text = _safetensors_metadata(path) if form_of(name) == SAFETENSORS else _onnx_metadata(path)
    return card_of(text, name)


def card_of(text: str | None, name: str | Path) -> tuple[ModelCard, dict[str, Any]]:
    """Card and fields from the JSON description; `name` is the file's name in errors. Raises as `read_card` does."""
    fields = fields_of(text, name)
    try:
        return ModelCard.from_fields(fields), fields
    except DataError as error:
        raise FileError(f"{name}: its description is damaged: {error.message}", error.hint) from error
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise FileError(f"{name}: its description is damaged: {error}") from error


def lineage_of_model(path: str | Path) -> Lineage:
    """What a model file or an exported model was made from. Raises FileError as `read_card` does."""
    return _lineage_of(read_card(path)[1], path)


def lineage_of_weights(path: str | Path) -> Lineage:
    """What a file of start weights was made from: a model file says it, weights of timm's say nothing.

    Raises FileError for a model file as `read_card` does, and for a file that holds no weights.
    """
    form_of(path)
    text = _safetensors_metadata(seekable(weights_file(path)))
    return Lineage() if text is None else _lineage_of(fields_of(text, path), path)


def _lineage_of(fields: dict[str, Any], path: str | Path) -> Lineage:
    try:
        return Lineage.from_model(fields)
    except DataError as error:
        raise FileError(f"{path}: {error.message}", error.hint) from error


def fields_of(text: str | None, name: str | Path) -> dict[str, Any]:
    """Fields of the JSON description, with kind and format checked. Raises as `read_card` does."""
    if text is None:
        hint = "kd-teacher and kd-student write models, kd-export exports them"
        raise FileError(f"{name}: holds weights, but is not a kdtools model", hint)
    try:
        fields: dict[str, Any] = json.loads(text)
        kind, version = fields["kd_kind"], fields["kd_format"]
        if kind != MODEL_KIND:
            raise FileError(f"{name}: kd_kind is {kind!r}, not {MODEL_KIND!r}")
        if type(version) is not int or version < 1:
            raise FileError(f"{name}: kd_format is {str(version)[:40]!r}, not a version number", "the file is damaged")
        if version > MODEL_FORMAT:
            raise FileError(
                f"{name}: model format {version}, this kdtools reads up to {MODEL_FORMAT}", "upgrade kdtools"
            )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FileError(f"{name}: its description is damaged: {error}") from error
    return fields


def form_of(path: str | Path) -> str:
    """`safetensors` or `onnx`, by the first bytes. Raises FileError for a file that is absent or neither."""
    try:
        with seekable(weights_file(path)).open("rb") as stream, read_faults_named(str(path)):
            start = read_start(stream)
    except FileNotFoundError as error:
        raise FileError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise FileError(f"{path}: is a folder, not a model file") from error
    form = form_of_start(start)
    if form in (SAFETENSORS, ONNX):
        return form
    if start[4:8] == TFLITE_MARK:
        hint = "give the model file (.safetensors) that it was made from, or its .onnx"
        raise FileError(f"{path}: TensorFlow Lite, which kdtools writes but does not read", hint)
    raise FileError(
        f"{path}: not a model file (safetensors), or damaged", "give what kd-teacher, kd-student or kd-export wrote"
    )


def _safetensors_metadata(path: Path) -> str | None:
    with open_tensors(path) as stored:
        return stored.metadata.get(METADATA)


def _onnx_metadata(path: Path) -> str | None:
    """The description in an ONNX file, whose weights are skipped."""
    try:
        with path.open("rb") as stream, read_faults_named(str(path)):
            for entry in _protobuf_fields(stream, _METADATA_PROPS):
                key = next(_protobuf_fields(io.BytesIO(entry), _KEY), b"")
                if key == METADATA.encode():
                    return next(_protobuf_fields(io.BytesIO(entry), _VALUE), b"").decode()
    except (EOFError, ValueError) as error:
        raise FileError(f"{path}: not an ONNX model, or damaged") from error
    return None


def _protobuf_fields(stream: BinaryIO, field_number: int) -> Iterator[bytes]:
    """Content of each field with this number in a protobuf message. Raises EOFError or ValueError if it is damaged."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    while stream.tell() < size:
        number, kind = divmod(_protobuf_integer(stream), 8)
        if kind == 0:
            _protobuf_integer(stream)
            continue
        if kind not in (1, 2, 5):
            raise ValueError("unknown wire type")
        length = {1: 8, 5: 4}.get(kind) or _protobuf_integer(stream)
        if stream.tell() + length > size:
            raise EOFError
        if number == field_number:
            yield stream.read(length)
        else:
            stream.seek(length, io.SEEK_CUR)


def _protobuf_integer(stream: BinaryIO) -> int:
    """A varint: seven bits per byte, lowest first; the eighth bit is set if more follow."""
    value = 0
    for shift in range(0, 64, 7):
        byte = stream.read(1)
        if not byte:
            raise EOFError
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return value
    raise ValueError("a number longer than 64 bits")
