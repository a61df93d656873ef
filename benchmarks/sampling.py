"""Images from one batch of noise: the same networks, weights and noise, with our samplers and with a peer's.

The peers get their noise ready-made; ours is drawn from the seed of each image, as always. The images are compared.
"""

import copy
import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import peers
from benchmarks.comparison import Comparison, Setting, Work
from benchmarks.training import entry
from genbench.importing.diffusers_names import to_official
from genbench.importing.export import unet_config
from genbench.importing.improved_diffusion import from_official as from_improved_diffusion
from genbench.importing.nvlabs_ddgan import Network
from genbench.importing.nvlabs_ddgan import from_official as from_nvlabs
from genbench.models import Model, build
from genbench.networks.unet import UNet
from genbench.processes.noise import Noise
from genbench.sampling.batch import sample_pixels
from genbench.sampling.quantisation import quantise

CPU = torch.device("cpu")


def our_model(name: str, image_shape: tuple[int, int, int] = (3, 32, 32), **model: Any) -> Model:
    """A suite's model, untrained, ready for sampling as a checkpoint is."""
    torch.manual_seed(0)
    built = build(entry(name, **model)[0], image_shape)
    return built.to(memory_format=torch.channels_last).eval().requires_grad_(False)


def comparison(
    model: Model,
    theirs: Callable[[], np.ndarray],
    batch_size: int,
    options: Mapping[str, Any] | None = None,
    rounds: int = 3,
) -> Comparison:
    """A batch of uint8 images (N, H, W, C) of seeds from 0, in bf16 and in fp32, compared with theirs."""
    chosen = model.check_sampler(options or {})
    in_bf16 = copy.deepcopy(model)
    quantise(in_bf16, "bf16", CPU, chosen)

    def draw(model: Model) -> Callable[[], np.ndarray]:
        return lambda: sample_pixels(model, torch.arange(batch_size), chosen).numpy()

    return Comparison(
        theirs=theirs,
        ours={"bf16": draw(in_bf16), "fp32": draw(model)},
        rounds=rounds,
        batch_size=batch_size,
        remark=apart,
    )


def apart(theirs: np.ndarray, ours: np.ndarray) -> str:
    difference = np.abs(theirs.astype(int) - ours.astype(int))
    return f"images apart by {difference.mean():.2g} of 255, at most {difference.max()}"


def to_uint8(images: Tensor) -> np.ndarray:
    """(N, C, H, W) in [-1, 1] to uint8 (N, H, W, C), as OpenAI's script does."""
    return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def noise_of(batch_size: int, *shapes: tuple[int, ...]) -> list[Tensor]:
    """The noise that our samplers draw first, second and so on, in these shapes."""
    noise = Noise(torch.arange(batch_size))
    return [noise.normal(*shape) for shape in shapes]


@contextmanager
def replayed(draws: list[Tensor]) -> Iterator[None]:
    """torch.randn and torch.randn_like return these in turn."""
    ready = iter(draws)
    give = lambda *_, **__: next(ready)  # noqa: E731
    with mock.patch("torch.randn", side_effect=give), mock.patch("torch.randn_like", side_effect=give):
        yield


def some_weights(network: nn.Module) -> None:
    """Add noise to all weights, since some layers are zero when training begins."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.01)


def ddim(setting: Setting) -> Comparison:
    from diffusers.models.unets.unet_2d import UNet2DModel
    from diffusers.pipelines.ddim.pipeline_ddim import DDIMPipeline
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    batch_size, model = 4, our_model("cifar10/ddpm")
    unet = model.get_submodule("denoiser")
    assert isinstance(unet, UNet)
    some_weights(unet)
    peer = UNet2DModel.from_config(unet_config(unet, entry("cifar10/ddpm")[0]["denoiser"], (3, 32, 32)))
    peer.load_state_dict(to_official(unet))
    pipeline = DDIMPipeline(peer.eval(), DDIMScheduler(beta_schedule="linear", clip_sample=True))
    pipeline.set_progress_bar_config(disable=True)
    (x_T,) = noise_of(batch_size, (3, 32, 32))

    def theirs() -> np.ndarray:
        with mock.patch("diffusers.pipelines.ddim.pipeline_ddim.randn_tensor", return_value=x_T):
            # eps_hat follows from the clipped x0_hat, as in ours
            found = pipeline(
                batch_size, num_inference_steps=10, output_type="np", use_clipped_model_output=True, return_dict=False
            )
        return (255 * np.asarray(found[0])).round().astype(np.uint8)

    return comparison(model, theirs, batch_size, {"method": "ddim", "steps": 10, "spacing": "leading"})


def iddpm(setting: Setting) -> Comparison:
    repository, batch_size, model = setting.peer("improved-diffusion"), 4, our_model("cifar10/iddpm-hybrid")
    options = {"image_size": 32, "num_res_blocks": 3, "learn_sigma": True, "timestep_respacing": "10"}
    network, process = peers.improved_diffusion(
        repository, options | {"diffusion_steps": 4000, "noise_schedule": "cosine"}
    )
    some_weights(network)
    unet = model.get_submodule("denoiser")
    assert isinstance(unet, UNet)
    unet.load_state_dict(from_improved_diffusion(network.eval().state_dict(), unet, repository))
    draws = noise_of(batch_size, *[(3, 32, 32)] * 11)

    def theirs() -> np.ndarray:
        with replayed(draws):
            return to_uint8(process.p_sample_loop(network, (batch_size, 3, 32, 32), device="cpu"))

    return comparison(model, theirs, batch_size, {"method": "ddpm", "respacing": "10"})


def ddgan(setting: Setting) -> Comparison:
    repository, batch_size, model = setting.peer("denoising-diffusion-gan"), 4, our_model("cifar10/ddgan")
    script, options = peers.ddgan_script(repository), peers.ddgan_options(batch_size)
    network = importlib.import_module("score_sde.models.ncsnpp_generator_adagn").NCSNpp(options).eval()
    some_weights(network)
    generator = model.get_submodule("generator")
    assert isinstance(generator, Network)
    generator.load_state_dict(from_nvlabs(network.state_dict(), generator, repository, "generator"))
    coefficients = script.Posterior_Coefficients(options, "cpu")
    x_T, *draws = noise_of(batch_size, (3, 32, 32), *[(100,), (3, 32, 32)] * 4)

    def theirs() -> np.ndarray:
        with replayed(draws):
            return to_uint8(script.sample_from_model(coefficients, network, 4, x_T, None, options))

    return comparison(model, theirs, batch_size)


def dcgan(setting: Setting) -> Comparison:
    batch_size, model = 128, our_model("cifar10/dcgan-64", (3, 64, 64), image_size=None)
    _, networks = peers.dcgan(setting.peer("examples"), torch.zeros(2, 3, 64, 64), setting.folder)
    network = networks["generator"].eval()
    state = {key.replace("main.", "layers."): value for key, value in network.state_dict().items()}
    model.get_submodule("generator").load_state_dict(state)
    (z,) = noise_of(batch_size, (100,))

    def theirs() -> np.ndarray:
        with torch.no_grad():
            return to_uint8(network(z[:, :, None, None]))

    return comparison(model, theirs, batch_size, rounds=7)


WORKS = (
    Work(
        "sample-ddim",
        "sample DDPM's U-Net, DDIM of 10 steps",
        "diffusers' DDIMPipeline",
        ddim,
        before="1.03",
        versions=("diffusers",),
    ),
    Work(
        "sample-iddpm",
        "sample improved diffusion, 10 steps",
        "OpenAI's code",
        iddpm,
        before="1.06-1.11",
        versions=("improved-diffusion",),
    ),
    Work(
        "sample-ddgan",
        "sample DDGAN, 4 steps",
        "NVlabs' code, its PyTorch operations",
        ddgan,
        before="1.23",
        versions=("denoising-diffusion-gan",),
    ),
    Work("sample-dcgan", "sample DCGAN 64", "PyTorch's example", dcgan, before="1.28", versions=("examples",)),
)
