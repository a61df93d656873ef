"""The residual networks of SNGAN for CIFAR-10 (Miyato et al. 2018, arXiv 1802.05957, table 4).

At 32x32 they have 4,276,739 + 1,053,825 parameters. The networks of resnet.py, a course's version of WGAN-GP's, differ:
here, a block enlarges before its first convolution and reduces after its second, and the discriminator's first block
sees the image without a ReLU. Sizes other than 32 have more or fewer blocks.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from genbench.networks.layers import halvings
from genbench.networks.spectral import normalise_spectrally
from genbench.ranges import Count
from genbench.tensors import Images, Latents, Logits


def _initialise(network: nn.Module) -> None:
    """Glorot's uniform distribution, wider by sqrt(2) for the 3x3 convolutions inside blocks; biases 0."""
    for name, module in network.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_uniform_(module.weight, 2**0.5 if name.endswith(("conv1", "conv2")) else 1.0)
            assert module.bias is not None
            nn.init.zeros_(module.bias)


class UpBlock(nn.Module):
    """(N, C, H, W) to (N, C, 2H, 2W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.shortcut = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.interpolate(F.relu(self.norm1(x)), scale_factor=2, mode="nearest"))
        h = self.conv2(F.relu(self.norm2(h)))
        # A 1x1 convolution and repeating pixels commute; this order is cheaper.
        return h + F.interpolate(self.shortcut(x), scale_factor=2, mode="nearest")


class Block(nn.Module):
    """(N, C_in, H, W) to (N, C_out, H, W), or half the size with `down`. `first`: x is an image; no ReLU before it."""

    def __init__(self, in_channels: int, out_channels: int, down: bool, first: bool = False) -> None:
        super().__init__()
        self.first = first
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1) if down else nn.Identity()
        self.pool = nn.AvgPool2d(2) if down else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2(F.relu(self.conv1(x if self.first else F.relu(x))))
        return self.pool(h) + self.shortcut(self.pool(x))  # a 1x1 convolution and averaging commute


class Generator(nn.Module):
    """z (N, latent_size) to images (N, C, H, W) in [-1, 1].

    channels: Width of all layers.
    """

    def __init__(self, *, image_shape: tuple[int, int, int], latent_size: int = 128, channels: Count = 256) -> None:
        super().__init__()
        image_channels, size, _ = image_shape
        stages = halvings(size, smallest=7)
        self.start = (channels, size >> stages, size >> stages)
        self.linear = nn.Linear(latent_size, channels * self.start[1] ** 2)
        self.blocks = nn.Sequential(*(UpBlock(channels) for _ in range(stages)))
        self.norm = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, image_channels, 3, padding=1)
        _initialise(self)

    def forward(self, z: Latents) -> Images:
        h = self.blocks(self.linear(z).view(len(z), *self.start))
        return self.conv(F.relu(self.norm(h))).tanh()


class Discriminator(nn.Module):
    """Images (N, C, H, W) to logits (N,): halved down to at most 8x8, then two plain blocks and a sum over space.

    channels: Width of all layers.
    spectral_norm: Whether the largest singular value of each layer's weights is kept at 1.
    """

    def __init__(self, *, image_shape: tuple[int, int, int], channels: Count = 128, spectral_norm: bool = True) -> None:
        super().__init__()
        image_channels, size, _ = image_shape
        first = Block(image_channels, channels, down=True, first=True)
        down = [first, *(Block(channels, channels, down=True) for _ in range(1, halvings(size, smallest=8)))]
        self.blocks = nn.Sequential(*down, Block(channels, channels, False), Block(channels, channels, False))
        self.linear = nn.Linear(channels, 1)
        _initialise(self)
        if spectral_norm:
            normalise_spectrally(self)

    def forward(self, x: Images) -> Logits:
        return self.linear(F.relu(self.blocks(x)).sum(dim=(2, 3))).squeeze(1)
