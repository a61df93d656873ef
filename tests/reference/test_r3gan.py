"""R3GAN's networks, losses and penalties equal those of the authors' code with the same weights."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from official_r3gan import (
    CIFAR10,
    FFHQ_64,
    LATENT_SIZE,
    TINY,
    as_numbers,
    batch,
    entry,
    image_shape,
    model_weights,
    official_answers,
)

from genbench.errors import InputError
from genbench.models import build, count_parameters
from genbench.models.gan import GAN
from genbench.networks.r3gan import Discriminator, Generator

EXPECTED = json.loads((Path(__file__).parents[1] / "support/data/r3gan.json").read_text(encoding="utf-8"))


def our_answers(options: Mapping[str, list[int]]) -> dict[str, Any]:
    """Return what `official_answers` returns, but from our model."""
    model = build(entry(options), image_shape(options))
    assert isinstance(model, GAN)
    assert model.discriminator is not None
    for name, state in model_weights(model).items():
        getattr(model, name).load_state_dict(state)
    given = batch(options)
    found: dict[str, Any] = {"gradients": {}}
    for name, loss in model.losses(given, step=0):
        found[name] = loss.detach()
        parameters = dict(getattr(model, name).named_parameters())
        gradients = torch.autograd.grad(loss, list(parameters.values()))
        found["gradients"] |= {
            f"{name}.{key}": gradient.norm() for key, gradient in zip(parameters, gradients, strict=True)
        }
    with torch.no_grad():
        images, logits = model.sample(batch(options).noise), model.discriminator(given.x0)
    return found | {"penalty": given.metrics["penalty"], "images": images, "logits": logits}


def test_it_answers_and_learns_as_the_authors_code_did() -> None:
    found = as_numbers(our_answers(TINY))
    assert found["gradients"] == pytest.approx(EXPECTED["gradients"], rel=1e-3)
    for name in ("discriminator", "generator", "penalty", "logits"):
        assert found[name] == pytest.approx(EXPECTED[name], rel=1e-4), name
    torch.testing.assert_close(torch.tensor(found["images"]), torch.tensor(EXPECTED["images"]), rtol=0, atol=3e-5)


@pytest.mark.parametrize(
    ("options", "generator", "discriminator"),
    [(CIFAR10, 20_732_160, 20_683_776), (FFHQ_64, 22_429_824, 22_381_440)],
)
def test_it_has_the_authors_parameters(options: Mapping[str, list[int]], generator: int, discriminator: int) -> None:
    with torch.device("meta"):
        model = build(entry(options), image_shape(options))
    assert count_parameters(model) == {"generator": generator, "discriminator": discriminator}


def test_the_defaults_are_those_for_cifar10() -> None:
    with torch.device("meta"):
        model = build(entry(CIFAR10), (3, 32, 32))
        for network in (Generator(image_shape=(3, 32, 32)), Discriminator(image_shape=(3, 32, 32))):
            own = getattr(model, type(network).__name__.lower())
            assert {name: p.shape for name, p in network.named_parameters()} == {
                name: p.shape for name, p in own.named_parameters()
            }


def test_weights_begin_as_theirs_do() -> None:
    torch.manual_seed(0)
    network = Generator(image_shape=(1, 28, 28), channels=[96, 64, 32])  # six blocks
    gain = math.sqrt(2 / 1.04) / 6**0.25
    block = network.stages[0][1]
    spreads = {
        network.linear: 1 / math.sqrt(LATENT_SIZE),
        network.between[0]: 1 / math.sqrt(96),
        block.widen: gain / math.sqrt(96),
        block.conv: gain / math.sqrt(9 * 16),
    }
    for layer, spread in spreads.items():
        assert float(layer.weight.detach().std()) == pytest.approx(spread, rel=0.05)
    assert float(network.basis.detach().std()) == pytest.approx(1, rel=0.05)
    assert block.narrow.weight.detach().abs().max() == 0
    basis = Discriminator(image_shape=(1, 28, 28), channels=96).basis.weight
    assert basis.shape == (96, 1, 7, 7)
    assert float(basis.detach().std()) == pytest.approx(1 / 7, rel=0.05)


def test_the_smallest_maps_are_float32_under_autocast() -> None:
    model = build(entry(TINY), image_shape(TINY))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        images = model.generator(torch.randn(2, LATENT_SIZE))
        logits = model.discriminator(images)
    assert images.dtype == torch.bfloat16
    assert logits.dtype == torch.float32


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": [8, 8]}, "key 'channels': found 2 widths, expected 4, one for each side of the maps"),
        ({"channels": 12}, "key 'group_width': found 16, expected a divisor of 24, the wider channels"),
    ],
)
def test_widths_that_do_not_fit_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Generator(image_shape=(3, 32, 32), **change)


@pytest.mark.slow
@pytest.mark.skipif(
    "GENBENCH_R3GAN_REPO" not in os.environ, reason="GENBENCH_R3GAN_REPO names no checkout of github.com/brownvc/R3GAN"
)
@pytest.mark.parametrize("options", [TINY, CIFAR10, FFHQ_64])
def test_it_answers_and_learns_as_the_authors_code_does(options: Mapping[str, list[int]]) -> None:
    found, expected = our_answers(options), official_answers(os.environ["GENBENCH_R3GAN_REPO"], options)
    assert as_numbers(found["gradients"]) == pytest.approx(as_numbers(expected["gradients"]), rel=1e-3)
    for name in ("discriminator", "generator", "penalty", "logits", "images"):
        torch.testing.assert_close(found[name], expected[name].detach(), rtol=1e-4, atol=3e-5)
