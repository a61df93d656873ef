"""One real training on the given images, and the distance of its samples to them in features of their classifier."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.on_gpu.models import trainer
from benchmarks.on_gpu.pieces import Piece, Pieces, Setting, float32_mode, repeated
from genbench.sampling.batch import sample_pixels

REAL = {
    "model": {
        "class": "diffusion.Diffusion",
        "prediction": "v",
        "schedule": "cosine",
        "timesteps": 250,
        "denoiser": {"class": "unet.UNet", "channels": 64, "channel_mult": [1, 2, 2], "dropout": 0.0},
    },
    "training": {
        "steps": 1_000_000,
        "batch_size": 256,
        "precision": "bf16",
        "ema_decay": 0.999,
        "optimizer": {"algorithm": "adamw", "lr": 5.0e-4, "warmup_steps": 200},
    },
}


def real(at: Setting) -> Pieces:
    """One training on the given images, and the distance of its samples to them in features of their classifier."""
    drawn: list[torch.Tensor] = []

    def train() -> dict[str, Any]:
        if at.images is None:
            return {"reason": "needs --images FILE.npz"}
        found = {key: dict(part) for key, part in REAL.items()}
        if at.tiny:
            small = {"channels": 32, "channel_mult": [1], "num_res_blocks": 1}
            found["model"]["denoiser"] = REAL["model"]["denoiser"] | small
            found["training"] |= {"batch_size": 4}
        training = trainer(found, at.images, at.device)
        count, took = repeated(training.advance, at.device, at.either(75, 0.1), at_least=at.either(20, 1))
        model, size, draws = training.result.eval(), at.either(500, 8), at.either(5000, 40)
        options = {"method": "ddim", "steps": 20, "spacing": "trailing"}
        with float32_mode(tf32=False):
            for start in range(0, draws, size):
                seeds = torch.arange(start, start + size, device=at.device)
                drawn.append(sample_pixels(model, seeds, options).cpu())
        return {
            "seconds": took,
            "iterations": count,
            "images_per_second": count * found["training"]["batch_size"] / took,
            "samples": draws,
        }

    labels = {"model": "ddpm", "precision": "bf16"}
    yield Piece({"what": "a real training", **labels}, train)
    if drawn and at.images is not None:
        pixels = torch.cat(drawn).numpy()
        yield Piece({"what": "FD-classifier", **labels}, lambda: _classifier_distance(at, at.images, pixels))


def _classifier_distance(at: Setting, images: NDArray[np.uint8], drawn: NDArray[np.uint8]) -> dict[str, Any]:
    """FD of the samples to the first half of the images; and, to compare, FD of the second half, which is real, too."""
    if at.labels is None:
        return {"reason": "the file has no labels, and so there is no classifier for an FD"}
    from genbench.features.class_training import accuracy, train_classifier
    from genbench.images import to_images
    from genbench.metrics.fid import feature_statistics, frechet_distance

    epochs, half = at.either(10 if len(images) <= 10_000 else 2, 1), len(images) // 2
    classifier = train_classifier(images, at.labels, int(at.labels.max()) + 1, epochs=epochs, device=at.device)

    def statistics(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        with torch.inference_mode():
            parts = [
                classifier.features(to_images(part.to(at.device))).cpu() for part in torch.from_numpy(pixels).split(500)
            ]
        return feature_statistics(torch.cat(parts).numpy())

    reference = statistics(images[:half])
    return {
        "fd_classifier": frechet_distance(*reference, *statistics(drawn)),
        "fd_classifier_of_real_images": frechet_distance(*reference, *statistics(images[half:])),
        "accuracy_on_its_training_images": accuracy(classifier, images, at.labels),
    }
