"""Multistep samplers: whole chains against diffusers' schedulers, and their orders of convergence."""

import math
from collections.abc import Callable
from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor

from genbench.errors import InputError
from genbench.processes.noise import Noise, StillNoise
from genbench.processes.reverse import Prediction, reverse_path, reverse_process
from genbench.processes.samplers import SAMPLERS, find_sampler, inversion_path
from genbench.processes.schedule import Schedule, linear
from genbench.processes.spacing import spaced_timesteps
from genbench.schema import check_arguments

SHAPE = (3, 8, 8)
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # inside diffusers


def eps_hat(x: Tensor, t: int) -> Tensor:
    """A smooth function of x_t and diffusers' t that stands in for a trained network."""
    weight = torch.randn(3, 3, generator=torch.Generator().manual_seed(1)) * 0.3
    return torch.einsum("ij,njhw->nihw", weight, torch.tanh(x)) + math.sin(t / 1000) * x * 0.2


def predictor(schedule: Schedule, looks: list[int]) -> Callable[[Tensor, int], Prediction]:
    def predict(x_t: Tensor, t: int) -> Prediction:
        looks.append(t)
        abar_t = schedule.alpha_bar(t)
        return Prediction((x_t - math.sqrt(1 - abar_t) * eps_hat(x_t, t - 1)) / math.sqrt(abar_t))

    return predict


def both(scheduler: Any, steps: int, spacing: str, method: str, **options: Any) -> tuple[Tensor, Tensor, list[int]]:
    """Samples of genbench and of diffusers, which draws no noise here, from the same x_T; and genbench's times."""
    schedule, looks = linear(1000), []
    x_T = Noise(torch.arange(2)).normal(*SHAPE)
    scheduler.set_timesteps(steps)
    theirs, their_looks = x_T, []
    for t in scheduler.timesteps:
        their_looks.append(int(t) + 1)
        theirs = scheduler.step(eps_hat(theirs, int(t)), t, theirs).prev_sample
    step = find_sampler(method)(schedule, Noise(torch.arange(2)), **options)
    ours = reverse_process(x_T, spaced_timesteps(1000, steps, spacing), predictor(schedule, looks), step)
    assert looks == their_looks
    return ours, theirs, looks


BETAS = {"beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}


@pytest.mark.parametrize("steps", [3, 10, 25])
def test_dpm_solver_of_third_order_equals_diffusers(steps: int) -> None:
    scheduler = diffusers.DPMSolverMultistepScheduler(**BETAS, solver_order=3, timestep_spacing="trailing")
    ours, theirs, _ = both(scheduler, steps, "trailing", "dpm-solver++3m")
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("steps", [5, 25])
def test_the_sde_solver_equals_diffusers(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draws = Noise(torch.arange(2))
    draws.normal(*SHAPE)  # x_T
    module = diffusers.schedulers.scheduling_dpmsolver_multistep
    monkeypatch.setattr(module, "randn_tensor", lambda *_, **__: draws.normal(*SHAPE))
    scheduler = diffusers.DPMSolverMultistepScheduler(
        **BETAS, algorithm_type="sde-dpmsolver++", timestep_spacing="trailing"
    )
    schedule, noise = linear(1000), Noise(torch.arange(2))
    x = x_T = noise.normal(*SHAPE)
    scheduler.set_timesteps(steps)
    for t in scheduler.timesteps:
        x = scheduler.step(eps_hat(x, int(t)), t, x).prev_sample
    step = find_sampler("sde-dpm-solver++")(schedule, noise)
    ours = reverse_process(x_T, spaced_timesteps(1000, steps, "trailing"), predictor(schedule, []), step)
    torch.testing.assert_close(ours, x, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("order", "steps"), [(1, 10), (2, 3), (2, 10), (3, 10), (3, 25)])
def test_unipc_equals_diffusers(order: int, steps: int) -> None:
    scheduler = diffusers.UniPCMultistepScheduler(
        **BETAS, solver_order=order, timestep_spacing="trailing", final_sigmas_type="zero"
    )
    ours, theirs, _ = both(scheduler, steps, "trailing", "unipc", order=order)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_unipc_with_the_other_b_equals_diffusers_up_to_its_last_step() -> None:
    # diffusers divides infinity by infinity in the last step: findings/diffusers-unipc-bh1.sh
    schedule, times = linear(1000), spaced_timesteps(1000, 10, "trailing")
    scheduler = diffusers.UniPCMultistepScheduler(
        **BETAS, solver_order=3, solver_type="bh1", timestep_spacing="trailing", final_sigmas_type="zero"
    )
    scheduler.set_timesteps(10)
    theirs = x_T = Noise(torch.arange(2)).normal(*SHAPE)
    for t in scheduler.timesteps[:-1]:
        theirs = scheduler.step(eps_hat(theirs, int(t)), t, theirs).prev_sample
    step = find_sampler("unipc")(schedule, Noise(torch.arange(2)), order=3, variant="bh1")
    *_, ours, data = reverse_path(x_T, times, predictor(schedule, []), step)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    assert data.isfinite().all()


@pytest.mark.parametrize("warm_up", ["runge-kutta", "multistep"])
@pytest.mark.parametrize("steps", [5, 10, 50])
def test_pndm_equals_diffusers(steps: int, warm_up: str) -> None:
    scheduler = diffusers.PNDMScheduler(**BETAS, skip_prk_steps=warm_up == "multistep", set_alpha_to_one=True)
    ours, theirs, looks = both(scheduler, steps, "leading", "pndm", warm_up=warm_up)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    assert len(looks) == steps + (9 if warm_up == "runge-kutta" else 1)


@pytest.mark.parametrize("steps", [10, 50])
def test_inversion_equals_diffusers_and_ddim_leads_back(steps: int) -> None:
    schedule, times = linear(1000), spaced_timesteps(1000, steps)
    scheduler = diffusers.DDIMInverseScheduler(**BETAS, clip_sample=False)
    scheduler.set_timesteps(steps)
    theirs = x0 = Noise(torch.arange(2)).normal(*SHAPE).tanh()
    for t in scheduler.timesteps:
        theirs = scheduler.step(eps_hat(theirs, int(t)), t, theirs).prev_sample
    predict = predictor(schedule, [])
    *_, ours = inversion_path(schedule, x0, times, predict)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_ddim_leads_an_inverted_image_back() -> None:
    schedule, predict = linear(1000), predictor(linear(1000), [])
    x0, errors = Noise(torch.arange(2)).normal(*SHAPE).tanh(), {}
    for steps in (10, 250):
        times = spaced_timesteps(1000, steps)
        *_, x_T = inversion_path(schedule, x0, times, predict)
        back = reverse_process(x_T, times, predict, find_sampler("ddim")(schedule, Noise(torch.arange(2))))
        errors[steps] = float((back - x0).abs().mean())
    assert errors[250] < errors[10] / 5


def test_those_of_higher_order_come_nearer() -> None:
    # Gaussian data of standard deviation 0.5 have a denoiser and an ODE solution in closed form:
    # along the flow, x_t / sqrt(variance of x_t) is constant.
    schedule, spread = linear(1000), 0.25

    def marginal(t: int) -> float:
        return schedule.alpha_bar(t) * spread + 1 - schedule.alpha_bar(t)

    def predict(x_t: Tensor, t: int) -> Prediction:
        return Prediction(math.sqrt(schedule.alpha_bar(t)) * spread / marginal(t) * x_t)

    x_T = Noise(torch.arange(2)).normal(*SHAPE).double()
    times = spaced_timesteps(1000, 25, "trailing")
    errors = {}
    for method in ("ddim", "dpm-solver++", "dpm-solver++3m", "unipc", "pndm"):
        *_, x_1, _ = reverse_path(x_T, times, predict, find_sampler(method)(schedule, Noise(torch.arange(2))))
        exact = x_T * math.sqrt(marginal(times[-1]) / marginal(1000))
        errors[method] = float((x_1 - exact).abs().mean())
    assert errors["dpm-solver++"] < errors["ddim"] / 4
    assert errors["unipc"] < errors["ddim"] / 4
    assert errors["dpm-solver++3m"] < errors["dpm-solver++"] / 1.3
    assert errors["pndm"] < errors["dpm-solver++3m"] / 5


@pytest.mark.parametrize("method", sorted(SAMPLERS))
@pytest.mark.parametrize("steps", [1, 2, 4, 100])
def test_any_number_of_steps_leads_to_data(method: str, steps: int) -> None:
    schedule = linear(100)
    x0 = torch.full((1, *SHAPE), 0.3)

    def predict(x_t: Tensor, t: int) -> Prediction:
        assert 1 <= t <= 100
        return Prediction(x0)

    step = find_sampler(method)(schedule, StillNoise(torch.zeros(1, dtype=torch.int64)))
    found = reverse_process(torch.zeros(1, *SHAPE), spaced_timesteps(100, steps), predict, step)
    torch.testing.assert_close(found, x0, rtol=0, atol=2e-5)


def test_a_wrong_order_is_refused() -> None:
    with pytest.raises(InputError, match=r"order.*found 4"):
        check_arguments(find_sampler("unipc"), {"order": 4})
