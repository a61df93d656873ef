"""All computations on a pretended GPU: no tensor is left on the CPU, and the results equal the CPU's."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ranks_worker
import torch
from entries import blobs
from launches import finish, mpiexec
from pretended_gpu import Elsewhere, pretended_gpu
from ranks_worker import ON_PRETENDED_GPU

from genbench.features import extract, load_extractor
from genbench.features.class_training import accuracy, save_classifier, train_classifier
from genbench.features.object_training import object_scores, train_object_classifier
from genbench.files import weights
from genbench.images import to_images, to_pixels
from genbench.models import Batch
from genbench.processes.noise import Noise
from genbench.sampling.batch import Condition, sample_pixels
from genbench.sampling.checkpoint import load_model
from genbench.sampling.likelihood import bits_per_dim

ADAM = {"lr": 1e-3}
SAMPLERS: dict[str, list[dict[str, Any]]] = {
    "ddpm": [{"method": method, "steps": 4} for method in ("ddpm", "ddim", "heun", "dpm-solver++")],
    "ddpm-improved": [{"method": "ddpm", "steps": 4}],
    "ddpm-labels": [{"method": "ddim", "steps": 4, "guidance": 2.0}],
    "autoencoder": [{"prior": "gaussian"}],
    "cold": [{"mode": mode, "method": how} for mode in ("generate", "reconstruct") for how in ("improved", "naive")],
    "diffusevae": [{"method": "ddim", "steps": 4}],
}


@pytest.fixture
def gpu() -> Iterator[torch.device]:
    with pretended_gpu() as device:
        yield device


def test_it_refuses_tensors_of_two_devices_as_a_gpu_does(gpu: torch.device) -> None:
    x = torch.arange(4.0, device=gpu)
    assert isinstance(x[1:].add_(1), Elsewhere)
    assert x.cpu().tolist() == [0, 2, 3, 4]
    assert (x + torch.tensor(1.0)).tolist() == [1, 3, 4, 5]  # single numbers may be on the CPU
    with pytest.raises(RuntimeError, match="found tensors of two devices"):
        x + torch.ones(4)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of every family's models, trained on the CPU and on a pretended GPU."""
    folder, threads = tmp_path_factory.mktemp("trained"), torch.get_num_threads()
    ranks_worker.train_all(folder / "cpu", 3, ADAM)
    with pretended_gpu() as device:
        ranks_worker.train_all(folder / "gpu", 3, ADAM, device)
    torch.set_num_threads(threads)
    return folder


@pytest.mark.parametrize("name", ON_PRETENDED_GPU)
def test_every_family_trains_on_a_gpu(name: str, trained: Path) -> None:
    cpu, gpu = (weights.load_tensors(trained / device / name / "model.safetensors")[0] for device in ("cpu", "gpu"))
    for key in cpu:  # within tolerance, since attention is computed differently
        torch.testing.assert_close(gpu[key], cpu[key], rtol=1e-5, atol=1e-5, msg=key)


@pytest.mark.parametrize("name", ON_PRETENDED_GPU)
def test_every_family_samples_on_a_gpu(name: str, trained: Path, gpu: torch.device) -> None:
    """Compare the samples of all its samplers, and its pictures."""
    model, _ = load_model(trained / "cpu" / name / "model.safetensors")
    images, labels = map(torch.from_numpy, blobs(50))
    seeds = torch.arange(50)
    drawn = []
    for device in (torch.device("cpu"), gpu):
        model = model.to(device)
        here = []
        for options in SAMPLERS.get(name, [{}]):
            rows = {"images": images, "labels": labels}.get(model.condition(options))
            condition = None if rows is None else Condition(rows.to(device), {})
            here.append(sample_pixels(model, seeds[:5].to(device), options, condition))
        batch = Batch(to_images(images.to(device)), labels.to(device), Noise(seeds.to(device)))
        with torch.no_grad():
            here += [to_pixels(getattr(model, picture)(batch)) for picture in model.pictures]
        drawn.append(here)
    for cpu, there in zip(*drawn, strict=True):
        assert isinstance(there, Elsewhere)
        assert int((cpu.int() - there.cpu().int()).abs().max()) <= 1  # at most one grey level


def test_likelihoods_are_computed_on_a_gpu(trained: Path, gpu: torch.device) -> None:
    model, _ = load_model(trained / "cpu" / "ddpm-improved" / "model.safetensors")
    images, _ = blobs(6)
    cpu, there = (
        bits_per_dim(model.to(device), images, steps=None, batch_size=4, device=device).bits_per_dim
        for device in (torch.device("cpu"), gpu)
    )
    assert there == pytest.approx(cpu, rel=1e-5)


def test_an_apple_gpu_computes_the_same_without_float64(trained: Path, tmp_path: Path) -> None:
    """Cover all float64 computations of genbench on other devices: noise, times, schedules, bounds, densities."""
    images, labels = blobs(40)
    names = ["autoencoder", "cold", "ddgan", "ddpm-improved"]
    with pretended_gpu(apple=True) as device:
        with pytest.raises(TypeError, match="found float64"):
            torch.ones(2, device=device).double()
        noise = [Noise(torch.arange(5, device=on), key=7).normal(3, 8) for on in ("cpu", device)]
        assert isinstance(noise[1], Elsewhere)
        assert torch.equal(noise[0], noise[1].cpu())
        assert to_images(torch.zeros(2, 4, 4, 3, dtype=torch.uint8, device=device)).is_contiguous()  # channels first
        ranks_worker.train_all(tmp_path, 3, ADAM, device, names)
        for name in names:
            path = Path(name) / "model.safetensors"
            cpu, there = (weights.load_tensors(folder / path)[0] for folder in (trained / "cpu", tmp_path))
            for key in cpu:
                torch.testing.assert_close(there[key], cpu[key], rtol=1e-5, atol=1e-5, msg=f"{name}: {key}")
            model, _ = load_model(trained / "cpu" / path, device)
            for options in SAMPLERS.get(name, [{}]):
                rows = torch.from_numpy(images).to(device) if model.condition(options) == "images" else None
                condition = None if rows is None else Condition(rows, {})
                assert sample_pixels(model, torch.arange(3, device=device), options, condition).dtype == torch.uint8
        assert np.isfinite(bits_per_dim(model, images[:4], steps=None, batch_size=4, device=device).bits_per_dim)
        train_classifier(images, labels, 4, epochs=1, device=device)


def test_features_are_taken_on_a_gpu(tmp_path: Path, gpu: torch.device) -> None:
    images, labels = blobs(60)
    on = {device: train_classifier(images, labels, 4, epochs=1, device=device) for device in ("cpu", gpu)}
    assert accuracy(on[gpu], images, labels) == accuracy(on["cpu"], images, labels)
    save_classifier(tmp_path / "classifier.safetensors", on["cpu"], {"test_accuracy": 1.0})
    for spec in (f"classifier:{tmp_path / 'classifier.safetensors'}", "efficientnet"):
        found = [extract(images, load_extractor(spec, device), 20, device)[0] for device in ("cpu", gpu)]
        np.testing.assert_allclose(found[1], found[0], rtol=1e-4, atol=1e-4)


def test_objects_are_counted_on_a_gpu(gpu: torch.device) -> None:
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 256, (32, 16, 16, 3), np.uint8), random.integers(0, 2, (32, 3))
    scores = [
        object_scores(train_object_classifier(images, labels, epochs=1, device=on), images) for on in ("cpu", gpu)
    ]
    np.testing.assert_allclose(scores[1], scores[0], rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.usefixtures("none_left")
def test_ranks_exchange_what_is_on_their_gpus(trained: Path, tmp_path: Path, warm_environment: dict[str, str]) -> None:
    """With Adam, too, two ranks train like one, except for biases before batch normalisation and its running means.

    These biases' gradients are zero except for rounding, which Adam turns into full steps.
    """
    finish(mpiexec(2, ranks_worker.__file__, tmp_path, 3, json.dumps(ADAM), "gpu", warm=warm_environment))
    for name in ON_PRETENDED_GPU:
        one, two = (weights.load_tensors(f / name / "model.safetensors")[0] for f in (trained / "cpu", tmp_path))
        chance = r"generator\.(blocks.*(conv2|shortcut)\.bias|.*running_mean)" if name == "wgan-gp" else "none"
        for key in one:
            if not re.fullmatch(chance, key):
                torch.testing.assert_close(two[key], one[key], rtol=1e-4, atol=2e-5, msg=f"{name}: {key}")
        assert json.loads((tmp_path / name / "training.json").read_text())["ranks"] == 2
