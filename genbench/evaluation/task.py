"""The record of an evaluation, from the features of both sides and from published statistics of either."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genbench.errors import place
from genbench.evaluation.materials import Materials
from genbench.evaluation.sides import Side
from genbench.features import load_features
from genbench.features.evaluation import evaluate_files
from genbench.features.published_statistics import PublishedStatistics
from genbench.metrics import (
    EvaluationOptions,
    Metric,
    Statistics,
    evaluate_against,
    feature_statistics,
    frechet_distance,
    frechet_key,
    metric_info,
    possible_against,
)
from genbench.metrics.checks import MetricWarning
from genbench.metrics.fid import PAPER_SAMPLES
from genbench.records.metrics import Metrics
from genbench.records.provenance import Provenance


@dataclass(frozen=True)
class Task:
    """What is computed from the features: the sides, the metrics and the options.

    impossible: a line for each requested metric that the sides and extractors do not allow.
    """

    sides: Mapping[str, Side]
    statistics: Mapping[str, Mapping[str, PublishedStatistics]]
    metrics: list[Metric]
    given: dict[str, Any]
    impossible: Sequence[str] = ()

    @property
    def options(self) -> EvaluationOptions:
        return EvaluationOptions(**self.given)

    def record(self, found: Sequence[Materials]) -> Metrics:
        """The record of all metrics in the features of all extractors."""
        content: dict[str, Any] = {"metrics": {}, "extractors": {}, "warnings": []}
        pairs = [each for each in found if {"real", "fake"} <= each.files.keys()]
        if pairs:
            real, fake = ([each.files[role] for each in pairs] for role in ("real", "fake"))
            held_out = [each.files["test"] for each in pairs if "test" in each.files]
            test = held_out if len(held_out) == len(pairs) else None
            content = evaluate_files(
                real, fake, test, options=self.given, allow_too_few=True, metrics=self.metrics
            ).content()
        for each in found:
            self._add_distances(content, each)
        notes = [*self.impossible, *(note for side in self.sides.values() for note in side.warnings)]
        content["warnings"] = list(dict.fromkeys([*notes, *content["warnings"]]))
        given = {"options": self.given, "provenance": Provenance.collect("numpy", kind="metrics")}
        return Metrics(**{**given, **content})

    def _add_distances(self, content: dict[str, Any], each: Materials) -> None:
        """Add the metrics that published statistics allow, instead of those from only a part of their images."""
        if not each.statistics:
            return
        known, notes = {}, []
        for role, statistics in each.statistics.items():
            if role in ("real", "fake"):
                if statistics.num_images is not None and statistics.num_images <= statistics.dim:
                    content["warnings"].append(
                        f"{metric_info(frechet_key(each.name)).label} is left out: too few images: "
                        f"{statistics.num_images} in {statistics.file} (it needs feature dimension + 1)"
                    )
                    return
                known[role] = statistics.pair
                notes.append(statistics.note(each.name, "against" if role == "real" else "of"))
                content.setdefault("published", {})[each.name] = statistics.about()
        if "real" in known and "fake" in each.files:
            fake = load_features(each.files["fake"])
            with place(self.sides["fake"].name):
                computed = evaluate_against(known["real"], fake, self.options, self.metrics)
            content |= {"num_fake": len(fake.features), "samples_sha256": fake.info["images_sha256"]}
            content["warnings"] += fake.info.get("warnings", [])
            content["warnings"] += [
                f"{metric.label} is left out: too few images (it needs {metric.minimum_rule})"
                for key, metric in possible_against(fake, self.options, self.metrics).items()
                if key not in computed
            ]
        else:
            computed = self._between(each, known, content["warnings"])
        for value in computed.values():
            value["note"] = "; ".join(filter(None, [value["note"], *notes]))
        content["metrics"] |= computed
        content["extractors"][each.name] = {key: value for key, value in each.extractor.items() if key != "name"}

    def _between(self, each: Materials, known: dict[str, Statistics], left_out: list[str]) -> dict[str, dict[str, Any]]:
        """The Frechet distance if generated images are known only by their statistics.

        left_out: gets a line if there are too few images on the other side.
        """
        key, counts = frechet_key(each.name), {role: found.num_images for role, found in each.statistics.items()}
        info = metric_info(key)
        if info.name not in {metric.name for metric in self.metrics}:
            return {}
        for role in ("real", "fake"):
            if role not in known and role in each.files:
                found = load_features(each.files[role]).features
                if len(found) <= found.shape[1]:
                    left_out.append(f"{info.label} is left out: too few images (it needs feature dimension + 1)")
                    return {}
                known[role], counts[role] = feature_statistics(found), len(found)
        if len(known) < 2:
            return {}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", MetricWarning)
            value = frechet_distance(*known["real"], *known["fake"])
        notes = [str(one.message) for one in caught if issubclass(one.category, MetricWarning)]
        if (drawn := counts.get("fake")) and drawn < PAPER_SAMPLES:
            notes.append(f"biased upward at so few images: compare only with values from {drawn:,}")
        return {
            key: {
                "value": value,
                "std": None,
                "n_real": counts.get("real"),
                "n_fake": counts.get("fake"),
                "note": "; ".join(notes) or None,
            }
        }
