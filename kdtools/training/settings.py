"""Settings of a training run, presets of them, and how command-line options change them."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Mapping, Sequence
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
Trust = Literal["none", "confidence", "agreement", "views"]
TeacherPresetName = Literal["default", "paper", "best"]
PresetName = Literal[TeacherPresetName, "best+mimic"]

MAIN_LOSSES: tuple[str, ...] = get_args(MainLoss)
TEACHER_PRESETS: tuple[str, ...] = get_args(TeacherPresetName)
DEFAULT_UNLABELLED_SHARE = 0.5  # if there are unlabelled faces
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
    "trust": get_args(Trust),
}
EXECUTION_SETTINGS = ("amp", "compile")  # may change on resume
# Settings that files leave out where they have their default values, as all files do that were written before there
# were such settings.
_UNLABELLED = ("unlabelled_share", "w_unlabelled", "trust", "trust_scale")
_ADDED = ("convention", *_UNLABELLED)
_LARGEST_MIXED_SHARE = 0.9  # of unlabelled faces beside labelled ones: nine to one


@dataclass(frozen=True)
class Settings:
    """All settings of a training run; stored in the model file.

    `w_main`, `w_tough` and `w_tolerant` are the weights of the terms of losses with teachers, `w_heat` that of the
    heatmap term. `ema` is the decay of the moving average of the weights (0: no average). Layers whose feature maps
    have a stride of at most `freeze` keep their initial weights (0: none). `unlabelled_share` is the share of the faces
    of a step that have no labels, `w_unlabelled` the weight of their term; `trust` and `trust_scale` say how much each
    of their points counts (training/trust.py). `convention` is the annotation convention that the network answers by
    unless another one is asked for (auto: that of most faces).
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
    unlabelled_share: float = 0.0
    w_unlabelled: float = 1.0
    trust: str = "none"
    trust_scale: float = 0.02
    convention: str = "auto"
    amp: str = "auto"
    compile: str = "off"

    def check(self) -> None:
        """Raises UsageError for a setting out of range."""
        for name, known in _CHOICES.items():
            value = getattr(self, name)
            if value not in known:
                raise UsageError(f"{_option(name)} is {value!r}", f"give one of {', '.join(known)}")
        for name in ("arch", "init", "convention"):
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
            "w_unlabelled": (0.0, math.inf),
            "trust_scale": (0.0, math.inf),
            "epochs": (1, math.inf),
            "batch": (2, math.inf),
            "input_size": (16, 1025),
            "seed": (0, math.inf),
        }
        for name, (least, below) in limits.items():
            value, is_open = getattr(self, name), name in ("lr", "val_share", "trust_scale")
            if not (math.isfinite(value) and least <= value < below) or (is_open and value == least):
                bound = f"{'above' if is_open else 'from'} {least:g}"
                bound += "" if below == math.inf else f", below {below:g}"
                raise UsageError(f"{_option(name)} is {value}", f"give a number {bound}")
        if self.w_heat and self.head != "heatmap":
            raise UsageError(f"a {self.head} head has no heatmaps to train", "give --set w_heat=0 with it")
        self._check_unlabelled()

    def _check_unlabelled(self) -> None:
        share = self.unlabelled_share
        if not (0 <= share <= _LARGEST_MIXED_SHARE or share == 1):
            hint = f"give 0 to {_LARGEST_MIXED_SHARE}, or 1 to train on unlabelled faces alone"
            raise UsageError(f"{_option('unlabelled_share')} is {share}", hint)
        unused = _UNLABELLED if not share else () if self.trust in ("agreement", "views") else ("trust_scale",)
        for name in unused:
            if getattr(self, name) != getattr(Settings, name):
                reason = f"with trust={self.trust}" if share else "without --unlabelled"
                raise UsageError(f"{reason}, {_option(name)} would do nothing", "leave it out")

    @property
    def teaches_labelled(self) -> bool:
        """Whether the loss uses teachers on faces that have labels."""
        return self.loss not in MAIN_LOSSES and self.unlabelled_share < 1

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
_BEST_STUDENT = {**_BEST, **_STUDENT, "w_main": 1.0, "w_tough": 3.0}

PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "kd-teacher": {
        "default": {**_DEFAULT, **_TEACHER},
        "paper": {**_PAPER, **_TEACHER},
        "best": {**_BEST, **_TEACHER, "loss": "l1"},
    },
    "kd-student": {
        "default": {**_DEFAULT, **_STUDENT},
        "paper": {**_PAPER, **_STUDENT},
        "best": {**_BEST_STUDENT, "loss": "l1"},
        "best+mimic": {**_BEST_STUDENT, "loss": "l1+mimic"},  # the best loss with teachers that are given as models
    },
}


def resolve_settings(tool: str, preset: str, options: Mapping[str, Any], assignments: Sequence[str] = ()) -> Settings:
    """Settings of a preset, changed by `options` that are not None and then by `NAME=VALUE` assignments.

    Raises UsageError for an unknown preset or name, or a value that is not allowed.

    >>> resolve_settings("kd-student", "paper", {"lr": None}, ["batch=8"]).batch
    8
    """
    if preset not in PRESETS[tool]:
        raise UsageError(f"--preset is {preset!r}", f"give one of {', '.join(PRESETS[tool])}")
    defaults = Settings(**PRESETS[tool][preset])
    chosen = {name: value for name, value in options.items() if value is not None}
    settings = replace(defaults, **{**chosen, **_parse_assignments(assignments)})
    settings.check()
    for name in ("w_main", "w_tough", "w_tolerant"):
        if settings.loss in MAIN_LOSSES and getattr(settings, name) != getattr(defaults, name):
            message = f"--loss {settings.loss} has one term, so --set {name} would do nothing"
            raise UsageError(message, "leave it out, or give a loss with teachers")
    return settings


def resolve_student_settings(
    preset: str,
    options: Mapping[str, Any],
    assignments: Sequence[str] = (),
    *,
    teachers: Collection[str] = (),
    unlabelled: bool = False,
) -> Settings:
    """`resolve_settings` of kd-student, by what there is to learn from.

    `best` with a teacher is `best+mimic`. With unlabelled faces it is not, nor with a loss without teachers: there the
    teacher's place is where there are no labels, and of those half a step is made unless `options` say otherwise.
    """
    if unlabelled:
        options = {"unlabelled_share": DEFAULT_UNLABELLED_SHARE, **options}
    elif preset == "best" and teachers:
        settings = resolve_settings("kd-student", "best+mimic", options, assignments)
        if settings.loss not in MAIN_LOSSES:
            return settings
    return resolve_settings("kd-student", preset, options, assignments)


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
            raise UsageError(f"--set {word!r}: {value!r} is not a {kind}") from error
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
