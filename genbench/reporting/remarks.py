"""The sentences about a whole table: its bounds, what ± and ties mean, and how times were measured."""

from collections.abc import Mapping, Sequence

import pandas as pd

from genbench.references.same import LEVEL
from genbench.reporting.cells import BY_DRAWS, BY_GROUPS, seen
from genbench.reporting.columns import TIME, Column
from genbench.reporting.table import Row

ONE_TRAINING = "This does not include the differences between trainings."


def remarks_on(
    compared: Sequence[Row], rows: pd.DataFrame, columns: Sequence[Column], expect: Mapping[str, str]
) -> list[str]:
    """The sentences about a whole table: its bounds, what ± and ties mean, and how times were measured."""
    lead, devices = columns[0], sorted(set(seen(rows, "device")))
    cells = [cell for row in compared for cell in row.cells.values()]
    remarks = []
    if expected := [f"{column.label} {expect[column.key]}" for column in columns if column.key in expect]:
        remarks.append(f"Expected: {' and '.join(expected)}.")
    trained = trainings_of(rows, lead)
    drawn = BY_DRAWS if any(cell.draws for cell in cells) else ""
    of_one = BY_GROUPS if any(cell.estimated for cell in cells) else drawn
    by_images = any(cell.without for cell in cells)
    if max(trained, default=1) > 1:
        single = f"; with a single training, s is {of_one}" if of_one and min(trained) == 1 else ""
        remarks.append(
            f"Mean ± standard deviation s over {max(trained)} training seeds{single}. {tie_rule('seed by seed')}"
        )
        if by_images and trained.count(1) > 1:
            remarks.append(f"Two single trainings are compared by their images. {ONE_TRAINING}")
    elif of_one:
        rule = tie_rule("group by group", "sample seeds") if by_images else tie_rule("draw by draw")
        remarks.append(f"± is the standard deviation s {of_one}. {ONE_TRAINING} {rule}")
    elif len(compared) > 1:
        remarks.append(
            "One training and one draw per row: there are no error bars, and small differences mean nothing."
        )
    if any(row.place for row in compared):
        remarks.append(
            f"The place in {lead.label} is a range, such as 2–4: how many rows are better, and how many are worse, by "
            "the same test for all pairs of rows."
        )
    if True in seen(rows, "extrapolated") and TIME in columns:
        remarks.append("≈ is extrapolated: fewer than 50,000 images were timed.")
    if len(devices) > 1:
        remarks.append(f"Times come from different devices, so that none is marked as the best: {'; '.join(devices)}.")
    return remarks


def trainings_of(rows: pd.DataFrame, lead: Column) -> list[int]:
    """For how many training seeds each row has a number in the first column; rows without any are left out."""
    if lead.key not in rows or "seed" not in rows:
        return []
    found = rows.dropna(subset=[lead.key]).groupby(["model", "checkpoint", "sampler"])["seed"].nunique()
    return found.tolist()


def tie_rule(pairs: str, seeds: str = "seeds") -> str:
    """The rule for ties, in words; also in docs/metrics.md. pairs: what is compared pairwise; seeds: if these agree."""
    return (
        "Ties, marked alike, are numbers that differ from the best by no more than chance explains: by Student's t, "
        f"{pairs} where two rows have the same {seeds}, at {LEVEL:.0%} for each column as a whole."
    )
