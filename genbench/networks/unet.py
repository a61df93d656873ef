"""The U-Net of DDPM (Ho et al. 2020, arXiv 2006.11239, appendix B), with the options that distinguish its relatives.

Defaults are Ho et al.'s network for CIFAR-10, with 35,746,307 parameters. Options give others: OpenAI's
improved-diffusion (`scale_shift_norm`, `num_heads`, `time_embedding`), diffusers' UNet2DModel (`head_channels`,
`norm_eps`, `frequency_shift`, `up_attention_resolutions`, `middle_attention`). `patch_size` folds p x p pixels into
channels before the first layer and unfolds them after the last, which makes a network on small images several times
cheaper.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genbench.errors import InputError
from genbench.networks.layers import GroupNorm
from genbench.networks.u_shape import Layer, u_shape
from genbench.networks.unet_blocks import Block, DownBlock, Downsample, UpBlock, Upsample, zero
from genbench.ranges import Count, CountOrZero, Factor, Positive, PositiveEpsilon, ShareBelowOne
from genbench.tensors import Images, Outputs, Times, Timesteps


def sinusoidal_embedding(
    t: Timesteps, size: int, order: Literal["sin-cos", "cos-sin"], shift: float | None = None
) -> Tensor:
    """Sines and cosines of t at `size` / 2 frequencies 10000^(-i / (size / 2 - shift)): (N, size), float32.

    "sin-cos" is Ho et al.'s, with shift 1: the last frequency is exactly 1/10000. "cos-sin" is OpenAI's, with shift 0:
    the last frequency is above 1/10000. The order of operations is that of OpenAI and diffusers, bit for bit, since at
    t = 1000 a rounding error in a frequency changes its angle by 1e-4.
    """
    half = size // 2
    if shift is None:
        shift = 1 if order == "sin-cos" else 0
    exponents = -math.log(10000) * torch.arange(half, dtype=torch.float32, device=t.device) / (half - shift)
    frequencies = torch.exp(exponents)
    angles = t.float()[:, None] * frequencies
    parts = [angles.sin(), angles.cos()]
    return torch.cat(parts if order == "sin-cos" else parts[::-1], dim=1)


def check_embedding(key: str, size: int, shift: float) -> None:
    """Check that time can be embedded in `size` sines and cosines. Raises InputError."""
    if size % 2 or size // 2 <= shift:
        least = max(2, 2 * math.floor(shift + 1))
        raise InputError(f"key {key!r}: found {size}, expected an even number of at least {least}, to embed time in")


def attention_sides(given: Sequence[int] | None, sides: Sequence[int]) -> Sequence[int]:
    """The sides of feature maps that get attention; by default 16, if `sides` contains it."""
    if not sides:
        raise InputError("key 'channel_mult': found [], expected at least one")
    return [side for side in sides if side == 16] if given is None else given


def idle_sides(sides: Sequence[int], **given: Sequence[int]) -> dict[str, str]:
    """What is wrong with keys that state sides which do not occur and have no effect. Preflight refuses such an entry;
    an older checkpoint with such sides is still built."""
    absent = {key: [side for side in values if side not in sides] for key, values in given.items()}
    expected = ", ".join(map(str, sides))
    return {key: f"found {values[0]}, expected some of {expected}" for key, values in absent.items() if values}


class UNet(nn.Module):
    """Predicts (N, out_channels, H, W) from x_t (N, C, H, W) and the network's time t (N,), such as 0 .. T-1.

    If num_classes is not 0, a linear layer adds labels (N, num_classes) of zeros and ones to the embedding of t. If
    augment_size is not 0, another one adds (N, augment_size) numbers that describe how an image was augmented. If
    num_times is not 1, t is (N, num_times), and the embeddings of an image's times are concatenated.

    channels: Width of the network; `channel_mult` has multiples of it.
    channel_mult: Widths of the levels as multiples of `channels`, each an integer number of channels.
    num_res_blocks: Residual blocks at each level on the way down; there is one more on the way up.
    attention_resolutions: Sides of feature maps (after folding) that get attention; by default 16, if there is one.
    up_attention_resolutions: The same for the way up, if it differs from the way down.
    middle_attention: Attention at the lowest resolution: "normed" with a normalisation before it, as everywhere else;
        "bare" without one, as in diffusers with scale_shift_norm; or "none".
    num_heads: Number of heads of each attention.
    up_num_heads: The same for the way up, if it differs.
    head_channels: Channels of a head, instead of `num_heads`. The number of heads then follows from the width.
    dropout: Share of activations set to zero in each block while training.
    norm_groups: Groups of every group normalisation, a divisor of all widths.
    norm_eps: Added to the variance in every group normalisation.
    scale_shift_norm: Whether the embedding of t scales and shifts the output of a block's second normalisation, instead
        of being added before it.
    downsample_padding: Where the convolutions of stride 2 pad with zeros: "asymmetric" on the right and below, as in Ho
        et al.; "symmetric" on all sides.
    resample: The layer that changes the resolution: "conv" is a convolution, "block" a residual block as in guided
        diffusion (Dhariwal & Nichol 2021, arXiv 2105.05233).
    time_embedding: Order of sines and cosines in the embedding of t: "sin-cos" is Ho et al.'s, "cos-sin" OpenAI's.
    frequency_shift: Moves the lowest frequency of that embedding; with 1 it is exactly 1/10000. By default 1 for
        "sin-cos" and 0 for "cos-sin".
    patch_size: Squares with this side, in pixels, are folded into channels before the first layer, and unfolded after
        the last.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        in_channels: Count | None = None,
        out_channels: Count | None = None,
        channels: Count = 128,
        channel_mult: Sequence[Positive] = (1, 2, 2, 2),
        num_res_blocks: Count = 2,
        attention_resolutions: Sequence[Count] | None = None,
        up_attention_resolutions: Sequence[Count] | None = None,
        middle_attention: Literal["normed", "bare", "none"] = "normed",
        num_heads: Count = 1,
        up_num_heads: Count | None = None,
        head_channels: Count | None = None,
        dropout: ShareBelowOne = 0.1,
        norm_groups: Count = 32,
        norm_eps: PositiveEpsilon = 1e-6,
        scale_shift_norm: bool = False,
        downsample_padding: Literal["asymmetric", "symmetric"] = "asymmetric",
        resample: Literal["conv", "block"] = "conv",
        time_embedding: Literal["sin-cos", "cos-sin"] = "sin-cos",
        frequency_shift: Factor | None = None,
        patch_size: Count = 1,
        num_classes: CountOrZero = 0,
        augment_size: CountOrZero = 0,
        num_times: Count = 1,
    ) -> None:
        super().__init__()
        check_embedding("channels", channels, 1 if frequency_shift is None else frequency_shift)
        image_channels, size, _ = image_shape
        _check_sides(image_shape, patch_size * 2 ** (len(channel_mult) - 1))
        widths = _level_widths(channels, channel_mult, norm_groups)
        self.channels, self.patch_size = channels, patch_size
        self.time_order, self.frequency_shift = time_embedding, frequency_shift
        folded, embedding_size = patch_size**2, 4 * channels
        sides = [size // patch_size >> level for level in range(len(channel_mult))]
        attended = attention_sides(attention_resolutions, sides)
        up_attended = attended if up_attention_resolutions is None else up_attention_resolutions
        self.idle = _idle(sides, attended, up_attended, middle_attention, head_channels, resample)
        up_heads = _up_heads(num_heads, up_num_heads, head_channels)

        def block(before: int, after: int, heads: int = 0, norm: bool = True, kind: type[Block] = Block) -> Block:
            return kind(
                before,
                after,
                embedding_size,
                dropout=dropout,
                groups=norm_groups,
                eps=norm_eps,
                scale_shift_norm=scale_shift_norm,
                num_heads=_heads(after, heads, head_channels) if heads else None,
                attention_norm=norm,
            )

        def layer_of(layer: Layer, heads: int, attended: Sequence[int]) -> nn.Module:
            if layer.resample is None:
                return block(layer.in_channels, layer.out_channels, heads if sides[layer.level] in attended else 0)
            is_down, width = layer.resample == "down", layer.out_channels
            if resample == "block":
                return block(width, width, kind=DownBlock if is_down else UpBlock)
            return Downsample(width, downsample_padding) if is_down else Upsample(width)

        self.time_mlp = nn.Sequential(
            nn.Linear(num_times * channels, embedding_size), nn.SiLU(), nn.Linear(embedding_size, embedding_size)
        )
        self.label_embedding = nn.Linear(num_classes, embedding_size) if num_classes else None
        self.augment_embedding = nn.Linear(augment_size, embedding_size, bias=False) if augment_size else None
        self.conv_in = nn.Conv2d((in_channels or image_channels) * folded, channels, 3, padding=1)

        down, up = u_shape(channels, widths, num_res_blocks)
        middle, middle_heads = widths[-1], num_heads if middle_attention != "none" else 0
        self.down, self.up = nn.ModuleList(), nn.ModuleList()  # this order is that of the weights in files
        self.down.extend(layer_of(layer, num_heads, attended) for layer in down)
        first = block(middle, middle, middle_heads, norm=middle_attention == "normed")
        self.middle = nn.ModuleList([first, block(middle, middle)])
        self.up.extend(layer_of(layer, up_heads, up_attended) for layer in up)
        self.norm_out = GroupNorm(norm_groups, widths[0], eps=norm_eps)
        self.conv_out = zero(nn.Conv2d(widths[0], (out_channels or image_channels) * folded, 3, padding=1))

    def forward(self, x_t: Images, t: Times, labels: Tensor | None = None, augment: Tensor | None = None) -> Outputs:
        times = sinusoidal_embedding(t.flatten(), self.channels, self.time_order, self.frequency_shift)
        embedding = self.time_mlp(times.view(len(t), -1))
        if self.label_embedding is not None and labels is not None:
            embedding = embedding + self.label_embedding(labels)
        if self.augment_embedding is not None and augment is not None:
            embedding = embedding + self.augment_embedding(augment)
        h = self.conv_in(F.pixel_unshuffle(x_t, self.patch_size) if self.patch_size > 1 else x_t)
        skips = [h]
        for layer in self.down:
            h = layer(h, embedding)
            skips.append(h)
        for layer in self.middle:
            h = layer(h, embedding)
        for layer in self.up:
            h = layer(torch.cat([h, skips.pop()], dim=1) if type(layer) is Block else h, embedding)
        h = self.conv_out(F.silu(self.norm_out(h)))
        return F.pixel_shuffle(h, self.patch_size) if self.patch_size > 1 else h


def _check_sides(image_shape: tuple[int, int, int], factor: float) -> None:
    for side in image_shape[1:]:
        if side % factor:
            raise InputError(
                f"UNet: image side {side} is not divisible by {factor} (patch_size x 2^(levels - 1)); expected fewer "
                "levels in channel_mult, or another patch_size"
            )


def _level_widths(channels: int, channel_mult: Sequence[float], norm_groups: int) -> list[int]:
    """Channels of each level. Raises InputError if they are not integers, or if the groups do not divide them."""
    widths = [round(channels * mult) for mult in channel_mult]
    for mult, width in zip(channel_mult, widths, strict=True):
        if abs(channels * mult - width) > 1e-6 * channels:
            raise InputError(
                f"UNet: key 'channel_mult': found {mult}, which times {channels} channels is not an integer"
            )
    if any(width % norm_groups for width in [channels, *widths]):
        raise InputError(f"UNet: key 'norm_groups': found {norm_groups}, which does not divide channels {channels}")
    return widths


def _up_heads(num_heads: int, up_num_heads: int | None, head_channels: int | None) -> int:
    if up_num_heads is not None and head_channels is not None:
        raise InputError(
            f"UNet: key 'up_num_heads': found {up_num_heads} beside head_channels: {head_channels}, expected one"
        )
    return num_heads if up_num_heads is None else up_num_heads


def _heads(width: int, number: int, channels: int | None) -> int:
    """The number of heads of an attention of this width: `number`, or as many as have `channels` channels each."""
    if channels is None:
        return number
    if width % channels:
        raise InputError(f"UNet: key 'head_channels': found {channels}, which does not divide {width}")
    return width // channels


def _idle(
    sides: Sequence[int],
    attended: Sequence[int],
    up_attended: Sequence[int],
    middle_attention: str,
    head_channels: int | None,
    resample: str,
) -> dict[str, str]:
    """The keys that would have no effect, and why."""
    idle = idle_sides(sides, attention_resolutions=attended, up_attention_resolutions=up_attended)
    if not up_attended:
        idle["up_num_heads"] = "does nothing without attention on the way up"
        if not attended and middle_attention == "none":
            idle |= dict.fromkeys(("num_heads", "head_channels"), "does nothing without attention")
    if head_channels is not None:
        idle["num_heads"] = f"does nothing beside head_channels: {head_channels}"
    if resample == "block" or len(sides) == 1:
        without = "beside resample: block" if resample == "block" else "in a network of one level"
        idle["downsample_padding"] = f"does nothing {without}"
    if len(sides) == 1:
        idle["resample"] = "does nothing in a network of one level"
    return idle
