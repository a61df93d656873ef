"""Cold diffusion (Bansal et al. 2022, arXiv 2208.09392): learn to undo a degradation that has no noise in it.

A network R restores x_0 from x_t = D(x_0, t): see processes/degradations.py. Sampling restores and degrades again, a
little less each time: see `cold_step` and `naive_cold_step` of processes/samplers.py. It starts from degraded real
images ("reconstruct"), which is not generation, or from draws of a density that is fitted to degraded training images
("generate"). Such a draw is as symmetric as any degraded image. A little added noise breaks the symmetry.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from genbench.errors import InputError, place
from genbench.models import Batch, Model
from genbench.processes.degradations import DEGRADATIONS
from genbench.processes.densities import GaussianMixture
from genbench.processes.noise import Noise
from genbench.processes.reverse import Prediction, reverse_path
from genbench.processes.samplers import COLD_STEPS
from genbench.ranges import CountOrZero, NotNegative, Positive
from genbench.schema import choose, construct, renamed
from genbench.tensors import Images, Latents, Scalar, Timesteps

NOISE_LEVEL = 0.002  # Bansal et al., for images in [-1, 1]


class ColdDiffusion(Model):
    """Minimises the mean absolute or squared error of R(D(x_0, t), t), with t drawn uniformly from 1..T.

    restorer: The network R, a class of `unet` or `plain_cnn`.
    degradation: D: a name, or a mapping with `name` and its options, see below.
    loss: "l1" is the mean absolute error, "l2" the squared one.
    time_input: The time that R receives: the index t - 1, or the fraction t / T.
    mixture_components: Number of Gaussians in the density of x_T from which `generate` draws. With 0 there is no
        density and no `generate`.
    data_scale: R receives images multiplied by this number, and its output is divided by it: 0.5 is for a network that
        learned images in [-0.5, 0.5].
    """

    family = "Cold diffusion"
    about = (
        "A network learns to undo a degradation without noise, such as a blur; sampling restores an image and degrades "
        "it again, a little less each time. New images start from draws of a density fitted to fully degraded ones."
    )
    paper = "Bansal et al. 2022, arXiv 2208.09392"
    network = "restorer"
    needs: ClassVar[Mapping[str, Mapping[str, Any]]] = {"images": {"mode": "reconstruct"}}
    methods: ClassVar[Mapping[str, Callable[..., Any]]] = COLD_STEPS
    pictures: ClassVar[tuple[str, ...]] = ("restoration", "generation")

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        restorer: Mapping[str, Any],
        degradation: str | Mapping[str, Any] = "rows",
        loss: Literal["l1", "l2"] = "l1",
        time_input: Literal["index", "fraction"] = "index",
        mixture_components: CountOrZero = 10,
        data_scale: Positive = 1.0,
    ) -> None:
        super().__init__()
        self.loss, self.time_input, self.data_scale = loss, time_input, data_scale
        with place("degradation"):
            self.degradation = choose(DEGRADATIONS, degradation)(image_shape)
        size = image_shape[0] * len(self.degradation.modes)
        self.density = GaussianMixture(mixture_components, size) if mixture_components else None
        if self.density is None:
            self.pictures = ("restoration",)  # type: ignore[misc]
        with place("restorer"):
            self.restorer = construct("genbench.networks", restorer, image_shape=image_shape)

    # --- Training -----------------------------------------------------------------------------------------------------

    def restore(self, x_t: Images, t: Timesteps) -> Images:
        """R(x_t, t)."""
        time = t - 1 if self.time_input == "index" else t.float() / self.degradation.T
        return self.restorer(x_t * self.data_scale, time).float() / self.data_scale

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Scalar]]:
        t = batch.noise.integers(1, self.degradation.T + 1)
        x0_hat = self.restore(self.degradation(batch.x0, t), t)
        yield "restorer", (F.l1_loss if self.loss == "l1" else F.mse_loss)(x0_hat, batch.x0)

    def after_training(self, batches: Iterator[Images]) -> None:
        if self.density is not None:
            self.density.fit(torch.cat([self.describe(x0) for x0 in batches]))

    def describe(self, x0: Images) -> Latents:
        """The few numbers that are left of x_0 at T."""
        return self.degradation.describe(self.degradation(x0, self.degradation.T))

    # --- Sampling -----------------------------------------------------------------------------------------------------

    def restore_path(self, x_T: Images, method: str = "improved") -> Iterator[Images]:
        """x_s for s = T - 1 to 0."""

        def predict(x_t: Images, t: int) -> Prediction:
            time = torch.full((len(x_t),), t, dtype=torch.int64, device=x_t.device)
            return Prediction(self.restore(x_t, time))

        return reverse_path(x_T, range(self.degradation.T, 0, -1), predict, COLD_STEPS[method](self.degradation))

    def draw_x_T(self, noise: Noise, noise_level: float) -> Images:
        """Draw x_T from the density, and add normal noise of standard deviation `noise_level`."""
        assert self.density is not None
        x_T = self.degradation.compose(self.density.sample(noise)).clamp(-1, 1)
        return x_T + noise_level * noise.normal(*x_T.shape[1:])

    def sample(
        self,
        noise: Noise,
        y: Tensor | None = None,
        *,
        mode: Literal["generate", "reconstruct"] = "generate",
        method: Literal["improved", "naive"] = "improved",
        noise_level: NotNegative | None = None,
    ) -> Images:
        """One image for each seed, from x_T down to x_0. y: the images that are degraded and restored, one per seed.

        mode: The source of x_T: "generate" draws it from a density fitted to degraded images; "reconstruct" takes
            degraded test images, D(y, T), and generates nothing new.
        method: A step: "improved" goes to x_t - D(x0_hat, t) + D(x0_hat, s), "naive" to D(x0_hat, s).
        noise_level: Standard deviation of the noise that breaks the symmetry, only in `generate`; by default 0.002.
        """
        if mode == "generate":
            x_T = self.draw_x_T(noise, NOISE_LEVEL if noise_level is None else noise_level)
        elif y is None:
            raise InputError("mode 'reconstruct' starts from images: found none, expected y")
        else:
            x_T = self.degradation(y, self.degradation.T)
        *_, x0 = self.restore_path(x_T, method)
        return x0

    def check_sampler(self, options: Mapping[str, Any]) -> dict[str, Any]:
        options = super().check_sampler(renamed(options, algorithm="method"))
        if self.density is None and options.get("mode") != "reconstruct":
            raise InputError("key 'mode': found 'generate', but mixture_components is 0; expected 'reconstruct'")
        level = options.get("noise_level")
        if level is not None and options.get("mode") == "reconstruct":
            raise InputError(f"key 'noise_level': found {level}, which does nothing beside mode: reconstruct")
        return options

    def remarks(self, options: Mapping[str, Any]) -> list[str]:
        if options.get("mode") == "reconstruct":
            return [
                "starts from degraded test images: reconstruction, not generation",
                "distances are of these reconstructed test images to the training images",
            ]
        assert self.density is not None
        components, numbers = self.density.components, self.density.size
        density = "a Gaussian" if components == 1 else f"a mixture of {components} Gaussians"
        left = "number that is" if numbers == 1 else f"{numbers} numbers that are"
        return [f"x_T: {density} fitted to the {left} left of a degraded training image"]

    # --- Pictures -----------------------------------------------------------------------------------------------------

    def restoration(self, batch: Batch) -> Tensor:
        """Five images, one row each: five pictures of the degradation from t = 0 to T, then five of the restoration."""
        x0, T = batch.x0[:5], self.degradation.T
        degraded = [self.degradation(x0, round(T * part / 4)) for part in range(5)]
        path = [degraded[-1], *self.restore_path(degraded[-1])]
        restored = [path[T - round(T * part / 5)] for part in (4, 3, 2, 1, 0)]
        return torch.stack([*degraded, *restored], dim=1).flatten(0, 1).clamp(-1, 1)

    def generation(self, batch: Batch) -> Tensor:
        """Five samples, one row each: ten pictures from x_T, drawn from the density, to x_0."""
        x_T, T = self.draw_x_T(Noise(batch.noise.seeds[:5]), NOISE_LEVEL), self.degradation.T
        path = [x_T, *self.restore_path(x_T)]
        return torch.stack([path[round(T * part / 9)] for part in range(10)], dim=1).flatten(0, 1).clamp(-1, 1)
