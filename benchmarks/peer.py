"""NME of a landmark network of others (ONNX), to have its figure on the same faces as ours.

    kd-import FOLDER --margin 0.1 --size 112 -o faces112.h5       # a box times 1.2, as that network wants it
    python benchmarks/peer.py peer.onnx faces112.h5

The network takes RGB in [0, 1] and answers x, y of each point as shares of its input. Whether it counts from the
edge or from the centre of the first pixel is said nowhere, so both figures are printed: the lower one is fair to it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from kdtools.faces.file import open_faces
from kdtools.metrics import nme_per_face, normaliser_named
from kdtools.onnx_session import open_session


def main() -> None:
    session = open_session(Path(sys.argv[1]), threads=0)
    (name,) = (one.name for one in session.get_inputs())
    for path in sys.argv[2:]:
        with open_faces(path) as faces:
            truth, size = faces.landmarks, faces.images.shape[1]
            found = np.empty_like(truth)
            for row, image in enumerate(faces.images):
                (points,) = session.run(None, {name: image.transpose(2, 0, 1)[None].astype(np.float32) / 255})
                found[row] = points.reshape(-1, 2)[: truth.shape[1]] * size
            length = normaliser_named("inter-ocular", faces.scheme).lengths(truth)
        for first, word in ((0.0, "centre"), (0.5, "edge")):
            nme = 100 * nme_per_face(truth, found - first, length)
            figures = f"{nme.mean():.2f} %, median {np.median(nme):.2f}"
            print(f"{path}: {len(nme)} faces, from the first pixel's {word}: {figures}")


if __name__ == "__main__":
    main()
