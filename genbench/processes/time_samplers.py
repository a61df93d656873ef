"""Which times a diffusion model learns from: all equally often, or more often those with a large loss."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from genbench.processes.noise import Noise
from genbench.ranges import Count, Share
from genbench.tensors import PerImage, Timesteps, in_float64

Gather = Callable[[Tensor], Tensor]  # from values of one process's images to those of all processes (Batch.gather)


class TimeSampler(Protocol):
    def draw(self, noise: Noise) -> tuple[Timesteps, PerImage]:
        """A time in 1..T for every image, and the weight of its loss that keeps the mean over times unbiased."""
        ...

    def observe(self, t: Timesteps, losses: PerImage, gather: Gather = lambda values: values) -> None:
        """Receive the unweighted losses after each draw; `gather` adds those of other processes."""
        ...


class Uniform(nn.Module):
    """Draws every time equally often, with weight 1."""

    def __init__(self, T: int) -> None:
        super().__init__()
        self.T = T

    def draw(self, noise: Noise) -> tuple[Timesteps, PerImage]:
        return noise.integers(1, self.T + 1), torch.ones(len(noise), device=noise.device)

    def observe(self, t: Timesteps, losses: PerImage, gather: Gather = lambda values: values) -> None:
        pass


class LossSecondMoment(nn.Module):
    """Draws t with a probability p_t in proportion to the root mean square of the last losses at t.

    Nichol & Dhariwal 2021 (arXiv 2102.09672), section 3.3. Draws are uniform until every time has a full history. The
    weights are 1 / (T p_t). The history is part of the model's state, and a resumed training continues with it.

    history: Number of losses kept for each t.
    uniform: Share of the draws that stays uniform.
    """

    losses: Tensor  # (T, history), a ring buffer for every time
    counts: Tensor  # (T,), how often each time was drawn

    def __init__(self, T: int, *, history: Count = 10, uniform: Share = 0.001) -> None:
        super().__init__()
        self.T, self.history, self.uniform = T, history, uniform
        self.register_buffer("losses", torch.zeros(T, history))
        self.register_buffer("counts", torch.zeros(T, dtype=torch.int64))

    def probabilities(self) -> Tensor:
        """The probabilities of the times 1..T: (T,)."""
        importance = (self.losses**2).mean(1).sqrt()
        total = importance.sum()
        share = torch.where(total > 0, importance / total, torch.full_like(importance, 1 / self.T))
        learned = (1 - self.uniform) * share + self.uniform / self.T
        full = (self.counts >= self.history).all()
        return torch.where(full, learned, torch.full_like(learned, 1 / self.T))  # no branch: the host does not wait

    def draw(self, noise: Noise) -> tuple[Timesteps, PerImage]:
        p = self.probabilities()
        cumulative = in_float64(p).cumsum(0)
        index = torch.searchsorted(cumulative, in_float64(noise.uniform()) * cumulative[-1]).clamp(max=self.T - 1)
        index = index.to(p.device)
        return index + 1, 1 / (self.T * p[index])

    @torch.no_grad()
    def observe(self, t: Timesteps, losses: PerImage, gather: Gather = lambda values: values) -> None:
        index, losses = gather(t) - 1, gather(losses.detach())
        same = index[:, None] == index[None, :]
        before = same.tril(-1).sum(1)  # images earlier in the batch with the same time
        kept = same.triu(1).sum(1) < self.history  # if there are more than the history holds, the last ones
        column = (self.counts[index] + before) % self.history
        # Every kept place is written only once: the order of writing does not matter. The others share an extra place.
        place = torch.where(kept, index * self.history + column, self.T * self.history)
        flat = torch.cat([self.losses.flatten(), self.losses.new_zeros(1)])
        flat[place] = torch.where(kept, losses.to(flat.dtype), 0.0)
        self.losses.copy_(flat[:-1].view(self.T, self.history))
        self.counts.index_add_(0, index, torch.ones_like(index))


TIME_SAMPLERS: dict[str, Callable[..., Uniform | LossSecondMoment]] = {
    "uniform": Uniform,
    "loss-second-moment": LossSecondMoment,
}
