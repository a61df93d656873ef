"""Names for the arrays that travel through genbench. Shapes are checked in the tests (jaxtyping + beartype)."""

from jaxtyping import Float, Int, Real, UInt8
from torch import Tensor

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
