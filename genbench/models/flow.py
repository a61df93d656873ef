"""Flow matching (Lipman et al. 2023, arXiv 2210.02747), rectified flow (Liu et al. 2023, arXiv 2209.03003).

On the straight path x_t = (1 - t) x_0 + t x_1 from an image x_0 to noise x_1, the velocity dx/dt is x_1 - x_0. A
network learns its mean v(x, t) over all paths through x at t. The ODE dx/dt = v(x, t) then leads from noise, at t = 1,
to images, at t = 0. Where the paths of training cross, those of the ODE bend, and straighter paths need fewer steps of
a solver. The paths of training cross less if pairs of images and noise are matched by optimal transport (Tong et al.
2024, arXiv 2302.00482), or are made by the ODE of a first training ("reflow").
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from genbench.errors import InputError, place
from genbench.models import Batch, Model
from genbench.processes.noise import Noise
from genbench.processes.samplers import sampler_label
from genbench.ranges import Count, Factor, Positive, StepCount
from genbench.schema import check_arguments, construct, defaults, divided, find_function
from genbench.tensors import Images, Labels, PerImage, Scalar, in_float64

# --- Solvers: from noise to images ------------------------------------------------------------------------------------

Velocity = Callable[[Images, float | Tensor], Images]  # (x_t, t) -> dx/dt; t is one number, or one for each image
Solver = Callable[..., Iterator[Images]]  # a generator: (velocity, x_1, *, its own options) -> every x_t, x_0 the last


def euler(velocity: Velocity, x: Images, *, steps: StepCount = 50) -> Iterator[Images]:
    """First order, one evaluation per step.

    steps: Number of steps, all of equal length.
    """
    for left in range(steps, 0, -1):
        x = x - velocity(x, left / steps) / steps
        yield x


def midpoint(velocity: Velocity, x: Images, *, steps: StepCount = 25) -> Iterator[Images]:
    """Second order, two evaluations per step: half a step of Euler's method finds the velocity for the whole step.

    steps: Number of steps, all of equal length.
    """
    for left in range(steps, 0, -1):
        halfway = x - velocity(x, left / steps) / (2 * steps)
        x = x - velocity(halfway, (left - 0.5) / steps) / steps
        yield x


def rk45(velocity: Velocity, x: Images, *, tolerance: Positive = 1e-5) -> Iterator[Images]:
    """Fifth order, six evaluations per step: Dormand and Prince's method, with steps as short as each image needs.

    Uses torchode (Lienen & Günnemann 2022, arXiv 2210.12375). Yields only x_0.

    tolerance: Largest error of a step, absolute and relative. Below 1e-6 it asks for more precision than float32 has.
    """
    import torchode

    term = torchode.ODETerm(lambda t, flat: velocity(flat.view_as(x), t).flatten(1))
    controller = torchode.IntegralController(atol=tolerance, rtol=tolerance, term=term)
    solver = torchode.AutoDiffAdjoint(torchode.Dopri5(term=term), controller, max_steps=1000)
    start = torch.ones(len(x), device=x.device)
    end = torch.zeros_like(start)
    # With t_eval, x_0 is stored when its image arrives at t = 0; without it, only when the last image does.
    problem = torchode.InitialValueProblem(x.flatten(1), start, end, t_eval=end[:, None])
    solution = solver.solve(problem)
    if (failed := solution.status[solution.status != torchode.Status.SUCCESS.value]).numel():
        why = torchode.Status(int(failed[0])).name.lower().replace("_", " ")
        raise InputError(
            f"key 'tolerance': found {tolerance}, which was not met ({why}); expected a larger one, if the model's "
            "weights are finite"
        )
    yield solution.ys[:, -1].view_as(x)


SOLVERS: dict[str, Solver] = {"euler": euler, "midpoint": midpoint, "rk45": rk45}
APART = 1 << 32  # added to a noise's key, the training's seed: a stream that neither samples nor other noise use
LABELS = {"euler": "Euler", "midpoint": "Midpoint", "rk45": "RK45"}


def find_solver(name: str) -> Solver:
    """The solver that the key `method` names."""
    return find_function(SOLVERS, name, "key 'method'", takes=("velocity", "x"))


# --- Which noise belongs to which image -------------------------------------------------------------------------------


def matched(x0: Images, x1: Images, group_size: int) -> Images:
    """x_1 in the order that minimises the sum of |x_0 - x_1|^2 within each group of images: see Model.group_size."""
    if x0.is_meta:  # a dry run: shapes only
        return x1
    from scipy.optimize import linear_sum_assignment  # slow to import, and needed here only

    groups = len(x0) // min(group_size, len(x0))
    order = torch.arange(len(x0))
    for first in range(groups):
        images, noise = (in_float64(x[first::groups].flatten(1)) for x in (x0, x1))
        # |x_0 - x_1|^2 = |x_0|^2 + |x_1|^2 - 2 x_0 x_1: the sum of the squares is the same in any order.
        _, partner = linear_sum_assignment((images @ noise.T).cpu().numpy(), maximize=True)
        order[first::groups] = order[first::groups][torch.from_numpy(partner)]
    return x1[order.to(x1.device)]


class Flow(Model):
    """Minimises the mean squared error of the velocity at a random t in (0, 1).

    velocity: The network that predicts the velocity, a class of `unet`; its time input is 1000 t.
    times: How t is drawn: "uniform", or more often in the middle of the path, with a normally distributed logit
        ("logit-normal", Esser et al. 2024, arXiv 2403.03206).
    times_mean: Mean of the logit of t. Below 0, times nearer to the images are drawn more often.
    times_std: Standard deviation of the logit of t.
    matched: Size of the groups in which the images of a batch are matched with noise by optimal transport; 1 matches
        none.
    """

    family = "Flow matching"
    about = (
        "A network learns the velocity on straight paths from images to noise; a solver of differential equations "
        "follows it back, from noise to a new image. The straighter the path, the fewer steps the solver needs."
    )
    paper = "Lipman et al. 2023, arXiv 2210.02747"
    network = "velocity"
    methods: ClassVar[Mapping[str, Callable[..., Any]]] = SOLVERS
    pictures: ClassVar[tuple[str, ...]] = ("flowing",)

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        velocity: Mapping[str, Any],
        times: Literal["uniform", "logit-normal"] = "uniform",
        times_mean: Factor = 0.0,
        times_std: Positive = 1.0,
        matched: Count = 1,
    ) -> None:
        super().__init__()
        self.times, self.times_mean, self.times_std = times, times_mean, times_std
        if times == "uniform":
            self.idle = dict.fromkeys(("times_mean", "times_std"), "does nothing beside times: uniform")
        self.group_size = matched
        with place("velocity"):
            self.velocity = construct("genbench.networks", velocity, image_shape=image_shape)

    # --- Training -----------------------------------------------------------------------------------------------------

    def pairs(self, batch: Batch) -> tuple[Images, Images]:
        """x_0 and x_1, the ends of each path."""
        x1 = batch.noise.normal(*batch.x0.shape[1:])
        return batch.x0, matched(batch.x0, x1, self.group_size) if self.group_size > 1 else x1

    def draw_times(self, noise: Noise) -> PerImage:
        """A time in (0, 1) for each image."""
        if self.times == "uniform":
            return noise.uniform()
        return torch.sigmoid(self.times_mean + self.times_std * noise.normal())

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Scalar]]:
        x0, x1 = self.pairs(batch)
        t = self.draw_times(batch.noise)
        x_t = x0.lerp(x1, t[:, None, None, None])
        yield "velocity", F.mse_loss(self.velocity_at(x_t, t), x1 - x0)

    def velocity_at(self, x_t: Images, t: float | Tensor) -> Images:
        """v(x_t, t), for one t or one for each image."""
        time = t if isinstance(t, Tensor) else torch.full((len(x_t),), t, device=x_t.device)
        return self.velocity(x_t, 1000 * time).float()

    # --- Sampling -----------------------------------------------------------------------------------------------------

    def sample(self, noise: Noise, y: Labels | None = None, *, method: str = "euler", **options: Any) -> Images:
        """The options of the named solver also apply.

        method: The solver of the ODE from t = 1 to t = 0: one of those below.
        """
        path = find_solver(method)(self.velocity_at, noise.normal(*self.x_shape), **options)
        return self.decoded(deque(path, maxlen=1)[0])

    def check_sampler(self, options: Mapping[str, Any]) -> dict[str, Any]:
        of_sample, own = divided(options, self.sample)
        checked = super().check_sampler(of_sample)
        solver = self._solver(checked)
        with place(checked.get("method", "euler")):
            checked |= check_arguments(solver, own, also=["method"])
        return {key: checked[key] for key in options}

    def _solver(self, options: Mapping[str, Any]) -> Solver:
        return find_solver(options.get("method", "euler"))

    def describe_walk(self, options: Mapping[str, Any]) -> dict[str, Any] | None:
        method = options.get("method", "euler")
        steps = {**defaults(self._solver(options)), **options}.get("steps")
        if not isinstance(steps, int):
            return None
        return {"method": method, "label": LABELS.get(method, sampler_label(method)), "steps": steps}

    def adaptive(self, options: Mapping[str, Any]) -> bool:
        """True for solvers with an option `tolerance`."""
        return "tolerance" in defaults(self._solver(options))

    def remarks(self, options: Mapping[str, Any]) -> list[str]:
        return ["adapts its steps to each image: NFE is that of the first"] if self.adaptive(options) else []

    def flowing(self, batch: Batch) -> Tensor:
        """Five samples, one row each: ten pictures from noise to data, one after every tenth of 50 Euler steps."""
        path = list(euler(self.velocity_at, Noise(batch.noise.seeds[:5]).normal(*self.x_shape), steps=50))
        return self.decoded(torch.stack(path[4::5], dim=1).flatten(0, 1)).clamp(-1, 1)


class Reflow(Flow):
    """A Flow that learns straight lines between the ends of a first Flow's paths.

    Its network starts with the weights of the first Flow. Every batch draws new noise, from which the first Flow makes
    images by the midpoint method. No sample starts from this noise. Images of the data set are not used.

    teacher: The first stage, a Flow. Its weights come from its own training and stay fixed. The key `first_stage`
        beside `model` fills it in.
    pair_steps: Number of steps from noise to its image, with two evaluations each.
    times: How t is drawn: "uniform", or "logit-normal".
    times_mean: Mean of the logit of t. Below 0, times nearer to the images are drawn more often.
    times_std: Standard deviation of the logit of t.
    """

    family = "Reflow"
    about = (
        "A second training of rectified flow: it learns from pairs of noise and image that the first model made. The "
        "straight lines between them hardly cross, so a solver needs few steps, or only one."
    )
    paper = "Liu et al. 2023, arXiv 2209.03003"
    first_stage = "teacher"

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        teacher: Mapping[str, Any],
        pair_steps: StepCount = 10,
        times: Literal["uniform", "logit-normal"] = "uniform",
        times_mean: Factor = 0.0,
        times_std: Positive = 1.0,
    ) -> None:
        with place("teacher"):
            first: Flow = construct("genbench.models", teacher, Flow, image_shape=image_shape)
        super().__init__(
            image_shape=image_shape,
            velocity=teacher["velocity"],
            times=times,
            times_mean=times_mean,
            times_std=times_std,
        )
        self.teacher, self.pair_steps = first.requires_grad_(False), pair_steps

    def begin(self, batches: Iterator[Images]) -> None:
        self.velocity.load_state_dict(self.teacher.velocity.state_dict())

    def train(self, mode: bool = True) -> "Reflow":
        super().train(mode)
        self.teacher.eval()  # it makes images, without dropout
        return self

    @torch.no_grad()
    def pairs(self, batch: Batch) -> tuple[Images, Images]:
        x1 = Noise(batch.noise.seeds, key=batch.noise.key[0] | APART).normal(*batch.x0.shape[1:])
        return deque(midpoint(self.teacher.velocity_at, x1, steps=self.pair_steps), maxlen=1)[0], x1
