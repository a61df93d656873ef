"""The first stage of latent diffusion (Rombach et al. 2022, arXiv 2112.10752, appendix G): latents on a grid.

Residual blocks with group normalisation and SiLU lead from an image down to a grid of latents (C, h, w), whose sides
are the image's divided by f = 2^(levels - 1), and back up again. The lowest resolution has self-attention. Defaults are
the paper's network with f = 4: 22,351,280 + 32,960,783 parameters for colour images and three channels of latents.
The VAE's latents are flat vectors; `latent_shape` is the shape of their grid.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from genbench.errors import InputError
from genbench.networks.layers import GroupNorm
from genbench.networks.unet import idle_sides
from genbench.networks.unet_blocks import Attention
from genbench.ranges import Count

EPS = 1e-6  # of every group normalisation


class Block(nn.Module):
    """Two convolutions, each after normalisation and SiLU, residual."""

    def __init__(self, in_channels: int, out_channels: int, groups: int) -> None:
        super().__init__()
        self.norm1 = GroupNorm(groups, in_channels, eps=EPS)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm2 = GroupNorm(groups, out_channels, eps=EPS)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.skip = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        return self.skip(x) + self.conv2(F.silu(self.norm2(h)))


def attention(channels: int, groups: int) -> Attention:
    """Attention with one head. Its last layer is initialised like any other, not at zero."""
    layer = Attention(channels, 1, groups, EPS)
    layer.out.reset_parameters()
    return layer


def middle(width: int, groups: int) -> list[nn.Module]:
    """The layers at the lowest resolution."""
    return [Block(width, width, groups), attention(width, groups), Block(width, width, groups)]


class AutoencoderKL(nn.Module):
    """Images (N, C, H, W) to out_features, and latents (N, latent_size) back to images.

    The channels of a latent follow from latent_size = channels x h x w: 196 is 4 x 7 x 7.

    channels: Width at the image's resolution; `channel_mult` has multiples of it.
    channel_mult: Widths of the levels as multiples of `channels`. Each level halves the sides of the one before.
    num_res_blocks: Residual blocks at each level on the way down; there is one more on the way up.
    attention_resolutions: Sides of feature maps that get attention. The middle always has it.
    norm_groups: Groups of every group normalisation, a divisor of all widths.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        latent_size: int,
        out_features: int,
        channels: Count = 128,
        channel_mult: Sequence[Count] = (1, 2, 4),
        num_res_blocks: Count = 2,
        attention_resolutions: Sequence[Count] = (),
        norm_groups: Count = 32,
    ) -> None:
        super().__init__()
        image_channels, height, width = image_shape
        if not channel_mult:
            raise InputError("key 'channel_mult': found [], expected at least one")
        factor = 2 ** (len(channel_mult) - 1)
        if height % factor or width % factor:
            raise InputError(
                f"key 'channel_mult': found {list(channel_mult)} for images of {height}x{width}, whose sides {factor} "
                "does not divide; expected fewer levels"
            )
        cells = height // factor * (width // factor)
        if latent_size % cells:
            raise InputError(
                f"key 'latent_size': found {latent_size}, expected a multiple of the {cells} places of a latent, "
                f"{height // factor}x{width // factor}"
            )
        widths = [channels * mult for mult in channel_mult]
        if any(width % norm_groups for width in [channels, *widths]):
            raise InputError(
                f"key 'norm_groups': found {norm_groups}, which does not divide widths {channels}, {widths}"
            )
        self.latent_shape = (latent_size // cells, height // factor, width // factor)
        sides = [height >> level for level in range(len(widths))]
        self.idle = idle_sides(sides, attention_resolutions=attention_resolutions)

        def level(in_channels: int, out_channels: int, count: int, side: int) -> list[nn.Module]:
            layers: list[nn.Module] = []
            for number in range(count):
                layers.append(Block(out_channels if number else in_channels, out_channels, norm_groups))
                if side in attention_resolutions:
                    layers.append(attention(out_channels, norm_groups))
            return layers

        def end(width: int, out_channels: int) -> list[nn.Module]:
            norm = GroupNorm(norm_groups, width, eps=EPS)
            return [norm, nn.SiLU(), nn.Conv2d(width, out_channels, 3, padding=1)]

        # down
        moments = out_features // cells
        encoder: list[nn.Module] = [nn.Conv2d(image_channels, channels, 3, padding=1)]
        width = channels
        for number, (out_channels, side) in enumerate(zip(widths, sides, strict=True)):
            encoder += level(width, out_channels, num_res_blocks, side)
            width = out_channels
            if number + 1 < len(widths):  # zero padding only on the right and below
                encoder += [nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(width, width, 3, stride=2)]
        encoder += [*middle(width, norm_groups), *end(width, moments), nn.Conv2d(moments, moments, 1), nn.Flatten()]
        self.encoder = nn.Sequential(*encoder)

        # up
        latent_channels = self.latent_shape[0]
        decoder: list[nn.Module] = [
            nn.Unflatten(1, self.latent_shape),
            nn.Conv2d(latent_channels, latent_channels, 1),
            nn.Conv2d(latent_channels, width, 3, padding=1),
            *middle(width, norm_groups),
        ]
        for number, (out_channels, side) in reversed(list(enumerate(zip(widths, sides, strict=True)))):
            decoder += level(width, out_channels, num_res_blocks + 1, side)
            width = out_channels
            if number > 0:
                decoder += [nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(width, width, 3, padding=1)]
        self.decoder = nn.Sequential(*decoder, *end(width, image_channels))
