"""kd-synth: draw annotated faces, for trials and tests."""

from __future__ import annotations

from kdtools.cli._app import run, session
from kdtools.cli._options import FacesOutput, Force, Jobs, Margin, NFaces, Quiet, Seed, Size, Verbose, Version
from kdtools.reporting import counted


def kd_synth(
    output: FacesOutput,
    n_faces: NFaces = 1000,
    size: Size = 128,
    margin: Margin = 0.2,
    seed: Seed = 0,
    jobs: Jobs = 0,
    force: Force = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    version: Version = False,
) -> None:
    """Draw faces with exact landmarks (68 points, the iBUG scheme) and mark hidden points.

    A face depends only on the seed and its number, so a shorter file holds the first faces of a longer one.
    """
    import numpy as np

    from kdtools.faces.writer import create_faces
    from kdtools.landmarks import IBUG68
    from kdtools.landmarks.crop_rule import CropRule
    from kdtools.parallel import workers
    from kdtools.storage.lineage import Lineage
    from kdtools.storage.outputs import check_output
    from kdtools.synth import draw_faces

    check_output(output, force)
    provenance = session.provenance().with_lineage(Lineage.of_data(["faces of kd-synth"], "none, they are drawn"))
    points = np.empty((n_faces, 68, 2), np.float32)
    visible = np.empty((n_faces, 68), np.uint8)
    with (
        create_faces(output, force, provenance) as writer,
        session.progress("drawing", n_faces) as progress,
    ):
        images = writer.create_images(n_faces, size, size)
        faces = draw_faces(n_faces, size, seed, margin=margin, jobs=workers(jobs))
        for k, (image, points[k], visible[k]) in enumerate(faces):
            images[k] = image
            progress(k + 1)
        writer.put_ids([f"synth/{seed}/{k:06d}" for k in range(n_faces)])
        writer.put_landmarks(points, IBUG68, "hard")
        writer.put("visible", visible)
        writer.put("box", np.broadcast_to([0, 0, size, size], (n_faces, 4)), origin="crop")
        writer.put_crop(CropRule(margin))
    session.say(f"{counted(n_faces, 'face')} of {size} x {size} px")


def main() -> None:
    run("kd-synth", kd_synth)
