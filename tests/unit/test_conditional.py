"""Diffusion with labels: the labels that the network receives, dropped labels, and guidance."""

import pytest
import torch
from entries import IMAGE_SHAPE, MODELS

from genbench.errors import InputError, place
from genbench.models import Batch, build, count_parameters
from genbench.models.diffusion import Diffusion
from genbench.processes.noise import Noise
from genbench.sampling.likelihood import check_likelihood

SIX_LEVELS = {
    "class": "unet.UNet", "channel_mult": [1, 1, 2, 2, 4, 4], "attention_resolutions": [4], "head_channels": 8,
    "norm_eps": 1e-5, "time_embedding": "cos-sin", "downsample_padding": "symmetric",
}  # fmt: skip


def conditional(**options: object) -> Diffusion:
    torch.manual_seed(0)
    entry = MODELS["ddpm"] | {"denoiser": MODELS["ddpm"]["denoiser"] | {"dropout": 0.0}, "num_classes": 4, **options}
    model = build(entry, IMAGE_SHAPE)
    assert isinstance(model, Diffusion)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model.eval()


def test_the_network_of_the_iclevr_project_has_its_size() -> None:
    entry = {"class": "diffusion.Diffusion", "denoiser": SIX_LEVELS, "num_classes": 24}
    with torch.device("meta"):
        assert count_parameters(build(entry, (3, 64, 64))) == {"denoiser": 113_673_219 + 12_800}


def test_an_index_and_its_row_of_zeros_and_one_are_the_same_label() -> None:
    model = conditional()
    index, rows = torch.tensor([2, 0, 3]), torch.tensor([[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
    with torch.no_grad():
        by_index, by_rows, other = (
            model.sample(Noise(torch.arange(3)), y, steps=3) for y in (index, rows, torch.tensor([1, 1, 1]))
        )
        in_turn = model.sample(Noise(torch.arange(3)), steps=3)
        given = model.sample(Noise(torch.arange(3)), torch.arange(3), steps=3)
    assert torch.equal(by_index, by_rows)
    assert not torch.equal(by_index, other)
    assert torch.equal(in_turn, given)


def test_labels_are_dropped_as_often_as_asked() -> None:
    told = []
    for share in (0.0, 0.25):
        model = conditional(label_dropout=share)
        model.denoiser.register_forward_pre_hook(lambda module, inputs: told.append(inputs[2]))
        x0 = torch.zeros(400, *IMAGE_SHAPE)
        list(model.losses(Batch(x0, torch.arange(400) % 4, Noise(torch.arange(400))), 0))
    assert (told[0].sum(1) == 1).all()
    assert float((told[1].sum(1) == 0).float().mean()) == pytest.approx(0.25, abs=0.06)


def test_guidance_moves_the_prediction_away_from_the_one_without_labels() -> None:
    model = conditional(label_dropout=0.1, prediction="x0")
    x_t, c = torch.randn(2, *IMAGE_SHAPE), model.multi_hot(torch.tensor([1, 3]))
    with torch.no_grad():
        with_labels = model.predictor(False, c)(x_t, 5).x0
        without = model.predictor(False, torch.zeros_like(c))(x_t, 5).x0
        guided = model.predictor(False, c, 1.5)(x_t, 5).x0
        calls = []
        model.denoiser.register_forward_pre_hook(lambda module, inputs: calls.append(1))
        model.sample(Noise(torch.arange(2)), torch.tensor([1, 3]), steps=3, guidance=2.0)
    torch.testing.assert_close(guided, with_labels + 1.5 * (with_labels - without), rtol=1e-4, atol=1e-5)
    assert len(calls) == 6  # counted as evaluations


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(InputError, match=r"key 'label_dropout': found 0\.1 with 0 classes"):
        conditional(num_classes=0, label_dropout=0.1)
    with pytest.raises(InputError, match=r"key 'guidance': found 2\.0, but label_dropout is 0"):
        conditional().check_sampler({"guidance": 2.0})
    bounded = "likelihood: found a model of class Diffusion, which bounds no likelihood of"
    with pytest.raises(InputError, match=bounded), place("likelihood"):
        check_likelihood(conditional(), None)
