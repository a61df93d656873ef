"""A table of bad input: before training, each case is refused in one clear line that names the place."""

import copy
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from entries import MODELS
from PIL import Image

from genbench.errors import InputError
from genbench.features import save_features
from genbench.files.archives import list_files, read_files
from genbench.files.artifacts import read_json
from genbench.files.changes import state
from genbench.files.downloads import existing_path
from genbench.metrics import Features
from genbench.suites.config import Config
from genbench.suites.load import load_suite
from genbench.suites.preflight import check_suite

ROOT = Path(__file__).parents[2]
NAN = float("nan")
OF_28 = {"attention_resolutions": [7]}  # for the 28x28 images of demo, after folding
ENTRIES = MODELS | {
    "ddpm": MODELS["ddpm"] | {"denoiser": MODELS["ddpm"]["denoiser"] | OF_28},
    "ddgan": MODELS["ddgan"] | {"generator": MODELS["ddgan"]["generator"] | OF_28},
    "bottleneck": MODELS["vae"]
    | {
        "channels": 32,
        "autoencoder": {
            "class": "bottleneck.Autoencoder", "sides": [28, 14, 7, 1], "channels": [4, 4, 4, 8],
            "encoder_blocks": [1, 1, 1, 1], "decoder_blocks": [1, 1, 1, 1],
        },
    },
    "blur": MODELS["cold"] | {"degradation": {"name": "blur", "timesteps": 2}},
}  # fmt: skip
NARROW = MODELS["ddpm"]["denoiser"] | {"attention_resolutions": [], "middle_attention": "none"}  # without attention
HUGE = MODELS["ddpm"]["denoiser"] | OF_28 | {"channels": 10**6, "channel_mult": [10**6, 10**6]}
STEPS = {"steps": 10, "batch_size": 8}
SUITE: dict[str, Any] = {"title": "Toy", "dataset": {"source": "demo"}, "num_samples": 1000}


def changed(whole: Any, path: str, value: object) -> Any:
    """Return `whole` with the value at a dotted path replaced, or removed if `value` is `...`."""
    *parents, last = path.split(".")
    part = whole
    for parent in parents:
        part = part.setdefault(parent, {})
    if value is ...:
        del part[last]
    else:
        part[last] = value
    return whole


def refused(suite: Any, folder: Path) -> str:
    """Return the error of a suite in toy.yaml, without the file's name; it must be one line."""
    path = folder / "toy.yaml"
    path.write_text(yaml.safe_dump(suite))
    with pytest.raises(InputError) as caught:
        check_suite(load_suite(path), str(folder), "toy.yaml")
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 700
    assert "toy.yaml: " in said
    return said.partition("toy.yaml: ")[2]


# The model of ENTRIES, the dotted path in its entry, the value, and the error's text after the place of the entry.
ENTRY_CASES: list[tuple[str, str, object, str]] = [
    (
        "cold",
        "model.degradation",
        {"name": "rows", "timesteps": 4, "order": "centre-out", "seed": 3},
        "model: degradation: key 'seed': found 3, which does nothing without order: random",
    ),
    (
        "ddpm",
        "model",
        MODELS["ddpm"] | {"timesteps": 1, "spacing": "trailing"},
        "model: key 'spacing': found 'trailing', which does nothing with timesteps: 1",
    ),
    # --- Training
    ("vae", "training.steps", ..., "training: key 'steps' is missing"),
    ("vae", "training.steps", 0, "training: key 'steps': found 0, expected at least 1"),
    ("vae", "training.steps", -5, "training: key 'steps': found -5, expected at least 1"),
    ("vae", "training.steps", 10.5, "training: key 'steps': found 10.5, expected an integer from 1"),
    ("vae", "training.steps", "10", "training: key 'steps': found '10', expected an integer from 1"),
    ("vae", "training.steps", True, "training: key 'steps': found True, expected an integer from 1"),
    ("vae", "training.flops", 1e12, "training: key 'flops': found 1e+12 beside steps 10; expected one of the two"),
    ("vae", "training.flops", 0, "training: key 'flops': found 0, expected more than 0"),
    ("vae", "training.flops", -1e12, "training: key 'flops': found -1000000000000.0, expected more than 0"),
    ("vae", "training.flops", "1e12", "training: key 'flops': found '1e12' (YAML reads 2e-4 as a string; write 2.0e-"),
    ("vae", "training", {"flops": 1.0, "batch_size": 8}, "training: key 'flops': found 1, expected at least"),
    ("vae", "training.steps", None, "training: key 'steps' is missing; expected steps or flops"),
    ("vae", "training.batch_size", 0, "training: key 'batch_size': found 0, expected at least 1"),
    ("vae", "training.batch_size", -8, "training: key 'batch_size': found -8, expected at least 1"),
    ("vae", "training.steps", 10**12, "training: key 'steps': found 1000000000000, expected at least 1 and at most 10"),
    ("vae", "training.batch_size", 10**12, "key 'batch_size': found 1000000000000, expected at least 1 and at most"),
    ("vae", "training.batch_size", 8000, "key 'batch_size': found 8000, expected at most 4000, as many images as the"),
    ("vae", "training.accumulate", 0, "training: key 'accumulate': found 0, expected at least 1"),
    ("vae", "training.accumulate", 3, "training: key 'accumulate': found 3, expected a divisor of batch_size 8"),
    ("vae", "training.precision", "fp64", "training: key 'precision': found 'fp64', expected one of 'auto'"),
    ("vae", "training.ema_decay", 1, "training: key 'ema_decay': found 1, expected at least 0 and less than 1"),
    ("vae", "training.ema_decay", -0.1, "training: key 'ema_decay': found -0.1, expected at least 0"),
    ("vae", "training.clip_norm", 0, "training: key 'clip_norm': found 0, expected more than 0"),
    ("vae", "training.clip_norm", -1.0, "training: key 'clip_norm': found -1.0, expected more than 0"),
    ("vae", "training.flip", "yes", "training: key 'flip': found 'yes', expected true or false"),
    ("vae", "training.flip", 1, "training: key 'flip': found 1, expected true or false"),
    ("vae", "training.log_every", 0, "training: key 'log_every': found 0, expected at least 1"),
    ("vae", "training.validate_every", -1, "training: key 'validate_every': found -1, expected at least 0"),
    ("gan", "training.validate_every", 5, "training: key 'validate_every': found 5, but GAN has nothing to watch"),
    ("wgan-gp", "training.compile", True, "training: key 'compile': found true, but this model differentiates twice"),
    ("vae", "training.lr", 1e-3, "training: unknown key: found 'lr'"),
    ("vae", "training", [1], "training: found [1], expected a mapping"),
    ("vae", "training.optimizer", 3, "training: key 'optimizer': found 3, expected a mapping"),
    ("vae", "training.optimizer.lr", -1, "training: optimizer: key 'lr': found -1, expected at least 0"),
    ("vae", "training.optimizer.lr", "1e-3", "key 'lr': found '1e-3' (YAML reads 2e-4 as a string"),
    ("vae", "training.optimizer.lr", None, "training: optimizer: key 'lr': found None, expected a number from 0"),
    ("vae", "training.optimizer.lr", [1.0e-3], "training: optimizer: key 'lr': found [0.001], expected a number from"),
    ("vae", "training.optimizer.lr", 10**400, "training: optimizer: key 'lr': found 1000"),
    ("vae", "training.optimizer.betas", [0.9, 1.5], "key 'betas': found [0.9, 1.5], expected a list of 2 values (a nu"),
    ("vae", "training.optimizer.betas", [-0.1, 0.9], "key 'betas': found [-0.1, 0.9], expected a list of 2 values"),
    ("vae", "training.optimizer.betas", [0.9], "key 'betas': found [0.9], expected a list of 2 values"),
    ("vae", "training.optimizer.betas", 0.9, "key 'betas': found 0.9, expected a list of 2 values"),
    ("vae", "training.optimizer.eps", -1.0, "key 'eps': found -1.0, expected at least 0"),
    ("vae", "training.optimizer.weight_decay", -1, "key 'weight_decay': found -1, expected at least 0"),
    ("vae", "training.optimizer.warmup_steps", -1, "key 'warmup_steps': found -1, expected at least 0"),
    ("vae", "training.optimizer.warmup_steps", 0.5, "key 'warmup_steps': found 0.5, expected an integer from 0"),
    ("vae", "training.optimizer.decay", "exp", "key 'decay': found 'exp', expected one of 'constant', 'linear'"),
    ("vae", "training.optimizer.decay_steps", 0, "key 'decay_steps': found 0, expected at least 1"),
    ("vae", "training.optimizer.final_lr", -1, "key 'final_lr': found -1, expected at least 0"),
    ("vae", "training.optimizer.algorithm", "adma", "key 'algorithm': found 'adma', expected one of 'adam'"),
    ("vae", "training.optimizer", {"decay": "linear", "decay_steps": 5, "warmup_steps": 5}, "found 5, expected more"),
    ("vae", "training.optimizer", {"decay": "linear", "final_lr": 1.0}, "'final_lr': found 1.0, expected at most lr"),
    ("vae", "training.optimizer.lr", 1e7, "key 'lr': found 10000000.0, expected at least 0 and at most 1000000"),
    ("vae", "training.optimizer.lr", "\u22120.001", "key 'lr': found '\u22120.001', expected a number from 0"),
    ("vae", "training.batch_size", "\u0668", "key 'batch_size': found '\u0668', expected an integer from 1"),
    ("vae", "model.kl_weight", 1e9, "key 'kl_weight': found 1000000000.0, expected at least 0 and at most 1000000"),
    ("vae", "model.priors", ["standard", "standard"], "key 'priors': found ['standard', 'standard'], expected each"),
    ("vae", "model.class", "v\u0430e.VAE", "class: found 'v\u0430e.VAE', and there is no module"),
    ("vae", "snapshots", {"every": 20}, "snapshots: every: found 20, expected less than steps 10"),
    # --- Keys that have no effect because of other keys or too few steps
    ("vae", "model.mixture_components", 5, "key 'mixture_components': found 5, which does nothing without 'mixt"),
    ("vae", "model", MODELS["vae"] | {"kl_weight": 0, "kl_anneal_steps": 4}, "'kl_anneal_steps': found 4, which does"),
    ("autoencoder", "model.kl_anneal_steps", 4, "key 'kl_anneal_steps': found 4, which does nothing beside kl_weight"),
    ("vae", "model.autoencoder", {"class": "autoencoder.Autoencoder"}, "key 'channels': found 8, which does nothing b"),
    ("gan", "model.image_size", 28, "key 'image_size': found 28, which does nothing where it is the images' ow"),
    ("ddgan", "model.r1_gamma", 0, "model: key 'r1_every': found 3, which does nothing beside r1_gamma: 0"),
    ("ddpm", "samplers.x.spacing", "trailing", "key 'spacing': found 'trailing', which does nothing without step"),
    ("ddpm", "samplers.x", {"respacing": "5", "spacing": "uniform"}, "key 'spacing': found 'uniform', which does noth"),
    ("ddpm", "model.denoiser", NARROW | {"num_heads": 2}, "key 'num_heads': found 2, which does nothing without a"),
    ("ddpm", "model.denoiser", NARROW | {"head_channels": 4}, "key 'head_channels': found 4, which does nothing witho"),
    ("ddpm", "model.denoiser", NARROW | {"up_num_heads": 2}, "key 'up_num_heads': found 2, which does nothing without"),
    ("ddpm", "model.denoiser", NARROW | {"channel_mult": [1], "resample": "block"}, "'resample': found 'block', which"),
    ("gan", "model.n_critic", 11, "model: key 'n_critic': found 11, expected at most the training's steps, 10"),
    ("ddgan", "model.r1_every", 11, "model: key 'r1_every': found 11, expected at most the training's steps, 10"),
    ("ddpm", "model.denoiser.norm_eps", 1e6, "key 'norm_eps': found 1000000.0, expected more than 0 and at most 1"),
    ("vae", "training.optimizer.eps", 2, "optimizer: key 'eps': found 2, expected at least 0 and at most 1"),
    ("vae", "label", " ", "label: found ' ', expected text that can be seen"),
    ("vae", "label", "a\nb", "label: found 'a\\nb', expected one line without control characters"),
    ("vae", "label", "\x1b[31mred", "label: found '\\x1b[31mred', expected one line without control characters"),
    ("vae", "label", "x" * 201, "label: found "),
    ("ddpm", "samplers.x.guidance", 1e9, "key 'guidance': found 1000000000.0, expected at least -1000000 and at most"),
    ("vae", "training.optimizer.final_lr", 1e-5, "key 'final_lr': found 1e-05, which does nothing beside decay: const"),
    ("vae", "training.optimizer.decay_steps", 5, "key 'decay_steps': found 5, which does nothing beside decay: const"),
    ("vae", "training.optimizer", {"algorithm": "sgd", "eps": 1e-3}, "key 'eps': found 0.001, which does nothing be"),
    ("vae", "training.optimizers", {"decoder": {}}, "training: optimizers: found 'decoder', expected one of: autoenc"),
    ("vae", "training.optimizers", {"autoencoder": {"lr": -1}}, "optimizers: autoencoder: key 'lr': found -1"),
    # --- Diffusion
    ("ddpm", "model.timesteps", 0, "model: key 'timesteps': found 0, expected at least 1 and at most 1000000"),
    ("ddpm", "model.timesteps", -20, "model: key 'timesteps': found -20, expected at least 1"),
    ("ddpm", "model.timesteps", 10**9, "model: key 'timesteps': found 1000000000, expected at least 1 and at most"),
    ("ddpm", "model.timesteps", 20.0, "model: key 'timesteps': found 20.0, expected an integer"),
    ("ddpm", "model.schedule", "cosin", "model: schedule: name: found 'cosin' (did you mean 'cosine'?)"),
    ("ddpm", "model.schedule", {"name": "linear", "beta_start": 0}, "linear: key 'beta_start': found 0, expected more"),
    ("ddpm", "model.schedule", {"name": "linear", "beta_end": 1.5}, "key 'beta_end': found 1.5, expected more than 0"),
    ("ddpm", "model.schedule", {"name": "scaled_linear", "beta_start": -1}, "key 'beta_start': found -1, expected mor"),
    ("ddpm", "model.schedule", {"name": "sigmoid", "beta_end": 2}, "key 'beta_end': found 2, expected more than 0"),
    ("ddpm", "model.schedule", {"name": "cosine", "offset": -1}, "cosine: key 'offset': found -1, expected at least 0"),
    ("ddpm", "model.schedule", {"name": "cosine", "max_beta": 1}, "cosine: key 'max_beta': found 1, expected more tha"),
    ("ddpm", "model.schedule", {"name": "vp", "beta_min": -1}, "vp: key 'beta_min': found -1, expected at least 0"),
    ("ddpm", "model.schedule", {"name": "vp", "eps": 1}, "vp: key 'eps': found 1, expected at least 0 and less than 1"),
    ("ddpm", "model.schedule", {"name": "betas", "values": [0.1]}, "values: found 1 numbers, expected 20"),
    ("ddpm", "model.schedule", {"name": "betas", "values": [2] * 20}, "key 'values': found [2"),
    ("ddpm", "model.schedule", {"name": "linear", "offset": 1}, "linear: unknown key: found 'offset'"),
    ("ddpm", "model.schedule", {"beta_start": 0.1}, "model: schedule: key 'name' is missing; expected one of: betas"),
    ("ddpm", "model.schedule", 5, "model: key 'schedule': found 5, expected a string or a mapping"),
    ("ddpm", "model.prediction", "noise", "model: key 'prediction': found 'noise', expected one of 'eps', 'v', 'x0'"),
    ("ddpm", "model.loss", "hybrid", "model: key 'loss': found 'hybrid', whose bound moves only a learned variance"),
    ("ddpm", "model.learned_variance", True, "model: key 'loss': found 'simple', which does not teach the variance"),
    ("ddpm", "model.label_dropout", 0.5, "model: key 'label_dropout': found 0.5 with 0 classes"),
    ("ddpm", "model.label_dropout", 1, "model: key 'label_dropout': found 1, expected at least 0 and less than 1"),
    ("ddpm", "model.num_classes", -1, "model: key 'num_classes': found -1, expected at least 0"),
    ("ddpm", "model.num_classes", 3, "model: found num_classes: 3 and multi_label: false, but an image of"),
    ("ddpm", "model.multi_label", True, "model: key 'multi_label': found true with 0 classes"),
    ("ddpm", "model.time_sampler", {"name": "loss-second-moment", "history": 0}, "key 'history': found 0, expected at"),
    ("ddpm", "model.time_sampler", {"name": "loss-second-moment", "uniform": 2}, "key 'uniform': found 2, expected at"),
    # --- The U-Net
    ("ddpm", "model.denoiser.class", "unet.Unet", "denoiser: class in genbench.networks.unet: found 'Unet'"),
    ("ddpm", "model.denoiser.class", "os.system", "denoiser: class: found 'os.system'"),
    ("ddpm", "model.denoiser.class", ..., "denoiser: key 'class' is missing"),
    ("ddpm", "model.denoiser.channels", 0, "denoiser: key 'channels': found 0, expected at least 1"),
    ("ddpm", "model.denoiser.channels", -8, "denoiser: key 'channels': found -8, expected at least 1"),
    ("ddpm", "model.denoiser.channels", 7, "denoiser: key 'channels': found 7, expected an even number of at least 4"),
    ("ddpm", "model.denoiser.channels", 2, "denoiser: key 'channels': found 2, expected an even number of at least 4"),
    ("ddpm", "model.denoiser.channel_mult", [], "denoiser: key 'channel_mult': found [], expected at least one"),
    ("ddpm", "model.denoiser.channel_mult", [1, 0], "denoiser: key 'channel_mult': found [1, 0], expected a list of"),
    ("ddpm", "model.denoiser.channel_mult", [1, -2], "denoiser: key 'channel_mult': found [1, -2], expected a list of"),
    ("ddpm", "model.denoiser.channel_mult", "12", "denoiser: key 'channel_mult': found '12', expected a list of a num"),
    ("ddpm", "model.denoiser.num_res_blocks", 0, "denoiser: key 'num_res_blocks': found 0, expected at least 1"),
    ("ddpm", "model.denoiser.attention_resolutions", [13], "found 13, expected some of 14, 7"),
    ("ddpm", "model.denoiser.attention_resolutions", [28], "found 28, expected some of 14, 7"),
    ("ddpm", "model.denoiser.attention_resolutions", [14, 16], "found 16, expected some of 14, 7"),
    ("ddpm", "model.denoiser.attention_resolutions", [0], "found [0], expected a list of an integer from 1"),
    ("ddpm", "model.denoiser.attention_resolutions", 7, "found 7, expected a list of an integer from 1"),
    ("ddpm", "model.denoiser.up_attention_resolutions", [14, 3], "found 3, expected some of 14, 7"),
    ("ddpm", "model.denoiser.num_heads", 0, "denoiser: key 'num_heads': found 0, expected at least 1"),
    ("ddpm", "model.denoiser.num_heads", 3, "denoiser: UNet: key 'num_heads': found 3, which does not divide 16"),
    ("ddpm", "model.denoiser.head_channels", 0, "denoiser: key 'head_channels': found 0, expected at least 1"),
    ("ddpm", "model.denoiser.dropout", 1, "denoiser: key 'dropout': found 1, expected at least 0 and less than 1"),
    ("ddpm", "model.denoiser.dropout", -0.1, "denoiser: key 'dropout': found -0.1, expected at least 0"),
    ("ddpm", "model.denoiser.norm_groups", 0, "denoiser: key 'norm_groups': found 0, expected at least 1"),
    ("ddpm", "model.denoiser.norm_groups", 3, "key 'norm_groups': found 3, which does not divide channels 8"),
    ("ddpm", "model.denoiser.norm_eps", 0, "denoiser: key 'norm_eps': found 0, expected more than 0"),
    ("ddpm", "model.denoiser.frequency_shift", 99, "denoiser: key 'channels': found 8, expected an even number of at"),
    ("ddpm", "model.denoiser.patch_size", 0, "denoiser: key 'patch_size': found 0, expected at least 1"),
    ("ddpm", "model.denoiser.patch_size", 3, "denoiser: UNet: image side 28 is not divisible by 6"),
    ("ddpm", "model.denoiser.middle_attention", "full", "key 'middle_attention': found 'full', expected one of 'no"),
    ("ddpm", "model.denoiser.in_channels", "3", "key 'in_channels': found '3', expected an integer"),
    # --- Samplers
    ("ddpm", "samplers.x.steps", 0, "samplers: x: key 'steps': found 0, expected at least 1 and at most 1000000"),
    ("ddpm", "samplers.x.steps", -1, "samplers: x: key 'steps': found -1, expected at least 1 and at most 1000000"),
    ("ddpm", "samplers.x.steps", 21, "samplers: x: key 'steps': found 21, expected 1 to 20"),
    ("ddpm", "samplers.x.steps", 2.5, "samplers: x: key 'steps': found 2.5, expected an integer from 1 to 1000000 o"),
    ("ddpm", "samplers.x", {"method": "ddim", "eta": 1.5}, "samplers: x: "),
    ("ddpm", "samplers.x", {"method": "ddim", "eta": "sigma"}, "key 'eta': found 'sigma', expected a number from 0"),
    ("ddpm", "samplers.x", {"method": "ddpm", "variance": "learned"}, "key 'variance': found 'learned', expected smal"),
    ("ddpm", "samplers.x", {"method": "heun", "eta": 0.5}, "samplers: x: heun: unknown key: found 'eta'"),
    ("ddpm", "samplers.x.guidance", 1.0, "samplers: x: key 'guidance': found 1.0, but label_dropout is 0"),
    ("ddpm", "samplers.x.respacing", "0", "samplers: x: key 'respacing': found '0' for 20 timesteps"),
    ("ddpm", "samplers.x.respacing", "ddim9", "samplers: x: key 'respacing': found 'ddim9' for 20 timesteps"),
    ("ddpm", "samplers.x", {"steps": 3, "respacing": "5"}, "key 'respacing': found beside steps: 3, expected one of"),
    ("ddpm", "samplers.x.spacing", "even", "samplers: x: key 'spacing': found 'even', expected one of 'uniform'"),
    ("ddpm", "samplers.x.clip", "yes", "samplers: x: key 'clip': found 'yes', expected true or false"),
    ("ddpm", "samplers.x", None, "samplers: x: found None, expected a mapping"),
    ("ddpm", "samplers", {}, "samplers: "),
    ("ddpm", "samplers", {"a b": {}}, "samplers"),
    ("gan", "samplers.x.steps", 5, "samplers: x: unknown key: found 'steps'"),
    ("cold", "samplers.x.noise_level", -1, "samplers: x: key 'noise_level': found -1, expected at least 0"),
    ("cold", "samplers.x", {"mode": "reconstruct", "noise_level": 0.1}, "key 'noise_level': found 0.1, which does"),
    # --- GANs
    ("gan", "model.latent_size", 0, "model: key 'latent_size': found 0, expected at least 1"),
    ("gan", "model.latent_size", 8.0, "model: key 'latent_size': found 8.0, expected an integer from 1"),
    ("gan", "model.n_critic", 0, "model: key 'n_critic': found 0, expected at least 1"),
    ("gan", "model.objective", "wgn", "model: key 'objective': found 'wgn', expected one of 'gan', 'lsgan', 'wgan', "),
    ("gan", "model.penalty", {"name": "gp", "weight": -1}, "penalty: gp: key 'weight': found -1, expected at least 0"),
    ("gan", "model.penalty", {"name": "r1", "gamma": -0.1}, "penalty: r1: key 'gamma': found -0.1, expected at least"),
    ("gan", "model.penalty", "gq", "model: penalty: name: found 'gq'; expected one of: gp, r1, r1+r2"),
    ("gan", "model.penalty", ["gp"], "model: key 'penalty': found ['gp'], expected a string or a mapping or null"),
    ("gan", "model.penalty", "", "model: penalty: name: found ''"),
    ("gan", "model.penalty", {}, "model: penalty: key 'name' is missing"),
    ("gan", "model.image_size", 27, "model: key 'image_size': found 27, expected a multiple of the images' side"),
    ("gan", "model.image_size", 0, "model: key 'image_size': found 0, expected at least 1"),
    ("gan", "model.generator", None, "model: key 'generator': found None, expected a mapping"),
    ("gan", "model.generator", {}, "model: generator: key 'class' is missing"),
    ("gan", "model.generator.class", "dcgan", "model: generator: class: found 'dcgan'"),
    ("gan", "model.generator.class", 5, "model: generator: class: found"),
    ("gan", "model.generator.channels", 0, "model: generator: key 'channels': found 0, expected at least 1"),
    ("gan", "model.discriminator.channels", -8, "model: discriminator: key 'channels': found -8, expected at least 1"),
    ("ddgan", "model.r1_gamma", -1, "model: key 'r1_gamma': found -1, expected at least 0"),
    ("ddgan", "model.r1_every", 0, "model: key 'r1_every': found 0, expected at least 1"),
    ("ddgan", "model.timesteps", 0, "model: key 'timesteps': found 0, expected at least 1"),
    ("ddgan", "model.generator.attention_resolutions", [8], "found 8, expected some of 14, 7"),
    ("ddgan", "model.generator.num_res_blocks", 0, "generator: key 'num_res_blocks': found 0, expected at least 1"),
    ("ddgan", "model.generator.latent_layers", -1, "generator: key 'latent_layers': found -1, expected at least 0"),
    ("ddgan", "model.generator.dropout", 2, "generator: key 'dropout': found 2, expected at least 0 and less than 1"),
    ("ddgan", "model.generator.channels", 3, "generator: key 'channels': found 3, expected an even number of at least"),
    ("ddgan", "model.generator.channel_mult", [], "generator: key 'channel_mult': found [], expected at least one"),
    ("ddgan", "model.discriminator.time_size", 15, "discriminator: key 'time_size': found 15, expected an even number"),
    ("ddgan", "model.discriminator.group", 0, "discriminator: key 'group': found 0, expected at least 1"),
    # --- VAEs and cold diffusion
    ("vae", "model.latent_size", 0, "model: key 'latent_size': found 0, expected at least 1"),
    ("vae", "model.channels", 10**12, "key 'channels': found 1000000000000, expected at least 1 and at most 1000000"),
    ("ddpm", "model.denoiser", HUGE, "model: the model can't be built: "),
    ("gan", "model.latent_size", 10**30, "key 'latent_size': found 1000000000000000000000000000000, exp"),
    ("ddpm", "model.denoiser.in_channels", -1, "denoiser: key 'in_channels': found -1, expected at least 1"),
    ("ddpm", "model.denoiser.num_classes", -1, "denoiser: key 'num_classes': found -1, expected at least 0"),
    ("vae", "model.channels", 0, "model: key 'channels': found 0, expected at least 1"),
    ("vae", "model.kl_weight", -1, "model: key 'kl_weight': found -1, expected at least 0"),
    ("vae", "model.kl_weight", "4", "model: key 'kl_weight': found '4', expected a number from 0"),
    ("vae", "model.kl_anneal_steps", -1, "model: key 'kl_anneal_steps': found -1, expected at least 0"),
    ("vae", "model.mixture_components", 0, "model: key 'mixture_components': found 0, expected at least 1"),
    ("vae", "model.priors", [], "model: key 'priors': found [], expected at least one"),
    ("vae", "model.priors", "gaussian", "model: key 'priors': found 'gaussian', expected a list of one of"),
    ("vae", "model.output", "relu", "model: key 'output': found 'relu', expected one of 'linear'"),
    ("vae", "model.deterministic", True, "model: a deterministic VAE is an autoencoder"),
    ("bottleneck", "model.autoencoder.sides", [], "model: autoencoder: sides, channels, encoder_blocks, decoder_block"),
    ("bottleneck", "model.autoencoder.sides", [28, 14, 5, 1], "model: autoencoder: key 'sides': found [28, 14, 5, 1]"),
    ("bottleneck", "model.autoencoder.channels", [4, 4, 4, 1], "autoencoder: key 'channels': found [4, 4, 4, 1]"),
    ("bottleneck", "model.autoencoder.encoder_blocks", [1, 1, 1, -1], "key 'encoder_blocks': found [1, 1, 1, -1]"),
    ("cold", "model.mixture_components", 0, "key 'mode': found 'generate', but mixture_components is 0; expected 'rec"),
    ("cold", "model.degradation", {"name": "rows", "timesteps": 0}, "rows: key 'timesteps': found 0, expected at leas"),
    ("cold", "model.degradation", {"name": "rows", "timesteps": 5}, "key 'timesteps': found 5, expected a divisor of"),
    ("cold", "model.degradation", {"name": "rows", "seed": -1}, "rows: key 'seed': found -1, expected at least 0"),
    ("cold", "model.restorer.hidden_channels", [], "key 'hidden_channels': found [], expected positive integers"),
    ("cold", "model.restorer.hidden_channels", [4, 0], "restorer: key 'hidden_channels': found [4, 0], expected a lis"),
    ("blur", "model.degradation.std", 0, "key 'std': found 0, expected more than 0 and at most 1000000"),
    ("blur", "model.degradation.kernel_size", 4, "key 'kernel_size': found 4, expected an odd number from 3"),
    ("blur", "model.degradation.timesteps", 10**7, "key 'timesteps': found 10000000, expected at least 1 and at most"),
    # --- Keys besides model and training
    ("vae", "model", ..., "found training of the keys that say what this is"),
    ("vae", "model", "vae.VAE", "model: found 'vae.VAE', expected a mapping"),
    ("vae", "model.class", "vae.VAF", "model: class in genbench.models.vae: found 'VAF'"),
    ("vae", "model.class", "nothing.VAE", "model: class: found 'nothing.VAE', and there is no module"),
    ("vae", "training", ..., "found model of the keys that say what this is"),
    ("vae", "label", 5, "label: found 5, expected a string"),
    ("vae", "ranks", 0, "ranks: found 0, expected at least 1"),
    ("vae", "ranks", 9, "ranks: found 9 processes (ranks) for 8 images at once"),
    ("vae", "gpus", "2", "gpus: found '2', expected an integer"),
    ("vae", "snapshots", [10], "snapshots: found step 10, expected steps below training: steps 10"),
    ("vae", "snapshots", [-1], "snapshots: 0: found -1, expected at least 0"),
    ("vae", "snapshots", [5, 5], "snapshots: found 5 twice, expected it once"),
    ("vae", "ranks", 10**6, "ranks: found 1000000, expected at most 4096"),
    ("vae", "gpus", 10**6, "gpus: found 1000000, expected at most 4096"),
    ("vae", "sample_batch_size", 10**12, "sample_batch_size: found 1000000000000, expected at most 1000000"),
    ("vae", "sample_batch_size", 1001, "sample_batch_size: found 1001, expected at most num_samples 1000"),
    ("vae", "snapshots", {"every": 0}, "snapshots: every: found 0, expected at least 1"),
    ("vae", "pictures", ["strips"], "pictures: found 'strips'"),
    ("vae", "likelihood", {}, "likelihood: found a model of class VAE, which bounds no likelihood of"),
    ("ddpm", "likelihood", {"images": 1}, "likelihood: images: found 1, expected at least 2"),
    ("ddpm", "likelihood", {"steps": 0}, "likelihood: steps: found 0, expected at least 1"),
    ("ddpm", "likelihood", {"steps": 21}, "likelihood: key 'steps': found 21, expected 1 to 20"),
    ("ddpm", "quantisation", {"sampler": "y", "schemes": ["bf16"]}, "quantisation: sampler: found 'y'"),
    ("ddpm", "quantisation", {"sampler": "default", "schemes": ["int4"]}, "quantisation: schemes: 0: found 'int4'"),
    ("ddpm", "quantisation", {"sampler": "default", "schemes": []}, "quantisation: schemes: found [], expected at lea"),
    ("vae", "sample_batch_size", 0, "sample_batch_size: found 0, expected at least 1"),
    ("vae", "first_stage", "vea", "first_stage: found 'vea'"),
    ("vae", "first_stage", "vae", "first_stage: found 'vae', expected a model of this suite"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "path", "value", "message"), ENTRY_CASES)
def test_a_bad_entry_is_refused(model: str, path: str, value: object, message: str, tmp_path: Path) -> None:
    entry = {"model": copy.deepcopy(ENTRIES[model]), "training": {"steps": 10, "batch_size": 8}}
    said = refused(SUITE | {"models": {model: changed(entry, path, value)}}, tmp_path)
    assert said.startswith(f"models: {model}: ")
    assert message in said


# --- Suites as files --------------------------------------------------------------------------------------------------

# The content of a suite's file, and the error's text after the file's name.
FILE_CASES: list[tuple[bytes, str]] = [
    (b"", "found None, expected a mapping"),
    (b"demo\n", "found 'demo', expected a mapping"),
    (b"- 1\n", "found [1], expected a mapping"),
    (b"title: [\n", "not valid YAML: "),
    (b"title: a\n\tb: c\n", "not valid YAML: "),
    (b"title: a\n---\ntitle: b\n", "not valid YAML: expected a single document"),
    (b"title: a\ntitle: b\n", "not valid YAML: key 'title' appears twice"),
    (b"title: a\nmodels: {x: {}, x: {}}\n", "not valid YAML: key 'x' appears twice"),
    (b"? [a, b]\n: c\n", "not valid YAML: found a list as a key, expected text"),
    (b"? {a: b}\n: c\n", "not valid YAML: found a mapping as a key, expected text"),
    (b"title: a\n1: x\n", "found the key 1, expected text"),
    (b"title: a\nmodels: {null: {}}\n", "models: found the key None, expected text"),
    (b"title: a\nmodels: {true: {}}\n", "models: found the key True, expected text"),
    ("title: Blätter\n".encode("latin-1"), "found the byte 0xe4 at position 9, expected text in UTF-8"),
    ("title: a\n".encode("utf-16"), "found the byte 0xff at position 0, expected text in UTF-8"),
    (b"title: a\x00b\n", "not valid YAML: "),
    (b"title: !!python/object/apply:os.system [echo]\n", "not valid YAML: "),
    (b"title: !!int many\n", "not valid YAML: "),
    (b"title: 2026-02-30\n", "not valid YAML: "),
    (b"title: &a [*a]\n", "title: found more than 50 levels, expected fewer"),
    (b"title: " + b"[" * 3000 + b"]" * 3000, "not valid YAML: "),
    (b"title: *nothing\n", "not valid YAML: "),
    (b"num_samples: 0500\n", "not valid YAML: found the number 0500, expected it in decimal, without a leading 0"),
    (b"num_samples: 1:30\n", "not valid YAML: found the number 1:30, expected it in decimal, without a leading 0"),
    (b"<<: 3\ntitle: a\n", "not valid YAML: "),
    (b"title: " + b"9" * 6000, "not valid YAML: "),
    (b"num_samples: .nan\n", "num_samples: found nan, expected a finite number"),
    (b"models: {x: {training: {optimizer: {lr: .inf}}}}\n", "models: x: training: optimizer: lr: found inf, expected"),
    (b"models: {x: {model: {priors: [-.inf]}}}\n", "models: x: model: priors: found -inf, expected a finite number"),
    (b"title: 2026-02-03\n", "title: found datetime.date(2026, 2, 3), expected a string"),
]


@pytest.mark.parametrize(("content", "message"), FILE_CASES)
def test_a_bad_file_is_refused_with_its_name(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "toy.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_suite(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: {message}")
    assert "\n" not in said
    assert len(said) < 700


def test_there_are_not_more_snapshots_than_can_be_looked_at(tmp_path: Path) -> None:
    entry = {"model": MODELS["vae"], "training": STEPS | {"steps": 10**9}, "snapshots": {"every": 100}}
    assert refused(SUITE | {"models": {"vae": entry}}, tmp_path) == (
        "models: vae: snapshots: every: found 100, which gives 9,999,999 snapshots of 1,000,000,000 steps, "
        "expected at most 1,000: every 1000001 or more"
    )


def test_snapshots_at_every_so_many_steps_need_steps(tmp_path: Path) -> None:
    entry = {"model": MODELS["vae"], "training": {"flops": 1e12, "batch_size": 8}, "snapshots": {"every": 100}}
    said = refused(SUITE | {"models": {"vae": entry}}, tmp_path)
    assert said.startswith("models: vae: snapshots: found {'every': 100}, which needs training: steps")
    assert said.endswith("; with flops, expected a list of steps")


def test_pipes_are_not_waited_for_and_links_lead_nowhere_twice(tmp_path: Path) -> None:
    (tmp_path / "photographs").mkdir()
    os.mkfifo(tmp_path / "pipe.npz")
    os.mkfifo(tmp_path / "photographs/a.png")
    for name in ("again", "and_again"):
        (tmp_path / "photographs" / name).symlink_to("..")
    with pytest.raises(InputError, match=r"'pipe\.npz', a pipe or a device, expected a file or folder"):
        existing_path("pipe.npz", tmp_path)
    names = list_files(tmp_path / "photographs")
    assert len(names) == len(set(names)) < 10
    with pytest.raises(InputError, match=r"a\.png: found a pipe or a device, expected a file"):
        list(read_files(tmp_path / "photographs", names))
    assert state(tmp_path / "photographs")[0].startswith("files: ")


def test_folders_without_an_end_are_left_at_once(tmp_path: Path) -> None:
    if not os.path.ismount("/proc"):
        pytest.skip("this machine has no /proc")
    (tmp_path / "all").symlink_to("/proc")
    for path in (Path("/proc"), tmp_path):
        with pytest.raises(InputError, match=r"(proc|all): found a folder of the system, expected one of files"):
            list_files(path)
    photographs = tmp_path / "photographs"
    for index in range(8):
        (photographs / str(index)).mkdir(parents=True)
        for other in set(range(8)) - {index}:
            (photographs / str(index) / f"as{other}").symlink_to(f"../{other}")
    with pytest.raises(InputError, match="more than 200 times, by links that lead to each other"):
        list_files(photographs)


def test_a_folder_is_no_suite(tmp_path: Path) -> None:
    (tmp_path / "toy.yaml").mkdir()
    with pytest.raises(InputError, match=r"toy\.yaml: is a directory, expected a YAML file"):
        load_suite(tmp_path / "toy.yaml")


# The dotted path in SUITE with one VAE, the value, and the error's text after the file's name.
SUITE_CASES: list[tuple[str, object, str]] = [
    (
        "evaluation",
        {"without": ["kid"], "options": {"kid_subsets": 5}},
        "evaluation: options: key 'kid_subsets': found 5, which does nothing without the metric kid",
    ),
    ("evaluation", {"without": ["classifier_score"], "options": {"splits": 5}}, "'splits': found 5, which does nothin"),
    ("evaluation", {"without": ["memorised"], "options": {"neighbours": 5}}, "'neighbours': found 5, which does noth"),
    (
        "evaluation",
        {"extractors": ["efficientnet"], "classifier": {"min_accuracy": 0.5}},
        "evaluation: classifier: found it without the extractor 'classifier', where it does nothing",
    ),
    (
        "evaluation",
        {"headline": "class_accuracy"},
        "evaluation: headline: found 'class_accuracy', which is of models that draw by class, and no model of",
    ),
    ("evaluation", {"without": ["class_acuracy"]}, "evaluation: without: found 'class_acuracy' (did you mean 'class_"),
    ("title", ..., "key 'title' is missing"),
    ("title", "", "title: found '', expected some text"),
    ("title", 5, "title: found 5, expected a string"),
    ("titel", "x", "unknown key: found 'titel' (did you mean 'title'?)"),
    ("description", None, "description: found None, expected a string"),
    ("num_samples", 0, "num_samples: found 0, expected at least 1"),
    ("num_samples", "1e4", "num_samples: found '1e4', expected an integer"),
    ("num_samples", 1000.0, "num_samples: found 1000.0, expected an integer"),
    ("num_samples", True, "num_samples: found True, expected an integer"),
    ("num_samples", 10**10, "num_samples: found 10000000000, expected at most 100000000"),
    ("draws", 10**6, "draws: found 1000000, expected at most 1000"),
    ("draws", 0, "draws: found 0, expected at least 1"),
    ("snapshot_samples", 1001, "snapshot_samples: found 1001, expected at most num_samples 1000"),
    ("snapshot_samples", 0, "snapshot_samples: found 0, expected at least 1"),
    ("seeds", [], "seeds: found [], expected at least 1 in it"),
    ("seeds", 3, "seeds: found 3, expected a list"),
    ("seeds", [-1], "seeds: 0: found -1, expected at least 0"),
    ("seeds", [2**32], "seeds: 0: found 4294967296, expected at most 4294967295"),
    ("seeds", [0, 0], "seeds: found 0 twice, expected it once"),
    ("seeds", [0.5], "seeds: 0: found 0.5, expected an integer"),
    ("dataset", ..., "key 'dataset' is missing"),
    ("dataset", "demo", "dataset: found 'demo', expected a mapping"),
    ("dataset.source", ..., "dataset: key 'source' is missing"),
    ("dataset.source", 5, "dataset: source: found 5, expected a string"),
    ("dataset.source", "mnits", "data set: key 'source': found 'mnits' (did you mean 'mnist'?)"),
    ("dataset.name", "..", "dataset: name: found '..', expected letters and digits"),
    ("dataset.size", 3, "data set 'demo': unknown key: found 'size'"),
    ("dataset.classes", [], "data set 'demo': "),
    ("dataset.classes", ["x"], "data set 'demo': "),
    ("dataset.label", 5, "dataset: label: found 5, expected a string"),
    ("dataset", {"source": "folder"}, "data set 'folder': key 'path' is missing"),
    ("dataset", {"source": "folder", "path": "none"}, "data set 'folder': "),
    ("dataset", {"source": "shapes", "image_size": 7}, "key 'image_size': found 7, expected at least 8"),
    ("dataset", {"source": "shapes", "scenes": 1}, "key 'scenes': found 1, expected at least 2"),
    ("dataset", {"source": "shapes", "test_fraction": 1}, "key 'test_fraction': found 1, expected more than 0"),
    ("dataset", {"source": "cub", "image_size": 0}, "key 'image_size': found 0, expected at least 1"),
    ("dataset", {"source": "cub", "image_size": 10**6}, "key 'image_size': found 1000000, expected at least 1 and at"),
    ("dataset", {"source": "folder", "path": "p", "image_size": 10**5}, "key 'image_size': found 100000, expected at"),
    ("dataset", {"source": "shapes", "image_size": 10**5}, "key 'image_size': found 100000, expected at least 8 and a"),
    ("evaluation.extractors", [], "evaluation: extractors: found [], expected at least 1"),
    ("evaluation.extractors", ["inseption"], "evaluation: extractors: found 'inseption'"),
    ("evaluation.extractors", ["classifier"] * 2, "evaluation: extractors: found 'classifier' twice"),
    ("evaluation.extractors", ["objects"], "evaluation: extractors: found 'objects', which needs"),
    ("evaluation.headline", "fid", "evaluation: headline: found 'fid'"),
    ("evaluation.headline", 5, "evaluation: headline: found 5, expected a string"),
    ("evaluation.options.kid_subsets", 0, "key 'kid_subsets': found 0, expected at least 1"),
    ("evaluation.options.kid_subsets", 10**9, "key 'kid_subsets': found 1000000000, expected at least 1 and a"),
    ("evaluation.options.kid_subset_size", 1, "key 'kid_subset_size': found 1, expected at least 2"),
    ("evaluation.options.kid_subset_size", "50", "evaluation: options: key 'kid_subset_size': found '50', expected an"),
    ("evaluation.options.kid_seed", -1, "key 'kid_seed': found -1, expected at least 0"),
    ("evaluation.options.splits", 0, "key 'splits': found 0, expected at least 1"),
    ("evaluation.options.nearest_k", 0, "key 'nearest_k': found 0, expected at least 1"),
    ("evaluation.options.fd_infinity_sizes", 5, "key 'fd_infinity_sizes': found 5, expected 0, or at least 10"),
    ("evaluation.options.fd_infinity_sizes", 10**9, "'fd_infinity_sizes': found 1000000000, expected at least 0 and"),
    ("evaluation.options.neighbours", 10**9, "key 'neighbours': found 1000000000, expected at least 0 and at"),
    ("evaluation.options.neighbours", -1, "key 'neighbours': found -1, expected at least 0"),
    ("evaluation.options.kid", 3, "evaluation: options: unknown key: found 'kid'"),
    ("evaluation.classifier.epochs", 0, "evaluation: classifier: epochs: found 0, expected at least 1"),
    ("evaluation.classifier.epochs", 10**9, "evaluation: classifier: epochs: found 1000000000, expected at most 10"),
    ("evaluation.classifier.min_accuracy", 2, "evaluation: classifier: min_accuracy: found 2, expected at most 1"),
    ("evaluation.classifier.min_accuracy", -1, "evaluation: classifier: min_accuracy: found -1, expected at least 0"),
    ("evaluation.objects", {"labels": {"x": "test"}}, "evaluation: objects: found it for 'demo', expected a data set"),
    ("evaluation.metrics", ["fid"], "evaluation: metrics: "),
    ("evaluation.without", ["fdd"], "evaluation: without: found 'fdd' (did you mean 'fd'?)"),
    ("evaluation.without", ["fid"], "evaluation: without: found 'fid'"),
    ("evaluation.without", [], "evaluation: without: found [], expected at least 1 in it"),
    ("evaluation.without", "fd", "evaluation: without: found 'fd', expected a list"),
    ("evaluation.without", ["fd"], "evaluation: headline: found 'fd_classifier'"),
    ("evaluation.metric", ["fid"], "evaluation: unknown key: found 'metric' (did you mean 'metrics'?)"),
    ("models", ..., "key 'models' is missing"),
    ("models", {}, "models: found {}, expected at least 1 in it"),
    ("models", [1], "models: found [1], expected a mapping"),
    ("models.vae", None, "models: vae: found None, expected a mapping"),
    ("models.vae", {}, "models: vae: found none of the keys that say what this is"),
    ("models.real", {}, "models: found the name 'real'"),
    ("models.a/b", {}, "models: found 'a/b', expected letters and digits"),
    ("models.x", {"samples": "none.npz"}, "models: x: samples: "),
    ("models.x", {"samples": "none.npz", "ranks": 2}, "models: x: ranks: found 2, but these samples are already drawn"),
    ("models.x", {"samples": "none.npz", "samplers": {"a": {}}}, "models: x: samplers: found {'a': {}}, but these"),
    ("models.x", {"samples": "none.npz", "pictures": ["a"]}, "models: x: pictures: found ['a'], but nothing is traine"),
    ("models.x", {"pretrained": {"format": "diffusers"}}, "models: x: pretrained: key 'path' is missing"),
    ("models.x", {"pretrained": {"format": "diffusers", "hub": "a/b"}}, "models: x: pretrained: key 'revision' is mis"),
    ("models.x", {"pretrained": {"format": "difusers", "path": "p"}}, "models: x: pretrained: "),
    ("models.x", {"pretrained": {"path": "p"}}, "models: x: pretrained: key 'format' is missing"),
    ("models.x", {"pretrained": {"format": "dcgan", "path": "p"}, "training": {}}, "models: x: found training, pretra"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "message"), SUITE_CASES)
def test_a_bad_suite_is_refused(path: str, value: object, message: str, tmp_path: Path) -> None:
    models = {"vae": {"model": MODELS["vae"], "training": {"steps": 10, "batch_size": 8}}}
    assert message in refused(changed(copy.deepcopy(SUITE | {"models": models}), path, value), tmp_path)


CONFIG_CASES: list[tuple[dict[str, Any], str]] = [
    ({"suite": ""}, "config: suite: found '', expected a path"),
    ({"suite": 5}, "config: suite: found 5, expected"),
    ({"suite": []}, "config: suite: found [], expected at least 1 in it"),
    ({"suite": "demo", "sweet": 1}, "config: unknown key: found 'sweet'"),
    ({"suite": "demo", "device": "tpu"}, "config: device: found 'tpu'"),
    ({"suite": "demo", "jobs_per_gpu": 0}, "config: jobs_per_gpu: found 0, expected at least 1"),
    ({"suite": "demo", "seeds": [-1]}, "config: seeds: 0: found -1, expected at least 0"),
    ({"suite": "demo", "seeds": 3}, "config: seeds: found 3, expected"),
    ({"suite": "demo", "num_samples": 0}, "config: num_samples: found 0, expected at least 1"),
    ({"suite": "demo", "num_samples": NAN}, "config: num_samples: found nan, expected"),
    ({"suite": "demo", "data_root": "a{b}"}, "config: data_root: found 'a{b}', expected a path without"),
]


@pytest.mark.parametrize(("config", "message"), CONFIG_CASES)
def test_a_bad_configuration_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        Config.complete(config, "config")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


# --- Too few images ---------------------------------------------------------------------------------------------------


def photographs(folder: Path, count: int, side: int = 16) -> dict[str, Any]:
    """Return the entry of a data set of `count` grey images in two classes, with 30% held out."""
    images = np.random.default_rng(0).integers(0, 256, (count, side, side), dtype=np.uint8)
    for index, image in enumerate(images):
        path = folder / "images" / "ab"[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return {"source": "folder", "path": str(folder / "images"), "test_fraction": 0.3}


def suite_of_few(folder: Path, count: int, num_samples: int, **evaluation: object) -> dict[str, Any]:
    models = {"vae": {"model": MODELS["vae"], "training": dict(STEPS)}}
    suite = SUITE | {"dataset": photographs(folder, count), "num_samples": num_samples, "models": models}
    return suite | {"evaluation": evaluation} if evaluation else suite


def test_too_few_real_images_are_found_before_the_training(tmp_path: Path) -> None:
    options = {"kid_subset_size": 50}
    assert refused(suite_of_few(tmp_path, 100, 150, options=options), tmp_path) == (
        "dataset: real images to train on: found 70, expected at least 129 for the metrics: fd_classifier (129), "
        "classifier_score (100); evaluation: options: splits lowers it for classifier_score; "
        "evaluation: without: [fd, classifier_score] leaves them out, with another headline"
    )


def test_a_subset_of_kid_that_the_real_images_do_not_fill_is_found_before_the_training(tmp_path: Path) -> None:
    assert refused(suite_of_few(tmp_path, 400, 2000), tmp_path) == (
        "dataset: real images to train on: found 280, expected at least 1000 for the metrics: kid_classifier (1000); "
        "evaluation: options: kid_subset_size lowers it for kid_classifier; "
        "evaluation: without: [kid] leaves them out"
    )


def test_an_option_is_named_only_where_it_helps(tmp_path: Path) -> None:
    suite = changed(copy.deepcopy(SUITE), "models.vae", {"model": MODELS["vae"], "training": dict(STEPS)})
    extractor = {"extractors": ["inception-clean"], "headline": "fid_clean", "options": {"kid_subset_size": 50}}
    assert refused(suite | {"num_samples": 150, "evaluation": extractor}, tmp_path) == (
        "num_samples: found 150, expected at least 2049 for the metrics: fid_clean (2049); "
        "evaluation: without: [fid] leaves them out, with another headline"
    )


@pytest.mark.parametrize(
    "evaluation",
    [
        {"options": {"kid_subset_size": 50, "splits": 5}, "without": ["fd"], "headline": "kid_classifier"},
        {"options": {"splits": 5}, "without": ["fd", "kid"], "headline": "precision_classifier"},
        {"options": {"kid_subset_size": 50}, "without": ["fd", "classifier_score"], "headline": "kid_classifier"},
    ],
)
def test_each_way_out_of_the_message_is_one(evaluation: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "toy.yaml"
    path.write_text(yaml.safe_dump(suite_of_few(tmp_path, 100, 150, **evaluation)))
    check_suite(load_suite(path), str(tmp_path), "toy.yaml")


def test_a_metric_that_is_left_out_is_not_computed(script: Callable[..., str], tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name in ("real", "fake"):
        info = {"extractor": {"name": "dinov2", "sha256": "ab"}, "images_sha256": name}
        features = random.normal(size=(30, 4)).astype(np.float32)
        save_features(tmp_path / f"{name}.npz", Features(features, None, info))
    files = ("--real", tmp_path / "real.npz", "--fake", tmp_path / "fake.npz", "--out", tmp_path / "metrics.json")
    script("evaluate", *files, "--options", '{"kid_subset_size": 20}', "--without", "fd", "density", "coverage")
    found = set(read_json(tmp_path / "metrics.json")["metrics"])
    assert found == {"kid_dinov2", "precision_dinov2", "recall_dinov2"}
    assert "--without: found 'fdd'" in script("evaluate", *files, "--without", "fdd", code=2)


# --- Command lines ----------------------------------------------------------------------------------------------------

SAMPLE = ("--model", "m.safetensors", "--out", "o.npz")
TRAIN = ("--train", "t.npz", "--out", "o.safetensors")
CLASSIFY = ("--train", "t.npz", "--test", "t.npz", "--out", "o.safetensors")
IMPORT = ("--in", "none", "--like", "t.npz", "--out", "o.npz", "--timing", "t.json", "--grid", "g.png")
EVALUATE = ("--real", "r.npz", "--fake", "f.npz", "--out", "o.json")
CHECKPOINT = ("--format", "dcgan", "--in", "none", "--out", "o.safetensors")
# A script, its arguments, and its message.
COMMAND_CASES: list[tuple[str, tuple[str, ...], str]] = [
    ("sample", (), "the following arguments are required: --model, --out"),
    ("sample", (*SAMPLE, "--sampler", "[]"), "argument --sampler: expected a JSON object"),
    ("sample", (*SAMPLE, "--sampler", "{"), "argument --sampler: the argument is not valid JSON"),
    ("sample", (*SAMPLE, "--sampler", '{"eta": NaN}'), "found NaN, expected a finite number"),
    ("sample", (*SAMPLE, "--sampler", '{"eta": -Infinity}'), "found -Infinity, expected a finite number"),
    ("sample", (*SAMPLE, "--sampler", '{"eta": 0, "eta": 1}'), "is not valid JSON: key 'eta' appears twice"),
    ("sample", (*SAMPLE, "--sampler", "@none.json"), "argument --sampler: none.json: No such file or directory"),
    ("sample", (*SAMPLE, "--sampler", "@."), "argument --sampler: .: Is a directory"),
    ("sample", (*SAMPLE, "--seeds", "5"), "argument --seeds: expected START:STOP"),
    ("sample", (*SAMPLE, "--seeds", "5:5"), "argument --seeds: expected START:STOP"),
    ("sample", (*SAMPLE, "--seeds=-1:5"), "argument --seeds: expected START:STOP"),
    ("sample", (*SAMPLE, "--seeds", "0:99999999999999999999"), "argument --seeds: expected START:STOP"),
    ("sample", (*SAMPLE, "--draws", "0"), "argument --draws: found 0, expected a whole number of at least 1"),
    ("sample", (*SAMPLE, "--batch-size", "0"), "argument --batch-size: found 0, expected a whole number of at least"),
    ("sample", (*SAMPLE, "--batch-size", "100000000"), "argument --batch-size: found 100000000, expected a whole numb"),
    ("sample", (*SAMPLE, "--batch-size", "1e3"), "argument --batch-size: found 1e3, expected a whole number"),
    ("sample", (*SAMPLE, "--threads", "0"), "argument --threads: found 0, expected a whole number of at least 1"),
    ("sample", (*SAMPLE, "--threads=-2"), "argument --threads: found -2, expected a whole number of at least 1"),
    ("sample", (*SAMPLE, "--threads", "9" * 17), "argument --threads: found 99999999999999999, expected a whole numbe"),
    ("sample", (*SAMPLE, "--threads", "two"), "argument --threads: found two, expected a whole number of at least 1"),
    ("sample", (*SAMPLE, "--device", "tpu"), "argument --device: invalid choice: 'tpu'"),
    ("sample", (*SAMPLE, "--sampel", "{}"), "unrecognized arguments: --sampel {}"),
    ("sample", SAMPLE, "error: m.safetensors: "),
    ("train", (*TRAIN, "--spec", "5"), "argument --spec: expected a JSON object"),
    ("train", (*TRAIN, "--spec", "{}", "--seed=-1"), "argument --seed: found -1, expected a whole number from 0 to"),
    ("train", (*TRAIN, "--spec", "{}", "--seed", "1.5"), "argument --seed: found 1.5, expected a whole number"),
    ("train", (*TRAIN, "--spec", "{}", "--seed", str(2**32)), "argument --seed: found 4294967296, expected a whole"),
    ("train", (*TRAIN, "--spec", "{}", "--snapshots", "a,b"), "argument --snapshots: found 'a,b', expected STEP,STEP"),
    ("train", (*TRAIN, "--spec", "{}", "--snapshots=-5"), "argument --snapshots: found '-5', expected STEP,STEP"),
    ("train", (*TRAIN, "--spec", "{}", "--save-seconds=-1"), "argument --save-seconds: found -1, expected a finite"),
    ("train", (*TRAIN, "--spec", "{}", "--save-seconds", "nan"), "argument --save-seconds: found nan, expected a fin"),
    ("train", (*TRAIN, "--spec", "{}", "--threads", "0"), "argument --threads: found 0, expected a whole number"),
    ("train", (*TRAIN, "--spec", "{}"), "error: --spec: key 'model' is missing; expected model and training"),
    ("train", (*TRAIN, "--spec", '{"model": {"class": "vae.VAE"}}'), "error: --spec: key 'training' is missing"),
    ("train", (*TRAIN, "--spec", '{"model": 3, "training": 4}'), "error: --spec: key 'model': found 3, expected a map"),
    ("train", (*TRAIN, "--spec", '{"model": {}, "training": {}}'), "error: t.npz: "),
    ("train_classifier", (*CLASSIFY, "--epochs", "0"), "argument --epochs: found 0, expected a whole number of at"),
    ("train_classifier", (*CLASSIFY, "--min-accuracy", "2"), "argument --min-accuracy: found 2, expected a number fr"),
    ("train_classifier", (*CLASSIFY, "--min-accuracy", "nan"), "argument --min-accuracy: found nan, expected a num"),
    ("train_classifier", (*CLASSIFY, "--seed", "x"), "argument --seed: found x, expected a whole number from 0 to"),
    ("train_classifier", CLASSIFY, "error: t.npz: "),
    ("train_object_classifier", (*CLASSIFY, "--precision", "fp64"), "argument --precision: invalid choice: 'fp64'"),
    ("import_samples", (*IMPORT, "--count=-5"), "argument --limit/--count: found -5, expected a whole number of at"),
    ("import_samples", (*IMPORT, "--limit", "0"), "argument --limit/--count: found 0, expected a whole number of at"),
    ("import_samples", (*IMPORT, "--limit", "5", "--channels", "2"), "argument --channels: invalid choice: 2"),
    ("import_samples", (*IMPORT, "--limit", "5", "--image-size", "0"), "argument --image-size: found 0, expected a wh"),
    ("import_samples", (*IMPORT, "--limit", "5"), "error: "),
    ("evaluate", (*EVALUATE, "--draws", "0"), "argument --draws: found 0, expected a whole number of at least 1"),
    ("evaluate", (*EVALUATE, "--options", "[]"), "argument --options: expected a JSON object"),
    ("evaluate", (*EVALUATE, "--options", '{"kid": 1}'), "error: --options: unknown key: found 'kid'"),
    ("evaluate", (*EVALUATE, "--options", '{"splits": 0}'), "key 'splits': found 0, expected at least 1"),
    ("evaluate", EVALUATE, "error: r.npz: "),
    ("prepare_data", ("--out", "o", "--dataset", "[]"), "argument --dataset: expected a JSON object"),
    ("prepare_data", ("--out", "o", "--dataset", "{}"), "error: data set: key 'source': found None"),
    ("prepare_data", ("--out", "o", "--dataset", '{"source": 5}'), "error: data set: key 'source': found 5"),
    ("prepare_data", ("--out", "o", "--dataset", '{"source": "demo", "size": 3}'), "unknown key: found 'size'"),
    ("prepare_data", ("--out", "o", "--dataset", '{"source": "folder", "path": "none"}'), "error: data set 'folder': "),
    ("prepare_data", ("--out", "o", "--dataset", '{"source": "demo", "name": ".."}'), "key 'name': found '..'"),
    ("preflight", ("--suite", "none.yaml"), "error: none.yaml: no such file"),
    ("preflight", ("--suite", "."), "error: suite: found the file '.'"),
    ("preflight", ("--suite", "none.yaml", "--overrides", "[]"), "argument --overrides: expected a JSON object"),
    ("preflight", ("--suite", "x.yaml", "--overrides", '{"num_samples": 0}'), "error: --overrides: num_samples: found"),
    ("preflight", ("--suite", "x.yaml", "--overrides", '{"seeds": "x"}'), "error: --overrides: seeds: found 'x'"),
    ("preflight", ("--suite", "x.yaml", "--overrides", '{"seed": [1]}'), "error: --overrides: unknown key: found 'see"),
    ("prefetch", ("--suite", "none.yaml"), "error: none.yaml: no such file"),
    ("extract_features", ("--images", "t.npz", "--out", "o", "--extractor", "incepton"), "error: "),
    ("extract_features", ("--images", "t.npz", "--out", "o", "--extractor", "x", "--batch-size", "0"), "--batch-size:"),
    ("evaluate_likelihood", ("--model", "m", "--images", "t.npz", "--out", "o", "--limit", "0"), "--limit: found 0"),
    ("evaluate_likelihood", ("--model", "m", "--images", "t.npz", "--out", "o", "--steps", "x"), "--steps: found x"),
    ("evaluate_likelihood", ("--model", "m", "--images", "t.npz", "--out", "o", "--steps", "0"), "--steps: found 0"),
    ("evaluate_objects", ("--evaluator", "e", "--samples", "s", "--labels", "test", "--out", "o"), "error: s: no such"),
    ("draw_grid", ("--images", "t.npz", "--out", "g.png"), "error: t.npz: "),
    ("compare_samples", ("--samples", "a.npz", "--reference", "b.npz", "--out", "o"), "error: a.npz: "),
    ("render_report", ("--preflight", "none.json", "--report", "o"), "error: none.json: "),
    ("export_checkpoint", ("--model", "m", "--format", "x", "--out", "o"), "error: "),
    ("import_checkpoint", (*CHECKPOINT, "--hub", "a/b@c"), "argument --hub: not allowed with argument --in"),
    ("import_checkpoint", (*CHECKPOINT, "--options", "[]"), "argument --options: expected a JSON object"),
    ("import_checkpoint", CHECKPOINT, "error: "),
    ("import_checkpoint", ("--format", "x", "--in", "none", "--out", "o"), "error: format: found 'x'"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments", "message"), COMMAND_CASES)
def test_a_bad_command_line_is_refused(
    name: str,
    arguments: tuple[str, ...],
    message: str,
    script: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    said = script(name, *arguments, code=2)
    assert message in said
    assert "Traceback" not in said
    assert "error: " in said.splitlines()[-1]
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and not path.name.startswith(".")]


# --- Commands as typed ------------------------------------------------------------------------------------------------


def typed(folder: Path, *command: object) -> tuple[int, str]:
    """Return the exit status of a command run in `folder`, and its standard error."""
    done = subprocess.run([sys.executable, *map(str, command)], cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


@pytest.mark.usefixtures("warm")
def test_a_run_ends_with_the_line_of_preflight_and_may_be_started_again(tmp_path: Path) -> None:
    model = {"model": MODELS["vae"], "training": {"steps": 10, "batch_size": 8, "optimizer": {"lr": -1}}}
    (tmp_path / "toy.yaml").write_text(yaml.safe_dump(SUITE | {"models": {"vae": model}}))
    config = ("--config", "suite=toy.yaml", "device=cpu")
    status, said = typed(tmp_path, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--cores", "1", *config)
    line = (
        "error: toy.yaml: models: vae: training: optimizer: key 'lr': found -1, expected at least 0 and at most 1000000"
    )
    assert (status, said.splitlines()[-1]) == (1, line)
    assert "CalledProcessError" not in said
    assert "Traceback" not in said
    assert not list(tmp_path.glob(".snakemake/locks/*"))
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("preflight.py", "--suite", "none.yaml"), "error: none.yaml: no such file"),
        (("sample.py", *SAMPLE, "--sampler", "[]"), "sample.py: error: argument --sampler: expected a JSON object"),
        (("train.py", *TRAIN, "--spec", "{}", "--seed=-1"), "train.py: error: argument --seed: found -1, expected a"),
        (("draw_grid.py", "--images", "t.npz", "--out", "g.png"), "error: t.npz: no such file"),
    ],
)
def test_a_script_s_last_line_is_the_error(arguments: tuple[str, ...], line: str, tmp_path: Path) -> None:
    name, *others = arguments
    status, said = typed(tmp_path, ROOT / "scripts" / name, *others)
    assert status == 2
    assert said.splitlines()[-1].startswith(line)
