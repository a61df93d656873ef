"""The plain CNN: the sizes that the course gives, the time features, and the invariance of each normalisation."""

import math

import pytest
import torch
from torch.nn import functional as F

from genbench.errors import InputError
from genbench.networks.plain_cnn import PlainCNN, time_features

SHAPE = (1, 28, 28)


@pytest.mark.parametrize(
    ("hidden_channels", "image", "channel"),
    [
        ((16, 32, 32, 16), 291_217, 146_961),
        ((16, 64, 16), 291_217, 145_393),
        ((64, 128, 256, 128, 64), 5_067_457, 4_071_777),
        ((64, 128, 64), 1_253_697, 856_993),
    ],
)
def test_it_has_the_course_s_parameters(hidden_channels: tuple[int, ...], image: int, channel: int) -> None:
    with torch.device("meta"):
        sizes = [
            sum(p.numel() for p in PlainCNN(image_shape=SHAPE, hidden_channels=hidden_channels, norm=norm).parameters())
            for norm in ("image", "channel")
        ]
    assert sizes == [image, channel]


def test_time_is_sixteen_frequencies_that_all_start_at_zero() -> None:
    assert torch.equal(time_features(torch.zeros(2)), torch.zeros(2, 32))
    features = time_features(torch.tensor([0.25, 1.0]))
    assert features.shape == (2, 32)
    # At t = 1/4, frequency 0 makes no turn, 1 a quarter of a turn, and 1.5^2 = 2.25 makes 0.5625 turns.
    sine, cosine = features[0, :16], features[0, 16:] + 1
    assert (sine[0].item(), cosine[0].item()) == (0, 1)
    assert (sine[1].item(), cosine[1].item()) == pytest.approx((1, 0), abs=1e-6)
    assert (sine[3].item(), cosine[3].item()) == pytest.approx(
        (math.sin(2 * math.pi * 0.5625), math.cos(2 * math.pi * 0.5625)), abs=1e-5
    )
    torch.testing.assert_close(features[1, 1], torch.tensor(0.0), rtol=0, atol=1e-5)  # a full turn


def test_time_is_added_once_after_the_first_block() -> None:
    torch.manual_seed(0)
    net = PlainCNN(image_shape=(1, 6, 6), hidden_channels=(4, 3)).eval()
    x, t = torch.randn(2, 1, 6, 6), torch.tensor([0.1, 0.9])
    with torch.no_grad():
        (conv1, norm1, _), (conv2, norm2, _) = net.blocks
        h = F.gelu(F.layer_norm(conv1(x), (4, 6, 6), norm1.weight, norm1.bias))
        h = h + net.time_mlp(time_features(t)).view(2, 4, 1, 1)
        h = F.gelu(F.layer_norm(conv2(h), (3, 6, 6), norm2.weight, norm2.bias))
        torch.testing.assert_close(net(x, t), net.conv_out(h))


@pytest.mark.parametrize(("norm", "blind"), [("image", False), ("channel", True)])
def test_only_normalisation_by_channel_forgets_how_strong_a_channel_is(norm: str, blind: bool) -> None:
    torch.manual_seed(0)
    net = PlainCNN(image_shape=(1, 8, 8), hidden_channels=(2,), norm=norm).eval()
    x, t = torch.randn(2, 1, 8, 8), torch.full((2,), 0.5)
    with torch.no_grad():
        before = net(x, t)
        net.blocks[0][0].weight[0] *= 3
        net.blocks[0][0].bias[0] *= 3
        after = net(x, t)
    assert torch.allclose(before, after, atol=1e-4) is blind


def test_the_activation_is_that_of_blocks_and_time() -> None:
    net = PlainCNN(image_shape=SHAPE, activation="selu")
    kinds = [type(module) for module in net.modules()]
    assert kinds.count(torch.nn.SELU) == 4 + 3
    assert torch.nn.GELU not in kinds


def test_output_channels_are_the_images_unless_others_are_asked_for() -> None:
    x, t = torch.zeros(2, 3, 8, 10), torch.tensor([0.0, 1.0])
    assert PlainCNN(image_shape=(3, 8, 10), hidden_channels=(4,))(x, t).shape == (2, 3, 8, 10)
    assert PlainCNN(image_shape=(3, 8, 10), hidden_channels=(4,), out_channels=6)(x, t).shape == (2, 6, 8, 10)


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(InputError, match=r"hidden_channels': found \[\], expected positive integers"):
        PlainCNN(image_shape=SHAPE, hidden_channels=())
    with pytest.raises(InputError, match="set the model's key time_input to 'fraction'"):
        PlainCNN(image_shape=SHAPE, hidden_channels=(2,))(torch.zeros(1, *SHAPE), torch.tensor([3]))
