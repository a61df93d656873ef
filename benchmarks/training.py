"""Iterations of training: the same network, weights, batch size and optimizer in our trainer and in a peer's loop.

Ours draws its batch from a data set and all noise from the seed of each image, as always. The peers get their batch
ready-made, since their data loaders would make it in other processes.
"""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import peers, textbook
from benchmarks.comparison import Comparison, Setting, Work
from genbench.images import to_images
from genbench.importing.diffusers_names import from_official as from_diffusers
from genbench.importing.export import unet_config
from genbench.importing.improved_diffusion import from_official as from_improved_diffusion
from genbench.importing.nvlabs_ddgan import Network
from genbench.importing.nvlabs_ddgan import from_official as from_nvlabs
from genbench.machine.ranks import ALONE
from genbench.networks.unet import UNet
from genbench.suites.load import load_suite
from genbench.training.recipe import TrainConfig
from genbench.training.run import Task, TrainingRun

SUITES = Path(__file__).parents[1] / "suites"
PRECISIONS = ("auto", "fp32")
Answer = Callable[..., Tensor]


def entry(name: str, **model: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The model and the training of a suite's entry, such as cifar10/ddpm, with keys of the model replaced."""
    suite, _, key = name.partition("/")
    found = load_suite(SUITES / f"{suite}.yaml")["models"][key]
    return {**found["model"], **model}, dict(found["training"])


def random_images(count: int, size: int) -> np.ndarray:
    """uint8 (N, H, W, 3)."""
    return np.random.default_rng(0).integers(0, 256, size=(count, size, size, 3), dtype=np.uint8)


def our_runs(
    setting: Setting,
    name: str,
    batch_size: int,
    size: int = 32,
    model: Mapping[str, Any] | None = None,
    **training: Any,
) -> dict[str, TrainingRun]:
    """By precision, a training of a suite's entry with this batch size, on images (3, size, size)."""
    model_entry, recipe = entry(name, **(model or {}))
    recipe |= {"batch_size": batch_size, "accumulate": 1, "validate_every": 0, **training}
    images = random_images(16 * batch_size, size)
    runs = {}
    for precision in PRECISIONS:
        config = TrainConfig.from_entry(recipe | {"precision": precision})
        task = Task(
            spec={"model": model_entry, "training": recipe},
            config=config,
            images=images,
            labels=np.zeros(len(images), np.int64),
            data_sha256="",
            seed=0,
            snapshots=[],
            held_out=None,
            first_stage=None,
            device=torch.device("cpu"),
        )
        run = TrainingRun(task, setting.folder / name / precision, ALONE)
        decided = run.trainer.config.precision
        runs[precision if precision == decided else f"{precision}: {decided}"] = run
    return runs


def iterations(run: TrainingRun, count: int = 1) -> Callable[[], None]:
    """What TrainingRun.go does `count` times."""

    def iterate() -> None:
        for _ in range(count):
            run.history.add(run.trainer.step, *run.trainer.advance())

    return iterate


def first_batch(runs: Mapping[str, TrainingRun]) -> Tensor:
    """What the peer learns from: (N, 3, H, W) in [-1, 1]."""
    run = next(iter(runs.values()))
    return to_images(run.batches.pixels[: run.task.config.batch_size]).contiguous()


def same_weights(runs: Mapping[str, TrainingRun], submodule: str, tensors: Mapping[str, Tensor]) -> nn.Module:
    """Put a peer's weights, in our names, into the submodule of every run; returns the last."""
    for run in runs.values():
        network = run.trainer.model.get_submodule(submodule)
        network.load_state_dict(dict(tensors), strict=False)
        if run.trainer.ema is not None:
            run.trainer.ema.get_submodule(submodule).load_state_dict(network.state_dict())
    return network


@torch.no_grad()
def apart(theirs: Tensor, ours: Tensor) -> str:
    """The largest difference of two outputs, relative to the largest of theirs."""
    return f"networks apart by {(theirs - ours).abs().max() / theirs.abs().max():.0e}"


def comparison(
    runs: Mapping[str, TrainingRun], theirs: Callable[[], Any], remark: str, rounds: int = 3, count: int = 1
) -> Comparison:
    """An iteration of theirs compared with one of ours, or with `count` of ours, which then update as much."""
    batch_size = next(iter(runs.values())).task.config.batch_size
    return Comparison(
        theirs=theirs,
        ours={precision: iterations(run, count) for precision, run in runs.items()},
        rounds=rounds,
        batch_size=batch_size,
        remark=lambda theirs, ours: remark,
    )


def ddpm(setting: Setting) -> Comparison:
    from diffusers import UNet2DModel

    optimizer = {"algorithm": "adamw", "lr": 2e-4, "warmup_steps": 5000, "weight_decay": 0.01}
    runs = our_runs(setting, "cifar10/ddpm", 8, flip=False, optimizer=optimizer)
    images, run = first_batch(runs), runs["fp32"]
    unet = run.trainer.model.get_submodule("denoiser")
    assert isinstance(unet, UNet)
    config = unet_config(unet, run.task.spec["model"]["denoiser"], (3, 32, 32))
    peer = UNet2DModel.from_config(config | {"dropout": 0.1})
    same_weights(runs, "denoiser", from_diffusers(peer.state_dict(), unet, Path("UNet2DModel"), "it"))
    with torch.no_grad():
        t = torch.arange(8)
        remark = apart(peer.eval()(images, t).sample, unet.eval()(images, t))
    return comparison(runs, textbook.diffusers_example(peer, images, 2e-4), remark)


def iddpm(setting: Setting) -> Comparison:
    repository = setting.peer("improved-diffusion")
    runs = our_runs(setting, "cifar10/iddpm-hybrid", 4, optimizer={"algorithm": "adamw", "lr": 1e-4})
    images, unet = first_batch(runs), runs["fp32"].trainer.model.get_submodule("denoiser")
    assert isinstance(unet, UNet)
    options = {"image_size": 32, "num_res_blocks": 3, "learn_sigma": True, "dropout": 0.3}
    network, process = peers.improved_diffusion(
        repository, options | {"diffusion_steps": 4000, "noise_schedule": "cosine"}
    )
    with torch.no_grad():
        for parameter in network.parameters():  # some begin at zero, and so would the outputs
            parameter.add_(torch.randn_like(parameter), alpha=0.01)
    same_weights(runs, "denoiser", from_improved_diffusion(network.state_dict(), unet, repository))
    t = torch.linspace(0, 999, 4)
    with torch.no_grad():
        remark = apart(network.eval()(images, t), unet.eval()(images, t))
    network.train()
    return comparison(runs, peers.improved_diffusion_training(repository, network, process, images), remark)


def dcgan(setting: Setting) -> Comparison:
    optimizer = {"lr": 2e-4, "betas": [0.5, 0.999]}
    repository = setting.peer("examples")
    runs = our_runs(
        setting, "cifar10/dcgan-64", 128, size=64, model={"image_size": None}, optimizer=optimizer, optimizers={}
    )
    images = first_batch(runs)
    loop, networks = peers.dcgan(repository, images, setting.folder)
    for name, network in networks.items():
        state = {key.replace("main.", "layers."): value for key, value in network.state_dict().items()}
        ours = same_weights(runs, name, state)
    with torch.no_grad():
        networks_apart = apart(networks["discriminator"](images), ours(images).sigmoid())
    return comparison(runs, loop.step, networks_apart)


def ddgan(setting: Setting) -> Comparison:
    repository = setting.peer("denoising-diffusion-gan")
    runs = our_runs(setting, "cifar10/ddgan", 4, flip=False)
    images, z, t = first_batch(runs), torch.randn(4, 100), torch.arange(4)
    loop, networks = peers.ddgan(repository, images)
    for name, network in networks.items():
        ours = runs["fp32"].trainer.model.get_submodule(name)
        assert isinstance(ours, Network)
        same_weights(runs, name, from_nvlabs(network.state_dict(), ours, repository, name))
    generator = runs["fp32"].trainer.model.get_submodule("generator")
    with torch.no_grad():
        remark = apart(networks["generator"](images, t, z), generator(images, z, t))
    return comparison(runs, loop.step, f"{remark}; without the penalty of every 15th iteration")


def wgan_gp(setting: Setting) -> Comparison:
    n_critic, optimizer = 5, {"lr": 2e-4, "betas": [0.0, 0.9]}
    runs = our_runs(setting, "cub/wgan-gp", 32, optimizer=optimizer)
    model = copy.deepcopy(runs["fp32"].trainer.model).to(memory_format=torch.contiguous_format)
    for run in runs.values():
        run.trainer.model.load_state_dict(model.state_dict())
    generator, critic = (model.get_submodule(name) for name in ("generator", "discriminator"))
    loop = textbook.wgan_gp(generator, critic, first_batch(runs), 128, n_critic, 2e-4)
    return comparison(runs, loop, "the same networks", count=n_critic)


WORKS = (
    Work(
        "train-ddpm",
        "train DDPM's U-Net (CIFAR-10)",
        "diffusers' example loop",
        ddpm,
        before="1.01",
        versions=("diffusers",),
    ),
    Work(
        "train-iddpm",
        "train improved diffusion, L_hybrid",
        "OpenAI's code",
        iddpm,
        before="1.08-1.15",
        versions=("improved-diffusion",),
    ),
    Work("train-dcgan", "train DCGAN 64", "PyTorch's example", dcgan, before="1.14", versions=("examples",)),
    Work(
        "train-ddgan",
        "train DDGAN",
        "NVlabs' code, its PyTorch operations",
        ddgan,
        before="2.23",
        versions=("denoising-diffusion-gan",),
    ),
    Work("train-wgan-gp", "train WGAN-GP, 5 iterations", "textbook loop, same networks", wgan_gp, before="1.07"),
)
