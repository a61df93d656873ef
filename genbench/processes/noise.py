"""Random numbers that belong to a sample, not to a batch.

Philox 4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") is a function from a counter to
random bits. The counter here is (element, draw, seed): the noise of image i does not depend on the batch size, the
shard or the number of processes. Torch computes everything in 64-bit integers and float64, on the device itself, or on
the CPU for an Apple GPU, which has no float64.
"""

import math

import torch
from torch import Tensor

from genbench.tensors import Seeds, float64_device

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_MASK = 0xFFFFFFFF


def _multiply(a: int, x: Tensor) -> tuple[Tensor, Tensor]:
    """High and low 32 bits of a * x, where a and x are below 2^32: an int64 product wraps around, but keeps 64 bits."""
    product = x * a
    return (product >> 32) & _MASK, product & _MASK


def philox(
    counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Philox 4x32-10: four int64 tensors (broadcastable, each below 2^32) to four tensors of 32 random bits."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        high0, low0 = _multiply(_MULTIPLIERS[0], c0)
        high1, low1 = _multiply(_MULTIPLIERS[1], c2)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + _WEYL[0]) & _MASK, (k1 + _WEYL[1]) & _MASK
    return c0, c1, c2, c3


class Noise:
    """A stream of random tensors, one row per seed.

    Row i depends only on (`key`, `seeds[i]`, the number of draws made so far). Normal numbers are computed in float64
    and rounded: differences between devices in the last bit of a logarithm then almost vanish.

    seeds: (N,) integers in [0, 2^63). key: in [0, 2^64), distinguishes streams, such as the seed of a training.
    """

    def __init__(self, seeds: Seeds, key: int = 0) -> None:
        self.seeds = seeds.to(torch.int64)
        self._counter = self.seeds.to(float64_device(seeds.device))
        self.key = (key & _MASK, key >> 32 & _MASK)
        self.draws = 0

    @property
    def device(self) -> torch.device:
        return self.seeds.device

    def __len__(self) -> int:
        return len(self.seeds)

    def bits(self, count: int) -> Tensor:
        """The next (N, count) random integers of 32 bits, int64 in [0, 2^32), on a device that has float64."""
        draw, self.draws = self.draws, self.draws + 1
        blocks = -(-count // 4)
        if self.device.type == "meta":  # a dry run: shapes only
            return torch.empty(len(self), count, dtype=torch.int64, device="meta")
        element = torch.arange(blocks, device=self._counter.device)[None, :].expand(len(self), blocks)
        seed = self._counter[:, None].expand(len(self), blocks)
        words = philox((element, torch.full_like(element, draw), seed & _MASK, seed >> 32), self.key)
        return torch.stack(words, dim=-1).view(len(self), 4 * blocks)[:, :count]  # (N, blocks, 4) -> (N, count)

    def uniform(self, *shape: int) -> Tensor:
        """Float32 (N, *shape), uniform in the open interval (0, 1): 2^23 levels, none of them 0 or 1."""
        uniform = ((self.bits(math.prod(shape)) >> 9).float() + 0.5).mul_(2.0**-23)
        return uniform.view(len(self), *shape).to(self.device)

    def integers(self, low: int, high: int, *shape: int) -> Tensor:
        """Int64 (N, *shape), uniform in [low, high). high - low is at most 2^31; the bias is below 2^-30 of a share."""
        return (low + (self.bits(math.prod(shape)) * (high - low) >> 32)).view(len(self), *shape).to(self.device)

    def normal(self, *shape: int) -> Tensor:
        """Float32 (N, *shape), standard normal, by the Box-Muller transform."""
        count = math.prod(shape)
        half = -(-count // 2)
        uniform = (self.bits(2 * half).double() + 0.5) * 2.0**-32
        radius = torch.sqrt(-2 * torch.log(uniform[:, :half]))
        angle = uniform[:, half:] * (2 * math.pi)
        pairs = torch.cat([radius * torch.cos(angle), radius * torch.sin(angle)], dim=1).float()
        return pairs[:, :count].reshape(len(self), *shape).to(self.device)


class StillNoise(Noise):
    """Constant numbers of the right shape, at no cost."""

    def bits(self, count: int) -> Tensor:
        self.draws += 1
        return torch.full((len(self), count), 2**30, device=self.device)
