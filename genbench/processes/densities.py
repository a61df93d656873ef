"""Densities of latents, from which an autoencoder, which has no prior, is sampled."""

import torch
from torch import Tensor, nn

from genbench.processes.noise import Noise
from genbench.tensors import Latents, in_float64


class GaussianMixture(nn.Module):
    """A mixture of Gaussians with full covariances over latents of `size`; one component is a single Gaussian.

    Its parameters are buffers: fitted once, saved with the model, never trained.
    """

    weights: Tensor  # (K,)
    means: Tensor  # (K, D)
    scale_trils: Tensor  # (K, D, D), lower triangular: covariance = L L^T

    def __init__(self, components: int, size: int) -> None:
        super().__init__()
        self.components, self.size = components, size
        self.register_buffer("weights", torch.full((components,), 1 / components))
        self.register_buffer("means", torch.zeros(components, size))
        self.register_buffer("scale_trils", torch.eye(size).repeat(components, 1, 1))

    def fit(self, z: Latents) -> None:
        """Fit to `z` (N, D) by maximum likelihood: in closed form, or by scikit-learn's EM algorithm (seed 0)."""
        z = in_float64(z)
        ridge = 1e-6 * torch.eye(self.size, dtype=z.dtype, device=z.device)
        if self.components == 1:
            self.weights.fill_(1)
            self.means.copy_(z.mean(0)[None].float())
            self.scale_trils.copy_(torch.linalg.cholesky(torch.cov(z.T) + ridge)[None].float())
            return
        from sklearn.mixture import GaussianMixture as Mixture  # slow to import, and needed here only

        fitted = Mixture(self.components, covariance_type="full", reg_covar=1e-6, random_state=0).fit(z.cpu().numpy())
        self.weights.copy_(torch.from_numpy(fitted.weights_).float())
        self.means.copy_(torch.from_numpy(fitted.means_).float())
        self.scale_trils.copy_(torch.linalg.cholesky(torch.from_numpy(fitted.covariances_)).float())

    def sample(self, noise: Noise) -> Latents:
        """One latent for each seed, (N, D). Computes all components and keeps one: no shape depends on the draws."""
        edges = self.weights.cumsum(0)[:-1]
        chosen = (noise.uniform(1) > edges).sum(1)  # (N,)
        eps = noise.normal(self.size)
        z = self.means[:, None] + torch.einsum("nd,ked->kne", eps, self.scale_trils)  # (K, N, D)
        return z[chosen, torch.arange(len(eps), device=eps.device)]


def great_circles(start: Latents, end: Latents, points: int) -> Tensor:
    """`points` latents from each of N starts to its end, both included: (N * points, D), one path after another.

    The paths are great circles (White 2016, arXiv 1609.04468). Latents on them have the length of draws from N(0, I);
    those on a straight line are shorter.
    """
    share = torch.linspace(0, 1, points, device=start.device)[None, :, None]
    cosine = nn.functional.cosine_similarity(start, end, dim=1).clamp(-1 + 1e-6, 1 - 1e-6)
    angle = cosine.arccos()[:, None, None]
    way = ((1 - share) * angle).sin() * start[:, None] + (share * angle).sin() * end[:, None]
    return (way / angle.sin()).flatten(0, 1)


def latent_plane(size: int, device: torch.device) -> Latents:
    """100 latents (100, size): the first two dimensions over a 10x10 grid in [-1, 1], the rest 0."""
    ticks = torch.linspace(-1, 1, 10, device=device)
    z = torch.zeros(100, size, device=device)
    z[:, :2] = torch.cartesian_prod(ticks, ticks)
    return z
