"""Cold diffusion: the degradations, and how far sampling undoes them."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from entries import COLD, IMAGE_SHAPE, blobs
from torch import Tensor, nn
from torch.nn import functional as F

from genbench.errors import InputError, place
from genbench.images import to_images
from genbench.models import Batch, build
from genbench.models.cold import ColdDiffusion
from genbench.processes.degradations import (
    DEGRADATIONS,
    NEGLIGIBLE,
    Averaging,
    Blur,
    Degradation,
    block_order,
    columns,
    rows,
)
from genbench.processes.noise import Noise
from genbench.processes.reverse import Prediction, reverse_process
from genbench.processes.samplers import COLD_STEPS
from genbench.sampling.checkpoint import load_model
from genbench.training.folder import train

SHAPE = (3, 28, 42)  # three different sizes, so a swap of axes fails
AVERAGINGS = {
    f"{name}-{timesteps}-{order}": DEGRADATIONS[name](SHAPE, timesteps=timesteps, order=order)
    for name, timesteps, order in itertools.product(
        ("rows", "columns"), (7, 14), ("centre-out", "out-centre", "random")
    )
}
AVERAGINGS["rows-28-random"] = rows(SHAPE, timesteps=28)
BLURS = {
    "blur": Blur(SHAPE),
    "blur-reflect": Blur(SHAPE, timesteps=8, std=0.35, std_growth=0.3, padding="reflect"),
}
ALL: dict[str, Degradation] = {**AVERAGINGS, **BLURS}
averagings = pytest.mark.parametrize("D", AVERAGINGS.values(), ids=AVERAGINGS.keys())
degradations = pytest.mark.parametrize("D", ALL.values(), ids=ALL.keys())


def images(count: int = 5, key: int = 0) -> Tensor:
    return Noise(torch.arange(count), key=key).normal(*SHAPE).clamp(-1, 1)


# --- Degradations -----------------------------------------------------------------------------------------------------


@degradations
def test_time_0_is_the_identity_and_a_time_for_each_image_is_that_image_s(D: Degradation) -> None:
    x = images(D.T + 1)
    assert torch.equal(D(x, 0), x)
    each = D(x, torch.arange(D.T + 1))
    for t in range(D.T + 1):
        torch.testing.assert_close(each[t : t + 1], D(x[t : t + 1], t), rtol=0, atol=1e-6)


@degradations
def test_degradations_are_linear(D: Degradation) -> None:
    x, y = images(), images(key=1)
    t = torch.tensor([1, 2, 3, D.T - 1, D.T])
    torch.testing.assert_close(D(0.3 * x - 2 * y, t), 0.3 * D(x, t) - 2 * D(y, t), rtol=0, atol=1e-5)


@averagings
def test_averaging_is_idempotent_and_nested(D: Averaging) -> None:
    x = images()
    for s, t in itertools.product(range(0, D.T + 1, 3), range(D.T + 1)):
        torch.testing.assert_close(D(D(x, s), t), D(x, max(s, t)), rtol=0, atol=1e-6)


@averagings
def test_nothing_varies_inside_a_block_at_T_and_one_more_block_falls_in_each_step(D: Averaging) -> None:
    x = images()
    for t in range(D.T + 1):
        x_t = D(x, t) if D.axis == 2 else D(x, t).transpose(2, 3)
        blocks = x_t.unflatten(2, (D.T, -1)).movedim(2, 1).flatten(3)  # (N, T, C, pixels of a block)
        constant = (blocks == blocks[..., :1]).all(-1).all(-1)
        assert (constant.sum(1) == t).all()
    torch.testing.assert_close(x_t.mean((2, 3)), x.mean((2, 3)))


def test_averages_are_those_of_the_project_s_loops() -> None:
    x = images()
    for name, D in AVERAGINGS.items():
        order = block_order(D.T, name.split("-", 2)[2], 0)  # type: ignore[arg-type]
        size, expected = SHAPE[D.axis - 1] // D.T, x.clone()
        for t, block in enumerate(order, start=1):
            part = [slice(None)] * 4
            part[D.axis] = slice(block * size, (block + 1) * size)
            expected[tuple(part)] = expected[tuple(part)].mean((2, 3), keepdim=True)
            torch.testing.assert_close(D(x, t), expected, rtol=0, atol=1e-6)


def test_orders() -> None:
    assert block_order(7, "centre-out", 0).tolist() == [3, 2, 4, 1, 5, 0, 6]
    assert block_order(7, "out-centre", 0).tolist() == [6, 0, 5, 1, 4, 2, 3]
    assert block_order(28, "centre-out", 0).tolist()[:4] == [13, 14, 12, 15]
    drawn = [block_order(28, "random", seed).tolist() for seed in range(3)]
    assert all(sorted(order) == list(range(28)) for order in drawn)
    assert drawn[0] != drawn[1] != drawn[2]
    assert drawn[0] == block_order(28, "random", 0).tolist()


@pytest.mark.parametrize("padding", ["circular", "reflect"])
def test_blurs_are_convolutions_one_after_another(padding: str) -> None:
    D = Blur(SHAPE, timesteps=3, kernel_size=5, std=0.8, std_growth=0.5, padding=padding)  # type: ignore[arg-type]
    x = images().double()
    for t, std in enumerate((0.8, 1.3, 1.8), start=1):
        line = torch.exp(-0.5 * (torch.arange(-2.0, 3.0).double() / std) ** 2)
        kernel = torch.outer(line, line) / line.sum() ** 2
        padded = F.pad(x, (2, 2, 2, 2), mode=padding)
        x = F.conv2d(padded, kernel.expand(3, 1, 5, 5), groups=3)
        torch.testing.assert_close(D(images(), t), x.float(), rtol=0, atol=1e-6)


def test_the_paper_s_blur_of_mnist_leaves_a_mean_and_the_longest_waves() -> None:
    D = Blur((1, 28, 28))
    assert (D.T, D.modes.shape) == (20, (5, 28, 28))
    x = images()[:, :1, :, :28]
    mean = x.mean((2, 3), keepdim=True)
    assert (D(x, 20) - mean).abs().max() < 2e-3
    waves = D(x, 20) - mean - D.compose(D.describe(D(x, 20) - mean))
    assert waves.abs().max() < 2e-5


@degradations
def test_what_is_left_at_T_is_described_by_few_numbers(D: Degradation) -> None:
    modes = D.modes.flatten(1)
    torch.testing.assert_close(modes @ modes.T, torch.eye(len(modes)), rtol=0, atol=1e-5)
    x_T = D(images(), D.T)
    z = D.describe(x_T)
    assert z.shape == (5, 3 * len(modes))
    missed = x_T - D.compose(z)
    if isinstance(D, Averaging):
        assert len(modes) == D.T
        assert missed.abs().max() < 1e-5
    # A blur shrinks each wave that is left out to less than NEGLIGIBLE of its size.
    assert missed.flatten(1).norm(dim=1).max() <= NEGLIGIBLE * images().flatten(1).norm(dim=1).max()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "row"}, r"degradation: name: found 'row' \(did you mean 'rows'\?\)"),
        ({"name": "rows", "timesteps": 5}, "key 'timesteps': found 5, expected a divisor of the image's side 16"),
        ({"name": "rows", "order": "inwards"}, "key 'order': found 'inwards', expected one of 'centre-out'"),
        ({"name": "rows", "std": 2.0}, "unknown key: found 'std'"),
        ({"name": "blur", "std": 0}, "key 'std': found 0, expected more than 0 and at most 1000000"),
        ({"name": "blur", "kernel_size": 4}, "key 'kernel_size': found 4, expected an odd number from 3 to 31"),
    ],
)
def test_wrong_degradations_are_named(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(COLD | {"degradation": options}, IMAGE_SHAPE)


# --- Sampling ---------------------------------------------------------------------------------------------------------


@degradations
def test_with_a_perfect_restorer_improved_sampling_returns_x_exactly(D: Degradation) -> None:
    x = images()
    for name, step in COLD_STEPS.items():
        found = reverse_process(D(x, D.T), range(D.T, 0, -1), lambda x_t, t: Prediction(x), step(D))
        assert torch.equal(found, x), name


def test_of_a_wrong_restorer_the_improved_algorithm_forgets_less() -> None:
    """With R(x_t) = 0 everywhere, naive sampling returns 0, and improved sampling returns x_T."""
    D, x = rows(SHAPE), images()
    ends = {
        name: reverse_process(D(x, D.T), range(D.T, 0, -1), lambda x_t, t: Prediction(torch.zeros_like(x_t)), step(D))
        for name, step in COLD_STEPS.items()
    }
    assert torch.equal(ends["improved"], D(x, D.T))
    assert not ends["naive"].any()


def test_for_a_constant_drift_the_improved_algorithm_needs_no_restorer() -> None:
    """Any R undoes D(x, t) = x + t e exactly (section 3.3 of the paper)."""
    x, e, wrong = images(), images(key=1), images(key=2)
    step = COLD_STEPS["improved"](lambda x0, t: x0 + t * e)
    found = reverse_process(x + 9 * e, range(9, 0, -1), lambda x_t, t: Prediction(wrong), step)
    torch.testing.assert_close(found, x, rtol=0, atol=1e-5)


class Oracle(nn.Module):
    """A restorer that knows the answer and records the times of its calls."""

    def __init__(self, x0: Tensor) -> None:
        super().__init__()
        self.x0, self.times = x0, list[float]()

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        self.times.append(t[0].item())
        return self.x0


@pytest.fixture
def model() -> ColdDiffusion:
    """An untrained model with a density fitted to blobs."""
    torch.manual_seed(0)
    model = build(COLD, IMAGE_SHAPE).eval().requires_grad_(False)
    assert isinstance(model, ColdDiffusion)
    model.after_training(iter(blob_images(200).split(64)))
    return model


def blob_images(count: int) -> Tensor:
    return to_images(torch.from_numpy(blobs(count)[0]))


@pytest.mark.parametrize("time_input", ["index", "fraction"])
def test_reconstruction_starts_at_T_and_ends_with_a_perfect_restorer_s_image(
    model: ColdDiffusion, time_input: str
) -> None:
    model.time_input = time_input  # type: ignore[assignment]
    x = blob_images(6)
    model.restorer = Oracle(x)
    for algorithm in ("improved", "naive"):
        assert torch.equal(model.sample(Noise(torch.arange(6)), x, mode="reconstruct", method=algorithm), x)  # type: ignore[arg-type]
    assert model.restorer.times == 2 * ([3, 2, 1, 0] if time_input == "index" else [1, 0.75, 0.5, 0.25])


def test_the_loss_is_of_restored_images_at_every_time_from_1_to_T() -> None:
    x = blob_images(600)
    for name, expected in (("l1", 0.5), ("l2", 0.25)):
        model = build(COLD | {"loss": name, "time_input": "index"}, IMAGE_SHAPE)
        seen: list[int] = []

        class Off(Oracle):
            def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
                seen.extend(t.tolist())  # noqa: B023
                torch.testing.assert_close(x_t, model.degradation(self.x0, t + 1))  # noqa: B023
                return self.x0 + 0.5

        model.restorer = Off(x)
        ((submodule, loss),) = model.losses(Batch(x, torch.zeros(600, dtype=torch.int64), Noise(torch.arange(600))), 0)
        assert (submodule, loss.item()) == ("restorer", pytest.approx(expected))
        assert set(seen) == {0, 1, 2, 3}


def test_generation_starts_from_the_density_of_degraded_training_images(model: ColdDiffusion) -> None:
    x_T = model.degradation(blob_images(200), 4)
    drawn = model.draw_x_T(Noise(torch.arange(4000)), 0.0)
    torch.testing.assert_close(model.degradation(drawn, 4), drawn, rtol=0, atol=1e-6)  # the drawn ones are degraded
    for statistic in (torch.mean, torch.std):
        torch.testing.assert_close(statistic(drawn, 0), statistic(x_T, 0), rtol=0, atol=0.03)
    noisy = model.draw_x_T(Noise(torch.arange(4000)), 0.05)
    assert (noisy - drawn).std().item() == pytest.approx(0.05, rel=0.01)


def test_without_noise_a_generated_image_keeps_the_symmetry_of_its_start(model: ColdDiffusion) -> None:
    class Echo(nn.Module):
        def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
            return 3 * x_t

    model.restorer = Echo()
    still = model.sample(Noise(torch.arange(3)), noise_level=0.0)
    assert (still == still[..., :1]).all()
    by_default = model.sample(Noise(torch.arange(3)))
    assert 0.001 < by_default.std(3).max() < 0.1


def test_what_the_table_says(model: ColdDiffusion) -> None:
    assert model.condition({}) == model.condition({"mode": "generate"}) == "nothing"
    assert model.condition({"mode": "reconstruct"}) == "images"
    said = model.remarks({"mode": "reconstruct", "method": "naive"})
    assert said[0] == "starts from degraded test images: reconstruction, not generation"
    assert "test images to the training images" in said[1]
    expected = "x_T: a mixture of 2 Gaussians fitted to the 4 numbers that are left of a degraded training image"
    assert model.remarks({}) == [expected]


def test_strips_go_down_to_T_and_back(model: ColdDiffusion) -> None:
    x = blob_images(8)
    model.restorer = Oracle(x[:5])
    batch = Batch(x, torch.zeros(8, dtype=torch.int64), Noise(torch.arange(8)))
    strips = model.restoration(batch).unflatten(0, (5, 10))
    assert torch.equal(strips[:, 0], x[:5])
    assert torch.equal(strips[:, 9], x[:5])
    assert torch.equal(strips[:, 4], model.degradation(x[:5], 4))
    assert [int((row == row[..., :1]).all(-1).sum() // 4) for row in strips[0]] == [0, 1, 2, 3, 4, 3, 2, 2, 1, 0]
    strips = model.generation(batch).unflatten(0, (5, 10))
    assert strips[:, 0].std(3).max() < 0.01
    assert torch.equal(strips[:, 9], model.sample(Noise(torch.arange(5))).clamp(-1, 1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "invent"}, "key 'mode': found 'invent', expected one of 'generate', 'reconstruct'"),
        ({"method": "better"}, "key 'method': found 'better'"),
        ({"algorithm": "better"}, "key 'method': found 'better'"),  # its old name
        ({"algorithm": "naive", "method": "naive"}, "key 'algorithm': found beside 'method', its new name"),
        ({"noise_level": -1.0}, "key 'noise_level': found -1.0"),
        (
            {"mode": "reconstruct", "noise_level": 0.1},
            "key 'noise_level': found 0.1, which does nothing beside mode: reconstruct",
        ),
    ],
)
def test_wrong_samplers_are_named(model: ColdDiffusion, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=f"here: {message}"), place("here"):
        model.check_sampler(options)


def test_reconstruction_of_nothing_is_an_error(model: ColdDiffusion) -> None:
    with pytest.raises(InputError, match="mode 'reconstruct' starts from images: found none"):
        model.sample(Noise(torch.arange(2)), mode="reconstruct")
    with pytest.raises(InputError, match="key 'mixture_components': found -1"):
        build(COLD | {"mixture_components": -1}, IMAGE_SHAPE)


# --- Checkpoints ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rows", "blur"])
def test_the_order_and_the_density_lie_in_the_checkpoint(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "model.safetensors"
    degradation = {"rows": {"name": "rows", "timesteps": 16, "seed": 5}, "blur": {"name": "blur"}}[name]
    spec = {"model": COLD | {"degradation": degradation}, "training": {"steps": 1, "batch_size": 8}}
    train(spec, *blobs(64), data_sha256="d", seed=0, out=out, device=torch.device("cpu"))
    x, drawn = blob_images(64), build(spec["model"], IMAGE_SHAPE)
    # Another version of NumPy may draw another permutation from the same seed, so the checkpoint keeps its own.
    monkeypatch.setattr("genbench.processes.degradations.block_order", lambda count, order, seed: np.arange(count))
    model, _ = load_model(out)
    assert isinstance(model, ColdDiffusion)
    for t in range(1, model.degradation.T + 1):
        assert torch.equal(model.degradation(x, t), drawn.degradation(x, t))
    means = model.density.weights @ model.density.means
    torch.testing.assert_close(means, model.describe(x).mean(0), rtol=0, atol=1e-3)


def test_columns_are_rows_of_the_image_on_its_side() -> None:
    upright, lying = columns((1, 28, 28), seed=3), rows((1, 28, 28), seed=3)
    x = images()[:, :1, :, :28]
    torch.testing.assert_close(upright(x, 4), lying(x.mT, 4).mT)
