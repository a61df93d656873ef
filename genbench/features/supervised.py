"""Training of both classifiers of a data set: Adam, one cycle of the learning rate, and small shifts of the images."""

import logging
from collections.abc import Callable
from typing import Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from genbench.images import from_array, to_images
from genbench.machine.progress import Progress
from genbench.tensors import Pixels, image_layout

log = logging.getLogger(__name__)

MAX_SHIFT = 2  # pixels
Network = TypeVar("Network", bound=nn.Module)


def train_supervised(
    make: Callable[[], Network],
    pixels: NDArray[np.uint8],
    targets: Tensor,
    loss_of: Callable[[Tensor, Tensor], Tensor],
    *,
    name: str,
    epochs: int,
    seed: int,
    batch_size: int,
    learning_rate: float,
    warm_up: float,
    mirror: bool = False,
    precision: Literal["fp32", "bf16"] = "fp32",
    device: torch.device | str,
) -> Network:
    """Train the network from `make` on images (N, H, W, C) uint8 with `targets` (N, ...). Returns it in eval mode, on
    `device`.

    loss_of: the loss of a batch's logits and targets. name: in the log. warm_up: the share of the steps in which the
    learning rate rises. mirror: whether to mirror half of the images, at random. precision: of the network's passes.
    Deterministic by seed for one device and number of threads.
    """
    random = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = make()
    network.to(device, memory_format=image_layout(device)).train()  # type: ignore[call-overload]
    data, targets = from_array(pixels).to(device), targets.to(device)
    count, batch_size = len(pixels), min(batch_size, len(pixels))
    batches = count // batch_size
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, learning_rate, total_steps=epochs * batches, pct_start=warm_up
    )
    with (
        torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True),
        Progress(epochs * batches, "steps", name=name) as progress,
    ):
        for epoch in range(epochs):
            total = torch.zeros((), device=device)
            for indices in torch.randperm(count, generator=random).split(batch_size)[:batches]:
                shifts = torch.randint(-MAX_SHIFT, MAX_SHIFT + 1, (len(indices), 2), generator=random)
                batch = shifted(data[indices.to(device)], shifts.to(device))
                if mirror:
                    mirrored = torch.rand(len(indices), 1, 1, 1, generator=random) < 0.5
                    batch = torch.where(mirrored.to(device), batch.flip(2), batch)
                images = to_images(batch).contiguous(memory_format=image_layout(device))
                with torch.autocast(data.device.type, torch.bfloat16, enabled=precision == "bf16"):
                    logits = network(images)
                loss = loss_of(logits.float(), targets[indices.to(device)])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                schedule.step()
                total += loss.detach()
                progress.update()
            log.info("%s: epoch %d of %d, loss %.4f", name, epoch + 1, epochs, total.item() / batches)
    return network.eval()


def shifted(pixels: Pixels, shifts: Tensor) -> Pixels:
    """Move image i of (N, H, W, C) by shifts[i] = (down, right) pixels; the border repeats the edge."""
    count, height, width, _ = pixels.shape
    rows = (torch.arange(height, device=pixels.device) - shifts[:, :1]).clamp(0, height - 1)  # (N, H)
    columns = (torch.arange(width, device=pixels.device) - shifts[:, 1:]).clamp(0, width - 1)  # (N, W)
    images = torch.arange(count, device=pixels.device)
    return pixels[images[:, None, None], rows[:, :, None], columns[:, None, :]]
