"""Networks with a last layer for each annotation convention: stored, cut to one, and started from one another."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from kdtools.errors import FileError, UsageError
from kdtools.landmarks import IBUG68
from kdtools.landmarks.conventions import Convention
from kdtools.landmarks.crop_rule import CropRule
from kdtools.landmarks.registry import SCHEMES
from kdtools.model import HEADS
from kdtools.model.card import ModelCard, read_card
from kdtools.model.file import create_network, load_all_layers, load_model, save_model
from kdtools.model.network import LandmarkNet
from kdtools.storage.provenance import Provenance

CPU = torch.device("cpu")
HANDS = (
    Convention("300w/helen", (0.25, 0.0)),
    Convention("300w/lfpw", (0.75, 0.0)),
    Convention("cofw"),
    Convention("youtube68", (1.25, -0.5)),
)
LAYERS = ("300w", "cofw", "youtube68")
PLAIN = ModelCard("test_resnet", 32, IBUG68, CropRule(), (0.5, 0.4, 0.3), (0.2, 0.3, 0.2))


def card_of(*conventions: Convention, head: str = "linear", convention: str | None = None) -> ModelCard:
    first = conventions[0].rule if conventions else ""
    return replace(PLAIN, head=head, conventions=conventions, convention=convention or first)


def network_of(card: ModelCard, seed: int = 0) -> LandmarkNet:
    """A network with random weights, in its head too."""
    torch.manual_seed(seed)
    network = LandmarkNet(card).eval()
    for name in network.head.of_points():
        torch.nn.init.normal_(network.head.get_parameter(name), std=0.1)
    return network


@pytest.fixture
def images() -> torch.Tensor:
    images = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    return images.contiguous(memory_format=torch.channels_last)


@pytest.fixture(params=HEADS)
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"{request.param}.safetensors"
    save_model(path, network_of(card_of(*HANDS, head=request.param, convention="youtube68")), Provenance("test"))
    return path


def test_a_network_cut_to_one_convention_answers_as_the_whole_one(stored: Path, images: torch.Tensor) -> None:
    whole = load_all_layers(stored, CPU)
    assert whole.card.conventions == HANDS
    answers = []
    with torch.inference_mode():
        for number, layer in enumerate(LAYERS):
            cut = load_model(stored, CPU, layer)
            kept = HANDS[:2] if layer == "300w" else (HANDS[number + 1],)
            assert (cut.card.conventions, cut.card.convention) == (kept, layer)
            answers.append(cut(images))
            assert torch.equal(answers[-1], whole(images, torch.full((5,), number)))
        # Faces of several conventions in one batch, and the default without any.
        own = torch.tensor([2, 0, 1, 1, 0])
        assert torch.equal(whole(images, own), torch.stack([answers[c][k] for k, c in enumerate(own)]))
        assert torch.equal(whole(images), answers[2])
        assert torch.equal(load_model(stored, CPU)(images), answers[2])
        # Sets share the layer of their rule.
        assert torch.equal(load_model(stored, CPU, "300w/lfpw")(images), answers[0])
        assert torch.equal(load_model(stored, CPU, "300w/helen")(images), answers[0])
    assert (answers[0] - answers[1]).abs().min() > 1e-6  # they do differ


SETS = ("300w", "300w/lfpw", "cofw", "youtube68")  # helen has the layer of its rule


@pytest.mark.parametrize("head", HEADS)
def test_a_set_may_have_a_layer_of_its_own(head: str, images: torch.Tensor, tmp_path: Path) -> None:
    path = tmp_path / "sets.safetensors"
    save_model(path, network_of(replace(card_of(*HANDS, head=head), layers=SETS)), Provenance("test"))
    whole = load_all_layers(path, CPU)
    assert (whole.card.layers, whole.head.n_layers) == (SETS, 4)
    with torch.inference_mode():
        for name, layer, kept in (
            ("300w", 0, [HANDS[0]]),
            ("300w/helen", 0, [HANDS[0]]),
            ("300w/lfpw", 1, [HANDS[1]]),
            ("cofw", 2, [HANDS[2]]),
        ):
            cut = load_model(path, CPU, name)
            assert torch.equal(cut(images), whole(images, torch.full((5,), layer)))
            assert (cut.card.conventions, cut.card.layers) == (tuple(kept), (SETS[layer],))
            # Stored and read again, as an export is, it answers by the same convention.
            save_model(tmp_path / "cut.safetensors", cut, Provenance("test"))
            assert read_card(tmp_path / "cut.safetensors")[0].layers == (SETS[layer],)
            assert torch.equal(load_model(tmp_path / "cut.safetensors", CPU)(images), cut(images))
            assert load_model(tmp_path / "cut.safetensors", CPU, kept[0].name).card.convention == SETS[layer]
        # The rule's layer alone does not answer by the set that has its own.
        save_model(tmp_path / "cut.safetensors", load_model(path, CPU, "300w"), Provenance("test"))
        with pytest.raises(UsageError, match="has no annotation convention '300w/lfpw'"):
            load_model(tmp_path / "cut.safetensors", CPU, "300w/lfpw")


def test_a_rule_all_of_whose_sets_have_layers_is_a_convention_too(images: torch.Tensor, tmp_path: Path) -> None:
    layers = ("300w", "300w/helen", "300w/lfpw")
    save_model(tmp_path / "m.safetensors", network_of(replace(card_of(*HANDS[:2]), layers=layers)), Provenance("test"))
    cut = load_model(tmp_path / "m.safetensors", CPU)
    assert (cut.card.convention, cut.card.conventions) == ("300w", (Convention("300w"),))
    save_model(tmp_path / "cut.safetensors", cut, Provenance("test"))
    assert torch.equal(load_model(tmp_path / "cut.safetensors", CPU, "300w")(images), cut(images))


@pytest.mark.parametrize("head", HEADS)
def test_a_set_begins_as_its_rule(head: str, images: torch.Tensor, tmp_path: Path) -> None:
    path = tmp_path / "start.safetensors"
    save_model(path, network_of(card_of(*HANDS, head=head, convention="youtube68")), Provenance("test"))
    own = replace(card_of(*HANDS, head=head), layers=SETS)
    network, start = create_network(own, str(path), torch.zeros(68, 2))
    assert start.endswith(f"{path}, 300w/lfpw begins as its 300w")
    with torch.inference_mode():
        answers = [network.eval()(images, torch.full((5,), number)) for number in range(4)]
        assert torch.equal(answers[0], answers[1])
        torch.testing.assert_close(answers[1], load_model(path, CPU, "300w")(images), rtol=1e-6, atol=1e-6)
        # And back: a network of rules starts from the layers of rules.
        save_model(tmp_path / "sets.safetensors", network_of(own, seed=1), Provenance("test"))
        back, _ = create_network(card_of(*HANDS, head=head), str(tmp_path / "sets.safetensors"), torch.zeros(68, 2))
        expected = load_model(tmp_path / "sets.safetensors", CPU, "youtube68")(images)
        torch.testing.assert_close(back.eval()(images, torch.full((5,), 2)), expected, rtol=1e-6, atol=1e-6)


def test_only_the_layer_of_the_asked_convention_learns(stored: Path, images: torch.Tensor) -> None:
    whole = load_all_layers(stored, CPU)
    whole(images, torch.tensor([1, 1, 1, 1, 1])).sum().backward()
    for name in whole.head.of_points():
        gradient = whole.head.get_parameter(name).grad
        assert gradient is not None
        first, second, third = gradient.chunk(3)
        assert second.abs().max() > 0
        assert not first.any()
        assert not third.any()


def test_without_conventions_the_file_is_as_it_was(tmp_path: Path) -> None:
    save_model(tmp_path / "m.safetensors", network_of(PLAIN), Provenance("test"))
    fields = read_card(tmp_path / "m.safetensors")[1]
    assert "conventions" not in fields
    assert "convention" not in fields
    shapes = {name: tuple(one.shape) for name, one in load_file(tmp_path / "m.safetensors").items()}
    assert shapes["head.weight"][0] == 136


def test_names_that_it_does_not_have_are_refused_with_those_that_it_has(stored: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no annotation convention 'wflw'") as caught:
        load_model(stored, CPU, "wflw")
    assert caught.value.hint == "give one of 300w, 300w/helen, 300w/lfpw, cofw, youtube68"
    save_model(tmp_path / "plain.safetensors", network_of(PLAIN), Provenance("test"))
    with pytest.raises(UsageError, match="was trained without annotation conventions") as caught:
        load_model(tmp_path / "plain.safetensors", CPU, "wflw")
    assert "--convention" in caught.value.hint


@pytest.mark.parametrize(
    "fields",
    [
        {"conventions": {"a": {}, "b": {}}, "convention": "c"},
        {"conventions": {"a": {}, "b": {}}},
        {"convention": "c"},
        {"conventions": [1, 2], "convention": ""},
        {"conventions": {"a": {"origin": [1, "x"]}}, "convention": "a"},
        {"conventions": {"": {}}, "convention": ""},
        {"conventions": {str(k): {} for k in range(101)}, "convention": "0"},
        {"conventions": {"a/b": {}, "c": {}}, "convention": "c", "layers": ["a/b", "c", "d"]},
        {"conventions": {"a/b": {}, "c": {}}, "convention": "a", "layers": ["a/b", "c"]},
        {"conventions": {"a/b": {}, "c": {}}, "convention": "c", "layers": ["a/b"]},
        {"conventions": {"a": {}, "b": {}, "c": {}}, "convention": "c", "layers": ["a", "a", "b", "c"]},
        {"conventions": {"a": {}, "b": {}, "c": {}}, "convention": "c", "layers": "abc"},
        {"conventions": {}, "convention": "", "layers": ["a", "b", "c"]},
        {"conventions": {"a": {}, "b": {}, "c": {}, "d": {}}, "convention": "a"},  # more than it has layers for
    ],
)
def test_damaged_conventions_are_refused(fields: dict[str, object], stored: Path, tmp_path: Path) -> None:
    with safe_open(stored, "pt") as whole:
        description = json.loads(whole.metadata()["kdtools"])
    for name in ("conventions", "convention"):
        del description[name]
    path = tmp_path / "damaged.safetensors"
    save_file(load_file(stored), path, metadata={"kdtools": json.dumps({**description, **fields})})
    with pytest.raises(FileError, match=r"damaged\.safetensors: its (description is damaged|weights are not)"):
        load_model(path, CPU)
    with pytest.raises(FileError, match=r"damaged\.safetensors"):
        create_network(card_of(*HANDS, head=read_card(stored)[0].head), str(path), torch.zeros(68, 2))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(
    ("own", "taken", "words"),
    [
        (HANDS, LAYERS, ""),
        (HANDS[2:], ("cofw", "youtube68"), ""),
        ((), ("youtube68",), ", by its annotation convention youtube68"),
        ((Convention("cofw"), Convention("own")), ("cofw", "youtube68"), ", own begins as its youtube68"),
    ],
)
def test_start_weights_of_other_conventions(
    head: str, own: tuple[Convention, ...], taken: tuple[str, ...], words: str, images: torch.Tensor, tmp_path: Path
) -> None:
    path = tmp_path / "start.safetensors"
    save_model(path, network_of(card_of(*HANDS, head=head, convention="youtube68")), Provenance("test"))
    network, start = create_network(card_of(*own, head=head), str(path), torch.zeros(68, 2))
    assert start.endswith(f"{path}{words}")
    with torch.inference_mode():
        for number, name in enumerate(taken):
            answer = network.eval()(images, torch.full((5,), number))
            torch.testing.assert_close(answer, load_model(path, CPU, name)(images), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("head", HEADS)
def test_a_network_without_conventions_starts_all_of_them(head: str, images: torch.Tensor, tmp_path: Path) -> None:
    path = tmp_path / "start.safetensors"
    save_model(path, network_of(card_of(head=head)), Provenance("test"))
    network, start = create_network(card_of(*HANDS, head=head), str(path), torch.zeros(68, 2))
    assert start.endswith(str(path))
    with torch.inference_mode():
        for number in range(3):
            answer = network.eval()(images, torch.full((5,), number))
            torch.testing.assert_close(answer, load_model(path, CPU)(images), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("head", HEADS)
def test_start_weights_of_other_points_and_other_conventions(head: str, images: torch.Tensor, tmp_path: Path) -> None:
    """Each convention keeps the weights of the same points, an unknown one those of the default."""
    path = tmp_path / "start.safetensors"
    save_model(path, network_of(card_of(*HANDS, head=head, convention="cofw")), Provenance("test"))
    inner = replace(card_of(HANDS[3], Convention("zoo"), head=head), scheme=SCHEMES["ibug51"])
    network, start = create_network(inner, str(path), torch.zeros(51, 2))
    assert "those of 51 of its 51 points, zoo begins as its cofw" in start
    with torch.inference_mode():
        for number, name in enumerate(("youtube68", "cofw")):
            answer = network.eval()(images, torch.full((5,), number))
            expected = load_model(path, CPU, name)(images)[:, 17:]
            torch.testing.assert_close(answer, expected, rtol=1e-6, atol=1e-6)


def test_untrained_conventions_begin_at_the_mean_shape(images: torch.Tensor) -> None:
    mean = torch.from_numpy(np.random.default_rng(0).uniform(-0.4, 0.4, (68, 2)).astype(np.float32))
    for head in HEADS:
        network, _ = create_network(card_of(*HANDS, head=head), "none", mean)
        for number in range(3):
            answer = network.eval()(images, torch.full((5,), number))
            assert (answer - mean).abs().mean() < 0.1
