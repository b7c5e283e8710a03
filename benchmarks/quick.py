"""The small figures that docs/results.md states, each against a reference measured in the same run.

    python benchmarks/quick.py [--rounds N]

Start-up of every tool's --help against `import typer`; the shape model's work on 7,500 faces of 98 points against one
singular value decomposition of the same numbers; drawing 2,000 faces of 128 px.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import numpy as np

from kdtools.landmarks.shape_model import fit_shape_model, soften

ROOT = Path(__file__).resolve().parent.parent


def seconds(*command: str) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def measure_start_up(n_runs: int) -> None:
    """Minima of interleaved runs: what the machine can do when nothing else has its cores."""
    tools = sorted(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"])
    times: dict[str, list[float]] = {}
    for _ in range(n_runs):
        times.setdefault("typer", []).append(seconds(sys.executable, "-c", "import typer"))
        for tool in tools:
            times.setdefault(tool, []).append(seconds(str(Path(sys.executable).parent / tool), "--help"))
    base = min(times["typer"])
    print(f"import typer: {1000 * base:.0f} ms")
    for tool in tools:
        print(f"{tool} --help: {min(times[tool]) / base:.2f} of it")


def measure_shape_model() -> None:
    rng = np.random.default_rng(0)
    shapes = rng.normal(size=(98, 2)) * 50 + rng.normal(size=(7500, 1, 1)) * rng.normal(size=(98, 2)) * 5
    shapes += rng.normal(size=(7500, 98, 2))
    began = time.perf_counter()
    model = fit_shape_model(shapes)
    soften(model, shapes)
    ours = time.perf_counter() - began
    began = time.perf_counter()
    np.linalg.svd((shapes - shapes.mean(axis=0)).reshape(7500, -1), full_matrices=False)
    svd = time.perf_counter() - began
    print(f"shape model of 7,500 faces x 98 points: {ours:.2f} s, {ours / svd:.2f} of one SVD of the same numbers")


def measure_drawing() -> None:
    with tempfile.TemporaryDirectory() as folder:
        tool = str(Path(sys.executable).parent / "kd-synth")
        took = seconds(tool, "-n", "2000", "--size", "128", "-o", f"{folder}/faces.h5")
    print(f"kd-synth -n 2000 --size 128: {took:.0f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="of the starts of all tools")
    measure_start_up(parser.parse_args().rounds)
    measure_shape_model()
    measure_drawing()
