"""Blocks of NCSN++ (Song et al. 2021, arXiv 2011.13456, appendix H), used by several networks.

They are BigGAN's blocks, which change the resolution themselves. Sums of two branches are divided by sqrt 2, which
keeps their variance. Weights are initialised as in DDPM and DDGAN.
"""

import math
from typing import TypeVar

from torch import Tensor, nn
from torch.nn import functional as F

from genbench.errors import InputError
from genbench.networks.layers import GroupNorm
from genbench.networks.resampling import SMOOTH, Resample, Taps, resampled, smooth
from genbench.tensors import Latents

Affine = TypeVar("Affine", nn.Linear, nn.Conv2d)
GAIN = math.sqrt(1e-10)  # of layers that end a residual branch: almost zero, but with a direction


def averaged(module: Affine, gain: float = 1.0) -> Affine:
    """Weights uniform with the variance gain^2 / (mean of fan-in and fan-out), biases zero (DDPM's)."""
    nn.init.xavier_uniform_(module.weight, gain)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
    return module


def fanned_out(module: Affine, gain: float = 1.0) -> Affine:
    """Weights uniform with the variance gain^2 / fan-out, biases zero (DDGAN's own layers)."""
    fan_out = module.weight.shape[0] * module.weight[0, 0].numel()
    bound = gain * math.sqrt(3 / fan_out)
    nn.init.uniform_(module.weight, -bound, bound)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
    return module


def norm_groups(channels: int) -> int:
    """The number of groups of a normalisation: 32, or fewer with four channels each. Raises InputError."""
    groups = min(channels // 4, 32)
    if groups == 0 or channels % groups:
        raise InputError(
            f"ncsnpp: found a layer of {channels} channels, which min(32, channels / 4) groups do not divide; "
            "expected channels such as 16, 32, 64 or 128"
        )
    return groups


def check_sides(image_shape: tuple[int, int, int], factor: int, reason: str) -> None:
    """Raise InputError if `factor` does not divide the sides of the images."""
    if image_shape[1] % factor or image_shape[2] % factor:
        raise InputError(
            f"ncsnpp: image sides {image_shape[1]}x{image_shape[2]} are not divisible by {factor} ({reason})"
        )


class AdaptiveGroupNorm(nn.Module):
    """Group normalisation whose scale and shift are computed from the embedded latent w (N, latent_embedding)."""

    def __init__(self, channels: int, embedding_size: int) -> None:
        super().__init__()
        self.norm = GroupNorm(norm_groups(channels), channels, eps=1e-6, affine=False)
        self.style = fanned_out(nn.Linear(embedding_size, 2 * channels))
        nn.init.ones_(self.style.bias[:channels])  # scales start near 1

    def forward(self, x: Tensor, w: Latents) -> Tensor:
        scale, shift = self.style(w)[:, :, None, None].chunk(2, dim=1)
        return scale * self.norm(x) + shift


class Attention(nn.Module):
    """Self-attention with one head over positions. Its sum with the input is divided by sqrt 2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = GroupNorm(norm_groups(channels), channels, eps=1e-6)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        for part in self.qkv.weight.chunk(3):  # queries, keys and values are initialised as separate layers
            nn.init.xavier_uniform_(part, math.sqrt(0.1))
        nn.init.zeros_(self.qkv.bias)  # type: ignore[arg-type]
        self.out = averaged(nn.Conv2d(channels, channels, 1), GAIN)

    def forward(self, x: Tensor) -> Tensor:
        n, c, height, width = x.shape
        qkv = self.qkv(self.norm(x)).view(n, 3, 1, c, height * width)
        q, k, v = qkv.transpose(3, 4).unbind(1)  # each (N, 1, H W, C)
        h = F.scaled_dot_product_attention(q, k, v)
        return (x + self.out(h.transpose(2, 3).reshape(n, c, height, width))) / math.sqrt(2)


class Block(nn.Module):
    """Two convolutions; the embedding of time is added between them. May halve or double the sides, with a filter.

    latent_embedding: Width of the latent that sets scale and shift of both normalisations; None for no latent. taps:
    those of the filter.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        time_size: int,
        latent_embedding: int | None = None,
        dropout: float,
        resample: Resample = None,
        taps: Taps = SMOOTH,
        attention: bool = False,
    ) -> None:
        super().__init__()
        self.resample, self.taps = resample, taps

        def norm(channels: int) -> nn.Module:
            if latent_embedding is None:
                return GroupNorm(norm_groups(channels), channels, eps=1e-6)
            return AdaptiveGroupNorm(channels, latent_embedding)

        self.norm1 = norm(in_channels)
        self.conv1 = averaged(nn.Conv2d(in_channels, out_channels, 3, padding=1))
        self.time = averaged(nn.Linear(time_size, out_channels))
        self.norm2 = norm(out_channels)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = averaged(nn.Conv2d(out_channels, out_channels, 3, padding=1), GAIN)
        same = in_channels == out_channels and resample is None
        self.skip = nn.Identity() if same else averaged(nn.Conv2d(in_channels, out_channels, 1))
        self.attention = Attention(out_channels) if attention else nn.Identity()

    def forward(self, x: Tensor, time: Tensor, *w: Latents) -> Tensor:
        h = resampled(F.silu(self.norm1(x, *w)), self.resample, self.taps)
        h = self.conv1(h) + self.time(F.silu(time))[:, :, None, None]
        h = self.conv2(self.dropout(F.silu(self.norm2(h, *w))))
        return self.attention((self.skip(resampled(x, self.resample, self.taps)) + h) / math.sqrt(2))


class Pyramid(nn.Module):
    """Smooths an image and halves its sides with a convolution of stride 2."""

    def __init__(self, in_channels: int, out_channels: int, taps: Taps = SMOOTH) -> None:
        super().__init__()
        self.taps = taps
        self.conv = averaged(nn.Conv2d(in_channels, out_channels, 3, stride=2))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(smooth(x, self.taps, padding=len(self.taps) // 2))
