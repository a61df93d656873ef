"""Our U-Net equals that of OpenAI's improved diffusion, after importing its checkpoints."""

import json
import math
import os
from pathlib import Path

import pytest
import torch
from official_ddgan import weights
from official_improved_diffusion import (
    CIFAR10,
    FULL_SIZE,
    PROCESSES,
    TINY,
    Draws,
    T,
    inputs,
    official_answers,
    official_network,
    official_process,
)

from genbench.importing import import_checkpoint
from genbench.importing.improved_diffusion import official_shapes
from genbench.models.diffusion import Diffusion
from genbench.networks.unet import UNet
from genbench.sampling.checkpoint import load_model


def our_unet(options: dict) -> UNet:
    """Build our network from their arguments."""
    size = options["image_size"]
    with torch.device("meta"):
        return UNet(
            image_shape=(options["in_channels"], size, size),
            out_channels=options["out_channels"],
            channels=options["model_channels"],
            channel_mult=options["channel_mult"],
            num_res_blocks=options["num_res_blocks"],
            attention_resolutions=[size // factor for factor in options["attention_resolutions"]],
            num_heads=options["num_heads"],
            up_num_heads=options.get("num_heads_upsample"),
            scale_shift_norm=options["use_scale_shift_norm"],
        )


def imported(
    state: dict[str, torch.Tensor],
    options: dict,
    folder: Path,
    timesteps: int = T,
    schedule: str = "cosine",
    **process: object,
) -> Diffusion:
    """Import their state dict as a model."""
    torch.save(state, folder / "model000100.pt")
    given = {"image_size": options["image_size"], "num_heads": options["num_heads"]}
    given |= {key: options[key] for key in ("num_heads_upsample",) if key in options}
    given |= {"timesteps": timesteps, "schedule": schedule, **process}
    import_checkpoint("improved-diffusion", folder / "model000100.pt", folder / "model.safetensors", **given)
    model, _ = load_model(folder / "model.safetensors")
    assert isinstance(model, Diffusion)
    return model


@torch.no_grad()
def our_answers(model: Diffusion, options: dict) -> torch.Tensor:
    """Return the network's output, reassembled from the prediction and the fraction (v + 1) / 2 of the variance."""
    prediction, fraction = model.evaluate(*inputs(options))
    return prediction if fraction is None else torch.cat([prediction, 2 * fraction - 1], dim=1)


@pytest.mark.parametrize("name", TINY)
def test_it_answers_as_the_authors_network_did(name: str, tmp_path: Path) -> None:
    options = TINY[name]
    model = imported(weights(official_shapes(our_unet(options))), options, tmp_path)
    data = Path(__file__).parents[1] / "support/data" / "improved_diffusion.json"
    expected = torch.tensor(json.loads(data.read_text(encoding="utf-8"))[name])
    found = our_answers(model, options)[:, :, ::3, ::3]
    torch.testing.assert_close(found, expected, rtol=0, atol=3e-5)


@pytest.mark.parametrize(("name", "process"), [(name, process) for name in PROCESSES for process in PROCESSES[name]])
def test_it_draws_and_weighs_images_as_the_authors_process_did(name: str, process: str, tmp_path: Path) -> None:
    given: dict[str, object] = dict(PROCESSES[name][process])
    given.pop("learn_sigma", None)
    if given.pop("predict_xstart", False):
        given["prediction"] = "x0"
    options = TINY[name]
    state = weights(official_shapes(our_unet(options)))
    model = imported(state, options, tmp_path, timesteps=25, schedule="linear", **given)
    data = Path(__file__).parents[1] / "support/data" / "improved_diffusion.json"
    expected = json.loads(data.read_text(encoding="utf-8"))[f"{name}, {process}"]
    with torch.no_grad():
        samples = model.sample(Draws(4))[:2, :, ::3, ::3]
        prior, terms = model.bits_per_dim(inputs(options)[0].clamp(-1, 1), Draws(4))
    torch.testing.assert_close(samples, torch.tensor(expected["samples"]), rtol=0, atol=1e-4)
    bits = torch.tensor(expected["bits per dimension"])
    torch.testing.assert_close(prior + terms.sum(1), bits, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("out_channels", "expected"), [(6, 52_546_438), (3, 52_542_979)])
def test_it_has_the_authors_parameters(out_channels: int, expected: int) -> None:
    unet = our_unet(CIFAR10 | {"out_channels": out_channels})
    assert sum(parameter.numel() for parameter in unet.parameters()) == expected


needs_their_code = pytest.mark.skipif(
    "GENBENCH_IMPROVED_DIFFUSION_REPO" not in os.environ,
    reason="GENBENCH_IMPROVED_DIFFUSION_REPO names no checkout of github.com/openai/improved-diffusion",
)


@pytest.mark.slow
@needs_their_code
@pytest.mark.parametrize("name", [*TINY, *FULL_SIZE])
def test_it_answers_as_the_authors_network_does(name: str, tmp_path: Path) -> None:
    options = (TINY | FULL_SIZE)[name]
    network = official_network(os.environ["GENBENCH_IMPROVED_DIFFUSION_REPO"], options)
    found = our_answers(imported(network.state_dict(), options, tmp_path), options)
    torch.testing.assert_close(found, official_answers(network, options), rtol=0, atol=1e-4)


@needs_their_code
@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_its_steps_are_the_authors(name: str, schedule: str, tmp_path: Path) -> None:
    options, steps = TINY[name], 100
    learned = options["out_channels"] == 2 * options["in_channels"]
    network = official_network(os.environ["GENBENCH_IMPROVED_DIFFUSION_REPO"], options)
    process = official_process(os.environ["GENBENCH_IMPROVED_DIFFUSION_REPO"], steps, schedule, learned)
    model = imported(network.state_dict(), options, tmp_path, timesteps=steps, schedule=schedule)
    x_t, _ = inputs(options)
    predict = model.predictor(clip=True)
    for t in (2, 50, steps):
        with torch.no_grad():
            expected = process.p_mean_variance(network, x_t, torch.full((len(x_t),), t - 1), clip_denoised=True)
            predicted = predict(x_t, t)
        posterior = model.schedule.q_posterior(t, t - 1)
        atol = 1e-5 + 3e-6 / math.sqrt(model.schedule.alpha_bar(t))  # eps_hat's error grows as the share of x0 falls
        torch.testing.assert_close(predicted.x0, expected["pred_xstart"], rtol=0, atol=atol)
        mean = posterior.x0_weight * predicted.x0 + posterior.xt_weight * x_t
        torch.testing.assert_close(mean, expected["mean"], rtol=0, atol=1e-4)
        if learned:
            beta = 1 - model.schedule.alpha_bar(t) / model.schedule.alpha_bar(t - 1)
            f = predicted.variance_fraction
            log_variance = f * math.log(beta) + (1 - f) * math.log(posterior.variance)
            torch.testing.assert_close(log_variance, expected["log_variance"], rtol=0, atol=1e-4)
