"""How often `genbench verify` raises a false alarm, and which differences it finds, by simulation, in a minute.

    python -m benchmarks.false_alarms

A suite of rows with a number for each training seed is made twice from the same distribution, with other seeds; a pair
of suites is a false alarm if any row is called different. Then one row is moved by some standard deviations.
The noise is normal, or has long tails (Student's t with 3 degrees of freedom), or is skewed (log-normal), or has
outliers (one training in twenty is ten times as far off). `linked`: groups of four rows share the noise of a training.
"""

import argparse
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from genbench.references.same import are_different, difference

Noise = Callable[[np.random.Generator, tuple[int, ...]], NDArray[np.float64]]
NOISES: dict[str, Noise] = {
    "normal": lambda random, shape: random.normal(size=shape),
    "long tails": lambda random, shape: random.standard_t(3, size=shape) / 3**0.5,
    "skewed": lambda random, shape: random.lognormal(size=shape),
    "outliers": lambda random, shape: random.normal(size=shape) * np.where(random.random(shape) < 0.05, 10, 1),
}
LINKED = 4  # rows


def suite(
    random: np.random.Generator, noise: Noise, rows: int, seeds: int, linked: bool = False
) -> NDArray[np.float64]:
    """The numbers of a suite: (rows, seeds). Their mean is about 0, so none agree in three digits by rounding."""
    found = noise(random, (rows, seeds))
    if not linked:
        return found
    return found + 2 * noise(random, (-(-rows // LINKED), seeds)).repeat(LINKED, axis=0)[:rows]


def differing(a: NDArray[np.float64], b: NDArray[np.float64]) -> list[bool | None]:
    """Which rows of two suites, made with other seeds, are called different."""
    found = [
        difference(dict(enumerate(x)), dict(enumerate(y, start=len(x))))
        for x, y in zip(a.tolist(), b.tolist(), strict=True)
    ]
    return are_different(found)


def passes(noise: str, rows: int, seeds: int, trials: int, linked: bool = False) -> float:
    """The share of pairs of equal suites in which no row is called different."""
    random = np.random.default_rng(0)
    made = ([suite(random, NOISES[noise], rows, seeds, linked) for _ in range(2)] for _ in range(trials))
    return sum(not any(differing(a, b)) for a, b in made) / trials


def misses(rows: int, seeds: int, shift: float, trials: int) -> float:
    """The share of suites that pass although one row is off by `shift` standard deviations of a run."""
    random = np.random.default_rng(1)
    missed = 0
    for _ in range(trials):
        a, b = (suite(random, NOISES["normal"], rows, seeds) for _ in range(2))
        b[0] += shift
        missed += not differing(a, b)[0]
    return missed / trials


def table(trials: int) -> Iterator[str]:
    yield "| seeds | rows | " + " | ".join([*NOISES, "normal, linked"]) + " |"
    yield "| --- | --- |" + " --- |" * (len(NOISES) + 1)
    for seeds in (3, 5):
        for rows in (10, 50, 100):
            shares = [passes(noise, rows, seeds, trials) for noise in NOISES]
            shares.append(passes("normal", rows, seeds, trials, linked=True))
            yield f"| {seeds} | {rows} | " + " | ".join(f"{share:.1%}" for share in shares) + " |"
    yield ""
    shifts = (2, 4, 8, 16, 32)
    yield "| seeds | rows | " + " | ".join(f"{shift} s" for shift in shifts) + " |"
    yield "| --- | --- |" + " --- |" * len(shifts)
    for seeds in (3, 5):
        for rows in (10, 50, 100):
            shares = [misses(rows, seeds, shift, trials) for shift in shifts]
            yield f"| {seeds} | {rows} | " + " | ".join(f"{share:.0%}" for share in shares) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000, help="pairs of suites for each number")
    for line in table(parser.parse_args().trials):
        print(line)


if __name__ == "__main__":
    main()
