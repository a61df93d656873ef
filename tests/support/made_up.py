"""Results with made-up numbers, as the rules write them, and the parts of a page that tests check."""

import base64
import hashlib
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from PIL import Image

from genbench.files.artifacts import write_json
from genbench.records.metrics import Metric, Metrics
from genbench.records.plan import Plan
from genbench.records.speed import SamplerSpeed, Speed
from genbench.records.timing import Timing
from genbench.records.training import Training
from genbench.reporting.averages import compare, final_rows
from genbench.reporting.columns import comparison_columns
from genbench.reporting.publish import publish, publish_index
from genbench.reporting.report import Report
from genbench.reporting.results import read_results
from genbench.reporting.table import Table

ROOT = Path(__file__).parents[2]

# label, family, {sampler: (NFE, seconds for 50k, FD, precision, recall)}, {submodule: parameters}, {metric of training}
MODELS = {
    "gan": (
        "GAN",
        "GAN",
        {"default": (1, 31.2, 61.3, 0.61, 0.42)},
        {"generator": 442_000, "discriminator": 260_000},
        [],
    ),
    "lsgan": (
        "LSGAN",
        "GAN",
        {"default": (1, 30.9, 55.8, 0.64, 0.44)},
        {"generator": 442_000, "discriminator": 260_000},
        [],
    ),
    "wgan-gp": (
        "WGAN-GP",
        "GAN",
        {"default": (1, 78.4, 38.2, 0.7, 0.58)},
        {"generator": 391_000, "discriminator": 301_000},
        [],
    ),
    "autoencoder": (
        "Autoencoder",
        "VAE",
        {"default": (1, 14.1, 96.4, 0.48, 0.31)},
        {"autoencoder": 213_000},
        ["reconstruction"],
    ),
    "vae": ("VAE", "VAE", {"default": (1, 14.3, 44.9, 0.72, 0.4)}, {"autoencoder": 213_000}, ["reconstruction", "kl"]),
    "ddpm": (
        "DDPM",
        "Diffusion",
        {
            "ddpm-100": (100, 4210.0, 11.7, 0.81, 0.74),
            "ddim-25": (25, 1067.0, 13.9, 0.83, 0.7),
            "dpm-solver-10": (10, 436.0, 14.6, 0.83, 0.69),
        },
        {"denoiser": 512_000},
        [],
    ),
    "cold": ("Cold diffusion", "Cold diffusion", {"blur-20": (20, 861.0, 29.5, 0.66, 0.49)}, {"denoiser": 512_000}, []),
}
PROVENANCE = {
    "genbench_commit": "5f0c1f3a9b8e4d2c7a6b5e4f3d2c1b0a99887766",
    "code_sha256": "ab" * 32,
    "python": "3.11.7",
    "platform": "Linux-6.1-x86_64-with-glibc2.36",
    "packages": {"torch": "2.8.0", "numpy": "2.3.1"},
    "command": "sample.py",
    "time": "2025-01-02T03:04:05+00:00",
}
CHECKPOINTS = {"ddpm": ["step-300", "final"], "lsgan": ["step-200", "step-400", "final"]}
PICTURES = {
    "gan": ["interpolation"],
    "vae": ["reconstructions", "interpolation"],
    "ddpm": ["denoising", "denoising_strip"],
}
PRIOR = "prior: a Gaussian fitted to the latents of the training images"
STAND_IN = "features of a classifier of this data set, a stand-in for Inception's: no FID"
DEVICE = "CPU (toy processor, 1 thread)"


def write_grid(path: Path, images: np.ndarray) -> None:
    """Write a grid of images, uint8 (N, H, W), without torch: ten tiles per row, white gaps of two pixels."""
    count, height, width = images.shape
    rows = -(-count // 10)
    sheet = np.full((rows * (height + 2) - 2, 10 * (width + 2) - 2, 3), 255, np.uint8)
    for i, image in enumerate(images):
        top, left = i // 10 * (height + 2), i % 10 * (width + 2)
        sheet[top : top + height, left : left + width] = image[..., None]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(path, compress_level=1)  # noise is slow to compress


def write_results(
    root: Path,
    suite: str = "demo",
    models: dict = MODELS,
    seeds: tuple = (0,),
    optional: bool = True,
    images: np.ndarray | None = None,
) -> Path:
    """Write the files of a suite as the rules do, with made-up numbers; returns results/{suite}.

    `optional=False` leaves out every file and field that may be absent. images: (N, 28, 28), for the grids.
    """
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (300, 28, 28), dtype=np.uint8) if images is None else images
    folder = root / suite
    entries = {}
    for name, (label, family, samplers, parameters, logged) in models.items():
        reduced = {} if not optional else {
            "label": label,
            "family": family,
            "class": f"{family.lower()}.{label}",
            "description": f"{label} at a quarter of its usual width",
            "paper": "Ho et al. 2020, arXiv 2006.11239",
            "budget": "toy size",
            "spec": {
                "model": {"class": "diffusion.Diffusion", "denoiser": {"channels": 32, "channel_mult": [1, 2]}},
                "training": {"steps": 600, "batch_size": 64, "optimizer": {"lr": 2e-4, "betas": [0.5, 0.999]}},
                "samplers": {sampler: {} for sampler in samplers},
                "sample_batch_size": 500,
            },
            "parameters": parameters,
            "training_memory_bytes": 310_000_000,
            "training_steps": 600,
            "checkpoints": list(CHECKPOINTS.get(name, ["final"])),
            "pictures": list(PICTURES.get(name, [])),
        }  # fmt: skip
        entries[name] = reduced | {
            "samplers": {
                sampler: {
                    "label": sampler,
                    "options": {},
                    "nfe": nfe,
                    "flops_per_nfe": 10_000_000,
                    "flops_per_image": nfe * 10_000_000,
                    "remarks": [PRIOR] if name == "autoencoder" else [],
                }
                if optional
                else {}
                for sampler, (nfe, *_) in samplers.items()
            }
        }
        if optional:
            speeds = {
                sampler: SamplerSpeed(
                    batch_seconds=[seconds / 100] * 3,
                    batch_size=500,
                    seconds_per_50k=seconds,
                    seconds_per_50k_range=[seconds, 1.02 * seconds],
                    images_per_second=50_000 / seconds,
                    latency_batch1_seconds=nfe * 0.0031,
                    warmup_seconds=seconds / 100,
                    nfe=nfe,
                    other_work=0.0,
                )
                for sampler, (nfe, seconds, *_) in samplers.items()
            }
            record = Speed(samplers=speeds, device=DEVICE, cores=1, ranks=1, threads=1, provenance=PROVENANCE)
            write_json(folder / name / "speed.json", record.content())
        for seed in seeds:
            run = folder / name / f"seed{seed}"
            training = {
                "steps": 600,
                "images_seen": 38_400,
                "seconds": 95.0 + 13 * len(name) + seed,
                "images_per_second": 404.2,
                "batch_size": 64,
                "precision": "fp32",
                "device": DEVICE,
                "weights": "ema",
                "ema_decay": 0.98,
                "data_sha256": "da" * 32,
                "model_sha256": "0d" * 32,
                "resumed": 0,
                "provenance": PROVENANCE,
            }
            write_json(run / "training.json", Training(**training if optional else {}).content())
            if optional:
                steps = range(10, 601, 10)
                lines = [
                    {
                        "step": step,
                        "losses": {part: 2 * math.exp(-step / 150) + random.normal(0.5, 0.03) for part in parameters},
                        "metrics": {metric: 40 * math.exp(-step / 90) + random.normal(20, 0.3) for metric in logged},
                        "images_seen": 64 * step,
                    }
                    for step in steps
                ]
                lines += [
                    {
                        "step": step,
                        "validation": {metric: 40 * math.exp(-step / 90) + 22 + seed for metric in logged},
                        "images_seen": 64 * step,
                    }
                    for step in range(60, 601, 60)
                    if logged
                ]
                (run / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
                for picture in reduced["pictures"]:
                    write_grid(run / f"final/pictures/{picture}.png", images[random.permutation(len(images))[:100]])
            for checkpoint in reduced.get("checkpoints", ["final"]):
                early, fakes = (1.0, 2000) if checkpoint == "final" else (2.5, 500)
                for sampler, (nfe, seconds, distance, precision, recall) in samplers.items():
                    place = run / checkpoint / sampler
                    timing = {"seconds_per_50k": seconds, "images_per_second": 50_000 / seconds, "extrapolated": True}
                    values = {"fd_classifier": (distance + 0.5 * seed) * early}
                    if optional:
                        timing |= {
                            "timed_images": 1500,
                            "latency_batch1_seconds": nfe * 0.0031,
                            "warmup_seconds": seconds / 100,
                            "io_seconds": 0.02,
                            "batch_size": 500,
                            "nfe": nfe,
                            "device": DEVICE,
                            "precision": "fp32",
                            "threads": 1,
                            "peak_memory_bytes": 410_000_000,
                            "seeds": "0:2000",
                            "samples_sha256": hashlib.sha256(
                                repr((name, seed, checkpoint, sampler)).encode()
                            ).hexdigest(),
                            "provenance": PROVENANCE,
                        }
                        values |= {
                            "kid_classifier": distance * early / 900,
                            "precision_classifier": precision,
                            "recall_classifier": recall / early,
                            "density_classifier": precision * 0.93,
                            "coverage_classifier": recall * 1.1,
                            "classifier_score": 9.7 - distance / 20,
                            "classifier_confidence": 1 - distance / 200,
                            "classes_found": 10,
                        }
                    notes = {
                        "fd_classifier": "biased upward at this number of images: compare only with values from 2000",
                        "precision_classifier": "k = 3",
                        "recall_classifier": "k = 3",
                        "kid_classifier": "50 subsets of 500",
                    }
                    metrics = {
                        key: {
                            "value": value,
                            "std": 0.01 if key[:3] == "kid" else None,
                            "n_real": 4000,
                            "n_fake": fakes,
                        }
                        | {"note": notes.get(key)}
                        for key, value in values.items()
                    }
                    extractor = {"name": "classifier", "dim": 128, "sha256": "ce" * 32, "test_accuracy": 0.981}
                    evaluation = {"metrics": metrics}
                    if optional:
                        evaluation |= {
                            "extractors": {"classifier": extractor},
                            "reference_sha256": "4e" * 32,
                            "num_real": 4000,
                            "num_fake": fakes,
                            "warnings": ["the covariance has rank 120 of 128"] if name == "gan" else [],
                            "provenance": PROVENANCE,
                        }
                    write_json(place / "timing.json", Timing(**timing).content())
                    write_json(place / "metrics.json", Metrics(**evaluation).content())
                    if optional:
                        write_grid(place / "grid.png", images[random.permutation(len(images))[:100]])
    if optional:
        floor = {"fd_classifier": 3.4, "precision_classifier": 0.93, "recall_classifier": 0.92, "classifier_score": 9.8}
        found = Metrics(metrics={key: Metric(value=value) for key, value in floor.items()})
        write_json(folder / "real/metrics.json", found.content())
        write_grid(folder / "real/grid.png", images[:100])
    preflight = {"suite": suite, "models": entries, "seeds": list(seeds), "headline": "fd_classifier"}
    if optional:
        preflight |= {
            "title": "Handwritten digits, toy size",
            "description": "Small versions of every family, trained for a minute each on 4,000 MNIST digits.",
            "dataset": {
                "name": "demo",
                "label": "MNIST, 5,000 digits",
                "image_shape": [1, 28, 28],
                "num_classes": 10,
                "num_train": 4000,
                "notes": ["toy data set: 4,000 images to train, 1,000 to test"],
            },
            "num_samples": 2000,
            "snapshot_samples": 500,
            "evaluation": {"extractors": ["classifier"]},
            "provenance": PROVENANCE,
        }
    write_json(folder / "preflight.json", Plan(**preflight).content())
    return folder


FEW = {name: MODELS[name] for name in ("gan", "vae", "ddpm")}
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)></style></svg> $x_1^ &amp; {{ 7 * 7 }} \x00\u202e"
HOSTILE = {
    "vae": MODELS["vae"],
    "\"><i onclick='x'>": (EVIL, EVIL, {"<b>": (3, 50.0, 20.0, 0.5, 0.5)}, {"_</svg><script>": 1000}, ["<u>"]),
}


def render(folder: Path) -> Path:
    """Publish the results of a suite; returns the folder of pages."""
    out = folder.parent / "report"
    publish(folder / "preflight.json", folder, out, ROOT / "report")
    publish_index(out, ROOT / "report")
    return out


class Page(HTMLParser):
    """A parsed page: the elements with their attributes, and the visible text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements, self.texts, self.scripts = [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        (self.scripts if self.cdata_elem == "script" else self.texts).append(data)

    def values(self, attribute, *tags):
        return [found[attribute] for tag, found in self.elements if attribute in found and (not tags or tag in tags)]


def table_of(folder: Path) -> Table:
    """The comparison of a suite."""
    results = read_results(folder / "preflight.json", folder)
    columns = comparison_columns(results.metrics, "fd_classifier", 2000)
    return compare(final_rows(results.rows), columns, results.floor, 2000)


def report_of(folder: Path) -> Report:
    return Report(read_results(folder / "preflight.json", folder), folder)


def check_page(path: Path) -> Page:
    """Check that a page loads nothing, runs only its own script, and has no broken link to itself."""
    page = Page(path)
    policy = page.values("content", "meta")[0]
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert [tag for tag, _ in page.elements].count("script") == 1
    digest = base64.b64encode(hashlib.sha256("".join(page.scripts).encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert not [name for _, found in page.elements for name in found if name.startswith("on") or name == "srcset"]
    assert {value[:22] for value in page.values("src")} <= {"data:image/png;base64,"}
    assert not {"iframe", "object", "embed", "base", "form", "i", "u"} & {tag for tag, _ in page.elements}
    assert page.values("href", "link") == ["data:,"]
    outside = [
        link
        for link in page.values("href", "a")
        if not re.match(r"#|[\w%.-]+\.(html|csv)(#|$)|data:text/plain;charset=utf-8;base64,[\w+/=]*$", link)
        and not re.fullmatch(r"\.\./[\w%./~-]+\.(png|npz|jsonl?|log)|[\w%.-]+/comparison\.(tex|md|csv|json)", link)
    ]
    assert all(link.startswith("https://arxiv.org/abs/") for link in outside)
    source = path.read_text(encoding="utf-8")
    assert "@import" not in source
    assert not re.search(r"url\((?!#)", source)
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in page.values("href") if link[:1] == "#"} <= set(ids)
    return page
