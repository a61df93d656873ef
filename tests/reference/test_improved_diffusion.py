"""Learned variances, the variational bound and importance sampling, compared with closed forms."""

import math

import pytest
import torch
from torch import nn

from genbench.errors import InputError
from genbench.models import Batch, build
from genbench.models.diffusion import Diffusion
from genbench.processes.noise import Noise
from genbench.processes.reverse import Prediction
from genbench.processes.schedule import cosine, linear
from genbench.processes.time_samplers import LossSecondMoment
from genbench.processes.variational_bound import VariationalBound, gaussian_kl, pixel_log_likelihood

SHAPE = (3, 8, 8)
UNET = {
    "class": "unet.UNet", "channels": 8, "channel_mult": [1, 2], "num_res_blocks": 1, "attention_resolutions": [4],
    "norm_groups": 4, "dropout": 0.0,
}  # fmt: skip


def diffusion(**options: object) -> Diffusion:
    torch.manual_seed(0)
    model = build({"class": "diffusion.Diffusion", "denoiser": UNET, "timesteps": 40, **options}, SHAPE)
    assert isinstance(model, Diffusion)
    with torch.no_grad():  # the last layers start at zero, which would hide the values they multiply
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


def batch(size: int = 8, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (size, *SHAPE), generator=generator)
    return Batch(pixels / 127.5 - 1, torch.zeros(size, dtype=torch.int64), Noise(torch.arange(size), key=seed))


# --- The bound --------------------------------------------------------------------------------------------------------


def test_kl_of_gaussians_equals_torchs() -> None:
    a, b, c, d = torch.randn(4, 2, 1, 3, 3).unbind()
    p = torch.distributions.Normal(a, (0.5 * b).exp())
    q = torch.distributions.Normal(c, (0.5 * d).exp())
    torch.testing.assert_close(gaussian_kl(a, b, c, d), torch.distributions.kl_divergence(p, q), rtol=1e-4, atol=1e-5)
    assert gaussian_kl(a, b, a, b).abs().max() == 0


@pytest.mark.parametrize("deviation", [0.003, 0.02, 0.3, 2.0])
def test_the_masses_of_all_pixel_values_sum_to_one(deviation: float) -> None:
    values = (torch.arange(256) / 127.5 - 1)[:, None, None, None]
    for mean in (-1.2, 0.0, 0.301, 1.0):
        log_variance = torch.tensor(2 * math.log(deviation))
        mass = pixel_log_likelihood(values, torch.full_like(values, mean), log_variance).exp()
        assert mass.sum() == pytest.approx(1, abs=2e-4)
        exact = torch.distributions.Normal(mean, deviation)
        inner = exact.cdf(values[1:-1] + 1 / 255) - exact.cdf(values[1:-1] - 1 / 255)
        torch.testing.assert_close(mass[1:-1], inner, rtol=0, atol=5e-4)


def test_bits_per_dimension_of_gaussian_data_is_their_entropy() -> None:
    # Pixels drawn from N(0, 0.25^2) and rounded to 8 bits have -E log2 p = log2(0.25 sqrt(2 pi e)) + log2(127.5) bits.
    # The best denoiser and the true reverse variance are known. With them the bound is almost tight.
    schedule, spread = cosine(400), 0.25**2
    bound = VariationalBound(schedule, "learned")
    x0 = (((0.25 * Noise(torch.arange(64), key=1).normal(*SHAPE)).clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1
    noise = Noise(torch.arange(64), key=2)
    total = bound.prior(x0)
    for t in bound.times:
        time = torch.full((64,), t)
        x_t = schedule.q_sample(x0, time, noise.normal(*SHAPE))
        abar = schedule.alpha_bar(t)
        marginal = abar * spread + 1 - abar
        x0_hat = math.sqrt(abar) * spread / marginal * x_t
        small, large = bound._table[t, 2:].tolist()
        posterior = schedule.q_posterior(t, t - 1)
        true = posterior.variance + posterior.x0_weight**2 * spread * (1 - abar) / marginal
        fraction = torch.full_like(x_t, (math.log(true) - small) / (large - small))
        total = total + bound.term(Prediction(x0_hat, fraction), x0, x_t, time)
    entropy = math.log2(0.25 * math.sqrt(2 * math.pi * math.e)) + math.log2(127.5)
    assert float(total.mean()) == pytest.approx(entropy, rel=0.005)


def test_the_fixed_variances_never_beat_the_true_one() -> None:
    schedule, t = linear(100), torch.full((4,), 30)
    x0, x_t = torch.rand(4, *SHAPE) * 2 - 1, torch.randn(4, *SHAPE)
    perfect = Prediction(x0)
    assert VariationalBound(schedule, "small").term(perfect, x0, x_t, t).abs().max() < 1e-6
    assert VariationalBound(schedule, "large").term(perfect, x0, x_t, t).min() > 0


def test_bits_per_dim_adds_up_and_does_not_depend_on_the_batch() -> None:
    model = diffusion(learned_variance=True, loss="hybrid").eval()
    x0 = batch().x0
    prior, terms = model.bits_per_dim(x0, Noise(torch.arange(8)))
    assert terms.shape == (8, 40)
    assert (prior >= 0).all()
    assert terms[:, :-1].min() > -1e-6  # KL divergences; the last term, of the pixels, is positive
    one_prior, one_terms = model.bits_per_dim(x0[3:4], Noise(torch.arange(3, 4)))
    torch.testing.assert_close(
        torch.cat([one_prior, one_terms[0]]), torch.cat([prior[3:4], terms[3]]), rtol=1e-3, atol=1e-4
    )
    assert model.bits_per_dim(x0, Noise(torch.arange(8)), steps=7)[1].shape == (8, 7)


# --- Learned variances ------------------------------------------------------------------------------------------------


def gradients(model: Diffusion, examples: Batch) -> torch.Tensor:
    """Return the loss's gradients with respect to the last convolution's weights: (6, C, 3, 3)."""
    ((_, loss),) = list(model.losses(examples, 0))
    (gradient,) = torch.autograd.grad(loss, [model.denoiser.conv_out.weight])
    return gradient


def test_the_hybrid_loss_teaches_the_mean_by_the_simple_one_alone() -> None:
    hybrid, simple = diffusion(learned_variance=True, loss="hybrid"), diffusion()
    weight = hybrid.denoiser.conv_out.weight
    assert weight.shape[0] == 6
    with torch.no_grad():
        simple.denoiser.load_state_dict(
            {
                key: value[:3] if key.startswith("conv_out") else value
                for key, value in hybrid.denoiser.state_dict().items()
            }
        )
    found, expected = gradients(hybrid, batch()), gradients(simple, batch())
    assert torch.equal(found[:3], expected)  # exactly: the bound has no gradient for the mean
    assert found[3:].abs().min() > 0


def test_the_vlb_loss_moves_both_halves_and_is_the_mean_term_times_T() -> None:
    model = diffusion(learned_variance=True, loss="vlb")
    gradient = gradients(model, batch())
    assert gradient[:3].abs().min() > 0
    assert gradient[3:].abs().min() > 0
    many = batch(512)
    with torch.no_grad():
        ((_, loss),) = list(model.losses(many, 0))
        x0 = batch(64).x0
        bound = model.bound
        terms = []
        for t in bound.times:
            time = torch.full((64,), t)
            x_t = model.schedule.q_sample(x0, time, Noise(torch.arange(64), key=t).normal(*SHAPE))
            output, fraction = model.evaluate(x_t, time)
            terms.append(
                bound.term(
                    Prediction(model.x0_hat(output, x_t, *model.schedule.levels(time)), fraction), x0, x_t, time
                ).mean()
            )
    assert float(loss) == pytest.approx(float(torch.stack(terms).sum()), rel=0.15)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learned_variance": True}, "key 'loss': found 'simple', which does not teach the variance"),
        ({"loss": "hybrid"}, "key 'loss': found 'hybrid'.*learned_variance: true"),
        ({"loss": "hybird"}, "key 'loss': found 'hybird', expected one of 'simple', 'hybrid', 'vlb'"),
        ({"time_sampler": "importance"}, "time_sampler: name: found 'importance'; expected one of: loss-second-moment"),
        ({"time_sampler": {"name": "uniform", "history": 3}}, "unknown key: found 'history'"),
        ({"schedule": {"name": "betas", "values": [0.1] * 3}}, r"found 3 numbers, expected 40 \(timesteps\)"),
    ],
)
def test_impossible_combinations_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        diffusion(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variance": "learned"}, "key 'variance': found 'learned', expected small or large"),
        ({"respacing": "10", "steps": 5}, "key 'respacing': found beside steps: 5"),
        ({"respacing": "50"}, "found '50' for 40 timesteps, expected at most 40 times"),
        ({"method": "heun", "eta": 0.5}, "heun: unknown key: found 'eta'"),
        (
            {"method": "ddim", "eta": "sigma"},
            "key 'eta': found 'sigma', expected a number from 0 to 1 or one of 'sigma-hat'",
        ),
    ],
)
def test_impossible_samplers_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        diffusion().check_sampler(options)


def test_what_the_network_is_told_of_time() -> None:
    seen = {}

    class Spy(nn.Module):
        def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            seen["t"] = t
            return x

    for how, expected in {"index": [0, 39], "rescaled": [0.0, 975.0], "fraction": [0.025, 1.0]}.items():
        model = diffusion(time_input=how)
        model.denoiser = Spy()
        model.evaluate(torch.zeros(2, *SHAPE), torch.tensor([1, 40]))
        assert seen["t"].tolist() == pytest.approx(expected)


# --- Importance sampling of times -------------------------------------------------------------------------------------


def test_the_history_keeps_the_last_losses_of_every_time() -> None:
    sampler = LossSecondMoment(5, history=3)
    expected: dict[int, list[float]] = {t: [] for t in range(1, 6)}
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):  # a batch may have the same time six times
        t = torch.randint(1, 6, (12,), generator=generator)
        losses = torch.rand(12, generator=generator)
        sampler.observe(t, losses)
        for time, loss in zip(t.tolist(), losses.tolist(), strict=True):
            expected[time] = [*expected[time], loss][-3:]
        for time, kept in expected.items():
            assert sorted(sampler.losses[time - 1].tolist()) == pytest.approx(sorted([*kept, *[0.0] * (3 - len(kept))]))
    importance = torch.tensor([[loss**2 for loss in kept] for kept in expected.values()]).mean(1).sqrt()
    torch.testing.assert_close(sampler.probabilities(), 0.999 * importance / importance.sum() + 0.001 / 5)


def test_times_are_drawn_as_their_losses_ask_and_weighted_back() -> None:
    sampler = LossSecondMoment(4, history=2)
    assert sampler.probabilities().tolist() == [0.25] * 4  # uniform until every time has a history
    sampler.observe(torch.tensor([1, 1, 2, 2, 3, 3]), torch.tensor([1.0, 1.0, 2.0, 2.0, 3.0, 3.0]))
    assert sampler.probabilities().tolist() == [0.25] * 4
    sampler.observe(torch.tensor([4, 4]), torch.tensor([4.0, 4.0]))
    p = sampler.probabilities()
    torch.testing.assert_close(p, 0.999 * torch.tensor([0.1, 0.2, 0.3, 0.4]) + 0.001 / 4)
    t, weights = sampler.draw(Noise(torch.arange(20000)))
    torch.testing.assert_close(torch.bincount(t, minlength=5)[1:] / 20000, p, rtol=0, atol=0.01)
    torch.testing.assert_close(weights, 1 / (4 * p[t - 1]))
    values = torch.tensor([7.0, 1.0, 5.0, 3.0])  # the weighted mean of any function of t is its mean over all times
    assert float((weights * values[t - 1]).mean()) == pytest.approx(4.0, rel=0.02)


def test_the_history_travels_with_the_model() -> None:
    model = diffusion(learned_variance=True, loss="vlb", time_sampler="loss-second-moment")
    list(model.losses(batch(), 0))
    other = diffusion(learned_variance=True, loss="vlb", time_sampler="loss-second-moment")
    other.load_state_dict(model.state_dict())
    assert int(other.time_sampler.counts.sum()) == 8


@pytest.mark.parametrize("T", [40, 7])
def test_a_strip_goes_from_noise_to_the_sample(T: int) -> None:
    model = diffusion(timesteps=T).eval()
    with torch.no_grad():
        strip = model.denoising(batch(9))
        samples = model.sample(Noise(torch.arange(5)))
    assert strip.shape == (50, *SHAPE)
    torch.testing.assert_close(strip[9::10], samples.clamp(-1, 1))  # the last image of every row
