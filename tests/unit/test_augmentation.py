"""Augmentation that does not leak: what is drawn, where pixels come from, and the labels for the network."""

import math

import pytest
import torch
from entries import EDM as ENTRY
from entries import IMAGE_SHAPE
from perturbed import batch_of_blobs, perturbed
from torch import Tensor

from genbench.models import build
from genbench.models.edm import EDM
from genbench.processes.augmentation import Transformation, draw_transformation, transformed
from genbench.processes.noise import Noise
from genbench.training.flops import META, training_cost
from genbench.training.recipe import TrainConfig

WIDTH, HEIGHT = 40, 32


def smooth(x: Tensor, y: Tensor) -> Tensor:
    """A picture that also has values between the pixels; (x, y) is the position from the centre."""
    return 0.5 * torch.cos(0.21 * x + 0.4) * torch.cos(0.17 * y - 0.3) + 0.01 * x


def places() -> tuple[Tensor, Tensor]:
    y, x = torch.meshgrid(torch.arange(HEIGHT) - (HEIGHT - 1) / 2, torch.arange(WIDTH) - (WIDTH - 1) / 2, indexing="ij")
    return x, y


def how(**given: float) -> Transformation:
    return Transformation(**{name: torch.tensor([given.get(name, 0.0)]) for name in Transformation._fields})


def turned(angle: float, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    return math.cos(angle) * x - math.sin(angle) * y, math.sin(angle) * x + math.cos(angle) * y


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"flip_x": 1.0},
        {"flip_y": 1.0},
        {"scale": 0.8},
        {"scale": -1.5},
        {"angle": 0.4},
        {"stretch": 1.2, "direction": 0.7},
        {"shift_x": 0.5, "shift_y": -0.25},
        {"flip_x": 1.0, "scale": 0.6, "angle": -0.3, "stretch": -0.7, "direction": 0.5, "shift_x": 0.2, "shift_y": 0.4},
    ],
    ids=lambda given: "+".join(given) or "nothing",
)
def test_pixels_come_from_where_the_papers_matrices_say(given: dict[str, float]) -> None:
    get = lambda name: given.get(name, 0.0)  # noqa: E731
    x, y = places()
    found = transformed(smooth(x, y)[None, None], how(**given))[0, 0]
    # The transformations are undone in reverse order: shift, stretch, rotation, scale, flip.
    sx, sy = x - get("shift_x") * WIDTH / 8, y - get("shift_y") * HEIGHT / 8
    sx, sy = turned(get("direction"), sx, sy)
    sx, sy = sx / 2 ** (0.2 * get("stretch")), sy * 2 ** (0.2 * get("stretch"))
    sx, sy = turned(get("angle") - get("direction"), sx, sy)
    sx, sy = sx / 2 ** (0.2 * get("scale")), sy / 2 ** (0.2 * get("scale"))
    within = (sx.abs() < WIDTH / 2 - 4) & (sy.abs() < HEIGHT / 2 - 4)  # the rest is mirrored at the borders
    sx, sy = (-sx if get("flip_x") else sx), (-sy if get("flip_y") else sy)
    assert within.float().mean() > 0.25
    torch.testing.assert_close(found[within], smooth(sx, sy)[within], rtol=0, atol=0.01)


def test_beyond_the_border_the_image_is_mirrored() -> None:
    x, y = places()
    image = smooth(x, y)
    found = transformed(image[None, None], how(shift_x=1.0))[0, 0]  # 5 pixels to the right
    torch.testing.assert_close(found[:, 5:], image[:, :-5], rtol=0, atol=0.01)
    torch.testing.assert_close(found[:, :5], image[:, 1:6].flip(1), rtol=0, atol=0.03)


def test_an_image_does_not_depend_on_those_beside_it() -> None:
    images, all_of_them = batch_of_blobs(6).x0, draw_transformation(Noise(torch.arange(6)), 0.8)
    one = Transformation(*(values[4:5] for values in all_of_them))
    torch.testing.assert_close(transformed(images, all_of_them)[4:5], transformed(images[4:5], one), rtol=0, atol=1e-4)


def test_what_is_drawn_and_what_the_network_is_told() -> None:
    drawn = draw_transformation(Noise(torch.arange(20_000)), 0.12)
    labels = drawn.labels
    assert labels.shape == (20_000, 9)
    # Every second flip has no effect. Half of the directions are 0, whose sine is the seventh label.
    happened = torch.tensor([0.5, 0.06, 0.12, 0.12, 0.12, 0.12, 0.06, 0.12, 0.12])
    torch.testing.assert_close((labels != 0).float().mean(0), happened, rtol=0, atol=0.01)
    for values in (drawn.scale, drawn.stretch, drawn.shift_x, drawn.shift_y):
        assert values[values != 0].std().item() == pytest.approx(1, abs=0.05)
    assert drawn.angle.abs().max().item() == pytest.approx(math.pi, abs=0.01)
    assert (drawn.direction == 0).float().mean().item() == pytest.approx(0.5, abs=0.02)
    told = how(flip_y=1.0, angle=0.5, scale=2.0, stretch=3.0, direction=0.25, shift_x=-1.0, shift_y=4.0).labels[0]
    turned_by = [math.cos(0.5) - 1, math.sin(0.5)]
    stretched = [3 * math.cos(0.25), 3 * math.sin(0.25)]
    assert told.tolist() == pytest.approx([0, 1, 2, *turned_by, *stretched, -1, 4])
    assert not how().labels.any()


def test_edm_learns_from_augmented_images_and_draws_as_if_of_none() -> None:
    model = perturbed(ENTRY | {"augment": 0.5, "num_classes": 2}, 0.02)
    assert isinstance(model, EDM)
    model.image_shape = IMAGE_SHAPE
    seen: list[tuple[Tensor, ...]] = []
    model.denoiser.register_forward_hook(lambda module, inputs, output: seen.append(inputs))
    ((_, loss),) = model.losses(batch_of_blobs(8), 0)
    again = batch_of_blobs(8)
    sigma = (1.2 * again.noise.normal() - 1.2).exp()
    eps = again.noise.normal(*IMAGE_SHAPE)
    drawn = draw_transformation(again.noise, 0.5)
    x0 = transformed(again.x0, drawn)
    assert torch.equal(seen[0][3], drawn.labels)
    assert not torch.equal(x0, again.x0)
    with torch.no_grad():
        x0_hat = model.denoise(x0 + sigma[:, None, None, None] * eps, sigma, seen[0][2], drawn.labels)
        x = torch.zeros(2, *IMAGE_SHAPE)
        labels = torch.eye(2)
        plain = model.denoise(x, torch.ones(2), labels)
        zeros = model.denoise(x, torch.ones(2), labels, torch.zeros(2, 9))
        model.sample(Noise(torch.arange(2)), steps=1)
    weights = (sigma**2 + 0.25) / (0.5 * sigma) ** 2
    torch.testing.assert_close(loss, (weights * (x0_hat - x0).square().mean((1, 2, 3))).mean())
    assert torch.equal(plain, zeros)
    assert len(seen[-1]) == 3  # x, c_noise, labels
    entry = ENTRY | {"augment": 0.5}
    cost = training_cost(build(entry, IMAGE_SHAPE).to(META), TrainConfig(steps=1, batch_size=8))
    assert (
        cost["flops"] > training_cost(build(ENTRY, IMAGE_SHAPE).to(META), TrainConfig(steps=1, batch_size=8))["flops"]
    )
