"""Small models of every family, a small suite and a small data set, for the tests."""

from pathlib import Path

import numpy as np
import yaml

ROOT = Path(__file__).parents[2]
IMAGE_SUITES = [
    path for path in sorted((ROOT / "suites").glob("*.yaml")) if "kind" not in yaml.safe_load(path.read_text("utf-8"))
]

GAN = {
    "class": "gan.GAN",
    "latent_size": 8,
    "generator": {"class": "dcgan.Generator", "channels": 8},
    "discriminator": {"class": "dcgan.Discriminator", "channels": 8},
}
WGAN_GP = {
    "class": "gan.GAN",
    "objective": "wgan",
    "penalty": {"name": "gp", "weight": 10},
    "n_critic": 2,
    "latent_size": 8,
    "generator": {"class": "resnet.Generator", "channels": 8},
    "discriminator": {"class": "resnet.Discriminator", "channels": 8},
}
R3GAN = {
    "class": "gan.GAN",
    "objective": "relativistic",
    "penalty": {"name": "r1+r2", "gamma": 0.05},
    "penalty_decay_steps": 10,
    "latent_size": 8,
    "generator": {"class": "r3gan.Generator", "channels": 8, "blocks": 1},
    "discriminator": {"class": "r3gan.Discriminator", "channels": 8, "blocks": 1},
}
SNGAN = GAN | {
    "objective": "hinge",
    "augment": "diffaugment",
    "n_critic": 2,
    "discriminator": GAN["discriminator"] | {"spectral_norm": True},
}
VAE = {"class": "vae.VAE", "latent_size": 4, "channels": 8}
AUTOENCODER = VAE | {"deterministic": True, "kl_weight": 0, "priors": ["gaussian"]}
DDPM = {
    "class": "diffusion.Diffusion",
    "prediction": "v",
    "schedule": "cosine",
    "timesteps": 20,
    "denoiser": {
        "class": "unet.UNet",
        "patch_size": 2,
        "channels": 8,
        "channel_mult": [1, 2],
        "num_res_blocks": 1,
        "attention_resolutions": [8],
        "norm_groups": 4,
        "dropout": 0.1,
    },
}
DDGAN = {
    "class": "ddgan.DDGAN",
    "latent_size": 8,
    "r1_every": 3,
    "generator": {
        "class": "ncsnpp.Generator",
        "channels": 8,
        "channel_mult": [1, 2],
        "num_res_blocks": 1,
        "attention_resolutions": [8],
        "latent_embedding": 16,
        "latent_layers": 1,
        "patch_size": 2,
    },
    "discriminator": {"class": "ncsnpp.Discriminator", "channels": 8, "time_size": 16, "patch_size": 2},
}
COLD = {
    "class": "cold.ColdDiffusion",
    "degradation": {"name": "rows", "timesteps": 4},
    "restorer": {"class": "plain_cnn.PlainCNN", "hidden_channels": [4, 4]},
    "time_input": "fraction",
    "mixture_components": 2,
}
FLOW = {"class": "flow.Flow", "matched": 4, "velocity": DDPM["denoiser"] | {"dropout": 0.0}}
EDM = {"class": "edm.EDM", "denoiser": DDPM["denoiser"] | {"dropout": 0.0}}
CONSISTENCY = {"class": "consistency.Consistency", "denoiser": DDPM["denoiser"] | {"dropout": 0.0}}
MEANFLOW = {"class": "meanflow.MeanFlow", "velocity": DDPM["denoiser"] | {"dropout": 0.0}, "different": 0.75}
MODELS = {
    "gan": GAN,
    "lsgan-r1": GAN | {"objective": "lsgan", "penalty": "r1"},
    "wgan-gp": WGAN_GP,
    "r3gan": R3GAN,
    "sngan": SNGAN,
    "gan-ada": GAN | {"augment": {"name": "ada", "pipeline": ["color"], "initial": 0.5, "kimg": 1.0, "interval": 2}},
    "vae": VAE,
    "autoencoder": AUTOENCODER,
    "ddpm": DDPM,
    "ddgan": DDGAN,
    "cold": COLD,
    "flow": FLOW,
    "edm": EDM | {"augment": 0.2},
    "consistency": CONSISTENCY,
    "meanflow": MEANFLOW | {"augment": 0.2},
}
# A suite without its models.
SUITE = {
    "title": "Small",
    "dataset": {"source": "demo"},
    "num_samples": 160,
    "evaluation": {
        "options": {"kid_subset_size": 50, "kid_subsets": 5},
        "classifier": {"epochs": 1, "min_accuracy": 0.5},
    },
}
TRAINING = {"steps": 20, "batch_size": 16}
DDPM_OF_TWO_RANKS = {
    "model": DDPM | {"denoiser": DDPM["denoiser"] | {"attention_resolutions": [7]}},  # 28x28, folded
    "training": TRAINING,
    "samplers": {"ddim": {"method": "ddim", "steps": 2}},
    "ranks": 2,
}
IMAGE_SHAPE = (1, 16, 16)


def blobs(count: int, seed: int = 0, size: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Return uint8 images (count, size, size, 1) of a bright square in one of four quarters, and its quarter."""
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 60, (count, size, size, 1), dtype=np.uint8)
    labels = generator.integers(0, 4, count)
    half = size // 2
    for image, label in zip(images, labels, strict=True):
        top, left = half * (label // 2), half * (label % 2)
        shift = generator.integers(0, 3, 2)
        image[top + shift[0] : top + shift[0] + half - 3, left + shift[1] : left + shift[1] + half - 3] += 180
    return images, labels.astype(np.int64)


def save_samples(path: Path, count: int = 160) -> None:
    """Save noise images with the shape of the data set demo, like samples of another program."""
    np.savez(path, np.random.default_rng(0).integers(0, 256, (count, 28, 28, 1), dtype=np.uint8))
