"""Converts a model to TensorFlow Lite (.tflite) and compares its points with those of the model.

    pip install litert-torch                       # beside kdtools; some fifty packages
    python examples/to_tflite.py MODEL OUTPUT.tflite

MODEL is a model file or a bundled network (face68). The input is (1, 3, S, S) float32, RGB from 0 to 1, and the outputs
are the points (1, L, 2) from -0.5 to 0.5 over the crop and, of a network with heatmaps, their confidence (1, L): as in
the ONNX that kd-export writes, for one face at a time. The file holds no description; `kd-info MODEL` prints the crop
rule and the scheme that an app needs.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from kdtools.export.check import sample_faces
from kdtools.export.graph import Answers
from kdtools.model.file import load_model

_N_FACES = 8
_MOST_PX = 0.05  # of the input, as for the float32 of kd-export


def points_of(path: Path, images: np.ndarray) -> np.ndarray:
    """Points (N, L, 2) of the converted file for images (N, 3, S, S)."""
    interpreter = importlib.import_module("ai_edge_litert.interpreter").Interpreter(str(path))
    interpreter.allocate_tensors()
    (into,) = interpreter.get_input_details()
    out = next(one for one in interpreter.get_output_details() if len(one["shape"]) == 3)
    points = []
    for image in images:
        interpreter.set_tensor(into["index"], image[None])
        interpreter.invoke()
        points.append(interpreter.get_tensor(out["index"])[0])
    return np.stack(points)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    try:
        converter = importlib.import_module("litert_torch")
    except ImportError:
        sys.exit("to_tflite: error: litert-torch is not installed\n  pip install litert-torch")
    if options.output.exists():
        sys.exit(f"to_tflite: error: {options.output}: exists already\n  remove it, or name another output")
    network = load_model(options.model, torch.device("cpu")).eval()
    images = sample_faces(None, network, _N_FACES).images
    with tempfile.TemporaryDirectory(dir=options.output.resolve().parent, prefix=".to_tflite-") as folder:
        part = Path(folder, "network.tflite")
        converter.convert(Answers(network).eval(), (torch.from_numpy(images[:1]),)).export(str(part))
        with torch.inference_mode():
            original = network(torch.from_numpy(images)).numpy()
        apart = np.linalg.norm(points_of(part, images) - original, axis=2).max() * network.card.input_size
        if not apart <= _MOST_PX:  # NaN is refused too
            sys.exit(f"to_tflite: error: a point moved by {apart:.3g} px of the input, so nothing is written")
        part.rename(options.output)
    print(f"{options.output}: {options.output.stat().st_size / 1e6:.1f} MB, {apart:.2g} px from the model at most")


if __name__ == "__main__":
    main()
