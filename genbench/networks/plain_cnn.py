"""A plain convolutional denoiser, as in courses on diffusion: every layer at the image's own resolution.

Wide 7x7 kernels replace a U-Net's lower levels, and layer normalisation over a whole image connects distant pixels.
With the hidden channels (16, 32, 32, 16) on 28x28 images it has 291,217 parameters.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from genbench.errors import InputError
from genbench.ranges import Count
from genbench.tensors import Images, Outputs, Timesteps

FREQUENCIES = 16
TIME_WIDTH = 128
ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "selu": nn.SELU}


def time_features(t: Timesteps) -> Tensor:
    """sin and cos - 1 of t in [0, 1], at 0 and 1.5^0 to 1.5^14 turns per unit of t: (N, 32), all 0 for t = 0."""
    turns = 1.5 ** torch.arange(FREQUENCIES - 1, dtype=torch.float32, device=t.device)
    phases = 2 * math.pi * t.float()[:, None] * torch.cat([torch.zeros_like(turns[:1]), turns])
    return torch.cat([phases.sin(), phases.cos() - 1], dim=1)


class PlainCNN(nn.Module):
    """Predicts (N, out_channels, H, W) from x_t (N, C, H, W) and the time t / T (N,) in [0, 1].

    A block is a 7x7 convolution, layer normalisation and the activation. Time is added once, after the first block. By
    default, out_channels is the image's. Raises InputError for integer times: the model needs `time_input: fraction`.

    hidden_channels: Widths of the blocks.
    activation: The activation after each normalisation and in the layers that embed time.
    norm: "image" normalises over all channels and pixels of an image, with weights for each of them; "channel" over the
        pixels of each channel, with one weight per pixel that the channels share.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        hidden_channels: Sequence[Count] = (16, 32, 32, 16),
        activation: Literal["gelu", "selu"] = "gelu",
        norm: Literal["image", "channel"] = "image",
        out_channels: int | None = None,
    ) -> None:
        super().__init__()
        image_channels, height, width = image_shape
        if not hidden_channels:
            raise InputError(
                f"PlainCNN: key 'hidden_channels': found {list(hidden_channels)}, expected positive integers"
            )
        act = ACTIVATIONS[activation]
        widths = [image_channels, *hidden_channels]
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, 7, padding=3),
                nn.LayerNorm((after, height, width) if norm == "image" else (height, width)),
                act(),
            )
            for before, after in zip(widths, hidden_channels, strict=False)
        )
        self.conv_out = nn.Conv2d(widths[-1], out_channels or image_channels, 3, padding=1)
        self.time_mlp = nn.Sequential(
            nn.Linear(2 * FREQUENCIES, TIME_WIDTH), act(),
            nn.Linear(TIME_WIDTH, TIME_WIDTH), act(),
            nn.Linear(TIME_WIDTH, TIME_WIDTH), act(),
            nn.Linear(TIME_WIDTH, hidden_channels[0]),
        )  # fmt: skip

    def forward(self, x_t: Images, t: Timesteps) -> Outputs:
        if not t.is_floating_point():
            raise InputError(
                "PlainCNN: found integer times, expected t / T: set the model's key time_input to 'fraction'"
            )
        h = self.blocks[0](x_t) + self.time_mlp(time_features(t))[:, :, None, None]
        for block in self.blocks[1:]:
            h = block(h)
        return self.conv_out(h)
