"""Describe a model on the meta device, and the cost of drawing an image with each of its samplers."""

import contextlib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from genbench import own_code
from genbench.errors import InputError, place, unknown_name
from genbench.models import Model, count_parameters
from genbench.models.foreign import Foreign
from genbench.processes.schedule import Schedule
from genbench.sampling.averages import ema_length_of
from genbench.sampling.likelihood import check_likelihood
from genbench.sampling.quantisation import check_scheme, scheme_of
from genbench.suites.completion import QUANTISATION
from genbench.suites.cost import sampling_costs


@contextlib.contextmanager
def running(image_shape: tuple[int, int, int]) -> Iterator[None]:
    """Turn the errors of a running model into InputErrors; those in a user's file name its line."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        said = own_code.located(error)
        if said is None and not isinstance(error, RuntimeError | ValueError | TypeError):
            raise
        said = said or str(error)
        if "meta tensors" in said or "on meta" in said:
            said += "; this trial run has shapes but no values: write it without .item() and conditions on values"
        raise InputError(f"the model does not run on images of shape {image_shape}: {said}") from error


def noise_schedule(model: Model) -> dict[str, Any]:
    """The schedule of a model that has one, at about a hundred times, as {"noise_schedule": ...}.

    Its `default` is the name of the family's schedule, which is used if the model's entry names none.
    """
    schedule = getattr(model, "schedule", None)
    if not isinstance(schedule, Schedule):
        return {}
    times = sorted({round(part * schedule.T / 100) for part in range(101)})
    parameter = inspect.signature(type(model)).parameters.get("schedule")
    described = {
        "T": schedule.T,
        "default": parameter.default if parameter and isinstance(parameter.default, str) else None,
        "t": times,
        "alphas_cumprod": [schedule.alpha_bar(t) for t in times],
    }
    return {"noise_schedule": described}


def check_averages(model: Model, entry: Mapping[str, Any], length: float | None) -> None:
    """Check that the training of an entry saves the averages from which other lengths are computed."""
    found = f"key 'ema_length': found {length}"
    if len(entry.get("training", {}).get("ema_lengths", ())) < 2:
        raise InputError(f"{found}, expected a training with ema_lengths, such as [0.05, 0.1]")
    if type(model).after_training is not Model.after_training:
        raise InputError(
            f"{found}, but {type(model).__name__} fits a part of itself to the weights that a training ends with; "
            "expected none"
        )


def describe_model(entry: Mapping[str, Any], model: Model, costs: bool = True) -> dict[str, Any]:
    """Check an entry's samplers and pictures; with `costs`, describe the model and the cost of an image by sampler."""
    options, schemes, precisions, lengths = {}, {}, {}, {}
    for name, given in entry["samplers"].items():
        quantised = QUANTISATION in given
        with place("samplers", name):
            given, scheme = scheme_of(given)
            given, lengths[name] = ema_length_of(given)
            if lengths[name] is not None:
                check_averages(model, entry, lengths[name])
        precisions[name] = scheme if scheme is not None and not quantised else "fp32"
        if scheme is not None:
            check_scheme(model, scheme)
        if quantised:
            schemes[name] = {"scheme": scheme, "sampler": entry[QUANTISATION]["sampler"]}
        with place("samplers", name), running(model.image_shape):  # runs the sampler's own code once
            options[name] = model.check_sampler(given)
    for name in entry["pictures"]:
        if name not in model.pictures:
            raise unknown_name("pictures", name, model.pictures)
    if "likelihood" in entry:
        with place("likelihood"):
            check_likelihood(model, entry["likelihood"].get("steps"))
    if not costs:
        return {}
    with running(model.image_shape):
        found = sampling_costs(model, {name: given for name, given in options.items() if name not in schemes})
    if isinstance(model, Foreign):  # its FLOPs cannot be counted
        for cost in found.values():
            cost.update(flops_per_nfe=None, flops_per_image=None, memory_per_image=None)
    samplers = {
        name: {
            "label": name,
            "options": given,
            "remarks": [
                *model.remarks(given),
                *(["drawn in bf16"] if precisions[name] == "bf16" else []),
                *([f"weights averaged over a length of {lengths[name]:g}"] if lengths[name] is not None else []),
            ],
            "generates": model.condition(given) != "images",
            "quantisation": schemes.get(name),
            "precision": precisions[name],
            "walk": model.describe_walk(given),
            **found[schemes[name]["sampler"] if name in schemes else name],
        }
        for name, given in options.items()
    }
    return {
        "family": model.family,
        "about": model.about,
        "paper": model.paper,
        "parameters": model.known_parameters() if isinstance(model, Foreign) else count_parameters(model),
        "samplers": samplers,
        **noise_schedule(model),
    }
