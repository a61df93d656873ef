"""DCGAN (Radford et al. 2016, arXiv 1511.06434): strided convolutions, batch normalisation, no pooling.

At 64x64 these are the networks of the PyTorch tutorial (3,576,704 + 2,765,568 parameters). Other sizes have fewer or
more stages: the side is halved while it is even and above 7, so 64 and 32 start from 4x4, and 28 from 7x7.
"""

from torch import nn

from genbench.networks.layers import halvings
from genbench.networks.spectral import normalise_spectrally
from genbench.ranges import Count
from genbench.tensors import Images, Latents, Logits


def _initialise(module: nn.Module) -> None:
    """Convolutions from N(0, 0.02), batch-norm weights from N(1, 0.02)."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


class Generator(nn.Module):
    """z (N, latent_size) to images (N, C, H, W) in [-1, 1].

    channels: Width of the last hidden layer; each stage before it is twice as wide as the next.
    """

    def __init__(self, *, image_shape: tuple[int, int, int], latent_size: int = 100, channels: Count = 64) -> None:
        super().__init__()
        image_channels, size, _ = image_shape
        stages = halvings(size, smallest=7)
        width = channels * 2 ** (stages - 1)
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent_size, width, size >> stages, 1, 0, bias=False)]
        for _ in range(stages - 1):
            layers += [nn.BatchNorm2d(width), nn.ReLU(True)]
            layers += [nn.ConvTranspose2d(width, width // 2, 4, 2, 1, bias=False)]
            width //= 2
        layers += [nn.BatchNorm2d(width), nn.ReLU(True)]
        layers += [nn.ConvTranspose2d(width, image_channels, 4, 2, 1, bias=False), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self.apply(_initialise)

    def forward(self, z: Latents) -> Images:
        return self.layers(z[:, :, None, None])


class Discriminator(nn.Module):
    """Images (N, C, H, W) to logits (N,).

    channels: Width of the first layer; each stage is twice as wide as the one before.
    spectral_norm: Whether the largest singular value of each layer's weights is kept at 1, instead of batch
        normalisation.
    """

    def __init__(self, *, image_shape: tuple[int, int, int], channels: Count = 64, spectral_norm: bool = False) -> None:
        super().__init__()
        image_channels, size, _ = image_shape
        stages = halvings(size, smallest=7)
        layers: list[nn.Module] = [nn.Conv2d(image_channels, channels, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
        width = channels
        for _ in range(stages - 1):
            layers += [nn.Conv2d(width, 2 * width, 4, 2, 1, bias=spectral_norm)]
            layers += [] if spectral_norm else [nn.BatchNorm2d(2 * width)]
            layers += [nn.LeakyReLU(0.2, True)]
            width *= 2
        layers += [nn.Conv2d(width, 1, size >> stages, 1, 0, bias=spectral_norm)]
        self.layers = nn.Sequential(*layers)
        self.apply(_initialise)
        if spectral_norm:
            normalise_spectrally(self)

    def forward(self, x: Images) -> Logits:
        return self.layers(x).view(len(x))
