"""Puts a trained face finder into kdtools/pretrained/, with what it was made from in its metadata.

python benchmarks/face_finder/bundle.py finder.pt --edition "edition 1 (2026-11-29)"
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from network import FinderNet, export_finder

OUTPUT = Path(__file__).resolve().parents[2] / "kdtools" / "pretrained" / "face_finder.onnx"
DESCRIPTION = {
    "trained_on": "WFLW (photographs of its training part), LFW, LFPW (300W), HELEN (300W), youtube68, drawn faces",
    "teachers": "YuNet",
    "terms": "research data: non-commercial research only",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--edition", required=True)
    options = parser.parse_args()
    network = FinderNet()
    kept = torch.load(options.checkpoint, weights_only=True)
    network.load_state_dict(kept["average"])
    export_finder(network, OUTPUT, {**DESCRIPTION, "edition": options.edition})
    n_parameters = sum(one.numel() for one in network.parameters())
    print(f"{OUTPUT.stat().st_size / 1e6:.2f} MB, {n_parameters} parameters, after step {kept['step']}")


if __name__ == "__main__":
    main()
