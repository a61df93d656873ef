"""The U-Net of lucidrains' denoising-diffusion-pytorch, in all layouts that it had since release 0.22 (June 2022).

Each level has two residual blocks, on the way up as well, and each block has a skip connection. Every level has linear
attention (Shen et al. 2021, arXiv 1812.01243), except for the lowest since release 1.8. The embedding of time scales
and shifts the first normalisation of a block. Defaults are release 2.2.6; `dim` there is `channels` here.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genbench.errors import InputError
from genbench.networks.layers import GroupNorm
from genbench.networks.unet import check_embedding
from genbench.networks.unet_blocks import Embedding
from genbench.ranges import Count, CountOrZero, Positive, ShareBelowOne
from genbench.tensors import Images, Outputs, Timesteps

Similarity = Literal["dot"] | Positive
NormOverChannels = Literal["rms", "layer", "layer-bias"]


class ChannelNorm(nn.Module):
    """Normalises each pixel over its channels: by its root mean square, or by mean and deviation ("layer")."""

    def __init__(self, channels: int, kind: NormOverChannels) -> None:
        super().__init__()
        self.centred = kind != "rms"
        self.weight = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1)) if kind == "layer-bias" else None

    def forward(self, x: Tensor) -> Tensor:
        if not self.centred:
            return F.normalize(x, dim=1) * self.weight * x.shape[1] ** 0.5
        variance, mean = torch.var_mean(x, dim=1, unbiased=False, keepdim=True)
        x = (x - mean) * (variance + 1e-5).rsqrt() * self.weight
        return x if self.bias is None else x + self.bias


class StandardisedConv(nn.Conv2d):
    """A convolution whose weights are first standardised, per output channel (Qiao et al. 2019, arXiv 1903.10520)."""

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(self.weight, dim=(1, 2, 3), unbiased=False, keepdim=True)
        return self._conv_forward(x, (self.weight - mean) * (variance + 1e-5).rsqrt(), self.bias)


class Attention(nn.Module):
    """Self-attention over positions, residual; (N, C, H, W) to the same.

    similarity: of queries and keys: "dot" is their dot product over the root of their width. A number multiplies their
        dot product after each channel is scaled to unit length over all positions (a cosine would scale each position
        over its channels).
    memory: number of learned keys and values, in addition to those of the positions.
    """

    def __init__(
        self, channels: int, heads: int, width: int, norm: NormOverChannels, memory: int, similarity: Similarity
    ) -> None:
        super().__init__()
        self.heads, self.similarity = heads, similarity
        self.norm = ChannelNorm(channels, norm)
        self.memory = nn.Parameter(torch.randn(2, heads, memory, width)) if memory else None
        self.qkv = nn.Conv2d(channels, 3 * heads * width, 1, bias=False)
        self.out = nn.Conv2d(heads * width, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(self.norm(x)).unflatten(1, (3, self.heads, -1)).flatten(4)
        q, k, v = qkv.transpose(3, 4).unbind(1)  # each (N, heads, H W, width)
        if self.memory is not None:
            learned_k, learned_v = self.memory.to(q.dtype).expand(len(x), -1, -1, -1, -1).unbind(1)
            k, v = torch.cat([learned_k, k], dim=2), torch.cat([learned_v, v], dim=2)
        if self.similarity == "dot":
            h = F.scaled_dot_product_attention(q, k, v)
        else:
            q, k = F.normalize(q, dim=2), F.normalize(k, dim=2)
            h = F.scaled_dot_product_attention(q, k, v, scale=self.similarity)
        return x + self.out(h.transpose(2, 3).flatten(1, 2).unflatten(2, x.shape[2:]))


class LinearAttention(nn.Module):
    """Attention at a cost linear in the number of positions: softmax of q over its width, of k over positions.

    mean_values: whether values are divided by the number of positions.
    """

    def __init__(
        self, channels: int, heads: int, width: int, norm: NormOverChannels, memory: int, mean_values: bool
    ) -> None:
        super().__init__()
        self.heads, self.scale, self.mean_values = heads, width**-0.5, mean_values
        self.norm = ChannelNorm(channels, norm)
        self.memory = nn.Parameter(torch.randn(2, heads, width, memory)) if memory else None
        self.qkv = nn.Conv2d(channels, 3 * heads * width, 1, bias=False)
        self.out = nn.Conv2d(heads * width, channels, 1)
        self.norm_out = ChannelNorm(channels, norm)

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(self.norm(x)).unflatten(1, (3, self.heads, -1)).flatten(4)
        q, k, v = qkv.unbind(1)  # each (N, heads, width, H W)
        if self.memory is not None:
            learned_k, learned_v = self.memory.to(q.dtype).expand(len(x), -1, -1, -1, -1).unbind(1)
            k, v = torch.cat([learned_k, k], dim=3), torch.cat([learned_v, v], dim=3)
        if self.mean_values:
            v = v / (x.shape[2] * x.shape[3])
        context = v @ k.softmax(dim=3).transpose(2, 3)  # (N, heads, width of v, width of k)
        h = context @ (q.softmax(dim=2) * self.scale)
        return x + self.norm_out(self.out(h.flatten(1, 2).unflatten(2, x.shape[2:])))


class Block(nn.Module):
    """Two convolutions, residual. The embedding of time scales and shifts the result of the first normalisation."""

    def __init__(
        self, in_channels: int, out_channels: int, embedding_size: int, groups: int, standardised: bool, dropout: float
    ) -> None:
        super().__init__()
        conv = StandardisedConv if standardised else nn.Conv2d

        def norm() -> nn.Module:
            return GroupNorm(groups, out_channels) if groups else ChannelNorm(out_channels, "rms")

        self.embedding = nn.Linear(embedding_size, 2 * out_channels)
        self.conv1, self.norm1 = conv(in_channels, out_channels, 3, padding=1), norm()
        self.conv2, self.norm2 = conv(out_channels, out_channels, 3, padding=1), norm()
        self.skip = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, embedding: Embedding) -> Tensor:
        scale, shift = self.embedding(F.silu(embedding))[:, :, None, None].chunk(2, dim=1)
        h = self.dropout(F.silu(self.norm1(self.conv1(x)) * (scale + 1) + shift))
        return F.silu(self.norm2(self.conv2(h))) + self.skip(x)


class Level(nn.Module):
    """Two blocks, attention after the second, and the layer that changes the resolution to the next level."""

    block1: Block
    block2: Block
    attention: nn.Module
    resample: nn.Module

    def __init__(self, block1: Block, block2: Block, attention: nn.Module, resample: nn.Module) -> None:
        super().__init__()
        self.block1, self.block2, self.attention, self.resample = block1, block2, attention, resample


class UNet(nn.Module):
    """Predicts (N, out_channels, H, W) from x_t (N, C, H, W) and the network's time t (N,), such as 0 .. T-1.

    channels: Width of the network; `channel_mult` has multiples of it.
    first_channels: Width after the first convolution; by default `channels`.
    channel_mult: Widths after each level as multiples of `channels`.
    full_attention: Which levels have full instead of linear attention; by default only the lowest.
    num_heads: Number of heads of each attention.
    head_channels: Channels of a head.
    memory: Number of learned keys and values of each attention, in addition to those of the positions (since release
        1.9).
    norm_groups: Number of groups of the normalisations in blocks; 0 normalises by the root mean square over channels
        (since 2.0).
    attention_norm: Normalisation of attention: "rms" by the root mean square over channels (since 1.7.1); "layer" by
        mean and deviation; "layer-bias" with a bias as well (before 0.26.5).
    standardised: Whether the weights of the blocks' convolutions are standardised (from 0.27.4 to 1.7.0).
    similarity: The similarity of queries and keys in full attention. "dot" is their dot product over the root of their
        width. A number multiplies their dot product after each channel is scaled to unit length over all positions (16
        from 0.26, 10 from 0.27.4, "dot" again from 0.28).
    mean_values: Whether the values of linear attention are divided by the number of positions (from 0.26.4 to 1.7.3).
    downsample: "folded" turns squares of 2x2 pixels into channels (since 0.32); "strided" is a 4x4 convolution of
        stride 2.
    dropout: Share of activations set to zero in each block while training.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        out_channels: Count | None = None,
        channels: Count = 64,
        first_channels: Count | None = None,
        channel_mult: Sequence[Count] = (1, 2, 4, 8),
        full_attention: Sequence[bool] | None = None,
        num_heads: Count = 4,
        head_channels: Count = 32,
        memory: CountOrZero = 4,
        norm_groups: CountOrZero = 0,
        attention_norm: NormOverChannels = "rms",
        standardised: bool = False,
        similarity: Similarity = "dot",
        mean_values: bool = False,
        downsample: Literal["folded", "strided"] = "folded",
        dropout: ShareBelowOne = 0.0,
    ) -> None:
        super().__init__()
        check_embedding("channels", channels, 1)
        image_channels, *sides = image_shape
        levels, first = len(channel_mult), first_channels or channels
        if not levels:
            raise InputError("UNet: key 'channel_mult': found [], expected at least one")
        if odd := [side for side in sides if side % 2 ** (levels - 1)]:
            raise InputError(
                f"UNet: image side {odd[0]} is not divisible by {2 ** (levels - 1)} (2^(levels - 1)); expected fewer "
                "levels in channel_mult"
            )
        full = [level == levels - 1 for level in range(levels)] if full_attention is None else full_attention
        if len(full) != levels:
            raise InputError(f"UNet: key 'full_attention': found {list(full)}, expected {levels} values, one a level")
        widths = [first, *(channels * mult for mult in channel_mult)]
        if norm_groups and any(width % norm_groups for width in widths):
            raise InputError(f"UNet: key 'norm_groups': found {norm_groups}, which does not divide {widths}")

        def block(before: int, after: int) -> Block:
            return Block(before, after, 4 * channels, norm_groups, standardised, dropout)

        def attention(width: int, everything: bool) -> nn.Module:
            common = width, num_heads, head_channels, attention_norm, memory
            return Attention(*common, similarity) if everything else LinearAttention(*common, mean_values)

        def conv(before: int, after: int) -> nn.Module:
            return nn.Conv2d(before, after, 3, padding=1)

        def smaller(before: int, after: int) -> nn.Module:
            if downsample == "strided":
                return nn.Conv2d(before, after, 4, stride=2, padding=1)
            return nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4 * before, after, 1))

        def larger(before: int, after: int) -> nn.Module:
            return nn.Sequential(nn.Upsample(scale_factor=2), conv(before, after))

        self.channels = channels
        self.time_mlp = nn.Sequential(
            nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, 4 * channels)
        )
        self.conv_in = nn.Conv2d(image_channels, first, 7, padding=3)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for level, (width, after) in enumerate(pairwise(widths)):
            resample = smaller if level < levels - 1 else conv
            self.down.append(
                Level(block(width, width), block(width, width), attention(width, full[level]), resample(width, after))
            )
            resample, both = larger if level else conv, after + width
            self.up.insert(
                0, Level(block(both, after), block(both, after), attention(after, full[level]), resample(after, width))
            )
        self.middle = nn.ModuleList(
            [block(widths[-1], widths[-1]), attention(widths[-1], True), block(widths[-1], widths[-1])]
        )
        self.last = block(2 * first, first)
        self.conv_out = nn.Conv2d(first, out_channels or image_channels, 1)

    def forward(self, x_t: Images, t: Timesteps) -> Outputs:
        half = self.channels // 2
        frequencies = torch.exp(torch.arange(half, device=t.device) * -(math.log(10000) / (half - 1)))
        angles = t[:, None] * frequencies
        embedding = self.time_mlp(torch.cat([angles.sin(), angles.cos()], dim=1))
        h = first = self.conv_in(x_t)
        skips = []
        for level in cast(list[Level], self.down):
            skips.append(h := level.block1(h, embedding))
            skips.append(h := level.attention(level.block2(h, embedding)))
            h = level.resample(h)
        before, attention, after = self.middle
        h = after(attention(before(h, embedding)), embedding)
        for level in cast(list[Level], self.up):
            h = level.block1(torch.cat([h, skips.pop()], dim=1), embedding)
            h = level.attention(level.block2(torch.cat([h, skips.pop()], dim=1), embedding))
            h = level.resample(h)
        return self.conv_out(self.last(torch.cat([h, first], dim=1), embedding))
