"""The networks of denoising diffusion GANs (Xiao et al. 2022, arXiv 2112.07804, appendix C).

The generator is NCSN++ (Song et al. 2021, arXiv 2011.13456, appendix H): a U-Net whose blocks change the resolution
themselves (BigGAN's), whose resampling is filtered by [1, 3, 3, 1], and which meets the image again at every lower
resolution. A latent z chooses scale and shift of every group normalisation. The discriminator judges pairs of
images. Defaults are those of CIFAR-10: 48,432,515 + 12,741,633 parameters. `patch_size` is as in networks/unet.py.
"""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genbench.errors import InputError
from genbench.networks.layers import GroupNorm, at_least_float32
from genbench.networks.unet import attention_sides, check_embedding, idle_sides, sinusoidal_embedding
from genbench.ranges import Count, CountOrZero, ShareBelowOne
from genbench.tensors import Images, Latents, Logits, Timesteps

Affine = TypeVar("Affine", nn.Linear, nn.Conv2d)
_GAIN = math.sqrt(1e-10)  # of layers that end a residual branch: as good as zero, and yet with a direction


@cache
def _fir_kernel(device: torch.device) -> Tensor:
    """The outer product of [1, 3, 3, 1] / 8 with itself: (4, 4), of sum 1."""
    with torch.inference_mode(False):  # whoever asks first, training may ask next
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0], device=device) / 8
        return torch.outer(taps, taps)


def _without_autocast(x: Tensor) -> AbstractContextManager[Any]:
    """For filters of single channels: in bfloat16 they take 20 to 80 times as long on processors."""
    return torch.autocast("cpu" if x.device.type == "meta" else x.device.type, enabled=False)


def _filter(x: Tensor, padding: int, stride: int = 1) -> Tensor:
    """Every channel of x (N, C, H, W) smoothed, with zeros beyond the borders; float32."""
    x = at_least_float32(x)
    kernel = _fir_kernel(x.device).to(x.dtype).expand(x.shape[1], 1, 4, 4)
    with _without_autocast(x):
        return F.conv2d(x, kernel, stride=stride, padding=padding, groups=x.shape[1])


def downsample(x: Tensor) -> Tensor:
    """(N, C, H, W) to (N, C, H/2, W/2): smoothed, and every second pixel of the result."""
    return _filter(x, padding=1, stride=2)


def upsample(x: Tensor) -> Tensor:
    """(N, C, H, W) to (N, C, 2H, 2W): zeros between the pixels, smoothed to the same brightness; float32."""
    x = at_least_float32(x)
    kernel = 4 * _fir_kernel(x.device).to(x.dtype).expand(x.shape[1], 1, 4, 4)
    with _without_autocast(x):
        return F.conv_transpose2d(x, kernel, stride=2, padding=1, groups=x.shape[1])


def _resampled(x: Tensor, resample: Literal["up", "down"] | None) -> Tensor:
    return x if resample is None else upsample(x) if resample == "up" else downsample(x)


def _averaged(module: Affine, gain: float = 1.0) -> Affine:
    """Weights uniform with the variance gain^2 / (mean of fan-in and fan-out), biases zero (DDPM's)."""
    nn.init.xavier_uniform_(module.weight, gain)
    nn.init.zeros_(module.bias)  # type: ignore[arg-type]
    return module


def _fanned_out(module: Affine, gain: float = 1.0) -> Affine:
    """Weights uniform with the variance gain^2 / fan-out, biases zero: how DDGAN's own layers begin."""
    fan_out = module.weight.shape[0] * module.weight[0, 0].numel()
    bound = gain * math.sqrt(3 / fan_out)
    nn.init.uniform_(module.weight, -bound, bound)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
    return module


def _groups(channels: int) -> int:
    groups = min(channels // 4, 32)
    if groups == 0 or channels % groups:
        raise InputError(
            f"ncsnpp: found a layer of {channels} channels, which min(32, channels / 4) groups do not divide; "
            "expected channels such as 16, 32, 64 or 128"
        )
    return groups


def _check_sides(image_shape: tuple[int, int, int], factor: int, reason: str) -> None:
    if image_shape[1] % factor or image_shape[2] % factor:
        raise InputError(
            f"ncsnpp: image sides {image_shape[1]}x{image_shape[2]} are not divisible by {factor} ({reason})"
        )


class AdaptiveGroupNorm(nn.Module):
    """Group normalisation whose scale and shift follow from the embedded latent w (N, latent_embedding)."""

    def __init__(self, channels: int, embedding_size: int) -> None:
        super().__init__()
        self.norm = GroupNorm(_groups(channels), channels, eps=1e-6, affine=False)
        self.style = _fanned_out(nn.Linear(embedding_size, 2 * channels))
        nn.init.ones_(self.style.bias[:channels])  # scales begin around 1

    def forward(self, x: Tensor, w: Latents) -> Tensor:
        scale, shift = self.style(w)[:, :, None, None].chunk(2, dim=1)
        return scale * self.norm(x) + shift


class Attention(nn.Module):
    """Self-attention of one head over positions; the sum with its input is divided by sqrt 2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = GroupNorm(_groups(channels), channels, eps=1e-6)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        for part in self.qkv.weight.chunk(3):  # queries, keys and values are layers of their own in this respect
            nn.init.xavier_uniform_(part, math.sqrt(0.1))
        nn.init.zeros_(self.qkv.bias)  # type: ignore[arg-type]
        self.out = _averaged(nn.Conv2d(channels, channels, 1), _GAIN)

    def forward(self, x: Tensor) -> Tensor:
        n, c, height, width = x.shape
        qkv = self.qkv(self.norm(x)).view(n, 3, 1, c, height * width)
        q, k, v = qkv.transpose(3, 4).unbind(1)  # each (N, 1, H W, C)
        h = F.scaled_dot_product_attention(q, k, v)
        return (x + self.out(h.transpose(2, 3).reshape(n, c, height, width))) / math.sqrt(2)


class Block(nn.Module):
    """Two convolutions, the time between them and the latent in both normalisations; may halve or double the sides.

    The sum of both branches is divided by sqrt 2, which keeps its variance. Attention follows if asked.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        time_size: int,
        latent_embedding: int,
        dropout: float,
        resample: Literal["up", "down"] | None = None,
        attention: bool = False,
    ) -> None:
        super().__init__()
        self.resample = resample
        self.norm1 = AdaptiveGroupNorm(in_channels, latent_embedding)
        self.conv1 = _averaged(nn.Conv2d(in_channels, out_channels, 3, padding=1))
        self.time = _averaged(nn.Linear(time_size, out_channels))
        self.norm2 = AdaptiveGroupNorm(out_channels, latent_embedding)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = _averaged(nn.Conv2d(out_channels, out_channels, 3, padding=1), _GAIN)
        same = in_channels == out_channels and resample is None
        self.skip = nn.Identity() if same else _averaged(nn.Conv2d(in_channels, out_channels, 1))
        self.attention = Attention(out_channels) if attention else nn.Identity()

    def forward(self, x: Tensor, time: Tensor, w: Latents) -> Tensor:
        h = _resampled(F.silu(self.norm1(x, w)), self.resample)
        h = self.conv1(h) + self.time(F.silu(time))[:, :, None, None]
        h = self.conv2(self.dropout(F.silu(self.norm2(h, w))))
        return self.attention((self.skip(_resampled(x, self.resample)) + h) / math.sqrt(2))


class Pyramid(nn.Module):
    """The image, smoothed and carried one resolution down by a convolution of stride 2."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = _averaged(nn.Conv2d(in_channels, out_channels, 3, stride=2))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(_filter(x, padding=2))


class Generator(nn.Module):
    """x0_hat (N, C, H, W) in [-1, 1] from x_t (N, C, H, W), z (N, latent_size) and the network's time t (N,), 0 .. T-1.

    channels: Width of the first layer; `channel_mult` has multiples of it.
    channel_mult: Widths of the resolutions, as multiples of `channels`.
    num_res_blocks: Residual blocks at each resolution, on the way down; one more on the way up.
    attention_resolutions: Sides of feature maps (after folding) that get attention; by default 16, where there is one.
        The middle always has it.
    latent_embedding: Width of the network that embeds z.
    latent_layers: Layers of that network after the first.
    dropout: Share of activations set to zero in each block while training.
    patch_size: Squares of so many pixels a side are folded into channels before the first layer, and unfolded after the
        last.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        latent_size: int = 100,
        channels: Count = 128,
        channel_mult: Sequence[Count] = (1, 2, 2, 2),
        num_res_blocks: Count = 2,
        attention_resolutions: Sequence[Count] | None = None,
        latent_embedding: Count = 256,
        latent_layers: CountOrZero = 4,
        dropout: ShareBelowOne = 0.0,
        patch_size: Count = 1,
    ) -> None:
        super().__init__()
        check_embedding("channels", channels, 1)
        _check_sides(image_shape, patch_size * 2 ** max(0, len(channel_mult) - 1), "patch_size x 2^(levels - 1)")
        self.channels, self.patch_size = channels, patch_size
        image_channels, resolution = image_shape[0] * patch_size**2, image_shape[1] // patch_size
        time_size = 4 * channels
        sides = [resolution >> level for level in range(len(channel_mult))]
        attention_resolutions = attention_sides(attention_resolutions, sides)
        self.idle = idle_sides(sides, attention_resolutions=attention_resolutions)

        def block(
            in_channels: int,
            out_channels: int,
            resample: Literal["up", "down"] | None = None,
            attention: bool = False,
        ) -> Block:
            return Block(
                in_channels,
                out_channels,
                time_size=time_size,
                latent_embedding=latent_embedding,
                dropout=dropout,
                resample=resample,
                attention=attention,
            )

        self.time_mlp = nn.Sequential(
            _averaged(nn.Linear(channels, time_size)), nn.SiLU(), _averaged(nn.Linear(time_size, time_size))
        )
        sizes = [latent_size] + [latent_embedding] * latent_layers
        self.latent_mlp = nn.Sequential()
        for size in sizes:
            self.latent_mlp.extend([_fanned_out(nn.Linear(size, latent_embedding)), nn.SiLU()])
        self.conv_in = _averaged(nn.Conv2d(image_channels, channels, 3, padding=1))

        width, widths = channels, [channels]  # widths: what the down path leaves for the up path
        pyramid_width = image_channels
        self.down, self.pyramid, self.up = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for level, mult in enumerate(channel_mult):
            for _ in range(num_res_blocks):
                self.down.append(block(width, channels * mult, attention=resolution in attention_resolutions))
                width = channels * mult
                widths.append(width)
            if level < len(channel_mult) - 1:
                self.down.append(block(width, width, "down"))
                self.pyramid.append(Pyramid(pyramid_width, width))
                pyramid_width = width
                widths.append(width)
                resolution //= 2

        self.middle = nn.ModuleList([block(width, width, attention=True), block(width, width)])

        for level, mult in reversed(list(enumerate(channel_mult))):
            for i in range(num_res_blocks + 1):
                last = i == num_res_blocks  # on the way up, attention comes once a level
                attention = last and resolution in attention_resolutions
                self.up.append(block(width + widths.pop(), channels * mult, attention=attention))
                width = channels * mult
            if level > 0:
                self.up.append(block(width, width, "up"))
                resolution *= 2

        self.norm_out = GroupNorm(_groups(width), width, eps=1e-6)
        self.conv_out = _averaged(nn.Conv2d(width, image_channels, 3, padding=1), _GAIN)

    def forward(self, x_t: Images, z: Latents, t: Timesteps) -> Images:
        time = self.time_mlp(sinusoidal_embedding(t, self.channels, "sin-cos"))
        w = self.latent_mlp(z * torch.rsqrt(z.square().mean(dim=1, keepdim=True) + 1e-8))
        image = F.pixel_unshuffle(x_t, self.patch_size) if self.patch_size > 1 else x_t
        h = self.conv_in(image)
        skips, pyramid = [h], iter(self.pyramid)
        for layer in self.down:
            h = layer(h, time, w)
            if layer.resample == "down":
                h = image = (next(pyramid)(image) + h) / math.sqrt(2)
            skips.append(h)
        for layer in self.middle:
            h = layer(h, time, w)
        for layer in self.up:
            h = layer(torch.cat([h, skips.pop()], dim=1) if layer.resample is None else h, time, w)
        h = self.conv_out(F.silu(self.norm_out(h))).tanh()
        return F.pixel_shuffle(h, self.patch_size) if self.patch_size > 1 else h


class DiscriminatorBlock(nn.Module):
    """Two convolutions with the time between them, without normalisation; `down` halves the sides between them."""

    def __init__(self, in_channels: int, out_channels: int, time_size: int, down: bool) -> None:
        super().__init__()
        self.resample: Literal["down"] | None = "down" if down else None
        self.conv1 = _fanned_out(nn.Conv2d(in_channels, out_channels, 3, padding=1))
        self.time = _fanned_out(nn.Linear(time_size, out_channels))
        self.conv2 = _fanned_out(nn.Conv2d(out_channels, out_channels, 3, padding=1), _GAIN)
        self.skip = _fanned_out(nn.Conv2d(in_channels, out_channels, 1, bias=False))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        h = self.conv1(F.leaky_relu(x, 0.2)) + self.time(time)[:, :, None, None]
        h = self.conv2(_resampled(F.leaky_relu(h, 0.2), self.resample))
        return (h + self.skip(_resampled(x, self.resample))) / math.sqrt(2)


def minibatch_deviation(h: Tensor, group: int) -> Tensor:
    """How much images differ among each other, as one more channel: (N, C, H, W) to (N, C + 1, H, W).

    The batch is dealt out into N / group groups: the standard deviation inside a group, its mean over C, H and W
    (Karras et al. 2018, arXiv 1710.10196, section 3). Fewer images than `group` are one group.
    """
    n, _, height, width = h.shape
    group = min(group, n)
    if group == 0 or n % group:
        raise InputError(
            f"ncsnpp.Discriminator: found {n} images at once (training: batch_size / accumulate), expected fewer than "
            f"{group} or a multiple of {group}, the group of its minibatch standard deviation"
        )
    dealt = h.unflatten(0, (group, n // group))
    variance = (dealt - dealt.mean(0)).square().mean(0)  # (N / group, C, H, W); torch.var is slow across images
    deviation = (variance + 1e-8).sqrt()
    deviation = deviation.mean(dim=(1, 2, 3)).repeat(group)[:, None, None, None]  # (N, 1, 1, 1)
    return torch.cat([h, deviation.expand(n, 1, height, width)], dim=1)


class Discriminator(nn.Module):
    """Logits (N,) for pairs x_s, x_t (N, C, H, W) and the network's time t (N,), 0 .. T-1.

    Made for 32x32, which three of the four blocks bring to 4x4. Sides of at most 4 are kept and odd ones rounded down,
    so 28x28 ends at 3x3, and 16x16 at 4x4.

    channels: Width at full resolution: twice the official ngf.
    time_size: Width of the embedding of time.
    group: Images that are compared with each other: their standard deviation becomes one more channel before the last
        layers.
    patch_size: Squares of so many pixels a side are folded into channels before the first layer.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        channels: Count = 128,
        time_size: Count = 256,
        group: Count = 4,
        patch_size: Count = 1,
    ) -> None:
        super().__init__()
        check_embedding("time_size", time_size, 1)
        _check_sides(image_shape, patch_size, "patch_size")
        self.time_size, self.group, self.patch_size = time_size, group, patch_size
        height, width = (side // patch_size for side in image_shape[1:])
        self.time_mlp = nn.Sequential(
            _fanned_out(nn.Linear(time_size, time_size)),
            nn.LeakyReLU(0.2),
            _fanned_out(nn.Linear(time_size, time_size)),
            nn.LeakyReLU(0.2),
        )
        self.conv_in = _fanned_out(nn.Conv2d(2 * image_shape[0] * patch_size**2, channels, 1))
        widths = [channels, channels, 2 * channels, 4 * channels, 4 * channels]
        self.blocks = nn.ModuleList()
        for i in range(4):
            down = i > 0 and min(height, width) > 4
            self.blocks.append(DiscriminatorBlock(widths[i], widths[i + 1], time_size, down))
            if down:
                height, width = height // 2, width // 2
        self.conv_out = _fanned_out(nn.Conv2d(widths[4] + 1, widths[4], 3, padding=1), _GAIN)
        self.linear = _fanned_out(nn.Linear(widths[4], 1))

    def forward(self, x_s: Images, x_t: Images, t: Timesteps) -> Logits:
        pair = torch.cat([x_s, x_t], dim=1)
        h = self.conv_in(F.pixel_unshuffle(pair, self.patch_size) if self.patch_size > 1 else pair)
        time = self.time_mlp(sinusoidal_embedding(t, self.time_size, "sin-cos"))
        for block in self.blocks:
            h = block(h, time)
        h = self.conv_out(minibatch_deviation(h, self.group))
        return self.linear(F.leaky_relu(h, 0.2).sum(dim=(2, 3))).squeeze(1)
