"""Points of exported networks in one runtime, against those of another: which runtimes read them, and how far apart.

    python benchmarks/runtimes.py onnxruntime faces.npy reference.npy face68.onnx face68.int8.onnx

Runs with nothing but numpy and the runtime: `onnxruntime`, `openvino`, or `cv2` (one face at a time), so that each can
have an environment of its own. faces.npy holds crops (N, S, S, 3) uint8 RGB; where reference.npy is missing it is
written, from the first network. Distances are in pixels of the crop.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

BATCH = {"onnxruntime": 16, "openvino": 16, "cv2": 1}


def runner(runtime: str, path: str) -> Callable[[np.ndarray], np.ndarray]:
    """A function from images (B, 3, S, S) float32 in [0, 1] to points (B, L, 2) in unit coordinates, on one core."""
    library = importlib.import_module(runtime)
    if runtime == "onnxruntime":
        options = library.SessionOptions()
        options.intra_op_num_threads = 1
        session = library.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return lambda images: session.run(["landmarks"], {"images": images})[0]
    if runtime == "openvino":
        compiled = library.Core().compile_model(path, "CPU", {"INFERENCE_NUM_THREADS": 1})
        return lambda images: compiled(images)["landmarks"].copy()
    network = library.dnn.readNetFromONNX(path)
    library.setNumThreads(1)

    def run(images: np.ndarray) -> np.ndarray:
        network.setInput(images)
        return network.forward("landmarks").copy()

    return run


def main() -> int:
    runtime, faces_path, reference_path, *paths = sys.argv[1:]
    crops, failed = np.load(faces_path), 0
    for path in paths:
        name = f"{runtime} {importlib.import_module(runtime).__version__}, {Path(path).name}"
        try:
            run, answers = runner(runtime, path), []
            began = time.process_time()
            for first in range(0, len(crops), BATCH[runtime]):
                some = crops[first : first + BATCH[runtime]].transpose(0, 3, 1, 2)
                answers.append(run(np.ascontiguousarray(some, np.float32) / 255))
        except Exception as error:  # each library has its own
            print(f"{name}: {' '.join(str(error).split())[:200]}")
            failed = 1
            continue
        taken, points = (time.process_time() - began) / len(crops), np.concatenate(answers)
        if not Path(reference_path).exists():
            np.save(reference_path, points)
        apart = np.linalg.norm(points - np.load(reference_path), axis=2) * crops.shape[1]
        distance = f"{apart.mean():.2g} px apart on average, {apart.max():.2g} at most"
        print(f"{name}: {distance}; {1000 * taken:.1f} ms a face")
    return failed


if __name__ == "__main__":
    sys.exit(main())
