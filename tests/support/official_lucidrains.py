"""The U-Nets of lucidrains' denoising-diffusion-pytorch, to compare with ours: weights by formula for both.

    PYTHONPATH=SITE:. python tests/support/official_lucidrains.py RELEASE tests/support/data/lucidrains.json

adds the outputs and samples of the library's network in one of RELEASES, installed in SITE. Tests compare ours with
this file, without the library. It also prints the difference of ours from it, at full size as well.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from official_ddgan import uniform, weights
from official_improved_diffusion import Draws, rounded
from torch import Tensor, nn

SIZE, T = 16, 25
TINY = {"dim": 8, "dim_mults": (1, 2, 4), "channels": 1}
COURSE = {"dim": 64, "dim_mults": (1, 2, 4, 8), "channels": 3}
# Releases that cover every layout and nearly every difference that no tensor shows, with their networks' options.
RELEASES: dict[str, dict[str, Any]] = {
    "0.25.3": {},
    "0.26.1": {},
    "0.27.9": {},
    "0.30.0": {"learned_variance": True},
    "1.0.7": {},
    "1.7.6": {},
    "1.8.8": {"full_attn": (False, True, True), "attn_heads": 2},
    "1.9.4": {},
    "2.3.4": {"init_dim": 16, "attn_heads": 2, "attn_dim_head": 16},
}
CHAINS = {  # (objective, schedule, steps, eta); T steps are ancestral sampling, fewer are DDIM
    "pred_noise, cosine": ("pred_noise", "cosine", T, 0.0),
    "pred_noise, linear, DDIM": ("pred_noise", "linear", 10, 0.0),
    "pred_x0, sigmoid, DDIM": ("pred_x0", "sigmoid", 7, 0.5),
    "pred_v, sigmoid": ("pred_v", "sigmoid", T, 0.0),
}
OF = {"0.27.9": ["pred_noise, cosine"], "2.3.4": list(CHAINS)}  # the chains that are saved, by release


def inputs(channels: int = 1, size: int = SIZE) -> tuple[Tensor, Tensor]:
    """Four images x_t and the network's times."""
    return 2 * uniform("x_t", (4, channels, size, size)), torch.tensor([0, 3, 500, 999])


def official_weights(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Weights by formula; those of normalisations over channels are around 1."""
    values = weights(shapes)
    return {name: 1 + 0.5 * value if name.endswith(".g") else value for name, value in values.items()}


@contextmanager
def given_noise(draws: Draws) -> Iterator[None]:
    with (
        mock.patch("torch.randn", lambda shape, **_: draws.normal(*shape[1:])),
        mock.patch("torch.randn_like", lambda x: draws.normal(*x.shape[1:])),
    ):
        yield


def official_network(**options: Any) -> nn.Module:
    from denoising_diffusion_pytorch import Unet

    network = Unet(**options).eval()
    network.load_state_dict(official_weights({name: tuple(v.shape) for name, v in network.state_dict().items()}))
    return network


def official_process(network: nn.Module, objective: str, schedule: str, steps: int, eta: float) -> nn.Module:
    from denoising_diffusion_pytorch import GaussianDiffusion

    sampling = {"sampling_timesteps": steps, "ddim_sampling_eta": eta}
    return GaussianDiffusion(
        network, image_size=SIZE, timesteps=T, objective=objective, beta_schedule=schedule, **sampling
    )


@torch.no_grad()
def official_samples(process: nn.Module) -> Tensor:
    """Four samples in [-1, 1]."""
    with given_noise(Draws(4)):
        return 2 * process.sample(batch_size=4) - 1


def compare(release: str, theirs: nn.Module, options: Mapping[str, Any], size: int) -> None:
    """Print the largest difference between the two networks, ours imported from a file of their weights."""
    import tempfile

    from genbench.importing import read_checkpoint
    from genbench.models import build

    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/model.pt"
        torch.save({"model_state_dict": theirs.state_dict()}, path)
        imported = read_checkpoint(
            "lucidrains", path, image_size=size, timesteps=1000, schedule="cosine", prediction="eps", version=release,
            **({"num_heads": options["attn_heads"]} if "attn_heads" in options else {}),
        )  # fmt: skip
    ours = build(imported.model, imported.image_shape)
    ours.load_state_dict(imported.tensors)
    ours.eval()
    x_t, t = inputs(options["channels"], size)
    with torch.no_grad():
        expected, found = theirs(x_t, t), ours.get_submodule("denoiser")(x_t, t)
    count = sum(parameter.numel() for parameter in theirs.parameters())
    difference = float((found - expected).abs().max())
    largest = float(expected.abs().max())
    print(f"{release}: {count:,} parameters, largest answer {largest:.3f}, difference {difference:.1e}")


if __name__ == "__main__":
    release, file = sys.argv[1], Path(sys.argv[2])
    numbers = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    numbers["note"] = (
        "What releases of denoising-diffusion-pytorch answer and draw with the weights and inputs of "
        "tests/support/official_lucidrains.py, which wrote this file. Every third pixel each way."
    )
    options = TINY | RELEASES[release]
    network = official_network(**options)
    with torch.no_grad():
        numbers[release] = rounded(network(*inputs()))
    compare(release, network, options, SIZE)
    if not RELEASES[release]:
        compare(release, official_network(**COURSE), COURSE, 32)
    for name in OF.get(release, []):
        numbers[f"{release}, {name}"] = rounded(official_samples(official_process(network, *CHAINS[name])))
    file.write_text(json.dumps(numbers) + "\n", encoding="utf-8")
