"""Numbers along a training or along the times t of a diffusion model, as tables for the plots."""

import json
import math
from pathlib import Path

import pandas as pd

from genbench.errors import InputError
from genbench.files.artifacts import check_sha256
from genbench.records.likelihood import Likelihood


def read_history(path: Path, sha256: str | None, seed: int) -> pd.DataFrame:
    """Read history.jsonl into a table of seed, step, images_seen, kind, name, value; see Results.histories.

    Of a step logged twice, the last entry counts. Raises InputError if the hash of the file is not the one in the
    record of the training.
    """
    if sha256 is not None:
        check_sha256(path, sha256)
    points: dict[tuple[int, str, str], tuple[float, float]] = {}
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            entry = json.loads(line)
            for kind in ("losses", "metrics", "validation"):
                for name, value in entry.get(kind, {}).items():
                    seen = float(entry.get("images_seen", math.nan))
                    points[int(entry["step"]), kind, name] = seen, float(value)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise InputError(f"{path}, line {number}: expected a JSON object with step and losses") from None
    return pd.DataFrame(
        [(seed, step, seen, kind, name, value) for (step, kind, name), (seen, value) in sorted(points.items())],
        columns=["seed", "step", "images_seen", "kind", "name", "value"],
    )


def terms_of(likelihood: Likelihood, seed: int) -> pd.DataFrame:
    """The terms of a likelihood, if it has any, as seed, t, value."""
    terms = {"seed": seed, "t": likelihood.terms.t, "value": likelihood.terms.bits_per_dim}
    return pd.DataFrame(terms).astype({"t": float, "value": float}).sort_values("t")
