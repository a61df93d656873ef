"""Schedules and samplers: against closed forms, then against diffusers' schedulers with the same noise."""

import math
from collections.abc import Callable
from itertools import pairwise

import diffusers
import pytest
import torch
from entries import IMAGE_SHAPE, MODELS

from genbench.errors import InputError
from genbench.models import build
from genbench.processes.multistep import dpm_solver_step
from genbench.processes.noise import Noise
from genbench.processes.reverse import Prediction, reverse_path, reverse_process
from genbench.processes.samplers import SAMPLERS, ddim_step, ddpm_step, heun_step
from genbench.processes.schedule import SCHEDULES, Schedule, cosine, linear
from genbench.processes.spacing import respaced_timesteps, spaced_timesteps

SHAPE = (3, 8, 8)


def a_denoiser(schedule: Schedule) -> Callable[[torch.Tensor, int], torch.Tensor]:
    """A smooth function of x_t and t that stands in for a trained network's eps_hat."""
    weight = torch.randn(3, 3, generator=torch.Generator().manual_seed(1)) * 0.3

    def eps_hat(x: torch.Tensor, t: int) -> torch.Tensor:
        return torch.einsum("ij,njhw->nihw", weight, torch.tanh(x)) + math.sin(t / schedule.T) * x * 0.2

    return eps_hat


def a_variance(x: torch.Tensor, t: int) -> torch.Tensor:
    """A v in [-1, 1] that stands in for a learned variance."""
    return torch.sin(3 * x + t)


def our_predictor(schedule: Schedule, clip: bool) -> Callable[[torch.Tensor, int], Prediction]:
    eps_hat = a_denoiser(schedule)

    def predict(x_t: torch.Tensor, t: int) -> Prediction:
        abar_t = schedule.alpha_bar(t)
        x0_hat = (x_t - math.sqrt(1 - abar_t) * eps_hat(x_t, t - 1)) / math.sqrt(abar_t)
        return Prediction(x0_hat.clamp(-1, 1) if clip else x0_hat, (a_variance(x_t, t - 1) + 1) / 2)

    return predict


def our_chain(
    schedule: Schedule, timesteps: list[int], step: Callable, noise: Noise, clip: bool = True
) -> torch.Tensor:
    return reverse_process(noise.normal(*SHAPE), timesteps, our_predictor(schedule, clip), step)


def diffusers_chain(schedule: Schedule, scheduler: object, steps: int, draws: Noise, **options: object) -> torch.Tensor:
    eps_hat = a_denoiser(schedule)
    scheduler.alphas_cumprod = schedule.alphas_cumprod[1:]  # diffusers computes them in float32, with errors up to 2e-5
    x = draws.normal(*SHAPE)
    scheduler.set_timesteps(steps)
    for t in scheduler.timesteps:
        output = eps_hat(x, int(t))
        if scheduler.config.get("variance_type") == "learned_range":
            output = torch.cat([output, a_variance(x, int(t))], dim=1)
        x = scheduler.step(output, int(t), x, **options).prev_sample
    return x


@pytest.fixture
def shared_noise(monkeypatch: pytest.MonkeyPatch) -> Noise:
    """Noise for a diffusers chain: it replaces `randn_tensor` in the schedulers."""
    noise = Noise(torch.arange(2))

    def randn_tensor(shape: tuple[int, ...], **_: object) -> torch.Tensor:
        return noise.normal(*shape[1:])

    for module in (diffusers.schedulers.scheduling_ddpm, diffusers.schedulers.scheduling_ddim):
        monkeypatch.setattr(module, "randn_tensor", randn_tensor)
    return noise


BETAS = {"linear": "linear", "cosine": "squaredcos_cap_v2"}


@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_schedules_equal_diffusers(name: str) -> None:
    theirs = diffusers.DDPMScheduler(beta_start=1e-4, beta_end=0.02, beta_schedule=BETAS[name]).alphas_cumprod
    ours = SCHEDULES[name](1000).alphas_cumprod
    assert ours[0] == 1
    torch.testing.assert_close(ours[1:].float(), theirs, rtol=2e-5, atol=1e-7)


def test_cosine_betas_are_capped() -> None:
    abar = cosine(1000).alphas_cumprod
    betas = 1 - abar[1:] / abar[:-1]
    assert betas[-1] == pytest.approx(0.999, abs=1e-12)
    assert (betas > 0).all()
    assert abar[1] > 0.9999


def test_posterior_is_the_textbook_one_for_neighbouring_times() -> None:
    schedule = linear(1000)
    abar = schedule.alphas_cumprod
    for t in (1, 2, 500, 1000):
        alpha = abar[t] / abar[t - 1]
        beta = 1 - alpha
        posterior = schedule.q_posterior(t, t - 1)
        assert posterior.x0_weight == pytest.approx(float(abar[t - 1].sqrt() * beta / (1 - abar[t])), rel=1e-12)
        assert posterior.xt_weight == pytest.approx(float(alpha.sqrt() * (1 - abar[t - 1]) / (1 - abar[t])), rel=1e-12)
        assert posterior.variance == pytest.approx(
            float(beta * (1 - abar[t - 1]) / (1 - abar[t])), rel=1e-12, abs=1e-300
        )
    assert schedule.q_posterior(1, 0) == pytest.approx((1.0, 0.0, 0.0))


def test_posterior_keeps_the_marginals_for_any_two_times() -> None:
    # If x_0 is fixed and x_t ~ q(x_t | x_0), then x_s drawn from the posterior must have q(x_s | x_0)'s moments.
    schedule = cosine(100)
    for t, s in [(100, 37), (50, 49), (30, 1)]:
        abar_t, abar_s = schedule.alpha_bar(t), schedule.alpha_bar(s)
        p = schedule.q_posterior(t, s)
        assert p.x0_weight + p.xt_weight * math.sqrt(abar_t) == pytest.approx(math.sqrt(abar_s), rel=1e-9)
        assert p.xt_weight**2 * (1 - abar_t) + p.variance == pytest.approx(1 - abar_s, rel=1e-9)


@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_q_sample_has_the_variance_of_the_paper(name: str) -> None:
    schedule = SCHEDULES[name](1000)
    t = torch.tensor([1, 400, 1000])
    x0, eps = torch.ones(3, *SHAPE), torch.full((3, *SHAPE), 2.0)
    abar = schedule.alphas_cumprod[t].float()
    torch.testing.assert_close(schedule.q_sample(x0, t, eps)[:, 0, 0, 0], abar.sqrt() + 2 * (1 - abar).sqrt())


@pytest.mark.parametrize("steps", [1000, 100, 7])
@pytest.mark.parametrize(
    ("variance", "theirs"), [("small", "fixed_small"), ("large", "fixed_large"), ("learned", "learned_range")]
)
def test_ddpm_equals_diffusers(steps: int, variance: str, theirs: str, shared_noise: Noise) -> None:
    schedule = linear(1000)
    scheduler = diffusers.DDPMScheduler(beta_schedule="linear", variance_type=theirs, clip_sample=True)
    expected = diffusers_chain(schedule, scheduler, steps, shared_noise)
    times = [int(t) + 1 for t in scheduler.timesteps]
    if steps == 7:  # diffusers steps by T // steps, whatever its times are
        stride = 1000 // steps
        assert all(t - s == stride for t, s in pairwise(times))
    noise = Noise(torch.arange(2))
    found = our_chain(schedule, times, ddpm_step(schedule, noise, variance=variance), noise)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("steps", [1000, 50, 10])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ddim_equals_diffusers(steps: int, eta: float, shared_noise: Noise) -> None:
    schedule = linear(1000)
    scheduler = diffusers.DDIMScheduler(beta_schedule="linear", clip_sample=True, set_alpha_to_one=True)
    expected = diffusers_chain(schedule, scheduler, steps, shared_noise, eta=eta, use_clipped_model_output=True)
    times = spaced_timesteps(1000, steps, "uniform")
    assert times == [int(t) + 1 for t in scheduler.timesteps]
    noise = Noise(torch.arange(2))
    found = our_chain(schedule, times, ddim_step(schedule, noise, eta=eta), noise)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # inside diffusers
@pytest.mark.parametrize("steps", [10, 25, 50])
def test_dpm_solver_equals_diffusers(steps: int) -> None:
    schedule = linear(1000)
    scheduler = diffusers.DPMSolverMultistepScheduler(
        beta_start=1e-4, beta_end=0.02, beta_schedule="linear", solver_order=2, algorithm_type="dpmsolver++",
        solver_type="midpoint", thresholding=False, lower_order_final=True, timestep_spacing="trailing",
    )  # fmt: skip
    eps_hat = a_denoiser(schedule)
    noise, draws = Noise(torch.arange(2)), Noise(torch.arange(2))
    x = draws.normal(*SHAPE)
    scheduler.set_timesteps(steps)
    for t in scheduler.timesteps:
        x = scheduler.step(eps_hat(x, int(t)), t, x).prev_sample
    times = [int(t) + 1 for t in scheduler.timesteps]
    assert times == spaced_timesteps(1000, steps, "trailing")
    found = our_chain(schedule, times, dpm_solver_step(schedule, noise), noise, clip=False)
    torch.testing.assert_close(found, x, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # inside diffusers
@pytest.mark.parametrize("steps", [10, 25])
def test_heun_equals_diffusers(steps: int) -> None:
    schedule = linear(1000)
    scheduler = diffusers.HeunDiscreteScheduler(
        beta_start=1e-4, beta_end=0.02, beta_schedule="linear", timestep_spacing="trailing"
    )
    scheduler.set_timesteps(steps)
    eps_hat = a_denoiser(schedule)
    noise = Noise(torch.arange(2))
    x = Noise(torch.arange(2)).normal(*SHAPE)
    # diffusers works on x_t / sqrt(abar_t), so x_T is divided by sqrt(abar_T).
    x = x / math.sqrt(schedule.alpha_bar(1000))
    for t in scheduler.timesteps:
        x = scheduler.step(eps_hat(scheduler.scale_model_input(x, t), int(t)), t, x).prev_sample
    times = spaced_timesteps(1000, steps, "trailing")
    assert [int(t) + 1 for t in scheduler.timesteps[::2]] == times
    found = our_chain(schedule, times, heun_step(schedule, noise), noise, clip=False)
    torch.testing.assert_close(found, x, rtol=1e-4, atol=1e-4)


def test_heun_is_of_second_order_and_ddim_of_first() -> None:
    # Gaussian data of standard deviation 0.5 have a denoiser and an ODE solution in closed form:
    # along the flow, x_t / sqrt(variance of x_t) is constant.
    schedule, spread = linear(1000), 0.25

    def marginal(t: int) -> float:
        return schedule.alpha_bar(t) * spread + 1 - schedule.alpha_bar(t)

    def predict(x_t: torch.Tensor, t: int) -> Prediction:
        return Prediction(math.sqrt(schedule.alpha_bar(t)) * spread / marginal(t) * x_t)

    x_T = Noise(torch.arange(2)).normal(*SHAPE).double()
    exact = x_T * math.sqrt(spread / marginal(1000))
    errors: dict[tuple[str, int], float] = {}
    for name, make in {"heun": heun_step, "ddim": ddim_step}.items():
        for steps in (10, 20):
            times = spaced_timesteps(1000, steps, "trailing")
            found = reverse_process(x_T, times, predict, make(schedule, Noise(torch.arange(2))))
            errors[name, steps] = float((found - exact).abs().mean())
    assert errors["heun", 20] < errors["heun", 10] / 2.5
    assert errors["heun", 10] < errors["ddim", 20] < errors["ddim", 10]


def test_heun_does_not_carry_a_small_error_over_a_long_first_step() -> None:
    # A cosine schedule starts at sigma = 2e4. A prediction that is wrong by 0.01 everywhere must not matter much.
    schedule, x0 = cosine(1000), torch.full((2, *SHAPE), 0.3)
    wrong = 0.01 * torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(0))
    times, noise = spaced_timesteps(1000, 5, "trailing"), Noise(torch.arange(2))
    calls: list[int] = []

    def predict(x_t: torch.Tensor, t: int) -> Prediction:
        calls.append(t)
        return Prediction(x0 + wrong * math.sin(t))

    found = reverse_process(noise.normal(*SHAPE), times, predict, heun_step(schedule, noise))
    assert float((found - x0).abs().max()) < 0.1
    assert calls == [1000, 800, 600, 600, 400, 400, 200, 200]


def test_sigma_hat_is_ddpm_with_the_large_variance() -> None:
    schedule = linear(200)
    times = spaced_timesteps(200, 20)
    a, b = Noise(torch.arange(2)), Noise(torch.arange(2))
    ddim = our_chain(schedule, times, ddim_step(schedule, a, eta="sigma-hat"), a)
    ddpm = our_chain(schedule, times, ddpm_step(schedule, b, variance="large"), b)
    torch.testing.assert_close(ddim, ddpm, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("v", "variance"), [(-1.0, "small"), (1.0, "large")])
def test_learned_variance_reaches_from_the_small_to_the_large_one(v: float, variance: str) -> None:
    schedule = cosine(50)
    x_t, x0_hat = torch.randn(2, *SHAPE), torch.randn(2, *SHAPE)
    prediction = Prediction(x0_hat, torch.full_like(x_t, (v + 1) / 2))
    a, b = Noise(torch.arange(2)), Noise(torch.arange(2))
    learned = ddpm_step(schedule, a, variance="learned")(lambda x, t: prediction, x_t, 30, 12)
    fixed = ddpm_step(schedule, b, variance=variance)(lambda x, t: prediction, x_t, 30, 12)
    torch.testing.assert_close(learned, fixed)


def test_ddim_with_eta_one_is_ddpm_with_the_small_variance() -> None:
    schedule = linear(200)
    times = spaced_timesteps(200, 200)
    a, b = Noise(torch.arange(2)), Noise(torch.arange(2))
    ddim = our_chain(schedule, times, ddim_step(schedule, a, eta=1.0), a)
    ddpm = our_chain(schedule, times, ddpm_step(schedule, b, variance="small"), b)
    torch.testing.assert_close(ddim, ddpm, rtol=0, atol=1e-5)


def test_every_step_to_time_zero_returns_the_prediction() -> None:
    schedule, noise = cosine(10), Noise(torch.arange(2))
    x_t, x0_hat = torch.randn(2, *SHAPE), torch.randn(2, *SHAPE)
    for make in SAMPLERS.values():
        found = reverse_process(x_t, [10], lambda x, t: Prediction(x0_hat), make(schedule, noise))
        torch.testing.assert_close(found, x0_hat, rtol=1e-5, atol=1e-6)


def test_a_path_ends_in_the_sample() -> None:
    schedule, times = linear(100), spaced_timesteps(100, 7)
    a, b = Noise(torch.arange(2)), Noise(torch.arange(2))
    path = list(reverse_path(a.normal(*SHAPE), times, our_predictor(schedule, True), ddpm_step(schedule, a)))
    assert len(path) == 7
    assert torch.equal(path[-1], our_chain(schedule, times, ddpm_step(schedule, b), b))


@pytest.mark.parametrize(
    ("spacing", "theirs"),
    [("leading", "leading"), ("diffusers-linspace", "linspace"), ("diffusers-trailing", "trailing")],
)
def test_times_are_those_of_diffusers_whatever_their_number(spacing: str, theirs: str) -> None:
    scheduler = diffusers.DDPMScheduler(num_train_timesteps=1000, timestep_spacing=theirs)
    for steps in range(1, 1001):
        scheduler.set_timesteps(steps)
        expected = [int(t) + 1 for t in scheduler.timesteps if t >= 0]  # diffusers sometimes has a time below 0
        assert spaced_timesteps(1000, steps, spacing) == expected


def test_uniform_times_are_those_of_diffusers_only_where_the_steps_divide_T() -> None:
    same = [
        steps for steps in range(1, 1001) if spaced_timesteps(1000, steps) == spaced_timesteps(1000, steps, "leading")
    ]
    assert {steps for steps in range(1, 1001) if 1000 % steps == 0} <= set(same)
    assert len(same) < 40


@pytest.mark.parametrize(
    ("T", "respacing", "times"),
    [  # computed by hand; OpenAI's times start at 0
        (10, "3", [1, 5, 10]),  # 4.5 is rounded to the even 4
        (9, "3,2,1", [1, 2, 3, 4, 6, 7]),
        (10, "2,2,2", [1, 4, 5, 7, 8, 10]),  # 10 = 4 + 3 + 3
        (10, "ddim5", [1, 3, 5, 7, 9]),
        (4, "4", [1, 2, 3, 4]),
        (8, "1", [1]),
    ],
)
def test_respacing_in_openais_notation(T: int, respacing: str, times: list[int]) -> None:
    assert respaced_timesteps(T, respacing) == times[::-1]


def test_respacing_rounds_halves_as_openai_does() -> None:
    # 38 strides of 999 / 76 sum to 499.4999...: OpenAI rounds that to 499, genbench's time 500.
    assert 500 in respaced_timesteps(1000, "77")
    assert 501 not in respaced_timesteps(1000, "77")


@pytest.mark.parametrize(
    ("respacing", "expected"),
    [("0", "a positive number"), ("5,", "a positive"), ("ddim3,4", "integer stride"), ("ddim7", "integer stride"),
     ("6,1", "at most 5 times in section 1"), ("ten", "a positive number")],
)  # fmt: skip
def test_impossible_respacings_are_refused(respacing: str, expected: str) -> None:
    with pytest.raises(
        InputError, match=f"key 'respacing': found '{respacing}' for 10 timesteps, expected .*{expected}"
    ):
        respaced_timesteps(10, respacing)


@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_respaced_betas_keep_the_noise_levels(name: str) -> None:
    schedule = SCHEDULES[name](4000)
    times = respaced_timesteps(4000, "100")[::-1]
    abar = torch.tensor([1.0, *(schedule.alpha_bar(t) for t in times)], dtype=torch.float64)
    shorter = Schedule.from_betas(1 - abar[1:] / abar[:-1])
    torch.testing.assert_close(shorter.alphas_cumprod, abar, rtol=1e-12, atol=1e-15)
    # A step of the long chain between kept times is the step of the shorter one.
    for i in (1, 37, 100):
        assert schedule.q_posterior(times[i - 1], ([0, *times])[i - 1]) == pytest.approx(
            shorter.q_posterior(i, i - 1), rel=1e-9, abs=1e-15
        )


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"steps": 1}, "key 'steps': found 1"),
        ({"steps": 1, "method": "dpm-solver++", "spacing": "linspace"}, "key 'steps': found 1"),
        ({"respacing": "1"}, "key 'respacing': found '1'"),
        ({"respacing": "ddim1", "method": "ddim"}, "key 'respacing': found 'ddim1'"),
    ],
)
def test_a_walk_that_takes_pure_noise_for_an_almost_clean_image_is_refused(options: dict, found: str) -> None:
    model = build(MODELS["ddpm"], IMAGE_SHAPE)
    with pytest.raises(InputError, match=f"{found}, which visits only t = 1; expected more, or steps: 1 with"):
        model.check_sampler(options)
    assert model.check_sampler({"steps": 1, "spacing": "trailing"}) == {"steps": 1, "spacing": "trailing"}
    assert build(MODELS["ddpm"] | {"timesteps": 1}, IMAGE_SHAPE).check_sampler({"steps": 1}) == {"steps": 1}


@pytest.mark.parametrize("spacing", ["uniform", "quadratic", "linspace", "trailing"])
def test_spaced_timesteps_descend_within_the_schedule(spacing: str) -> None:
    for steps in (1, 3, 10, 999):
        times = spaced_timesteps(1000, steps, spacing)
        assert all(t > s for t, s in pairwise(times))
        assert 1 <= times[-1] <= times[0] <= 1000
        assert len(times) == steps or spacing == "quadratic"
    assert spaced_timesteps(1000, 1000, spacing) == list(range(1000, 0, -1))
    assert spaced_timesteps(1000, 3, "linspace") == [1000, 501, 1]


def test_impossible_samplers_are_refused() -> None:
    with pytest.raises(InputError, match="key 'steps': found 2000, expected 1 to 1000"):
        spaced_timesteps(1000, 2000)
    with pytest.raises(InputError, match="key 'spacing'"):
        spaced_timesteps(1000, 10, "cubic")
    with pytest.raises(InputError, match="key 'eta': found 2"):
        ddim_step(linear(10), Noise(torch.arange(1)), eta=2.0)
