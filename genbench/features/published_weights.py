"""Files of published weights: finds or downloads them, verifies them, and reads them without running their code."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genbench.errors import InputError
from genbench.files.artifacts import sha256_file
from genbench.files.downloads import download

if TYPE_CHECKING:
    import torch

WITHOUT = "fd_classifier and fd_efficientnet need no download"


@dataclass(frozen=True)
class WeightFile:
    """A published file of weights: its name, its addresses, and the SHA-256 that identifies it."""

    name: str
    urls: Sequence[str]
    sha256: str


def weights_root() -> Path:
    """The folder of weights, also for downloads: $GENBENCH_WEIGHTS, or resources/weights."""
    return Path(os.environ.get("GENBENCH_WEIGHTS") or "resources/weights")


def fetch_weights(file: WeightFile, root: Path | None = None) -> Path:
    """The path of published weights in `root` (default: weights_root()), downloaded if they are not there.

    Raises InputError if another file is there, or if it can't be downloaded; the message states its name, address and
    path, and what can run without it.
    """
    path = (root or weights_root()) / file.name
    if not path.exists():
        download(file.urls, path, lambda part: check_sha256(part, file), otherwise=WITHOUT)
    return path


def check_sha256(path: Path, file: WeightFile) -> None:
    """Raise InputError unless the file at `path` is this published one, byte for byte."""
    try:
        found = sha256_file(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    if found != file.sha256:
        raise InputError(
            f"{path}: found SHA-256 {found}, expected {file.sha256} of the published {file.name} ({file.urls[0]})"
        )


def load_weights(module: "torch.nn.Module", path: str | os.PathLike[str]) -> str:
    """Load a torch file of tensors into a module that has exactly these; returns the file's SHA-256.

    Raises InputError, naming the file, if it is missing, damaged, or belongs to another network.
    """
    state = read_tensors(path)
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(f"{path}: not the weights of this network ({first_words(error)})") from None
    return sha256_file(path)


def read_tensors(path: str | os.PathLike[str]) -> dict[str, "torch.Tensor"]:
    """The tensors of a torch file by name. Raises InputError, naming the file, if it is missing or something else.

    Nothing in the file is executed (weights_only).
    """
    import torch

    from genbench.files.weights import load_torch_file

    state: Any = load_torch_file(path)
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InputError(f"{path}: not a file of torch weights: found {type(state).__name__}, expected named tensors")
    return state


def first_words(error: Exception) -> str:
    """An error on one line, cut to 200 characters, since torch lists every key of a network."""
    words = " ".join(str(error).split())
    return words if len(words) <= 200 else f"{words[:200]}..."
