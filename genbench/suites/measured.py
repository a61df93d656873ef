"""Measure how fast this machine computes the networks of a suite, in seconds per network, for `genbench check`."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from genbench.errors import InputError
from genbench.machine.devices import device_label, synchronise
from genbench.models import Batch, Model, build
from genbench.processes.noise import Noise
from genbench.suites.speeds import SAMPLING, TRAINING, Seen, network_key
from genbench.training.flops import FlopCounter

SECONDS = 0.5  # the shortest time to measure; the batch grows until it takes so long
MOST = 64  # images per batch


class _FirstCallError(Exception):
    """Raised by the network's first call, so that the rest is not computed."""


def measure(
    models: Mapping[str, Mapping[str, Any]], image_shape: tuple[int, int, int], device: torch.device
) -> Iterator[Seen]:
    """FLOPs per second of each network in sampling and in training; networks that need data to run are left out.

    models: entries of a suite's models, by name. image_shape: (C, H, W).
    """
    torch.manual_seed(0)  # for the weights, which do not affect FLOPs
    for entry in models.values():
        model = build(entry["model"], image_shape).to(device)
        key, label = network_key(entry["model"]), device_label(device)
        for kind, once in ((SAMPLING, _evaluation), (TRAINING, _step)):
            try:
                yield Seen(label, kind, key, _flops_per_second(model, once, device), "measured by check")
            except (InputError, RuntimeError, ValueError, TypeError, IndexError):  # a run reports these
                continue
        del model


def _flops_per_second(model: Model, once: Any, device: torch.device) -> float:
    images = 1
    clock = time.process_time if device.type == "cpu" else time.perf_counter  # process time: other jobs may run
    once(model, images, device)  # warms up
    synchronise(device)
    while True:
        started = clock()
        once(model, images, device)
        synchronise(device)
        seconds = clock() - started
        if seconds >= SECONDS or images >= MOST:
            with FlopCounter() as counter:
                once(model, images, device)
            if not counter.total:
                raise InputError("found no FLOPs")  # no speed can be computed
            return counter.total / seconds
        images = min(MOST, images * 4)


def _evaluation(model: Model, images: int, device: torch.device) -> None:
    """One call of the network, with the inputs of a sampler's first call."""
    network = model.get_submodule(model.network)
    caught: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def catch(module: Any, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        caught.append((inputs, keywords))
        raise _FirstCallError

    model.eval()
    handle = network.register_forward_pre_hook(catch, with_kwargs=True)
    try:
        with torch.no_grad():
            model.sample(Noise(torch.arange(images, device=device)))
    except _FirstCallError:
        pass
    finally:
        handle.remove()
    with torch.no_grad():
        network(*caught[0][0], **caught[0][1])


def _step(model: Model, images: int, device: torch.device) -> None:
    """Compute the losses of a batch and their gradients."""
    model.train()
    x0 = torch.zeros(images, *model.image_shape, device=device)
    y: Tensor = torch.zeros(images, dtype=torch.int64, device=device)
    for _, loss in model.losses(Batch(x0, y, Noise(torch.arange(images, device=device))), 0):
        loss.backward()
        model.zero_grad(set_to_none=True)
