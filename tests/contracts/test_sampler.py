"""A sampler is one function: its options, errors, samples, plan and report need no change of another file."""

import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
import yaml
from entries import DDPM, IMAGE_SHAPE, SUITE, TRAINING
from made_up import check_page, render, report_of, write_results

from genbench.errors import InputError, place
from genbench.files.artifacts import read_json, write_json
from genbench.models import Model, build
from genbench.processes import samplers
from genbench.processes.noise import Noise
from genbench.processes.reverse import Predict, Walk
from genbench.processes.schedule import Schedule
from genbench.suites.load import load_suite, sampler_argument
from genbench.suites.preflight import preflight
from genbench.tensors import Images

EXTENDING = (Path(__file__).parents[2] / "docs/extending.md").read_text(encoding="utf-8")
ENTRY = yaml.safe_load(
    re.search(r"```yaml\n(samplers:\n  gamma.*?)```", EXTENDING, re.DOTALL)[1].replace("./gamma.py:gamma_step", "gamma")
)["samplers"]

FUNCTION = re.search(r"```python\n(import math\n[^`]*def gamma_step.*?)```", EXTENDING, re.DOTALL)[1]


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    """A small diffusion model; the sampler of docs/extending.md is added to SAMPLERS."""
    scope = dict(vars(samplers))
    exec(FUNCTION, scope)
    monkeypatch.setitem(samplers.SAMPLERS, "gamma", scope["gamma_step"])
    torch.manual_seed(0)
    return build(DDPM, IMAGE_SHAPE).eval()


def drawn(model: Model, options: dict, first: int = 0) -> Images:
    with torch.no_grad():
        return model.sample(Noise(torch.arange(first, 3)), **model.check_sampler(options))


def test_it_is_sampled_with_its_options(model: Model) -> None:
    images = drawn(model, {"method": "gamma", "steps": 5, "spacing": "trailing"})
    assert images.shape == (3, *IMAGE_SHAPE)
    assert images.isfinite().all()
    alone = drawn(model, {"method": "gamma", "steps": 5, "spacing": "trailing"}, first=1)
    torch.testing.assert_close(alone, images[1:], rtol=1e-3, atol=1e-4)
    ddim, still, again = (drawn(model, {"steps": 5, **o}) for o in (
        {"method": "ddim"}, {"method": "gamma", "gamma": 0}, {"method": "gamma", "gamma": 1},
    ))  # fmt: skip
    torch.testing.assert_close(still, ddim)
    assert (again - ddim).abs().mean() > 0.01


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"method": "gama"},
            r"toy: key 'method': found 'gama' \(did you mean 'gamma'\?\); expected one of: ddim, ddpm",
        ),
        ({"method": "gamma", "gamma": 2}, "toy: key 'gamma': found 2.0, expected 0 to 1"),
        ({"method": "gamma", "gamma": "all"}, "toy: gamma: key 'gamma': found 'all', expected a number"),
        ({"method": "gamma", "eta": 1.0}, "toy: gamma: unknown key: found 'eta'; expected one of: clip, gamma"),
        ({"method": "ddim", "gamma": 1.0}, "toy: ddim: unknown key: found 'gamma'"),
        ({"method": "gamma", "steps": 99}, "toy: key 'steps': found 99, expected 1 to 20"),
        ({"method": 3}, "toy: key 'method': found 3, expected a string"),
    ],
)
def test_its_options_are_checked(model: Model, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}"), place("toy"):
        model.check_sampler(options)


def planned(tmp_path: Path, entries: dict) -> dict:
    """Return what preflight records about these samplers of a small diffusion model."""
    path = tmp_path / "toy.yaml"
    model = DDPM | {"denoiser": DDPM["denoiser"] | {"attention_resolutions": [7]}}  # 28x28, folded
    models = {"ddpm": {"model": model, "training": TRAINING, "samplers": entries}}
    path.write_text(yaml.safe_dump(SUITE | {"num_samples": 1000, "models": models}, sort_keys=False))
    return preflight(load_suite(path), "none", str(path)).content()["models"]["ddpm"]["samplers"]


def test_steps_and_noise_are_known_beforehand_and_shown_in_the_report(model: Model, tmp_path: Path) -> None:
    entries = {"still": {"method": "gamma", "steps": 10, "gamma": 0}, **ENTRY}
    entries |= {f"gamma-{steps}": {"method": "gamma", "steps": steps, "spacing": "trailing"} for steps in (2, 5)}
    found = planned(tmp_path, entries)
    assert found["gamma-10"]["walk"] == {
        "method": "gamma", "label": "gamma", "steps": 10, "spacing": "uniform", "eta": None,
    }  # fmt: skip
    assert [option["stochastic"] for option in found.values()] == [False, True, True, True, True]
    assert [option["nfe"] for option in found.values()] == [10, 10, 10, 2, 5]
    rows = {name: (found[name]["nfe"], 4.0, 9.0, 0.6, 0.6) for name in found}
    folder = write_results(tmp_path, models={"ddpm": ("DDPM", "Diffusion", rows, {"denoiser": 1000}, [])})
    plan = read_json(folder / "preflight.json")
    for name, option in found.items():
        plan["models"]["ddpm"]["samplers"][name] |= {key: option[key] for key in ("options", "walk")}
    write_json(folder / "preflight.json", plan)
    (study,) = report_of(folder).studies
    assert [name for name, _ in study.matrix.rows] == ["gamma gamma 0.0", "gamma", "gamma gamma 1.0", "gamma trailing"]
    assert study.matrix.steps == [2, 5, 10]
    assert "gamma trailing: 9.00 at 5 sampling steps" in study.plots[0].wide
    assert "gamma trailing" in check_page(render(folder) / "demo.html").text


def test_it_may_stand_in_a_file_beside_the_suite(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(FUNCTION)
    found = planned(tmp_path, {"mine": {"method": "own.py:gamma_step", "steps": 5}})["mine"]
    assert (found["walk"]["label"], found["walk"]["steps"], found["nfe"]) == ("gamma_step", 5, 5)
    with pytest.raises(InputError, match=r"ddpm: samplers: mine: .*own.py:gamma_step.*: unknown key: found 'gama'"):
        planned(tmp_path, {"mine": {"method": "own.py:gamma_step", "gama": 1.0}})


def test_a_sampler_may_own_its_walk(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Restarts: after each step to s, the noise of t is added again and the step is repeated."""

    def restart(schedule: Schedule, noise: Noise, *, times: int = 1) -> Walk:
        step = samplers.ddim_step(schedule, noise)

        def walk(predict: Predict, x_T: Images, timesteps: Sequence[int]) -> Iterator[Images]:
            x = x_T
            for t, s in zip(timesteps, [*timesteps[1:], 0], strict=True):
                for _ in range(times):
                    ratio = schedule.alpha_bar(t) / schedule.alpha_bar(s)
                    x_s = step(predict, x, t, s)
                    yield x_s
                    x = ratio**0.5 * x_s + (1 - ratio) ** 0.5 * noise.normal(*x.shape[1:])
                x = step(predict, x, t, s)
                yield x

        return walk

    monkeypatch.setitem(samplers.SAMPLERS, "restart", restart)
    found = planned(tmp_path, {"once": {"method": "restart", "steps": 4}, "never": {"method": "restart", "times": 0}})
    assert [(option["walk"]["steps"], option["nfe"]) for option in found.values()] == [(8, 8), (20, 20)]
    assert [option["stochastic"] for option in found.values()] == [True, False]
    never, ddim = (drawn(model, {"method": "restart", "times": 0}), drawn(model, {"method": "ddim"}))
    assert torch.equal(never, ddim)


def test_the_old_key_still_works_and_says_so_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    old = {"few": {"step": "ddim", "steps": 5}, "more": {"step": "ddim", "steps": 10, "eta": None}}
    new = {name: {{"step": "method"}.get(key, key): value for key, value in o.items()} for name, o in old.items()}
    with caplog.at_level(logging.WARNING):
        found = planned(tmp_path, old)
    (said,) = [record.getMessage() for record in caplog.records]
    assert said == (
        f"{tmp_path}/toy.yaml: models: ddpm: samplers: few: key 'step' is now 'method'; it still works; so in 1 more"
    )
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert planned(tmp_path, new) == found
    assert not caplog.records
    assert found["few"]["options"] == {"method": "ddim", "steps": 5}


@pytest.mark.parametrize(
    ("source", "options", "argument"),
    [  # a job's parameters as before the key `method`; if they changed, Snakemake would draw all images again
        ("diffusion.Diffusion", {"method": "ddim", "steps": 50}, '{"step": "ddim", "steps": 50}'),
        ("diffusion.Diffusion", {"step": "ddim", "steps": 50}, '{"step": "ddim", "steps": 50}'),
        ("diffusevae.DiffuseVAE", {"prior": "mixture", "method": "ddpm"}, '{"prior": "mixture", "step": "ddpm"}'),
        (
            "cold.ColdDiffusion",
            {"mode": "reconstruct", "method": "naive"},
            '{"mode": "reconstruct", "algorithm": "naive"}',
        ),
        ("diffusion.Diffusion", {"method": "gamma"}, '{"method": "gamma"}'),
        ("diffusion.Diffusion", {}, "{}"),
        ("./flow.py:Flow#0123456789abcdef", {"method": "heun", "step": 0.1}, '{"method": "heun", "step": 0.1}'),
    ],
)
def test_a_key_with_a_new_name_draws_nothing_again(source: str, options: dict, argument: str) -> None:
    assert sampler_argument({"model": {"class": source}, "samplers": {"few": options}}, "few") == argument


def test_so_does_a_published_checkpoint() -> None:
    entry = {"pretrained": {"format": "diffusers", "path": "."}, "samplers": {"few": {"method": "ddim"}}}
    assert sampler_argument(entry, "few") == '{"step": "ddim"}'
