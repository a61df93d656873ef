"""Build, run and sample an entry of a suite once on the meta device, where tensors have shapes but no data.

This finds wrong keys, wrong values and wrong shapes in seconds, at full size, before anything is trained, and gives the
cost of every model.
"""

import contextlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from genbench import own_code
from genbench.data import Description
from genbench.data.given import given_entry, given_samples
from genbench.errors import InputError, place
from genbench.features.guards import check_images
from genbench.files.downloads import existing_path
from genbench.files.hub import format_options, pretrained_path
from genbench.importing import choose_format, read_checkpoint
from genbench.models import Model, build
from genbench.ranges import Steps, StepsOrZero
from genbench.schema import annotations
from genbench.suites.described import describe_model, running
from genbench.suites.families import check_stated
from genbench.suites.foreign import FOREIGN_KEYS
from genbench.suites.submissions import HAND_IN
from genbench.training.budget import Paid, paid
from genbench.training.flops import META, training_cost
from genbench.training.recipe import OptimizerConfig, TrainConfig

log = logging.getLogger(__name__)


def check_samples(
    entry: Mapping[str, Any], image_shape: tuple[int, int, int], count: int, data_root: str
) -> dict[str, Any]:
    """Check and describe samples that were drawn elsewhere. Raises InputError if they are unusable."""
    options = given_entry(entry["samples"])
    with place("samples"):
        if HAND_IN in entry:  # read later, when it is imported: its errors become a row in the report
            return _given(entry, ["handed in"])
        path = existing_path(options.pop("path"), Path(data_root))
        images, _ = given_samples(path, count, image_shape, **options)
        with place(path):
            check_images(images)  # otherwise feature extraction would refuse them, after all trainings
    return _given(entry, ["samples drawn elsewhere"])


def check_hand_in(entry: Mapping[str, Any], data: Description, data_root: str, costs: bool) -> dict[str, Any]:
    """`check_pretrained` for a generator that was handed in: if it is refused, its row in the report says why."""
    try:
        return check_pretrained(entry, data, data_root, costs)
    except InputError as error:
        log.warning("%s: not judged: %s", entry["label"], error)
        refused = {"class": "foreign.Refused", "reason": str(error)}
        described = _given({**entry, "samples": entry["pretrained"]["path"]}, ["handed in"])
        return described | {"class": refused["class"], "spec": {"model": refused}}


def _given(entry: Mapping[str, Any], remarks: list[str]) -> dict[str, Any]:
    """The description of images that are not drawn here."""
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
    """Check and describe a published checkpoint, with its cost. Raises InputError if it is unusable."""
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
        named = {(each.name, each.digest) for each in own_code.references(entry)}
        for each in own_code.references(imported.model):
            if (each.name, each.digest) not in named:
                raise InputError(
                    f"found a model of own code, {each}, which the suite does not name, so jobs may not run it; "
                    "expected format: state-dict, with the class in model: {class: ./my.py:Flow}"
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
    """Check and describe a model's entry, with its cost. Raises InputError for any error in it."""
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
        with running(data.image_shape):
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
    """The steps of an entry's training: as stated, or as many as its budget allows after its first stage."""
    before = 0
    if "first_stage_entry" in entry:
        stage = entry["first_stage_entry"]
        before = paid(stage["model"], stage["training"], data.image_shape).flops
    if config.flops is None:
        return Paid(config.num_steps, flops_per_step, before)
    return Paid.by(config.flops, flops_per_step, before)


def check_idle(model: Model, entry: Mapping[str, Any]) -> None:
    """Refuse keys of a model's entry that have no effect. The model's parts list these in `idle`, with the reason."""
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
    """Check that numbers of iterations, which their annotations identify, do not exceed those of the whole training.

    A number with which a network would never be trained is refused. Others, such as a warm-up that a shorter trial of a
    recipe does not finish, are logged.
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
    """Turn errors of torch, such as for too large numbers, and of a user's file into InputErrors."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if said := own_code.located(error):
            raise InputError(said) from error
        of_torch = isinstance(error, RuntimeError | TypeError | OverflowError | MemoryError)
        if own_code.parse(entry["class"]) or not of_torch:
            raise
        raise InputError(f"the model can't be built: {' '.join(str(error).split())[:200]}") from None
