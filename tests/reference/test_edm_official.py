"""DDPM++, NCSN++ and ADM equal the networks of NVlabs' EDM with the same weights, matched by tensor names."""

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from official_ddgan import weights
from official_edm import FULL_SIZE, TINY, augmentations, inputs, official_answers, official_network
from torch import Tensor

from genbench.errors import InputError
from genbench.importing.nvlabs_edm import Network, denoiser, from_official, official_shapes
from genbench.networks.songunet import SongUNet
from genbench.schema import construct

PATH = "network.safetensors"
EXPECTED = json.loads((Path(__file__).parents[1] / "support/data/edm.json").read_text(encoding="utf-8"))


def our_network(arguments: dict[str, Any]) -> Network:
    """Build our network from their arguments, without weights."""
    shape = (arguments["img_channels"], arguments["img_resolution"], arguments["img_resolution"])
    named = {"num_classes": "label_dim", "augment_size": "augment_dim"}
    given = {ours: arguments[theirs] for ours, theirs in named.items() if theirs in arguments}
    with torch.device("meta"):
        return construct("genbench.networks", denoiser(arguments, PATH), image_shape=shape, **given).eval()


@torch.no_grad()
def our_answers(state: dict[str, Tensor], arguments: dict[str, Any]) -> Tensor:
    network = our_network(arguments)
    network.load_state_dict(from_official(state, network, arguments["img_resolution"], PATH), assign=True)
    given = [part for part in (*inputs(arguments), augmentations(arguments)) if part is not None]
    return network(*given)


@pytest.mark.parametrize("name", TINY)
def test_it_answers_as_the_authors_network_did(name: str) -> None:
    arguments = TINY[name]
    state = weights(official_shapes(our_network(arguments), arguments["img_resolution"]))
    found = our_answers(state, arguments)[:, :, ::3, ::3]
    torch.testing.assert_close(found, torch.tensor(EXPECTED[name]), rtol=0, atol=3e-5)


@pytest.mark.parametrize(
    ("name", "expected"), list(zip(FULL_SIZE, [55_732_739, 56_395_523, 55_735_299, 56_400_643], strict=True))
)
def test_it_has_the_authors_parameters(name: str, expected: int) -> None:
    assert sum(parameter.numel() for parameter in our_network(FULL_SIZE[name]).parameters()) == expected


def test_weights_begin_as_edms_do() -> None:
    torch.manual_seed(0)
    network = SongUNet(image_shape=(3, 8, 8), channels=64, channel_mult=[1], num_res_blocks=1, num_classes=48)
    block = network.middle[0]
    spreads = {  # gain / sqrt of the mean of fan-in and fan-out
        block.conv1: 1 / math.sqrt(9 * 64),
        block.conv2: 1e-5 / math.sqrt(9 * 64),
        block.time: 1 / math.sqrt((256 + 64) / 2),
        block.attention.qkv: math.sqrt(0.2 / ((64 + 192) / 2)),
        network.label_embedding: 1 / math.sqrt((48 + 64) / 2),
        network.outputs[0][2]: 1e-5 / math.sqrt(9 * (64 + 3) / 2),
    }
    for layer, spread in spreads.items():
        assert float(layer.weight.detach().std()) == pytest.approx(spread, rel=0.05)
        assert layer.bias.detach().abs().max() == 0


def test_labels_that_nobody_gives_are_zeros() -> None:
    torch.manual_seed(0)
    network = SongUNet(image_shape=(1, 4, 4), channels=16, channel_mult=[1], num_res_blocks=1, num_classes=3).eval()
    torch.nn.init.normal_(network.outputs[0][2].weight)
    x, t = torch.randn(2, 1, 4, 4), torch.tensor([-1.0, 1.0])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        assert torch.equal(network(x, t), network(x, t, torch.zeros(2, 3)))
        assert not torch.allclose(network(x, t), network(x, t, torch.eye(3)[:2]), rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "Other"}, "argument model_type: found 'Other', expected one of SongUNet, DhariwalUNet"),
        ({"encoder_type": "skip"}, "argument encoder_type: found 'skip', expected 'residual'"),
        ({"channel_mult_noise": 2}, "argument channel_mult_noise: found 2, expected 1"),
        ({"channel_mult_emb": 2}, "argument channel_mult_emb: found 2, expected 4"),
        ({"model_type": "DhariwalUNet"}, r"found the widths \[16, 32\] of a DhariwalUNet"),
    ],
)
def test_networks_that_are_not_built_here_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"{PATH}: .*{message}"):
        denoiser(TINY["DDPM++"] | change, PATH)


@pytest.mark.slow
@pytest.mark.skipif(
    "GENBENCH_EDM_REPO" not in os.environ, reason="GENBENCH_EDM_REPO names no checkout of github.com/NVlabs/edm"
)
@pytest.mark.parametrize("name", [*TINY, *FULL_SIZE])
def test_it_answers_as_the_authors_network_does(name: str) -> None:
    arguments = (TINY | FULL_SIZE)[name]
    network = official_network(os.environ["GENBENCH_EDM_REPO"], arguments)
    found = our_answers(network.model.state_dict(), arguments)
    torch.testing.assert_close(found, official_answers(network, arguments), rtol=0, atol=1e-4)
