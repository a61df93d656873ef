"""From uint8 images to features, batch by batch, in exact float32, including the last partial batch."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genbench.errors import InputError
from genbench.features.published_weights import WeightFile
from genbench.machine.progress import Progress

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Extractor:
    """A network that turns uint8 images (N, H, W, C) into features (N, dim) and logits (N, K), or None without logits.

    sha256: of its weights. image_shape: the (H, W, C) that it takes, None for any. batch_size: one that fits in memory
    on any machine. info: further information to store.
    """

    name: str
    dim: int
    sha256: str
    network: Callable[["torch.Tensor"], tuple["torch.Tensor", "torch.Tensor | None"]]
    image_shape: tuple[int, int, int] | None = None
    batch_size: int = 500
    info: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, pixels: "torch.Tensor") -> tuple["torch.Tensor", "torch.Tensor | None"]:
        return self.network(pixels)


@dataclass(frozen=True)
class ExtractorKind:
    """An extractor before it is loaded: its dimension, the metrics that it gives, and how to load it.

    load: (path of the weights, device) -> Extractor; the path is None if none is given or published.
    weights: the published file that it needs, or None. packages: what it imports beyond genbench's own dependencies.
    """

    dim: int
    metrics: list[str]
    load: Callable[[Any, "torch.device | str"], Extractor]
    weights: WeightFile | None = None
    packages: tuple[str, ...] = ()


def extract(
    images: NDArray[np.uint8],
    extractor: Extractor,
    batch_size: int | None = None,
    device: "torch.device | str" = "cpu",
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Features (N, D), and logits (N, K) or None, of all images (N, H, W, C), including the last partial batch.

    In float32, without TF32 or autocast. The batch size, by default the extractor's, changes only their rounding
    (1e-5).
    Raises InputError if the extractor does not take such images, and for features that are not finite.
    """
    import torch

    from genbench.images import from_array

    if extractor.image_shape is not None and images.shape[1:] != extractor.image_shape:
        raise InputError(
            f"images of shape (H, W, C) = {images.shape[1:]}; the extractor {extractor.name!r} was made for "
            f"{extractor.image_shape}"
        )
    device = torch.device(device)
    batch_size = batch_size or extractor.batch_size
    log.info("%s: features of %d images", extractor.name, len(images))
    found: dict[str, NDArray[np.float32]] = {}
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with (
            torch.inference_mode(),
            torch.autocast(device.type, enabled=False),
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
            Progress(len(images), "images", name=extractor.name) as progress,
        ):
            for start in range(0, len(images), batch_size):
                batch = from_array(images[start : start + batch_size]).to(device)
                for key, value in zip(("features", "logits"), extractor(batch), strict=True):
                    if value is None:
                        continue
                    if key not in found:
                        found[key] = np.empty((len(images), value.shape[1]), dtype=np.float32)
                    found[key][start : start + len(value)] = value.float().cpu().numpy()
                progress.update(len(batch))
    finally:
        torch.set_float32_matmul_precision(precision)
    for key, array in found.items():
        if not np.isfinite(array).all():
            raise InputError(f"the extractor {extractor.name!r} gave {key} that are NaN or infinite")
    return found["features"], found.get("logits")
