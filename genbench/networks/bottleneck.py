"""The autoencoder of DiffuseVAE (Pandey et al. 2022, arXiv 2201.00308): bottleneck blocks at falling resolutions.

Defaults are the paper's network for CIFAR-10: 5,830,528 + 3,412,579 parameters with 512 latents. The blocks are those
of very deep VAEs (Child 2021, arXiv 2011.10650), without their hierarchy of latents.
"""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from genbench.errors import InputError
from genbench.ranges import Count, CountOrZero
from genbench.tensors import Images, Latents


class Block(nn.Module):
    """A residual block, then mean pooling. Its four convolutions each follow a GELU: 1x1 to half the channels, two of
    3x3, and 1x1 back. At a side of 1, the inner convolutions are 1x1, too.
    """

    def __init__(self, channels: int, side: int, pool: int = 1) -> None:
        super().__init__()
        inner, kernel = channels // 2, 3 if side > 1 else 1
        self.pool = pool
        self.layers = nn.Sequential(
            nn.GELU(), nn.Conv2d(channels, inner, 1),
            nn.GELU(), nn.Conv2d(inner, inner, kernel, padding=kernel // 2),
            nn.GELU(), nn.Conv2d(inner, inner, kernel, padding=kernel // 2),
            nn.GELU(), nn.Conv2d(inner, channels, 1),
        )  # fmt: skip
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.layers(x)
        return F.avg_pool2d(x, self.pool) if self.pool > 1 else x


class Autoencoder(nn.Module):
    """Images (N, C, H, W) to out_features at side 1, and latents (N, latent_size) at side 1 back to images.

    sides: Sides of the feature maps, from the image's down to 1, each a divisor of the one before.
    channels: Widths at these sides, one for each. The last is the latent's size.
    encoder_blocks: Number of blocks at each side on the way down, in addition to the one that pools to the next side.
    decoder_blocks: Number of blocks at each side on the way up, in the order of `sides`.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        latent_size: int,
        out_features: int,
        sides: Sequence[Count] = (32, 16, 8, 4, 1),
        channels: Sequence[Count] = (64, 128, 256, 256, 512),
        encoder_blocks: Sequence[CountOrZero] = (7, 4, 4, 3, 3),
        decoder_blocks: Sequence[CountOrZero] = (15, 7, 3, 2, 1),
    ) -> None:
        super().__init__()
        image_channels, height, width = image_shape
        lengths = {len(sides), len(channels), len(encoder_blocks), len(decoder_blocks)}
        if len(lengths) > 1 or not sides:
            raise InputError("sides, channels, encoder_blocks, decoder_blocks: expected lists of one length, not empty")
        if min(channels) < 2:
            raise InputError(f"key 'channels': found {list(channels)}, expected at least 2 each: a block halves them")
        if (sides[0], sides[-1]) != (height, 1) or height != width or any(a % b or a <= b for a, b in pairwise(sides)):
            raise InputError(
                f"key 'sides': found {list(sides)}, expected from the image's side ({height}x{width}) down to 1, each "
                "a divisor of the one before"
            )
        self.encoder = Encoder(image_channels, out_features, sides, channels, encoder_blocks)
        self.decoder = Decoder(image_channels, latent_size, sides, channels, decoder_blocks)


class Encoder(nn.Module):
    """Images (N, C, H, W) to (N, out_features). The last block at each side pools to the next side."""

    def __init__(
        self,
        image_channels: int,
        out_features: int,
        sides: Sequence[int],
        channels: Sequence[int],
        blocks: Sequence[int],
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(image_channels, channels[0], 3, padding=1, bias=False)]
        for level, (side, width, count) in enumerate(zip(sides, channels, blocks, strict=True)):
            layers += [Block(width, side) for _ in range(count)]
            if level + 1 < len(sides):
                layers += [
                    Block(width, side, pool=side // sides[level + 1]),
                    nn.Conv2d(width, channels[level + 1], 1, bias=False),
                ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels[-1], out_features, 1, bias=False), nn.Flatten())

    def forward(self, x: Images) -> Latents:
        return self.layers(x)


class Decoder(nn.Module):
    """Latents (N, latent_size) to images (N, C, H, W), without a final non-linearity."""

    def __init__(
        self,
        image_channels: int,
        latent_size: int,
        sides: Sequence[int],
        channels: Sequence[int],
        blocks: Sequence[int],
    ) -> None:
        super().__init__()
        if latent_size != channels[-1]:
            raise InputError(f"key 'channels': found {channels[-1]} at side 1, expected latent_size, {latent_size}")
        layers: list[nn.Module] = []
        for level in reversed(range(len(sides))):
            layers += [Block(channels[level], sides[level]) for _ in range(blocks[level])]
            if level > 0:
                layers += [
                    nn.Upsample(scale_factor=sides[level - 1] // sides[level], mode="nearest"),
                    nn.Conv2d(channels[level], channels[level - 1], 1, bias=False),
                ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels[0], image_channels, 3, padding=1))

    def forward(self, z: Latents) -> Images:
        return self.layers(z[:, :, None, None])
