"""A model that is not in the package: rectified flow (Liu et al. 2023, arXiv 2209.03003), trained on digits."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.nn import functional as F

from genbench import load_suite, sample, show, train
from genbench.models import Batch, Model
from genbench.processes.noise import Noise
from genbench.schema import construct
from genbench.tensors import Images, Labels, Scalar


class Flow(Model):
    family, paper, network = "Flow", "Liu et al. 2023, arXiv 2209.03003", "velocity"

    def __init__(self, *, image_shape: tuple[int, int, int], velocity: Mapping[str, Any]) -> None:
        super().__init__()
        self.velocity = construct("genbench.networks", velocity, image_shape=image_shape)

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Scalar]]:
        x1, t = batch.noise.normal(*batch.x0.shape[1:]), batch.noise.uniform(1, 1, 1)
        x_t = (1 - t) * batch.x0 + t * x1
        yield "velocity", F.mse_loss(self.velocity(x_t, 1000 * t.flatten()), x1 - batch.x0)

    def sample(self, noise: Noise, y: Labels | None = None, *, steps: int = 50) -> Images:
        x = noise.normal(*self.image_shape)
        for i in range(steps, 0, -1):
            x = x - self.velocity(x, torch.full((len(x),), 1000 * i / steps, device=x.device)) / steps
        return x


if __name__ == "__main__":
    velocity = {"class": "unet.UNet", "patch_size": 2, "channels": 32, "channel_mult": [1, 2], "norm_groups": 8}
    training = {"steps": 700, "batch_size": 32, "ema_decay": 0.99, "optimizer": {"lr": 2e-3, "decay": "cosine"}}
    entry = {"model": {"class": f"{__file__}:Flow", "velocity": velocity}, "training": training}
    show(sample(train(load_suite("demo"), entry), steps=20)).save("flow.png")
