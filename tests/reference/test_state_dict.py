"""`format: state-dict` reads files with any tensor names, such as those of students, without Python code."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from official_ddgan import weights
from official_improved_diffusion import Draws
from torch import nn

from genbench.errors import InputError
from genbench.importing import import_checkpoint, read_checkpoint
from genbench.models import build
from genbench.models.cold import ColdDiffusion
from genbench.models.diffusion import Diffusion
from genbench.processes.noise import Noise
from genbench.sampling.checkpoint import load_model
from genbench.suites.families import model_of, needed

State = dict[str, torch.Tensor]
GENERATOR = """
image_shape: [1, 28, 28]
model:
  class: gan.GAN
  latent_size: 5
  generator: {class: dcgan.Generator, channels: 4}
  discriminator: null
"""
OF_A_STUDENT = (
    GENERATOR
    + r"""
rename:
  '^up(\d)\.': 'generator.layers.\1.'
  '^norm_(\d)\.': 'generator.layers.\1.'
"""
)
OF_LIGHTNING = (
    GENERATOR
    + r"""
rename:
  '^(critic|loss)\.': null
  '^G\.net\.': 'generator.layers.'
"""
)
PROJECT_C = r"""
image_shape: [1, 28, 28]
model:
  class: diffusion.Diffusion
  schedule: {name: linear, beta_start: 0.01, beta_end: 0.1}
  timesteps: 10
  data_scale: 0.5
  time_input: fraction
  denoiser: {class: plain_cnn.PlainCNN, hidden_channels: [2, 3]}
rename:
  '^(beta_t|alpha_t)$': null
  '^gt\.frequencies$': null
  '^gt\.blocks\.2\.': 'denoiser.conv_out.'
  '^gt\.blocks\.(\d+)\.net\.': 'denoiser.blocks.\1.'
  '^gt\.time_embed\.': 'denoiser.time_mlp.'
"""
COLD = r"""
image_shape: [1, 28, 28]
model:
  class: cold.ColdDiffusion
  degradation: {name: columns, timesteps: 7, order: [3, 1, 0, 2, 6, 5, 4]}
  mixture_components: 0
  data_scale: 0.5
  time_input: fraction
  restorer: {class: plain_cnn.PlainCNN, hidden_channels: [2, 3]}
absent: ['^degradation\.']
rename:
  '^frequencies$': null
  '^blocks\.2\.': 'restorer.conv_out.'
  '^blocks\.(\d+)\.net\.': 'restorer.blocks.\1.'
  '^time_embed\.': 'restorer.time_mlp.'
"""


def saved(path: Path, value: object) -> Path:
    torch.save(value, path)
    return path


def generator_state() -> State:
    """Our generator's tensors, by formula."""
    options = yaml.safe_load(GENERATOR)
    state = build(options["model"], tuple(options["image_shape"])).state_dict()
    values = weights({name: tuple(value.shape) for name, value in state.items()})
    return {name: values[name].abs().to(value.dtype) for name, value in state.items()}


def theirs(layer: str) -> str:
    """Return a student's name for our layer: up0, norm_1, up3, norm_4, up6."""
    return f"norm_{layer}" if layer in "14" else f"up{layer}"


def of_a_student() -> State:
    named = {name.removeprefix("generator.layers."): value for name, value in generator_state().items()}
    return {f"{theirs(name[0])}{name[1:]}": value for name, value in named.items()}


def of_lightning() -> State:
    ours = {name.replace("generator.layers.", "G.net."): value for name, value in generator_state().items()}
    return ours | {"critic.0.weight": torch.zeros(3, 4), "loss.weight": torch.zeros(2)}


@pytest.mark.parametrize(
    ("options", "content"),
    [
        (OF_A_STUDENT, of_a_student()),
        (OF_A_STUDENT, {f"module.{name}": value for name, value in of_a_student().items()}),
        (OF_A_STUDENT, {f"_orig_mod.{name}": value for name, value in of_a_student().items()}),
        (OF_LIGHTNING, {"state_dict": of_lightning(), "epoch": 3, "pytorch-lightning_version": "2.4.0"}),
    ],
    ids=["a student's", "DataParallel", "compiled", "Lightning"],
)
def test_a_dcgan_of_other_names_is_read(options: str, content: dict[str, Any], tmp_path: Path) -> None:
    path, out = saved(tmp_path / "netG.pth", content), tmp_path / "model.safetensors"
    info = import_checkpoint("state-dict", path, out, **yaml.safe_load(options))
    model, _ = load_model(out)
    expected = generator_state()
    assert all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())
    assert model.sample(Noise(torch.arange(2))).shape == (2, 1, 28, 28)
    assert info["imported"]["options"]["rename"] == yaml.safe_load(options)["rename"]


class ProjectC(nn.Module):
    """Project C's network, from its description: blocks of 7x7 at full resolution, time added after the first."""

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        for before, after in zip([1, *widths], widths, strict=False):
            block = nn.Module()
            block.net = nn.Sequential(nn.Conv2d(before, after, 7, padding=3), nn.LayerNorm((after, 28, 28)), nn.GELU())
            blocks.append(block)
        self.blocks = nn.ModuleList([*blocks, nn.Conv2d(widths[-1], 1, 3, padding=1)])
        parts: list[nn.Module] = [nn.Linear(32, 128), nn.GELU()]
        parts += [nn.Linear(128, 128), nn.GELU(), nn.Linear(128, 128), nn.GELU(), nn.Linear(128, widths[0])]
        self.time_embed = nn.Sequential(*parts)
        self.register_buffer("frequencies", torch.tensor([0.0, *(2 * math.pi * 1.5**i for i in range(15))]))

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        phases = t[:, None] * self.frequencies
        time = self.time_embed(torch.cat([phases.sin(), phases.cos() - 1], dim=1))
        h = self.blocks[0].net(x) + time[:, :, None, None]
        return self.blocks[2](self.blocks[1].net(h))


def project_c() -> ProjectC:
    torch.manual_seed(0)
    return ProjectC([2, 3]).eval()


@torch.no_grad()
def test_project_c_s_diffusion_draws_what_its_own_sampler_does(tmp_path: Path) -> None:
    network, T = project_c(), 10
    betas = torch.linspace(0, 0.1, T + 1)  # beta_0 .. beta_T; beta_0 > 0 would add noise again at t = 0
    abar = torch.exp(torch.cumsum(torch.log(1 - betas), 0))
    state = {f"gt.{name}": value for name, value in network.state_dict().items()} | {"beta_t": betas, "alpha_t": abar}
    path = saved(tmp_path / "ddpm_mnist_20_default.pth", state)
    imported = read_checkpoint("state-dict", path, **yaml.safe_load(PROJECT_C))
    model = build(imported.model, imported.image_shape)
    assert isinstance(model, Diffusion)
    model.load_state_dict(imported.tensors)
    draws = Draws(3)
    z = draws.normal(1, 28, 28)
    for t in range(T, 0, -1):
        eps = network(z, torch.full((3,), t / T))
        z = (z - betas[t] / (1 - abar[t]).sqrt() * eps) / (1 - betas[t]).sqrt()
        z = z + betas[t].sqrt() * draws.normal(1, 28, 28) if t > 1 else z
    found = model.sample(Draws(3), method="ddpm", variance="large", clip=False)
    torch.testing.assert_close(found, 2 * z, rtol=0, atol=2e-5)  # the project's images are in [-0.5, 0.5]


@torch.no_grad()
def test_project_c_s_cold_diffusion_restores_as_it_does(tmp_path: Path) -> None:
    network, options = project_c(), yaml.safe_load(COLD)
    path = saved(tmp_path / "custom_mnist_40_col_default_7.pth", network.state_dict())
    imported = read_checkpoint("state-dict", path, **options)
    assert imported.note.endswith(
        "; not in the file and as the entry builds them: degradation.ranks, degradation.modes"
    )
    model = build(imported.model, imported.image_shape)
    assert isinstance(model, ColdDiffusion)
    model.load_state_dict(imported.tensors)
    x0 = Draws(3).normal(1, 28, 28).clamp(-1, 1)
    x_t = model.degradation(x0, 1)
    assert ((x_t != x0).any(dim=(0, 1, 2)).nonzero().flatten() == torch.arange(12, 16)).all()  # block 3 comes first
    t = torch.full((3,), 1)
    torch.testing.assert_close(model.restore(x_t, t), 2 * network(x_t / 2, t / 7), rtol=0, atol=1e-5)
    entry = {"pretrained": {"format": "state-dict", **options}}
    assert needed(model_of(entry), {"mode": "reconstruct"}) == "images"
    assert model.sample(Noise(torch.arange(3)), x0, mode="reconstruct").shape == x0.shape
    with pytest.raises(InputError, match=r"key 'mode': found 'generate', but mixture_components is 0"):
        model.check_sampler({})


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (
            {"up0.weight": (5, 4, 7, 7), "up6.weight": None, "extra": (2, 3)},
            {},
            r"missing: generator.layers.6.weight \(4, 1, 4, 4\); left over: extra \(2, 3\); "
            r"of another shape: generator.layers.0.weight: found \(5, 4, 7, 7\), expected \(5, 8, 7, 7\)",
        ),
        ({}, {"rename": {"^down": "x"}}, r"option rename: '\^down': found no tensor of such a name; it has up0.weight"),
        ({}, {"rename": {"up(": "x"}}, r"option rename: 'up\(': 'x': not a regular expression"),
        ({}, {"rename": {"^up0": r"\3"}}, r"option rename: '\^up0': '\\\\3': not a regular expression"),
        ({}, {"rename": {r"^norm_\d\.": "n."}}, "option rename: found two tensors 'n.weight', one of them 'norm_4.w"),
        ({}, {"image_shape": [28, 28]}, r"option image_shape: found \[28, 28\], expected channels, height and width"),
        ({}, {"model": {"class": "gan.GAM"}}, "model: class in genbench.models.gan: found 'GAM'"),
    ],
)
def test_what_does_not_fit_is_named(change: dict, options: dict, message: str, tmp_path: Path) -> None:
    state = of_a_student() | {name: torch.zeros(shape) for name, shape in change.items() if shape}
    path = saved(tmp_path / "netG.pth", {name: state[name] for name in state if change.get(name, ()) is not None})
    with pytest.raises(InputError, match=message) as caught:
        read_checkpoint("state-dict", path, **yaml.safe_load(OF_A_STUDENT) | options)
    assert "\n" not in str(caught.value)
