"""Generators that are not genbench models: ONNX programs, torch.export programs, and functions in a file.

They are sampled, timed and evaluated like all others, but not trained here. Their latents are also drawn by seed.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from genbench import own_code
from genbench.errors import InputError
from genbench.models import Batch, Model
from genbench.networks.programs import OtherProcess, Program, Run, start_exported, start_onnx
from genbench.processes.densities import great_circles
from genbench.processes.noise import Noise
from genbench.ranges import Figure, Side
from genbench.tensors import Images, Scalar


def draw_latents(noise: Noise, size: int | Sequence[int], distribution: str) -> Tensor:
    """Latents (N, *size), float32: standard normal, or uniform between -1 and 1."""
    shape = (size,) if isinstance(size, int) else tuple(size)
    return noise.normal(*shape) if distribution == "normal" else 2 * noise.uniform(*shape) - 1


class Foreign(Model):
    """A generator that was made elsewhere: `program` takes one row of numbers for each image."""

    paper = ""
    network = "program"
    about = (
        "Code that is not part of genbench, but is sampled by seed, timed and evaluated like every other model. Only "
        "its author knows how it was trained, and on what data."
    )
    size: int | Sequence[int] | None = None  # of a latent
    distribution: str = "normal"
    num_parameters: int = 0  # as its file states them
    by_seed: bool = True  # whether the same seeds gave the same images in another batch

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Scalar]]:
        raise InputError("found a program that was made elsewhere, which is not trained here")

    def draw(self, z: Tensor) -> Images:
        images: Images = self.get_submodule("program")(z)
        return images

    def inputs(self, noise: Noise) -> Tensor:
        """The program's input for each seed."""
        if self.size is None:
            raise InputError("key 'latent' is missing; expected {size: N, distribution: normal or uniform}")
        return draw_latents(noise, self.size, self.distribution)

    def sample(self, noise: Noise, y: Tensor | None = None) -> Images:
        return self.draw(self.inputs(noise))

    def interpolation(self, batch: Batch) -> Tensor:
        """Ten images from one draw to another, one row for each pair: on a great circle between normal latents, on a
        straight line between uniform ones."""
        z = self.inputs(Noise(batch.noise.seeds[:10]))
        start, end = z.flatten(1).chunk(2)
        if self.distribution == "normal":
            way = great_circles(start, end, 10)
        else:
            share = torch.linspace(0, 1, 10, device=z.device)[None, :, None]
            way = start[:, None].lerp(end[:, None], share).flatten(0, 1)
        return self.draw(way.reshape(-1, *z.shape[1:]))

    def remarks(self, options: Mapping[str, Any]) -> list[str]:
        found = [f"foreign code: {self.describe()}"]
        return found if self.by_seed else [*found, "the same seeds gave other images in another batch"]

    def known_parameters(self) -> dict[str, int]:
        """The number of weights that the program's file states; empty if it states none."""
        return {self.network: self.num_parameters} if self.num_parameters else {}

    def describe(self) -> str:
        """The program, in a few words."""
        raise NotImplementedError


class _FromLatents(Foreign):
    """A program from latents to images."""

    pictures = ("interpolation",)

    def _build(
        self,
        start: Any,
        num_bytes: int,
        shape: Sequence[int],
        latent: Mapping[str, Any],
        layout: Literal["NCHW", "NHWC"],
        range: Sequence[float],
        by_seed: bool,
    ) -> None:
        low, high = range
        self.size, self.distribution, self.by_seed = latent["size"], latent.get("distribution", "normal"), by_seed
        self.program = Program(start, num_bytes=num_bytes, shape=shape, layout=layout, low=low, high=high)


class OnnxProgram(_FromLatents):
    """A program in ONNX, run by onnxruntime."""

    family = "ONNX program"

    def __init__(
        self,
        *,
        num_bytes: int,
        shape: Sequence[Side],
        latent: Mapping[str, Any],
        range: Sequence[Figure],
        layout: Literal["NCHW", "NHWC"] = "NCHW",
        by_seed: bool = True,
        num_parameters: int = 0,
    ) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self._build(start_onnx, num_bytes, shape, latent, layout, range, by_seed)

    def describe(self) -> str:
        return "a program in ONNX, run by onnxruntime"


class TorchProgram(_FromLatents):
    """A program of torch.export. Runs only if a suite of this process declares a file with its hash as `trusted`:
    reading such a program may run code."""

    family = "torch.export program"

    def __init__(
        self,
        *,
        program: str,
        num_bytes: int,
        shape: Sequence[Side],
        latent: Mapping[str, Any],
        range: Sequence[Figure],
        layout: Literal["NCHW", "NHWC"] = "NCHW",
        by_seed: bool = True,
        num_parameters: int = 0,
    ) -> None:
        super().__init__()
        self.num_parameters, self.reference = num_parameters, program
        self._build(self._start, num_bytes, shape, latent, layout, range, by_seed)

    def _start(self, content: bytes, device: torch.device) -> Run:
        own_code.allowed_file(self.reference)
        digest = own_code.parse(self.reference)
        assert digest is not None
        if hashlib.sha256(content).hexdigest()[:16] != digest.digest:
            raise InputError(f"{self.reference}: found other bytes than this hash stands for")
        return start_exported(content, device)

    def describe(self) -> str:
        return "a program of torch.export"


class Function(Foreign):
    """A function in a file, run in a separate process, from seeds (N,) or latents to images, uint8 (N, H, W, C)."""

    family = "Foreign function"

    def __init__(
        self,
        *,
        function: str,
        num_bytes: int,
        shape: Sequence[Side],
        latent: Mapping[str, Any] | None = None,
        by_seed: bool = True,
    ) -> None:
        super().__init__()
        reference = own_code.parse(function)
        if reference is None or reference.digest is None:
            raise InputError(f"function: found {function!r}, expected FILE.py:NAME#HASH")
        self.reference, self.by_seed = reference, by_seed
        if latent is not None:
            self.size, self.distribution = latent["size"], latent.get("distribution", "normal")
        path = own_code.allowed_file(function)
        self.program = OtherProcess(path, reference.name, reference.digest, num_bytes=num_bytes, shape=shape)

    def inputs(self, noise: Noise) -> Tensor:
        return noise.seeds if self.size is None else super().inputs(noise)

    def describe(self) -> str:
        name = self.reference.path.rpartition("/")[2]
        return f"{name}: {self.reference.name} (SHA-256 {self.reference.digest}...), in a process of its own"


class FunctionOfLatents(Function):
    """A Function of latents, which can also draw images between two draws."""

    pictures = ("interpolation",)


class Refused(Foreign):
    """Replaces a hand-in's generator that cannot be used."""

    family = "Given samples"

    def __init__(self, *, reason: str) -> None:
        super().__init__()
        self.refused = reason

    def describe(self) -> str:
        return "not used"
