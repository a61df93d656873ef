"""Counts that show a change of speed and, unlike seconds, do not vary: FLOPs, calls and jobs of the demo, imports.

After an intended change, update the count here. Seconds are measured by hand: docs/speed.md.
"""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkouts import ROOT, check_out, execute
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from genbench.models import build
from genbench.suites.load import load_suite
from genbench.suites.preflight import preflight
from genbench.training.batches import Batches
from genbench.training.recipe import TrainConfig
from genbench.training.trainer import Trainer

DEMO = load_suite(ROOT / "suites/demo.yaml")
ITERATIONS = 3  # WGAN-GP's generator is updated in every third
# By entry: million FLOPs per image and iteration, and calls of each network in three iterations.
TRAINING: dict[str, tuple[float, dict[str, int]]] = {
    "gan": (41.7966, {"generator": 6, "discriminator": 9}),
    "lsgan": (41.7966, {"generator": 6, "discriminator": 9}),
    "wgan-gp": (114.631, {"generator": 4, "discriminator": 10}),
    "autoencoder": (57.3942, {}),
    "vae": (57.5908, {}),
    "ddgan": (213.849, {"generator": 6, "discriminator": 10}),  # with a penalty in the first
    "ddpm": (78.1573, {"denoiser": 3}),
    "diffusevae": (97.8811, {"denoiser": 3}),
    "cold": (78.2451, {"degradation": 3, "restorer": 3}),
}
# By entry and sampler: evaluations of the network, and million FLOPs per image, including a first stage's.
SAMPLING: dict[str, dict[str, tuple[int, float]]] = {
    "gan": {"default": (1, 3.81338)},
    "lsgan": {"default": (1, 3.81338)},
    "wgan-gp": {"default": (1, 13.4723)},
    "autoencoder": {"default": (1, 12.9434)},
    "vae": {"default": (1, 12.9434)},
    "ddgan": {"default": (4, 120.394)},
    "ddpm": {
        "ddpm-20": (20, 522.568), "ddim-20": (20, 522.568), "ddim-10": (10, 261.284), "ddim-5": (5, 130.642),
        "heun-5": (8, 209.027), "ddim-5-int8-static": (5, 130.642),
    },
    "diffusevae": {"ddim-20": (20, 540.027), "ddim-10": (10, 276.485), "ddim-5": (5, 144.714)},
    "cold": {"generate": (10, 261.284)},
}  # fmt: skip
JOBS = 86
# The slow packages, and those that each command imports, at its start or in its functions.
HEAVY = {
    "torch", "torchvision", "torchao", "jaxtyping", "diffusers", "huggingface_hub", "cleanfid", "pytorch_fid",
    "pandas", "seaborn", "matplotlib", "scipy", "sklearn", "jinja2", "mlxtend", "mpi4py", "requests", "snakemake",
}  # fmt: skip
IMPORTS = {
    "compare_samples draw_grid draw_neighbours evaluate import_samples prefetch preflight prepare_data": set(),
    "draw_picture evaluate_likelihood extract_features measure_speed sample train train_classifier": {
        "torch",
        "jaxtyping",
    },
    "render_index render_report": {"pandas", "seaborn", "matplotlib", "scipy", "jinja2"},
}


class Flops(TorchDispatchMode):
    """Adds up the FLOPs of convolutions and matrix products, including those of second derivatives."""

    total = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if (formula := flop_registry.get(getattr(function, "_overloadpacket", None))) is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=result)
        return result


@pytest.mark.parametrize("name", DEMO["models"])
def test_an_iteration_of_training_costs_what_it_did(name: str) -> None:
    entry, size = DEMO["models"][name], 4
    torch.manual_seed(0)
    model = build(entry["model"], (1, 28, 28))
    if model.first_stage:
        model.get_submodule(model.first_stage).requires_grad_(False)
    calls = dict.fromkeys((child for child, _ in model.named_children()), 0)

    def count(name: str) -> None:
        calls[name] += 1

    for child, part in model.named_children():
        part.register_forward_pre_hook(lambda *_, child=child: count(child))
    config = TrainConfig.from_entry(entry["training"] | {"batch_size": size, "precision": "fp32", "validate_every": 0})
    images = np.zeros((2 * size, 28, 28, 1), np.uint8)
    batches = Batches(images, np.zeros(2 * size, np.int64), 0, config, torch.device("cpu"))
    trainer = Trainer(model, config, batches, 0, torch.device("cpu"))
    with Flops() as counter:
        for _ in range(ITERATIONS):
            trainer.advance()
    found = counter.total / size / ITERATIONS / 1e6, {child: number for child, number in calls.items() if number}
    assert found == (pytest.approx(TRAINING[name][0], rel=1e-4), TRAINING[name][1])


def test_an_image_costs_what_it_did(tmp_path: Path) -> None:
    plan = preflight(DEMO, str(tmp_path), str(ROOT / "suites/demo.yaml"))
    found = {
        name: {key: (sampler.nfe, sampler.flops_per_image / 1e6) for key, sampler in model.samplers.items()}
        for name, model in plan.models.items()
    }
    assert found.keys() == SAMPLING.keys()
    for name, samplers in SAMPLING.items():
        assert found[name] == {key: (nfe, pytest.approx(flops, rel=1e-4)) for key, (nfe, flops) in samplers.items()}


@pytest.mark.usefixtures("warm")
def test_the_demo_has_as_few_jobs_as_it_had(tmp_path: Path) -> None:
    said = execute("snakemake --cores 2 --resources gpu=1 --dry-run --quiet reason", check_out(tmp_path))
    assert {int(line.split()[1]) for line in said.splitlines() if line.startswith("total ")} == {JOBS}


def imported_by(commands: str) -> set[str]:
    """Return the heavy packages that commands import, at their start or in functions."""
    lines = []
    for name in commands.split():
        tree = ast.parse((ROOT / f"genbench/commands/{name}.py").read_text(encoding="utf-8"))
        lines += [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    code = "\n".join([*lines, "import sys", "print(*sys.modules)"])
    job = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return HEAVY & set(job.stdout.split())


@pytest.mark.parametrize("commands", IMPORTS)
def test_a_job_waits_for_no_package_that_it_does_not_need(commands: str) -> None:
    assert imported_by(commands) <= IMPORTS[commands]


def test_a_network_whose_weights_are_in_a_file_is_built_without_the_compiler() -> None:
    code = f"""
import sys, torch
from genbench.files.weights import WithoutValues
from genbench.models import build
with torch.device("meta"), WithoutValues():
    model = build({DEMO["models"]["gan"]["model"]!r}, (1, 28, 28))
assert all(weights.is_meta for weights in model.parameters())
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
