"""Settings of a training run, presets of them, and how command-line options change them."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from kdtools.errors import UsageError
from kdtools.model import HEADS

# ---- allowed values
MainLoss = Literal["l2", "l1", "wing", "smooth"]
Loss = Literal[
    MainLoss,
    "kd",
    "l2+assist",
    "l2+mimic",
    "l1+assist",
    "l1+mimic",
    "wing+assist",
    "wing+mimic",
    "smooth+assist",
    "smooth+mimic",
]
Variant = Literal["reference", "figure"]
Schedule = Literal["cosine", "time", "constant"]
Amp = Literal["auto", "off", "bf16"]
Augmentation = Literal["none", "light", "mild", "strong", "paper"]
PresetName = Literal["default", "paper", "best"]

MAIN_LOSSES: tuple[str, ...] = get_args(MainLoss)
PRESET_NAMES: tuple[str, ...] = get_args(PresetName)
AUGMENTATION_NAMES: tuple[str, ...] = get_args(Augmentation)
_CHOICES: dict[str, tuple[str, ...]] = {
    "loss": get_args(Loss),
    "variant": get_args(Variant),
    "schedule": get_args(Schedule),
    "optimiser": ("adam", "adamw"),
    "head": HEADS,
    "amp": get_args(Amp),
    "compile": ("off", "on"),
    "augmentation": AUGMENTATION_NAMES,
}
EXECUTION_SETTINGS = ("amp", "compile")  # may change on resume
# Settings that files leave out where they have their default values, as all files do that were written before there
# were such settings.
_ADDED = ("convention",)


@dataclass(frozen=True)
class Settings:
    """All settings of a training run; stored in the model file.

    `w_main`, `w_tough` and `w_tolerant` are the weights of the terms of losses with teachers, `w_heat` that of the
    heatmap term. `ema` is the decay of the moving average of the weights (0: no average). Layers whose feature maps
    have a stride of at most `freeze` keep their initial weights (0: none). `convention` is the annotation convention
    that the network answers by unless another one is asked for ('': that of most faces).
    """

    arch: str
    input_size: int
    loss: str
    variant: str
    epochs: int
    batch: int
    lr: float
    schedule: str
    augmentation: str
    init: str
    seed: int
    val_share: float
    head: str = "linear"
    optimiser: str = "adam"
    weight_decay: float = 0.0
    ema: float = 0.0
    freeze: int = 0
    w_main: float = 2.0
    w_tough: float = 1.0
    w_tolerant: float = 1.0
    w_heat: float = 0.0
    convention: str = ""
    amp: str = "auto"
    compile: str = "off"

    def check(self) -> None:
        """Raises UsageError for a setting out of range."""
        for name, known in _CHOICES.items():
            value = getattr(self, name)
            if value not in known:
                raise UsageError(f"{_option(name)} is {value!r}", f"give one of {', '.join(known)}")
        for name in ("arch", "init"):
            if not getattr(self, name):
                raise UsageError(f"{_option(name)} is ''", "give a name")
        limits = {
            "lr": (0.0, math.inf),
            "val_share": (0.0, 1.0),
            "ema": (0.0, 1.0),
            "freeze": (0, 33),
            "weight_decay": (0.0, math.inf),
            "w_main": (0.0, math.inf),
            "w_tough": (0.0, math.inf),
            "w_tolerant": (0.0, math.inf),
            "w_heat": (0.0, math.inf),
            "epochs": (1, math.inf),
            "batch": (2, math.inf),
            "input_size": (16, 1025),
            "seed": (0, math.inf),
        }
        for name, (least, below) in limits.items():
            value, is_open = getattr(self, name), name in ("lr", "val_share")
            if not (math.isfinite(value) and least <= value < below) or (is_open and value == least):
                bound = f"{'above' if is_open else 'from'} {least:g}"
                bound += "" if below == math.inf else f", below {below:g}"
                raise UsageError(f"{_option(name)} is {value}", f"give a number {bound}")
        if self.w_heat and self.head != "heatmap":
            raise UsageError(f"a {self.head} head has no heatmaps to train", "give --set w_heat=0 with it")

    def to_store(self) -> dict[str, Any]:
        """The settings as files hold them. `with_defaults` is the way back."""
        return {
            name: value
            for name, value in asdict(self).items()
            if name not in _ADDED or value != getattr(Settings, name)
        }


def with_defaults(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a file, completed by those that it leaves out because they have their default values."""
    return {**{name: getattr(Settings, name) for name in _ADDED}, **stored}


# ---- presets
_DEFAULT = {
    "input_size": 224,
    "variant": "reference",
    "epochs": 150,
    "batch": 32,
    "lr": 1e-3,
    "schedule": "cosine",
    "augmentation": "mild",
    "init": "none",
    "seed": 0,
    "val_share": 0.1,
}
_PAPER = {**_DEFAULT, "batch": 70, "schedule": "time", "augmentation": "paper"}  # docs/design.md, section 4
# Lowest validation error at the same cost of the student: docs/results.md.
_BEST = {
    **_DEFAULT,
    "init": "imagenet",
    "head": "heatmap",
    "optimiser": "adamw",
    "weight_decay": 0.01,
    "ema": 0.998,
    "w_heat": 0.05,
}
_TEACHER = {"arch": "efficientnet_b3", "loss": "l2"}
_STUDENT = {"arch": "mobilenetv2_100", "loss": "kd"}

PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "kd-teacher": {
        "default": {**_DEFAULT, **_TEACHER},
        "paper": {**_PAPER, **_TEACHER},
        "best": {**_BEST, **_TEACHER, "loss": "l1"},
    },
    "kd-student": {
        "default": {**_DEFAULT, **_STUDENT},
        "paper": {**_PAPER, **_STUDENT},
        # The best loss with teachers that are given as models: docs/results.md.
        "best": {**_BEST, **_STUDENT, "loss": "l1+mimic", "w_main": 1.0, "w_tough": 3.0},
    },
}


def resolve_settings(tool: str, preset: str, options: Mapping[str, Any], assignments: Sequence[str] = ()) -> Settings:
    """Settings of a preset, changed by `options` that are not None and then by `NAME=VALUE` assignments.

    Raises UsageError for an unknown preset or name, or a value that is not allowed.

    >>> resolve_settings("kd-student", "paper", {"lr": None}, ["batch=8"]).batch
    8
    """
    if preset not in PRESET_NAMES:
        raise UsageError(f"--preset is {preset!r}", f"give one of {', '.join(PRESET_NAMES)}")
    defaults = Settings(**PRESETS[tool][preset])
    chosen = {name: value for name, value in options.items() if value is not None}
    settings = replace(defaults, **{**chosen, **_parse_assignments(assignments)})
    settings.check()
    for name in ("w_main", "w_tough", "w_tolerant"):
        if settings.loss in MAIN_LOSSES and getattr(settings, name) != getattr(defaults, name):
            message = f"--loss {settings.loss} has one term, so --set {name} would do nothing"
            raise UsageError(message, "leave it out, or give a loss with teachers")
    return settings


def choices() -> dict[str, tuple[str, ...]]:
    """Name of each setting -> its allowed words; none for numbers and free text."""
    return {field.name: _CHOICES.get(field.name, ()) for field in fields(Settings)}


def _parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    known = {field.name: {"str": str, "int": int, "float": float}[str(field.type)] for field in fields(Settings)}
    parsed: dict[str, Any] = {}
    for word in assignments:
        name, equals, value = word.partition("=")
        if not equals:
            raise UsageError(f"--set {word!r} has no value", "give NAME=VALUE, such as --set ema=0.999")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "--show-settings prints all names"
            raise UsageError(f"--set: there is no setting {name!r}", hint)
        try:
            parsed[name] = known[name](value)
        except ValueError as error:
            kind = "whole number" if known[name] is int else "number"
            raise UsageError(f"--set {word!r}: {value!r} is no {kind}") from error
    return parsed


def settings_table(settings: Settings) -> str:
    """The settings as `name<TAB>value` lines."""
    return "".join(f"{name}\t{value}\n" for name, value in asdict(settings).items())


def _option(name: str) -> str:
    """Command-line option of a setting."""
    renamed = {"augmentation": "--augment", "input_size": "--input-size", "val_share": "--val-share"}
    if name in ("arch", "init", "loss", "variant", "schedule", "amp", "lr", "epochs", "batch", "seed", "convention"):
        return f"--{name}"
    return renamed.get(name, f"--set {name}")
