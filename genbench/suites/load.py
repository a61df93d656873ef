"""Suites: a YAML file for each benchmark, checked and completed with the defaults of genbench/suites/keys.py."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from genbench import own_code
from genbench.data import default_name
from genbench.errors import InputError, place, unknown_name
from genbench.metrics import frechet_key
from genbench.suites.completion import BATCH_SIZE, KINDS, complete_in_suite, insert_first_stage
from genbench.suites.foreign import with_formats
from genbench.suites.keys import Suite
from genbench.suites.language import LanguageSuite
from genbench.suites.locks import LOCKED, is_locked
from genbench.suites.read import find_suite as find_suite
from genbench.suites.read import read_with_parent
from genbench.suites.scaling import choose_extractors, scale_entry, scaled_description, scaled_name, scaled_samples
from genbench.suites.series import with_budgets
from genbench.suites.submissions import add_hand_ins

OTHER_KINDS = {"language": LanguageSuite}  # of suites, by their key `kind`; suites of images do not have it
PROSE = ("title", "description", "label", "budget")
_DIFFUSION = ("step", ("ddpm", "ddim", "dpm-solver++", "heun"))
METHODS_BEFORE_0_2 = {  # by class or format: the old name of the key `method`, and its values
    **dict.fromkeys(("diffusion.Diffusion", "diffusevae.DiffuseVAE", "diffusers", "improved-diffusion"), _DIFFUSION),
    "cold.ColdDiffusion": ("algorithm", ("improved", "naive")),
}
OF_SUITE = ("seeds", "num_samples")  # keys of config.yaml that are also keys of a suite
ONLY = "only"  # key of a complete suite: patterns of the runs to make now, if not all


def load_suite(path: Path, config: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Load and complete a suite. Its `name` is the file's stem; `seeds`, `num_samples` and `extractors` of `config`
    replace its own.

    With a `scale` in `config` it is smaller, and has another name. Raises InputError, with file, entry and key.
    """
    config = {key: value for key, value in (config or {}).items() if value is not None}
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_+.-]*", path.stem):  # it names the suite's folders
        raise InputError(f"suite: found the file {str(path)!r}, expected letters and digits in its name, and _ + . -")
    written, parent = read_with_parent(path)
    if isinstance(written, Mapping) and "kind" in written:
        return _load_other(written, path, config)
    suite = Suite.complete(written, str(path))
    scaling = suite.pop("scaling")
    _check_config(suite, suite.pop(LOCKED, []), config, path)
    if "extractors" in config:
        choose_extractors(suite["evaluation"], config["extractors"])
    extractors = suite["evaluation"]["extractors"]
    if "headline" not in written.get("evaluation", {}) and "classifier" not in extractors:
        suite["evaluation"]["headline"] = frechet_key(extractors[0])
    if suite.get("snapshot_samples", 1) > suite["num_samples"]:
        raise InputError(
            f"{path}: snapshot_samples: found {suite['snapshot_samples']}, expected at most num_samples "
            f"{suite['num_samples']}"
        )
    for name, entry in suite["models"].items():
        if entry.get("sample_batch_size", 0) > max(suite["num_samples"], BATCH_SIZE):
            raise InputError(
                f"{path}: models: {name}: sample_batch_size: found {entry['sample_batch_size']}, expected at most "
                f"num_samples {suite['num_samples']}"
            )
    suite.setdefault("snapshot_samples", config.get("num_samples", suite["num_samples"]))
    drawn = _scale_samples(suite, path, config, scaling) if "scale" in config else ""
    suite = {"name": path.stem, **suite, **{key: config[key] for key in (*OF_SUITE, ONLY) if key in config}}
    suite["snapshot_samples"] = min(suite["snapshot_samples"], suite["num_samples"])
    for name, entry in suite["models"].items():
        with place(path, "models", name):
            with_formats(entry, path.parent)
    with place(path):
        add_hand_ins(suite, path.parent)
    with place(path):
        suite = own_code.complete(suite, path.parent, but=PROSE)
    suite["dataset"] = {"name": default_name(suite["dataset"]["source"]), **suite["dataset"]}
    with place(path, "models"):
        if "real" in suite["models"]:
            raise InputError("found the name 'real', which is kept for the real images; expected another")
        suite["models"] = with_budgets(suite["models"])
        for name, entry in suite["models"].items():
            with place(name):
                complete_in_suite(name, entry, suite["num_samples"])
        if "scale" in config:
            _scale(suite, config["scale"], scaling, drawn)
        for name, entry in suite["models"].items():
            with place(name):
                insert_first_stage(suite["models"], entry)
    return suite if parent is None else {**suite, "parent": parent.content()}


def _check_config(suite: Mapping[str, Any], locked: Sequence[str], config: Mapping[str, Any], path: Path) -> None:
    """Raise InputError if config.yaml or the command line changes a key that the suite locks."""
    known = {**{key: suite[key] for key in OF_SUITE}, "extractors": suite["evaluation"]["extractors"]}
    for key, value in known.items():
        keys = ("evaluation", key) if key == "extractors" else (key,)
        if config.get(key, value) != value and any(is_locked(keys, pattern.split("."), suite) for pattern in locked):
            raise InputError(f"config: {key}: found {config[key]}, expected {value}: {path} locks {'.'.join(keys)}")


def _load_other(written: Mapping[str, Any], path: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """Complete a suite of another kind than images, with the `seeds` of `config`."""
    kind = written["kind"]
    if kind not in OTHER_KINDS:
        raise unknown_name(f"{path}: kind", kind, OTHER_KINDS)
    suite = OTHER_KINDS[kind].complete(written, str(path))
    for name, entry in suite["models"].items():
        entry.setdefault("label", name)
    overrides = {"seeds": config["seeds"]} if config.get("seeds") is not None else {}
    return {"name": path.stem, **suite, **overrides}


def load_suites(names: str | Sequence[str], config: Mapping[str, Any]) -> dict[Path, dict[str, Any]]:
    """The suites of a run, by their files. Raises InputError if two suites, or two data sets, have the same name."""
    suites: dict[Path, dict[str, Any]] = {}
    for name in [names] if isinstance(names, str) else names:
        path = find_suite(name)
        suite = load_suite(path, config)
        for other, known in suites.items():
            if known["name"] == suite["name"]:
                raise InputError(f"{path}: found a second suite of the name {suite['name']!r}, as {other}'s")
            if "kind" in known or "kind" in suite:
                continue
            for model in known["models"].keys() & suite["models"].keys():
                if kind_of(known["models"][model]) != kind_of(suite["models"][model]):
                    raise InputError(
                        f"{path}: models: {model}: found another kind than in {other}; run one suite after the other"
                    )
            if known["dataset"]["name"] == suite["dataset"]["name"] and prepared(known) != prepared(suite):
                raise InputError(
                    f"{path}: dataset: found the name {suite['dataset']['name']!r}, as in {other}, for other data or "
                    "another classifier; expected another `name`"
                )
        suites[path] = suite
    for pattern in patterns(config.get(ONLY)):
        if not any(is_asked([pattern], run) for suite in suites.values() for run in all_runs(suite)):
            raise unknown_name(
                f"config: {ONLY}", pattern, (run for suite in suites.values() for run in all_runs(suite))
            )
    return suites


def patterns(only: str | Sequence[str] | None) -> Sequence[str]:
    """The key `only` as a list."""
    return [only] if isinstance(only, str) else only or []


def is_asked(only: Sequence[str], run: str) -> bool:
    """Whether one of these patterns matches a run MODEL/seedN, or its model."""
    return any(fnmatchcase(text, pattern) for pattern in only for text in (run, run.partition("/")[0]))


def all_runs(suite: Mapping[str, Any]) -> Iterator[str]:
    """Every run of a suite of images, as MODEL/seedN."""
    for model, entry in suite["models"].items() if "kind" not in suite else ():
        yield from (f"{model}/seed{seed}" for seed in seeds_of(suite, entry))


def kind_of(entry: Mapping[str, Any]) -> str:
    """The kind of an entry: training, pretrained or samples."""
    return next(key for key in KINDS if key in entry)


def prepared(suite: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that resources/{dataset} depends on: the data, and how its classifiers are trained."""
    evaluation = suite["evaluation"]
    own = {"classifier": evaluation["classifier"], "objects": evaluation.get("objects", {}).get("classifier", {})}
    return {"dataset": suite["dataset"], **own}


def _scale_samples(suite: dict[str, Any], path: Path, config: Mapping[str, Any], scaling: Mapping[str, Any]) -> str:
    """Scale a suite's numbers of samples in place; return them in words. Raises InputError if nothing may be scaled."""
    if not scaling["training"] and not scaling["samples"]:
        raise InputError(f"config: scale: found {config['scale']:g}, but {path} does not allow scaling")
    return scaled_samples(suite, config["scale"], config.get("num_samples"), scaling["samples"])


def _scale(suite: dict[str, Any], scale: float, scaling: Mapping[str, Any], drawn: str) -> None:
    """Scale the entries of a suite and change its name, in place."""
    left_out = [
        f"{name}/{sampler}"
        for name, entry in suite["models"].items()
        for sampler in scale_entry(entry, scale, scaling, suite["num_samples"])
    ]
    suite["description"] = scaled_description(suite, scale, scaling, drawn, left_out)
    suite["title"], suite["name"] = f"{suite['title']}, at scale {scale:g}", scaled_name(suite["name"], scale)
    suite["scale"] = scale


def sampler_argument(entry: Mapping[str, Any], sampler: str) -> str:
    """The options of an entry's sampler as JSON, for a job.

    A method that existed before the key `method` is written with its old key, so that Snakemake does not draw its
    images again.
    """
    options = entry["samplers"][sampler]
    source = entry["model"]["class"] if "model" in entry else entry["pretrained"]["format"]
    key, methods = METHODS_BEFORE_0_2.get(source, ("", ()))
    name = key if options.get("method") in methods else "method"
    return json.dumps({name if key == "method" else key: value for key, value in options.items()})


def seeds_of(suite: Mapping[str, Any], entry: Mapping[str, Any]) -> list[int]:
    """The training seeds of an entry: the suite's, or only the first if it is not trained here."""
    seeds: list[int] = suite["seeds"]
    return seeds if "training" in entry else seeds[:1]


def checkpoints(entry: Mapping[str, Any]) -> Iterator[str]:
    """The checkpoints of a model's entry that are sampled: step-N for each snapshot, and final."""
    yield from (f"step-{step}" for step in sorted(entry["snapshots"]))
    yield "final"
