"""A report formatted for the terminal."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from kdtools.reporting import counted, printable

_STYLES = {"unchanged": "green", "changed": "red", "unreadable": "yellow", "not compared": "yellow"}
_KINDS = {
    "faces": "faces file",
    "model": "model",
    "checkpoint": "checkpoint of a training",
    "face finder": "face finder",
}
_BOXES = {"points": "the points", "given": "the given box", "detector": "the detector's box"}
_LONGEST_HISTORY = 24  # lines that fit on a screen


def print_report(report: dict[str, Any]) -> None:
    """Print one report; long values wrap."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    title = Text(printable(report["file"]), "bold")
    title.append(f"   {_KINDS[report['kind']]}, {_bytes(report['bytes'])}", "not bold")
    console.print(title, overflow="fold")
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="cyan", no_wrap=True)
    grid.add_column(overflow="fold")
    rows = {"faces": _faces_rows, "face finder": _finder_rows}.get(report["kind"], _model_rows)
    for label, text in rows(report):
        grid.add_row(label, Text(printable(text)))
    for label, text in _lineage_rows(report):
        grid.add_row(label, Text(printable(text)))
    for label, line, state in _history_rows(report["provenance"]) if "provenance" in report else ():
        grid.add_row(label, Text.assemble(printable(line), ("  " + state if state else "", _STYLES.get(state, "dim"))))
    console.print(grid)


def _faces_rows(report: dict[str, Any]) -> Iterator[tuple[str, str]]:
    groups, n_faces = report["groups"], report["faces"]
    most = f"most ({groups['largest']}) of {groups['largest_name']!r}"
    each = "each by itself" if groups["count"] == n_faces else most
    yield "faces", f"{n_faces}, of {counted(groups['count'], 'person or photograph', 'people or photographs')}, {each}"
    if groups["numbered"]:
        yield "", f"names like {groups['numbered'][0]!r} are taken for numbered files, not for people"
    yield "ids", ", ".join(report["ids"]) + (", ..." if n_faces > len(report["ids"]) else "")
    if "image" in report:
        image = report["image"]
        yield "images", f"{image['width']} x {image['height']} px, {image['stored']}"
    if "landmarks" in report:
        points = report["landmarks"]
        frame = "/image" if points["frame"] == "image" else "the source images"
        yield "landmarks", f"{counted(points['points'], 'point')}, {points['role']}, in pixels of {frame}"
        if points["missing_share"]:
            without = counted(points["faces_without"], "face", "faces")
            yield "", f"{_percent(points['missing_share'])} of them not annotated, {without} without any"
        yield from _scheme_rows(points)
    if "visible" in report:
        yield "visible", f"{_percent(report['visible']['occluded_share'])} of the points occluded"
    if "conventions" in report:
        shown = [(f"{about['faces']} of {_convention(name, about)}") for name, about in report["conventions"].items()]
        yield "conventions", ", ".join(shown)
    if report["subsets"]:
        yield "subsets", ", ".join(f"{name} {count}" for name, count in report["subsets"].items())
    yield from _crop_rows(report)
    if "box" in report and report["box"]["left"] is not None:
        box = {key: f"{value:.6g}" for key, value in report["box"].items() if key != "origin"}
        least, greatest = box["smallest_side"], box["largest_side"]
        sides = f"side {least} px" if least == greatest else f"sides {least} to {greatest} px"
        origin = report["box"]["origin"] or "unknown origin"
        yield "boxes", f"{origin}, {sides}, x {box['left']} to {box['right']}, y {box['top']} to {box['bottom']}"
    if "detector" in report:
        yield "detector", _detector(report["detector"])
    for name in ("score", "confidence"):
        if name in report and report[name]["min"] is not None:
            yield name, f"{report[name]['min']:g} to {report[name]['max']:g}"
    if "shape_model" in report:
        yield (
            "shape model",
            f"{counted(report['shape_model']['modes'], 'mode')}, aligned by {report['shape_model']['align']}",
        )
    yield "arrays", ", ".join(name for name in report["arrays"] if not name.startswith("subset/"))


def _finder_rows(report: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "edition", report["edition"].removeprefix("edition ")
    yield "detector", f"{_detector(report['detector'])}; --detector finder of kd-predict and kd-import"


def _detector(record: dict[str, Any]) -> str:
    parts = [str(record.get("name", "not named"))]
    if "file" in record:
        parts.append(record["file"])
    if "min_score" in record:
        parts.append(f"scores from {record['min_score']:g} on")
    if "search_size" in record:
        parts.append(f"searched at up to {record['search_size']} px")
    if "sha256" in record:
        parts.append(f"SHA-256 {record['sha256'][:12]}...")
    return ", ".join(parts)


def _model_rows(report: dict[str, Any]) -> Iterator[tuple[str, str]]:
    network = f"{report['arch']}, {report['head']} head, {report['parameters'] / 1e6:.2f} M parameters"
    yield "network", f"{network}, {report['form']}"
    mean, std = (", ".join(f"{value:g}" for value in report[key]) for key in ("mean", "std"))
    yield "input", f"{report['input_size']} x {report['input_size']} px RGB, mean {mean}, std {std}"
    yield "landmarks", f"{counted(report['landmarks']['points'], 'point')}"
    yield from _scheme_rows(report["landmarks"])
    yield from _crop_rows(report)
    if "conventions" in report:
        yield "conventions", ", ".join(_convention(name, about) for name, about in report["conventions"].items())
        yield "", f"answers by {report['convention']} unless --convention asks for another"
    yield "settings", ", ".join(f"{key} {value}" for key, value in report["settings"].items() if key not in report)
    if "training" in report:
        training = report["training"]
        text = f"{counted(training['epochs_done'], 'epoch', 'epochs')} done"
        if training.get("best_nme_percent") is not None:
            text += f", validation NME {training['nme_percent']} %, at best {training['best_nme_percent']} %"
            text += f" ({training['normaliser']})"
        yield "training", text


def _convention(name: str, about: dict[str, Any]) -> str:
    x, y = about.get("origin", (0.0, 0.0))
    return f"{name} (origin {x:g}, {y:g} px)" if "origin" in about else f"{name} (origin not known)"


def _scheme_rows(points: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "scheme", f"{points['scheme']}, {'mirror known' if points['mirror'] else 'no mirror map'}"
    yield "", f"normalisers: {', '.join(points['normalisers'])}"


def _crop_rows(report: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "crop" in report:
        crop = report["crop"]
        yield "crop", f"square around {_BOXES.get(crop['box'], crop['box'])}, margin {crop['margin']:g}"


def _lineage_rows(report: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for key in ("data_sets", "trained_on", "start_weights", "teachers"):
        if key in report:
            yield key.replace("_", " "), ", ".join(report[key])
    for number, (name, text) in enumerate(report.get("terms", {}).items()):
        yield "" if number else "terms", f"{name}: {text}"


def _history_rows(provenance: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(label, line, state of an input): how the file was made, then its inputs, each below the file made from it."""
    yield "made", _made(provenance), ""
    rows = list(_input_rows(provenance, 0, set()))
    for number, (line, state) in enumerate(rows[:_LONGEST_HISTORY]):
        yield "" if number else "from", line, state
    if len(rows) > _LONGEST_HISTORY:
        yield "", "and more, see --json", ""


def _input_rows(provenance: dict[str, Any], depth: int, done: set[str]) -> Iterator[tuple[str, str]]:
    """(line, state); the history of a file that occurs twice is shown once."""
    indent = "  " * depth
    for source in provenance["inputs"]:
        yield f"{indent}{source['name']}", source.get("state", "")
        if "provenance" in source and source["sha256"] not in done:
            done.add(source["sha256"])
            yield f"{indent}  by {_made(source['provenance'])}", ""
            yield from _input_rows(source["provenance"], depth + 1, done)


def _made(provenance: dict[str, Any]) -> str:
    if not provenance["tool"]:
        return "by an unnamed program"
    line = shlex.join([provenance["tool"], *provenance["argv"]])
    return f"{line}  ({provenance['version']}, {provenance['created']})"


def _percent(share: float) -> str:
    return f"{share:.1%}".replace("%", " %")


def _bytes(number: int) -> str:
    for unit in ("bytes", "KB", "MB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000  # type: ignore[assignment]
    return f"{number:.3g} GB"
