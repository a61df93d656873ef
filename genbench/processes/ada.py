"""Adaptive discriminator augmentation (Karras et al. 2020, arXiv 2006.06676): each change of an image happens with
probability p, which grows as the discriminator becomes more certain about the training images."""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from genbench.errors import InputError
from genbench.processes.augmentation import Transformation, inverse, rotation, warped
from genbench.processes.diffaugment import Augmentation, DiffAugment
from genbench.processes.noise import Noise
from genbench.ranges import Positive, Share, Steps
from genbench.tensors import Images, Logits, PerImage, Scalar


def _happens(noise: Noise, p: Scalar, count: int) -> tuple[PerImage, ...]:
    """`count` numbers for each image: 1 with probability p, else 0."""
    return (noise.uniform(count) < p).float().unbind(1)


def blitting(noise: Noise, p: Scalar, width: int, height: int) -> tuple[Tensor, Tensor]:
    """Flips, quarter turns, shifts by whole pixels. A pixel's source is its position times (N, 2, 2) plus (N, 2)."""
    flipped, turned, moved = _happens(noise, p, 3)
    half, quarters = noise.uniform(2).unbind(1)
    pixels = ((2 * noise.uniform(2) - 1) / 8 * torch.tensor([width, height], device=noise.device)).round()
    mirror = torch.stack([1 - 2 * flipped * (2 * half).floor(), torch.ones_like(flipped)], dim=1)
    matrix = mirror[:, :, None] * rotation(math.pi / 2 * turned * (4 * quarters).floor())
    return matrix, -(matrix @ (moved[:, None] * pixels)[:, :, None])[:, :, 0]


def geometry(noise: Noise, p: Scalar) -> Transformation:
    """Scaling, rotation, stretching along any direction, and shifts by fractions of a pixel."""
    scaled, stretched, moved = _happens(noise, p, 3)
    before, after = _happens(noise, 1 - (1 - p).clamp(0, 1).sqrt(), 2)  # the stretch; at least one with probability p
    first, second = (math.pi * (2 * noise.uniform(2) - 1)).unbind(1)
    scale, stretch, shift_x, shift_y = noise.normal(4).unbind(1)
    return Transformation(
        flip_x=torch.zeros_like(scale),
        flip_y=torch.zeros_like(scale),
        scale=scaled * scale,
        angle=before * first + after * second,
        stretch=stretched * stretch,
        direction=after * second,
        shift_x=moved * shift_x,
        shift_y=moved * shift_y,
    )


def recoloured(x: Images, noise: Noise, p: Scalar) -> Images:
    """Change brightness, contrast and inversion of brightness; with three channels, also hue and saturation.

    The paper's product of matrices, split into an image's grey part and the rest, which is only rotated and scaled.
    """
    changes = _happens(noise, p, 5)
    half, hue = noise.uniform(2).unbind(1)
    drawn = [*noise.normal(3).unbind(1), (2 * half).floor(), math.pi * (2 * hue - 1)]
    brightness, contrast, saturation, inverted, turn = (
        (change * value)[:, None, None, None] for change, value in zip(changes, drawn, strict=True)
    )
    x = x + 0.2 * brightness
    grey = x.mean(1, keepdim=True)
    colour = x - grey
    around = (colour.roll(1, 1) - colour.roll(-1, 1)) / math.sqrt(3)
    colour = torch.exp2(saturation) * (turn.cos() * colour + turn.sin() * around)
    return torch.exp2(0.5 * contrast) * ((1 - 2 * inverted) * grey + colour)


class ADA(Augmentation):
    """Each change happens with probability p. Training raises p if the discriminator is above 0 for more training
    images than `target` states, and otherwise lowers it. Designed for the objectives gan and hinge, whose
    discriminators separate real from drawn images at 0.

    pipeline: The kinds of changes: `blit` flips, turns by 90 degrees and shifts by whole pixels; `geom` scales,
        rotates, stretches and shifts; `color` changes brightness, contrast, hue and saturation.
    target: The target of E[sign D(x)] at training images: with 0.6, D is above 0 for 80 % of them. null keeps p fixed.
    kimg: Thousands of training images over which p moves by 1.
    interval: Number of batches of training images between changes of p.
    initial: p at the start.
    """

    p: Tensor
    signs: Tensor  # the sum of sign D(x) since p last moved
    images: Tensor  # the number of terms in this sum
    batches: Tensor  # the number of batches in the whole training

    def __init__(
        self,
        *,
        pipeline: Sequence[Literal["blit", "geom", "color"]] = ("blit", "geom", "color"),
        target: Share | None = 0.6,
        kimg: Positive = 500.0,
        interval: Steps = 4,
        initial: Share = 0.0,
    ) -> None:
        super().__init__()
        if target is None and not initial:
            raise InputError("key 'initial': found 0 beside target null, so that nothing would happen; expected more")
        self.pipeline, self.target, self.kimg, self.interval = frozenset(pipeline), target, kimg, interval
        if target is None:
            self.idle = dict.fromkeys(("kimg", "interval"), "does nothing beside target: null")
        self.register_buffer("p", torch.tensor(initial))
        self.register_buffer("signs", torch.tensor(0.0))
        self.register_buffer("images", torch.tensor(0))
        self.register_buffer("batches", torch.tensor(0))

    def forward(self, x: Images, noise: Noise) -> Images:
        if x.shape[1] not in (1, 3):
            raise InputError(f"augment: ada: found images of {x.shape[1]} channels, expected 1 or 3")
        width, height = x.shape[3], x.shape[2]
        p = {name: self.p if name in self.pipeline else torch.zeros_like(self.p) for name in ("blit", "geom", "color")}
        with torch.autocast("cpu" if x.is_meta else x.device.type, enabled=False):
            x = x.float()
            if self.pipeline & {"blit", "geom"}:
                turned, moved = blitting(noise, p["blit"], width, height)
                matrix, shift = inverse(geometry(noise, p["geom"]), width, height)
                x = warped(x, turned @ matrix, shift, moved)
            return recoloured(x, noise, p["color"]) if "color" in self.pipeline else x

    @torch.no_grad()
    def observe(self, real_logits: Logits) -> dict[str, Tensor]:
        signs = real_logits.float().sign()
        self.signs += signs.sum()
        self.images += len(signs)
        self.batches += 1
        if self.target is not None:
            due = self.batches % self.interval == 0
            move = (self.signs / self.images - self.target).sign() * self.images / (1000 * self.kimg)
            self.p.copy_(torch.where(due, (self.p + move).clamp_min(0), self.p))
            self.signs.masked_fill_(due, 0)
            self.images.masked_fill_(due, 0)
        return {"augment_p": self.p.clone(), "real_signs": signs.mean()}


AUGMENTATIONS: dict[str, Callable[..., Augmentation]] = {"diffaugment": DiffAugment, "ada": ADA}
