"""The residual networks of WGAN-GP for 32x32 (Gulrajani et al. 2017, arXiv 1704.00028, appendix F).

As used on CUB-200 at 32x32: 1,204,099 + 1,053,825 parameters with 128 channels. Only the generator has batch
normalisation, since the gradient penalty is defined for single images. Upsampling repeats pixels, and downsampling
averages them.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from genbench.networks.layers import halvings
from genbench.networks.spectral import normalise_spectrally
from genbench.ranges import Count
from genbench.tensors import Images, Latents, Logits


class UpBlock(nn.Module):
    """(N, C, H, W) to (N, C, 2H, 2W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.shortcut = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.relu(self.norm1(x)))
        h = self.conv2(F.interpolate(F.relu(self.norm2(h)), scale_factor=2, mode="nearest"))
        # A 1x1 convolution and repeating pixels commute; this order is cheaper.
        return h + F.interpolate(self.shortcut(x), scale_factor=2, mode="nearest")


class Block(nn.Module):
    """(N, C_in, H, W) to (N, C_out, H, W), or half the size with `down`. No normalisation."""

    def __init__(self, in_channels: int, out_channels: int, down: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1) if down else nn.Identity()
        self.pool = nn.AvgPool2d(2) if down else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.conv1(F.relu(x)))
        return self.conv2(self.pool(h)) + self.shortcut(self.pool(x))


class Generator(nn.Module):
    """z (N, latent_size) to images (N, C, H, W) in [-1, 1].

    channels: Width of all layers.
    """

    def __init__(self, *, image_shape: tuple[int, int, int], latent_size: int = 128, channels: Count = 128) -> None:
        super().__init__()
        image_channels, size, _ = image_shape
        stages = halvings(size, smallest=7)
        self.start = (channels, size >> stages, size >> stages)
        self.linear = nn.Linear(latent_size, channels * self.start[1] ** 2)
        self.blocks = nn.Sequential(*(UpBlock(channels) for _ in range(stages)))
        self.norm = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, image_channels, 3, padding=1)

    def forward(self, z: Latents) -> Images:
        h = self.blocks(self.linear(z).view(len(z), *self.start))
        return self.conv(F.relu(self.norm(h))).tanh()


class Discriminator(nn.Module):
    """Images (N, C, H, W) to logits (N,): halved down to at most 8x8, then two plain blocks and a sum over space.

    channels: Width of all layers.
    spectral_norm: Whether the largest singular value of each layer's weights is kept at 1.
    """

    def __init__(
        self, *, image_shape: tuple[int, int, int], channels: Count = 128, spectral_norm: bool = False
    ) -> None:
        super().__init__()
        image_channels, size, _ = image_shape
        stages = halvings(size, smallest=8)
        blocks = [Block(image_channels if i == 0 else channels, channels, down=True) for i in range(stages)]
        self.blocks = nn.Sequential(*blocks, Block(channels, channels, False), Block(channels, channels, False))
        self.linear = nn.Linear(channels, 1)
        if spectral_norm:
            normalise_spectrally(self)

    def forward(self, x: Images) -> Logits:
        return self.linear(F.relu(self.blocks(x)).sum(dim=(2, 3))).squeeze(1)
