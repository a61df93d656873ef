"""The four models that are measured on a GPU, at the size of suites/cifar10.yaml or tiny, and the peaks of GPUs.

The entries are written in Python, since a machine with a GPU may have no YAML; a test compares them with the suite.
"""

import copy
import gc
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from genbench.machine.devices import synchronise
from genbench.models import Model, build
from genbench.processes.noise import Noise
from genbench.tensors import image_layout
from genbench.training.batches import Batches
from genbench.training.flops import training_cost
from genbench.training.recipe import TrainConfig
from genbench.training.trainer import Trainer

IMAGE_SHAPE = (3, 32, 32)
PRECISIONS = ("bf16", "tf32")

# Dense TFLOP/s of the device whose name contains these words (the first match): from NVIDIA's data sheets of each GPU,
# with figures "with sparsity" halved. Products in bf16 are summed in float32.
PEAKS: dict[str, dict[str, float]] = {
    "H100 PCIe": {"tf32": 378, "bf16": 756},
    "H100 NVL": {"tf32": 417.5, "bf16": 835.5},
    "H100": {"tf32": 494.5, "bf16": 989.5},  # SXM
    "H200 NVL": {"tf32": 417.5, "bf16": 835.5},
    "H200": {"tf32": 494.5, "bf16": 989.5},
    "A100": {"tf32": 156, "bf16": 312},
    "L40S": {"tf32": 183, "bf16": 362},
    "RTX 4090": {"tf32": 82.6, "bf16": 165.2},
}

# By the names of suites/cifar10.yaml: the parts "model" and "training" of its entries.
MODELS: dict[str, dict[str, Any]] = {
    "dcgan-64": {
        "model": {
            "class": "gan.GAN",
            "objective": "gan",
            "latent_size": 100,
            "image_size": 64,
            "generator": {"class": "dcgan.Generator", "channels": 64},
            "discriminator": {"class": "dcgan.Discriminator", "channels": 64},
        },
        "training": {
            "steps": 19530,
            "batch_size": 128,
            "optimizer": {"betas": [0.5, 0.999]},
            "optimizers": {"generator": {"lr": 1.6e-4}, "discriminator": {"lr": 1.25e-4}},
        },
    },
    "ddgan": {
        "model": {
            "class": "ddgan.DDGAN",
            "timesteps": 4,
            "latent_size": 100,
            "generator": {
                "class": "ncsnpp.Generator",
                "channels": 128,
                "channel_mult": [1, 2, 2, 2],
                "num_res_blocks": 2,
                "attention_resolutions": [16],
                "latent_embedding": 256,
                "latent_layers": 4,
            },
            "discriminator": {"class": "ncsnpp.Discriminator", "channels": 128},
            "r1_gamma": 0.02,
            "r1_every": 15,
        },
        "training": {
            "steps": 351000,
            "batch_size": 256,
            "ema_decay": 0.9999,
            "flip": True,
            "optimizer": {"betas": [0.5, 0.9], "decay": "cosine", "final_lr": 1.0e-5},
            "optimizers": {"generator": {"lr": 1.6e-4}, "discriminator": {"lr": 1.25e-4}},
        },
    },
    "ddpm": {
        "model": {
            "class": "diffusion.Diffusion",
            "timesteps": 1000,
            "schedule": "linear",
            "denoiser": {"class": "unet.UNet"},
        },
        "training": {
            "steps": 800000,
            "batch_size": 128,
            "ema_decay": 0.9999,
            "clip_norm": 1.0,
            "flip": True,
            "log_every": 500,
            "optimizer": {"lr": 2.0e-4, "warmup_steps": 5000},
        },
    },
    "iddpm-hybrid": {
        "model": {
            "class": "diffusion.Diffusion",
            "timesteps": 4000,
            "schedule": "cosine",
            "time_input": "rescaled",
            "denoiser": {
                "class": "unet.UNet",
                "channels": 128,
                "channel_mult": [1, 2, 2, 2],
                "num_res_blocks": 3,
                "attention_resolutions": [16, 8],
                "num_heads": 4,
                "scale_shift_norm": True,
                "norm_eps": 1.0e-5,
                "time_embedding": "cos-sin",
                "downsample_padding": "symmetric",
                "dropout": 0.3,
            },
            "learned_variance": True,
            "loss": "hybrid",
        },
        "training": {
            "steps": 500000,
            "batch_size": 128,
            "ema_decay": 0.9999,
            "log_every": 500,
            "optimizer": {"lr": 1.0e-4},
        },
    },
}
SAMPLERS: dict[str, dict[str, Any]] = {
    "dcgan-64": {},
    "ddgan": {},
    "ddpm": {"method": "ddim", "steps": 50},
    "iddpm-hybrid": {"method": "ddpm", "respacing": "50"},
}

# Other options for the networks of a tiny model.
_UNET = {"channels": 8, "channel_mult": [1, 1], "num_res_blocks": 1, "patch_size": 4, "norm_groups": 4}
_TINY: dict[str, dict[str, Any]] = {
    "dcgan-64": {"generator": {"channels": 4}, "discriminator": {"channels": 4}},
    "ddgan": {
        "generator": {
            "channels": 8,
            "channel_mult": [1, 1],
            "num_res_blocks": 1,
            "attention_resolutions": [],
            "latent_embedding": 8,
            "patch_size": 4,
        },
        "discriminator": {"channels": 8, "time_size": 8, "patch_size": 4},
    },
    "ddpm": {"denoiser": {**_UNET, "attention_resolutions": [8]}},
    "iddpm-hybrid": {"denoiser": {**_UNET, "attention_resolutions": []}},
}


def entry(name: str, tiny: bool, **training: Any) -> dict[str, Any]:
    """A model's entry with other keys of its training, such as the precision."""
    found = copy.deepcopy(MODELS[name])
    if tiny:
        for network, options in _TINY[name].items():
            found["model"][network].update(options)
        training = {"batch_size": 4, **training}
    found["training"].update(training)
    return found


def sampler(name: str, tiny: bool) -> dict[str, Any]:
    """Options of the sampler with which a model is measured."""
    steps = {"steps": 2} if tiny and "steps" in SAMPLERS[name] else {}
    respacing = {"respacing": "10"} if tiny and "respacing" in SAMPLERS[name] else {}
    return {**SAMPLERS[name], **steps, **respacing}


def fewer_steps(options: Mapping[str, Any]) -> dict[str, Any]:
    """A fifth of a sampler's steps."""
    return {key: value if key == "method" else type(value)(int(value) // 5 or 1) for key, value in options.items()}


def built(
    model: Mapping[str, Any],
    device: torch.device,
    image_shape: tuple[int, int, int] = IMAGE_SHAPE,
    seed: int = 0,
    filled: bool = False,
) -> Model:
    """An untrained model as at the start of a training, with weights drawn on the CPU: the same for every device.

    filled: Weights that begin at zero or nearly so, such as in a U-Net's last layer, are replaced, and batch
        normalisation has statistics of its activations. All of the network then affects the samples.
    """
    torch.manual_seed(seed)
    found = build(model, image_shape)
    if filled:
        with torch.no_grad():
            for parameter in found.parameters():
                if parameter.abs().max() < 1e-4:
                    parameter.normal_(0, 0.05)
            norms = [module for module in found.modules() if isinstance(module, nn.BatchNorm2d)]
            for norm in norms:
                norm.momentum = None  # the plain average
            if norms:
                found.train().sample(Noise(torch.arange(8)))
    return found.to(device).to(memory_format=image_layout(device))


def trainer(
    found: Mapping[str, Any],
    images: NDArray[np.uint8],
    device: torch.device,
    labels: NDArray[np.int64] | None = None,
    seed: int = 0,
) -> Trainer:
    """A training of an entry, at its first step, as genbench.training.run begins one."""
    config = TrainConfig.from_entry(found["training"])
    height, width, channels = images.shape[1:]
    model = built(found["model"], device, (channels, height, width), seed)
    config.check_model(model)
    y = np.zeros(len(images), np.int64) if labels is None else labels
    return Trainer(model, config, Batches(images, y, seed, config, device), seed, device)


@cache
def iteration_flops(name: str, tiny: bool) -> float:
    """FLOPs of a mean iteration, two per multiplication, counted as preflight counts them.

    A penalty that comes every few iterations counts by its share of them.
    """
    found = entry(name, tiny)

    def counted(model: Mapping[str, Any]) -> int:
        with torch.device("meta"):
            cost = training_cost(build(model, IMAGE_SHAPE), TrainConfig.from_entry(found["training"]))
        return cost["flops"]

    every = found["model"].get("r1_every", 1)
    whole = counted(found["model"])
    return whole if every == 1 else (whole + (every - 1) * counted({**found["model"], "r1_gamma": 0.0})) / every


def peak_flops(device: torch.device, precision: str) -> float | None:
    """The maker's figure for the FLOP/s of matrix products on the device; None if this table has none."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    tera = next((peaks.get(precision) for words, peaks in PEAKS.items() if words in name), None)
    return None if tera is None else tera * 1e12


def reset_peak_memory(device: torch.device) -> None:
    synchronise(device)
    gc.collect()  # an earlier model may still be in memory
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> int | None:
    """The most bytes of tensors since `reset_peak_memory`; None if torch does not count them."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
