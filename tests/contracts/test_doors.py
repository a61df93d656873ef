"""A user's own code beside a suite: a data set, families, a sampler and a metric, each in one file.

The package is not edited. The files below are in a user's folder, with the suite. This process takes each of them as
far as metrics. One run of the workflow goes as far as the report.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from entries import DDPM

from genbench import own_code
from genbench.errors import InputError
from genbench.files.artifacts import read_json
from genbench.images import to_pixels
from genbench.importing import read_checkpoint
from genbench.machine.code import code_sha256, definitions
from genbench.processes.noise import Noise
from genbench.sampling.checkpoint import load_model
from genbench.suites.families import first_stage_key, needed
from genbench.suites.load import load_suite
from genbench.suites.preflight import preflight

ROOT = Path(__file__).parents[2]

DATA = '''
import numpy as np

from genbench.data import Dataset, Description, make_image_set


def corners(data_root, *, count: int = 400, size: int = 16):
    """Bright squares in one of four corners; a fifth is held out."""

    def load():
        random = np.random.default_rng(0)
        labels = np.arange(count) % 4
        images = random.integers(0, 60, (count, size, size, 1), dtype=np.uint8)
        for image, label in zip(images, labels, strict=True):
            top, left = size // 2 * (label // 2), size // 2 * (label % 2)
            image[top : top + size // 2, left : left + size // 2] += 190
        held_out = np.arange(count) % 20 >= 16

        def split(name, chosen):
            return make_image_set(
                images[chosen], labels[chosen], "abcd", dataset="corners", split=name, source="made", source_sha256=""
            )

        return {"train": split("train", ~held_out), "test": split("test", held_out)}

    return Dataset(Description("corners", "Corners", size, size, 1, 4, count * 4 // 5, count // 5), load)
'''

NETWORK = '''
import torch
from torch import nn


class Linear(nn.Module):
    """(x_t, t) -> a linear function of both."""

    def __init__(self, *, image_shape: tuple[int, int, int], bias: bool = True) -> None:
        super().__init__()
        self.layer = nn.Conv2d(image_shape[0] + 1, image_shape[0], 3, padding=1, bias=bias)

    def forward(self, x, t, y=None):
        time = t.to(x.dtype).view(-1, 1, 1, 1).expand(-1, 1, *x.shape[2:])
        return self.layer(torch.cat([x, time / 1000], dim=1))
'''

FLOW = '''
from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional as F

from genbench.models import Model
from genbench.schema import construct


class Flow(Model):
    """Rectified flow."""

    family, paper, network = "Flow of mine", "Liu et al. 2023, arXiv 2209.03003", "velocity"
    about = "Follows a straight line."

    def __init__(self, *, image_shape: tuple[int, int, int], velocity: Mapping[str, Any]) -> None:
        super().__init__()
        self.velocity = construct("genbench.networks", velocity, image_shape=image_shape)

    def losses(self, batch, step):
        x1, t = batch.noise.normal(*batch.x0.shape[1:]), batch.noise.uniform(1, 1, 1)
        yield "velocity", F.mse_loss(self.velocity((1 - t) * batch.x0 + t * x1, 1000 * t.flatten()), x1 - batch.x0)

    def sample(self, noise, y=None, *, steps: int = 5):
        x = noise.normal(*self.image_shape)
        for i in range(steps, 0, -1):
            x = x - self.velocity(x, torch.full((len(x),), 1000 * i / steps, device=x.device)) / steps
        return x
'''

REFINED = '''
from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.nn import functional as F

from genbench.models import Model, build


class Refined(Model):
    """A second model refines what a trained one draws."""

    family, paper, network = "Refined", "mine", "refiner"
    first_stage = "sketch"

    def __init__(self, *, image_shape: tuple[int, int, int], sketch: Mapping[str, Any]) -> None:
        super().__init__()
        self.sketch = build(sketch, image_shape)
        self.refiner = nn.Conv2d(image_shape[0], image_shape[0], 3, padding=1)

    def losses(self, batch, step):
        yield "refiner", F.mse_loss(self.refiner(batch.x0 + batch.noise.normal(*batch.x0.shape[1:])), batch.x0)

    def sample(self, noise, y=None, *, steps: int = 2):
        return self.refiner(self.sketch.sample(noise, steps=steps))
'''

TOLD = '''
import torch
from torch import nn
from torch.nn import functional as F

from genbench.models import Model


class Told(Model):
    """A mean image and a spread for each label."""

    family, paper, network = "Told", "mine", "means"
    needs = {"labels": {"told": True}}

    def __init__(self, *, image_shape: tuple[int, int, int], num_classes: int, told: bool = True) -> None:
        super().__init__()
        self.told, self.num_classes = told, num_classes
        self.means = nn.Embedding(num_classes, image_shape[0] * image_shape[1] * image_shape[2])

    def losses(self, batch, step):
        yield "means", F.mse_loss(self.means(batch.y), batch.x0.flatten(1))

    def sample(self, noise, y=None, *, spread: float = 0.1):
        means = self.means(torch.zeros_like(noise.seeds) if y is None else y)
        return means.view(-1, *self.image_shape) + spread * noise.normal(*self.image_shape)
'''

METRIC = """
import numpy as np

from genbench.metrics import Metric, Value


def compute(inputs):
    return Value(float(np.std(inputs.fake.features)), note="mine")


SPREAD = Metric(
    name="spread",
    label="Spread",
    definition="standard deviation of all features of generated images",
    direction="higher",
    minimum=lambda dim, options: 100,
    minimum_rule="a hundred",
    compute=compute,
)
"""

MINE = '''
from genbench.models.diffusion import Diffusion


class Mine(Diffusion):
    """A diffusion model by another name."""

    family, paper, about = "Diffusion of mine", "nobody 2026", "Another name for it."
'''

SAMPLER = '''
def leap(schedule, noise, *, strength: float = 1.0):
    """A part of the way to x0_hat."""

    def step(predict, x_t, t, s):
        return x_t + strength * (predict(x_t, t).x0 - x_t)

    return step
'''

FILES = {
    "mine": MINE,
    "sampler": SAMPLER,
    "metric": METRIC,
    "data": DATA,
    "network": NETWORK,
    "flow": FLOW,
    "refined": REFINED,
    "told": TOLD,
}
LINEAR = {"class": "./network.py:Linear"}
TRAINING = {"steps": 3, "batch_size": 16}
SUITE = {
    "title": "Own code",
    "dataset": {"source": "./data.py:corners", "count": 900},
    "num_samples": 160,
    "evaluation": {
        "headline": "spread_classifier",
        "metrics": ["./metric.py:SPREAD"],
        "options": {"kid_subset_size": 50, "kid_subsets": 2},
        "classifier": {"epochs": 1, "min_accuracy": 0.3},
    },
    "models": {
        "flow": {
            "label": "flow.py:Flow",
            "model": {"class": "./flow.py:Flow", "velocity": LINEAR},
            "training": TRAINING,
            "samplers": {"euler": {"steps": 2}},
        },
        "refined": {"model": {"class": "./refined.py:Refined"}, "training": TRAINING, "first_stage": "flow"},
        "mine": {
            "model": DDPM | {"class": "./mine.py:Mine"},
            "training": TRAINING,
            "samplers": {"leap": {"method": "./sampler.py:leap", "steps": 2, "strength": 0.9}},
        },
        "told": {
            "model": {"class": "./told.py:Told", "num_classes": 4},
            "training": TRAINING | {"optimizer": {"lr": 0.1}},
            "samplers": {"sharp": {"spread": 0.0}},
        },
    },
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder with the suite and the files; the process starts without permission to run any of them."""
    monkeypatch.setattr(own_code, "_allowed", {})
    monkeypatch.delenv(own_code.VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    for name, code in FILES.items():
        (tmp_path / f"mine/{name}.py").write_text(code)
    write(SUITE)
    return tmp_path


def write(suite: dict) -> None:
    Path("mine/own.yaml").write_text(yaml.safe_dump(suite))


@pytest.fixture
def way(folder: Path, script: Callable[..., str]) -> Callable[[str], dict]:
    """Take a model of the suite from data to metrics with the rules' scripts; returns metrics.json."""
    suite = load_suite(folder / "mine/own.yaml")
    preflight(suite, "downloads", "own.yaml")
    script("prepare_data", "--dataset", json.dumps(suite["dataset"]), "--out", "data")
    script("train_classifier", "--train=data/train.npz", "--test=data/test.npz", "--out=data/classifier.safetensors",
           "--epochs=1", "--min-accuracy=0.3")  # fmt: skip

    def features(images: str, out: str) -> str:
        extractor = "classifier:data/classifier.safetensors"
        script("extract_features", "--images", images, "--extractor", extractor, "--out", out)
        return out

    def go(name: str) -> dict:
        entry = suite["models"][name]
        spec = json.dumps({key: entry[key] for key in ("model", "training")})
        first = ["--first-stage", f"{entry['first_stage']}/model.safetensors"] if "first_stage" in entry else []
        model = f"{name}/model.safetensors"
        script("train", "--spec", spec, "--train=data/train.npz", "--out", model, "--device=cpu", *first)
        (options,) = entry["samplers"].values()
        given = [] if needed(entry["model"], options) == "nothing" else ["--condition=data/test.npz"]
        script("sample", "--model", model, "--sampler", json.dumps(options), "--seeds=0:160", "--batch-size=80",
               "--device=cpu", "--out", f"{name}/samples.npz", *given)  # fmt: skip
        real, fake = features("data/train.npz", "real.npz"), features(f"{name}/samples.npz", f"{name}/fake.npz")
        script("evaluate", "--real", real, "--fake", fake, "--options", json.dumps(suite["evaluation"]["options"]),
               "--metrics", *suite["evaluation"]["metrics"], "--out", f"{name}/metrics.json")  # fmt: skip
        found: dict = read_json(f"{name}/metrics.json")
        return found

    return go


def test_a_data_set_and_families_of_every_kind_go_from_their_files_to_metrics(way: Callable[[str], dict]) -> None:
    suite = load_suite(Path("mine/own.yaml"))
    assert suite["dataset"]["name"] == "corners"
    assert read_json("data/info.json")["entry"] == suite["dataset"]
    assert suite["models"]["flow"]["label"] == "flow.py:Flow"  # a label is not a reference to code
    assert first_stage_key(suite["models"]["refined"]["model"]) == "sketch"
    for name, entry in suite["models"].items():
        metrics = way(name)
        assert metrics["metrics"]["fd_classifier"]["value"] > 0
        spread = metrics["metrics"]["spread_classifier"]
        assert spread["value"] == pytest.approx(np.std(np.load(f"{name}/fake.npz")["features"]), rel=1e-6)
        assert (spread["about"]["label"], spread["note"]) == ("Spread", "mine")
        model, info = load_model(f"{name}/model.safetensors")
        assert info["model"] == entry["model"]
        assert type(model) is own_code.load(entry["model"]["class"])
    sketch, _ = load_model("flow/model.safetensors")
    for key, weight in load_model("refined/model.safetensors")[0].sketch.state_dict().items():
        assert weight.equal(sketch.state_dict()[key])
    mine = load_model("mine/model.safetensors")[0].eval()
    noise = Noise(torch.arange(80))
    with torch.inference_mode():
        x = noise.normal(*mine.image_shape)
        for t in mine.timesteps(2, "uniform", None):
            x = x + 0.9 * (mine.predictor(True, None)(x, t).x0 - x)
    drawn = np.load("mine/samples.npz")["arr_0"][:80]
    assert np.abs(to_pixels(x).numpy().astype(int) - drawn).max() <= 1
    labels = np.load("data/test.npz")["labels"][:80]
    images = np.load("told/samples.npz")["arr_0"][:80]
    bright = images.reshape(80, 2, 8, 2, 8).mean((2, 4)).reshape(80, 4).argmax(1)
    assert (bright == labels).mean() > 0.9


def test_an_edit_makes_anew_what_depends_on_the_file_and_nothing_else(way: Callable[[str], dict], script) -> None:
    before = load_suite(Path("mine/own.yaml"))
    way("flow")
    flow = Path("mine/flow.py")
    flow.write_text(flow.read_text() + "\n# another thought\n")
    after = load_suite(Path("mine/own.yaml"))
    changed = {name for name, entry in after["models"].items() if entry != before["models"][name]}
    assert changed == {"flow", "refined"}
    assert after["dataset"] == before["dataset"]

    def trained(suite: dict) -> str:
        spec = json.dumps({key: suite["models"]["flow"][key] for key in ("model", "training")})
        return script("train", "--spec", spec, "--train=data/train.npz", "--out=flow/model.safetensors", "--device=cpu")

    assert "trained 3 steps" in trained(after)
    assert "already trained with the same code" in trained(after)
    flow.rename("moved.py")
    write(
        SUITE
        | {"models": {"flow": SUITE["models"]["flow"] | {"model": {"class": "../moved.py:Flow", "velocity": LINEAR}}}}
    )
    assert "already trained with the same code" in trained(load_suite(Path("mine/own.yaml")))
    load_model("flow/model.safetensors")  # it records where the file was

    flow.write_text(FLOW + "# a third\n")
    own_code._allowed.clear()
    own_code.allow("mine/flow.py:Flow")
    with pytest.raises(InputError, match=r"model\.safetensors: mine/flow\.py: found SHA-256 .*: the file was edited"):
        load_model("flow/model.safetensors")


def test_a_strangers_checkpoint_runs_nothing(way: Callable[[str], dict], monkeypatch: pytest.MonkeyPatch) -> None:
    way("flow")
    own_code._allowed.clear()
    own_code._modules.clear()
    with pytest.raises(InputError, match=r"model\.safetensors: .* may not run.* GENBENCH_OWN_CODE=mine/flow\.py:Flow$"):
        load_model("flow/model.safetensors")
    monkeypatch.setenv(own_code.VARIABLE, "mine/flow.py:Flow")
    with pytest.raises(InputError, match=r"found mine/network.py:Linear#"):
        load_model("flow/model.safetensors")
    monkeypatch.setenv(own_code.VARIABLE, "mine/flow.py:Flow\nmine/network.py:Linear")
    assert type(load_model("flow/model.safetensors")[0]).__name__ == "Flow"


def test_a_users_model_may_keep_tensors_that_are_not_in_the_file(folder: Path, request: pytest.FixtureRequest) -> None:
    kept = "super().__init__()\n        self.one = torch.ones(1)\n"
    kept += "        self.register_buffer('two', torch.full((1,), 2.0), persistent=False)"
    Path("mine/flow.py").write_text(
        FLOW.replace("super().__init__()", kept).replace("return x", "return x * self.one + self.two - 2")
    )
    assert request.getfixturevalue("way")("flow")["num_fake"] == 160


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("return x + 0 * torch.randn_like(x)", "Flow: sample drew from torch's global generator, expected random num"),
        ("return x / 0 * 0", "Flow: sample returned values that are not numbers, expected -1 to 1"),
    ],
)
def test_samples_of_a_users_model_are_images_of_their_seeds(
    code: str, message: str, folder: Path, request: pytest.FixtureRequest
) -> None:
    Path("mine/flow.py").write_text(FLOW.replace("return x", code))
    with pytest.raises(AssertionError, match=message):
        request.getfixturevalue("way")("flow")


def test_code_that_a_users_file_imports_counts_as_its_own(folder: Path) -> None:
    def hashed(code: str) -> tuple[frozenset[str], str]:
        Path("mine/flow.py").write_text(code)
        model = {"class": own_code.allow("mine/flow.py:Flow")}
        return definitions("training", model), code_sha256("training", model)

    plain, first = hashed("from genbench.models import Model\n")
    edited, second = hashed("from genbench.models import Model\nclass Flow(Model): ...\n")
    derived, _ = hashed("from genbench.models.diffusion import Diffusion\n")
    assert first != second
    assert len(plain ^ edited) == 2
    assert definitions("training", {"class": "diffusion.Diffusion"}) < derived
    assert not definitions("training", {"class": "diffusion.Diffusion"}) < edited


MODEL = "models: flow: model:"
WRONG = [
    ("flow", "Flow = 3", f"{MODEL} class: found 3 at mine/flow.py:Flow#.*, expected a class derived from .*Model"),
    ("flow", "class Flow: ...", f"{MODEL} class: found <class .*Flow'> at .*, expected a class derived from .*Model"),
    (
        "flow",
        "from genbench.models import Model\nclass Flow(Model): ...",
        f"{MODEL} class: mine/flow.py:Flow#.*: found no losses and no sample",
    ),
    (
        "flow",
        FLOW.replace("family, paper, network", "x, y, network"),
        f"{MODEL} class: mine/flow.py:Flow#.*: found no family and no paper; a family states family, paper and network",
    ),
    (
        "flow",
        FLOW.replace("velocity: Map", "speed: Map"),
        f"{MODEL} unknown key: found 'velocity'; expected one of: class, speed",
    ),
    ("flow", "1 / 0", f"{MODEL} mine/flow.py: line 1: ZeroDivisionError: division by zero"),
    ("metric", "SPREAD = 3", "evaluation: metrics: metric mine/metric.py:SPREAD#.*: found int, expected a .*Metric"),
    ("metric", METRIC.replace('"spread"', '"fd"'), "evaluation: metrics: metrics: found two with the name 'fd', .*"),
    (
        "metric",
        METRIC.replace("direction", 'extractors=("dinov2",), direction'),
        "evaluation: metrics: spread: found no extractor that it is for, of classifier; it needs features",
    ),
    (
        "metric",
        METRIC.replace("options: 100", "options: 1000"),
        "num_samples: found 160, expected at least 1000 for the metrics: spread_classifier .*",
    ),
    ("data", "corners = 3", "data set: key 'source': found int at mine/data.py:corners#.*, expected a function"),
    (
        "data",
        "def corners(*, count): ...",
        r"data set: key 'source': found .*\(\*, count\), expected \(data_root, \*, its own options\)",
    ),
    (
        "data",
        "def corners(root, *, count: int): ...",
        r"data set 'corners': found NoneType returned by .*, expected a genbench\.data\.Dataset",
    ),
    (
        "data",
        "def corners(root, *, count: int):\n    return 1 / 0",
        "data set 'corners': mine/data.py: line 2: ZeroDivisionError: division by zero",
    ),
    (
        "data",
        DATA.replace("size: int = 16", "size: int = 8"),
        "evaluation: extractors: found 'classifier' .* a side of 8 pixels, expected at least 16: .*",
    ),
    ("flow", FLOW.replace("super().__init__()", "super().__init__()\n        self.x = 1 / 0"),
     f"{MODEL} mine/flow.py: line 20: ZeroDivisionError: division by zero"),
    ("flow", FLOW.replace("batch.x0.shape", "batch.x.shape"),
     "models: flow: the model does not run on .*: mine/flow.py: line 23: AttributeError: 'Batch' object has no .*"),
    ("flow", FLOW.replace("return x", "return x.byte()"),
     "models: flow: sample returned torch.uint8, expected a tensor of floating-point numbers, -1 to 1"),
    ("flow", FLOW.replace('yield "velocity"', 'scale = float(batch.x0.mean())\n        yield "velocity"'),
     "models: flow: the model does not run on .*: mine/flow.py: line 24: RuntimeError: .*meta.*; this trial run .*"),
    ("metric", METRIC + 'object.__setattr__(SPREAD, "direction", "up")',
     "evaluation: metrics: spread: direction: found 'up'.*"),
    ("metric", METRIC.replace("return Value(", "return 1.0  # ("),
     "evaluation: metrics: spread: compute returned float, expected a genbench.metrics.Value of a finite number"),
    ("metric", METRIC.replace("return Value(", "return Value(0 * 1e999 * "),
     r"evaluation: metrics: spread: compute returned Value\(nan\), expected .*"),
    ("metric", METRIC.replace("return Value(", "return inputs.reel("),
     "evaluation: metrics: spread: it fails for random features: mine/metric.py: line .*: AttributeError: .*"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "code", "message"), WRONG)
def test_what_is_wrong_in_own_code_is_one_line_before_anything_is_trained(
    file: str, code: str, message: str, folder: Path
) -> None:
    Path(f"mine/{file}.py").write_text(code)
    write(SUITE | {"models": {"flow": SUITE["models"]["flow"]}})
    with pytest.raises(InputError, match=f"^own.yaml: {message}$"):
        preflight(load_suite(Path("mine/own.yaml")), "downloads", "own.yaml")


def test_an_error_while_a_users_data_are_read_names_its_line(folder: Path, script: Callable[..., str]) -> None:
    Path("mine/data.py").write_text(DATA.replace("labels = np.arange(count) % 4", "labels = 1 / 0"))
    dataset = load_suite(Path("mine/own.yaml"))["dataset"]
    said = script("prepare_data", "--dataset", json.dumps(dataset), "--out", "data", code=2)
    assert "error: mine/data.py: line 12: ZeroDivisionError: division by zero" in said


def test_a_file_that_is_missing_is_named_with_its_place_in_the_suite(folder: Path) -> None:
    Path("mine/flow.py").unlink()
    with pytest.raises(InputError, match=r"^mine/own\.yaml: models: flow: model: class: own code: mine/flow\.py: no"):
        load_suite(Path("mine/own.yaml"))


def snakemake(*arguments: str) -> str:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores=2", *arguments]
    config = ["--profile", str(ROOT / "profiles/default"), "--config", "suite=mine/own.yaml", "device=cpu"]
    job = subprocess.run([*command, *config], capture_output=True, text=True, timeout=800)
    assert job.returncode == 0, (job.stdout + job.stderr)[-5000:]
    return job.stdout + job.stderr


JUDGING = {"evaluate", "evaluate_real", "report", "index", "all"}


def planned_after_an_edit(name: str) -> set[str]:
    """Return the rules of the jobs that a run would start after an edit of this file; undoes the edit."""
    path = Path(f"mine/{name}.py")
    code = path.read_text()
    path.write_text(code + "# edited\n")
    jobs = re.findall(r"^(?:(?:local)?rule (\w+):|Job \d+: (\w+))", snakemake("--dry-run"), re.MULTILINE)
    path.write_text(code)
    return {silent or rule for silent, rule in jobs}


@pytest.mark.slow
@pytest.mark.usefixtures("warm")
def test_own_code_goes_through_the_workflow_to_the_report(folder: Path) -> None:
    shutil.copy(ROOT / "config.yaml", ".")
    write(SUITE | {"models": {"mine": SUITE["models"]["mine"]}})
    snakemake()
    page = Path("results/report/own.html").read_text()
    for text in ("Diffusion of mine", "nobody 2026", "Another name for it.", "Spread", "Corners", "leap"):
        assert text in page
    assert "tandard deviation of all features of generated images" in page
    assert re.search(r"mine/sampler\.py:leap#\w{16}", page)
    assert "other code than this checkout" not in page
    assert planned_after_an_edit("flow") == set()  # this suite does not name the file
    assert planned_after_an_edit("metric") == JUDGING
    drawing = {"sample", "measure_speed", "sample_features", *JUDGING} - {"evaluate_real"}
    assert planned_after_an_edit("sampler") == drawing
    assert planned_after_an_edit("mine") == {"train", *drawing}


FORMAT = '''
import json

import torch

from genbench.importing import Imported
from genbench.models import build


def read(path, *, gain: float = 1.0):
    """A VAE whose weights are all one number, which the file holds."""
    entry = {"class": "vae.VAE", "latent_size": 4, "channels": 8}
    value = gain * json.loads(path.read_text())
    tensors = {key: torch.full_like(old, value) for key, old in build(entry, (1, 16, 16)).state_dict().items()}
    return Imported(entry, (1, 16, 16), tensors, [path], "raw", "theirs")
'''

SCHEDULE = '''
import torch

from genbench.processes.schedule import Schedule


def power(T, *, exponent: float = 1.0):
    """abar = (1 - t / (T + 1))^exponent."""
    return Schedule((1 - torch.arange(T + 1, dtype=torch.float64, device="cpu") / (T + 1)) ** exponent)
'''


def test_a_format_and_a_noise_schedule_may_be_own_code(folder: Path, script: Callable[..., str]) -> None:
    Path("mine/format.py").write_text(FORMAT)
    Path("mine/schedule.py").write_text(SCHEDULE)
    Path("theirs.json").write_text("0.25")
    schedule = {"name": "./schedule.py:power", "exponent": 2.0}
    models = {
        "published": {"pretrained": {"format": "./format.py:read", "path": "theirs.json", "gain": 2}},
        "ddpm": {"model": DDPM | {"schedule": schedule}, "training": TRAINING},
    }
    write(SUITE | {"models": models})
    suite = load_suite(Path("mine/own.yaml"))
    plan = preflight(suite, "downloads", "own.yaml").models
    assert plan["published"].class_ == "vae.VAE"
    assert plan["ddpm"].noise_schedule.alphas_cumprod == pytest.approx([(1 - t / 21) ** 2 for t in range(21)])

    given = suite["models"]["published"]["pretrained"]
    script("import_checkpoint", "--format", given["format"], "--in", given["path"], "--options", '{"gain": 2}',
           "--out=model.safetensors")  # fmt: skip
    model, info = load_model("model.safetensors")
    assert all((weight == 0.5).all() for weight in model.parameters())
    assert info["imported"]["format"] == given["format"]

    Path("mine/small.py").write_text("from genbench.models.vae import VAE\n\nclass Small(VAE): ...\n")
    own = FORMAT.replace('"vae.VAE"', 'allow("mine/small.py:Small")') + "from genbench.own_code import allow\n"
    fewer = FORMAT.replace("return Imported(entry", "tensors.popitem()\n    return Imported(entry")
    unnamed = r"found a model of own code, mine/small\.py:Small#\w+, which the suite does not name"
    for code, message in ((fewer, r"theirs\.json: the weights do not fit the model: .*Missing key"), (own, unnamed)):
        Path("mine/format.py").write_text(code)
        with pytest.raises(InputError, match=f"published: pretrained: {message}"):
            preflight(load_suite(Path("mine/own.yaml")), "downloads", "own.yaml")
    Path("mine/format.py").write_text("def read(path):\n    return 3\n")
    with pytest.raises(
        InputError, match=r"published: pretrained: format mine/format\.py:read#\w+: unknown key: found 'gain'"
    ):
        preflight(load_suite(Path("mine/own.yaml")), "downloads", "own.yaml")
    with pytest.raises(InputError, match=r"returned int, expected genbench\.importing\.Imported"):
        read_checkpoint(own_code.allow("mine/format.py:read"), "theirs.json")
