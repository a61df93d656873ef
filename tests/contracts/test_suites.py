"""Suites and preflight: before training, every fault is reported with file, entry and key."""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
import yaml
from entries import IMAGE_SUITES, MODELS

from genbench.data import Description
from genbench.errors import InputError
from genbench.files.artifacts import sha256_json
from genbench.models import build, count_parameters
from genbench.records.plan import Plan
from genbench.suites.checked import Checked
from genbench.suites.config import Config
from genbench.suites.load import PROSE, find_suite, load_suite
from genbench.suites.preflight import preflight

ROOT = Path(__file__).parents[2]
# Without suites that need other projects' files: see test_calibration.py.
SUITES = [path for path in IMAGE_SUITES if not load_suite(path)["files"]]
TRAINING = {"steps": 10, "batch_size": 8}
SUITE = {
    "title": "Toy",
    "dataset": {"source": "demo"},
    "num_samples": 1000,
    "models": {
        "vae": {"model": MODELS["vae"], "training": dict(TRAINING)},
        "ddpm": {
            "model": MODELS["ddpm"] | {"denoiser": MODELS["ddpm"]["denoiser"] | {"attention_resolutions": [7]}},
            "training": dict(TRAINING),
            "samplers": {"ddpm": {}, "ddim": {"method": "ddim", "steps": 5}},
            "snapshots": [5],
        },
    },
}


def changed(path: str, value: object) -> dict:
    """Return SUITE with the value at a dotted path replaced, or removed if `value` is `...`."""
    suite = copy.deepcopy(SUITE)
    *parents, last = path.split(".")
    part = suite
    for parent in parents:
        part = part.setdefault(parent, {})
    if value is ...:
        del part[last]
    else:
        part[last] = value
    return suite


def checked(tmp_path: Path, suite: dict) -> Plan:
    path = tmp_path / "toy.yaml"
    path.write_text(yaml.safe_dump(suite))
    return preflight(load_suite(path), str(tmp_path), str(path))


class Shared(Checked):
    """Findings for all suites' entries. An entry that suites share, with equally many images, is built once."""

    found: ClassVar[dict[str, Mapping[str, Any]]] = {}

    def key(self, entry: Mapping[str, Any], data: Description) -> str:
        """The entry without its texts, and the properties of the data set that it depends on."""
        seen = data.image_shape, data.num_classes, data.num_train, data.num_test, data.multi_label
        return sha256_json([{key: value for key, value in entry.items() if key not in PROSE}, seen])

    def find(self, name: str, key: str, costs: bool) -> dict[str, Any] | None:
        return copy.deepcopy(self.found.get(key))

    def keep(self, name: str, key: str, costs: bool, found: Mapping[str, Any]) -> None:
        self.found[key] = copy.deepcopy(found)

    def hold(self, facts: Mapping[str, Any]) -> None: ...


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_every_entry_of_every_suite_builds_runs_and_samples_at_full_size(path: Path, tmp_path: Path) -> None:
    suite = load_suite(path)
    result = preflight(suite, str(tmp_path), str(path), Shared(suite, tmp_path, tmp_path))
    for model in result.models.values():
        assert sum(model.parameters.values()) > 0
        assert model.training_memory_bytes > 16 * sum(model.parameters.values())
        for sampler in model.samplers.values():
            if "tolerance" in sampler.options:  # its number of steps is adaptive
                assert sampler.nfe is sampler.flops_per_image is sampler.walk is None
                continue
            assert sampler.nfe >= 1
            assert sampler.flops_per_image >= sampler.flops_per_nfe * sampler.nfe * 0.99
    json.dumps(result.content(), allow_nan=False)


def test_preflight_counts_parameters_flops_and_nfe(tmp_path: Path) -> None:
    suite = changed(
        "models.ddpm",
        {
            "model": {"class": "diffusion.Diffusion", "denoiser": {"class": "unet.UNet", "channel_mult": [1, 2, 2]}},
            "training": dict(TRAINING),
            "samplers": {"all": {}, "few": {"method": "ddim", "steps": 7}},
        },
    )
    result = checked(tmp_path, suite).models
    samplers = result["ddpm"].samplers
    assert (samplers["all"].nfe, samplers["few"].nfe) == (1000, 7)
    assert samplers["few"].flops_per_image == 7 * samplers["few"].flops_per_nfe
    # The decoder of the VAE: a linear layer and the convolutions, two FLOPs per multiplication.
    c = 8
    linear = 4 * 8 * c * 16
    transposed = sum(a * b * 16 * side * side for a, b, side in [(8 * c, 4 * c, 4), (4 * c, 2 * c, 8), (2 * c, c, 16)])
    last = c * 1 * 9 * 32 * 32
    assert result["vae"].samplers["default"].flops_per_image == 2 * (linear + transposed + last)


def test_the_networks_of_cifar10s_diffusion_models_have_the_published_sizes() -> None:
    models = load_suite(ROOT / "suites/cifar10.yaml")["models"]
    sizes = {}
    for name in ("ddpm", "ddpm-tutorial", "iddpm-simple", "iddpm-hybrid", "iddpm-vlb"):
        with torch.device("meta"):
            sizes[name] = count_parameters(build(models[name]["model"], (3, 32, 32)))["denoiser"]
    assert sizes == {
        "ddpm": 35_746_307,
        "ddpm-tutorial": 113_673_219,
        "iddpm-simple": 52_542_979,
        "iddpm-hybrid": 52_546_438,
        "iddpm-vlb": 52_546_438,
    }


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("models.vae.likelihood", {}, "vae: likelihood: found a model of class VAE, which bounds no likelihood of"),
        ("models.ddpm.likelihood", {"steps": 5000}, "ddpm: likelihood: key 'steps': found 5000, expected 1 to 20"),
        ("models.ddpm.likelihood", {"image": 5}, r"likelihood: unknown key: found 'image' \(did you mean 'images'"),
        ("titel", "x", r"toy.yaml: unknown key: found 'titel' \(did you mean 'title'\?\)"),
        ("title", ..., r"toy.yaml: key 'title' is missing"),
        ("models", {}, r"toy.yaml: models: "),
        ("num_samples", "many", r"toy.yaml: num_samples: found 'many', expected an integer"),
        (
            "models.vae.trainning",
            {},
            r"toy.yaml: models: vae: unknown key: found 'trainning' \(did you mean 'training'",
        ),
        (
            "models.vae.model.class",
            "vae.VAF",
            r"toy.yaml: models: vae: model: class in genbench.models.vae: found 'VAF'",
        ),
        ("models.vae.model.latent", 3, r"toy.yaml: models: vae: model: unknown key: found 'latent' .*expected one of"),
        ("models.vae.training.lr", 1, r"toy.yaml: models: vae: training: unknown key: found 'lr'"),
        (
            "models.vae.training.optimizer",
            {"lr": "1e-3"},
            r"toy.yaml: models: vae: training: optimizer: key 'lr': found '1e-3'",
        ),
        (
            "models.vae.samplers",
            {"x": {"method": "ddim"}},
            r"toy.yaml: models: vae: samplers: x: unknown key: found 'method'",
        ),
        (
            "models.ddpm.samplers.ddim.steps",
            5000,
            r"toy.yaml: models: ddpm: samplers: ddim: .*found 5000, expected 1 to 20",
        ),
        ("models.ddpm.snapshots", [99], r"toy.yaml: models: ddpm: snapshots: found step 99, expected steps below"),
        ("models.ddpm.model.denoiser.patch_size", 3, r"toy.yaml: models: ddpm: model: denoiser: UNet: image side 28"),
        ("models.a/b", {"model": MODELS["vae"], "training": dict(TRAINING)}, r"toy.yaml: models.*'a/b'"),
        (
            "models.real",
            {"model": MODELS["vae"], "training": dict(TRAINING)},
            r"toy.yaml: models: found the name 'real'",
        ),
        ("dataset.source", "mnits", r"toy.yaml: .*'mnits'"),
        ("dataset.size", 3, r"toy.yaml: .*size"),
        ("evaluation.extractors", ["inseption"], r"toy.yaml: evaluation: extractors: found 'inseption'"),
        ("evaluation.headline", "fid", r"toy.yaml: evaluation: headline: found 'fid'.*fd_classifier"),
        (
            "evaluation.options",
            {"kid_subsetsize": 1},
            r"toy.yaml: evaluation: options: unknown key: found 'kid_subsetsize'",
        ),
        ("num_samples", 100, r"toy.yaml: num_samples: found 100, expected at least 1000"),
        ("snapshot_samples", 90, r"toy.yaml: snapshot_samples: found 90, expected at least 1000"),
        ("models.vae.ranks", 9, r"toy.yaml: models: vae: ranks: found 9 processes \(ranks\) for 8 images at once"),
        ("models.vae.gpus", 9, r"toy.yaml: models: vae: gpus: found 9 processes \(ranks\) for 8 images at once"),
        ("models.vae.ranks", 0, r"toy.yaml: models: vae: ranks: found 0, expected at least 1"),
        ("models.vae.snapshots", {"each": 5}, r"toy.yaml: models: vae: snapshots: unknown key: found 'each'"),
        ("models.vae.snapshots", 5, r"toy.yaml: models: vae: snapshots: found 5, expected a list or a mapping"),
        ("num_samples", 1000.0, r"toy.yaml: num_samples: found 1000.0, expected an integer"),
        ("num_samples", True, r"toy.yaml: num_samples: found True, expected an integer"),
        ("seeds", [0, 0], r"toy.yaml: seeds: found 0 twice, expected it once"),
        ("models.vae.label", None, r"toy.yaml: models: vae: label: found None, expected a string"),
        ("evaluation.classifier", {"min_accuracy": 2}, r"classifier: min_accuracy: found 2, expected at most 1"),
        ("models.vae.pictures", ["strips"], r"toy.yaml: models: vae: pictures: found 'strips'.*reconstructions"),
        ("models.ddpm.training.validate_evry", 5, r"toy.yaml: models: ddpm: training: unknown key"),
        (
            "models.vae.model.priors",
            ["standart"],
            r"toy.yaml: models: vae: model: key 'priors': found \['standart'\], expected a list of one of 'standard'",
        ),
        (
            "models.vae.samplers",
            {"x": {"prior": "mixture"}},
            r"toy.yaml: models: vae: samplers: x: key 'prior': found 'mixture', expected one of the model's priors",
        ),
    ],
)
def test_one_wrong_thing_is_one_clear_error(path: str, value: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as caught:
        checked(tmp_path, changed(path, value))
    assert "\n" not in str(caught.value)


def test_a_name_that_leaves_its_folder_is_refused(tmp_path: Path) -> None:
    for name in ("..", "../x", ".hidden", "a b", "$(touch x)", "x;y", "-rf", ""):
        with pytest.raises(InputError, match=r"toy\.yaml"):
            checked(tmp_path, changed("dataset.name", name))


def test_yaml_s_own_errors_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    for text in ("title: [", "title: a\ntitle: b\n", "!!python/object/apply:os.system [echo]", "- 1"):
        path.write_text(text)
        with pytest.raises(InputError, match=r"broken\.yaml: ") as caught:
            load_suite(path)
        assert "\n" not in str(caught.value)


def test_unknown_suites_and_config_keys_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"config: key 'suite': found 'dmeo' \(did you mean 'demo'\?\)"):
        find_suite("dmeo")
    with pytest.raises(InputError, match=r"missing\.yaml: no such file"):
        load_suite(tmp_path / "missing.yaml")
    with pytest.raises(InputError, match=r"config: unknown key: found 'sweet'"):
        Config.complete({"suite": "demo", "sweet": 1}, "config")
    with pytest.raises(InputError, match=r"config: device: .*'tpu'"):
        Config.complete({"suite": "demo", "device": "tpu"}, "config")


def test_snapshots_at_regular_steps_and_with_fewer_samples(tmp_path: Path) -> None:
    path = tmp_path / "toy.yaml"
    suite = changed("models.vae.snapshots", {"every": 3}) | {"num_samples": 5000, "snapshot_samples": 2000}
    path.write_text(yaml.safe_dump(suite))
    loaded = load_suite(path)
    assert loaded["models"]["vae"]["snapshots"] == [3, 6, 9]
    assert loaded["snapshot_samples"] == 2000
    assert load_suite(path, {"num_samples": 1000})["snapshot_samples"] == 1000


def test_the_configuration_wins_over_the_suite(tmp_path: Path) -> None:
    path = tmp_path / "toy.yaml"
    path.write_text(yaml.safe_dump(SUITE))
    config = Config.complete({"suite": "x", "seeds": [3, 4]}, "config")
    suite = load_suite(path, config)
    assert (suite["seeds"], suite["num_samples"], suite["name"]) == ([3, 4], 1000, "toy")
    assert suite["models"]["vae"] == SUITE["models"]["vae"] | {
        "label": "vae", "description": "", "snapshots": [], "pictures": [], "published": [],
        "samplers": {"default": {}}, "sample_batch_size": 500, "ranks": 1, "gpus": 1,
    }  # fmt: skip
