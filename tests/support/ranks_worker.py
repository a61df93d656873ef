"""Trains every family for a few steps: `[mpiexec -n N] python tests/support/ranks_worker.py OUT STEPS OPTIMIZER [gpu]`.

OPTIMIZER is JSON, as in a suite. Plain gradient descent follows the gradient; Adam's first steps follow its sign, which
is random for a gradient that is zero except for rounding, such as that of a bias before batch normalisation. With
"gpu", the GPU is pretended.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from entries import DDGAN, DDPM, FLOW, GAN, MODELS, VAE, blobs
from perturbed import perturbed
from pretended_gpu import pretended_gpu
from processors import pretend

from genbench.data.image_set import make_image_set
from genbench.files.weights import save_tensors
from genbench.machine.command_line import run
from genbench.machine.devices import pick_device
from genbench.training.folder import train

UNET = {**DDPM["denoiser"], "dropout": 0.0}  # dropout's random numbers depend on the tensor, not on the image
DIFFUSION = DDPM | {"denoiser": UNET}
LEARNED = {
    "timesteps": 4,
    "learned_variance": True,
    "loss": "hybrid",
    "prediction": "eps",
    "time_sampler": {"name": "loss-second-moment", "history": 2, "uniform": 0.1},  # used from the second step on
}
CLIPPED = {"algorithm": "sgd", "lr": 1e-2}  # as large steps as the others without clipping
LABELLED = {"num_classes": 4, "label_dropout": 0.3}
DIFFUSEVAE = {
    "class": "diffusevae.DiffuseVAE",
    "vae": VAE,
    "timesteps": 20,
    "denoiser": UNET,
}
# Besides families: batch sizes that are not multiples of 4, or even of 2; DDGAN's is five groups of four images.
TRAININGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    **{name: (model, {}) for name, model in MODELS.items() if name not in ("ddpm", "ddgan")},
    "ddpm": (DIFFUSION, {"ema_decay": 0.9}),
    "ddpm-improved": (DIFFUSION | LEARNED, {}),
    "ddpm-labels": (DIFFUSION | LABELLED, {"flip": True}),
    "ddgan": (DDGAN | {"r1_every": 2}, {"batch_size": 20}),
    "diffusevae": (DIFFUSEVAE, {}),
    "edm": (MODELS["edm"], {"ema_lengths": [0.05, 0.1], "ema_snapshots": 3}),
    "reflow": (
        {"class": "flow.Reflow", "teacher": FLOW, "pair_steps": 2},
        {"optimizer": {"algorithm": "sgd", "lr": 1.0}},  # far more than the rounding of a weight
    ),
    "accumulate-clip": (GAN, {"batch_size": 36, "accumulate": 2, "clip_norm": 0.01, "optimizer": CLIPPED}),
    "uneven": (VAE, {"batch_size": 13, "validate_every": 2}),
    "fp16": (DIFFUSION, {"precision": "fp16"}),
    "fp16-overflow": (VAE, {"precision": "fp16"}),  # the loss is a sum, too large for the first scales: all ranks skip
}
ON_PRETENDED_GPU = [name for name, (_, training) in TRAININGS.items() if "precision" not in training]  # no autocast
COMMON: dict[str, Any] = {"batch_size": 16, "log_every": 1, "sync_batch_norm": True, "precision": "fp32"}


def main() -> None:
    out, steps, optimizer = Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
    if sys.argv[4:] == ["gpu"]:
        with pretended_gpu() as device:
            train_all(out, steps, optimizer, device)
    else:
        train_all(out, steps, optimizer)


def train_all(
    out: Path,
    steps: int,
    optimizer: Mapping[str, Any],
    gpu: torch.device | None = None,
    names: Iterable[str] = ON_PRETENDED_GPU,
) -> None:
    device = pick_device("cpu", 1) if gpu is None else gpu
    images, labels = blobs(100)
    held_out = make_image_set(images, labels, "abcd", dataset="d", split="test", source="s", source_sha256="0")
    for name in TRAININGS if gpu is None else names:
        model, training = TRAININGS[name]
        recipe = COMMON | {"steps": steps, "optimizer": optimizer} | training
        with pytest.MonkeyPatch.context() as patch:
            pretend(patch, bf16=True, fp16=True)  # emulation is fast enough here
            train(
                {"model": model, "training": recipe},
                images,
                labels,
                data_sha256="blobs",
                seed=1,
                out=out / name / "model.safetensors",
                snapshots=[0],
                held_out=held_out if recipe.get("validate_every") else None,
                first_stage=first_stage(name, out),
                device=device,
            )


def first_stage(name: str, out: Path) -> Path | None:
    """Return a model's first stage. An untrained flow hardly moves images, so reflow gets a perturbed one."""
    if name == "reflow":
        save_tensors(out / "teacher.safetensors", perturbed(FLOW, 0.05).state_dict(), {"model": FLOW})
        return out / "teacher.safetensors"
    return out / "vae" / "model.safetensors" if name == "diffusevae" else None


if __name__ == "__main__":
    run(main)
