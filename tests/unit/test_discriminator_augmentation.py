"""The images that a GAN's discriminator sees: DiffAugment and ADA against the papers' formulas, written out again."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from entries import GAN, IMAGE_SHAPE
from perturbed import batch_of_blobs
from torch import Tensor

from genbench.errors import InputError
from genbench.models import Batch, build
from genbench.own_code import allow
from genbench.processes.ada import ADA, blitting, geometry, recoloured
from genbench.processes.augmentation import inverse
from genbench.processes.diffaugment import DiffAugment
from genbench.processes.noise import Noise
from genbench.suites.entries import check_idle

N = 12


def noise(key: int = 5) -> Noise:
    return Noise(torch.arange(N), key=key)


def images(channels: int, height: int, width: int) -> Tensor:
    return (2 * Noise(torch.arange(N), key=1).uniform(channels, height, width) - 1).requires_grad_()


# --- DiffAugment ------------------------------------------------------------------------------------------------------


def by_hand(x: np.ndarray, policy: str, drawn: Noise) -> np.ndarray:
    """Apply one step of the paper's policies, image by image."""
    out = []
    numbers = drawn.integers if policy in ("translation", "cutout") else drawn.uniform
    height, width = x.shape[2:]
    if policy == "translation":
        down, right = (numbers(-reach, reach + 1) for reach in ((height + 4) // 8, (width + 4) // 8))
    elif policy == "cutout":
        down, right = (numbers(0, side + 1 - (side + 1) // 2 % 2) for side in (height, width))
    else:
        down = right = numbers(1, 1, 1).flatten()
    for image, i, j in zip(x, down.tolist(), right.tolist(), strict=True):
        if policy == "brightness":
            new = image + (i - 0.5)
        elif policy == "saturation":
            new = image.mean(0) + 2 * i * (image - image.mean(0))
        elif policy == "contrast":
            new = image.mean() + (i + 0.5) * (image - image.mean())
        else:
            new = image.copy() if policy == "cutout" else np.zeros_like(image)
            half, across = (height + 1) // 2, (width + 1) // 2
            for row, column in itertools.product(range(height), range(width)):
                within = i <= row + half // 2 < i + half and j <= column + across // 2 < j + across
                if policy == "cutout" and within:
                    new[:, row, column] = 0
                if policy == "translation" and 0 <= row + i < height and 0 <= column + j < width:
                    new[:, row, column] = image[:, row + i, column + j]
        out.append(new)
    return np.stack(out)


@pytest.mark.parametrize(("channels", "height", "width"), [(3, 16, 16), (1, 14, 20)])
def test_diffaugment_does_what_the_paper_says_in_the_order_of_the_policy(
    channels: int, height: int, width: int
) -> None:
    x = images(channels, height, width)
    parts = {"color": ["brightness", "saturation", "contrast"], "translation": ["translation"], "cutout": ["cutout"]}
    for policy in (["color"], ["translation"], ["cutout", "color"], ["color", "translation", "cutout"]):
        expected, drawn = x.detach().numpy(), noise()
        for step in [step for name in policy for step in parts[name]]:
            expected = by_hand(expected, step, drawn)
        found = DiffAugment(policy=policy)(x, noise())
        torch.testing.assert_close(found.detach(), torch.from_numpy(expected), rtol=1e-5, atol=1e-5)
        assert DiffAugment(policy=policy)(x[7:9], Noise(torch.arange(7, 9), key=5)).equal(found[7:9])
    shown = DiffAugment(policy=["translation", "cutout"])(x, noise())
    (gradient,) = torch.autograd.grad(shown.sum(), x)
    share = (gradient != 0).float().mean().item()
    assert 0.5 < share < 0.85  # no gradient for pixels moved out of the image or blanked


# --- ADA --------------------------------------------------------------------------------------------------------------


def homogeneous(matrix: Tensor, offset: Tensor) -> Tensor:
    """Homogeneous matrices (N, D + 1, D + 1)."""
    size = matrix.shape[-1]
    whole = torch.eye(size + 1).repeat(len(matrix), 1, 1)
    whole[:, :size, :size], whole[:, :size, size] = matrix, offset
    return whole


def rotation(angle: Tensor) -> Tensor:
    c, s = angle.cos(), angle.sin()
    return torch.stack([torch.stack([c, -s], 1), torch.stack([s, c], 1)], 1)


def moved(x: Tensor, y: Tensor) -> Tensor:
    return homogeneous(torch.eye(2).repeat(len(x), 1, 1), torch.stack([x, y], 1))


def scaled(x: Tensor, y: Tensor) -> Tensor:
    return homogeneous(torch.diag_embed(torch.stack([x, y], 1)), torch.zeros(len(x), 2))


def turned(angle: Tensor) -> Tensor:
    return homogeneous(rotation(angle), torch.zeros(len(angle), 2))


@pytest.mark.parametrize("p", [0.4, 1.0])
def test_places_are_those_of_the_papers_product_of_matrices(p: float) -> None:
    width, height = 24, 16
    drawn, strength = noise(), torch.tensor(p)
    turn, offset = blitting(drawn, strength, width, height)
    matrix, shift = inverse(geometry(drawn, strength), width, height)
    found = homogeneous(turn, offset) @ homogeneous(matrix, -(matrix @ shift[:, :, None])[:, :, 0])
    again = noise()  # the same numbers, in the paper's notation (appendix B, lines 1 to 40 of the algorithm)
    happens, chosen = again.uniform(3) < p, again.uniform(2)
    whole = ((again.uniform(2) * 2 - 1) * 0.125 * torch.tensor([width, height])).round() * happens[:, 2:]
    flip = happens[:, 0] & (chosen[:, 0] >= 0.5)
    quarters = (4 * chosen[:, 1]).floor() * happens[:, 1]
    happens, either = again.uniform(3) < p, again.uniform(2) < 1 - math.sqrt(1 - p)
    angles = (again.uniform(2) * 2 - 1) * math.pi * either
    s, stretch, x, y = again.normal(4).unbind(1)
    s, stretch = (2 ** (0.2 * values * yes) for values, yes in ((s, happens[:, 0]), (stretch, happens[:, 1])))
    x, y = 0.125 * width * x * happens[:, 2], 0.125 * height * y * happens[:, 2]
    one = torch.ones(N)
    forward = scaled(1 - 2 * flip.float(), one)
    for step in (
        turned(-math.pi / 2 * quarters), moved(*whole.T), scaled(s, s), turned(-angles[:, 0]),
        scaled(stretch, 1 / stretch), turned(-angles[:, 1]), moved(x, y),
    ):  # fmt: skip
        forward = step @ forward
    torch.testing.assert_close(found, torch.linalg.inv(forward), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
def test_colours_are_those_of_the_papers_product_of_matrices(channels: int) -> None:
    x, p = images(channels, 6, 5), 0.7
    found = recoloured(x, noise(), torch.tensor(p))
    drawn = noise()
    happens, uniform, normal = drawn.uniform(5) < p, drawn.uniform(2), drawn.normal(3)
    v = torch.ones(3) / math.sqrt(3)
    axis = torch.outer(v, v)
    cross = torch.tensor([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    zero, matrices = torch.zeros(1, 3), []
    for yes, (half, hue), (light, spread, strong) in zip(happens, uniform.tolist(), normal.tolist(), strict=True):
        C = homogeneous(torch.eye(3)[None], 0.2 * light * yes[0] * torch.ones(1, 3))
        C = homogeneous(torch.eye(3)[None] * 2 ** (0.5 * spread * float(yes[1])), zero) @ C
        C = homogeneous((torch.eye(3) - 2 * axis * (half >= 0.5) * yes[3])[None], zero) @ C
        angle = torch.tensor((2 * hue - 1) * math.pi) * yes[4]
        C = homogeneous((axis + angle.cos() * (torch.eye(3) - axis) + angle.sin() * cross)[None], zero) @ C
        C = homogeneous((axis + (torch.eye(3) - axis) * 2 ** (strong * float(yes[2])))[None], zero) @ C
        matrices.append(C[0])
    C = torch.stack(matrices)
    if channels == 3:
        expected = torch.einsum("nij,njhw->nihw", C[:, :3, :3], x) + C[:, :3, 3, None, None]
    else:  # grey: the mean of the rows
        expected = x * C[:, :3, :3].sum(2).mean(1)[:, None, None, None] + C[:, :3, 3].mean(1)[:, None, None, None]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_at_p_0_images_stay_and_without_a_change_in_the_pipeline_its_numbers_do_nothing() -> None:
    x = images(3, 16, 16)
    torch.testing.assert_close(ADA()(x, noise()), x, rtol=0, atol=2e-5)
    always = {"target": None, "initial": 1.0}
    assert ADA(pipeline=["color"], **always)(x, noise()).equal(recoloured(x, noise(), torch.tensor(1.0)))
    only_blit = ADA(pipeline=["blit"], **always)(x, noise())
    sums = [part.detach().double().square().sum((1, 2, 3)) for part in (only_blit, x)]
    assert not only_blit.equal(x)
    assert (sums[0] / sums[1]).min() > 0.5  # moved, never scaled
    with pytest.raises(InputError, match="found images of 2 channels, expected 1 or 3"):
        ADA()(x[:, :2], noise())
    with pytest.raises(InputError, match="key 'initial': found 0 beside target null"):
        ADA(target=None)
    entry = GAN | {"augment": {"name": "ada", "target": None, "initial": 0.2, "kimg": 1.0}}
    with pytest.raises(InputError, match=r"^augment: key 'kimg': found 1.0, which does nothing beside target: null"):
        check_idle(build(entry, IMAGE_SHAPE), entry)


def test_p_moves_towards_the_target_at_the_stated_speed() -> None:
    ada = ADA(target=0.6, kimg=0.5, interval=2, initial=0.1)
    sure, unsure = torch.full((10,), 2.0), torch.tensor([1.0] * 7 + [-1.0] * 3)
    seen = [ada.observe(logits)["augment_p"].item() for logits in (sure, sure, sure, unsure, unsure, unsure, unsure)]
    # Each 20 images move p by 20 / 500. r_t is 1 and (1 + 0.4) / 2 = 0.7, both above 0.6, then 0.4, below it.
    assert seen == pytest.approx([0.1, 0.14, 0.14, 0.18, 0.18, 0.14, 0.14])
    for _ in range(20):
        ada.observe(-sure)
    assert ada.p.item() == 0  # clamped from below
    fixed = ADA(target=None, initial=0.3)
    assert [fixed.observe(sure)["augment_p"].item() for _ in range(9)] == pytest.approx([0.3] * 9)


# --- In a GAN ---------------------------------------------------------------------------------------------------------


def test_the_discriminator_sees_augmented_images_in_both_losses_and_in_penalties() -> None:
    torch.manual_seed(0)
    model = build(GAN | {"penalty": "r1", "augment": {"name": "diffaugment", "policy": ["cutout"]}}, IMAGE_SHAPE)
    seen: list[Tensor] = []
    model.discriminator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    ones = Batch(torch.ones(4, *IMAGE_SHAPE), torch.zeros(4, dtype=torch.int64), Noise(torch.arange(4)))
    losses = dict(model.losses(ones, 0))
    blanked = [(x == 0).float().mean((1, 2, 3)) for x in seen]
    assert len(seen) == 4  # real, drawn, the penalty, drawn for the generator
    assert all((share > 0.05).all() and (share < 0.3).all() for share in blanked)
    assert not blanked[0].equal(blanked[2])  # each call draws its own numbers
    losses["generator"].backward()
    assert all(p.grad is not None and p.grad.any() for p in model.generator.parameters() if p.ndim > 1)
    assert losses["discriminator"].isfinite()


def test_p_is_state_of_the_training_and_of_no_consequence_to_samples() -> None:
    torch.manual_seed(0)
    ada = {"name": "ada", "initial": 0.5, "kimg": 1.0, "interval": 2}  # all changes, differentiated twice
    model = build(GAN | {"penalty": "r1", "augment": ada}, IMAGE_SHAPE)
    batch = batch_of_blobs(4)
    before = model.state_dict()["augment.p"].clone()
    for step in range(2):
        list(model.losses(batch, step))
    assert batch.metrics.keys() == {"penalty", "augment_p", "real_signs"}
    assert batch.metrics["augment_p"].item() == model.state_dict()["augment.p"].item() != before.item()
    model.eval()
    drawn = model.sample(Noise(torch.arange(3)))
    model.augment.p.fill_(0.9)
    assert model.sample(Noise(torch.arange(3))).equal(drawn)


def test_an_augmentation_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "dim.py").write_text(
        "from genbench.processes.diffaugment import Augmentation\n\n\n"
        "class Dim(Augmentation):\n"
        "    def __init__(self, *, factor: float = 0.5) -> None:\n"
        "        super().__init__()\n"
        "        self.factor = factor\n\n"
        "    def forward(self, x, noise):\n"
        "        return self.factor * x\n\n\n"
        "def none(*, factor: float = 0.5) -> str:\n"
        "    return 'none'\n"
    )
    model = build(GAN | {"augment": {"name": allow(f"{tmp_path}/dim.py:Dim"), "factor": 0.25}}, IMAGE_SHAPE)
    seen: list[Tensor] = []
    model.discriminator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    batch = batch_of_blobs(8)
    next(model.losses(batch, 0))
    assert seen[0].equal(0.25 * batch.x0)
    with pytest.raises(InputError, match="augment: found str, expected an Augmentation"):
        build(GAN | {"augment": allow(f"{tmp_path}/dim.py:none")}, IMAGE_SHAPE)
    with pytest.raises(InputError, match=r"augment: ada: key 'target': found 2, expected at least 0 and at most 1"):
        build(GAN | {"augment": {"name": "ada", "target": 2}}, IMAGE_SHAPE)
