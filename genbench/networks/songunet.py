"""DDPM++ and NCSN++ (Song et al. 2021, arXiv 2011.13456, appendix H) as used by EDM (Karras et al., arXiv 2206.00364).

Both are U-Nets whose blocks change the resolution themselves. DDPM++ embeds time in sines and cosines of fixed
frequencies. NCSN++ uses random frequencies and smoother resampling, and its encoder adds the image again at every lower
resolution. Defaults are EDM's DDPM++ for CIFAR-10: 55,732,739 parameters. EDM's NCSN++ has `embedding: fourier`,
`encoder: residual` and `resample_filter: [1, 3, 3, 1]`. `patch_size` is as in networks/unet.py.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genbench.errors import InputError
from genbench.networks.biggan import GAIN, Block, Pyramid, averaged, check_sides, norm_groups
from genbench.networks.layers import GroupNorm
from genbench.networks.resampling import upsample
from genbench.networks.u_shape import Layer, u_shape
from genbench.networks.unet import attention_sides, check_embedding, idle_sides, sinusoidal_embedding
from genbench.ranges import Count, CountOrZero, Positive, ShareBelowOne
from genbench.tensors import Images, Outputs, PerImage, Times


class FourierEmbedding(nn.Module):
    """Sines and cosines of t (N,) at size / 2 fixed random frequencies: (N, size), float32.

    scale: Standard deviation of the frequencies.
    """

    def __init__(self, size: int, scale: float) -> None:
        super().__init__()
        self.register_buffer("frequencies", scale * torch.randn(size // 2))
        self.frequencies: Tensor

    def forward(self, t: PerImage) -> Tensor:
        angles = torch.outer(t.float(), 2 * math.pi * self.frequencies)
        return torch.cat([angles.sin(), angles.cos()], dim=1)


class PositionalEmbedding(nn.Module):
    """Sines and cosines of t (N,) at frequencies from 1 to 1/10000: (N, size), float32."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, t: PerImage) -> Tensor:
        return sinusoidal_embedding(t, self.size, "sin-cos")


def _output(width: int, channels: int) -> nn.Sequential:
    """The layers from the features of a level to its image."""
    norm = GroupNorm(norm_groups(width), width, eps=1e-6)
    return nn.Sequential(norm, nn.SiLU(), averaged(nn.Conv2d(width, channels, 3, padding=1), GAIN))


class SongUNet(nn.Module):
    """Predicts (N, C, H, W) from x_t (N, C, H, W) and the network's time t (N,), any number, such as log(sigma) / 4.

    If num_classes is not 0, labels (N, num_classes) of zeros and ones are added to the embedding of t, or zeros if
    there are none. The augmentation `augment` (N, augment_size) is added in the same way, see models/edm.py. If
    num_times is not 1, t is (N, num_times), and the embeddings of an image's times are concatenated.

    embedding: Frequencies in the embedding of t: "positional" has fixed ones, "fourier" random ones, twice as many.
    fourier_scale: Standard deviation of the random frequencies. The smaller it is, the less small differences of t
        matter to the network.
    encoder: The encoder's input at lower resolutions: "standard" is only features; "residual" adds the image, smoothed
        and reduced by convolutions.
    decoder: The output: "standard" is that of the highest resolution; "skip" is the sum of one output for each
        resolution.
    resample_filter: Taps of the filter that halves and doubles sides, an even number of them: [1, 1], or the smoother
        [1, 3, 3, 1].
    embedding_mult: Number of sines and cosines of a time, as a multiple of `channels`; by default 1 with fixed
        frequencies, 2 with random ones.
    channels: Width of the first layer; `channel_mult` has multiples of it.
    channel_mult: Widths of the resolutions, as multiples of `channels`.
    num_res_blocks: Residual blocks at each resolution on the way down; there is one more on the way up.
    attention_resolutions: Sides of feature maps (after folding) that get attention; by default 16, if there is one. The
        middle always has it.
    dropout: Share of activations set to zero in each block while training.
    patch_size: Squares with this side, in pixels, are folded into channels before the first layer, and unfolded after
        the last.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        embedding: Literal["positional", "fourier"] = "positional",
        fourier_scale: Positive = 16.0,
        encoder: Literal["standard", "residual"] = "standard",
        decoder: Literal["standard", "skip"] = "standard",
        resample_filter: Sequence[Count] = (1, 1),
        embedding_mult: Count | None = None,
        channels: Count = 128,
        channel_mult: Sequence[Count] = (2, 2, 2),
        num_res_blocks: Count = 4,
        attention_resolutions: Sequence[Count] | None = None,
        dropout: ShareBelowOne = 0.13,
        patch_size: Count = 1,
        num_classes: CountOrZero = 0,
        augment_size: CountOrZero = 0,
        num_times: Count = 1,
    ) -> None:
        super().__init__()
        check_embedding("channels", channels, 1)
        check_sides(image_shape, patch_size * 2 ** max(0, len(channel_mult) - 1), "patch_size x 2^(levels - 1)")
        if not resample_filter or len(resample_filter) % 2:
            raise InputError(
                f"key 'resample_filter': found {list(resample_filter)}, expected an even number of taps, such as [1, 1]"
            )
        taps = tuple(resample_filter)
        self.decoder, self.taps = decoder, taps
        self.num_classes, self.patch_size = num_classes, patch_size
        image_channels, resolution = image_shape[0] * patch_size**2, image_shape[1] // patch_size
        sides = [resolution >> level for level in range(len(channel_mult))]
        attention_resolutions = attention_sides(attention_resolutions, sides)
        self.idle = idle_sides(sides, attention_resolutions=attention_resolutions)
        if len(sides) == 1:
            keys = ("encoder", "decoder", "resample_filter")
            self.idle |= dict.fromkeys(keys, "does nothing in a network of one level")
        if embedding == "positional":
            self.idle["fourier_scale"] = "does nothing beside embedding: positional"
        fourier = embedding == "fourier"
        one_size = channels * (embedding_mult or (2 if fourier else 1))  # of one time
        noise_size, time_size = num_times * one_size, 4 * channels

        def block(layer: Layer, attention: bool = False) -> Block:
            return Block(
                layer.in_channels,
                layer.out_channels,
                time_size=time_size,
                dropout=dropout,
                resample=layer.resample,
                taps=taps,
                attention=attention,
            )

        self.embedding = FourierEmbedding(one_size, fourier_scale) if fourier else PositionalEmbedding(one_size)
        self.label_embedding = averaged(nn.Linear(num_classes, noise_size)) if num_classes else None
        self.augment_embedding = averaged(nn.Linear(augment_size, noise_size, bias=False)) if augment_size else None
        self.time_mlp = nn.Sequential(
            averaged(nn.Linear(noise_size, time_size)), nn.SiLU(), averaged(nn.Linear(time_size, time_size))
        )
        self.conv_in = averaged(nn.Conv2d(image_channels, channels, 3, padding=1))

        widths = [channels * mult for mult in channel_mult]
        down, up = u_shape(channels, widths, num_res_blocks)
        lowest, pyramid_width = Layer(widths[-1], widths[-1], len(widths) - 1), image_channels
        self.down, self.pyramid = nn.ModuleList(), nn.ModuleList()
        for layer in down:
            attended = sides[layer.level] in attention_resolutions
            self.down.append(block(layer, attention=attended and layer.resample is None))
            if layer.resample == "down" and encoder == "residual":
                self.pyramid.append(Pyramid(pyramid_width, layer.out_channels, taps))
                pyramid_width = layer.out_channels
        self.middle = nn.ModuleList([block(lowest, attention=True), block(lowest)])
        self.up, self.outputs = nn.ModuleList(), nn.ModuleList()
        for layer in up:  # with attention only once per level
            self.up.append(block(layer, attention=layer.is_last and sides[layer.level] in attention_resolutions))
            if layer.is_last and (layer.level == 0 or decoder == "skip"):
                self.outputs.append(_output(layer.out_channels, image_channels))

    def forward(self, x_t: Images, t: Times, labels: Tensor | None = None, augment: Tensor | None = None) -> Outputs:
        noise = self.embedding(t.flatten()).view(len(t), -1)
        if self.label_embedding is not None:
            if labels is None:
                labels = noise.new_zeros(len(noise), self.num_classes)
            noise = noise + self.label_embedding(labels * math.sqrt(self.num_classes))
        if self.augment_embedding is not None and augment is not None:
            noise = noise + self.augment_embedding(augment)
        time = self.time_mlp(noise)

        image = F.pixel_unshuffle(x_t, self.patch_size) if self.patch_size > 1 else x_t
        h = self.conv_in(image)
        skips, pyramid = [h], iter(self.pyramid)
        for layer in self.down:
            h = layer(h, time)
            if layer.resample == "down" and self.pyramid:
                h = image = (next(pyramid)(image) + h) / math.sqrt(2)
            skips.append(h)
        for layer in self.middle:
            h = layer(h, time)
        outputs, output = iter(self.outputs), torch.zeros((), device=h.device)
        for layer in self.up:
            if layer.resample != "up":
                h = torch.cat([h, skips.pop()], dim=1)
            elif self.decoder == "skip":
                output = upsample(next(outputs)(h) + output, self.taps)
            h = layer(h, time)
        output = next(outputs)(h) + output
        return F.pixel_shuffle(output, self.patch_size) if self.patch_size > 1 else output
