"""Accuracy and speed of two third-party 68-point networks, and speed of the bundled ones in turn with them.

    benchmarks/face68.sh figures DATA WORK      # makes WORK/lfpw68_apart and WORK/helen68_apart
    python benchmarks/peer.py DATA WORK

Every network gets the crop it was made for, cut around the annotated points. The third-party networks are PFLD (112 px)
and Peppa slim (160 px), from DATA/models. Whether they count pixels from the edge or from the centre of the first one
is not documented: both are tried, and the lower error is printed. Speed is that of ONNX Runtime alone on one thread,
one face at a time, the networks in turn; the fastest round of each counts, as other work only slows a round down.
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from kdtools.bundled import export_file
from kdtools.faces.file import open_faces
from kdtools.metrics import nme_per_face, normaliser_named
from kdtools.model.card import read_card
from kdtools.onnx_session import Session, open_session

ROUNDS, CALLS = 100, 5


@dataclass(frozen=True)
class Peer:
    """A third-party network: its input and how pixels become numbers, as its authors' code has it."""

    path: str
    margin: float
    size: int
    bgr: bool
    mean: float
    scale: float

    def input_of(self, image: np.ndarray) -> np.ndarray:
        """(1, 3, H, W) float32 of an RGB image (H, W, 3)."""
        ordered = image[..., ::-1] if self.bgr else image
        return np.ascontiguousarray(((ordered.astype(np.float32) - self.mean) / self.scale).transpose(2, 0, 1)[None])


PEERS = {
    "PFLD": Peer("peer_pfld_68_112px.onnx", 0.1, 112, False, 0, 255),
    "Peppa slim": Peer("peer_peppa_slim_68_160px.onnx", 0.2, 160, True, 127, 127),
}

BUNDLED = ("face68", "face68-tiny")


def open_peer(path: Path, copy: Path) -> Session:
    """A session whose weights are constants: an exporter that lists them as inputs keeps ONNX Runtime from folding."""
    model = onnx.load(path)
    weights = {one.name for one in model.graph.initializer}
    inputs = [one for one in model.graph.input if one.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    onnx.save(model, copy)
    return open_session(copy, threads=1)


def call(session: Session, image: np.ndarray) -> np.ndarray:
    return session.run([session.outputs[0].name], {session.inputs[0].name: image})[0]


def errors(peer: Peer, session: Session, faces_file: Path) -> np.ndarray:
    """Inter-ocular NME (N,) in %, with the convention of the first pixel that gives the lower mean."""
    with open_faces(faces_file) as faces:
        truth, size = faces.landmarks, faces.images.shape[1]
        found = np.stack([call(session, peer.input_of(image)).ravel()[:136].reshape(68, 2) for image in faces.images])
        length = normaliser_named("inter-ocular", faces.scheme).lengths(truth)
    return min((100 * nme_per_face(truth, found * size - first, length) for first in (0.0, 0.5)), key=np.mean)


def import_faces(source: Path, margin: float, size: int, output: Path) -> Path:
    if not output.exists():
        run = subprocess.run(
            ["kd-import", "-q", source, "--margin", str(margin), "--size", str(size), "-o", output], check=False
        )
        if run.returncode not in (0, 4):  # 4: some were skipped, each named
            sys.exit(run.returncode)
    return output


def main() -> None:
    data, work = Path(sys.argv[1]), Path(sys.argv[2])
    sets = {"LFPW": work / "lfpw68_apart", "HELEN": work / "helen68_apart", "youtube68/val": data / "youtube68" / "val"}
    sessions = {name: open_peer(data / "models" / peer.path, work / peer.path) for name, peer in PEERS.items()}
    for name, peer in PEERS.items():
        for part, source in sets.items():
            faces = import_faces(source, peer.margin, peer.size, work / f"{part.replace('/', '_')}.{peer.size}.h5")
            nme = errors(peer, sessions[name], faces)
            print(f"{name}, {part}: {len(nme)} faces, NME {nme.mean():.2f} %, median {np.median(nme):.2f} %")

    sizes = {name: peer.size for name, peer in PEERS.items()}
    for name in BUNDLED:
        bundled = export_file(name)
        assert bundled is not None
        sessions[name], sizes[name] = open_session(bundled, threads=1), read_card(bundled)[0].input_size
    fastest = dict.fromkeys(sessions, np.inf)
    for _ in range(ROUNDS):
        for name, session in sessions.items():
            image = np.random.default_rng(0).random((1, 3, sizes[name], sizes[name]), dtype=np.float32)
            call(session, image)
            begun = time.perf_counter()
            for _ in range(CALLS):
                call(session, image)
            fastest[name] = min(fastest[name], (time.perf_counter() - begun) / CALLS)
    for name, seconds in fastest.items():
        print(f"{name}: {1e3 * seconds:.2f} ms a face, {1 / seconds:.0f} faces/s on one thread")


if __name__ == "__main__":
    main()
