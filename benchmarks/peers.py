"""Training loops of other projects, from their own scripts, run in one process with ours, one iteration at a time.

None of their code is here. Their scripts need a GPU, several processes, a data set on disk or packages that an
iteration never calls; these are replaced by stand-ins while a script sets itself up.
"""

import importlib
import sys
import threading
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn


class StepwiseLoop:
    """A training script in a separate thread, which waits at its data loader until it may do an iteration.

    script: Runs the loop over the loader that it is given. batch: What the loader yields every time.
    """

    def __init__(self, script: Callable[["StepwiseLoop"], object], batch: Any) -> None:
        self.batch = batch
        self.error: BaseException | None = None
        self._go, self._waiting = threading.Semaphore(0), threading.Semaphore(0)
        threading.Thread(target=self._run, args=[script], daemon=True).start()
        self._await()  # until it has set itself up

    def _run(self, script: Callable[["StepwiseLoop"], object]) -> None:
        torch.set_num_threads(1)
        try:
            script(self)
        except BaseException as error:  # raised again in the thread that asked for the iteration
            self.error = error
        self._waiting.release()

    def _await(self) -> None:
        self._waiting.acquire()
        if self.error is not None:
            raise self.error

    def __iter__(self) -> Iterator[Any]:
        while True:
            self._waiting.release()
            self._go.acquire()
            yield self.batch

    def __len__(self) -> int:
        return 1

    def step(self) -> None:
        """Let the script do one iteration. Raises the script's errors."""
        self._go.release()
        self._await()


@contextmanager
def importable(repository: Path, stand_ins: tuple[str, ...] = ()) -> Iterator[None]:
    """Make modules of a checkout importable. stand_ins: packages that only set-up would call, replaced by mocks."""
    with mock.patch.dict(sys.modules, {name: mock.MagicMock() for name in stand_ins}):
        before = set(sys.modules)
        sys.path.insert(0, str(repository))
        try:
            yield
        finally:
            sys.path.remove(str(repository))
            found = {name: sys.modules[name] for name in set(sys.modules) - before}
    sys.modules.update(found)  # a second import would give other modules


def dcgan(repository: Path, images: Tensor, folder: Path) -> tuple[StepwiseLoop, dict[str, nn.Module]]:
    """PyTorch's examples/dcgan/main.py on one batch (N, 3, 64, 64): its loop, and its netG and netD."""
    path = repository / "dcgan/main.py"
    names: dict[str, Any] = {"__name__": "__main__", "print": lambda *_: None}
    flags = f"--dataset fake --batchSize {len(images)} --outf {folder} --manualSeed 0"

    def script(loop: StepwiseLoop) -> None:
        names["loader"] = loop
        exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), names)

    with (
        mock.patch.object(sys, "argv", [str(path), *flags.split()]),
        mock.patch("torch.utils.data.DataLoader", side_effect=lambda *_, **__: names["loader"]),
    ):
        loop = StepwiseLoop(script, [images])
    return loop, {"generator": names["netG"], "discriminator": names["netD"]}


class _TorchOnCpu:
    """The module torch, but every device is the CPU."""

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    @staticmethod
    def device(name: str) -> torch.device:
        return torch.device("cpu")


def ddgan_script(repository: Path) -> types.ModuleType:
    """NVlabs' train_ddgan.py, with PyTorch's operations instead of their CUDA extensions for GPUs."""
    with ExitStack() as stack:
        data = [f"datasets_prep.{name}" for name in ("lsun", "stackmnist_data", "lmdb_datasets")]
        stack.enter_context(importable(repository, tuple(data)))
        stack.enter_context(mock.patch("torch.utils.cpp_extension.load", return_value=types.SimpleNamespace()))
        script = importlib.import_module("train_ddgan")
        importlib.import_module("score_sde.models.ncsnpp_generator_adagn")
        importlib.import_module("score_sde.models.discriminator")
        importlib.import_module("EMA")
    return script


def ddgan_options(batch_size: int) -> types.SimpleNamespace:
    """The command of the authors' README for CIFAR-10, and the defaults of their other flags."""
    return types.SimpleNamespace(
        seed=0, dataset="cifar10", image_size=32, num_channels=3, centered=True, use_geometric=False, beta_min=0.1,
        beta_max=20.0, num_channels_dae=128, n_mlp=4, ch_mult=[1, 2, 2, 2], num_res_blocks=2, attn_resolutions=(16,),
        dropout=0.0, resamp_with_conv=True, conditional=True, fir=True, fir_kernel=[1, 3, 3, 1], skip_rescale=True,
        resblock_type="biggan", progressive="none", progressive_input="residual", progressive_combine="sum",
        embedding_type="positional", fourier_scale=16.0, not_use_tanh=False, exp="exp", nz=100, num_timesteps=4,
        z_emb_dim=256, t_emb_dim=256, batch_size=batch_size, num_epoch=1800, ngf=64, lr_g=1.6e-4, lr_d=1.25e-4,
        beta1=0.5, beta2=0.9, no_lr_decay=False, use_ema=True, ema_decay=0.9999, r1_gamma=0.02, lazy_reg=15,
        save_content=False, save_content_every=50, save_ckpt_every=25, resume=False, world_size=2,
    )  # fmt: skip


def ddgan(repository: Path, images: Tensor) -> tuple[StepwiseLoop, dict[str, nn.Module]]:
    """NVlabs' training of DDGAN on one batch (N, 3, 32, 32): its loop, its generator and its discriminator."""
    script, made = ddgan_script(repository), []

    def keep(network: nn.Module, **_: Any) -> nn.Module:
        made.append(network)
        return network

    holder: dict[str, StepwiseLoop] = {}

    def run(loop: StepwiseLoop) -> None:
        holder["loader"] = loop
        script.train(1, 0, ddgan_options(len(images)))  # as the second process, which writes no files

    with (
        mock.patch.multiple(
            script, torch=_TorchOnCpu(), CIFAR10=lambda *_, **__: range(2), broadcast_params=mock.Mock()
        ),
        mock.patch("torch.nn.parallel.DistributedDataParallel", keep),
        mock.patch("torch.utils.data.DataLoader", side_effect=lambda *_, **__: holder["loader"]),
    ):
        loop = StepwiseLoop(run, (images, torch.zeros(len(images), dtype=torch.int64)))
    return loop, dict(zip(("generator", "discriminator"), made, strict=True))


def improved_diffusion(repository: Path, options: Mapping[str, Any]) -> tuple[nn.Module, Any]:
    """OpenAI's U-Net and process with these options of their command line, and defaults for the others."""
    with importable(repository, ("blobfile",)):
        util = importlib.import_module("improved_diffusion.script_util")
    return util.create_model_and_diffusion(**{**util.model_and_diffusion_defaults(), **options})


def improved_diffusion_training(
    repository: Path, network: nn.Module, process: Any, images: Tensor
) -> Callable[[], Any]:
    """An iteration of OpenAI's TrainLoop on one batch (N, 3, 32, 32), with the options of their README for CIFAR-10."""
    with importable(repository, ("blobfile",)):
        module = importlib.import_module("improved_diffusion.train_util")
    module.logger.Logger.CURRENT = module.logger.Logger(dir=None, output_formats=[])  # it would open one in /tmp
    flags = {"lr": 1e-4, "ema_rate": "0.9999", "log_interval": 10, "save_interval": 10_000, "resume_checkpoint": ""}
    with mock.patch("torch.distributed.get_world_size", return_value=1), mock.patch("torch.distributed.broadcast"):
        loop = module.TrainLoop(
            model=network, diffusion=process, data=None, batch_size=len(images), microbatch=-1, **flags
        )
    return lambda: loop.run_step(images, {})
