"""Spectral normalisation (Miyato et al. 2018, arXiv 1802.05957, algorithm 1): no layer stretches its input by more than
a factor of 1."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize


class SpectralNorm(nn.Module):
    """W to W / sigma(W), where sigma(W) is the largest singular value of W as a matrix with one row per output.

    One power iteration from u estimates sigma(W). Each forward pass in training updates u. All of this is in float32,
    even under autocast; torch's own spectral norm makes no such exception on GPUs.
    """

    u: Tensor  # (outputs,), the left singular vector

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("u", nn.init.normal_(torch.empty(len(weight), device=weight.device)))

    def forward(self, weight: Tensor) -> Tensor:
        matrix = weight.flatten(1)
        with torch.autocast("cpu" if weight.is_meta else weight.device.type, enabled=False):
            with torch.no_grad():
                v = F.normalize(matrix.mT @ self.u, dim=0)
                u = F.normalize(matrix @ v, dim=0)
                if self.training:
                    self.u = u  # not in place: in compiled code, the backward pass still needs the previous u
            return weight / (u @ (matrix @ v))


def normalise_spectrally(network: nn.Module) -> None:
    """Normalise the weights of every convolution and linear layer. Parameters remain the unnormalised weights."""
    for layer in [module for module in network.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]:
        # unsafe: skips a first pass that checks shapes, for which torch imports its compiler on the meta device.
        parametrize.register_parametrization(layer, "weight", SpectralNorm(layer.weight), unsafe=True)
