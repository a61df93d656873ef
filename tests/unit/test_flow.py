"""Flow matching: its training paths, the solvers, optimal transport and reflow."""

import itertools
import math
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from entries import FLOW, IMAGE_SHAPE, blobs
from perturbed import batch_of_blobs, perturbed
from scipy.integrate import solve_ivp
from torch import Tensor

from genbench.errors import InputError
from genbench.files.weights import load_tensors
from genbench.machine.ranks import Ranks
from genbench.models import Batch, build
from genbench.models.flow import APART, Flow, Reflow, euler, find_solver, matched, midpoint, rk45
from genbench.processes.noise import Noise
from genbench.sampling.checkpoint import load_model
from genbench.suites.cost import sampling_costs
from genbench.training.batches import Slice
from genbench.training.flops import META, training_cost
from genbench.training.folder import train
from genbench.training.recipe import TrainConfig

REFLOW = {"class": "flow.Reflow", "teacher": FLOW, "pair_steps": 3}
M, S = 0.3, 0.5  # mean and standard deviation of an "image" whose values are all independent


def flow(entry: dict = FLOW, **options: object) -> Flow:
    model = perturbed(entry | options, 0.02)
    assert isinstance(model, Flow)
    return model


def batch(size: int = 8) -> Batch:
    return batch_of_blobs(size)


def start(size: int = 4) -> Tensor:
    return Noise(torch.arange(size)).normal(*IMAGE_SHAPE)


def of_gaussians(x: Tensor, t: float | Tensor) -> Tensor:
    """The velocity of flow matching for data N(M, S^2): E[x_1 - x_0 | x_t], which takes each x_1 to M + S x_1."""
    t = t if isinstance(t, float) else t[:, None, None, None]
    variance = ((1 - t) * S) ** 2 + t**2
    return -M + (t - (1 - t) * S**2) / variance * (x - (1 - t) * M)


def of_their_ends(x: Tensor, t: float | Tensor) -> Tensor:
    """The velocity for the pairs x_1 and M + S x_1, whose connecting lines do not cross."""
    t = t if isinstance(t, float) else t[:, None, None, None]
    x1 = (x - (1 - t) * M) / ((1 - t) * S + t)
    return x1 - (M + S * x1)


def end(path) -> Tensor:
    *_, x0 = path
    return x0


# --- Training ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("times", ["uniform", "logit-normal"])
def test_the_network_learns_the_velocity_of_straight_paths(times: str) -> None:
    model, seen = flow(times=times, matched=1), []
    model.velocity.register_forward_hook(lambda module, inputs, output: seen.append((*inputs, output)))
    ((name, loss),) = model.losses(batch(), 0)
    again = batch()  # the same draws, in the same order
    x1 = again.noise.normal(*IMAGE_SHAPE)
    t = again.noise.uniform() if times == "uniform" else torch.sigmoid(again.noise.normal())
    ((x_t, time, v),) = seen
    torch.testing.assert_close(time, 1000 * t)
    torch.testing.assert_close(x_t, (1 - t)[:, None, None, None] * again.x0 + t[:, None, None, None] * x1)
    assert name == "velocity"
    torch.testing.assert_close(loss, (v - (x1 - again.x0)).square().mean())


def test_times_are_uniform_or_logit_normal() -> None:
    noise = Noise(torch.arange(20_000))
    t = flow().draw_times(noise)
    torch.testing.assert_close(torch.histc(t, 10, 0, 1) / len(t), torch.full((10,), 0.1), rtol=0, atol=0.01)
    logit = torch.logit(flow(times="logit-normal", times_mean=-0.5, times_std=2.0).draw_times(noise))
    assert logit.mean().item() == pytest.approx(-0.5, abs=0.03)
    assert logit.std().item() == pytest.approx(2.0, abs=0.03)


def test_matched_noise_is_the_best_order_within_each_group() -> None:
    x0, x1 = batch(12).x0, start(12)
    found = matched(x0, x1, 4)
    for first in range(3):  # image i is in group i mod 3
        images, noise = x0[first::3], x1[first::3]
        costs = {
            order: (images - noise[list(order)]).double().square().sum() for order in itertools.permutations(range(4))
        }
        assert torch.equal(found[first::3], noise[list(min(costs, key=costs.__getitem__))])
    assert not torch.equal(found, x1)


@pytest.mark.parametrize(("size", "group_size"), [(16, 4), (13, 4), (11, 3), (6, 8)])
@pytest.mark.parametrize("ranks", [1, 2])
def test_ranks_match_as_one_does(size: int, group_size: int, ranks: int) -> None:
    x0, x1 = batch(size).x0, start(size)
    whole = matched(x0, x1, group_size)
    groups = size // min(size, group_size)
    for rank in range(min(ranks, groups)):
        team = Ranks()
        team.rank, team.size = rank, min(ranks, groups)
        mine = Slice.of(team, size, group_size, torch.device("cpu")).positions
        assert torch.equal(matched(x0[mine], x1[mine], group_size), whole[mine])


# --- Solvers ----------------------------------------------------------------------------------------------------------


def test_gaussian_data_are_reached_along_their_known_ways() -> None:
    x1 = start()
    for solver, options, tolerance in (
        (euler, {"steps": 2000}, 2e-3),
        (midpoint, {"steps": 100}, 2e-4),
        (rk45, {}, 1e-4),
    ):
        x0 = end(solver(of_gaussians, x1, **options))
        torch.testing.assert_close(x0, M + S * x1, rtol=0, atol=tolerance)
    x0 = end(midpoint(of_gaussians, start(64), steps=100))
    assert x0.mean().item() == pytest.approx(M, abs=0.02)
    assert x0.std().item() == pytest.approx(S, rel=0.02)


@pytest.mark.parametrize(("solver", "order"), [(euler, 1), (midpoint, 2)])
def test_solvers_are_of_their_orders(solver, order: int) -> None:
    x1, x0 = torch.ones(1, 1, 1, 1, dtype=torch.float64), math.exp(-1.5)
    errors = [abs(end(solver(lambda x, t: (1 + t) * x, x1, steps=n)).item() - x0) for n in (40, 80, 160)]
    for coarse, fine in itertools.pairwise(errors):
        assert math.log2(coarse / fine) == pytest.approx(order, abs=0.15)


def test_from_where_paths_cross_one_step_leads_to_the_mean_and_after_reflow_to_the_image() -> None:
    x1 = start()
    torch.testing.assert_close(end(euler(of_gaussians, x1, steps=1)), torch.full_like(x1, M))
    for steps in (1, 2, 5):  # straight paths need no more than one step
        torch.testing.assert_close(end(euler(of_their_ends, x1, steps=steps)), M + S * x1)


def bent(x: Tensor, t: float | Tensor) -> Tensor:
    t = t if isinstance(t, float) else t[:, None, None, None]
    return x - torch.sin(3 * x + 8 * t)


def test_rk45_is_scipys_and_takes_evaluations_as_it_needs() -> None:
    x1, calls = start(1).double(), []

    def slope(t: float, y: np.ndarray) -> np.ndarray:
        return bent(torch.from_numpy(y).view_as(x1), t).flatten().numpy()

    def counted(x: Tensor, t: Tensor) -> Tensor:
        calls.append(t)
        return bent(x, t)

    expected = solve_ivp(slope, (1, 0), x1.flatten().numpy(), method="RK45", rtol=1e-8, atol=1e-8)
    found = end(rk45(counted, x1, tolerance=1e-6))
    torch.testing.assert_close(found.flatten(), torch.from_numpy(expected.y[:, -1]), rtol=1e-4, atol=1e-5)
    many = len(calls)
    end(rk45(counted, x1, tolerance=1e-2))
    assert 2 * (len(calls) - many) < many


def test_with_rk45_an_image_does_not_depend_on_those_beside_it() -> None:
    x1 = start() * torch.tensor([1.0, 4.0, 0.1, 9.0])[:, None, None, None]  # these need different steps
    images, few = end(rk45(bent, x1)), end(rk45(bent, x1[[2, 0]]))
    assert torch.equal(images[[2, 0]], few)


def test_a_velocity_that_is_not_finite_is_refused() -> None:
    with pytest.raises(InputError, match=r"key 'tolerance': found 1e-05, which was not met \(infinite norm\)"):
        end(rk45(lambda x, t: x * math.nan, start()))


def test_eulers_chain_is_diffusers() -> None:
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler()
    model, steps = flow(), 12
    scheduler.set_timesteps(sigmas=np.linspace(1, 1 / steps, steps))
    x = start()
    with torch.no_grad():
        for time in scheduler.timesteps:  # 1000 t
            x = scheduler.step(model.velocity(x, time.expand(len(x))), time, x).prev_sample
        torch.testing.assert_close(model.sample(Noise(torch.arange(4)), steps=steps), x, rtol=0, atol=2e-5)


def test_options_of_solvers_are_checked_and_known_beforehand() -> None:
    model = flow()
    assert model.describe_walk({}) == {"method": "euler", "label": "Euler", "steps": 50}
    assert model.describe_walk({"method": "midpoint", "steps": 7}) == {
        "method": "midpoint", "label": "Midpoint", "steps": 7
    }  # fmt: skip
    assert model.describe_walk({"method": "rk45"}) is None
    assert model.remarks({"method": "rk45"}) == ["adapts its steps to each image: NFE is that of the first"]
    assert model.check_sampler({"method": "rk45", "tolerance": 1}) == {"method": "rk45", "tolerance": 1.0}
    for options, message in (
        ({"method": "rk45", "steps": 5}, "rk45: unknown key: found 'steps'"),
        ({"method": "heun"}, "key 'method': found 'heun'"),
        ({"steps": 0}, "euler: key 'steps': found 0, expected at least 1"),
    ):
        with pytest.raises(InputError, match=message):
            model.check_sampler(options)
    costs = sampling_costs(
        build(FLOW, IMAGE_SHAPE).to(META), {"four": {"method": "midpoint", "steps": 2}, "rk45": {"method": "rk45"}}
    )
    assert costs["four"]["nfe"] == 4
    assert costs["rk45"]["nfe"] is costs["rk45"]["flops_per_image"] is None
    assert costs["rk45"]["flops_per_nfe"] == costs["four"]["flops_per_nfe"]


def test_a_solver_of_ones_own_is_a_function(tmp_path: Path) -> None:
    from genbench.own_code import allow

    (tmp_path / "ralston.py").write_text(
        "def ralston(velocity, x, *, steps: int = 10):\n"
        "    for left in range(steps, 0, -1):\n"
        "        first = velocity(x, left / steps)\n"
        "        second = velocity(x - 2 / 3 * first / steps, (left - 2 / 3) / steps)\n"
        "        x = x - (first + 3 * second) / (4 * steps)\n"
        "        yield x\n"
    )
    method = allow(f"{tmp_path}/ralston.py:ralston")
    assert flow().describe_walk({"method": method}) == {"method": method, "label": "ralston", "steps": 10}
    torch.testing.assert_close(
        end(find_solver(method)(of_gaussians, start(), steps=100)), M + S * start(), rtol=0, atol=2e-4
    )


# --- Reflow -----------------------------------------------------------------------------------------------------------


def test_reflow_learns_from_the_noises_and_what_the_first_stage_makes_of_them() -> None:
    model = flow(REFLOW, teacher=FLOW | {"velocity": FLOW["velocity"] | {"dropout": 0.5}})
    assert isinstance(model, Reflow)
    model.train()
    x0, x1 = model.pairs(batch())
    assert torch.equal(x1, Noise(torch.arange(8), key=APART + 1).normal(*IMAGE_SHAPE))
    of_seed_0 = batch()
    of_seed_0.noise = Noise(torch.arange(8), key=0)
    assert not torch.equal(model.pairs(of_seed_0)[1], Noise(torch.arange(8)).normal(*IMAGE_SHAPE))  # of samples
    with torch.no_grad():
        assert torch.equal(x0, end(midpoint(model.eval().teacher.velocity_at, x1, steps=3)))  # nothing was dropped
    assert not x0.requires_grad
    one, two = (
        training_cost(build(entry, IMAGE_SHAPE).to(META), TrainConfig(steps=1, batch_size=8))
        for entry in (FLOW, REFLOW)
    )
    assert two["flops"] == pytest.approx(3 * one["flops"], rel=0.1)  # six evaluations, a forward and a backward pass


def test_reflow_begins_where_the_first_stage_ended_and_leaves_it_alone(tmp_path: Path) -> None:
    images, labels = blobs(32)

    def run(name: str, model: dict, first_stage: Path | None = None) -> Path:
        out = tmp_path / name / "model.safetensors"
        recipe = {"steps": 3, "batch_size": 8, "ema_decay": 0.5, "precision": "fp32"}
        spec = {"model": model, "training": recipe}
        device = torch.device("cpu")
        train(
            spec,
            images,
            labels,
            data_sha256="d",
            seed=0,
            out=out,
            first_stage=first_stage,
            snapshots=[0],
            device=device,
        )
        return out

    first = run("first", FLOW)
    second = run("second", REFLOW, first)
    ours, _ = load_tensors(second.parent / "snapshots/0.safetensors")
    last, _ = load_tensors(second)
    for key, value in load_tensors(first)[0].items():
        assert torch.equal(ours[key], value)
        assert torch.equal(last[f"teacher.{key}"], value)
    assert any(not torch.equal(last[key], ours[key]) for key in ours)
    model, _ = load_model(second)
    with torch.no_grad():
        assert model.sample(Noise(torch.arange(2)), steps=1).shape == (2, *IMAGE_SHAPE)
        assert model.flowing(batch()).shape == (50, *IMAGE_SHAPE)
