"""Error of the head's yaw, pitch and roll: on made views, on drawn heads, and on AFLW2000's angles.

    python benchmarks/head_pose.py AFLW2000 --points pred.h5

AFLW2000 is a folder of the data set's .mat files, whose points are the first test; `--points` are predictions for its
pictures, such as `kd-predict face68 AFLW2000 -o pred.h5`. Prints a Markdown table of mean absolute errors in degrees.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from kdtools.datasets.formats.shared.matlab import read_mat
from kdtools.faces.file import open_faces
from kdtools.images.head_pose import POSE, angles_of, head_poses, rotation_of
from kdtools.landmarks import IBUG68
from kdtools.landmarks.head_shape import mean_head
from kdtools.synth.head import make_view, place

N_VIEWS = 2000
ANGLES = (60, 30, 30)  # largest yaw, pitch, roll of made views


def made_views(rng: np.random.Generator, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, 68, 2) and angles (N, 3) of the mean head, from 3 to 20 face widths away; `noise` in face widths."""
    angles = rng.uniform(-1, 1, (N_VIEWS, 3)) * ANGLES
    points = []
    for one in angles:
        turned = mean_head() @ rotation_of(one).T
        distance = 2 * rng.uniform(3, 20)
        plane = turned[:, :2] * (distance / (distance - turned[:, 2:]))
        points.append((plane + rng.normal(0, 2 * noise, plane.shape)) * (100, -100) + 300)
    return np.array(points), angles


def drawn_heads(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The same of heads of many shapes and expressions, as kd-synth draws them."""
    points, angles = [], []
    to_ours = np.diag([1.0, -1.0, 1.0])  # y up
    for _ in range(N_VIEWS):
        view, xyz, _ = make_view(rng, 0.25, 256)
        points.append(place(view, xyz)[0])
        angles.append(angles_of(to_ours @ view.turn @ to_ours))
    return np.array(points), np.array(angles)


def aflw2000(folder: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names, points (N, 68, 2) and angles (N, 3) of the data set."""
    paths = sorted(folder.glob("*.mat"))
    found = [read_mat(path, ["pt3d_68", "Pose_Para"]) for path in paths]
    points = np.stack([np.asarray(one["pt3d_68"])[:2].T for one in found])
    return (
        [path.stem for path in paths],
        points,
        np.degrees([np.asarray(one["Pose_Para"])[0, [1, 0, 2]] for one in found]),
    )


def row(name: str, points: np.ndarray, angles: np.ndarray) -> str:
    error = np.abs((head_poses(points, IBUG68) - angles + 180) % 360 - 180)
    cells = [f"{value:.1f}" for value in (*np.nanmean(error, axis=0), np.nanmean(error))]
    return f"| {name} | {len(points)} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("aflw2000", type=Path, nargs="?")
    parser.add_argument("--points", help="faces file of points predicted for its pictures")
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    print(f"| faces | number | {' | '.join(POSE)} | mean |\n|---|---|---|---|---|---|")
    print(row("the mean head, exact points", *made_views(rng, 0)))
    print(row("the mean head, points 1 % of the face's width off", *made_views(rng, 0.01)))
    print(row("drawn heads of other shapes", *drawn_heads(rng)))
    if given.aflw2000 is None:
        return
    names, points, angles = aflw2000(given.aflw2000)
    print(row("AFLW2000, its own points", points, angles))
    near = np.abs(angles[:, 0]) <= 30
    print(row("of these, yaw up to 30 degrees", points[near], angles[near]))
    if given.points is None:
        return
    with open_faces(given.points) as faces:
        rows = {Path(id).stem: k for k, id in enumerate(faces.ids) if "#" not in id}
        common = [k for k, name in enumerate(names) if name in rows]
        found = np.asarray(faces.true_points("source"))[[rows[names[k]] for k in common]]
    print(row("AFLW2000, predicted points", found, angles[common]))
    near = np.abs(angles[common, 0]) <= 30
    print(row("of these, yaw up to 30 degrees", found[near], angles[common][near]))


if __name__ == "__main__":
    main()
