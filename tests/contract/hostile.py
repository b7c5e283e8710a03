"""The world again, with names of a stranger who wants to be obeyed: by a terminal, by rich, by a reader of its text."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
from safetensors import safe_open
from safetensors.numpy import save_file

from .world import World

# Clear screen, title, colour, link (OSC 8), the same in C1 codes, carriage return and line end, an overwritten line,
# text from right to left, isolates, a line separator, a bell, rich's markup and a letter of no width.
ESCAPES = (
    "\x1b[2J",
    "\x1b]0;owned\x07",
    "\x1b[31mred",
    "\x1b]8;;http://a.example\x1b\\link\x1b]8;;\x1b\\",
    "\x9b2J",
    "\x9d0;owned\x9c",
    "a\r\nkd-eval: fine",
    "\x08\x08\x08",
    "\u202egpj.exe",
    "\u2066x\u2069",
    "\u2028y",
    "\x07\x7f",
    "[bold red]rich[/bold red][link=file:///etc]x[/link]",
    "\u200b",
)
ALL = "".join(ESCAPES)
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def obeyed(output: bytes, allowed: str = "") -> list[str]:
    """What of a tool's output a terminal would obey, with some letters before it; line ends and tabs are allowed."""
    text = output.decode()  # invalid UTF-8 is no less a fault
    return [text[max(0, one.start() - 40) : one.end() + 20] for one in _OBEYED.finditer(text) if one[0] not in allowed]


def name_of(number: int, base: str) -> str:
    """A hostile name made of a good one; the same for the same pair, so that files still join."""
    return f"{ESCAPES[number % len(ESCAPES)]}{base}"


def make_hostile(world: World, folder: Path) -> World:
    """All files of the world with hostile ids, subsets, schemes, provenance and settings, in a hostile folder."""
    place = folder / ALL.replace("/", ":")[:100]
    place.mkdir()
    files = {}
    for name, path in world.files.items():
        copy = place / f"{name}{ALL.replace('/', ':')[:60]}{path.suffix}"
        files[name] = copy
        if path.is_dir():
            _copy_folder(path, copy)
        elif path.suffix == ".h5":
            shutil.copy(path, copy)
            _spoil_faces(copy)
        else:
            _spoil_model(path, copy)
    return World(place, files)


def _copy_folder(source: Path, folder: Path) -> None:
    folder.mkdir()
    for number, path in enumerate(sorted(source.glob("*.pts"))):
        for one in (path, path.with_suffix(".png")):
            shutil.copy(one, folder / name_of(number, one.name).replace("/", ":"))


def _provenance() -> dict[str, str]:
    return {
        "tool": f"kd-{ALL}",
        "argv": json.dumps([ALL, "$(id)", *ESCAPES]),
        "inputs": json.dumps(dict.fromkeys(ESCAPES, "0" * 64)),
        "created": ALL,
        "version": ALL,
    }


def _spoil_faces(path: Path) -> None:
    with h5py.File(path, "r+") as h5:
        ids = [name_of(int(re.sub(r"\D", "", name) or 0), name) for name in h5["id"].asstr()]
        del h5["id"]
        h5.create_dataset("id", data=np.array(ids, object), dtype=h5py.string_dtype())
        h5["id"].attrs["dims"] = ["face"]
        if "source" in h5:
            h5["source"][...] = ids
        h5.attrs.update(_provenance())
        h5.attrs["scheme"] = ALL
        if "landmarks" in h5:
            points = h5["landmarks"]
            points.attrs["names"] = json.dumps([name_of(k, str(k)) for k in range(points.shape[1])])
            points.attrs["regions"] = json.dumps([[name, [0, 1, 2]] for name in ESCAPES])
        for name in ESCAPES:
            name = name.replace("/", ":")
            h5[f"subset/{name}"] = np.arange(len(ids)) % 2 == 0


def _spoil_fields(text: str) -> str:
    fields: dict[str, Any] = json.loads(text)
    fields.update(_provenance())
    fields["scheme"]["name"] = ALL
    fields["scheme"]["regions"] = [[name, [0, 1, 2]] for name in ESCAPES]
    fields["settings"] = {**fields["settings"], "loss": ALL, ALL: ALL}
    return json.dumps(fields)


def _spoil_model(path: Path, copy: Path) -> None:
    if path.suffix == ".onnx":
        model = onnx.load(path)
        for entry in model.metadata_props:
            if entry.key == "kdtools":
                entry.value = _spoil_fields(entry.value)
        onnx.save(model, copy)
        return
    with safe_open(path, framework="np") as stored:
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        fields = _spoil_fields(stored.metadata()["kdtools"])
    save_file(tensors, copy, metadata={"kdtools": fields})
