"""Spectral normalisation (Miyato et al. 2018, arXiv 1802.05957, algorithm 1): no layer stretches what it is given by
more than a factor of 1."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize


class SpectralNorm(nn.Module):
    """W to W / sigma(W), the largest singular value of W as a matrix with one row per output.

    It is estimated by one power iteration from u, which moves with each forward pass of a training; in float32 also
    under autocast, for which torch's own makes no exception on GPUs.
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
                    self.u = u  # not in place: compiled, backward goes on from the one before
            return weight / (u @ (matrix @ v))


def normalise_spectrally(network: nn.Module) -> None:
    """Normalise the weights of every convolution and linear layer; the parameters are the weights before that."""
    for layer in [module for module in network.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]:
        # unsafe: without a first pass that checks shapes, for which torch on meta imports its compiler.
        parametrize.register_parametrization(layer, "weight", SpectralNorm(layer.weight), unsafe=True)
