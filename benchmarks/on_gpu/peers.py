"""Three peers that need only torch, in turn with genbench: images per second of training and of sampling.

Their networks and functions come from their own checkouts. An iteration does not need the rest of their code, such as
argument parsers, data sets and process groups. Its operations, their order and its waits for the device are those of
their training scripts: dcgan/main.py, train_ddgan.py and improved_diffusion/train_util.py. They run with PyTorch's
defaults, ours with the pipeline's settings, which are bitwise reproducible.
"""

import ast
import copy
import importlib
import statistics
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.on_gpu.models import IMAGE_SHAPE, PRECISIONS, built, entry, fewer_steps, sampler, trainer
from benchmarks.on_gpu.pieces import Piece, Pieces, Setting, float32_mode, repeated
from benchmarks.on_gpu.sampling import drawing
from genbench.sampling.batch import sample_pixels


@dataclass(frozen=True)
class Peer:
    """A peer's work, called without arguments. batch_size: of an iteration; sample_batch_size: of a call of draw.

    parameters: Of all its networks. autotune: Whether its script lets cuDNN search for the fastest kernels.
    """

    train: Callable[[], Any]
    draw: Callable[[], Any]
    batch_size: int
    sample_batch_size: int
    parameters: int
    autotune: bool = False


def peers(at: Setting) -> Pieces:
    makers = {
        "dcgan-64": ("examples", dcgan),
        "ddgan": ("denoising-diffusion-gan", ddgan),
        "iddpm-hybrid": ("improved-diffusion", improved_diffusion),
    }
    for name in [name for name in makers if name in at.models]:
        folder, make = makers[name]
        for what in ("training", "sampling"):
            labels = {"what": f"{what}, beside a peer", "model": name, "peer": folder}
            yield Piece(labels, partial(_beside, at, name, folder, make, what))


def _beside(at: Setting, name: str, folder: str, make: Callable[..., Peer], what: str) -> dict[str, Any]:
    """Both sides in turn; images per second as the median of the rounds."""
    if at.peers is None or not (at.peers / folder).is_dir():
        return {"reason": f"needs --peers FOLDER with a checkout {folder}"}
    with as_torch_begins():
        peer = make(at.peers / folder, at)
    size = peer.batch_size if what == "training" else peer.sample_batch_size
    sides: dict[str, Callable[[], Any]] = {"theirs": peer.train if what == "training" else peer.draw}
    for precision in PRECISIONS:
        if what == "training":
            found = entry(name, at.tiny, precision=precision, batch_size=size)
            sides[precision] = trainer(found, at.random_images(at.either(10_000, 16)), at.device).advance
        else:
            model = drawing(built(entry(name, at.tiny)["model"], at.device, filled=True), precision)
            seeds = torch.arange(size, device=at.device)
            sides[precision] = partial(sample_pixels, model, seeds, fewer_steps(sampler(name, at.tiny)))
    rates: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(-1, at.either(3, 1)):
        for side, work in sides.items():
            settings = as_torch_begins(peer.autotune) if side == "theirs" else float32_mode(tf32=True)
            with settings:
                count, took = repeated(work, at.device, at.either(0.7, 0), warm_up=2 if number < 0 else 0)
            if number >= 0:
                rates[side].append(count * size / took)
    median = {side: statistics.median(found) for side, found in rates.items()}
    ours = parameters(built(entry(name, at.tiny)["model"], torch.device("cpu")))
    return {
        "batch_size": size,
        "parameters": {"theirs": peer.parameters, "ours": ours},
        "images_per_second": median,
        "ratio": {side: median[side] / median["theirs"] for side in PRECISIONS},
    }


@contextmanager
def as_torch_begins(autotune: bool = False) -> Iterator[None]:
    """PyTorch's defaults: any kernels, TF32 in convolutions but not in matrix products."""
    deterministic, benchmark = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark = autotune
    try:
        with float32_mode(tf32=True):
            torch.backends.cuda.matmul.allow_tf32 = False
            yield
    finally:
        torch.use_deterministic_algorithms(deterministic, warn_only=True)
        torch.backends.cudnn.benchmark = benchmark


def parameters(*networks: nn.Module) -> int:
    """The number of learned parameters."""
    return sum(parameter.numel() for network in networks for parameter in network.parameters())


def definitions(path: Path, scope: dict[str, Any]) -> types.SimpleNamespace:
    """The functions and classes of a script, in a scope of other names, without the rest of it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    exec(compile(tree, str(path), "exec"), scope)
    return types.SimpleNamespace(**scope)


def load(repository: Path, *names: str) -> list[types.ModuleType]:
    """Modules of a checkout."""
    with mock.patch.object(sys, "path", [str(repository), *sys.path]):
        return [importlib.import_module(name) for name in names]


def dcgan(repository: Path, at: Setting) -> Peer:
    """PyTorch's example at its own size, 64 x 64."""
    width, size, device = at.either(64, 8), at.either(128, 4), at.device
    theirs = definitions(
        repository / "dcgan/main.py", {"torch": torch, "nn": nn, "nz": 100, "ngf": width, "ndf": width, "nc": 3}
    )
    generator, discriminator = (network(1).to(device) for network in (theirs.Generator, theirs.Discriminator))
    for network in (generator, discriminator):
        network.apply(theirs.weights_init)
    criterion = nn.BCELoss()
    optimizer_d, optimizer_g = (
        torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999)) for network in (discriminator, generator)
    )
    images = torch.rand(size, 3, 64, 64) * 2 - 1

    def train() -> None:
        discriminator.zero_grad()
        real = images.to(device)
        label = torch.full((size,), 1.0, device=device)
        output = discriminator(real)
        criterion(output, label).backward()
        output.mean().item()
        fake = generator(torch.randn(size, 100, 1, 1, device=device))
        label.fill_(0)
        output = discriminator(fake.detach())
        criterion(output, label).backward()
        output.mean().item()
        optimizer_d.step()
        generator.zero_grad()
        label.fill_(1)
        output = discriminator(fake)
        criterion(output, label).backward()
        output.mean().item()
        optimizer_g.step()

    draws = at.either(500, 4)

    def draw() -> None:
        with torch.no_grad():
            generator(torch.randn(draws, 100, 1, 1, device=device))

    return Peer(train, draw, size, draws, parameters(generator, discriminator), autotune=True)


def ddgan(repository: Path, at: Setting) -> Peer:
    """NVlabs' networks with the options of their README for CIFAR-10, with their PyTorch operations: the kernels of
    their extensions would have to be compiled first."""
    size, draws, device = at.either(64, 4), at.either(200, 4), at.device
    with mock.patch("torch.utils.cpp_extension.load", return_value=types.SimpleNamespace()):
        names = ("ncsnpp_generator_adagn", "discriminator", "up_or_down_sampling")
        networks, discriminators, resampling = load(repository, *(f"score_sde.models.{name}" for name in names))
        (operations, averages) = load(repository, "score_sde.op.upfirdn2d", "EMA")

    def upfirdn2d(x: Any, kernel: Any, up: int = 1, down: int = 1, pad: tuple[int, int] = (0, 0)) -> Any:
        return operations.upfirdn2d_native(x, kernel, up, up, down, down, *pad, *pad)

    resampling.upfirdn2d = upfirdn2d  # their version for CPUs
    script = definitions(repository / "train_ddgan.py", {"torch": torch, "np": np, "nn": nn, "F": F})
    options = types.SimpleNamespace(
        dataset="cifar10", image_size=32, num_channels=3, centered=True, use_geometric=False, beta_min=0.1,
        beta_max=20.0, num_channels_dae=at.either(128, 16), n_mlp=4, ch_mult=at.either([1, 2, 2, 2], [1, 2]),
        num_res_blocks=at.either(2, 1), attn_resolutions=(16,), dropout=0.0, resamp_with_conv=True, conditional=True,
        fir=True, fir_kernel=[1, 3, 3, 1], skip_rescale=True, resblock_type="biggan", progressive="none",
        progressive_input="residual", progressive_combine="sum", embedding_type="positional", fourier_scale=16.0,
        not_use_tanh=False, nz=100, num_timesteps=4, z_emb_dim=256, t_emb_dim=256, ngf=at.either(64, 8),
    )  # fmt: skip
    generator = networks.NCSNpp(options).to(device)
    discriminator = discriminators.Discriminator_small(nc=6, ngf=options.ngf, t_emb_dim=256, act=nn.LeakyReLU(0.2)).to(
        device
    )
    optimizer_d = torch.optim.Adam(discriminator.parameters(), lr=1.25e-4, betas=(0.5, 0.9))
    optimizer_g = averages.EMA(torch.optim.Adam(generator.parameters(), lr=1.6e-4, betas=(0.5, 0.9)), ema_decay=0.9999)
    forward, posterior = script.Diffusion_Coefficients(options, device), script.Posterior_Coefficients(options, device)
    images, step = torch.rand(size, 3, 32, 32) * 2 - 1, 0

    def fake_logits(x_t: Any, t: Any) -> Any:
        x0 = generator(x_t.detach(), t, torch.randn(size, 100, device=device))
        return discriminator(script.sample_posterior(posterior, x0, x_t, t), t, x_t.detach()).view(-1)

    def train() -> None:
        nonlocal step
        for parameter in discriminator.parameters():
            parameter.requires_grad = True
        discriminator.zero_grad()
        real = images.to(device, non_blocking=True)
        t = torch.randint(0, 4, (size,), device=device)
        x_s, x_t = script.q_sample_pairs(forward, real, t)
        x_s.requires_grad = True
        logits = discriminator(x_s, t, x_t.detach()).view(-1)
        F.softplus(-logits).mean().backward(retain_graph=True)
        if step % 15 == 0:
            (gradient,) = torch.autograd.grad(outputs=logits.sum(), inputs=x_s, create_graph=True)
            (0.01 * (gradient.view(size, -1).norm(2, dim=1) ** 2).mean()).backward()
        F.softplus(fake_logits(x_t, t)).mean().backward()
        optimizer_d.step()
        for parameter in discriminator.parameters():
            parameter.requires_grad = False
        generator.zero_grad()
        t = torch.randint(0, 4, (size,), device=device)
        _, x_t = script.q_sample_pairs(forward, real, t)
        F.softplus(-fake_logits(x_t, t)).mean().backward()
        optimizer_g.step()
        step += 1

    def draw() -> None:
        start = torch.randn(draws, 3, 32, 32, device=device)
        script.sample_from_model(posterior, generator, 4, start, None, options)

    return Peer(train, draw, size, draws, parameters(generator, discriminator))


def improved_diffusion(repository: Path, at: Setting) -> Peer:
    """OpenAI's U-Net and process, with the options of their README for CIFAR-10 and L_hybrid."""
    size, draws, device = at.either(128, 4), at.either(100, 2), at.device
    util, resample, layers = load(repository, *(f"improved_diffusion.{n}" for n in ("script_util", "resample", "nn")))
    options = util.model_and_diffusion_defaults() | {
        "image_size": 32, "num_channels": at.either(128, 32), "num_res_blocks": at.either(3, 1), "learn_sigma": True,
        "dropout": 0.3, "diffusion_steps": 4000, "noise_schedule": "cosine",
    }  # fmt: skip
    network, process = util.create_model_and_diffusion(**options)
    _, respaced = util.create_model_and_diffusion(**options | {"timestep_respacing": at.either("10", "2")})
    network.to(device)
    weights = list(network.parameters())
    average, optimizer = copy.deepcopy(weights), torch.optim.AdamW(weights, lr=1e-4, weight_decay=0.0)
    times = resample.create_named_schedule_sampler("uniform", process)
    images = torch.rand(size, *IMAGE_SHAPE) * 2 - 1

    def train() -> None:
        for parameter in weights:
            if parameter.grad is not None:
                parameter.grad.detach_()
                parameter.grad.zero_()
        network.train()
        t, factors = times.sample(size, device)
        losses = process.training_losses(network, images.to(device), t, model_kwargs={})
        loss = (losses["loss"] * factors).mean()
        for values in losses.values():  # for their log, by quarter of the times
            (values * factors).mean().item()
            t.cpu(), values.detach().cpu()
        loss.backward()
        sum((parameter.grad**2).sum().item() for parameter in weights)  # for their log
        optimizer.step()
        layers.update_ema(average, weights, rate=0.9999)

    def draw() -> None:
        network.eval()
        with torch.no_grad():
            respaced.p_sample_loop(network, (draws, *IMAGE_SHAPE), clip_denoised=True, device=device)

    return Peer(train, draw, size, draws, parameters(network))
