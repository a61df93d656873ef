"""Features through Inception, and the Frechet distance, beside pytorch-fid, clean-fid and SciPy in one run.

    uv run python -m benchmarks.evaluation --images 200 --threads 1

The peers read PNG files through their own code; genbench reads the same images as an array. Every pair runs through the
same weights, turn by turn, and the best of `--rounds` counts. Prints seconds (on a CPU, of the processor: other work on
the machine disturbs them less), the ratio, and how far the figures are apart. Without --weights-root the weights are
random, in the published files' formats: as fast as the published ones, and no FID.
"""

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import scipy.linalg
import torch
from cleanfid import fid as clean_fid
from cleanfid.inception_torchscript import InceptionV3W
from numpy.typing import NDArray
from PIL import Image
from pytorch_fid import fid_score
from pytorch_fid import inception as pytorch_fid

from benchmarks.random_inception import random_state, save_clean, save_legacy
from genbench.features import extract, load_extractor
from genbench.features.inception import CLEAN_WEIGHTS, LEGACY_WEIGHTS
from genbench.machine.command_line import add_device_argument
from genbench.machine.devices import device_label, pick_device
from genbench.metrics import feature_statistics, frechet_distance

DIM = 2048
KINDS = {"legacy": LEGACY_WEIGHTS, "clean": CLEAN_WEIGHTS}
Array = NDArray[np.floating]


def random_images(count: int) -> NDArray[np.uint8]:
    """Smooth random colours, 32 x 32."""
    coarse = np.random.default_rng(0).integers(0, 256, size=(count, 4, 4, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(image).resize((32, 32), Image.Resampling.BICUBIC)) for image in coarse])


def timed(function: Callable[[], Array], device: torch.device) -> tuple[float, Array]:
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    start = clock()
    result = function()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return clock() - start, result


def compare(what: str, peer: Callable[[], Array], ours: Callable[[], Array], rounds: int, device: torch.device) -> None:
    """Time both in turn and print the line."""
    times = np.empty((rounds, 2))
    for row in times:
        row[0], theirs = timed(peer, device)
        row[1], found = timed(ours, device)
    slow, fast = times.min(axis=0)
    error = np.abs(found - theirs).max() / np.abs(theirs).max()
    print(
        f"{what}: {slow:.2f} s, genbench {fast:.2f} s: {slow / fast:.2f} times as fast; apart by {error:.1e}",
        flush=True,
    )


def compare_features(args: argparse.Namespace, device: torch.device, folder: Path, weights: Path) -> None:
    images = random_images(args.images)
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{i:06d}.png")
    options = {"batch_size": args.batch_size, "device": device, "num_workers": args.workers}
    specs = [f"inception-{kind}:{weights / file.name}" for kind, file in KINDS.items()]
    legacy, clean = (load_extractor(spec, device, any_weights=True) for spec in specs)

    state = torch.load(weights / LEGACY_WEIGHTS.name, weights_only=True)
    with patch.object(pytorch_fid, "load_state_dict_from_url", lambda url, progress: state):
        model = pytorch_fid.InceptionV3([pytorch_fid.InceptionV3.BLOCK_INDEX_BY_DIM[DIM]]).to(device)
    archive = InceptionV3W(str(weights), download=False).to(device)
    files = sorted(folder.glob("*.png"))

    def by_clean_fid() -> Array:
        return clean_fid.get_folder_features(str(folder), model=archive, mode="clean", verbose=False, **options)

    def ours(extractor) -> Callable[[], Array]:
        return lambda: extract(images, extractor, args.batch_size, device)[0]

    for extractor in (legacy, clean):
        extract(images[: args.batch_size], extractor, args.batch_size, device)  # warm-up, as the peers' below
    fid_score.get_activations(files[: args.batch_size], model, **options)
    with torch.no_grad():
        archive(torch.zeros(args.batch_size, 3, 299, 299, device=device))
    compare(
        "pytorch-fid", lambda: fid_score.get_activations(files, model, **options), ours(legacy), args.rounds, device
    )
    compare("clean-fid", by_clean_fid, ours(clean), args.rounds, device)


def compare_distances(dim: int, rounds: int) -> None:
    """SciPy's root as pytorch-fid and clean-fid take it, on statistics of correlated features of full rank."""
    random = np.random.default_rng(0)
    mix = random.normal(size=(dim, dim)) * np.geomspace(1, 0.01, dim)
    sets = [random.normal(size=(3 * dim, dim)) @ mix + shift for shift in (0, 0.1)]
    (mu1, sigma1), (mu2, sigma2) = map(feature_statistics, sets)

    def by_scipy() -> Array:
        root = scipy.linalg.sqrtm(sigma1 @ sigma2).real
        return np.array([np.sum((mu1 - mu2) ** 2) + np.trace(sigma1) + np.trace(sigma2) - 2 * np.trace(root)])

    def ours() -> Array:
        return np.array([frechet_distance(mu1, sigma1, mu2, sigma2)])

    compare(f"SciPy's root, {dim} dimensions", by_scipy, ours, rounds, torch.device("cpu"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's)")
    parser.add_argument("--workers", type=int, default=0, help="processes that read and resize, for the peers")
    parser.add_argument("--dim", type=int, default=DIM, help="of the distance, 0 for none")
    parser.add_argument("--weights-root", type=Path, help="with both published files")
    add_device_argument(parser)
    args = parser.parse_args()

    warnings.filterwarnings("ignore", "`torch.jit", FutureWarning)
    device = pick_device(args.device, args.threads)
    print(f"{device_label(device)}; {args.images} images, batches of {args.batch_size}, {args.workers} workers")
    if args.images:
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as made:
            if args.weights_root is None:
                print("random weights: these are no FID")
                state = random_state()
                save_legacy(Path(made, LEGACY_WEIGHTS.name), state)
                save_clean(Path(made, CLEAN_WEIGHTS.name), state)
            compare_features(args, device, Path(folder), args.weights_root or Path(made))
    if args.dim:
        compare_distances(args.dim, args.rounds)


if __name__ == "__main__":
    main()
