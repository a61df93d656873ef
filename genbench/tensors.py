"""Names for the arrays that travel through genbench. Shapes are checked in the tests (jaxtyping + beartype)."""

from typing import TYPE_CHECKING

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
PerImage = Float[Tensor, " batch"]  # one number for each image
Outputs = Float[Tensor, "batch outputs height width"]  # what a network says of each pixel
Logits = Float[Tensor, " batch"]  # a discriminator's raw output
Latents = Float[Tensor, "batch latent"]
Scalar = Float[Tensor, ""]
Seeds = Int[Tensor, " batch"]
