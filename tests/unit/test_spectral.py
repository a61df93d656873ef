"""Spectral normalisation against torch's and a singular value decomposition; SNGAN's networks against the paper."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from genbench.networks import dcgan, resnet, sngan
from genbench.networks.spectral import SpectralNorm, normalise_spectrally

LAYERS = {
    "convolution": (lambda: nn.Conv2d(3, 8, 3), torch.linspace(-1, 1, 300).sin().view(2, 3, 10, 5)),
    "linear": (lambda: nn.Linear(12, 5), torch.linspace(-1, 1, 24).view(2, 12)),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_outputs_and_gradients_are_those_of_torchs_own(kind: str) -> None:
    make, x = LAYERS[kind]
    torch.manual_seed(0)
    ours = nn.Sequential(make())
    theirs = spectral_norm(copy.deepcopy(ours[0]))
    normalise_spectrally(ours)
    for _ in range(100):  # until both converge: theirs begins with the other vector
        a, b = ours(x), theirs(x)
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
    for output in (a, b):
        output.square().sum().backward()
    gradients = [layer.parametrizations.weight.original.grad for layer in (ours[0], theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-5)
    for layer in (ours.eval(), theirs.eval()):
        assert torch.equal(layer(x), layer(x))
    assert list(ours.state_dict()) == [
        "0.bias", "0.parametrizations.weight.original", "0.parametrizations.weight.0.u"
    ]  # fmt: skip


def test_one_power_iteration_follows_the_algorithm_and_only_in_training() -> None:
    torch.manual_seed(0)
    weight = torch.randn(6, 4)
    estimate = SpectralNorm(weight)
    u = estimate.u.clone()
    for _ in range(3):
        v = weight.T @ u / (weight.T @ u).norm()
        u = weight @ v / (weight @ v).norm()
        held, bits = estimate.u, estimate.u.tolist()
        torch.testing.assert_close(estimate(weight), weight / (u @ weight @ v))
        torch.testing.assert_close(estimate.u, u)
        assert held.tolist() == bits  # not changed in place: a compiled backward still needs it
    estimate.eval()(weight)
    torch.testing.assert_close(estimate.u, u)


@pytest.mark.parametrize("networks", [dcgan, resnet, sngan])
def test_the_largest_singular_value_of_every_layer_becomes_1(networks: object) -> None:
    torch.manual_seed(0)
    network = networks.Discriminator(image_shape=(1, 16, 16), channels=8, spectral_norm=True)  # type: ignore[attr-defined]
    plain = networks.Discriminator(image_shape=(1, 16, 16), channels=8, spectral_norm=False)  # type: ignore[attr-defined]
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert len(layers) == sum(isinstance(layer, nn.Conv2d | nn.Linear) for layer in plain.modules())
    with torch.no_grad():
        for layer in layers:
            for _ in range(300):
                weight = layer.weight
            assert torch.linalg.matrix_norm(weight.flatten(1), 2).item() == pytest.approx(1, abs=2e-3)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in network.modules())


def test_the_estimate_is_of_single_precision_under_autocast() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(64, 32)
    normalise_spectrally(nn.Sequential(layer))
    layer.eval()
    with torch.autocast("cpu", torch.bfloat16):
        short = layer.weight
    assert torch.equal(short, layer.weight)


def test_sngan_has_the_papers_networks() -> None:
    torch.manual_seed(0)
    generator = sngan.Generator(image_shape=(3, 32, 32))
    discriminator = sngan.Discriminator(image_shape=(3, 32, 32))
    assert [sum(p.numel() for p in network.parameters()) for network in (generator, discriminator)] == [
        4_276_739, 1_053_825
    ]  # fmt: skip
    first = discriminator.blocks[0]
    assert (first.conv1.parametrizations.weight.original.std() * (27 + 9 * 128) ** 0.5).item() == pytest.approx(2, 0.05)
    assert (generator.blocks[1].shortcut.weight.std() * 512**0.5).item() == pytest.approx(2**0.5, 0.05)
    # Blocks by hand: shortcut plus two convolutions, then average pooling; the first block does not begin with a ReLU.
    first.eval()
    x = torch.randn(2, 3, 32, 32)
    for block, h in ((first, x), (discriminator.blocks[1].eval(), torch.randn(2, 128, 16, 16))):
        inner = block.conv2(block.conv1(h if h is x else h.relu()).relu())
        expected = nn.functional.avg_pool2d(inner + block.shortcut(h), 2)
        torch.testing.assert_close(block(h), expected, rtol=1e-4, atol=1e-5)
