"""An entry of a suite, checked and complete: its label, its quantised samplers, the steps of its snapshots."""

from collections.abc import Mapping
from typing import Any

from genbench.errors import InputError, place, unknown_name
from genbench.suites.entry_keys import Entry
from genbench.suites.families import first_stage_key

KINDS = ("training", "pretrained", "samples")  # of entries: each has one of these keys
QUANTISATION = "quantisation"  # key of an entry; in the options of the samplers that it adds, the key of a scheme
MOST_SNAPSHOTS = 1000  # of one model: each is sampled and evaluated
BATCH_SIZE = 500  # images per batch, unless the entry states another size or there are fewer samples
GIVEN = "given"  # in paths, the sampler of samples that were drawn elsewhere


def complete_entry(entry: Any, models: Mapping[str, Any]) -> dict[str, Any]:
    """Check and complete a model's entry that is not in a suite, as if it were beside `models`.

    Raises InputError that begins with `model`.
    """
    completed = Entry.complete(entry, "model")
    with place("model"):
        complete_in_suite("model", completed, BATCH_SIZE)
        insert_first_stage(models, completed)
    return completed


def complete_in_suite(name: str, entry: dict[str, Any], num_samples: int) -> None:
    """Check the kind of a model's entry, and add its label, its quantised samplers, the steps of its snapshots, and its
    batch size for sampling, at most `num_samples`."""
    entry.setdefault("label", name)
    entry.setdefault("sample_batch_size", min(BATCH_SIZE, num_samples))
    _check_kind(entry)
    _add_quantised_samplers(entry)
    if isinstance(entry["snapshots"], Mapping):
        steps = entry["training"].get("steps")
        if not isinstance(steps, int):
            instead = "; with flops, expected a list of steps" if "flops" in entry["training"] else ""
            raise InputError(f"snapshots: found {entry['snapshots']}, which needs training: steps{instead}")
        chosen = range(entry["snapshots"]["every"], steps, entry["snapshots"]["every"])
        if not chosen:
            raise InputError(f"snapshots: every: found {entry['snapshots']['every']}, expected less than steps {steps}")
        if len(chosen) > MOST_SNAPSHOTS:
            raise InputError(
                f"snapshots: every: found {chosen.step}, which gives {len(chosen):,} snapshots of {steps:,} steps, "
                f"expected at most {MOST_SNAPSHOTS:,}: every {steps // MOST_SNAPSHOTS + 1} or more"
            )
        entry["snapshots"] = list(chosen)


def _check_kind(entry: dict[str, Any]) -> None:
    """Check that an entry is a model to train, or a published checkpoint, or samples drawn elsewhere."""
    kinds = [key for key in KINDS if key in entry]
    if len(kinds) != 1 or ("model" in entry) != (kinds == ["training"]):
        found = ", ".join(key for key in ("model", *KINDS) if key in entry) or "none"
        raise InputError(
            f"found {found} of the keys that say what this is; expected model and training, or pretrained, "
            "callable, onnx or torch_export, or samples"
        )
    useless = {"pretrained": ["snapshots"], "samples": ["snapshots", "pictures", "likelihood", "quantisation"]}.get(
        kinds[0], []
    )
    for key in useless:
        if entry.get(key):
            raise InputError(f"{key}: found {entry[key]!r}, but nothing is trained here; expected none")
    if kinds == ["samples"]:
        for key in ("ranks", "gpus"):
            if entry.get(key, 1) > 1:
                raise InputError(f"{key}: found {entry[key]}, but these samples are already drawn; expected 1")
        if entry["samplers"] != {"default": {}}:
            raise InputError(f"samplers: found {entry['samplers']!r}, but these samples are already drawn")
        entry["samplers"] = {GIVEN: {}}


def insert_first_stage(models: Mapping[str, Any], entry: dict[str, Any]) -> None:
    """Copy the model that an entry's `first_stage` names into the entry's model, under the key that its class states.
    The first stage's training is added to the entry too, because it counts towards a budget."""
    if "first_stage" not in entry:
        return
    name = entry["first_stage"]
    if name not in models:
        raise unknown_name("first_stage", name, models)
    if "training" not in entry or "training" not in models[name] or "first_stage" in models[name]:
        raise InputError(
            f"first_stage: found {name!r}, expected a model of this suite that is trained without a first stage"
        )
    key = first_stage_key(entry["model"])
    if key is None:
        raise InputError(f"first_stage: found {name!r}, but {entry['model']['class']} builds upon no other entry")
    if key in entry["model"]:
        raise InputError(f"model: found {key!r} beside first_stage, expected one of the two")
    entry["model"] = {**entry["model"], key: models[name]["model"]}
    entry["first_stage_entry"] = {part: models[name][part] for part in ("model", "training")}


def _add_quantised_samplers(entry: dict[str, Any]) -> None:
    """Add a sampler for each scheme of an entry's `quantisation`: the same options, and the scheme under that key."""
    samplers = entry["samplers"]
    for name, options in samplers.items():
        if QUANTISATION in options:
            raise InputError(
                f"samplers: {name}: found {QUANTISATION!r}, expected it beside samplers: "
                f"{QUANTISATION}: {{sampler: {name}, schemes: [...]}}"
            )
    if QUANTISATION not in entry:
        return
    reference = entry[QUANTISATION]["sampler"]
    if reference not in samplers:
        raise unknown_name(f"{QUANTISATION}: sampler", reference, samplers)
    if samplers[reference].get("precision") == "bf16":
        raise InputError(
            f"{QUANTISATION}: sampler: found {reference!r}, which has precision: bf16, expected a sampler in fp32, "
            "with which its schemes are compared"
        )
    added = {
        f"{reference}-{scheme}": {**samplers[reference], QUANTISATION: scheme}
        for scheme in entry[QUANTISATION]["schemes"]
    }
    if taken := sorted(added.keys() & samplers.keys()):
        raise InputError(f"samplers: found {taken[0]!r}, the name of a quantised {reference!r}; expected another")
    entry["samplers"] = samplers | added
