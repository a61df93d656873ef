"""Import generators that are not genbench models: programs in ONNX or of torch.export, and functions in a file.

Each is sampled twice while it is read, so that an unsuitable one is refused before any sampling job starts.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from genbench import own_code
from genbench.errors import InputError, place
from genbench.importing.source import Imported
from genbench.importing.source import Path as AnyPath
from genbench.machine.extras import install
from genbench.machine.foreign_process import ForeignProcess
from genbench.models.foreign import draw_latents
from genbench.networks.programs import load_exported, start_exported, start_onnx
from genbench.processes.noise import Noise
from genbench.ranges import Figure

PROBED = 4  # images that are drawn while a generator is read


def onnx(
    path: AnyPath,
    *,
    latent: Mapping[str, Any],
    range: Sequence[Figure],
    layout: Literal["NCHW", "NHWC"] = "NCHW",
) -> Imported:
    """An ONNX program from latents (N, *size), float32, to images. onnxruntime runs it: install the extra `onnx`.

    latent: {size: 100, distribution: normal}, or uniform between -1 and 1; size may be a list, such as [100, 1, 1].
    range: The output values of black and white, such as [-1, 1] or [0, 1].
    layout: Order of the output's dimensions.
    """
    content, files, num_parameters = _read_onnx(Path(path))
    entry = {"class": "foreign.OnnxProgram", "num_parameters": num_parameters}
    with place(path):
        return _program(entry, content, start_onnx(content, torch.device("cpu")), files, latent, range, layout)


def torch_export(
    path: AnyPath,
    *,
    program: str,
    latent: Mapping[str, Any],
    range: Sequence[Figure],
    layout: Literal["NCHW", "NHWC"] = "NCHW",
) -> Imported:
    """A program of torch.export (.pt2) from latents (N, *size), float32, to images. Reading such a file may run code
    that it contains.

    program: Its name and hash, as a suite that trusts it states them.
    latent: {size: 100, distribution: normal}, or uniform between -1 and 1; size may be a list, such as [100, 1, 1].
    range: The output values of black and white, such as [-1, 1] or [0, 1].
    layout: Order of the output's dimensions.
    """
    own_code.allowed_file(program)
    content = _read(Path(path))
    with place(path):
        num_parameters = sum(weight.numel() for weight in load_exported(content).parameters())
        entry = {"class": "foreign.TorchProgram", "program": program, "num_parameters": num_parameters}
        return _program(entry, content, start_exported(content, torch.device("cpu")), [path], latent, range, layout)


def function(
    path: AnyPath, *, function: str, latent: Mapping[str, Any] | None = None, files: Sequence[str] = ()
) -> Imported:
    """A function in a file from seeds, int64 (N,), to images, uint8 (N, H, W, C). It runs in a separate process.

    function: The function, as FILE.py:NAME.
    latent: {size: 100, distribution: normal}; the function then receives latents (N, *size), float32, instead of seeds.
    files: Other files that the function reads, such as its weights, for the record.
    """
    reference = own_code.parse(function)
    if reference is None or reference.digest is None:
        raise InputError(f"key 'function': found {function!r}, expected FILE.py:NAME, as the key callable gives it")
    file = own_code.allowed_file(function)
    for name in files:
        if not Path(name).is_file():
            raise InputError(f"key 'files': {name}: no such file")
    call = ForeignProcess(file, reference.name, reference.digest, torch.get_num_threads())
    noise = Noise(torch.arange(PROBED))
    values = (noise.seeds if latent is None else draw_latents(noise, **_checked(latent))).numpy()
    pixels = call(values)
    if pixels.max() <= 1:
        raise InputError(
            f"{file.name}: {reference.name}: found uint8 images of 0 to {pixels.max()}, expected levels from 0 to 255"
        )
    by_seed = bool(np.array_equal(call(values[[2, 0]]), pixels[[2, 0]]))
    code = _read(file)
    _, height, width, channels = pixels.shape
    entry = {
        "class": "foreign.Function" if latent is None else "foreign.FunctionOfLatents",
        "function": function,
        "num_bytes": len(code),
        "shape": [channels, height, width],
        **({} if latent is None else {"latent": dict(latent)}),
        **({} if by_seed else {"by_seed": False}),
    }
    return _imported(entry, code, [file, *files], f"foreign code: {file.name}: {reference.name}", by_seed)


def _program(
    entry: Mapping[str, Any],
    content: bytes,
    run: Callable[[Tensor], Tensor],
    files: Sequence[AnyPath],
    latent: Mapping[str, Any],
    range: Sequence[float],
    layout: str,
) -> Imported:
    """Draw from a program that is ready to run, check its images, and return it as a model."""
    low, high = range if len(range) == 2 and range[0] < range[1] else (0.0, 0.0)
    if low == high:
        raise InputError(f"key 'range': found {list(range)}, expected two numbers, the lower first, such as [-1, 1]")
    z = draw_latents(Noise(torch.arange(PROBED)), **_checked(latent))
    answer = _answer(run, z)
    shape = tuple(answer.shape)
    if len(shape) != 4 or shape[0] != PROBED or shape[1 if layout == "NCHW" else 3] not in (1, 3):
        of = "(N, C, H, W)" if layout == "NCHW" else "(N, H, W, C)"
        raise InputError(f"found an answer of shape {shape} to {PROBED} latents, expected {of}, C 1 or 3: see layout")
    values = answer.float()
    if not values.isfinite().all():
        raise InputError("found an answer with values that are not numbers")
    if float(values.min()) < low - (high - low) or float(values.max()) > high + (high - low):
        raise InputError(
            f"found an answer with values from {values.min():.4g} to {values.max():.4g}, expected about {low:g} to "
            f"{high:g}, as the key 'range' says"
        )
    rows = [2, 0]
    by_seed = bool((_answer(run, z[rows]).float() - values[rows]).abs().max() <= (high - low) / 100)
    channels, height, width = shape[1:] if layout == "NCHW" else (shape[3], *shape[1:3])
    stated = {"num_bytes": len(content), "shape": [channels, height, width], "latent": dict(latent)}
    chosen = {"layout": layout, "range": [float(low), float(high)], **({} if by_seed else {"by_seed": False})}
    name = Path(files[0]).name
    return _imported({**entry, **stated, **chosen}, content, files, f"foreign code: {name}", by_seed)


def _answer(run: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    with torch.inference_mode():
        return run(z)


def _imported(entry: dict[str, Any], content: bytes, files: Sequence[AnyPath], note: str, by_seed: bool) -> Imported:
    channels, height, width = entry["shape"]
    code = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    note += "" if by_seed else "; the same seeds gave other images in another batch"
    return Imported(entry, (channels, height, width), {"program.code": code}, files, "unknown", note)


def _checked(latent: Mapping[str, Any]) -> dict[str, Any]:
    """Return a latent's size and distribution. Raises InputError for invalid ones."""
    size, distribution = latent.get("size"), latent.get("distribution", "normal")
    sides = size if isinstance(size, (list, tuple)) else [size]
    if not sides or not all(type(side) is int and 1 <= side <= 10**6 for side in sides) or latent.keys() - LATENT:
        raise InputError(f"key 'latent': found {dict(latent)}, expected {{size: N, distribution: normal or uniform}}")
    if distribution not in ("normal", "uniform"):
        raise InputError(f"key 'latent': distribution: found {distribution!r}, expected normal or uniform")
    return {"size": size, "distribution": distribution}


LATENT = {"size", "distribution"}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None


def _read_onnx(path: Path) -> tuple[bytes, list[AnyPath], int]:
    """Return a program with all its weights inside, the files that it came from, and the number of weights.

    Weights in separate files are read only from the program's folder.
    """
    try:
        import onnx
        import onnxruntime  # noqa: F401 - it will run the program
        from onnx.external_data_helper import load_external_data_for_model, uses_external_data
    except ModuleNotFoundError as error:
        raise InputError(f"{path}: needs the package {error.name}: {install('onnx')}") from None
    content = _read(path)
    try:
        model = onnx.load_model_from_string(content)
        weights = list(model.graph.initializer)
    except Exception as error:  # protobuf raises its own classes
        raise InputError(f"{path}: not an ONNX program, or damaged ({' '.join(str(error).split())[:200]})") from None
    folder, files = path.resolve().parent, [path]
    for tensor in filter(uses_external_data, weights):
        named = {pair.key: pair.value for pair in tensor.external_data}.get("location", "")
        file = (folder / named).resolve()
        if not named or os.path.isabs(named) or not file.is_relative_to(folder):
            raise InputError(f"{path}: found weights in {named!r}, expected a file in the program's own folder")
        if not file.is_file():
            raise InputError(f"{path}: {named}: no such file, in which the program keeps its weights")
        files += [file] if file not in files else []
    try:
        load_external_data_for_model(model, str(folder))
        content = content if len(files) == 1 else model.SerializeToString()
    except Exception as error:
        raise InputError(f"{path}: its weights can't be read ({' '.join(str(error).split())[:200]})") from None
    return content, list(files), sum(int(np.prod(tensor.dims)) for tensor in weights)
