"""An entry of a suite built, run and sampled once on the meta device, where tensors have shapes and no contents.

Wrong keys, wrong values and shapes that don't fit are found in seconds, at full size, before anything is trained;
and the cost of every model is known beforehand.
"""

import contextlib
import inspect
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from genbench import own_code
from genbench.data import Description
from genbench.data.given import given_entry, given_samples
from genbench.errors import InputError, place, unknown_name
from genbench.features.guards import check_images
from genbench.files.downloads import existing_path
from genbench.files.hub import format_options, pretrained_path
from genbench.importing import choose_format, read_checkpoint
from genbench.models import Model, build, count_parameters
from genbench.models.foreign import Foreign
from genbench.processes.schedule import Schedule
from genbench.ranges import Steps, StepsOrZero
from genbench.sampling.averages import ema_length_of
from genbench.sampling.likelihood import check_likelihood
from genbench.sampling.quantisation import check_scheme, scheme_of
from genbench.schema import annotations
from genbench.suites.cost import sampling_costs
from genbench.suites.families import check_stated
from genbench.suites.foreign import FOREIGN_KEYS
from genbench.suites.load import QUANTISATION
from genbench.suites.submissions import HAND_IN
from genbench.training.budget import Paid, paid
from genbench.training.flops import META, training_cost
from genbench.training.recipe import OptimizerConfig, TrainConfig

log = logging.getLogger(__name__)


def check_samples(
    entry: Mapping[str, Any], image_shape: tuple[int, int, int], count: int, data_root: str
) -> dict[str, Any]:
    """The record of samples that were drawn elsewhere. Raises InputError when they don't serve."""
    options = given_entry(entry["samples"])
    with place("samples"):
        if HAND_IN in entry:  # which is read once, where it is taken in: what is wrong with it is a row of its own
            return _given(entry, ["handed in"])
        path = existing_path(options.pop("path"), Path(data_root))
        images, _ = given_samples(path, count, image_shape, **options)
        with place(path):
            check_images(images)  # or the extraction of their features would refuse them, after all trainings
    return _given(entry, ["samples drawn elsewhere"])


def check_hand_in(entry: Mapping[str, Any], data: Description, data_root: str, costs: bool) -> dict[str, Any]:
    """As `check_pretrained` of a generator that was handed in, which is refused in a row of its own."""
    try:
        return check_pretrained(entry, data, data_root, costs)
    except InputError as error:
        log.warning("%s: not judged: %s", entry["label"], error)
        refused = {"class": "foreign.Refused", "reason": str(error)}
        described = _given({**entry, "samples": entry["pretrained"]["path"]}, ["handed in"])
        return described | {"class": refused["class"], "spec": {"model": refused}}


def _given(entry: Mapping[str, Any], remarks: list[str]) -> dict[str, Any]:
    """What is known of images that are not drawn here."""
    names = entry["samplers"]
    return {
        "family": "Given samples",
        "paper": None,
        "class": None,
        "spec": {"samples": entry["samples"]},
        "parameters": {},
        "samplers": {name: {"label": name, "options": {}, "remarks": remarks, "nfe": None} for name in names},
    }


def check_pretrained(entry: Mapping[str, Any], data: Description, data_root: str, costs: bool) -> dict[str, Any]:
    """What a published checkpoint is and costs. Raises InputError when it does not serve."""
    options = format_options(entry["pretrained"])
    with place(FOREIGN_KEYS.get(entry["pretrained"]["format"], "pretrained")):
        if "hub" in entry["pretrained"] and not costs:  # it would be downloaded
            choose_format(entry["pretrained"]["format"], options)
            return {}
        path = pretrained_path(entry["pretrained"], Path(data_root))
        imported = read_checkpoint(entry["pretrained"]["format"], path, **options)
        if tuple(imported.image_shape) != data.image_shape:
            raise InputError(
                f"found a model of images of shape (C, H, W) = {tuple(imported.image_shape)}, "
                f"expected {data.image_shape}, as the data set's"
            )
        with META:
            model = build(imported.model, data.image_shape).to(META)
        check_labels(model, data)
    return describe_model(entry, model, costs) | {
        "class": imported.model["class"],
        "spec": {
            "pretrained": entry["pretrained"],
            "model": imported.model,
            "samplers": entry["samplers"],
            "sample_batch_size": entry["sample_batch_size"],
        },
    }


def check_labels(model: Model, data: Description) -> None:
    """Check that a model with labels has as many classes as the data set, and of the same kind."""
    classes, several = getattr(model, "num_classes", 0), getattr(model, "multi_label", False)
    if classes and (classes, several) != (data.num_classes, data.multi_label):
        raise InputError(
            f"found num_classes: {classes} and multi_label: {str(several).lower()}, but an image of "
            f"{data.name!r} has {'some' if data.multi_label else 'one'} of {data.num_classes} labels"
        )


def check_entry(entry: Mapping[str, Any], data: Description, costs: bool = True) -> dict[str, Any]:
    """What a model's entry will be and cost. Raises InputError for anything wrong in it."""
    with place("training"):
        config = TrainConfig.from_entry(entry["training"])
    if data.num_train is not None and config.batch_size > data.num_train:
        raise InputError(
            f"training: key 'batch_size': found {config.batch_size}, expected at most {data.num_train}, as many images "
            "as there are to train on"
        )
    with place("model"):
        with META, _building(entry["model"]):
            model = build(entry["model"], data.image_shape)
        check_labels(model, data)
        check_idle(model, entry["model"])
    check_stated(entry, model)
    model = model.to(META)
    with place("training"):
        config.check_model(model)
    for key in ("ranks", "gpus"):
        with place(key):
            config.check_ranks(model, entry.get(key, 1))
    training = {}
    if costs or config.flops is not None:
        with _running(data.image_shape):
            training = training_cost(model, config)
        with place("training"):
            trained = _paid(entry, config, training["flops"], data)
            config = config.in_steps(trained.steps)
    check_iterations(model, entry, config.num_steps)
    if late := [step for step in entry["snapshots"] if step >= config.num_steps]:
        raise InputError(f"snapshots: found step {late[0]}, expected steps below training: steps {config.num_steps}")
    described = describe_model(entry, model, costs)
    if not costs:
        return described
    return described | {
        "class": entry["model"]["class"],
        "spec": {key: entry[key] for key in ("model", "training", "samplers", "sample_batch_size")},
        "training_steps": config.num_steps,
        "training_flops": trained.flops,
        "training_flops_per_image": training["flops"] // config.batch_size,
        "training_memory_bytes": training["memory_bytes"],
    }


def _paid(entry: Mapping[str, Any], config: TrainConfig, flops_per_step: int, data: Description) -> Paid:
    """What an entry's training is: its steps, or those that its budget pays for, after its first stage."""
    before = 0
    if "first_stage_entry" in entry:
        stage = entry["first_stage_entry"]
        before = paid(stage["model"], stage["training"], data.image_shape).flops
    if config.flops is None:
        return Paid(config.num_steps, flops_per_step, before)
    return Paid.by(config.flops, flops_per_step, before)


def check_idle(model: Model, entry: Mapping[str, Any]) -> None:
    """Refuse keys of a model's entry that are without effect, as its parts state in `idle`: what is wrong, by key."""
    for name, part in model.named_modules():
        place_of = name.split(".") if name else []
        stated: Any = entry
        for step in place_of:
            stated = stated.get(step) if isinstance(stated, Mapping) else None
        for key, wrong in getattr(part, "idle", {}).items():
            if isinstance(stated, Mapping) and key in stated:
                with place(*place_of):
                    found = f"found {stated[key]!r}, which " if wrong.startswith("does nothing") else ""
                    raise InputError(f"key {key!r}: {found}{wrong}")


def check_iterations(model: Model, entry: Mapping[str, Any], steps: int) -> None:
    """Look for numbers of iterations, which are those annotated as such, above those of the whole training.

    A network that would never move is refused. What a shorter trial of a recipe leaves unfinished, such as a warm-up,
    is a line of the log.
    """
    training = entry["training"]
    places: list[tuple[tuple[str, ...], Any, Mapping[str, Any]]] = [
        (("model",), type(model), entry["model"]),
        (("training",), TrainConfig, training),
        (("training", "optimizer"), OptimizerConfig, training.get("optimizer", {})),
        *(
            (("training", "optimizers", name), OptimizerConfig, options)
            for name, options in training.get("optimizers", {}).items()
        ),
    ]
    for where, function, stated in places:
        hints = annotations(function)
        for key, value in stated.items():
            if hints.get(key) not in (Steps, StepsOrZero) or value <= steps:
                continue
            if where == ("model",) and not key.endswith("_steps"):
                raise InputError(f"model: key {key!r}: found {value}, expected at most the training's steps, {steps}")
            found = ": ".join((*([entry["label"]] if "label" in entry else []), *where, key))
            log.warning("%s: found %d, and the training has no more than %d steps", found, value, steps)


@contextlib.contextmanager
def _building(entry: Mapping[str, Any]) -> Iterator[None]:
    """Torch's errors, such as of numbers too large for any tensor, as InputErrors; those of own code as they are."""
    try:
        yield
    except (RuntimeError, TypeError, OverflowError, MemoryError) as error:
        if own_code.parse(entry["class"]):
            raise
        raise InputError(f"the model can't be built: {' '.join(str(error).split())[:200]}") from None


@contextlib.contextmanager
def _running(image_shape: tuple[int, int, int]) -> Iterator[None]:
    """Errors of a model that runs, as InputErrors."""
    try:
        yield
    except InputError:
        raise
    except (RuntimeError, ValueError, TypeError) as error:
        raise InputError(f"the model does not run on images of shape {image_shape}: {error}") from error


def noise_schedule(model: Model) -> dict[str, Any]:
    """The schedule of a model that has one, at about a hundred times, as {"noise_schedule": ...}.

    Its `default` is the name of the family's own schedule, where the model's entry gives none.
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
    """Check that the training of an entry keeps what averages of other lengths are made of."""
    found = f"key 'ema_length': found {length}"
    if len(entry.get("training", {}).get("ema_lengths", ())) < 2:
        raise InputError(f"{found}, expected a training with ema_lengths, such as [0.05, 0.1]")
    if type(model).after_training is not Model.after_training:
        raise InputError(
            f"{found}, but {type(model).__name__} fits a part of itself to the weights that a training ends with; "
            "expected none"
        )


def describe_model(entry: Mapping[str, Any], model: Model, costs: bool = True) -> dict[str, Any]:
    """What a model is, and what drawing an image with each of the entry's samplers costs, if that is asked for."""
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
        with place("samplers", name), _running(model.image_shape):  # it walks once, with the sampler's own code
            options[name] = model.check_sampler(given)
    for name in entry["pictures"]:
        if name not in model.pictures:
            raise unknown_name("pictures", name, model.pictures)
    if "likelihood" in entry:
        with place("likelihood"):
            check_likelihood(model, entry["likelihood"].get("steps"))
    if not costs:
        return {}
    with _running(model.image_shape):
        found = sampling_costs(model, {name: given for name, given in options.items() if name not in schemes})
    if isinstance(model, Foreign):  # whose arithmetic nobody counts
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
