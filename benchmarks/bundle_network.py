"""Puts a trained network into kdtools/pretrained/: weights in float16, and the ONNX file exported from these.

    python benchmarks/bundle_network.py last.safetensors face68 --edition "edition 5, 2026-11-30" --part again \
        --part student --trained-on "LFPW (300W)" --terms "research data: non-commercial research only" \
        --verify lfpw_apart.h5

The ONNX file is float32 unless --precision says otherwise: a network of 8 bits is faster, but not as accurate, and who
wants one can export it. Speed and error of all precisions, on the faces of --verify, are printed for the card.

Both files carry the description of the network, with its edition, what it was trained on and on which terms. Paths of
the training's inputs are reduced to file names. The export is checked against the weights as kd-export does.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from kdtools.export import FLOAT32, PRECISIONS
from kdtools.export.check import N_CALIBRATION, N_CHECKED, compare_with_original, sample_faces
from kdtools.export.graph import export_onnx
from kdtools.export.precisions import measure_precisions, split_for_calibration
from kdtools.model.card import METADATA, read_card
from kdtools.model.file import load_all_layers, load_model
from kdtools.reporting import SILENT
from kdtools.storage.lineage import Lineage

PRETRAINED = Path(__file__).resolve().parent.parent / "kdtools" / "pretrained"


def without_folders(word: str) -> str:
    return Path(word).name if "/" in word else word


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("name")
    parser.add_argument("--edition", required=True)
    parser.add_argument("--trained-on", action="append", required=True)
    parser.add_argument("--terms", required=True)
    parser.add_argument("--verify", required=True, help="faces file with landmarks, of faces not trained on")
    parser.add_argument("--precision", choices=PRECISIONS, default=FLOAT32)
    part = "start network that an earlier part of the same recipe made from the same data; it is not listed"
    parser.add_argument("--part", action="append", default=[], metavar="NAME", help=part)
    teacher = "name of a teacher, in place of those of the files"
    parser.add_argument("--teacher", action="append", default=[], metavar="NAME", help=teacher)
    given = parser.parse_args()
    _, fields = read_card(given.model)
    fields["argv"] = json.dumps([without_folders(word) for word in json.loads(fields["argv"])])
    fields["inputs"] = json.dumps(
        {without_folders(name): digest for name, digest in json.loads(fields["inputs"]).items()}, sort_keys=True
    )
    fields["roles"] = json.dumps(
        {role: without_folders(name) for role, name in json.loads(fields.get("roles", "{}")).items()}, sort_keys=True
    )
    fields["settings"] = {
        name: without_folders(value) if isinstance(value, str) else value for name, value in fields["settings"].items()
    }
    lineage = Lineage.from_model(fields)  # data sets go by the names given here, not by those of the files
    others = {name: text for name, text in lineage.terms.items() if name not in (*lineage.data, *given.part)}
    fields.pop("start_weights", None)
    if start := [name for name in lineage.start_weights if name not in given.part]:
        fields["start_weights"] = start
    if given.teacher:
        fields["teachers"] = given.teacher
    terms = others | dict.fromkeys(given.trained_on, given.terms)
    fields |= {"edition": given.edition, "trained_on": given.trained_on, "terms": terms}
    network = load_all_layers(given.model, torch.device("cpu"))
    state = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in network.state_dict().items()
    }
    PRETRAINED.mkdir(exist_ok=True)
    weights, export = (PRETRAINED / f"{given.name}{suffix}" for suffix in (".safetensors", ".onnx"))
    save_file(state, weights, metadata={METADATA: json.dumps(fields, sort_keys=True)})
    weights.chmod(0o644)  # safetensors makes it readable by the owner only
    network = load_model(weights, torch.device("cpu"))
    fields |= network.card.convention_fields()  # of the default convention
    sample, calibration = split_for_calibration(sample_faces(given.verify, network, N_CHECKED + N_CALIBRATION))
    rows = measure_precisions(network, fields, sample, calibration, SILENT)
    for row in rows:
        speed = f"{row.times_float32:.2f} times as fast as float32"
        print(f"{row.precision}: {speed}, NME {row.nme_change_percent:+z.1f} %")
    print(f"over {len(sample.images)} {sample.name}; exported in {given.precision}")
    export_onnx(network, export, fields, given.precision, calibration)
    agreement = compare_with_original(network, export, sample, given.precision)
    print(f"{weights.stat().st_size / 1e6:.1f} MB weights, {export.stat().st_size / 1e6:.1f} MB ONNX,", end=" ")
    print(f"{agreement.largest_px:.2g} px apart at most")


if __name__ == "__main__":
    main()
