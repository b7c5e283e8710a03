"""The mean of the weights of networks that were trained from the same start, as one network of the same speed.

    python benchmarks/mean_weights.py A.safetensors B.safetensors -o MEAN.safetensors

All have the same form and origins. The description is A's; the mean is made from all that they are made from. A
network with fewer last layers answers for A's others as --init has it: a set by the layer of its rule. The mean is good
only if the networks have not moved far apart (Wortsman et al., "Model soups", ICML 2022), so measure it. Their
statistics of batch norm are averaged too.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from kdtools.model.card import lineage_of_model, read_card
from kdtools.model.file import create_network, load_all_layers, save_model
from kdtools.storage.provenance import Provenance


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("-o", "--output", required=True)
    given = parser.parse_args()
    if Path(given.output).exists():
        parser.error(f"{given.output} exists; delete it, or give another name")
    first = load_all_layers(given.models[0], torch.device("cpu"))
    states = [first.state_dict()]
    for path in given.models[1:]:
        card = read_card(path)[0]
        of_form = [(one.arch, one.head, one.input_size, one.scheme, one.crop) for one in (card, first.card)]
        if of_form[0] != of_form[1]:
            parser.error(f"{path} is a network of another form than {given.models[0]}")
        origins = {one.name: one.offset for one in first.card.conventions}
        for one in card.conventions:
            if one.offset != origins.get(one.name, one.offset):
                parser.error(f"{path} has learnt another origin of {one.name} than {given.models[0]}")
        network, start = create_network(first.card, path, torch.zeros(card.scheme.n_points, 2))
        print(start)
        states.append(network.state_dict())
    with torch.no_grad():
        for name, tensor in states[0].items():
            if tensor.is_floating_point():
                tensor.copy_(torch.stack([state[name] for state in states]).double().mean(dim=0))
    provenance = Provenance("mean_weights", given.models).with_inputs(given.models)
    save_model(Path(given.output), first, provenance.with_lineage(*map(lineage_of_model, given.models)))


if __name__ == "__main__":
    main()
