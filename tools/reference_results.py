"""Tables of reference results from a record: families at each budget, and with few network evaluations."""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from statistics import fmean, stdev

from genbench.errors import InputError
from genbench.records.reference import RecordedDraw, RecordedModel, Reference
from genbench.references.files import read_reference
from genbench.references.verdicts import mean, rows_of
from genbench.reporting.columns import TIME
from genbench.reporting.few_steps import LIMITS
from genbench.reporting.numerals import count, plus_minus
from genbench.reporting.reproduced import column_of

ROOT = Path(__file__).parents[1]
MOST = 6  # rows


def reference_table(suite: str, most: int | None = MOST, times: bool = True) -> Iterator[str]:
    """A table in Markdown of reference/{suite}.json: a row per family, the best at the largest budget first.

    most: the number of families; None for all. Families without that budget come after those that have it.
    times: with the time to sample, by the sampler at each family's largest budget.

    Each number is that of the family's best sampler at that budget: the mean over trainings, and their standard
    deviation. Raises InputError for a record without budgets.
    """
    record = read_reference(ROOT / "reference" / f"{suite}.json", suite)
    column, best = column_of(record, record.headline), best_rows(record)
    budgets = budgets_of(best)
    if not budgets:
        raise InputError(f"reference/{suite}.json: models: found no training with a budget of FLOPs, expected some")
    sign = -1 if column.direction == "higher" else 1
    shown = {family: [budget for budget in budgets if budget in found] for family, found in best.items()}
    largest = {family: found[-1] for family, found in shown.items() if found}

    def place(family: str) -> tuple[float, float]:
        return -largest[family], sign * mean(best[family][largest[family]], record.headline)

    order = sorted(largest, key=place)[:most]

    heads = [f"{count(budget)} FLOPs" for budget in budgets] + ["time for 50,000 images"] * times
    yield f"| {column.label} at | {' | '.join(heads)} |"
    yield f"|---|{'--:|' * len(heads)}"
    for family in order:
        found = [number(record, best[family][budget]) if budget in best[family] else "–" for budget in budgets]
        draws = best[family][largest[family]]
        yield f"| {name_of(record, family, draws)} | {' | '.join(found + [time(record, draws)] * times)} |"
    yield ""
    yield caption(record, [draws for family in order for draws in best[family].values()], times)


def few_steps_table(suite: str) -> Iterator[str]:
    """A table in Markdown of reference/{suite}.json: the best row for each number of network evaluations and budget.

    Names are bold if no row with fewer evaluations is better. Raises InputError without budgets.
    """
    record = read_reference(ROOT / "reference" / f"{suite}.json", suite)
    column = column_of(record, record.headline)
    budgets = budgets_of(best_rows(record))
    if not budgets:
        raise InputError(f"reference/{suite}.json: models: found no training with a budget of FLOPs, expected some")
    sign, shown = -1 if column.direction == "higher" else 1, list[list[RecordedDraw]]()
    yield f"| evaluations | {' | '.join(f'{count(b)} FLOPs | {column.label} | time for 50,000' for b in budgets)} |"
    yield f"|---|{'---|--:|--:|' * len(budgets)}"
    front = dict.fromkeys(budgets, float("inf"))
    for fewer, limit in pairwise((0, *LIMITS)):
        families, cells = best_rows(record, fewer or 0, limit), list[str]()
        for budget in budgets:
            rows = {family: of[budget] for family, of in families.items() if budget in of}
            if not rows:
                cells += ["–"] * 3
                continue
            best = min(rows, key=lambda family: sign * mean(rows[family], record.headline))
            quality = sign * mean(rows[best], record.headline)
            bold = "**" if quality < front[budget] else ""
            front[budget] = min(front[budget], quality)
            cells += [
                f"{bold}{name_of(record, best, rows[best])}{bold}",
                number(record, rows[best]),
                time(record, rows[best]),
            ]
            shown.append(rows[best])
        least = (fewer or 0) + 1
        span = f"{least} or more" if limit is None else f"{limit}" if limit == least else f"{least} to {limit}"
        yield f"| {span} | {' | '.join(cells)} |"
    yield ""
    yield caption(record, shown)


def number(record: Reference, draws: list[RecordedDraw]) -> str:
    """The headline of a row: the mean over its trainings, with their standard deviation."""
    column = column_of(record, record.headline)
    values = [draw.metrics[record.headline] * column.scale for draw in draws]
    return plus_minus(column.text(fmean(values)), stdev(values)) if len(values) > 1 else column.text(values[0])


def time(record: Reference, draws: list[RecordedDraw]) -> str:
    """The time for 50,000 images with the sampler of a row: the least over its family's budgets, which share a network.

    Each is a mean over trainings. Other work during a timing can only increase it.
    """
    series, sampler = record.models[draws[0].model].series, draws[0].sampler
    rows = (
        [draws]
        if series is None
        else [
            others
            for (model, name), others in rows_of(record, record.headline).items()
            if name == sampler and record.models[model].series == series
        ]
    )
    timed = [[draw.seconds_per_50k for draw in row if draw.seconds_per_50k is not None] for row in rows]
    return TIME.text(min(fmean(row) for row in timed if row)) if any(timed) else "–"


def best_rows(
    record: Reference, fewer: int = 0, limit: int | None = None
) -> dict[str, dict[float, list[RecordedDraw]]]:
    """By family and budget in FLOPs: the draws of its best sampler, one for each training.

    fewer, limit: only samplers with more than `fewer` and at most `limit` network evaluations.
    """
    column = column_of(record, record.headline)
    sign, found = -1 if column.direction == "higher" else 1, dict[str, dict[float, list[RecordedDraw]]]()
    for (model, sampler), draws in rows_of(record, record.headline).items():
        entry = record.models[model]
        budget, family, nfe = budget_of(entry), entry.series, entry.samplers[sampler].nfe
        if budget is None or family is None or not entry.samplers[sampler].generates:
            continue
        if (fewer or limit) and (nfe is None or nfe <= fewer or (limit is not None and nfe > limit)):
            continue
        of_family = found.setdefault(family, {})
        if budget not in of_family or sign * mean(draws, record.headline) < sign * mean(
            of_family[budget], record.headline
        ):
            of_family[budget] = draws
    return found


def budgets_of(best: Mapping[str, Mapping[float, object]]) -> list[float]:
    """The budgets at which several families were trained, at least half of all families."""
    found = Counter(budget for of in best.values() for budget in of)
    return sorted(budget for budget, families in found.items() if families > 1 and 2 * families >= len(best))


def budget_of(entry: RecordedModel) -> float | None:
    """The FLOPs that an entry may spend on its training, if its suite states them."""
    training = entry.spec.get("training")
    return training.get("flops") if isinstance(training, dict) else None


def name_of(record: Reference, family: str, draws: list[RecordedDraw]) -> str:
    """A family, with its sampler if it has several."""
    samplers = record.models[draws[0].model].samplers
    return f"{family}, {samplers[draws[0].sampler].label or draws[0].sampler}" if len(samplers) > 1 else family


def caption(record: Reference, rows: list[list[RecordedDraw]], times: bool = True) -> str:
    """How the numbers of a table were made. times: whether it has times."""
    runs = sorted({len(draws) for draws in rows})
    devices = sorted({draw.device for draws in rows for draw in draws if draw.device})
    column = column_of(record, record.headline)
    counts = f"{runs[0]}" if len(runs) == 1 else f"{runs[0]} to {runs[-1]}"
    several = f"mean of {counts} trainings, ± their standard deviation"
    made = "Times are the lowest of each network, on" if times else "Made on"
    return (
        f"{column.label}, {column.direction} is better; {record.num_samples:,} samples; "
        f"{'one training each' if runs == [1] else several}. {made}: {'; '.join(devices)}."
    )
