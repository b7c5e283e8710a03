"""How each tool is called."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent
SCRIPTS: dict[str, str] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["scripts"]
TINY = "--arch test_resnet --input-size 32 --batch 8 --device cpu"


@dataclass(frozen=True)
class Row:
    """How a tool is called rightly: words, in which {name} stands for a file of the world, {output} for its output and
    {second} for a second output beside it.

    `faces`, `models` and `sources` name those that are faces files, model files, and folders of annotated images;
    `either` those of them that may as well be a file other-kind. Those in `joined` must hold the same ids, and
    those in `points` the same number of points, as the rest. `printed` are the words with which the tool prints its
    product, a text, in place of those that name an output; None where that is not a text.
    """

    words: str
    suffix: str = ""
    faces: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    either: tuple[str, ...] = ()
    joined: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    no_torch: bool = False
    two_streams: str = ""
    printed: str | None = None


TOOLS = {
    "kd-import": Row("{folder} --size 48 -o {output}", ".h5", sources=("folder",), no_torch=True, two_streams="- -"),
    "kd-synth": Row("-n 6 --size 48 -j 1 -o {output}", ".h5", no_torch=True),
    "kd-asm": Row(
        "{faces} --shape-model {soft} -o {output}",
        ".h5",
        faces=("faces", "soft"),
        points=("soft",),
        no_torch=True,
        two_streams="- --shape-model -",
    ),
    "kd-split": Row("{faces} --share 0.5 -o {output} --rest {second}", ".h5", faces=("faces",), no_torch=True),
    "kd-teacher": Row(
        "{faces} --landmarks {soft} --val {test} --init {tough_model} --epochs 1 -o {output} " + TINY,
        ".safetensors",
        faces=("faces", "soft", "test"),
        models=("tough_model",),
        joined=("soft",),
        points=("soft", "test"),
        two_streams="- --landmarks -",
    ),
    "kd-student": Row(
        "{faces} --tough {tough} --tolerant {tolerant_model} --val {test} --epochs 1 -o {output} " + TINY,
        ".safetensors",
        faces=("faces", "tough", "test"),
        models=("tolerant_model",),
        either=("tough", "tolerant_model"),
        joined=("tough",),
        points=("tough", "tolerant_model", "test"),
        two_streams="- --tough - --tolerant -",
    ),
    "kd-export": Row("{student} --verify {faces} -o {output}", ".onnx", faces=("faces",), models=("student",)),
    "kd-predict": Row(
        "{student} {test} --device cpu -o {output}",
        ".h5",
        faces=("test",),
        models=("student",),
        points=("student",),
        two_streams="- -",
    ),
    "kd-info": Row(
        "{faces} --json --no-inputs", faces=("faces",), either=("faces",), no_torch=True, two_streams="- -", printed=""
    ),
    "kd-merge": Row(
        "{faces} {other} -o {output}",
        ".h5",
        faces=("faces", "other"),
        points=("other",),
        no_torch=True,
        two_streams="- -",
    ),
    "kd-origin": Row(
        "{faces} {flipped} --convention drawn -o {output}",
        ".h5",
        faces=("faces", "flipped"),
        joined=("flipped",),
        points=("flipped",),
        no_torch=True,
        two_streams="- -",
    ),
    "kd-dump": Row("{faces} -o {output}", ".csv", faces=("faces",), no_torch=True, printed=""),
    "kd-view": Row(
        "{test} {pred} --width 48 --error-bars --no-legend -o {output}",
        ".png",
        faces=("test", "pred"),
        joined=("pred",),
        points=("pred",),
        no_torch=True,
        two_streams="- -",
    ),
    "kd-eval": Row(
        "{pred} --truth {test} --mean-shape {faces} -o {output}",
        ".tsv",
        faces=("pred", "test", "faces"),
        joined=("pred",),
        points=("pred", "faces"),
        no_torch=True,
        two_streams="- --truth -",
        printed="--tsv",
    ),
    "kdtools": Row("", no_torch=True, printed=""),
}
WRITERS = sorted(name for name, row in TOOLS.items() if row.suffix)
BINARY_WRITERS = [name for name in WRITERS if TOOLS[name].printed is None]
TRAINERS = sorted(name for name, row in TOOLS.items() if row.suffix == ".safetensors")
LIGHT = sorted(name for name, row in TOOLS.items() if row.no_torch)
every_tool: Callable[..., Any] = pytest.mark.parametrize("tool", sorted(SCRIPTS))
every_writer: Callable[..., Any] = pytest.mark.parametrize("tool", WRITERS)
