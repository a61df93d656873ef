"""Every key of a model has an effect: another value changes weights, losses or samples, or is refused."""

import copy
import typing
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Any

import pytest
import torch
from entries import IMAGE_SHAPE, MODELS

from genbench.errors import InputError
from genbench.models import Batch, build
from genbench.processes.ada import AUGMENTATIONS
from genbench.processes.adversarial import PENALTIES
from genbench.processes.degradations import DEGRADATIONS
from genbench.processes.noise import Noise
from genbench.processes.schedule import SCHEDULES
from genbench.ranges import bounds
from genbench.schema import annotations, find_class, keywords
from genbench.suites.entries import check_idle

TABLES: Mapping[str, Mapping[str, Any]] = {
    "schedule": SCHEDULES,
    "penalty": PENALTIES,
    "augment": AUGMENTATIONS,
    "degradation": DEGRADATIONS,
}
FILLED = {"image_shape", "out_features", "in_channels", "out_channels"}  # filled in by the program
OF_SAMPLERS = {"variance", "clip", "spacing"}  # defaults of samplers; these entries use ddpm with all steps
OF_DATA = {"multi_label"}  # has no effect with one label per image


def others(annotation: Any, default: Any) -> Iterator[Any]:
    """Yield a few values of a type, other than the default."""
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        least, most = (bounds(annotation).get(key, end) for key, end in (("ge", -1e9), ("le", 1e9)))
        yield from (
            value for value in others(parts[0], default) if not isinstance(value, int | float) or least <= value <= most
        )
    elif origin in (UnionType, typing.Union):
        for part in parts:
            yield from others(part, default)
    elif origin is typing.Literal:
        yield from (value for value in parts if value != default)
    elif annotation is bool:
        yield not default
    elif annotation is int:
        yield from (value for value in (2, 1, 4) if value != default)
    elif annotation is float:
        yield from (value for value in (0.5, 2.0) if value != default)
    elif parts and default is not None and not isinstance(default, Mapping | str):
        for value in others(parts[0], None):
            yield from ([value], [value, value])


def parts_of(entry: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the path and the function or class of an entry and of everything named inside it."""
    if "class" in entry:
        package = "models" if not path else "networks"
        yield path, find_class(f"genbench.{package}", entry["class"])
    for key, value in entry.items():
        name = value.get("name") if isinstance(value, Mapping) else value
        if key in TABLES and isinstance(name, str):
            yield (*path, key), TABLES[key][name]
        elif isinstance(value, Mapping):
            yield from parts_of(value, (*path, key))


def changed(entry: Mapping[str, Any], path: tuple[str, ...], key: str, value: Any) -> dict[str, Any]:
    found = part = copy.deepcopy(dict(entry))
    for step in path:
        if isinstance(part[step], str):
            part[step] = {"name": part[step]}
        part = part[step]
    part[key] = value
    return found


def signature(entry: Mapping[str, Any]) -> list[Any]:
    """Return what an entry builds: names, shapes and sums of its weights, losses of two steps, two samples."""
    torch.manual_seed(0)
    model = build(entry, IMAGE_SHAPE)
    check_idle(model, entry)
    images = torch.linspace(-1, 1, 512).reshape(2, *IMAGE_SHAPE).sin()
    batch = Batch(images, torch.tensor([0, 1]), Noise(torch.arange(2), key=5))
    found: list[Any] = [
        (name, tuple(weight.shape), float(weight.double().sum())) for name, weight in model.state_dict().items()
    ]
    for step in range(2):
        for name, loss in model.train().losses(batch, step):
            weights = [weight for weight in getattr(model, name).parameters() if weight.requires_grad]
            gradients = torch.autograd.grad(loss, weights, allow_unused=True)
            found.append(
                (name, float(loss.detach()), [float(part.double().sum()) for part in gradients if part is not None])
            )
            with torch.no_grad():
                for weight, part in zip(weights, gradients, strict=True):
                    weight -= 0 if part is None else 0.01 * part
    model.eval()
    with torch.no_grad():
        model.after_training(
            iter([images.repeat(8, 1, 1, 1) + 0.1 * torch.linspace(-1, 1, 16)[:, None, None, None].sin()])
        )
        found.append(model.sample(Noise(torch.arange(2), key=2)).tolist())
    return found


def differs(entry: Mapping[str, Any], before: list[Any]) -> bool:
    """Whether an entry has another signature or is refused."""
    try:
        return signature(entry) != before
    except InputError:
        return True


@pytest.mark.parametrize("name", ["gan", "vae", "cold"])  # the others' larger networks take minutes
def test_every_key_does_something_or_is_refused(name: str) -> None:
    entry = MODELS[name]
    before, idle = signature(entry), []
    for path, function in list(parts_of(entry)):
        hints, stated = annotations(function), entry
        for step in path:
            stated = stated[step] if isinstance(stated[step], Mapping) else {"name": stated[step]}
        for key, parameter in keywords(function).items():
            default = stated.get(key, parameter.default)
            if key in FILLED | OF_SAMPLERS | OF_DATA or (path and key in ("latent_size", "num_classes")):
                continue
            values = list(others(hints[key], default))
            if values and not any(differs(changed(entry, path, key, value), before) for value in values):
                idle.append((*path, key))
    assert not idle
