"""FID of two folders by each program, with random weights for Inception, as docs/peers.md compares it."""

import contextlib
import hashlib
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from cleanfid import fid as clean_fid
from cleanfid.inception_torchscript import InceptionV3W
from numpy.typing import NDArray
from PIL import Image
from pytorch_fid import fid_score
from pytorch_fid import inception as pytorch_fid
from torch_fidelity.utils import create_feature_extractor, extract_featuresdict_from_input_id
from torchmetrics.image.fid import NoTrainInceptionV3

from benchmarks.random_inception import random_state, save_clean, save_legacy
from genbench.errors import InputError
from genbench.evaluation.sides import Reading, open_side
from genbench.features import extract, load_extractor
from genbench.features.inception import CLEAN_WEIGHTS, LEGACY_WEIGHTS
from genbench.metrics import fd
from tools.peer_images import Case

SHOWN = 8  # of 2,048 features: fewer than images, so that a covariance has full rank
Features = NDArray[Any]


@dataclass(frozen=True)
class Weights:
    """The files of random weights for Inception, in the formats of the published files."""

    legacy: Path
    clean: Path


Program = Callable[[Path, Case, Weights], Features]


def make_weights(folder: Path) -> Weights:
    weights = Weights(folder / LEGACY_WEIGHTS.name, folder / CLEAN_WEIGHTS.name)
    state = random_state()
    save_legacy(weights.legacy, state)
    save_clean(weights.clean, state)
    return weights


def by_pytorch_fid(folder: Path, case: Case, weights: Weights) -> Features:
    state = torch.load(weights.legacy, weights_only=True)
    with patch.object(pytorch_fid, "load_state_dict_from_url", lambda url, progress: state):
        model = pytorch_fid.InceptionV3([3])
    files = sorted(file for suffix in fid_score.IMAGE_EXTENSIONS for file in folder.glob(f"*.{suffix}"))
    return fid_score.get_activations(files, model, case.batch_size, num_workers=0)


def by_clean_fid(folder: Path, case: Case, weights: Weights) -> Features:
    model = InceptionV3W(str(weights.clean.parent), download=False)
    options = {"num_workers": 0, "batch_size": case.batch_size, "device": torch.device("cpu"), "verbose": False}
    return clean_fid.get_folder_features(str(folder), model=model, mode="clean", **options)


def by_torch_fidelity(folder: Path, case: Case, weights: Weights) -> Features:
    options = {
        "input1": str(folder),
        "cuda": False,
        "cache": False,
        "verbose": False,
        "save_cpu_ram": True,
        "batch_size": case.batch_size,
    }
    extractor = create_feature_extractor(
        "inception-v3-compat",
        ["2048"],
        cuda=False,
        feature_extractor_weights_path=str(weights.legacy),
        feature_extractor_internal_dtype="float64" if case.float64 else None,
    )
    return extract_featuresdict_from_input_id(1, extractor, **options)["2048"].numpy()


def by_torchmetrics(folder: Path, case: Case, weights: Weights) -> Features:
    """torchmetrics takes tensors; files are read as its users do, by Pillow as RGB."""
    network = NoTrainInceptionV3("inception-v3-compat", ["2048"], str(weights.legacy))
    if case.float64:
        network._dtype = torch.float64
        network.to(torch.float64)
    images = [np.asarray(Image.open(path).convert("RGB")) for path in sorted(folder.glob("*.*"))]
    batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    with torch.no_grad():
        return torch.cat([network(part) for part in batch.split(case.batch_size)]).numpy()


def by_genbench(name: str) -> Program:
    def features(folder: Path, case: Case, weights: Weights) -> Features:
        path = weights.clean if name == "inception-clean" else weights.legacy
        extractor = load_extractor(f"{name}:{path}", any_weights=True)
        images = open_side(folder, folder.name, Reading()).images
        assert images is not None
        return extract(images, extractor, case.batch_size)[0]

    return features


PROGRAMS: dict[str, Program] = {
    "pytorch-fid": by_pytorch_fid,
    "genbench, legacy": by_genbench("inception-legacy"),
    "clean-fid": by_clean_fid,
    "genbench, clean": by_genbench("inception-clean"),
    "torch-fidelity": by_torch_fidelity,
    "genbench, tensorflow": by_genbench("inception-tensorflow"),
    "torchmetrics": by_torchmetrics,
}


class Asked:
    """The results of every program; the features of the same files are computed once."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.found: dict[tuple[str, str, int, bool], Features] = {}

    def distance(self, program: str, real: Path, fake: Path, case: Case) -> str:
        """The Frechet distance in the first `SHOWN` features with 5 digits, or the program's error message."""
        quiet = io.StringIO()
        with warnings.catch_warnings(), contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
            warnings.simplefilter("ignore")
            try:
                value = fd(*(self._features(program, folder, case)[:, :SHOWN] for folder in (real, fake)))
            except InputError as error:
                return f"refused: {error}"
            except Exception as error:  # other programs can raise anything
                return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"
        return f"{value:.5g}"

    def _features(self, program: str, folder: Path, case: Case) -> Features:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        digest = hashlib.sha256(b"".join(str(path.relative_to(folder)).encode() + path.read_bytes() for path in files))
        key = (program, digest.hexdigest(), case.batch_size, case.float64)
        if key not in self.found:
            self.found[key] = PROGRAMS[program](folder, case, self.weights).astype(np.float64)
        return self.found[key]
