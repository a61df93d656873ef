"""Does an image show the requested objects? Pooled top-k accuracy by a classifier of objects.

The NYCU course's evaluation of iCLEVR: for an image with k requested objects, the classifier predicts the k objects
with the highest scores. The accuracy is the number of hits over the number of objects, for all images together.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genbench.errors import InputError
from genbench.metrics.metric import Metric, Value

QUANTILE = 1.959964  # of the normal distribution, for intervals of 95 %


class ObjectCounts(NamedTuple):
    """How many of `objects` were hit, and how the others were missed; the four numbers add up to `objects`."""

    hits: int
    colour_wrong: int
    shape_wrong: int
    missing: int

    @property
    def objects(self) -> int:
        return sum(self)

    @property
    def accuracy(self) -> float:
        return self.hits / self.objects


def count_objects(
    scores: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]], num_colours: int
) -> ObjectCounts:
    """Count the objects of images that are among the k highest scores, where k is the image's number of objects.

    scores: (N, K), higher is likelier. labels: zeros and ones (N, K); object j has colour j % num_colours and shape
    j // num_colours. Each object that is not found is paired with one that was found instead, and as many pairs as
    possible agree in shape or colour: `colour_wrong` for the same shape, `shape_wrong` for the same colour, `missing`
    for neither. Raises InputError for arrays that do not fit, scores that are not finite, and images without objects.
    """
    _check(scores, labels)
    hits = colour_wrong = shape_wrong = missing = 0
    ranked = np.argsort(-scores, axis=1, kind="stable")  # among equal scores, the first counts as the highest
    for order, hot in zip(ranked, labels, strict=True):
        asked = set(np.flatnonzero(hot).tolist())
        found = set(order[: len(asked)].tolist())
        hits += len(asked & found)
        if asked == found:
            continue
        by_shape, by_colour = _pair(sorted(asked - found), sorted(found - asked), num_colours)
        colour_wrong += by_shape
        shape_wrong += by_colour
        missing += len(asked - found) - by_shape - by_colour
    return ObjectCounts(hits, colour_wrong, shape_wrong, missing)


def _pair(absent: Sequence[int], instead: Sequence[int], num_colours: int) -> tuple[int, int]:
    """How many objects can be paired with one of the same shape, and how many others with one of the same colour.

    Among the pairings that explain most objects, one with the most equal shapes.
    """

    @cache
    def best(row: int, left: frozenset[int]) -> tuple[int, int]:  # (pairs that agree in something, in their shape)
        if row == len(absent):
            return 0, 0
        found = []
        for other in left:
            pairs, shapes = best(row + 1, left - {other})
            same_shape = absent[row] // num_colours == other // num_colours
            agree = same_shape or absent[row] % num_colours == other % num_colours
            found.append((pairs + agree, shapes + same_shape))
        return max(found)

    pairs, shapes = best(0, frozenset(instead))
    return shapes, pairs - shapes


def wilson_interval(hits: int, total: int, quantile: float = QUANTILE) -> tuple[float, float]:
    """Wilson's interval of a binomial share (E. B. Wilson 1927, doi 10.2307/2276774); 95 % by default."""
    if not 0 <= hits <= total or total < 1:
        raise InputError(f"interval: found {hits} hits of {total}, expected 0 to the total, of at least 1")
    share, z2 = hits / total, quantile**2 / total
    middle = share + z2 / 2
    half = np.sqrt(share * (1 - share) * z2 + z2**2 / 4)
    return max(0.0, float((middle - half) / (1 + z2))), min(1.0, float((middle + half) / (1 + z2)))


def object_accuracy(
    scores: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]], num_colours: int, draws: int = 1
) -> dict[str, dict[str, Any]]:
    """Accuracy and errors of `draws` sets of images with the same labels: {key: {"value", "n_fake", "note", ...}}.

    scores: (draws x N, K), the sets one after another; labels: (N, K). `value` is over all draws together, which equals
    their mean. "interval" is the 95 % Wilson interval of all objects pooled, treated as independent. With more than one
    draw, "values" lists them, and "draw_std" is the standard deviation between them (N - 1 in the denominator). Raises
    InputError as `count_objects` does, and for another number of scores.
    """
    if draws < 1 or len(scores) != draws * len(labels):
        raise InputError(
            f"found {len(scores)} images, expected {draws * len(labels)}: {len(labels)} label sets, {draws} draws"
        )
    counts = [count_objects(part, labels, num_colours) for part in np.split(scores, draws)]
    return {
        metric.name: metric.compute(counts).record(None, len(labels))
        for metric in (ACCURACY, COLOUR_WRONG, SHAPE_WRONG, MISSING)
    }


def _check(scores: NDArray[Any], labels: NDArray[Any]) -> None:
    if scores.ndim != 2 or scores.shape != labels.shape or not len(labels):
        raise InputError(f"scores and labels: found shapes {scores.shape} and {labels.shape}, expected (N, K) twice")
    if not np.isfinite(scores).all():
        raise InputError("scores: found values that are not finite")
    if not np.isin(labels, (0, 1)).all():
        raise InputError(f"labels: found {labels.min()} to {labels.max()}, expected zeros and ones")
    if not labels.any(axis=1).all():
        raise InputError(
            f"labels: found no object in image {int(np.flatnonzero(~labels.any(axis=1))[0])}, expected one"
        )


def _share(field: str) -> Callable[[Sequence[ObjectCounts]], Value]:
    """The computation of a metric from the counts of one or several draws: the share of objects that are `field`."""

    def compute(draws: Sequence[ObjectCounts]) -> Value:
        values: Sequence[int] = [getattr(counts, field) for counts in draws]
        objects, total = draws[0].objects, len(draws) * draws[0].objects
        low, high = interval = wilson_interval(sum(values), total)
        note = f"{sum(values)} of {total} objects"
        note += f" in {len(draws)} draws of {objects}" if len(draws) > 1 else ""
        note += f", 95 % interval {low:.3f} to {high:.3f}"
        more: dict[str, Any] = {}
        if len(draws) > 1:
            shares = [value / objects for value in values]
            more = {"values": shares, "draw_std": float(np.std(shares, ddof=1))}
        return Value(sum(values) / total, note=note, interval=interval, more=more)

    return compute


ACCURACY = Metric(
    name="object_accuracy",
    label="Object accuracy",
    definition="share of the objects asked for that are among the k likeliest of their image (k: how many it was "
    "asked for) by a classifier of objects; all images together",
    direction="higher",
    source="evaluation of iCLEVR, NYCU course on deep learning, 2024",
    compute=_share("hits"),
    needs=("objects",),
    compared=0,
    overview=True,
    printed="proportion",
    everywhere=True,
    per_labels=True,
)
COLOUR_WRONG = replace(
    ACCURACY,
    name="object_colour_wrong",
    label="Colour wrong",
    definition="share of the objects asked for in whose place the classifier sees the same shape in another colour",
    direction="lower",
    source="genbench",
    compute=_share("colour_wrong"),
    compared=None,
    overview=False,
)
SHAPE_WRONG = replace(
    COLOUR_WRONG,
    name="object_shape_wrong",
    label="Shape wrong",
    definition="share of the objects asked for in whose place the classifier sees another shape in the same colour",
    compute=_share("shape_wrong"),
)
MISSING = replace(
    COLOUR_WRONG,
    name="object_missing",
    label="Missing",
    definition="share of the objects asked for in whose place the classifier sees nothing of their shape or colour",
    compute=_share("missing"),
)
