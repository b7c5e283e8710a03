"""How detectors' boxes lie to the square around the points, and what they cost in accuracy.

    python benchmarks/detectors.py SOURCE... [--images DIR] [--yunet FILE] [--model FILE]

Each SOURCE is annotated photographs that kd-import can read. For every detector: the share of the annotated faces it
finds (overlap of at least 0.25 with the square around the points), and the medians and quartiles of the relation
between the two, which are the constants in kdtools/images/detection/. With --model also the NME (inter-ocular, %) of
the faces found, from the detector's box and from the annotated points' own square, cropped again 0, 1 and 2 times
around the points found.
"""

from __future__ import annotations

import argparse
from collections import defaultdict

import numpy as np

from kdtools.datasets.annotations import Sources, read_annotations
from kdtools.errors import KdError
from kdtools.images.cropping import crop_image
from kdtools.images.detection import CascadeDetector, FaceFinder, YuNetDetector
from kdtools.images.reading import read_image
from kdtools.landmarks.boxes import overlaps
from kdtools.landmarks.crop_rule import BoxRelation, CropRule, points_square
from kdtools.landmarks.geometry import apply_affine

SAME_FACE = 0.25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--images", action="append", default=[])
    parser.add_argument("--yunet")
    parser.add_argument("--model")
    args = parser.parse_args()
    found = read_annotations(Sources(args.sources, roots=args.images))
    by_image = defaultdict(list)
    for one in found:
        if np.isfinite(one.points).all():
            by_image[one.image].append(one)
    n_faces = sum(map(len, by_image.values()))
    print(f"{n_faces} faces in {len(by_image)} images")
    detectors = [FaceFinder(), CascadeDetector(), *([YuNetDetector(args.yunet)] if args.yunet else [])]
    images = {path: read_image(path) for path in by_image} if len(by_image) <= 500 else None
    for detector in detectors:
        pairs = []  # image, detector's box, points
        for path, faces in by_image.items():
            boxes = [box for box, _ in detector.find_boxes(images[path] if images else read_image(path))]
            for one in faces:
                square = points_square(one.points)
                found = np.reshape([detector.relation.points_square(box) for box in boxes], (-1, 4))
                shares = overlaps(square[None], found)[0]
                if shares.max(initial=0.0) >= SAME_FACE:
                    pairs.append((path, boxes[int(np.argmax(shares))], one.points))
        print(f"\n{detector.name}: {len(pairs)} found, {100 * len(pairs) / n_faces:.1f} %")
        print_relation(pairs)
        if args.model and pairs:
            print_errors(args.model, detector.relation, pairs, images)


def print_relation(pairs: list) -> None:
    rows = []
    for _, box, points in pairs:
        square, longer = points_square(points), (box[2:] - box[:2]).max()
        rows.append([*((square[:2] + square[2:] - box[:2] - box[2:]) / 2 / longer), (square[2] - square[0]) / longer])
    for name, values in zip(("shift x", "shift y", "side"), np.transpose(rows), strict=True):
        print(f"  {name}: median {np.median(values):.3f}, quartiles {np.percentile(values, [25, 75]).round(3)}")


def print_errors(model: str, relation: BoxRelation, pairs: list, images: dict | None) -> None:
    import torch

    from kdtools.model.file import load_model
    from kdtools.model.inference import predict_crops

    network = load_model(model, torch.device("cpu"))
    size, rule, scheme = network.card.input_size, network.card.crop, network.card.scheme
    truth = np.stack([points for *_, points in pairs])
    ocular = np.linalg.norm(truth[:, scheme.outer_corners[0]] - truth[:, scheme.outer_corners[1]], axis=1)

    def predict(squares: list) -> np.ndarray:
        crops = [
            crop_image(images[path] if images else read_image(path), square, size)
            for (path, *_), square in zip(pairs, squares, strict=True)
        ]
        points = predict_crops(network, np.stack([c for c, _ in crops]), device=torch.device("cpu"), batch=64)
        return apply_affine(np.stack([m for _, m in crops]), points)

    starts = {
        "annotated": [rule.square_around_points(points) for *_, points in pairs],
        "detector": [rule.square_around_face(relation.points_square(box)) for _, box, _ in pairs],
    }
    for name, squares in starts.items():
        for refined in range(3):
            points = predict(squares)
            nme = 100 * np.linalg.norm(points - truth, axis=2).mean(axis=1) / ocular
            print(f"  NME from {name} box, refined {refined} times: mean {nme.mean():.2f}, median {np.median(nme):.2f}")
            squares = [again(rule, face, square) for face, square in zip(points, squares, strict=True)]


def again(rule: CropRule, points: np.ndarray, square: np.ndarray) -> np.ndarray:
    try:
        return rule.square_around_points(points)
    except KdError:
        return square


if __name__ == "__main__":
    main()
