"""One entry at several budgets: `training: {flops: [2.0e+12, 8.0e+12]}` becomes two entries, ddpm-2T and ddpm-8T.

Together they are a series: one line in the report's plots of quality against compute.
"""

from collections.abc import Mapping
from typing import Any

from genbench.errors import InputError, place
from genbench.reporting.numerals import count

SERIES = "series"  # the key of an entry: the name of its line


def with_budgets(models: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Check the entries of a suite, and replace each entry with several budgets by one entry per budget.

    An entry's name ends with its FLOPs in short. If `first_stage` is a list, it has one name for each budget.
    Raises InputError for lists of different lengths, and for duplicate names.
    """
    found: dict[str, dict[str, Any]] = {}
    lines: dict[Any, str] = {}
    for name, entry in models.items():
        with place(name):
            several = _of_budgets(name, entry)
            if taken := sorted(several.keys() & found.keys()):
                raise InputError(f"found a second entry of the name {taken[0]!r}, expected another")
            line = next(iter(several.values())).get(SERIES)
            if len(several) > 1 and lines.setdefault(line, name) != name:
                raise InputError(f"label: found {line!r}, as in {lines[line]}, expected a label for each line")
            found |= several
    return found


def _of_budgets(name: str, entry: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    budgets, stages = entry.get("training", {}).get("flops"), entry.get("first_stage")
    if not isinstance(budgets, list):
        if isinstance(stages, list):
            raise InputError(f"first_stage: found {stages}, expected one name, or a list beside a list of flops")
        return {name: dict(entry)}
    with place("training", "flops"):
        signs = [_sign(budget) for budget in budgets]
        if not signs or len(set(signs)) < len(signs):
            raise InputError(f"found {budgets}, expected different budgets, which differ in three digits")
    if isinstance(stages, list) and len(stages) != len(budgets):
        raise InputError(f"first_stage: found {len(stages)} names for {len(budgets)} budgets, expected one for each")
    label = entry.get("label", name)
    return {
        f"{name}-{sign}": {
            **entry,
            "label": f"{label}, {sign} FLOPs",
            SERIES: entry.get(SERIES, label),
            "training": {**entry["training"], "flops": budget},
            **({"first_stage": stages[number]} if isinstance(stages, list) else {}),
        }
        for number, (sign, budget) in enumerate(zip(signs, budgets, strict=True))
    }


def _sign(budget: Any) -> str:
    """The short form of a budget: 2T for 2.0e+12."""
    if isinstance(budget, bool) or not isinstance(budget, int | float) or not budget > 0:
        kind = " (text)" if isinstance(budget, str) else ""
        raise InputError(f"found {budget!r}{kind}, expected a number above 0, such as 2.0e+12")
    return count(budget)
