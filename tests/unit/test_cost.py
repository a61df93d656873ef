"""A model's cost is counted with shortcuts, which do not change the counts."""

import pytest
import torch
from entries import MODELS

from genbench.errors import InputError
from genbench.models import build
from genbench.suites import cost
from genbench.training import flops
from genbench.training.recipe import TrainConfig

SAMPLERS = {
    "ddpm": {},
    "ddim": {"method": "ddim", "steps": 7, "eta": 0.5},
    "deterministic": {"method": "ddim", "steps": 6},
    "quadratic": {"method": "ddim", "steps": 9, "spacing": "quadratic"},
    "solver": {"method": "dpm-solver++", "steps": 8},
    "third": {"method": "dpm-solver++3m", "steps": 20},
    "sde": {"method": "sde-dpm-solver++", "steps": 6},
    "unipc": {"method": "unipc", "steps": 6, "order": 3},
    "pndm": {"method": "pndm", "steps": 6},
    "heun": {"method": "heun", "steps": 5},
    "two": {"method": "ddpm", "steps": 2},
}


def on_meta(name: str):
    with flops.META:
        return build(MODELS[name], (1, 28, 28)).to(flops.META)


def test_a_sampler_of_which_three_times_are_looked_at_costs_what_all_of_them_cost(monkeypatch) -> None:
    model = on_meta("ddpm")
    few = cost.sampling_costs(model, SAMPLERS)
    assert "timesteps" not in vars(model)
    monkeypatch.setattr(cost, "ONE_LOOK", ())
    assert few == cost.sampling_costs(model, SAMPLERS)
    assert (few["ddim"]["nfe"], few["heun"]["nfe"], few["two"]["nfe"]) == (7, 9, 2)
    assert (few["third"]["nfe"], few["unipc"]["nfe"], few["pndm"]["nfe"], few["sde"]["stochastic"]) == (20, 6, 15, True)
    assert (few["ddim"]["stochastic"], few["deterministic"]["stochastic"]) == (True, False)


@pytest.mark.parametrize("name", ["ddpm", "wgan-gp"])
def test_operations_that_are_remembered_by_their_shapes_cost_what_they_cost_anew(name, monkeypatch) -> None:
    config = TrainConfig.from_entry({"steps": 10, "batch_size": 8})
    again = flops.training_cost(on_meta(name), config)
    assert flops.training_cost(on_meta(name), config) == again
    monkeypatch.setattr(flops, "_makes_new_tensors", lambda function: False)
    assert flops.training_cost(on_meta(name), config) == again
    assert again["flops"] > 0


def test_what_is_remembered_of_an_operation_is_its_answers_shape_strides_and_type() -> None:
    image = torch.empty(2, 8, 4, 4, device="meta").to(memory_format=torch.channels_last)
    for operation in (
        lambda x: torch.nn.functional.group_norm(x, 2),
        lambda x: x * 2,
        lambda x: x * 2.5,
        lambda x: (x.int() * 2, x.int() * 2.0),
        lambda x: torch.nn.functional.conv2d(x, torch.empty(3, 8, 3, 3, device="meta")),
    ):
        expected = torch.utils._pytree.tree_leaves(operation(image))
        for _ in range(2):
            with flops.FlopCounter():
                found = torch.utils._pytree.tree_leaves(operation(image))
            assert [(x.shape, x.stride(), x.dtype) for x in found] == [(x.shape, x.stride(), x.dtype) for x in expected]


class Separate(torch.nn.Module):
    """A convolution in groups, as one convolution for each group."""

    def __init__(self, kind: type[torch.nn.Module], groups: int) -> None:
        super().__init__()
        self.parts = torch.nn.ModuleList(
            kind(32 // groups, 64 // groups, 3, stride=2, padding=1, device="meta") for _ in range(groups)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat(
            [part(channels) for part, channels in zip(self.parts, x.chunk(len(self.parts), 1), strict=True)], 1
        )


@pytest.mark.parametrize("kind", [torch.nn.Conv2d, torch.nn.ConvTranspose2d])
@pytest.mark.parametrize("groups", [1, 8, 32])
def test_groups_of_a_convolution_cost_what_they_cost_as_convolutions_of_their_own(kind, groups) -> None:
    def cost(network: torch.nn.Module) -> tuple[int, int, int]:
        """Of a forward pass, of a step, and of a step with a gradient penalty."""
        x, totals = torch.empty(4, 32, 14, 14, device="meta", requires_grad=True), []
        with flops.FlopCounter() as counter:
            loss = network(x).tanh().sum()
            totals.append(counter.total)
            loss.backward(retain_graph=True)
            totals.append(counter.total)
            (gradient,) = torch.autograd.grad(network(x).tanh().sum(), x, create_graph=True)
            gradient.square().sum().backward()
            totals.append(counter.total)
        return tuple(totals)

    grouped = cost(kind(32, 64, 3, stride=2, padding=1, groups=groups, device="meta"))
    assert grouped == cost(Separate(kind, groups))
    assert grouped[1] == 3 * grouped[0]
    assert grouped[0] * groups == cost(kind(32, 64, 3, stride=2, padding=1, device="meta"))[0]


@pytest.mark.parametrize(
    ("losses", "found"),
    [
        (lambda self, batch, step: batch.x0.mean(), "Tensor"),
        (lambda self, batch, step: {"autoencoder": batch.x0.mean()}, "str"),
        (lambda self, batch, step: [batch.x0.mean()], "Tensor"),
    ],
)
def test_losses_that_are_no_pairs_are_refused_with_an_example(losses, found, monkeypatch) -> None:
    model = on_meta("vae")
    monkeypatch.setattr(type(model), "losses", losses)
    config = TrainConfig.from_entry({"steps": 10, "batch_size": 8})
    with pytest.raises(InputError, match=f"^losses: found {found}, expected pairs, such as `yield .generator., loss`"):
        flops.training_cost(model, config)
