"""Names for the arrays that travel through genbench. Shapes are checked in the tests (jaxtyping + beartype)."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

try:
    from jaxtyping import Float, Int, Real, UInt8
except ModuleNotFoundError:  # where torch is all there is, the names are those of plain tensors
    if not TYPE_CHECKING:

        class Float:
            def __class_getitem__(cls, of):
                return of[0]

        Int = Real = UInt8 = Float

Images = Float[Tensor, "batch channels height width"]  # in [-1, 1]
Pixels = UInt8[Tensor, "batch height width channels"]  # 0..255, as stored
Labels = Int[Tensor, "batch *classes"]  # class index, or multi-hot (batch, classes)
Timesteps = Real[Tensor, " batch"]  # 0 is data, T is noise; integers in a discrete chain
Times = Real[Tensor, "batch *times"]  # one for each image, or several
PerImage = Float[Tensor, " batch"]  # one number for each image
Outputs = Float[Tensor, "batch outputs height width"]  # what a network says of each pixel
Logits = Float[Tensor, " batch"]  # a discriminator's raw output
Latents = Float[Tensor, "batch latent"]
Scalar = Float[Tensor, ""]
Seeds = Int[Tensor, " batch"]

APPLE = "mps"  # torch's type of device for Apple's GPUs


def float64_device(device: torch.device) -> torch.device:
    """Where tensors of this device have their numbers in float64: there, or on the CPU where it is an Apple GPU."""
    return torch.device("cpu") if device.type == APPLE else device


def in_float64(values: Tensor) -> Tensor:
    """Values in float64, on their `float64_device`."""
    return values.to(float64_device(values.device)).double()


def image_layout(device: torch.device | str) -> torch.memory_format:
    """How images and weights lie in memory: channels last, the faster layout for convolutions.

    On an Apple GPU channels come first: with channels last, the gradients of batch normalisation are wrong there
    (https://github.com/pytorch/pytorch/issues/175189).
    """
    return torch.contiguous_format if torch.device(device).type == APPLE else torch.channels_last
