"""Networks that run programs made elsewhere: numbers for each image in, images out.

The bytes of a program are stored in a buffer: a model.safetensors then contains all that sampling needs.
"""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from genbench.errors import InputError
from genbench.images import to_images
from genbench.machine.foreign_process import ForeignProcess

Run = Callable[[Tensor], Tensor]  # latents to a program's unchanged output


class Program(nn.Module):
    """A program that `start` loads, from latents to images (N, C, H, W) in about [-1, 1].

    num_bytes: of the program's file. shape: (C, H, W). layout: order of the output's dimensions. low, high: the
    output's values for black and white.
    """

    code: Tensor  # uint8 (num_bytes,)

    def __init__(
        self,
        start: Callable[[bytes, torch.device], Run],
        *,
        num_bytes: int,
        shape: Sequence[int],
        layout: Literal["NCHW", "NHWC"],
        low: float,
        high: float,
    ) -> None:
        super().__init__()
        self.start, self.shape, self.layout, self.low, self.high = start, tuple(shape), layout, low, high
        self.register_buffer("code", torch.zeros(num_bytes, dtype=torch.uint8))
        self._run: Run | None = None

    def forward(self, z: Tensor) -> Tensor:
        if z.device.type == "meta":  # a dry run: shapes only
            return z.new_empty(len(z), *self.shape)
        if self._run is None:
            self._run = self.start(self.code.cpu().numpy().tobytes(), z.device)
        answer = self._run(z)
        images = answer.permute(0, 3, 1, 2) if self.layout == "NHWC" else answer
        if tuple(images.shape) != (len(z), *self.shape):
            raise InputError(f"the program: found images of {tuple(images.shape)}, expected {(len(z), *self.shape)}")
        return (images.float() - self.low) * (2 / (self.high - self.low)) - 1


class OtherProcess(nn.Module):
    """A function in a separate process, from seeds or latents to images (N, C, H, W).

    path, name, digest: its file and name, and the first hex digits of the file's SHA-256. num_bytes: of the file; a
    copy of it is kept. shape: (C, H, W).
    """

    code: Tensor  # uint8 (num_bytes,)

    def __init__(self, path: Path, name: str, digest: str, *, num_bytes: int, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.register_buffer("code", torch.zeros(num_bytes, dtype=torch.uint8))
        self._function = ForeignProcess(path, name, digest, torch.get_num_threads())

    def forward(self, values: Tensor) -> Tensor:
        if values.device.type == "meta":
            return torch.empty(len(values), *self.shape, device="meta")
        pixels = self._function(values.cpu().numpy())
        channels, height, width = self.shape
        if pixels.shape[1:] != (height, width, channels):
            raise InputError(
                f"{self._function.path.name}: {self._function.name}: found images of {pixels.shape[1:]}, expected "
                f"{(height, width, channels)} as before"
            )
        return to_images(torch.from_numpy(pixels.copy()).to(values.device))


def start_onnx(content: bytes, device: torch.device) -> Run:
    """An ONNX program that contains all its weights. Raises InputError if it can't run on this device."""
    import onnxruntime

    providers = ["CPUExecutionProvider"]
    if device.type == "cuda":
        if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
            raise InputError(
                "device: found cuda, but the installed onnxruntime computes on processors only; expected "
                "the package onnxruntime-gpu, or device: cpu"
            )
        providers.insert(0, "CUDAExecutionProvider")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = torch.get_num_threads(), 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(content, options, providers)
    except Exception as error:  # onnxruntime has its own exception classes
        raise InputError(
            f"not an ONNX program that onnxruntime can run: {' '.join(str(error).split())[:300]}"
        ) from None
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type != "tensor(float)":
        found = ", ".join(f"{one.name}: {one.type}" for one in inputs)
        raise InputError(f"found the inputs {found}, expected one of float32 latents")
    size = inputs[0].shape[0] if inputs[0].shape else None

    def run(z: Tensor) -> Tensor:
        try:
            (answer, *_) = session.run(None, {inputs[0].name: z.cpu().numpy()})
        except Exception as error:
            raise InputError(f"the program failed: {' '.join(str(error).split())[:300]}") from None
        return torch.from_numpy(np.asarray(answer)).to(z.device)

    return in_batches(run, size if isinstance(size, int) else None)


def load_exported(content: bytes) -> torch.export.ExportedProgram:
    """Load a program of torch.export. Only for trusted files: torch.export.load unpickles tensors and evaluates
    expressions of the file, which can run code."""
    try:
        return torch.export.load(io.BytesIO(content))
    except Exception as error:  # a damaged file can make torch raise anything
        raise InputError(f"not a program of torch.export: {' '.join(str(error).split())[:300]}") from None


def start_exported(content: bytes, device: torch.device) -> Run:
    """A program of torch.export, ready to run."""
    program = load_exported(content)
    module = program.module().to(device)
    names = set(program.graph_signature.user_inputs)
    inputs = [node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    if len(inputs) != 1 or not isinstance(inputs[0], Tensor):
        raise InputError(f"found {len(inputs)} inputs, expected one of float32 latents")
    size: Any = inputs[0].shape[0]

    def run(z: Tensor) -> Tensor:
        try:
            answer = module(z)
        except (RuntimeError, AssertionError, ValueError, TypeError) as error:
            raise InputError(f"the program failed: {' '.join(str(error).split())[:300]}") from None
        found: Tensor = answer[0] if isinstance(answer, (tuple, list)) else answer
        return found

    return in_batches(run, size if isinstance(size, int) else None)


def in_batches(run: Run, size: int | None) -> Run:
    """Make a program that accepts only batches of `size` latents accept any number; None: it already does."""
    if size is None:
        return run

    def in_parts(z: Tensor) -> Tensor:
        missing = -len(z) % size
        padded = torch.cat([z, z[-1:].expand(missing, *z.shape[1:])])
        return torch.cat([run(part.contiguous()) for part in padded.split(size)])[: len(z)]

    return in_parts
