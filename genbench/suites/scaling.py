"""A smaller version of a suite: `scale: 0.01` is a hundredth of the training and of the samples of each model.

It is a separate suite, NAME-scale-0.01, with separate results, page and records, and a label in each row. Its numbers
never appear beside those of the whole suite, and the two share no results.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from genbench.errors import InputError
from genbench.suites.families import default_of, kind_of, model_of
from genbench.suites.keys import Classifier

LOG_EVERY = 50  # the default of a training's `log_every`
MOST_SNAPSHOTS = 5  # each of them is sampled and evaluated
TWICE = ("heun", "midpoint")  # methods with two evaluations per step
UNKNOWN_STEPS = 1000  # assumed for a published diffusion model, whose steps are only in its file


def scaled_name(name: str, scale: float) -> str:
    """The name of a suite at a scale, which names its folders."""
    return f"{name}-scale-{scale:g}"


def choose_extractors(evaluation: dict[str, Any], chosen: list[str]) -> None:
    """Reduce a complete key `evaluation` to these extractors, and remove the keys of others, in place.

    If the headline belonged to an extractor that is left out, it becomes the Frechet distance of the first extractor.
    """
    from genbench.features import EXTRACTORS  # imports all metrics, which only this function needs
    from genbench.metrics import frechet_key, idle_options, metric_info

    left_out = {key for name in evaluation["extractors"] if name in EXTRACTORS for key in EXTRACTORS[name].metrics}
    left_out |= {f"{frechet_key(name)}_published" for name in evaluation.get("statistics", {})}
    left_out |= set() if "classifier" in chosen else {"class_accuracy"}
    evaluation["extractors"] = chosen
    kept = {key for name in chosen if name in EXTRACTORS for key in EXTRACTORS[name].metrics}
    statistics = {name: path for name, path in evaluation.pop("statistics", {}).items() if name in chosen}
    if statistics:
        evaluation["statistics"] = statistics
        kept |= {f"{frechet_key(name)}_published" for name in statistics}
    names = {metric_info(key).name for key in kept if not key.endswith("_published")}
    if "without" in evaluation:
        evaluation["without"] = [name for name in evaluation["without"] if name in names]
        if not evaluation["without"]:
            del evaluation["without"]
    if "metrics" not in evaluation:
        idle = idle_options(evaluation["options"], names.difference(evaluation.get("without", ())))
        evaluation["options"] = {key: value for key, value in evaluation["options"].items() if key not in idle}
    if "classifier" not in chosen:
        evaluation["classifier"] = Classifier.complete({}, "classifier")
    if evaluation["headline"] in left_out - kept:
        evaluation["headline"] = frechet_key(chosen[0])


def scaled_description(
    suite: Mapping[str, Any], scale: float, scaling: Mapping[str, Any], drawn: str, left_out: Sequence[str]
) -> str:
    """The description of a suite at a scale, followed by the suite's own description."""
    parts = [
        f"{scale:g} of each training, with its warm-ups, averages and snapshots" if scaling["training"] else "",
        drawn,
        f"without {len(left_out)} of the samplers, of more than {scaling['evaluations']} evaluations each, such as "
        f"{left_out[0]}"
        if left_out
        else "",
    ]
    made = "; ".join(part for part in parts if part)
    return f"A smaller version of the suite {suite['name']}, not its results: {made}. {suite['description']}".strip()


def scaled_samples(suite: dict[str, Any], scale: float, given: int | None, allowed: bool) -> str:
    """Scale the numbers of samples of a complete suite, but not below what its metrics need; return them in words.

    given: `num_samples` of the command line, which is not scaled. allowed: whether the suite's number may change.
    KID's subsets become no larger than the sets.
    """
    if not allowed and given is None:
        return f"{suite['num_samples']:,} samples of each, which the suite does not scale"
    needed, strictest = _needed(suite["evaluation"])
    counts = {}
    for key in ("num_samples", "snapshot_samples"):
        counts[key] = min(suite[key], given or max(needed, round(suite[key] * scale)))
    before = suite["num_samples"]
    suite.update(counts)
    if given is not None:
        suite["num_samples"] = given
    options = suite["evaluation"]["options"]
    fewest = min(suite["num_samples"], suite["snapshot_samples"])
    if options.get("kid_subset_size", 1000) > fewest and "kid" not in suite["evaluation"].get("without", ()):
        options["kid_subset_size"] = max(2, fewest)
    raised = given is None and suite["num_samples"] > round(before * scale)
    of = "" if suite["num_samples"] == before else f" of {before:,}"
    return f"{suite['num_samples']:,}{of} samples of each" + (
        f", the fewest that {strictest} is defined for" if raised and strictest else ""
    )


def _needed(evaluation: Mapping[str, Any]) -> tuple[int, str]:
    """The fewest samples that a suite's metrics allow, and the metric that needs them. Ignores KID's subsets."""
    from genbench.features import EXTRACTORS
    from genbench.metrics import EvaluationOptions, metric_info

    try:
        options = EvaluationOptions(**{**evaluation["options"], "kid_subset_size": 2})
    except (TypeError, InputError):  # the check of the suite refuses these, with their place
        return 2, ""
    needed = {
        key: metric_info(key).minimum(EXTRACTORS[name].dim, options)
        for name in evaluation["extractors"]
        if name in EXTRACTORS
        for key in EXTRACTORS[name].metrics
        if (not metric_info(key).optional or key == evaluation["headline"])
        and metric_info(key).name not in evaluation.get("without", ())
    }
    strictest = max(needed, key=lambda key: needed[key], default="")
    return needed.get(strictest, 2), strictest


def scale_entry(entry: dict[str, Any], scale: float, scaling: Mapping[str, Any], num_samples: int) -> list[str]:
    """Scale a complete entry: its training, snapshots, samplers, and the label of its rows.

    Returns the samplers that are left out, because they take more evaluations than `scaling` allows.
    """
    entry["published"] = []  # these belong to the whole recipe
    trained = scaling["training"] and "training" in entry
    note = f"scale {scale:g}" + (f" of {_budget(entry['training'])}" if trained else "")
    if trained:
        _scale_training(entry, scale)
    if "likelihood" in entry:
        entry["likelihood"] = {**entry["likelihood"], "images": max(2, round(entry["likelihood"]["images"] * scale))}
    entry["sample_batch_size"] = min(entry["sample_batch_size"], num_samples)
    left_out = _without_long_samplers(entry, scaling["evaluations"])
    entry["budget"] = "; ".join([note, *([entry["budget"]] if entry.get("budget") else [])])
    return left_out


def _budget(training: Mapping[str, Any]) -> str:
    steps, flops = training.get("steps"), training.get("flops")
    return f"{steps:,} iterations" if isinstance(steps, int) else f"{flops:.3g} FLOPs" if flops else "its training"


def _scale_training(entry: dict[str, Any], scale: float) -> None:
    training = dict(entry["training"])
    whole = training.get("steps")
    if isinstance(whole, int):
        training["steps"] = max(1, round(whole * scale))
    if isinstance(training.get("flops"), int | float):
        training["flops"] = training["flops"] * scale
    training["log_every"] = training.get("log_every", LOG_EVERY)
    _scale_counts(training, ("log_every", "validate_every"), scale, 1)
    if isinstance(training.get("ema_decay"), float):
        training["ema_decay"] = training["ema_decay"] ** (1 / scale)  # scales the half-life of the average
    if isinstance(training.get("optimizer"), Mapping):
        training["optimizer"] = _scaled_optimizer(training["optimizer"], scale)
    if isinstance(training.get("optimizers"), Mapping):
        training["optimizers"] = {
            name: _scaled_optimizer(options, scale) if isinstance(options, Mapping) else options
            for name, options in training["optimizers"].items()
        }
    model = dict(entry["model"])
    iterations = [key for key in model if key.endswith("_steps") and kind_of(model, key) != "StepCount"]
    _scale_counts(model, iterations, scale, 1)  # such as kl_anneal_steps, but not steps of a sampler
    steps = sorted({round(step * scale) for step in entry["snapshots"]})
    steps = [step for step in steps if not isinstance(whole, int) or step < training["steps"]]
    entry["snapshots"] = steps[:: -(-len(steps) // MOST_SNAPSHOTS) or 1]
    entry["training"], entry["model"] = training, model


def _scaled_optimizer(options: Mapping[str, Any], scale: float) -> dict[str, Any]:
    scaled = dict(options)
    _scale_counts(scaled, ("warmup_steps",), scale, 0)
    _scale_counts(scaled, ("decay_steps",), scale, 1)
    if isinstance(scaled.get("decay_steps"), int):  # must exceed the warm-up even after rounding
        scaled["decay_steps"] = max(scaled["decay_steps"], scaled.get("warmup_steps", 0) + 1)
    return scaled


def _scale_counts(mapping: dict[str, Any], keys: Iterable[str], scale: float, least: int) -> None:
    for key in keys:
        value = mapping.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            mapping[key] = max(least, round(value * scale))


def _without_long_samplers(entry: dict[str, Any], most: int | None) -> list[str]:
    """Leave out samplers with more than `most` evaluations, except the shortest, and quantisation of such a sampler."""
    counts = {name: evaluations(entry, name) for name in entry["samplers"]}
    if most is None or max(counts.values()) <= most:
        return []
    shortest = min(counts, key=lambda name: counts[name])
    entry["samplers"] = {
        name: options for name, options in entry["samplers"].items() if counts[name] <= most or name == shortest
    }
    if "quantisation" in entry and entry["quantisation"]["sampler"] not in entry["samplers"]:
        del entry["quantisation"]
    return [name for name in counts if name not in entry["samplers"]]


def evaluations(entry: Mapping[str, Any], sampler: str) -> int:
    """About how many times a sampler evaluates its network, from the entry and its class; 1 if they do not state it.

    This does not need torch. The exact number is in the plan that preflight makes.
    """
    options = entry["samplers"][sampler]
    model = model_of(entry)
    degradation = model.get("degradation")
    steps = degradation.get("timesteps", 1) if isinstance(degradation, Mapping) else None
    steps = steps or model.get("timesteps") or default_of(model, "timesteps")
    if steps is None and "pretrained" in entry and "method" in options:
        steps = UNKNOWN_STEPS
    if isinstance(respacing := options.get("respacing"), str):
        parts = [part.removeprefix("ddim") for part in respacing.split(",")]
        steps = sum(int(part) for part in parts if part.isdigit())
    if isinstance(options.get("steps"), int):
        steps = options["steps"]
    a_step = (2 if options.get("method") in TWICE else 1) * (2 if options.get("guidance") else 1)
    return int(steps or 1) * a_step if isinstance(steps, int) else 1
