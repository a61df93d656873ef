"""The parts of DDPM's U-Net and its relatives: residual blocks, attention, and layers that change the resolution."""

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from genbench.errors import InputError
from genbench.networks.layers import GroupNorm

Embedding = Tensor  # (N, 4 * channels)


def zero(module: nn.Conv2d) -> nn.Conv2d:
    """Set a last layer to zero: every residual branch then starts at zero."""
    nn.init.zeros_(module.weight)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
    return module


class Attention(nn.Module):
    """Self-attention over positions, residual; (N, C, H, W) to the same. The 3C outputs of `qkv` are q, k, v.

    groups: of the normalisation before it; None leaves it out.
    """

    def __init__(self, channels: int, num_heads: int, groups: int | None, eps: float) -> None:
        super().__init__()
        if channels % num_heads:
            raise InputError(f"UNet: key 'num_heads': found {num_heads}, which does not divide {channels} channels")
        self.num_heads = num_heads
        self.norm = GroupNorm(groups, channels, eps=eps) if groups else nn.Identity()
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = zero(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        n, c, height, width = x.shape
        qkv = self.qkv(self.norm(x)).view(n, 3, self.num_heads, c // self.num_heads, height * width)
        q, k, v = qkv.transpose(3, 4).unbind(1)  # each (N, heads, H W, C / heads)
        h = F.scaled_dot_product_attention(q, k, v)
        return x + self.out(h.transpose(2, 3).reshape(n, c, height, width))


class Block(nn.Module):
    """Two convolutions, residual, with the embedding of time between them and, optionally, attention after them."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        embedding_size: int,
        *,
        dropout: float,
        groups: int,
        eps: float,
        scale_shift_norm: bool,
        num_heads: int | None,
        attention_norm: bool = True,
    ) -> None:
        super().__init__()
        self.scale_shift_norm = scale_shift_norm
        self.norm1 = GroupNorm(groups, in_channels, eps=eps)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.embedding = nn.Linear(embedding_size, out_channels * (2 if scale_shift_norm else 1))
        self.norm2 = GroupNorm(groups, out_channels, eps=eps)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = zero(nn.Conv2d(out_channels, out_channels, 3, padding=1))
        self.skip = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()
        attention_groups = groups if attention_norm else None
        self.attention = Attention(out_channels, num_heads, attention_groups, eps) if num_heads else nn.Identity()

    def resample(self, x: Tensor) -> Tensor:
        """Change the resolution: here not at all."""
        return x

    def forward(self, x: Tensor, embedding: Embedding) -> Tensor:
        h = self.conv1(self.resample(F.silu(self.norm1(x))))
        e = self.embedding(F.silu(embedding))[:, :, None, None]
        if self.scale_shift_norm:
            scale, shift = e.chunk(2, dim=1)
            h = self.norm2(h) * (1 + scale) + shift
        else:
            h = self.norm2(h + e)
        h = self.conv2(self.dropout(F.silu(h)))
        return self.attention(self.skip(self.resample(x)) + h)


class DownBlock(Block):
    """A block that halves the sides by averaging 2x2 pixels, before its first convolution and in its skip branch."""

    def resample(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 2)


class UpBlock(Block):
    """A block that doubles the sides by repeating pixels, before its first convolution and in its skip branch."""

    def resample(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2, mode="nearest")


class Downsample(nn.Module):
    """Convolution of stride 2. "asymmetric" pads only on the right and below, like TensorFlow's "SAME" in Ho et al."""

    def __init__(self, channels: int, padding: Literal["asymmetric", "symmetric"]) -> None:
        super().__init__()
        self.asymmetric = padding == "asymmetric"
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=0 if self.asymmetric else 1)

    def forward(self, x: Tensor, embedding: Embedding) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)) if self.asymmetric else x)


class Upsample(nn.Module):
    """Doubles the sides by repeating pixels, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, embedding: Embedding) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))
