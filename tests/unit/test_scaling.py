"""A smaller version of a suite: what is scaled, what is not, and that its results are kept apart from the suite's."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from genbench.errors import InputError
from genbench.machine.checkout import ROOT
from genbench.suites import runs
from genbench.suites.config import Config
from genbench.suites.load import load_suite
from genbench.suites.scaling import evaluations

NETWORK = {"class": "unet.UNet", "channels": 16, "norm_groups": 8}
SUITE: dict[str, Any] = {
    "title": "Toy",
    "dataset": {"source": "demo"},
    "num_samples": 40000,
    "evaluation": {"options": {"kid_subset_size": 300}},
    "models": {
        "ddpm": {
            "model": {"class": "diffusion.Diffusion", "denoiser": NETWORK},
            "training": {
                "steps": 2000,
                "batch_size": 32,
                "ema_decay": 0.999,
                "validate_every": 100,
                "optimizer": {"warmup_steps": 500, "decay": "cosine", "decay_steps": 1500},
            },
            "snapshots": [0, *range(100, 2000, 100)],
            "samplers": {"all": {"method": "ddpm"}, "ddim-20": {"method": "ddim", "steps": 20}},
            "quantisation": {"sampler": "all", "schemes": ["bf16"]},
            "published": [{"quantity": "fd_classifier", "value": 3.0, "source": "somebody"}],
            "budget": "toy size",
        },
        "vae": {
            "model": {"class": "vae.VAE", "latent_size": 8, "kl_anneal_steps": 400},
            "training": {"flops": 2.0e13, "batch_size": 32},
        },
    },
}


def load(folder: Path, suite: dict[str, Any], **config: Any) -> dict[str, Any]:
    path = folder / "toy.yaml"
    path.write_text(yaml.safe_dump(suite))
    return load_suite(path, Config.complete({"suite": "toy", **config}, "config"))


def test_everything_in_iterations_is_scaled_with_the_training(tmp_path: Path) -> None:
    suite = load(tmp_path, SUITE, scale=0.1)
    training = suite["models"]["ddpm"]["training"]
    assert training["optimizer"] == {"warmup_steps": 50, "decay": "cosine", "decay_steps": 150}
    assert (training["steps"], training["log_every"], training["validate_every"]) == (200, 5, 10)
    assert training["ema_decay"] ** 200 == pytest.approx(0.999**2000)  # equal share of the start at the end
    assert suite["models"]["ddpm"]["snapshots"] == [0, 40, 80, 120, 160]
    vae = suite["models"]["vae"]
    assert (vae["training"]["flops"], vae["model"]["kl_anneal_steps"]) == (2.0e12, 40)


def test_a_scaled_row_is_never_taken_for_the_suites(tmp_path: Path) -> None:
    whole, small = load(tmp_path, SUITE), load(tmp_path, SUITE, scale=0.01)
    assert (small["name"], small["title"]) == ("toy-scale-0.01", "Toy, at scale 0.01")
    assert not set(runs.results(whole)) & set(runs.results(small))
    assert small["description"].startswith("A smaller version of the suite toy, not its results: 0.01 of each training")
    assert small["models"]["ddpm"]["budget"] == "scale 0.01 of 2,000 iterations; toy size"
    assert small["models"]["vae"]["budget"] == "scale 0.01 of 2e+13 FLOPs"
    assert small["models"]["ddpm"]["published"] == []
    assert "scaling" not in whole  # a key that changes no result must not change a job's parameters


def test_long_samplers_go_with_what_is_compared_with_them(tmp_path: Path) -> None:
    entry = load(tmp_path, SUITE, scale=0.01)["models"]["ddpm"]
    assert list(entry["samplers"]) == ["ddim-20"]
    assert "quantisation" not in entry
    suite = copy.deepcopy(SUITE)
    suite["models"]["ddpm"]["samplers"] = {"all": {"method": "ddpm"}, "half": {"method": "heun", "steps": 400}}
    assert list(load(tmp_path, suite, scale=0.01)["models"]["ddpm"]["samplers"]) == ["half"]  # a model's shortest stays
    suite["scaling"] = {"evaluations": None}
    assert len(load(tmp_path, suite, scale=0.01)["models"]["ddpm"]["samplers"]) == 3


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, 1000), ({"steps": 20}, 20), ({"respacing": "50,30,20"}, 100), ({"respacing": "ddim50"}, 50)],
)
def test_evaluations_are_known_without_a_network(options: dict[str, Any], expected: int) -> None:
    entry = {"model": {"class": "diffusion.Diffusion"}, "samplers": {"x": options}}
    assert evaluations(entry, "x") == expected
    twice = entry["samplers"] | {"x": options | {"method": "midpoint", "guidance": 2.0}}
    assert evaluations(entry | {"samplers": twice}, "x") == 4 * expected
    assert evaluations(entry | {"model": {"class": "gan.GAN"}}, "x") == (options.get("steps") or expected % 1000 or 1)


def test_steps_of_a_sampler_in_a_model_are_not_those_of_its_training() -> None:
    suite = load_suite(ROOT / "suites/modern-demo.yaml", {"scale": 0.1})
    assert suite["models"]["reflow"]["model"]["pair_steps"] == 5
    assert suite["models"]["reflow"]["training"]["steps"] == 15


def test_samples_are_as_few_as_the_metrics_allow(tmp_path: Path) -> None:
    small = load(tmp_path, SUITE, scale=0.01)
    assert (small["num_samples"], small["evaluation"]["options"]["kid_subset_size"]) == (400, 300)
    fewer = load(tmp_path, SUITE, scale=0.001)
    assert (fewer["num_samples"], fewer["evaluation"]["options"]["kid_subset_size"]) == (129, 129)
    assert "129 of 40,000 samples of each, the fewest that fd_classifier is defined for" in fewer["description"]
    assert fewer["models"]["vae"]["sample_batch_size"] == 129
    both = copy.deepcopy(SUITE)
    both["evaluation"]["extractors"] = ["classifier", "inception-clean"]
    assert load(tmp_path, both, scale=0.01)["num_samples"] == 2049
    assert load(tmp_path, both, scale=0.01, extractors=["classifier"])["num_samples"] == 400
    assert load(tmp_path, both, scale=0.01, num_samples=77)["num_samples"] == 77  # refused later, by the suite's check


def test_a_suite_says_what_may_be_scaled(tmp_path: Path) -> None:
    kept = load(tmp_path, SUITE | {"scaling": {"samples": False}}, scale=0.01)
    assert (kept["num_samples"], kept["models"]["ddpm"]["training"]["steps"]) == (40000, 20)
    kept = load(tmp_path, SUITE | {"scaling": {"training": False}}, scale=0.01)
    assert (kept["num_samples"], kept["models"]["ddpm"]["training"]["steps"]) == (400, 2000)
    with pytest.raises(InputError, match=r"config: scale: found 0.01, but .*toy.yaml does not allow scaling"):
        load(tmp_path, SUITE | {"scaling": {"samples": False, "training": False}}, scale=0.01)


def test_extractors_of_the_command_line_leave_the_rest_out(tmp_path: Path) -> None:
    suite = load_suite(ROOT / "suites/cifar10.yaml", {"extractors": ["inception-legacy"]})
    assert (suite["name"], suite["evaluation"]["extractors"]) == ("cifar10", ["inception-legacy"])
    assert suite["evaluation"]["headline"] == "fid_legacy"
    assert load_suite(ROOT / "suites/mnist.yaml", {"extractors": ["classifier"]})["evaluation"]["headline"] == (
        "fd_classifier"
    )


def test_the_default_batch_is_no_larger_than_the_sample_set(tmp_path: Path) -> None:
    assert load(tmp_path, SUITE, num_samples=300)["models"]["vae"]["sample_batch_size"] == 300
    assert load(tmp_path, SUITE)["models"]["vae"]["sample_batch_size"] == 500
    stated = copy.deepcopy(SUITE)
    stated["models"]["vae"]["sample_batch_size"] = 450
    assert load(tmp_path, stated, num_samples=300)["models"]["vae"]["sample_batch_size"] == 450


def test_options_go_with_the_metrics_that_read_them(tmp_path: Path) -> None:
    suite = copy.deepcopy(SUITE)
    suite["evaluation"] = {"classifier": {"epochs": 1}, "options": {"splits": 5, "nearest_k": 3}}
    chosen = load(tmp_path, suite, extractors=["efficientnet"])["evaluation"]
    assert chosen["options"] == {"nearest_k": 3}
    assert "epochs" not in chosen["classifier"]
    suite["evaluation"] = {"without": ["kid", "fd"], "headline": "precision_classifier"}
    assert "kid_subset_size" not in load(tmp_path, suite, scale=0.01)["evaluation"]["options"]
