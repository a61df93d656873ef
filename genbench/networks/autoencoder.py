"""The convolutional autoencoder of the CMU course 16-824: four convolutions down to 1/8, three transposed ones up.

The convolutions have 388,416 + 689,219 parameters for 32x32 colour images. With linear layers, a VAE of 128 latents has
2,654,851. Sides that 8 does not divide are rounded up inside, and the output is cropped.
"""

from torch import nn

from genbench.ranges import Count
from genbench.tensors import Images, Latents


class Encoder(nn.Module):
    """Images (N, C, H, W) to (N, out_features): a latent, or a concatenated mean and log-variance.

    channels: Width of the first layer. The next three are 2, 4 and 8 times as wide.
    """

    def __init__(self, *, image_shape: tuple[int, int, int], out_features: int, channels: Count = 32) -> None:
        super().__init__()
        image_channels, height, width = image_shape
        cells = -(-height // 8) * -(-width // 8)
        self.layers = nn.Sequential(
            nn.Conv2d(image_channels, channels, 3, 1, 1), nn.ReLU(True),
            nn.Conv2d(channels, 2 * channels, 3, 2, 1), nn.ReLU(True),
            nn.Conv2d(2 * channels, 4 * channels, 3, 2, 1), nn.ReLU(True),
            nn.Conv2d(4 * channels, 8 * channels, 3, 2, 1), nn.Flatten(),
            nn.Linear(8 * channels * cells, out_features),
        )  # fmt: skip

    def forward(self, x: Images) -> Latents:
        return self.layers(x)


class Decoder(nn.Module):
    """Latents (N, latent_size) to images (N, C, H, W), without a final non-linearity.

    channels: Width of the last hidden layer. The three before it are 8, 4 and 2 times as wide.
    """

    def __init__(self, *, image_shape: tuple[int, int, int], latent_size: int, channels: Count = 32) -> None:
        super().__init__()
        image_channels, self.height, self.width = image_shape
        self.start = (8 * channels, -(-self.height // 8), -(-self.width // 8))
        self.linear = nn.Linear(latent_size, self.start[0] * self.start[1] * self.start[2])
        self.layers = nn.Sequential(
            nn.ReLU(True),
            nn.ConvTranspose2d(8 * channels, 4 * channels, 4, 2, 1), nn.ReLU(True),
            nn.ConvTranspose2d(4 * channels, 2 * channels, 4, 2, 1), nn.ReLU(True),
            nn.ConvTranspose2d(2 * channels, channels, 4, 2, 1), nn.ReLU(True),
            nn.Conv2d(channels, image_channels, 3, 1, 1),
        )  # fmt: skip

    def forward(self, z: Latents) -> Images:
        return self.layers(self.linear(z).view(len(z), *self.start))[:, :, : self.height, : self.width]


class Autoencoder(nn.Module):
    """An encoder and a decoder, trained by one optimizer.

    channels: Width at the image's resolution. It doubles each time the sides are halved, up to 8 times this width.
    """

    def __init__(
        self, *, image_shape: tuple[int, int, int], latent_size: int, out_features: int, channels: Count = 32
    ) -> None:
        super().__init__()
        self.encoder = Encoder(image_shape=image_shape, out_features=out_features, channels=channels)
        self.decoder = Decoder(image_shape=image_shape, latent_size=latent_size, channels=channels)
