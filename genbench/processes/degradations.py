"""Degradations D(x, t) of images, without noise, from D(x, 0) = x to D(x, T), for cold diffusion.

Averaging of rows or columns, as in a course's project, and the Gaussian blur of Bansal et al. 2022 (arXiv 2208.09392).
All are linear in x. At T, an image is a combination of a few fixed images, the modes. There are few enough coefficients
to fit a density to them.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from genbench.errors import InputError
from genbench.ranges import Count, CountOrZero, NotNegative, Positive, Seed, StepCount
from genbench.tensors import Images, Latents, Timesteps

NEGLIGIBLE = (
    1e-3  # parts that D(., T) shrinks below this cannot be distinguished from the noise of 0.002 that breaks symmetry
)
Order = Literal["centre-out", "out-centre", "random"] | Sequence[CountOrZero]


class Degradation(nn.Module):
    """D: images (N, C, H, W) in [-1, 1] and times 0..T, one for all or (N,), to images of the same shape."""

    T: int
    modes: Tensor  # (K, H, W), orthonormal: each channel of every D(x, T) is a combination of them

    def forward(self, x0: Images, t: Timesteps | int) -> Images:
        raise NotImplementedError

    def describe(self, x_T: Images) -> Latents:
        """The coefficients of the modes in each channel: (N, C K)."""
        return torch.einsum("nchw,khw->nck", x_T, self.modes).flatten(1)

    def compose(self, z: Latents) -> Images:
        """The images x_T with the coefficients z: the inverse of `describe`."""
        return torch.einsum("nck,khw->nchw", z.unflatten(1, (-1, len(self.modes))), self.modes)


class Averaging(Degradation):
    """Replaces each of the first t of T equal blocks of neighbouring rows (or columns), in a fixed order, by its mean.

    D is idempotent and nested: D(D(x, s), t) = D(x, max(s, t)). The order is a buffer, saved with the model.
    """

    ranks: Tensor  # (H,) or (W,): the step, of 0..T-1, in which a row or column is averaged

    def __init__(self, image_shape: tuple[int, int, int], axis: int, timesteps: int, order: Order, seed: int) -> None:
        super().__init__()
        _, *sides = image_shape
        side = sides[axis - 2]
        if timesteps < 1 or side % timesteps:
            raise InputError(
                f"key 'timesteps': found {timesteps}, expected a divisor of the image's side {side}: "
                "a step averages as many neighbours, by one mean, as make up the side"
            )
        self.T, self.axis = timesteps, axis
        self.idle = {} if order == "random" else {"seed": "does nothing without order: random"}
        ranks = np.repeat(np.argsort(block_order(timesteps, order, seed)), side // timesteps)
        self.register_buffer("ranks", torch.tensor(ranks.tolist()))
        blocks = np.repeat(np.eye(timesteps), side // timesteps, axis=1)  # (T, side), 1 inside a block
        modes = np.broadcast_to(np.expand_dims(blocks, 4 - axis), (timesteps, *sides))
        self.register_buffer("modes", torch.tensor((modes / np.sqrt(np.prod(sides) / timesteps)).astype(np.float32)))

    def forward(self, x0: Images, t: Timesteps | int) -> Images:
        across = 5 - self.axis
        means = x0.mean(across).unflatten(2, (self.T, -1)).mean(3)  # (N, C, T)
        means = means.repeat_interleave(len(self.ranks) // self.T, dim=2)  # (N, C, H or W)
        averaged = self.ranks < (t if isinstance(t, int) else t.view(-1, 1, 1))
        return torch.where(averaged.unsqueeze(across - 4), means.unsqueeze(across), x0)


def block_order(count: int, order: Order, seed: int) -> np.ndarray:
    """The blocks 0..count-1 in the order in which they are averaged. Only the random order uses `seed`."""
    if not isinstance(order, str):
        if sorted(order) != list(range(count)):
            raise InputError(f"key 'order': found {list(order)}, expected each of 0 to {count - 1} once")
        return np.array(order)
    if order == "random":
        return np.random.Generator(np.random.Philox(key=seed)).permutation(count)
    outward = np.argsort(np.abs(np.arange(count) - (count - 1) / 2), kind="stable")  # of two equally near, upper first
    return outward if order == "centre-out" else outward[::-1]


def rows(
    image_shape: tuple[int, int, int], *, timesteps: Count = 7, order: Order = "random", seed: Seed = 0
) -> Averaging:
    """T blocks of H / T rows: on MNIST, T = 28 averages single rows, and T = 7 gives four rows at a time one mean.

    timesteps: T, a divisor of the image's height.
    order: The order of the blocks: first those near the centre, first those far from it, or random; or a list of all
        blocks, from 0.
    seed: The seed of the random order.
    """
    return Averaging(image_shape, 2, timesteps, order, seed)


def columns(
    image_shape: tuple[int, int, int], *, timesteps: Count = 7, order: Order = "random", seed: Seed = 0
) -> Averaging:
    """T blocks of W / T columns, as in `rows`.

    timesteps: T, a divisor of the image's width.
    order: The order of the blocks: first those near the centre, first those far from it, or random; or a list of all
        blocks, from 0.
    seed: The seed of the random order.
    """
    return Averaging(image_shape, 3, timesteps, order, seed)


class Blur(Degradation):
    """Applies t Gaussian blurs in turn; step i of 1..T has a standard deviation of std + (i - 1) std_growth pixels.

    The defaults are Bansal et al.'s for MNIST (from their code: 20 steps, an 11x11 kernel, periodic continuation of the
    image). For CIFAR-10 they use 50 steps, std 0.35, std_growth 0.01 and padding "reflect".

    timesteps: T, the number of blurs.
    kernel_size: Pixels along a side of a blur's kernel, odd.
    std: Standard deviation of the first blur, in pixels.
    std_growth: Growth of the standard deviation with each step, in pixels.
    padding: How the image continues beyond its border: periodically, or mirrored.
    """

    left: Tensor  # (T + 1, H, H): D(x, t) = left[t] x right[t]^T
    right: Tensor  # (T + 1, W, W)

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        timesteps: StepCount = 20,
        kernel_size: Count = 11,
        std: Positive = 7.0,
        std_growth: NotNegative = 0.0,
        padding: Literal["circular", "reflect"] = "circular",
    ) -> None:
        super().__init__()
        _, *sides = image_shape
        if kernel_size % 2 == 0 or not 1 <= kernel_size // 2 < min(sides):
            raise InputError(
                f"key 'kernel_size': found {kernel_size}, expected an odd number from 3 to {2 * min(sides) - 1}"
            )
        self.T = timesteps
        stds = [std + i * std_growth for i in range(timesteps)]
        left, right = (blur_matrices(side, kernel_size, stds, padding) for side in sides)
        self.register_buffer("left", torch.tensor(left.astype(np.float32)))
        self.register_buffer("right", torch.tensor(right.astype(np.float32)))
        # D(., T) has the singular values s_i s_j: only pairs of vectors with large values are left of an image.
        (u, s, _), (v, r, _) = np.linalg.svd(left[-1]), np.linalg.svd(right[-1])
        kept = np.argwhere(np.outer(s, r) > NEGLIGIBLE)  # (K, 2)
        modes = np.stack([np.outer(u[:, i], v[:, j]) for i, j in kept])
        self.register_buffer("modes", torch.tensor(modes.astype(np.float32)))

    def forward(self, x0: Images, t: Timesteps | int) -> Images:
        if isinstance(t, int) and t == 0:
            return x0
        left, right = self.left[t].unsqueeze(-3), self.right[t].unsqueeze(-3)  # (1, H, H), or (N, 1, H, H)
        with torch.autocast("cpu" if x0.is_meta else x0.device.type, enabled=False):
            return left @ x0 @ right.mT


def blur_matrices(side: int, kernel_size: int, stds: list[float], padding: str) -> np.ndarray:
    """The blurs of a line of `side` pixels after 0, 1, ... steps: (len(stds) + 1, side, side), float64."""
    offsets = np.arange(kernel_size) - kernel_size // 2
    places = np.arange(side)[:, None] + offsets  # (side, kernel_size): the source pixels of each pixel
    if padding == "circular":
        places %= side
    else:
        places = np.abs(places)  # 2 1 0 1 2: the outermost pixel is not repeated
        places = np.minimum(places, 2 * (side - 1) - places)
    blurs = [np.eye(side)]
    for std in stds:
        kernel = np.exp(-0.5 * (offsets / std) ** 2)
        step = np.zeros((side, side))
        np.add.at(step, (np.arange(side)[:, None], places), kernel / kernel.sum())
        blurs.append(step @ blurs[-1])
    return np.stack(blurs)


DEGRADATIONS: dict[str, Callable[..., Degradation]] = {"rows": rows, "columns": columns, "blur": Blur}
