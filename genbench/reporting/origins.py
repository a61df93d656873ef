"""Where results come from, according to their files: for a whole suite by stage, and for each row of a model."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from genbench.reporting.cells import known, seen

OLDER = "made by other code than this checkout's, which may give other numbers: run the suite again"
HASHES = {
    "data_sha256": "Data",
    "model_sha256": "Weights",
    "samples_sha256": "Samples",
    "reference_sha256": "Reference",
}


def stages(origins: pd.DataFrame) -> list[dict[str, str]]:
    """For each stage, the distinct values in its provenance."""
    found = []
    for stage, group in origins.groupby("stage", sort=False):
        times = sorted(map(str, seen(group, "time")))
        found.append(
            {
                "stage": str(stage),
                "files": str(len(group)),
                "commit": ", ".join(sorted({abbreviate(commit) for commit in seen(group, "genbench_commit")})),
                "code": ", ".join(sorted({str(code)[:12] for code in seen(group, "code_sha256")})),
                "device": "; ".join(sorted(set(seen(group, "device")))),
                "python": ", ".join(sorted(set(seen(group, "python")))),
                "platform": "; ".join(sorted(set(seen(group, "platform")))),
                "time": " – ".join(dict.fromkeys(times[:1] + times[-1:])),
            }
        )
    return found


def packages(origins: pd.DataFrame) -> list[tuple[str, str]]:
    """Each package with its version, or its versions."""
    found: dict[str, dict[str, None]] = {}
    for versions in seen(origins, "packages"):
        for name, version in versions.items():
            found.setdefault(name, {})[version] = None
    return [(name, ", ".join(versions)) for name, versions in sorted(found.items())]


def origins_of(draw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(name, value) of all that reproduces one row of the tidy table: seeds, device, precision, batch and hashes."""
    names = {"seed": "Training seed", "sample_seeds": "Sample seeds", "device": "Device", "precision": "Precision"}
    names |= {"batch_size": "Sampling batch", "threads": "Threads", "training_device": "Trained on"} | HASHES
    for key, name in names.items():
        if key in draw:
            value = draw[key]
            yield name, f"{value:.0f}" if isinstance(value, float) else str(value)


def older_code(rows: pd.DataFrame, is_current: Callable[[str, str, str], bool]) -> list[str]:
    """The models whose numbers were made by other code than the checkout's, according to their files.

    is_current: (stage, model, code_sha256) -> whether this is the code of the checkout.
    """
    if rows.empty or "code_sha256" not in rows:
        return []
    known = rows[rows["code_sha256"].notna() & rows["model"].notna()]
    found = zip(known["stage"], known["model"], known["code_sha256"], strict=True)
    return sorted({model for stage, model, code in found if not is_current(stage, model, code)})


def code_versions(rows: pd.DataFrame) -> int:
    """The largest number of code versions that made the results of one stage of one model."""
    if rows.empty or "code_sha256" not in rows:
        return 0
    return int(rows.groupby(["stage", "model"])["code_sha256"].nunique().max() if rows["model"].notna().any() else 0)


def abbreviate(commit: str) -> str:
    """A commit's first twelve digits, with any suffix that begins with +."""
    digits, plus, changes = commit.partition("+")
    return digits[:12] + plus + changes


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as plain values, without absent values."""
    return [
        {str(key): value for key, value in record.items() if isinstance(value, list) or known(value)}
        for record in rows.to_dict("records")
    ]


def of_each(models: Sequence[str], rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of each model, none if no row names its model."""
    groups = dict(list(rows.groupby("model", sort=False))) if len(rows) and rows["model"].notna().any() else {}
    return {model: groups.get(model, rows[:0]) for model in models}
