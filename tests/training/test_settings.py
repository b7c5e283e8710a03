"""The settings table: presets, overrides, and what it refuses."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from kdtools.errors import UsageError
from kdtools.training.augmentation import AUGMENTATIONS
from kdtools.training.losses import KD_VARIANTS, PLAIN_LOSSES
from kdtools.training.settings import (
    AUGMENTATION_NAMES,
    MAIN_LOSSES,
    PRESETS,
    choices,
    resolve_settings,
    settings_table,
)


def test_names_are_those_of_what_they_stand_for() -> None:
    """The command line knows the names before torch is loaded."""
    assert set(AUGMENTATION_NAMES) == set(AUGMENTATIONS)
    assert set(MAIN_LOSSES) == set(PLAIN_LOSSES)
    assert set(choices()["variant"]) == set(KD_VARIANTS)


@pytest.mark.parametrize(("tool", "preset"), [(tool, preset) for tool in PRESETS for preset in PRESETS[tool]])
def test_every_preset_is_complete_and_sound(tool: str, preset: str) -> None:
    settings = resolve_settings(tool, preset, {})
    lines = settings_table(settings).splitlines()
    assert [line.split("\t")[0] for line in lines] == list(asdict(settings))
    base = preset if settings.loss in MAIN_LOSSES else "default"  # the weights of other losses' terms are not to be set
    again = resolve_settings(tool, base, {}, [line.replace("\t", "=") for line in lines])
    assert again == settings


def test_the_paper_is_as_published() -> None:
    """arXiv 2111.07047, section 4, as docs/design.md tells it."""
    teacher, student = (resolve_settings(tool, "paper", {}) for tool in ("kd-teacher", "kd-student"))
    assert (teacher.arch, teacher.loss, student.arch, student.loss) == (
        "efficientnet_b3",
        "l2",
        "mobilenetv2_100",
        "kd",
    )
    for settings in (teacher, student):
        assert (settings.epochs, settings.batch, settings.lr, settings.schedule) == (150, 70, 1e-3, "time")
        assert (settings.optimiser, settings.weight_decay, settings.init, settings.ema) == ("adam", 0, "none", 0)
        assert (settings.input_size, settings.head, settings.variant) == (224, "linear", "reference")
        change = AUGMENTATIONS[settings.augmentation]
        assert (change.rotation, change.scale, change.flip) == (31.5, (0.7, 1.3), False)


def test_options_and_assignments_change_a_preset() -> None:
    settings = resolve_settings("kd-student", "paper", {"lr": 0.5, "epochs": None}, ["ema=0.9", "batch=8", "arch=x=y"])
    assert (settings.lr, settings.epochs, settings.ema, settings.batch, settings.arch) == (0.5, 150, 0.9, 8, "x=y")
    assert (
        resolve_settings("kd-student", "paper", {"batch": 16}, ["batch=8", "batch=4"]).batch == 4
    )  # --set is the last word


@pytest.mark.parametrize(
    ("options", "assignments", "message"),
    [
        ({}, ["ema"], "has no value"),
        ({}, ["emma=1"], "no setting 'emma'"),
        ({}, ["batch=1.5"], "not a whole number"),
        ({}, ["ema=x"], "not a number"),
        ({}, ["ema=1"], "--set ema is 1.0"),
        ({}, ["lr=nan"], "--lr is nan"),
        ({}, ["w_tough=-1"], "w_tough"),
        ({}, ["w_heat=0.1"], "linear head has no heatmaps"),
        ({"loss": "l1"}, ["w_tough=3"], "--loss l1 has one term, so --set w_tough would do nothing"),
        ({"init": ""}, [], "--init is ''"),
        ({}, ["arch="], "--arch is ''"),
        ({"lr": 0.0}, [], "--lr is 0.0"),
        ({"val_share": 1.0}, [], "--val-share is 1.0"),
        ({"loss": "l3"}, [], "--loss is 'l3'"),
        ({"augmentation": "wild"}, [], "--augment is 'wild'"),
        ({"amp": "fp8"}, [], "--amp is 'fp8'"),
    ],
)
def test_senseless_values_are_refused(options: dict[str, Any], assignments: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        resolve_settings("kd-student", "default", options, assignments)


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(UsageError, match="worst"):
        resolve_settings("kd-student", "worst", {})
