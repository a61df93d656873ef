"""Averages of weights whose length is chosen after the training: their profiles, and combinations of kept averages."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from entries import DDPM, EDM, VAE, blobs
from scipy.integrate import quad

from genbench.errors import InputError
from genbench.files.weights import load_tensors
from genbench.models import build
from genbench.processes.averages import coefficients, exponent, kept_share, overlaps
from genbench.sampling.checkpoint import load_model
from genbench.sampling.draw import draw_samples
from genbench.suites.described import check_averages
from genbench.training.batches import Batches
from genbench.training.folder import train
from genbench.training.recipe import TrainConfig
from genbench.training.trainer import Trainer

CPU = torch.device("cpu")
RECIPE = {"steps": 16, "batch_size": 8, "precision": "fp32", "optimizer": {"lr": 1e-2}}
TWO = {"ema_lengths": [0.05, 0.1], "ema_snapshots": 8}


def profile(length: float, end: float):
    """The profile p(tau) of the power function with this standard deviation, from its exponent gamma."""
    gamma = exponent(length)
    return lambda tau: (gamma + 1) * tau**gamma / end ** (gamma + 1) if tau <= end else 0.0


@pytest.mark.parametrize("length", [0.02, 0.05, 0.1, 0.25])
def test_a_length_is_the_standard_deviation_of_its_profile(length: float) -> None:
    p = profile(length, 1)
    total, mean, square = (quad(lambda tau, k=k: tau**k * p(tau), 0, 1)[0] for k in range(3))
    assert total == pytest.approx(1)
    assert math.sqrt(square - mean**2) == pytest.approx(length)


def test_step_by_step_the_shares_of_an_average_are_its_profile() -> None:
    shares = np.zeros(60)
    for step in range(1, 61):
        shares *= kept_share(0.1, step)
        shares[step - 1] += 1 - kept_share(0.1, step)
    expected = [quad(profile(0.1, 60), step - 1, step)[0] for step in range(1, 61)]
    np.testing.assert_allclose(shares, expected, atol=1e-9)


def test_overlaps_are_integrals_of_products_of_profiles() -> None:
    steps, lengths = [30, 50, 80, 50], [0.05, 0.1, 0.1, 0.2]
    found = overlaps(steps, lengths, 50, 0.1)
    aim = profile(0.1, 50)
    for one, step, p in zip(found, steps, map(profile, lengths, steps), strict=True):
        assert one == pytest.approx(quad(lambda tau, p=p: p(tau) * aim(tau), 0, min(step, 50))[0], rel=1e-6)


def test_coefficients_are_those_of_least_squares() -> None:
    steps, lengths = [step for step in range(100, 1001, 100) for _ in range(2)], [0.05, 0.1] * 10
    found = coefficients(steps, lengths, 1000, 0.15)
    tau = np.arange(1000) + 0.5
    columns = np.stack([[profile(length, step)(at) for at in tau] for step, length in zip(steps, lengths, strict=True)])
    aim = np.array([profile(0.15, 1000)(at) for at in tau])
    fitted, *_ = np.linalg.lstsq(columns.T, aim, rcond=None)
    assert found.sum() == pytest.approx(1)
    assert np.linalg.norm(found @ columns - aim) < 0.03 * np.linalg.norm(aim)
    assert np.linalg.norm(found @ columns - aim) < 1.1 * np.linalg.norm(fitted @ columns - aim) + 1e-6
    itself = [float(kept == (600, 0.1)) for kept in zip(steps, lengths, strict=True)]
    np.testing.assert_allclose(coefficients(steps, lengths, 600, 0.1), itself, atol=1e-6)


# --- Trainings --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models of trainings that are the same except for the averages that they keep."""
    images, labels = blobs(32)
    found = {}
    for name, averages in {"two": TWO, "one": {"ema_lengths": [0.07], "ema_snapshots": 1}, "raw": {}}.items():
        found[name] = tmp_path_factory.mktemp(name) / "model.safetensors"
        spec = {"model": EDM, "training": RECIPE | averages}
        train(spec, images, labels, data_sha256="d", seed=0, out=found[name], snapshots=[8], device=CPU)
    return found


def distance(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> float:
    return math.sqrt(sum((one[name] - two[name]).double().square().sum().item() for name in one))


def test_one_training_gives_the_average_of_each_length(trained: dict[str, Path]) -> None:
    weights = {name: load_tensors(path)[0] for name, path in trained.items()}
    made = load_model(trained["two"], ema_length=0.07)[0].state_dict()
    apart = distance(weights["one"], weights["raw"])
    assert apart > 0.1
    assert distance(made, weights["one"]) < 0.02 * apart
    for length, tracked in ((0.05, weights["two"]), (0.1, load_tensors(average_at(trained["two"], 16))[0])):
        made, info = load_model(trained["two"], ema_length=length)
        for name, value in made.state_dict().items():
            torch.testing.assert_close(value, tracked.get(name, tracked.get(f"0.1:{name}")), rtol=1e-4, atol=1e-5)
        assert info["ema_length"] == length


def average_at(path: Path, step: int) -> Path:
    return path.parent / f"snapshots/averages-{step}.safetensors"


def test_of_a_snapshot_the_average_ends_there(trained: dict[str, Path]) -> None:
    snapshot = trained["two"].parent / "snapshots/8.safetensors"
    tracked = load_tensors(average_at(trained["two"], 8))[0]
    for name, value in load_model(snapshot, ema_length=0.1)[0].state_dict().items():
        torch.testing.assert_close(value, tracked[f"0.1:{name}"], rtol=1e-4, atol=1e-5)


def test_samples_are_drawn_with_the_length_that_a_sampler_names(trained: dict[str, Path], tmp_path: Path) -> None:
    records = [
        draw_samples(trained["two"], tmp_path / f"{number}.npz", {"steps": 2} | sampler, seeds=range(4), batch_size=4)
        for number, sampler in enumerate(({}, {"ema_length": 0.05}, {"ema_length": 0.2}))
    ]
    assert [record.ema_length for record in records if record] == [None, 0.05, 0.2]
    for key in ("model_sha256", "samples_sha256"):
        assert len({getattr(record, key) for record in records[1:]}) == 2
    with pytest.raises(InputError, match=r"key 'ema_length': found 0\.1, but .* has averages after no steps"):
        load_model(trained["raw"], ema_length=0.1)
    with pytest.raises(InputError, match=r"sampler: key 'ema_length': found 0\.5, expected a number above 0, at most"):
        draw_samples(trained["two"], tmp_path / "x.npz", {"ema_length": 0.5})
    (damaged := tmp_path / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(InputError, match=rf"^{damaged}: not a readable safetensors file "):  # the file, only once
        draw_samples(damaged, tmp_path / "x.npz", {"ema_length": 0.05})


def test_averages_of_another_training_go_when_this_one_is_published(tmp_path: Path) -> None:
    images, labels = blobs(16)
    for steps, kept in ((6, [2, 4, 6]), (4, [1, 3, 4])):
        spec = {"model": VAE, "training": RECIPE | {"steps": steps, "ema_lengths": [0.1], "ema_snapshots": 3}}
        train(spec, images, labels, data_sha256="d", seed=0, out=tmp_path / "model.safetensors", device=CPU)
        found = sorted(path.name for path in (tmp_path / "snapshots").glob("averages-*"))
        assert found == [f"averages-{step}.safetensors" for step in kept]


def test_a_resumed_training_goes_on_with_its_averages() -> None:
    images, labels = blobs(16)
    config = TrainConfig.from_entry(RECIPE | TWO)

    def trainer() -> Trainer:
        torch.manual_seed(0)
        return Trainer(build(VAE, (1, 16, 16)), config, Batches(images, labels, 0, config, CPU), 0, CPU)

    whole, first, second = trainer(), trainer(), trainer()
    for _ in range(4):
        whole.advance()
    for _ in range(2):
        first.advance()
    tensors, info = first.state()
    second.restore({name: value.clone() for name, value in tensors.items()}, info)
    for _ in range(2):
        second.advance()
    assert second.result is second.averages[0.05]
    for length, average in whole.averages.items():
        for name, value in average.state_dict().items():
            assert torch.equal(value, second.averages[length].state_dict()[name])


def test_what_cannot_be_averaged_is_refused() -> None:
    for recipe, message in (
        ({"ema_lengths": [0.1], "ema_decay": 0.9}, r"key 'ema_lengths': found \[0\.1\] beside ema_decay 0\.9"),
        ({"ema_lengths": [0.1, 0.1]}, "expected each length once"),
        ({"ema_lengths": [0.4]}, "ema_lengths"),
        ({"ema_snapshots": 4}, "key 'ema_snapshots': found 4, which does nothing without ema_lengths"),
    ):
        with pytest.raises(InputError, match=message):
            TrainConfig.from_entry(RECIPE | recipe)
    ddpm, vae = build(DDPM, (1, 16, 16)), build(VAE, (1, 16, 16))
    check_averages(ddpm, {"training": TWO}, 0.1)
    for model, training in ((ddpm, {"ema_lengths": [0.1]}), (ddpm, {}), (vae, TWO)):
        with pytest.raises(InputError, match=r"key 'ema_length': found 0\.1"):
            check_averages(model, {"training": training}, 0.1)
