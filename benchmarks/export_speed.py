"""Faces per second of what kd-export writes, float16 and int8 against float32, in turns in one process.

    python benchmarks/export_speed.py [--arch NAME] [--input-size PX] [--threads N] [--turns N] [MODEL]

Without MODEL the network is untrained, which costs the same. Each turn runs every export once at batch 1 and once at
the engines' batch, through the engine (uint8 crops in, points out); figures are medians of the turns, and the ratio is
the median of each turn's ratio to float32. Ends with status 1 where int8 is less than 1.3 times as fast as float32:
then the processor has no instructions for 8 bits (AVX-512 VNNI, AVX-VNNI, or ARM's dot product), or much of the
network is made of layers that stay in float.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from kdtools.export import FLOAT32, INT8, PRECISIONS
from kdtools.export.graph import export_onnx
from kdtools.landmarks import IBUG68
from kdtools.landmarks.crop_rule import CropRule
from kdtools.model.card import ModelCard, read_card
from kdtools.model.file import load_model, save_model
from kdtools.model.network import LandmarkNet
from kdtools.parallel import workers
from kdtools.prediction.engines.onnx import OnnxEngine
from kdtools.storage.provenance import Provenance
from kdtools.synth import draw_faces

LEAST_INT8 = 1.3
N_DRAWN = 16


def time_engine(engine: OnnxEngine, crops: np.ndarray) -> float:
    """Faces per second of one call."""
    began = time.perf_counter()
    engine.predict(crops)
    return len(crops) / (time.perf_counter() - began)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--arch", default="mobilenetv2_100")
    parser.add_argument("--input-size", type=int, default=224)
    parser.add_argument("--threads", type=int, default=workers(0))
    parser.add_argument("--turns", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = Path(options.model or Path(folder) / "model.safetensors")
        if options.model is None:
            card = ModelCard(options.arch, options.input_size, IBUG68, CropRule(), (0.5,) * 3, (0.25,) * 3)
            save_model(model, LandmarkNet(card), Provenance("benchmark"))
        network = load_model(model, torch.device("cpu"))
        size = network.card.input_size
        crops = np.stack([image for image, _, _ in draw_faces(N_DRAWN, size, seed=0)])
        calibration = np.ascontiguousarray(crops.transpose(0, 3, 1, 2), np.float32) / 255
        engines = {}
        for precision in PRECISIONS:
            path = Path(folder) / f"{precision}.onnx"
            export_onnx(network, path, read_card(model)[1], precision, calibration)
            engines[precision] = OnnxEngine(path, options.threads)
            print(f"{precision}: {path.stat().st_size / 1e6:.2f} MB")
        ratio = 0.0
        for batch in (1, engines[FLOAT32].batch):
            speeds: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
            for turn in range(options.turns + 1):
                for precision, engine in engines.items():
                    speed = time_engine(engine, crops[:batch])
                    if turn:  # the first one warms up
                        speeds[precision].append(speed)
            for precision, some in speeds.items():
                ratio = statistics.median(a / b for a, b in zip(some, speeds[FLOAT32], strict=True))
                print(
                    f"batch {batch}, {options.threads} threads, {precision}: "
                    f"{statistics.median(some):.1f} faces/s, {ratio:.2f} of float32"
                )
    assert PRECISIONS[-1] == INT8  # so the last ratio is that of int8 in batches
    return int(ratio < LEAST_INT8)


if __name__ == "__main__":
    sys.exit(main())
