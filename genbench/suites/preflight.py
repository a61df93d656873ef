"""Check every entry of a suite before anything is trained, and compute its cost.

Results are kept, so that only changed entries are built and run again.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genbench.data import Description, describe
from genbench.errors import InputError, place
from genbench.machine.checkout import ROOT
from genbench.records.plan import DataSet, ModelPlan, Plan
from genbench.records.provenance import Provenance
from genbench.suites.checked import Checked
from genbench.suites.evaluation import check_evaluation
from genbench.suites.families import model_of, needed
from genbench.suites.figures import check_files, published_figure
from genbench.suites.load import checkpoints, seeds_of
from genbench.suites.needs import facts
from genbench.suites.submissions import HAND_IN

log = logging.getLogger(__name__)


def _common(entry: Mapping[str, Any], seeds: list[int]) -> dict[str, Any]:
    """The part of the plan that entries of all kinds have."""
    return {
        "label": entry["label"],
        "description": entry["description"],
        "budget": entry.get("budget"),
        "series": entry.get("series"),
        "first_stage": entry.get("first_stage"),
        "published": [published_figure(entry, figure) for figure in entry["published"]],
        "seeds": seeds,
        "checkpoints": list(checkpoints(entry)),
        "pictures": entry["pictures"],
    }


def _with_role(entry: Mapping[str, Any], roles: bool, found: dict[str, Any]) -> dict[str, Any]:
    """The description of an entry; in a suite of hand-ins, with its role and the parameters that its card states."""
    if not roles:
        return found
    stated = entry.get(HAND_IN, {}).get("parameters")
    parameters = {"stated": stated} if stated and not found.get("parameters") else found.get("parameters", {})
    return found | {"role": "hand-in" if HAND_IN in entry else "baseline", "parameters": parameters}


def check_held_out(entry: Mapping[str, Any], data: Description) -> None:
    """Refuse keys that need held-out images, if the data set has none."""
    if data.num_test != 0:
        return
    what = {
        "training: validate_every": entry.get("training", {}).get("validate_every", 0) != 0,
        "likelihood": "likelihood" in entry,
    }
    for name, options in entry["samplers"].items():
        what[f"samplers: {name}"] = needed(model_of(entry), options) == "images"
    for key, is_found in what.items():
        if is_found:
            raise InputError(f"{key}: needs held-out images, and the data set has none (test_fraction: 0)")


def say_old_keys(suite: Mapping[str, Any], models: Mapping[str, ModelPlan], source: str) -> None:
    """Log one line if the suite uses old names of samplers' keys."""
    found = [
        (f"models: {model}: samplers: {sampler}", key)
        for model, described in models.items()
        for sampler, option in described.samplers.items()
        for key, value in suite["models"][model]["samplers"][sampler].items()
        if "method" in option.options and value == option.options["method"] and key != "method"
    ]
    if found:
        first, key = found[0]
        others = f"; so in {len(found) - 1} more" if len(found) > 1 else ""
        log.warning("%s: %s: key %r is now 'method'; it still works%s", source, first, key, others)


def check_suite(
    suite: Mapping[str, Any], data_root: str, source: str, costs: bool = False, checked: Checked | None = None
) -> tuple[Description, dict[str, dict[str, Any]]]:
    """Check a complete suite (from load_suite of the file `source`); return its data set, and each model with its cost.

    Without `costs` every model is built, which takes seconds, but none is run, and nothing is downloaded. checked: the
    results of earlier checks, which are reused; new results are added.
    """

    def find(name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
        with place("models", name):
            if "samples" not in entry:
                check_held_out(entry, data)
            key = checked.key(entry, data) if checked else None
            found = checked.find(name, key, costs) if checked else None
            if found is None:
                found = _check_entry(entry, data)
                if checked:
                    checked.keep(name, key, costs, found)
        return found

    def _check_entry(entry: Mapping[str, Any], data: Description) -> dict[str, Any]:
        from genbench.suites import entries  # imports torch; kept results do not need it

        if "samples" in entry:
            return entries.check_samples(entry, data.image_shape, suite["num_samples"], data_root)
        if "pretrained" in entry and HAND_IN in entry:
            return entries.check_hand_in(entry, data, data_root, costs)
        if "pretrained" in entry:
            return entries.check_pretrained(entry, data, data_root, costs)
        return entries.check_entry(entry, data, costs)

    try:
        with place(source):
            check_files(suite, Path(data_root))
            data = describe(suite["dataset"], data_root)
            check_evaluation(suite, data, Path(data_root))
            found = {name: find(name, entry) for name, entry in suite["models"].items()}
        if checked:
            checked.hold(facts(data, found, checked.facts if checked.holds() else None))
        return data, found
    finally:
        if checked:
            checked.save()


def preflight(suite: Mapping[str, Any], data_root: str, source: str, checked: Checked | None = None) -> Plan:
    """Check a complete suite (from load_suite of the file `source`) and return its plan: what it will make and cost.

    checked: as in `check_suite`.
    """
    data, found = check_suite(suite, data_root, source, costs=True, checked=checked)
    roles = any(HAND_IN in entry for entry in suite["models"].values())
    plan = Plan(
        suite=suite["name"],
        suite_argument=Path(source).stem if Path(source).resolve().parent == ROOT / "suites" else source,
        title=suite["title"],
        description=suite["description"],
        dataset=DataSet(
            name=data.name,
            label=data.label,
            image_shape=list(data.image_shape),
            num_classes=data.num_classes,
            num_train=data.num_train,
            num_test=data.num_test,
            notes=list(data.notes),
        ),
        scale=suite.get("scale"),
        **({"parent": suite["parent"]} if "parent" in suite else {}),
        num_samples=suite["num_samples"],
        snapshot_samples=suite["snapshot_samples"],
        draws=suite["draws"],
        seeds=suite["seeds"],
        evaluation=suite["evaluation"],
        headline=suite["evaluation"]["headline"],
        expect=suite.get("expect", {}),
        models={
            name: ModelPlan(**_common(entry, seeds_of(suite, entry)), **_with_role(entry, roles, found[name]))
            for name, entry in suite["models"].items()
        },
        provenance=Provenance.collect("torch", "numpy", "snakemake"),
    )
    say_old_keys(suite, plan.models, source)
    return plan
