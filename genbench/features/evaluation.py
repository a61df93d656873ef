"""Metrics of generated images against real ones, from files of features. No network runs here."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from genbench.errors import InputError, place
from genbench.features.files import load_features
from genbench.features.published_statistics import PublishedStatistics, published_for
from genbench.features.statistics import Source, read_statistics, save_statistics, source_of
from genbench.metrics import (
    EvaluationOptions,
    Features,
    Known,
    Metric,
    deal_out,
    evaluate_against,
    evaluate_draws,
    frechet_key,
    know_reference,
    metric_info,
    over_draws,
    wanted_metrics,
)
from genbench.records.metrics import Metrics
from genbench.records.provenance import Provenance
from genbench.schema import check_arguments

Paths = Sequence[str | os.PathLike[str]]


def evaluate_files(
    real: Paths,
    fake: Paths,
    test: Paths | None = None,
    *,
    draws: int = 1,
    subset: int | None = None,
    options: Mapping[str, Any] | None = None,
    allow_too_few: bool = False,
    metrics: Iterable[Metric] | None = None,
    statistics: str | os.PathLike[str] | None = None,
    write_statistics: str | os.PathLike[str] | None = None,
    published: Mapping[str, str | os.PathLike[str]] | None = None,
) -> Metrics:
    """Every metric that files of features allow, as a record for metrics.json: metrics, extractors, warnings, hashes.

    real, fake: one file for each extractor, in the same order. test: likewise for test images, if `real` contains
    training images; they add the share of memorised samples. draws: the number of draws with different seeds in `fake`.
    subset: evaluate only this many images of `fake`, chosen at random with seed 0, if there are more. options: those of
    `EvaluationOptions`, by name. allow_too_few: leave out a metric that needs more images, instead of failing. metrics:
    all to choose from; by default those of genbench. statistics: a file with results from only `real` and `test`, which
    saves more than half of the time; write_statistics: writes it, with `fake` as the test images of later evaluations.
    published: files of published statistics, by the extractor that made them; they add the distance to these
    statistics. Raises InputError for files that do not belong together, for wrong options, and as `evaluate_features`
    does.
    """
    tests = _check_files(real, fake, test, draws)
    given = dict(options or {})
    with place("--options"):
        check_arguments(EvaluationOptions, given)
    complete, chosen = EvaluationOptions(**given), None if metrics is None else list(metrics)
    with place("--published"):
        references = {name: published_for(path, name) for name, path in (published or {}).items()}
    result: dict[str, Any] = {"metrics": {}, "extractors": {}, "warnings": []}
    to_keep: dict[str, tuple[Source, Known]] = {}
    for real_path, fake_path, test_path in zip(real, fake, tests, strict=True):
        real_features, fake_features = load_features(real_path), load_features(fake_path)
        if reason := fake_features.info.get("unavailable"):  # nothing was drawn: the report states why
            result["unavailable"] = reason
            continue
        test_features = load_features(test_path) if test_path else None
        _check_extractors(real_path, real_features, {fake_path: fake_features, test_path or "": test_features})
        _add_hashes(result, real_path, real_features, fake_path, fake_features)
        extractor = real_features.extractor
        source = source_of(real_features, test_features, complete)
        known = read_statistics(statistics, extractor, source) if statistics else {}
        judged = subset_of(fake_features, subset)
        with place(f"{real_path} and {fake_path}"):
            found = evaluate_draws(real_features, judged, draws, complete, allow_too_few, test_features, chosen, known)
            if write_statistics:
                same = real_features.info["images_sha256"] == fake_features.info["images_sha256"]
                later = None if same else fake_features  # the training images are not test images
                known = know_reference(real_features, later, complete, chosen, known)
                to_keep[extractor] = source_of(real_features, later, complete), known
        result["metrics"] |= found
        if extractor in references:
            _add_published(result, references[extractor], judged, draws, complete)
        about = real_features.info["extractor"]
        result["extractors"][extractor] = {key: value for key, value in about.items() if key != "name"}
        result["num_real"], result["num_fake"] = len(real_features.features), len(judged.features) // draws
        result["warnings"] += _warnings_of_images(real_features, fake_features)
        wanted = wanted_metrics(real_features, judged, test_features, complete, chosen)
        result["warnings"] += [
            f"{metric.label} is left out: too few images (it needs {metric.minimum_rule})"
            for key, metric in wanted.items()
            if key not in found
        ]
    if (missing := references.keys() - result["extractors"].keys()) and "unavailable" not in result:
        raise InputError(f"--published: found {min(missing)!r}, expected features of it among --real and --fake")
    if write_statistics:
        save_statistics(write_statistics, to_keep)
    result["warnings"] = list(dict.fromkeys(result["warnings"]))  # every extractor repeats the warnings about images
    return Metrics(**result, options=given, provenance=Provenance.collect("numpy", kind="metrics"))


def subset_of(features: Features, count: int | None) -> Features:
    """`count` of the images, chosen at random with seed 0, in their order; all of them if there are not more."""
    found = len(features.features)
    if count is None or count >= found:
        return features
    chosen = np.sort(np.random.default_rng(0).permutation(found)[:count])
    logits = None if features.logits is None else features.logits[chosen]
    labels = None if features.labels is None else features.labels[chosen]
    return Features(features.features[chosen], logits, features.info, labels=labels)


def published_column(
    statistics: PublishedStatistics, fake: Features, draws: int, options: EvaluationOptions
) -> dict[str, dict[str, Any]]:
    """The distance to published statistics as a separate metric, with its description; empty for too few images.

    Its key is that of the distance with `_published`; its label names the file.
    """
    key = frechet_key(fake.extractor)
    metric = metric_info(key)
    parts = [evaluate_against(statistics.pair, part, options, [metric]) for part in deal_out(fake, draws)]
    if key not in parts[0]:
        return {}
    note = statistics.note(fake.extractor)
    about = replace(
        metric,
        name=f"{key}_published",
        label=f"{metric.label} to {statistics.file}",
        definition=f"{metric.definition}, {note}",
    ).about()
    (found,) = over_draws(parts).values()
    return {about["name"]: found | {"note": "; ".join(filter(None, [found["note"], note])), "about": about}}


def _check_files(real: Paths, fake: Paths, test: Paths | None, draws: int) -> Sequence[str | os.PathLike[str] | None]:
    """The file of test images for each extractor, if any. Raises InputError if the numbers of files differ."""
    if len(real) != len(fake):
        raise InputError(f"--real and --fake: found {len(real)} and {len(fake)} files, expected pairs")
    tests: Sequence[str | os.PathLike[str] | None] = test or [None] * len(real)
    if len(tests) != len(real):
        raise InputError(
            f"--test: found {len(tests)} files, expected one for each of the {len(real)} of --real, in the same order"
        )
    if draws < 1:
        raise InputError(f"--draws: found {draws}, expected at least 1")
    return tests


def _add_hashes(
    result: dict[str, Any],
    real_path: str | os.PathLike[str],
    real: Features,
    fake_path: str | os.PathLike[str],
    fake: Features,
) -> None:
    """Record the hashes of the evaluated images. Raises InputError if they differ from those of the previous pairs."""
    if real.extractor in result["extractors"]:
        raise InputError(f"{fake_path}: a second pair with features of {real.extractor!r}; expected one of each")
    for key, path, x in (("reference", real_path, real), ("samples", fake_path, fake)):
        if result.setdefault(f"{key}_sha256", x.info["images_sha256"]) != x.info["images_sha256"]:
            raise InputError(f"{path}: features of other images than those of the first pair; expected the same")


def _add_published(
    result: dict[str, Any], statistics: PublishedStatistics, fake: Features, draws: int, options: EvaluationOptions
) -> None:
    """Add the distance to published statistics, and their description."""
    column = published_column(statistics, fake, draws, options)
    result["metrics"] |= column
    if not column:
        result["warnings"].append(f"the distance to {statistics.file} is left out: too few images")
    result.setdefault("published", {})[fake.extractor] = statistics.about()


def _warnings_of_images(real: Features, fake: Features) -> list[str]:
    """What a reader must know about the images of both sides."""
    found = [f"real images: {warning}" for warning in real.info.get("warnings", [])]
    found += fake.info.get("warnings", [])
    if fake.info.get("drawn_by_class") and real.labels is None:
        found.append(
            "classes are not judged: the features of the real images were made before they had labels; make them again"
        )
    return found


def _check_extractors(
    real_path: str | os.PathLike[str], real: Features, others: Mapping[str | os.PathLike[str], Features | None]
) -> None:
    """Raise InputError unless all features come from one extractor, with the same weights."""
    for path, x in others.items():
        if x is not None and _source(x) != _source(real):
            raise InputError(
                f"{real_path} and {path}: features of different extractors, {_source(real)} and {_source(x)}; "
                "expected one"
            )


def _source(features: Features) -> dict[str, Any]:
    """The source of these features: the extractor's name and its weights."""
    return {key: features.info["extractor"][key] for key in ("name", "sha256")}
