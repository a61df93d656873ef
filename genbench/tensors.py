"""Types of genbench's tensors. The tests check their shapes (jaxtyping + beartype)."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

try:
    from jaxtyping import Float, Int, Real, UInt8
except ModuleNotFoundError:  # where only torch is installed, these types are plain tensors
    if not TYPE_CHECKING:

        class Float:
            def __class_getitem__(cls, of):
                return of[0]

        Int = Real = UInt8 = Float

Images = Float[Tensor, "batch channels height width"]  # in [-1, 1]
Pixels = UInt8[Tensor, "batch height width channels"]  # 0..255, as stored
Labels = Int[Tensor, "batch *classes"]  # class index, or multi-hot (batch, classes)
Timesteps = Real[Tensor, " batch"]  # 0 is data, T is noise; integers in a discrete chain
Times = Real[Tensor, "batch *times"]  # one per image, or several
PerImage = Float[Tensor, " batch"]  # one number per image
Outputs = Float[Tensor, "batch outputs height width"]  # a network's outputs for each pixel
Logits = Float[Tensor, " batch"]  # a discriminator's raw output
Latents = Float[Tensor, "batch latent"]
Scalar = Float[Tensor, ""]
Seeds = Int[Tensor, " batch"]

APPLE = "mps"  # torch's type of device for Apple's GPUs


def float64_device(device: torch.device) -> torch.device:
    """The device for float64 copies of tensors on this device: the same one, or the CPU for an Apple GPU."""
    return torch.device("cpu") if device.type == APPLE else device


def in_float64(values: Tensor) -> Tensor:
    """Values in float64, on their `float64_device`."""
    return values.to(float64_device(values.device)).double()


def image_layout(device: torch.device | str) -> torch.memory_format:
    """The memory layout of images and weights: channels last, which is faster for convolutions.

    On an Apple GPU channels come first, because gradients of batch normalisation are wrong there with channels last
    (https://github.com/pytorch/pytorch/issues/175189).
    """
    return torch.contiguous_format if torch.device(device).type == APPLE else torch.channels_last
