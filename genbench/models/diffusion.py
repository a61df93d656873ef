"""Denoising diffusion (Ho et al. 2020, arXiv 2006.11239): learn to remove a little noise, and start from pure noise.

The network sees x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps and predicts eps, x_0, or
v = sqrt(abar_t) eps - sqrt(1 - abar_t) x_0 (Salimans & Ho 2022, arXiv 2202.00512). Each of these gives an x0_hat, which
is all that a sampler needs: see processes/samplers.py. Improved diffusion (Nichol & Dhariwal 2021, arXiv 2102.09672)
also learns the variance of each step, from the variational bound: see processes/variational_bound.py.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from functools import cached_property
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from genbench.errors import InputError, place
from genbench.models import Batch, Model
from genbench.processes.noise import Noise, StillNoise
from genbench.processes.reverse import Predict, Prediction, Step, Walk, is_walk, reverse_path, reverse_process
from genbench.processes.samplers import SAMPLERS, find_sampler, inversion_path, sampler_label
from genbench.processes.schedule import SCHEDULES
from genbench.processes.spacing import Spacing, respaced_timesteps, spaced_timesteps
from genbench.processes.time_samplers import TIME_SAMPLERS
from genbench.processes.variational_bound import VariationalBound
from genbench.ranges import CountOrZero, Factor, Positive, ShareBelowOne, StepCount
from genbench.schema import check_arguments, choose, construct, defaults, divided, keywords, renamed
from genbench.tensors import Images, Labels, Outputs, PerImage, Scalar, Seeds, Timesteps

SHOWN_STEPS = 100  # at most: a picture then costs less than a row of samples; with all T of a long chain, far more


class Diffusion(Model):
    """Minimises L_simple, L_hybrid or L_vlb at a random t in 1..T.

    denoiser: The network that predicts, a class of `unet` or `plain_cnn`.
    timesteps: T, the number of steps from data to noise.
    schedule: How noise grows with t: a name, or a mapping with `name` and its options, see below.
    prediction: What the network predicts: the noise eps, v = sqrt(abar_t) eps - sqrt(1 - abar_t) x0, or x0.
    learned_variance: Whether the network also learns the variance of a step. The second half of its channels, v in
        [-1, 1], places the log variance between its smallest and largest value. Only the bound trains v, so loss must
        be "hybrid" or "vlb".
    variance: The variance of a step of ddpm and of the bound, unless it is learned or a sampler states another one:
        "small" is the posterior's, "large" is beta.
    clip: Whether a sampler clips the predicted image to [-1, 1] before each step, unless it states otherwise; a number
        is another range, [-clip, clip].
    data_scale: Images are multiplied by it before noise is added, and divided by it after sampling: 0.5 is for a
        network that learned images in [-0.5, 0.5].
    spacing: Which times a sampler visits if it does not visit all of them, unless the sampler states others.
    time_input: The time that the network receives: the index t - 1; "rescaled" to 1000 steps, (t - 1) 1000 / T
        (OpenAI's rescale_timesteps); or the fraction t / T.
    loss: "simple" is the mean squared error of the prediction; "hybrid" adds 0.001 L_vlb, which then trains only the
        variance; "vlb" is the bound, T times the term at t, in bits per dimension.
    time_sampler: How often training draws each t: a name, or a mapping with `name` and its options, see below.
    num_classes: Number of classes. A linear layer adds the labels to the network's embedding of time; 0 means no
        labels.
    multi_label: Whether an image has several labels at once, a row of zeros and ones, instead of one class.
    label_dropout: Share of the training images whose labels are left out, as `guidance` requires (Ho & Salimans 2022,
        arXiv 2207.12598).
    """

    family = "Diffusion"
    about = (
        "A network learns to remove a little noise from an image; repeated step by step from pure noise, this makes a "
        "new image. One trained network serves many samplers, which trade the number of steps for quality."
    )
    paper = "Ho et al. 2020, arXiv 2006.11239"
    network = "denoiser"
    needs: ClassVar[Mapping[str, Mapping[str, Any]]] = {"labels": {"multi_label": True}}
    methods: ClassVar[Mapping[str, Callable[..., Any]]] = SAMPLERS
    pictures: ClassVar[tuple[str, ...]] = ("denoising", "inversion")

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        denoiser: Mapping[str, Any],
        timesteps: StepCount = 1000,
        schedule: str | Mapping[str, Any] = "linear",
        prediction: Literal["eps", "v", "x0"] = "eps",
        learned_variance: bool = False,
        variance: Literal["small", "large"] = "small",
        clip: bool | Positive = True,
        data_scale: Positive = 1.0,
        spacing: Spacing = "uniform",
        time_input: Literal["index", "rescaled", "fraction"] = "index",
        loss: Literal["simple", "hybrid", "vlb"] = "simple",
        time_sampler: str | Mapping[str, Any] = "uniform",
        num_classes: CountOrZero = 0,
        multi_label: bool = False,
        label_dropout: ShareBelowOne = 0.0,
    ) -> None:
        super().__init__()
        if label_dropout and not num_classes:
            raise InputError(
                f"key 'label_dropout': found {label_dropout} with {num_classes} classes, expected a share from 0 to "
                "below 1, of a model with num_classes"
            )
        if multi_label and not num_classes:
            raise InputError("key 'multi_label': found true with 0 classes, expected num_classes beside it")
        if learned_variance and loss == "simple":
            raise InputError(
                "key 'loss': found 'simple', which does not teach the variance that 'learned_variance' asks for; "
                "expected 'hybrid' or 'vlb'"
            )
        if learned_variance and variance == "large":
            raise InputError("key 'variance': found 'large', but 'learned_variance' learns it; expected one of the two")
        if data_scale != 1 and loss != "simple":
            raise InputError(
                f"key 'data_scale': found {data_scale} beside loss: {loss}, whose bound is of images in [-1, 1]; "
                "expected 1, or loss: simple"
            )
        if loss == "hybrid" and not learned_variance:
            raise InputError(
                "key 'loss': found 'hybrid', whose bound moves only a learned variance; expected "
                "'learned_variance: true', or 'simple' or 'vlb'"
            )
        with place("schedule"):
            self.schedule = choose(SCHEDULES, schedule)(timesteps)
        self.idle = {"spacing": "does nothing with timesteps: 1"} if timesteps == 1 else {}
        self.prediction, self.learned_variance = prediction, learned_variance
        self.variance: Literal["small", "large", "learned"] = "learned" if learned_variance else variance
        self.clip, self.spacing, self.data_scale = clip, spacing, data_scale
        self.time_input, self.loss = time_input, loss
        self.num_classes, self.multi_label, self.label_dropout = num_classes, multi_label, label_dropout
        with place("time_sampler"):
            self.time_sampler = choose(TIME_SAMPLERS, time_sampler)(timesteps)
        given: dict[str, Any] = {"image_shape": image_shape}
        if learned_variance:
            given["out_channels"] = 2 * image_shape[0]
        if num_classes:
            given["num_classes"] = num_classes
        with place("denoiser"):
            self.denoiser = construct("genbench.networks", denoiser, **given)

    # --- Training -----------------------------------------------------------------------------------------------------

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Scalar]]:
        t, weights = self.time_sampler.draw(batch.noise)
        eps = batch.noise.normal(*batch.x0.shape[1:])
        x0 = batch.x0 * self.data_scale
        x_t = self.schedule.q_sample(x0, t, eps)
        output, v = self.evaluate(x_t, t, self.condition_on(batch))
        parts: dict[str, PerImage] = {}
        if self.loss != "vlb":
            parts["simple"] = F.mse_loss(output, self.target(x0, t, eps), reduction="none").flatten(1).mean(1)
        if self.loss != "simple":
            # In L_hybrid the mean is held fixed: the bound teaches the variance, L_simple the mean.
            output = output.detach() if self.loss == "hybrid" else output
            x0_hat = self.x0_hat(output, x_t, *self.schedule.levels(t))
            term = self.bound.term(Prediction(x0_hat, v), x0, x_t, t)
            parts["bound"] = term * (self.schedule.T * (1e-3 if self.loss == "hybrid" else 1))
        total = torch.stack(list(parts.values())).sum(0)
        self.time_sampler.observe(t, total, batch.gather)
        if len(parts) > 1:
            batch.metrics.update({name: (weights * part).mean().detach() for name, part in parts.items()})
        yield "denoiser", (weights * total).mean()

    def condition_on(self, batch: Batch) -> Tensor | None:
        """The network's condition during training, in addition to x_t and t: the labels, if it has classes."""
        if not self.num_classes:
            return None
        labels = self.multi_hot(batch.y)
        return labels * (batch.noise.uniform(1) >= self.label_dropout) if self.label_dropout else labels

    def draw_condition(self, noise: Noise, y: Labels | None = None) -> Tensor | None:
        """The condition for new samples: their labels y, or the classes in turn if y is None."""
        if not self.num_classes:
            return None
        return self.multi_hot(noise.seeds % self.num_classes if y is None else y)

    def labels(self, seeds: Seeds) -> Labels | None:
        return seeds % self.num_classes if self.num_classes and not self.multi_label else None

    def multi_hot(self, y: Labels) -> Tensor:
        """Zeros and ones, float32 (N, num_classes), from class indices (N,) or from multi-hot labels."""
        if y.ndim == 1:
            return (y[:, None] == torch.arange(self.num_classes, device=y.device)).float()
        return y.float()

    def call(self, x_t: Images, time: Timesteps, c: Tensor | None) -> Outputs:
        """The network's output at x_t and `time`. c: its condition, if any."""
        return self.denoiser(x_t, time) if c is None else self.denoiser(x_t, time, c)

    def evaluate(self, x_t: Images, t: Timesteps, c: Tensor | None = None) -> tuple[Images, Images | None]:
        """The network's prediction, and the fraction (v + 1) / 2 of a learned variance."""
        if self.time_input == "index":
            time = t - 1
        elif self.time_input == "rescaled":
            time = (t - 1).float() * (1000 / self.schedule.T)
        else:
            time = t.float() / self.schedule.T
        output = self.call(x_t, time, c).float()
        if not self.learned_variance:
            return output, None
        prediction, v = output.chunk(2, dim=1)
        return prediction, (v + 1) / 2

    def target(self, x0: Images, t: Timesteps, eps: Images) -> Images:
        """The target of the network's prediction."""
        if self.prediction == "eps":
            return eps
        if self.prediction == "x0":
            return x0
        signal, noise = self.schedule.levels(t)
        return signal * eps - noise * x0

    def x0_hat(self, output: Images, x_t: Images, signal: Tensor | float, noise: Tensor | float) -> Images:
        """x0_hat that follows from the network's prediction at the levels of x_t, not clipped."""
        if self.prediction == "x0":
            return output
        return (x_t - noise * output) / signal if self.prediction == "eps" else signal * x_t - noise * output

    @cached_property
    def bound(self) -> VariationalBound:
        return VariationalBound(self.schedule, self.variance)

    # --- Sampling -----------------------------------------------------------------------------------------------------

    def predictor(self, clip: bool | float, c: Tensor | None = None, guidance: float = 0.0) -> Predict:
        """(x_t, t) -> x0_hat, clipped to [-1, 1] or [-clip, clip] if asked, and the fraction of a learned variance.

        guidance w adds w times the difference from the prediction without labels, which takes a second evaluation.
        """

        def predict(x_t: Images, t: int) -> Prediction:
            time = torch.full((len(x_t),), t, dtype=torch.int64, device=x_t.device)
            output, fraction = self.evaluate(x_t, time, c)
            if guidance and c is not None:
                output = output + guidance * (output - self.evaluate(x_t, time, torch.zeros_like(c))[0])
            abar_t = self.schedule.alpha_bar(t)
            x0_hat = self.x0_hat(output, x_t, abar_t**0.5, (1 - abar_t) ** 0.5)
            limit = float(clip) * self.data_scale
            return Prediction(x0_hat.clamp(-limit, limit) if clip else x0_hat, fraction)

        return predict

    def timesteps(self, steps: int | None, spacing: str, respacing: str | None) -> list[int]:
        """The times of 1..T to visit, descending."""
        T = self.schedule.T
        if respacing is not None:
            if steps is not None:
                raise InputError(f"key 'respacing': found beside steps: {steps}, expected one of the two")
            return respaced_timesteps(T, respacing)
        return spaced_timesteps(T, T if steps is None else steps, spacing)

    def walk(
        self,
        noise: Noise,
        *,
        method: str = "ddpm",
        steps: StepCount | None = None,
        spacing: Spacing | None = None,
        respacing: str | None = None,
        **options: Any,
    ) -> tuple[list[int], Step | Walk]:
        """The times to visit, and the sampler `method` that moves between them. It receives all other options.

        method: The step from a time t to an earlier s: one of those below.
        steps: How many of the T times are visited; by default all.
        spacing: Which of them, see below; by default the model's.
        respacing: The times in OpenAI's notation, such as `ddim50` or `"10,15,20"`, instead of `steps` and `spacing`.
        """
        if method == "ddpm" and options.get("variance") is None:
            options["variance"] = self.variance
        return self.timesteps(steps, spacing or self.spacing, respacing), find_sampler(method)(
            self.schedule, noise, **options
        )

    def sample(
        self,
        noise: Noise,
        y: Labels | None = None,
        *,
        clip: bool | None = None,
        guidance: Factor = 0.0,
        **walk: Any,
    ) -> Images:
        """The options of the walk and of its `method` also apply: see samplers.

        y: labels, for a model with classes; without them, seed i has class i mod num_classes.

        clip: Whether the predicted image is clipped to [-1, 1] before each step; by default the model's `clip`.
        guidance: Weight of classifier-free guidance, for a model with `label_dropout`; 0 is none.
        """
        times, step = self.walk(noise, **walk)
        x_T = noise.normal(*self.x_shape)
        predict = self.predictor(self.clip if clip is None else clip, self.draw_condition(noise, y), guidance)
        return self.decoded(reverse_process(x_T, times, predict, step) / self.data_scale)

    def check_sampler(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Check and return the options of `sample`, of `walk`, and of the sampler itself. Raises InputError."""
        options = renamed(options, step="method")
        of_sample, of_walk, own = divided(options, self.sample, self.walk)
        checked = super().check_sampler(of_sample) | check_arguments(self.walk, of_walk)
        method = (defaults(self.walk) | of_walk)["method"]
        own = {key: value for key, value in own.items() if value is not None}  # null: the default
        sampler = find_sampler(method)
        with place(method):
            checked |= check_arguments(sampler, own, also=[*keywords(self.sample), *keywords(self.walk)])
        if of_walk.get("spacing") is not None and of_walk.get("steps") is None:
            why = "without steps" if of_walk.get("respacing") is None else "beside respacing"
            raise InputError(f"key 'spacing': found {of_walk['spacing']!r}, which does nothing {why}")
        self._check_times(**{key: of_walk.get(key) for key in ("steps", "spacing", "respacing")})
        self.describe_walk(checked)
        if options.get("guidance") and not self.label_dropout:
            raise InputError(f"key 'guidance': found {options['guidance']}, but label_dropout is 0; expected 0")
        return {key: checked[key] for key in options if key in checked}

    def _check_times(self, steps: int | None, spacing: str | None, respacing: str | None) -> None:
        """Refuse a walk that visits only t = 1: the noise that it starts from would count as an almost clean image."""
        spacing = spacing or self.spacing
        if self.timesteps(steps, spacing, respacing) == [1] != [self.schedule.T] and spacing != "truncated":
            given = f"key 'steps': found {steps}" if respacing is None else f"key 'respacing': found {respacing!r}"
            raise InputError(f"{given}, which visits only t = 1; expected more, or steps: 1 with spacing: trailing")

    def describe_walk(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Found by sampling from an image of zeros, without the network: one step, or all steps of a walk."""
        _, of_walk, own = divided(options, self.sample, self.walk)
        zeros = torch.zeros(1, *self.x_shape, device="cpu")
        prediction = Prediction(zeros, zeros if self.learned_variance else None)
        times, step = self.walk(StillNoise(torch.zeros(1, dtype=torch.int64, device="cpu")), **of_walk, **own)
        path = reverse_path(zeros, times, lambda x_t, t: prediction, step)
        next(path)  # raises what the step finds wrong in its options
        walk = defaults(self.walk) | of_walk
        return {
            "method": walk["method"],
            "label": sampler_label(walk["method"]),
            "steps": 1 + sum(1 for _ in path) if is_walk(step) else len(times),
            "spacing": walk["respacing"] or walk["spacing"] or self.spacing,
            "eta": (defaults(find_sampler(walk["method"])) | own).get("eta"),
        }

    def calibrate(self, noise: Noise, y: Labels | None = None, **options: Any) -> None:
        """Draw samples x_0, then run the network on x_t from q(x_t | x_0) at t = 1..T, with one sample for each t.

        If sampling took fewer evaluations than that, only as many times are used, evenly spaced: a sampler with few
        steps has less to gain, and its calibration costs less.
        """
        again = copy(noise)
        x0 = self.sample(noise, y, **options)
        again.normal(*self.x_shape)  # skips x_T, the first draw of `sample`: the next draws are then the same as there
        taken = inspect.signature(self.draw_condition).parameters  # a family may have its own options there
        c = self.draw_condition(again, y, **{key: value for key, value in options.items() if key in taken})
        T, drawn = self.schedule.T, self.describe_walk(options)["steps"] * len(x0)
        count = -(-T // len(x0)) * len(x0)  # whole batches
        times = torch.arange(count, device=x0.device) % T + 1
        if drawn < count:
            times = torch.linspace(1, T, drawn).round().long().to(x0.device)
        for t in times.split(len(x0)):
            x_t = self.schedule.q_sample(self.encoded(x0) * self.data_scale, t, noise.normal(*self.x_shape))
            self.evaluate(x_t, t, c)

    def denoising(self, batch: Batch) -> Tensor:
        """Five samples, one row each: ten pictures from noise to data, one after every tenth of at most 100 steps."""
        few = Noise(batch.noise.seeds[:5])
        times, step = self.walk(few, steps=min(SHOWN_STEPS, self.schedule.T))
        x_T = few.normal(*self.x_shape)
        c = self.draw_condition(few, batch.y[:5] if self.multi_label else None)
        path = reverse_path(x_T, times, self.predictor(self.clip, c), step)
        shown = [-(-tenth * len(times) // 10) for tenth in range(1, 11)]  # rounded up: a short chain repeats pictures
        kept = {number: x / self.data_scale for number, x in enumerate(path, start=1) if number in shown}
        return self.decoded(torch.stack([kept[number] for number in shown], dim=1).flatten(0, 1)).clamp(-1, 1)

    def inversion(self, batch: Batch) -> Tensor:
        """Five images, one row each: five pictures of the way to noise by inverted DDIM, then five of the way back."""
        x0, c = self.encoded(batch.x0[:5]), self.draw_condition(batch.noise, batch.y)
        c = None if c is None else c[:5]
        times = spaced_timesteps(self.schedule.T, min(50, self.schedule.T), self.spacing)
        predict = self.predictor(False, c)
        up = [x0 * self.data_scale, *inversion_path(self.schedule, x0 * self.data_scale, times, predict)]
        down = list(reverse_path(up[-1], times, predict, find_sampler("ddim")(self.schedule, batch.noise)))
        shown = [up[round((len(up) - 1) * part / 4)] for part in range(5)]
        shown += [down[round((len(down) - 1) * part / 5)] for part in range(1, 6)]
        return self.decoded((torch.stack(shown, dim=1) / self.data_scale).flatten(0, 1)).clamp(-1, 1)

    # --- Likelihood ---------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def bits_per_dim(self, x0: Images, noise: Noise, *, steps: StepCount | None = None) -> tuple[PerImage, Tensor]:
        """The variational bound on -log2 p(x0) per value of x0, in parts: the prior's (N,), and the steps' (N, S).

        steps: how many of the T times, evenly spaced (default all). The columns are those of
            `timesteps(steps, "linspace", None)`.
        """
        bound = VariationalBound(self.schedule, self.variance, self.timesteps(steps, "linspace", None))
        predict = self.predictor(self.clip)
        terms = []
        for t in bound.times:
            time = torch.full((len(x0),), t, dtype=torch.int64, device=x0.device)
            x_t = self.schedule.q_sample(x0, time, noise.normal(*x0.shape[1:]))
            terms.append(bound.term(predict(x_t, t), x0, x_t, time))
        return bound.prior(x0), torch.stack(terms, dim=1)
