"""Records are read again, also by another version, and errors in a file are named."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from entries import MODELS, blobs
from pydantic import BaseModel, ValidationError

from genbench.errors import InputError
from genbench.files.artifacts import read_json, write_json
from genbench.records.likelihood import Likelihood
from genbench.records.metrics import Metric, Metrics
from genbench.records.objects import Objects
from genbench.records.paired import Paired
from genbench.records.plan import Plan
from genbench.records.provenance import Provenance
from genbench.records.record import Record, read_record
from genbench.records.timing import Timing
from genbench.records.training import Training
from genbench.training.folder import train

ORIGIN = {
    "genbench_commit": "8ba2e59e79cd772b70598ad6003ad7129c187f53",
    "code_sha256": "acb8f748963eb9e42245b00a63b317caf487c64d9b4c915303640bfc9338369d",
    "python": "3.11.7",
    "platform": "Linux-6.18.44-x86_64-with-glibc2.36",
    "packages": {"torch": "2.15.0", "numpy": "2.4.6"},
    "command": "train.py --seed 0",
    "time": "2026-11-27T21:46:17+00:00",
}
# Records of the suite demo as genbench 0.1 wrote them; long lists are cut.
EARLIER: list[tuple[type[Record], dict[str, Any]]] = [
    (
        Training,
        {
            "steps": 700, "images_seen": 22400, "seconds": 102.005, "images_per_second": 219.6, "batch_size": 32,
            "precision": "fp32", "device": "CPU (AMD EPYC, 1 threads)", "ranks": 1, "parameters": {"denoiser": 703076},
            "weights": "ema", "ema_decay": 0.99, "seed": 0, "resumed": 0, "peak_memory_bytes": None,
            "data_sha256": "c4" * 32, "model_sha256": "28" * 32, "history_sha256": "1d" * 32, "provenance": ORIGIN,
        },
    ),
    (
        Training,  # of a published checkpoint
        {
            "weights": "ema",
            "imported": {"format": "ddgan", "options": {}, "source": None, "files": [], "note": "generator"},
            "model_sha256": "28" * 32,
            "provenance": ORIGIN,
        },
    ),
    (
        Timing,
        {
            "num_images": 500, "timed_images": 250, "seconds": 1.194849, "images_per_second": 209.23144921623273,
            "seconds_per_50k": 238.96981160000905, "extrapolated": True, "latency_batch1_seconds": 0.05658324499995615,
            "warmup_seconds": 1.2582759869999336, "io_seconds": 0.00432169399994109, "batch_size": 250, "nfe": 5,
            "device": "CPU (AMD EPYC, 1 threads)", "ranks": 1, "precision": "int8-static", "threads": 1,
            "peak_memory_bytes": None, "seeds": "0:500",
            "options": {"step": "ddim", "steps": 5, "spacing": "trailing"},
            "condition": None, "model_sha256": "28" * 32,
            "quantisation": {
                "scheme": "int8-static", "library": "torch 2.15.0", "network_bytes": 782100,
                "network_bytes_fp32": 2823416, "conversion_seconds": 0.48603509500003383,
                "calibration": {"images": 64, "inputs": 576, "seconds": 2.6626384759999837},
            },
            "samples_sha256": "ec" * 32, "provenance": ORIGIN,
        },
    ),
    (
        Metrics,
        {
            "metrics": {
                "kid_classifier": {
                    "value": 0.3578479943419836, "std": 0.027573284339732947, "n_real": 4000, "n_fake": 500,
                    "note": "50 subsets of 300",
                },
                "memorised_classifier": {
                    "value": 0.0, "std": None, "n_real": 4000, "n_fake": 500, "note": "against 1,000 test images",
                    "nearer_than_median": 0.004,
                    "neighbours": {"index": [596, 3267], "distance": [4.028815269470215, 2.5232341289520264]},
                },
            },
            "extractors": {"classifier": {"dim": 128, "sha256": "60" * 32, "test_accuracy": 0.984}},
            "warnings": [], "reference_sha256": "48" * 32, "samples_sha256": "15" * 32, "num_real": 4000,
            "num_fake": 500, "options": {"kid_subset_size": 300, "kid_subsets": 50}, "provenance": ORIGIN,
        },
    ),
    (Metrics, {"metrics": {}, "extractors": {}, "warnings": [], "unavailable": "no float16", "options": {}}),
    (
        Paired,
        {
            "reference_sha256": "ad" * 32, "psnr": 37.23267364948319, "psnr_std": 0.7966702815656259,
            "psnr_min": 31.35641021105913, "num_images": 500, "identical_images": 0, "provenance": ORIGIN,
        },
    ),
    (
        Likelihood,
        {
            "bits_per_dim": 4.62488549665002, "standard_error": 0.08160880849557882, "prior": 2.557680765846726e-08,
            "terms": {"t": [250, 1], "bits_per_dim": [0.00025508964550681414, 1.547367525100708]}, "images": 50,
            "steps": 50, "noise_seeds": "0:50", "split": "test", "images_sha256": "39" * 32, "model_sha256": "28" * 32,
            "device": "CPU (AMD EPYC, 1 threads)", "provenance": ORIGIN,
        },
    ),
    (Objects, {"metrics": {}, "evaluator": {}, "unavailable": "no float16"}),
    (
        Plan,
        {
            "suite": "demo", "suite_argument": "demo", "title": "Digits", "description": "Small.\n",
            "dataset": {
                "name": "demo", "label": "MNIST-5k", "image_shape": [1, 28, 28], "num_classes": 10, "num_train": 4000,
                "num_test": 1000, "notes": [],
            },
            "num_samples": 500, "snapshot_samples": 500, "draws": 1, "seeds": [0],
            "evaluation": {"extractors": ["classifier"], "headline": "fd_classifier", "options": {}},
            "headline": "fd_classifier",
            "models": {
                "gan": {
                    "label": "GAN", "description": "The original.", "budget": "toy size", "seeds": [0],
                    "checkpoints": ["final"], "pictures": ["interpolation"], "family": "GAN", "about": "Two networks.",
                    "paper": "Goodfellow et al. 2014, arXiv 1406.2661", "parameters": {"generator": 234176},
                    "samplers": {
                        "default": {
                            "label": "default", "options": {}, "remarks": [], "generates": True, "quantisation": None,
                            "nfe": 1, "flops_per_nfe": 3813376, "flops_per_image": 3813376,
                        }
                    },
                    "class": "gan.GAN", "spec": {"model": {"class": "gan.GAN"}}, "training_steps": 800,
                    "training_flops_per_image": 41796608, "training_memory_bytes": 9539072,
                }
            },
            "provenance": ORIGIN,
        },
    ),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "content"), EARLIER)
def test_a_record_of_an_earlier_version_is_read_and_written_as_it_was(
    kind: type[Record], content: dict, tmp_path: Path
) -> None:
    path = tmp_path / "record.json"
    write_json(path, content)
    before = path.read_bytes()
    record = read_record(path, kind)
    write_json(path, record.content())
    assert path.read_bytes() == before  # the same keys in the same order, with the same digits
    assert kind(**content) == record  # today's writer accepts the same keys


def test_a_record_of_a_later_version_is_read_but_a_writer_states_known_keys_only(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    later = {"metrics": {"fd": {"value": 1.5, "median": 2.0}}, "colour": "blue"}
    write_json(path, later)
    assert read_record(path, Metrics) == Metrics(metrics={"fd": Metric(value=1.5)})
    with pytest.raises(ValidationError, match=r"unknown key: found 'colour'"):
        Metrics(**later)


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        (Training, {"stepss": 5}, r": unknown key: found 'stepss' \(did you mean 'steps'\?\); expected one of: batch_"),
        (Training, {"steps": "5"}, ": steps: found '5', expected an integer"),
        (Training, {"seconds": True}, ": seconds: found True, expected a number"),
        (Metrics, {}, ": key 'metrics' is missing"),
        (Metrics, {"metrics": {"fd": {}}}, ": metrics: fd: key 'value' is missing"),
        (Metrics, {"metrics": {"fd": {"value": 1, "valeu": 2}}}, ": metrics: fd: unknown key: found 'valeu'"),
        (Metrics, {"metrics": {"fd": {"value": "low"}}}, ": metrics: fd: value: found 'low', expected a number"),
        (Timing, {"nfe": 1}, ": key 'seconds_per_50k' is missing"),
        (Likelihood, {"bits_per_dim": 3.5, "terms": {"t": [1]}}, ": terms: found 1 times and 0 values"),
        (Plan, {"suite": "x", "seeds": 0, "headline": "fd", "models": {}}, ": seeds: found 0, expected a list"),
        (
            Plan,
            {"suite": "x", "seeds": [0], "headline": "fd", "models": {"a": {"clas": "gan.GAN"}}},
            r": models: a: unknown key: found 'clas' \(did you mean 'class'\?\)",
        ),
        (Plan, [], ": expected a JSON object, found list"),
    ],
)
def test_what_is_wrong_in_a_file_made_by_hand_is_named(
    kind: type[Record], content: Any, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "record.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=re.escape(str(path)) + message) as caught:
        read_record(path, kind)
    assert "\n" not in str(caught.value)


def test_a_file_that_was_changed_by_hand_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "training.json"
    write_json(path, Training(steps=700).content())
    path.write_text(path.read_text().replace("700", "800"))
    with pytest.raises(InputError, match=r"training\.json: damaged, or changed by hand"):
        read_record(path, Training)


def test_every_key_is_explained_in_words() -> None:
    waiting: list[type[BaseModel]] = [Record]
    found = 0
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        for name, field in kind.model_fields.items():
            assert field.description, f"{kind.__name__}: {name}"
            found += 1
    assert found > 100


def test_where_a_file_comes_from_is_a_record() -> None:
    origin = Provenance.collect("numpy", "no-such-package")
    assert list(origin.packages) == ["numpy"]
    assert origin.code_sha256 is not None
    assert len(origin.code_sha256) == 64
    assert list(origin.content()) == Provenance.keys()


def test_a_training_writes_every_key_of_its_record(tmp_path: Path) -> None:
    images, labels = blobs(16)
    spec = {"model": MODELS["vae"], "training": {"steps": 2, "batch_size": 8}}
    out = tmp_path / "model.safetensors"
    train(spec, images, labels, data_sha256="d", seed=3, out=out, device=torch.device("cpu"))
    written = read_json(tmp_path / "training.json")
    assert set(Training.keys()) - set(written) == {
        "imported",
        "compile_seconds",
        "flops",
        "ema_lengths",
        "first_stage_sha256",
    }  # keys of other trainings
    record = Training(**written)
    assert (record.steps, record.images_seen, record.seed, record.ema_decay) == (2, 16, 3, 0.0)
