"""Every key of config.yaml, each with its meaning below it."""

import re
from collections.abc import Mapping
from typing import Any, Literal

from genbench.errors import InputError
from genbench.mappings import Keys
from genbench.ranges import InnerShare, NumImages, Repeats, Seed
from genbench.suites.values import FilePath, Name, SomeUnique, Text, Tracker


class Config(Keys):
    """The settings of a run; its suite defines the benchmark."""

    suite: FilePath | SomeUnique[FilePath] = "demo"
    """The name of a file in suites/, or a path to a suite of your own; or a list of them."""
    data_root: FilePath = "resources/downloads"
    """The folder of raw data sets, also for downloads."""
    weights_root: FilePath = "resources/weights"
    """The folder of published weights of feature extractors, also for downloads."""
    device: Literal["auto", "cuda", "mps", "cpu"] = "auto"
    """`auto` takes a GPU if there is one (`mps`: Apple's); jobs on a cluster or in a cloud must find one."""
    jobs_per_gpu: Repeats = 1
    """How many jobs may share one GPU."""
    track: Tracker | SomeUnique[Tracker] | None = None
    """Also log losses, metrics and grids of samples to this program while models train; null logs them nowhere else.
    It does not affect training."""
    reference: FilePath | None = None
    """The record that a page compares its results with: a file, or a folder with {suite}.json; null takes the record
    that comes with genbench, if it has one."""
    container: Text = "genbench.sif"
    """The image in which rules run with --sdm apptainer; other runs ignore it."""
    seeds: SomeUnique[Seed] | None = None
    """Training seeds; null takes the suite's."""
    num_samples: NumImages | None = None
    """Images drawn from each model; null takes the suite's."""
    keep_features: bool | None = None
    """Whether to keep features of samples once their metrics are computed; null keeps them if those of the whole suite
    take less than 10 GB. If metrics change later, deleted features are computed again."""
    results_root: FilePath | None = None
    """The folder of results, such as one on a scratch disk, to which ./results then links; null is ./results."""
    resources_root: FilePath | None = None
    """The same for ./resources."""
    scratch: Text | None = None
    """A folder on the local disk of the machine that runs a job, such as `$TMPDIR`, for copies of images that do not
    fit into memory; null reads them where they are."""
    scale: InnerShare | None = None
    """Makes a smaller version of the suite: this share of each training, with its warm-ups, averages and snapshots, and
    of the samples, without samplers of very many evaluations. Its results have their own folders and page; null makes
    the whole suite."""
    extractors: SomeUnique[Name] | None = None
    """Networks whose features are compared, such as [classifier]; null takes the suite's."""
    only: Text | SomeUnique[Text] | None = None
    """Makes only these runs of a suite of images, each MODEL or MODEL/seedN, in which * stands for any text. Results of
    earlier runs stay, and the page shows them too; null makes all runs."""

    @classmethod
    def from_snakemake(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Complete the config that Snakemake has read from config.yaml and its command line.

        Snakemake 9.27 passes null and the numbers in a list on the command line as text, and a path of digits as a
        number. A list that is not valid YAML arrives as one text, such as `[*-big, gan]`, whose star is an alias in
        YAML. Raises InputError.
        """
        lists = {key: _as_list(values[key]) for key in ("suite", "seeds", "track", "only") if key in values}
        values = {**values, **lists}
        numbers: dict[str, Any] = {
            key: _as_numbers(values[key])
            for key in ("seeds", "num_samples", "jobs_per_gpu", "track", "reference", "extractors")
            if key in values
        }
        paths = {
            key: str(values[key])
            for key in ("suite", "data_root", "weights_root", "reference", "only", "results_root", "resources_root")
            if type(values.get(key)) is int
        }
        if isinstance(numbers.get("seeds"), int | str):
            raise InputError(f"config: seeds: found {numbers['seeds']!r}, expected a list such as [0, 1, 2]")
        if str(values.get("keep_features")).lower() in ("true", "false"):  # text if it comes from the command line
            numbers["keep_features"] = str(values["keep_features"]).lower() == "true"
        for key in ("scale", "keep_features", "results_root", "resources_root", "scratch"):
            if values.get(key) in ("null", "~"):
                numbers[key] = None
        if isinstance(numbers.get("extractors"), str):
            numbers["extractors"] = [numbers["extractors"]]
        return cls.complete({**values, **numbers, **paths}, "config")


def _as_list(value: Any) -> Any:
    """A text in square brackets, split at its commas; any other value unchanged."""
    if isinstance(value, str) and (inside := re.fullmatch(r"\[(.*)\]", value.strip(), re.DOTALL)):
        return [word.strip().strip("'\"") for word in inside[1].split(",")]
    return value


def _as_numbers(value: Any) -> Any:
    """Texts of digits as integers, and null as None; any other value unchanged."""
    if isinstance(value, list):
        return [_as_numbers(part) for part in value]
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"\d{1,20}", value, re.ASCII) else None if value in ("null", "~") else value
    return value
