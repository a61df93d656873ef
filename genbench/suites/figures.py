"""A suite's published figures, and the files of others that it needs."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from genbench.errors import InputError, place, unknown_name
from genbench.files.downloads import existing_path
from genbench.records.plan import PublishedFigure
from genbench.suites.runs import FINAL

OF_TRAINING = ("loss", "training_seconds")
OTHERS = ("loss", "seconds", "training_seconds")  # quantities beside metrics


def check_figures(entry: Mapping[str, Any], metrics: Iterable[str]) -> None:
    """Check that an entry's published figures belong to metrics, samplers and snapshots that it will have."""
    for figure in entry["published"]:
        quantity, step = figure["quantity"], figure.get("step")
        known = [*metrics, *OTHERS]
        if quantity not in known:
            raise unknown_name("quantity", quantity, known)
        with place(quantity):
            if quantity in OF_TRAINING and "training" not in entry:
                raise InputError("found a figure of a training, but nothing is trained here")
            if (quantity == "seconds") != ("images" in figure):
                raise InputError("found seconds without images, or images without seconds; expected both or neither")
            if figure.get("sampler", next(iter(entry["samplers"]))) not in entry["samplers"]:
                raise unknown_name("sampler", figure["sampler"], entry["samplers"])
            if step is not None and step not in entry["snapshots"]:
                raise InputError(f"key 'step': found {step}, expected one of snapshots: {entry['snapshots']}")


def published_figure(entry: Mapping[str, Any], figure: Mapping[str, Any]) -> PublishedFigure:
    """A published figure as a record, with its sampler and its checkpoint."""
    rest = {key: value for key, value in figure.items() if key != "step"}
    checkpoint = f"step-{figure['step']}" if "step" in figure else FINAL
    return PublishedFigure(**{"sampler": next(iter(entry["samplers"])), **rest}, checkpoint=checkpoint)


def missing_files(suite: Mapping[str, Any], data_root: Path) -> Iterator[str]:
    """Each file that the suite lists and that is missing, at its path and in data_root, with where to get it."""
    for path, where in suite["files"].items():
        try:
            existing_path(path, data_root)
        except InputError:
            yield f"{path} (from {where})"


def check_files(suite: Mapping[str, Any], data_root: Path) -> None:
    """Raise InputError, with all of them, if files of the suite are missing."""
    if missing := list(missing_files(suite, data_root)):
        raise InputError(f"files: {len(missing)} missing, to be put into {data_root}: {'; '.join(missing)}")
