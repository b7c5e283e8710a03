"""The mean of several networks' predictions for the same faces, as one teacher.

    python benchmarks/mean_prediction.py A.h5 B.h5 -o MEAN.h5

All files hold the same faces in the same order. Landmarks and confidences are averaged; the rest is A's.
"""

from __future__ import annotations

import argparse
import shutil

import h5py
import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("predictions", nargs="+")
    parser.add_argument("-o", "--output", required=True)
    given = parser.parse_args()
    shutil.copyfile(given.predictions[0], given.output)
    with h5py.File(given.output, "r+") as mean:
        for name in ("landmarks", "confidence"):
            values = []
            for path in given.predictions:
                with h5py.File(path) as file:
                    if not np.array_equal(file["id"][()], mean["id"][()]):
                        parser.error(f"{path} holds other faces than {given.predictions[0]}, or in another order")
                    values.append(file[name][()])
            mean[name][...] = np.mean(values, axis=0)


if __name__ == "__main__":
    main()
