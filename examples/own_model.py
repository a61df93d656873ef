"""Train a model that is not in the package on digits: implicit maximum likelihood (Li & Malik, arXiv 1809.09087)."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from genbench import load_suite, sample, show, train
from genbench.models import Batch, Model
from genbench.processes.noise import Noise
from genbench.schema import construct
from genbench.tensors import Images, Labels, Scalar


class IMLE(Model):
    family, paper, network = "IMLE", "Li & Malik 2018, arXiv 1809.09087", "generator"

    candidates = 10

    def __init__(self, *, image_shape: tuple[int, int, int], generator: Mapping[str, Any]) -> None:
        super().__init__()
        self.generator = construct("genbench.networks", generator, image_shape=image_shape, latent_size=16)

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Scalar]]:
        z = batch.noise.normal(self.candidates, 16)  # (N, candidates, latent)
        with torch.no_grad():
            x = self.generator(z.flatten(0, 1)).unflatten(0, z.shape[:2])  # (N, candidates, C, H, W)
            nearest = (x - batch.x0[:, None]).square().flatten(2).sum(2).argmin(1)
        z = z[torch.arange(len(z), device=z.device), nearest]
        yield "generator", (self.generator(z) - batch.x0).square().flatten(1).sum(1).mean()

    def sample(self, noise: Noise, y: Labels | None = None) -> Images:
        return self.generator(noise.normal(16))


if __name__ == "__main__":
    generator = {"class": "dcgan.Generator", "channels": 16}
    training = {"steps": 500, "batch_size": 32, "optimizer": {"lr": 2e-3, "decay": "cosine"}}
    entry = {"model": {"class": f"{__file__}:IMLE", "generator": generator}, "training": training}
    show(sample(train(load_suite("demo"), entry))).save("imle.png")
