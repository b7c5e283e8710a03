"""Milliseconds from a decoded photograph to its landmarks, warm, one photograph at a time, beside dlib's.

    pip install dlib-bin face-recognition-models 'setuptools<80'        # dlib, and its 68-point network
    python benchmarks/latency.py PHOTOGRAPH [--network face68] [--rounds N] [--threads N]

kdtools is called as in docs/programs.md: the bundled finder, then the network on the largest face, once, and once
more around its points, as kd-predict does. dlib finds faces by its HOG detector, as its examples do, in the picture
as it is (faces of 80 px and more) and doubled (40 px), and fits 68 points by its shape predictor. Calls take turns,
so that other work on the machine slows all; printed are medians and quartiles. dlib is left out where it is not
installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from kdtools.images.cropping import crop_image
from kdtools.images.detection import find_detector
from kdtools.images.reading import read_image
from kdtools.landmarks.geometry import apply_affine, unit_to_pixels
from kdtools.prediction.engines import load_engine

_WARM_UP = 3  # rounds


def calls_of_kdtools(image: np.ndarray, network: str, threads: int) -> dict[str, Callable[[], np.ndarray]]:
    engine, detector = load_engine(network, threads=threads), find_detector("finder")
    rule, size = engine.card.crop, engine.card.input_size
    found = detector.find_faces(image, "photograph")
    if not found:
        sys.exit("the finder finds no face there")

    def points_in(square: np.ndarray) -> np.ndarray:
        crop, to_source = crop_image(image, square, size)
        units, _ = engine.predict(crop[None])
        return apply_affine(to_source, unit_to_pixels(units[0], size, size))

    def refined(square: np.ndarray) -> np.ndarray:
        return points_in(rule.square_around_points(points_in(square)))

    largest = found[0].crop_square(rule)
    return {
        "finder": lambda: detector.find_faces(image, "photograph")[0].box,
        "landmarks": lambda: points_in(largest),
        "finder, landmarks, refined": lambda: refined(detector.find_faces(image, "photograph")[0].crop_square(rule)),
    }


def calls_of_dlib(image: np.ndarray) -> dict[str, Callable[[], object]]:
    if importlib.util.find_spec("dlib") is None or importlib.util.find_spec("face_recognition_models") is None:
        return {}
    import dlib
    import face_recognition_models

    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(face_recognition_models.pose_predictor_model_location())
    box = dlib.rectangle(0, 0, image.shape[1], image.shape[0])
    calls: dict[str, Callable[[], object]] = {"dlib, landmarks": lambda: predictor(image, box)}
    for doublings in (0, 1):
        if boxes := detector(image, doublings):
            name = f"dlib, HOG{' doubled' * doublings} and landmarks"
            calls[name] = lambda doublings=doublings: predictor(image, detector(image, doublings)[0])
        else:
            print(f"dlib's HOG detector, picture doubled {doublings} times: finds {len(boxes)} faces")
    return calls


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photograph", type=Path)
    parser.add_argument("--network", default="face68")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1, help="of the landmark network; the finder uses one")
    options = parser.parse_args()
    image = read_image(options.photograph)
    calls = {**calls_of_kdtools(image, options.network, options.threads), **calls_of_dlib(image)}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for turn in range(options.rounds + _WARM_UP):
        for name, call in calls.items():
            began = time.perf_counter(), time.process_time()
            call()
            if turn >= _WARM_UP:
                times[name].append((time.perf_counter() - began[0], time.process_time() - began[1]))
    print(f"{image.shape[1]} x {image.shape[0]} px, {options.rounds} rounds; ms: median (quartiles), of a processor")
    for name, taken in times.items():
        (low, elapsed, high), (_, processor, _) = (
            1000 * np.percentile(one, (25, 50, 75)) for one in zip(*taken, strict=True)
        )
        print(f"{name:34} {elapsed:7.1f} ({low:.1f} to {high:.1f}), {processor:.1f}")


if __name__ == "__main__":
    main()
