"""MeanFlow (Geng et al. 2025, arXiv 2505.13447): learn the average velocity between two times, and sample in one step.

On the path z_t = (1 - t) x_0 + t x_1 from an image x_0 to noise x_1, flow matching learns the velocity v = x_1 - x_0 at
one time, and a solver integrates it. Here a network learns the solver's result: the average velocity u(z_t, r, t) from
t back to r. It satisfies u = v - (t - r) du/dt, where du/dt is its derivative along the path. The target is therefore
computed from the network's own derivative, without an integral. z_r = z_t - (t - r) u(z_t, r, t) is then a step of any
length. One step leads from noise, at t = 1, to an image, at r = 0.
"""

import warnings
from collections import deque
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from genbench.errors import place
from genbench.models import Batch, Model
from genbench.processes.augmentation import NUM_LABELS, draw_transformation, transformed
from genbench.processes.noise import Noise
from genbench.ranges import Factor, NotNegative, Positive, PositiveEpsilon, Share, StepCount
from genbench.schema import construct
from genbench.tensors import Images, Labels, PerImage, Scalar


@cache
def load_forward_derivatives() -> None:
    """Make torch compile its forward derivatives once, without the warning that the compiler for some is deprecated."""
    with warnings.catch_warnings(action="ignore", category=FutureWarning):
        torch.func.jvp(torch.sin, (torch.zeros(()),), (torch.zeros(()),))


class MeanFlow(Model):
    """Minimises the squared error of the average velocity between two random times, weighted by a power of its inverse.

    velocity: The network that predicts this velocity, such as a class of `unet`; its time inputs are t and t - r.
    times_mean: Mean of the logits of both times. Below 0, times nearer to the images are drawn more often.
    times_std: Standard deviation of these logits.
    different: Share of images whose times differ. The others have r = t and learn the velocity itself, as in flow
        matching.
    weight_power: p of the weights 1 / (squared error + c)^p, through which no gradient flows. 0 weights all images
        alike; with 1, the gradient of a large error is no larger than that of a small one.
    weight_offset: c, which keeps the weights of small errors finite.
    augment: Probability of each augmentation, as in `edm.EDM`, but without flips upside down and rotations. With
        `augment` above 0, the training does not need `flip`.
    """

    family = "MeanFlow"
    about = (
        "A network learns the average velocity between any two times of the straight paths from images to noise, from "
        "its own derivative along these paths. One step then leads from noise to an image."
    )
    paper = "Geng et al. 2025, arXiv 2505.13447"
    network = "velocity"
    pictures: ClassVar[tuple[str, ...]] = ("stepping",)

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        velocity: Mapping[str, Any],
        times_mean: Factor = -0.4,
        times_std: Positive = 1.0,
        different: Share = 0.25,
        weight_power: NotNegative = 1.0,
        weight_offset: PositiveEpsilon = 1e-3,
        augment: Share = 0.0,
    ) -> None:
        super().__init__()
        self.times_mean, self.times_std, self.different = times_mean, times_std, different
        self.weight_power, self.weight_offset = weight_power, weight_offset
        self.augment = augment
        if not weight_power:
            self.idle = {"weight_offset": "does nothing beside weight_power: 0"}
        given: dict[str, Any] = {"augment_size": NUM_LABELS} if augment else {}
        with place("velocity"):
            self.velocity = construct("genbench.networks", velocity, image_shape=image_shape, num_times=2, **given)

    # --- Training -----------------------------------------------------------------------------------------------------

    def draw_times(self, noise: Noise) -> tuple[PerImage, PerImage]:
        """r and t, with r at most t."""
        times = torch.sigmoid(self.times_mean + self.times_std * noise.normal(2))
        r, t = times.amin(1), times.amax(1)
        return torch.where(noise.uniform() < self.different, r, t), t

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Scalar]]:
        x0, how = batch.x0, None
        if self.augment:
            transformation = draw_transformation(batch.noise, self.augment).upright()
            x0, how = transformed(x0, transformation), transformation.labels
        x1 = batch.noise.normal(*x0.shape[1:])
        r, t = self.draw_times(batch.noise)
        z, v = x0.lerp(x1, t[:, None, None, None]), x1 - x0

        u, target = self.average_and_target(z, v, r, t, how)
        error = (u - target).square().flatten(1)
        batch.metrics["squared_error"] = error.detach().mean()
        error = error.sum(1)
        yield "velocity", (error / (error.detach() + self.weight_offset) ** self.weight_power).mean()

    def average_and_target(
        self, z: Images, v: Images, r: PerImage, t: PerImage, how: Tensor | None = None
    ) -> tuple[Images, Images]:
        """u(z, r, t), and v - (t - r) du/dt, where z moves with v, t with 1 and r not at all (equations 6 and 8)."""

        def average(z: Images, r: PerImage, t: PerImage) -> Images:
            return self.velocity_at(z, r, t, how)

        load_forward_derivatives()
        with sdpa_kernel(SDPBackend.MATH):  # the other kernels of attention have no forward derivative
            u, du_dt = torch.func.jvp(average, (z, r, t), (v, torch.zeros_like(r), torch.ones_like(t)))[:2]
        return u, v - (t - r)[:, None, None, None] * du_dt.detach()

    def velocity_at(self, z: Images, r: PerImage, t: PerImage, how: Tensor | None = None) -> Images:
        """u(z, r, t), float32. how: the augmentation of each image (N, 9), or None without any."""
        return self.velocity(z, torch.stack([t, t - r], dim=1), *((None, how) if how is not None else ())).float()

    # --- Sampling -----------------------------------------------------------------------------------------------------

    def path(self, z: Images, steps: int) -> Iterator[Images]:
        """Every z_r on the way from noise z to an image, which comes last."""
        for left in range(steps, 0, -1):
            r, t = (torch.full((len(z),), i / steps, device=z.device) for i in (left - 1, left))
            z = z - self.velocity_at(z, r, t) / steps
            yield z

    def sample(self, noise: Noise, y: Labels | None = None, *, steps: StepCount = 1) -> Images:
        """
        steps: Number of steps of equal length, with one evaluation each.
        """
        return deque(self.path(noise.normal(*self.image_shape), steps), maxlen=1)[0]

    def allows_compile(self) -> bool:
        return False  # torch.compile does not follow a forward derivative into a network that it has compiled

    def stepping(self, batch: Batch) -> Tensor:
        """Five draws of noise, one row each: the ten images that one to ten steps make from it."""
        z = Noise(batch.noise.seeds[:5]).normal(*self.image_shape)
        images = [deque(self.path(z, steps), maxlen=1)[0] for steps in range(1, 11)]
        return torch.stack(images, dim=1).flatten(0, 1).clamp(-1, 1)
