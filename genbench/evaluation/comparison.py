"""All metrics that two sets of images allow, given as images, features, or published statistics."""

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genbench import own_code
from genbench.data.as_found import Axes
from genbench.data.decoding import Filter
from genbench.errors import InputError, option, place, unknown_name
from genbench.evaluation.materials import Eyes, WeightsError, check_names, gather
from genbench.evaluation.results import Evaluation
from genbench.evaluation.sides import Given, Reading, Side, open_side
from genbench.evaluation.task import Task
from genbench.features import EXTRACTORS
from genbench.features.guards import check_images, drawn_here
from genbench.features.published_statistics import UNOFFICIAL, PublishedStatistics, choose_published
from genbench.machine.checkout import ROOT
from genbench.metrics import (
    METRICS,
    EvaluationOptions,
    Metric,
    load_metric,
)
from genbench.schema import check_arguments

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

TEMPLATES = ROOT / "report"
DEFAULT = ("inception-clean", "efficientnet")  # FID, and an extractor that needs no download
SAME = {"fid": "fd", "fid_infinity": "fd_infinity"}  # one distance, called FID only in the features of FID's network
ASK = (
    "with the network and resize that made them: inception-tensorflow (TTUR, EDM, OpenAI), "
    "inception-legacy (pytorch-fid), inception-clean (clean-fid), and inception-spatial for mu_s and sigma_s"
)


def ask() -> str:
    """What is expected if features or statistics do not state what made them."""
    return f"expected {option('features')} {ASK}"


def evaluate(
    fake: Given,
    real: Given,
    *,
    test: Given | None = None,
    metrics: Sequence[str] | None = None,
    features: Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
    layout: Axes | None = None,
    channels: Literal[1, 3] | None = None,
    image_size: int | None = None,
    filter: Filter | None = None,
    split: Literal["train", "test"] = "train",
    out: str | os.PathLike[str] | None = None,
    data_root: "str | os.PathLike[str]" = "resources/downloads",
    weights_root: str | os.PathLike[str] | None = None,
    any_weights: bool = False,
    batch_size: int | None = None,
    device: "torch.device | str" = "cpu",
) -> Evaluation:
    """Compare the images `fake` with the images `real` by every metric that the two allow.

    fake: A folder, .zip or .tar of images; an .npy or .npz of images; existing features; published statistics (an npz
        with mu and sigma), which allow only a distance; an array or tensor of images, uint8.
    real: The same, or the name of a data set, whose `split` is used.
    test: Held-out real images, which show whether samples are memorised. For the name of a data set, they are its test
        images.
    metrics: Names such as "fid", "kid" and "precision", or FILE.py:NAME of your own; by default all.
    features: Extractors, NAME or NAME:PATH; by default `DEFAULT`, or the extractors of the given features. If an
        extractor's weights are unavailable, it is left out, and `Evaluation.missing` says which file to put where.
    options: Options of `EvaluationOptions`.
    layout: The layout of arrays: NHWC, or NCHW as in torch.
    channels: The number of channels that every image is converted to.
    image_size: The side that every image is resized to.
    filter: The filter of that resize.
    split: The split of a data set: train or test.
    out: A folder for a page, metrics.json, pictures, and features; a second evaluation reuses these features.
    data_root: The folder of data sets, also for downloads.
    weights_root: The folder of published weights, also for downloads, as in `load_extractor`.
    any_weights: Accept weights other than the published ones, as in `load_extractor`.
    batch_size: Images per batch.
    device: The device that computes features.

    A metric that needs more images is left out, and a warning says so. Raises InputError for input that cannot be
    read, for statistics without a statement in `features` of what made them, and if nothing can be computed.
    """
    chosen = choose_metrics(metrics)
    given = dict(options or {})
    with place(option("options")):
        check_arguments(EvaluationOptions, given)
        EvaluationOptions(**given)
    reading = Reading(layout, channels, image_size, filter, split, Path(data_root))
    reading.check()
    sides = {"real": open_side(real, "real images", reading, datasets=True)}
    sides["fake"] = open_side(fake, "generated images", reading)
    held_out = sides["real"].holdout if test is None else open_side(test, "test images", reading)
    if held_out is not None:
        sides["test"] = held_out
    if split != "train" and sides["real"].dataset is None:
        raise InputError(f"{option('split')}: found {split!r}, which does nothing: the real images are not a data set")
    specs = choose_extractors(features, sides)
    impossible = check_needs(metrics or [], specs, held_out is not None)
    task = Task(sides, assign_statistics(sides, specs, stated=features is not None), chosen, given, impossible)
    root = None if weights_root is None else Path(weights_root)
    for side in sides.values():
        if side.images is not None:
            with place(side.name):
                check_images(side.images, drawn_here(side.info))
    with _folder(out, [given for given in (fake, real, test) if isinstance(given, str | os.PathLike)]) as folder:
        found, missing = [], []
        for spec in specs:
            eyes = Eyes(spec, root, any_weights, batch_size, device)
            try:
                found.append(gather(eyes, sides, task.statistics.get(eyes.name, {}), folder / "features"))
            except WeightsError as error:
                log.warning("%s", error)
                missing.append(str(error))
        evaluation = Evaluation(task.record(found), missing, sides["real"].dataset, _shape(sides))
        if not evaluation.record.metrics:
            left_out = [text for text in evaluation.warnings if " is left out: " in text]
            reasons = [*missing, *left_out] or [no_common(sides, specs)]
            raise InputError(f"nothing could be computed: {'; '.join(reasons)}")
        if out is not None:
            from genbench.evaluation.page import publish

            publish(Path(out), evaluation, sides["fake"], sides["real"], found, TEMPLATES)
    return evaluation


def choose_metrics(names: Sequence[str] | None) -> list[Metric]:
    """The metrics of these names; by default all of genbench's. fid and fd are one metric, and so are their limits."""
    if names is None:
        return list(METRICS.values())
    same = {**SAME, **{value: key for key, value in SAME.items()}}
    chosen: dict[str, Metric] = {}
    for name in names:
        if own_code.parse(name):
            own = load_metric(own_code.complete(name))
            chosen[own.name] = own
        elif name in METRICS:
            chosen |= {each: METRICS[each] for each in (name, same.get(name, name))}
        else:
            raise unknown_name(option("metrics"), name, METRICS)
    return list(chosen.values())


def check_needs(metrics: Sequence[str], specs: Sequence[str], held_out: bool) -> list[str]:
    """A line for each requested metric that cannot be computed, whatever the images; InputError if none can be."""
    lines = {}
    for name in (name for name in metrics if not own_code.parse(name)):
        same = choose_metrics([name])
        extractors = [spec.partition(":")[0].removesuffix(UNOFFICIAL) for spec in specs]
        if any(one.is_for(extractor, holdout=held_out, labels=True) for one in same for extractor in extractors):
            continue
        needs = "held-out real images" if "holdout" in same[0].needs and not held_out else ""
        able = " or ".join(extractor for one in same for extractor in one.extractors)
        needs = f"{needs} ({option('test')})" if needs else f"features of {able or 'another extractor'}"
        lines[name] = f"{same[0].label} is left out: it needs {needs}"
    if lines and len(lines) == len(metrics):
        raise InputError(f"nothing can be computed: {'; '.join(lines.values())}")
    return list(lines.values())


def no_common(sides: Mapping[str, Side], specs: Sequence[str]) -> str:
    """Why no metric could be computed, although none was left out: what each side has."""
    has = []
    for role in ("real", "fake"):
        side = sides[role]
        found = ["images"] if side.images is not None else [f"features of {name}" for name in side.made]
        found += [f"features of {side.bare.shape[1]} dimensions"] if side.bare is not None else []
        found += [f"statistics of {each.dim} dimensions" for each in side.statistics]
        has.append(f"{side.name} have {' and '.join(found)}")
    return f"the two sides have nothing in common that {' or '.join(specs)} made: {'; '.join(has)}"


def choose_extractors(features: Sequence[str] | None, sides: Mapping[str, Side]) -> list[str]:
    """The requested extractors, or those of the given features, or DEFAULT.

    Raises InputError if neither features or statistics nor the user state what made them.
    """
    if features is not None:
        check_names(list(features), sides)
        return list(features)
    for side in sides.values():
        if side.bare is not None:
            raise InputError(f"{side.name}: found features that do not say what made them; {ask()}")
        for statistics in side.statistics:
            if not statistics.made_by:
                raise InputError(f"{statistics.file}: found statistics that do not say what made them; {ask()}")
    told = [name for side in sides.values() for name in side.made]
    told += [str(found.made_by["name"]) for side in sides.values() for found in side.statistics if found.made_by]
    return list(dict.fromkeys(told)) or list(DEFAULT)


def assign_statistics(
    sides: Mapping[str, Side], specs: Sequence[str], stated: bool
) -> dict[str, dict[str, PublishedStatistics]]:
    """By extractor, the published statistics of each side that it made.

    Raises InputError if several of the extractors have this number of features and could have made them.
    """
    found: dict[str, dict[str, PublishedStatistics]] = {}
    for role, side in sides.items():
        for statistics in side.statistics:
            names = [spec.partition(":")[0] for spec in specs]
            if statistics.made_by:
                by = str(statistics.made_by["name"])
                names = [name for name in names if by in (name, f"{name}-unofficial")] or names
            fitting = [name for name in names if name in EXTRACTORS and EXTRACTORS[name].dim == statistics.dim]
            if len(fitting) > 1:
                raise InputError(
                    f"{statistics.file}: found statistics of {statistics.dim} features, as {' and '.join(fitting)} "
                    f"have; expected one of them in {option('features')}: the one that made them"
                )
            for name in fitting or [name for name in names if name not in EXTRACTORS]:
                if choose_published([statistics], name):
                    found.setdefault(name, {})[role] = statistics
        dims = {statistics.dim for statistics in side.statistics}
        used = any(role in each for each in found.values())
        if dims and not used and side.images is None and side.bare is None:
            raise InputError(
                f"{side.statistics[0].file}: found statistics of {' and '.join(map(str, sorted(dims)))} dimensions, "
                f"which none of {option('features')} {', '.join(specs)} has; {ask()}"
            )
    return found


def _shape(sides: Mapping[str, Side]) -> tuple[int, int, int] | None:
    """(C, H, W) of the images, if there are any."""
    images = [side.images for side in sides.values() if side.images is not None]
    return (images[0].shape[3], images[0].shape[1], images[0].shape[2]) if images else None


@contextlib.contextmanager
def _folder(out: str | os.PathLike[str] | None, given: Sequence[str | os.PathLike[str]]) -> Iterator[Path]:
    """The folder of the results, outside the folders `given`; by default a temporary one, which is removed afterwards.

    Raises InputError for a folder that cannot be written, before any work.
    """
    if out is None:
        with tempfile.TemporaryDirectory(prefix="genbench-") as folder:
            yield Path(folder)
        return
    folder_of_results = Path(out)
    if folder_of_results.exists() and not folder_of_results.is_dir():
        raise InputError(f"{option('out')}: found a file at {out}, expected a folder or nothing")
    for read in map(Path, given):
        if read.is_dir() and folder_of_results.resolve().is_relative_to(read.resolve()):
            raise InputError(
                f"{option('out')}: found {out}, inside {read}, all of whose images are read; expected another folder"
            )
    folder_of_results.mkdir(parents=True, exist_ok=True)
    if not os.access(folder_of_results, os.W_OK):
        raise InputError(f"{option('out')}: found {out}, which cannot be written; expected a folder to write to")
    yield folder_of_results
