"""The networks of denoising diffusion GANs (Xiao et al. 2022, arXiv 2112.07804, appendix C).

The generator is NCSN++ (Song et al. 2021, arXiv 2011.13456, appendix H), a U-Net. Its blocks change the resolution
themselves (BigGAN's blocks), with the filter [1, 3, 3, 1], and the image is added again at every lower resolution. A
latent z sets scale and shift of every group normalisation. The discriminator judges pairs of images. Defaults are the
paper's for CIFAR-10: 48,432,515 + 12,741,633 parameters. `patch_size` is as in networks/unet.py.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genbench.errors import InputError
from genbench.networks.biggan import GAIN, Block, Pyramid, averaged, check_sides, fanned_out, norm_groups
from genbench.networks.layers import GroupNorm
from genbench.networks.resampling import resampled
from genbench.networks.u_shape import Layer, u_shape
from genbench.networks.unet import attention_sides, check_embedding, idle_sides, sinusoidal_embedding
from genbench.ranges import Count, CountOrZero, ShareBelowOne
from genbench.tensors import Images, Latents, Logits, Timesteps


class Generator(nn.Module):
    """x0_hat (N, C, H, W) in [-1, 1] from x_t (N, C, H, W), z (N, latent_size) and the network's time t (N,), 0 .. T-1.

    channels: Width of the first layer; `channel_mult` has multiples of it.
    channel_mult: Widths of the resolutions, as multiples of `channels`.
    num_res_blocks: Residual blocks at each resolution on the way down; there is one more on the way up.
    attention_resolutions: Sides of feature maps (after folding) that get attention; by default 16, if there is one. The
        middle always has it.
    latent_embedding: Width of the network that embeds z.
    latent_layers: Number of layers of that network after the first.
    dropout: Share of activations set to zero in each block while training.
    patch_size: Squares with this side, in pixels, are folded into channels before the first layer, and unfolded after
        the last.
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
        check_sides(image_shape, patch_size * 2 ** max(0, len(channel_mult) - 1), "patch_size x 2^(levels - 1)")
        self.channels, self.patch_size = channels, patch_size
        image_channels, resolution = image_shape[0] * patch_size**2, image_shape[1] // patch_size
        time_size = 4 * channels
        sides = [resolution >> level for level in range(len(channel_mult))]
        attention_resolutions = attention_sides(attention_resolutions, sides)
        self.idle = idle_sides(sides, attention_resolutions=attention_resolutions)

        def block(layer: Layer, attention: bool = False) -> Block:
            return Block(
                layer.in_channels,
                layer.out_channels,
                time_size=time_size,
                latent_embedding=latent_embedding,
                dropout=dropout,
                resample=layer.resample,
                attention=attention,
            )

        self.time_mlp = nn.Sequential(
            averaged(nn.Linear(channels, time_size)), nn.SiLU(), averaged(nn.Linear(time_size, time_size))
        )
        sizes = [latent_size] + [latent_embedding] * latent_layers
        self.latent_mlp = nn.Sequential()
        for size in sizes:
            self.latent_mlp.extend([fanned_out(nn.Linear(size, latent_embedding)), nn.SiLU()])
        self.conv_in = averaged(nn.Conv2d(image_channels, channels, 3, padding=1))

        widths = [channels * mult for mult in channel_mult]
        down, up = u_shape(channels, widths, num_res_blocks)
        lowest, pyramid_width = Layer(widths[-1], widths[-1], len(widths) - 1), image_channels
        self.down, self.pyramid, self.up = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for layer in down:
            attended = sides[layer.level] in attention_resolutions
            self.down.append(block(layer, attention=attended and layer.resample is None))
            if layer.resample == "down":
                self.pyramid.append(Pyramid(pyramid_width, layer.out_channels))
                pyramid_width = layer.out_channels
        self.middle = nn.ModuleList([block(lowest, attention=True), block(lowest)])
        for layer in up:  # with attention only once per level
            self.up.append(block(layer, attention=layer.is_last and sides[layer.level] in attention_resolutions))

        self.norm_out = GroupNorm(norm_groups(widths[0]), widths[0], eps=1e-6)
        self.conv_out = averaged(nn.Conv2d(widths[0], image_channels, 3, padding=1), GAIN)

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
    """Two convolutions without normalisation, with the time embedding added between them; `down` halves the sides."""

    def __init__(self, in_channels: int, out_channels: int, time_size: int, down: bool) -> None:
        super().__init__()
        self.resample: Literal["down"] | None = "down" if down else None
        self.conv1 = fanned_out(nn.Conv2d(in_channels, out_channels, 3, padding=1))
        self.time = fanned_out(nn.Linear(time_size, out_channels))
        self.conv2 = fanned_out(nn.Conv2d(out_channels, out_channels, 3, padding=1), GAIN)
        self.skip = fanned_out(nn.Conv2d(in_channels, out_channels, 1, bias=False))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        h = self.conv1(F.leaky_relu(x, 0.2)) + self.time(time)[:, :, None, None]
        h = self.conv2(resampled(F.leaky_relu(h, 0.2), self.resample))
        return (h + self.skip(resampled(x, self.resample))) / math.sqrt(2)


def minibatch_deviation(h: Tensor, group: int) -> Tensor:
    """Add a channel that measures how much images differ from each other: (N, C, H, W) to (N, C + 1, H, W).

    The batch is split into N / group groups. The channel is the standard deviation within a group, averaged over C, H
    and W (Karras et al. 2018, arXiv 1710.10196, section 3). Fewer images than `group` form one group.
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

    Designed for 32x32, which three of the four blocks reduce to 4x4. Sides of at most 4 are kept, and odd ones rounded
    down: 28x28 ends at 3x3, and 16x16 at 4x4.

    channels: Width at full resolution: twice the official ngf.
    time_size: Width of the embedding of time.
    group: Number of images that are compared with each other. Their standard deviation is added as a channel before the
        last layers.
    patch_size: Squares with this side, in pixels, are folded into channels before the first layer.
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
        check_sides(image_shape, patch_size, "patch_size")
        self.time_size, self.group, self.patch_size = time_size, group, patch_size
        height, width = (side // patch_size for side in image_shape[1:])
        self.time_mlp = nn.Sequential(
            fanned_out(nn.Linear(time_size, time_size)),
            nn.LeakyReLU(0.2),
            fanned_out(nn.Linear(time_size, time_size)),
            nn.LeakyReLU(0.2),
        )
        self.conv_in = fanned_out(nn.Conv2d(2 * image_shape[0] * patch_size**2, channels, 1))
        widths = [channels, channels, 2 * channels, 4 * channels, 4 * channels]
        self.blocks = nn.ModuleList()
        for i in range(4):
            down = i > 0 and min(height, width) > 4
            self.blocks.append(DiscriminatorBlock(widths[i], widths[i + 1], time_size, down))
            if down:
                height, width = height // 2, width // 2
        self.conv_out = fanned_out(nn.Conv2d(widths[4] + 1, widths[4], 3, padding=1), GAIN)
        self.linear = fanned_out(nn.Linear(widths[4], 1))

    def forward(self, x_s: Images, x_t: Images, t: Timesteps) -> Logits:
        pair = torch.cat([x_s, x_t], dim=1)
        h = self.conv_in(F.pixel_unshuffle(pair, self.patch_size) if self.patch_size > 1 else pair)
        time = self.time_mlp(sinusoidal_embedding(t, self.time_size, "sin-cos"))
        for block in self.blocks:
            h = block(h, time)
        h = self.conv_out(minibatch_deviation(h, self.group))
        return self.linear(F.leaky_relu(h, 0.2).sum(dim=(2, 3))).squeeze(1)
