"""Write docs/timesteps.md: which times programs visit for one number of steps, and what the choice costs in quality.

Needs a finished run of the suite `demo`: DDIM samples from its DDPM with each spacing.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import matplotlib.pyplot as plt
import pandas as pd
from diffusers import DDIMScheduler

from genbench import evaluate, load, sample
from genbench.errors import InputError
from genbench.machine.command_line import run
from genbench.processes.spacing import Spacing, respaced_timesteps, spaced_timesteps
from tools.tables import fill

ROOT = Path(__file__).parents[1]
PAGE, FIGURE = ROOT / "docs" / "timesteps.md", ROOT / "docs" / "images" / "timesteps.svg"
T = 1000
SHOWN = (10, 30, 50, 300)
DRAWN = 10
STEPS = (5, 10, 20)
IMAGES = 1000
Rule = Callable[[int], list[int]]


def of_diffusers(spacing: str, offset: int = 0) -> Rule:
    """The times 1..T that DDIMScheduler visits; it counts from 0."""

    def times(steps: int) -> list[int]:
        scheduler = DDIMScheduler(num_train_timesteps=T, timestep_spacing=spacing, steps_offset=offset)
        scheduler.set_timesteps(steps)
        return [1 + int(t) for t in scheduler.timesteps]

    return times


def of_genbench(spacing: str) -> Rule:
    return lambda steps: spaced_timesteps(T, steps, spacing)


def of_paper(steps: int) -> list[int]:
    """floor(c i) for i = 0, 1, ... with c = T / steps (Song et al. 2021, arXiv 2010.02502, appendix D.2, "linear")."""
    return [1 + i * T // steps for i in range(steps)][::-1]


RULES: dict[str, Rule] = {
    "DDIM's paper, linear": of_paper,
    "OpenAI, `N`": lambda steps: respaced_timesteps(T, str(steps)),
    "OpenAI, `ddimN`": lambda steps: respaced_timesteps(T, f"ddim{steps}"),
    "diffusers, `leading`": of_diffusers("leading"),
    "diffusers, `leading`, `steps_offset=1`": of_diffusers("leading", 1),
    "diffusers, `linspace`": of_diffusers("linspace"),
    "diffusers, `trailing`": of_diffusers("trailing"),
    **{f"genbench, `{name}`": of_genbench(name) for name in get_args(Spacing) if name != "truncated"},
}


def visits(rule: Rule) -> dict[int, tuple[int, ...]]:
    """The times for every number of steps from 1 to T for which the rule has any."""
    found = {}
    for steps in range(1, T + 1):
        try:
            found[steps] = tuple(rule(steps))
        except InputError:  # ddimN: no integer stride gives N
            continue
    return found


def ends(times: tuple[int, ...] | None) -> str:
    return "none" if times is None else f"{times[0]} ... {times[-1]}"


def table_of_times(found: dict[str, dict[int, tuple[int, ...]]]) -> pd.DataFrame:
    """For each rule: first and last time for some numbers of steps, and for how many numbers a time is out of range."""
    rows = []
    for name, times in found.items():
        row = {"rule": name} | {f"{steps} steps": ends(times.get(steps)) for steps in SHOWN}
        row["out of range"] = str(sum(max(t) > T or min(t) < 1 for t in times.values()))
        row["has any"] = str(len(times))
        rows.append(row)
    return pd.DataFrame(rows)


def table_of_twins(found: dict[str, dict[int, tuple[int, ...]]]) -> pd.DataFrame:
    """For how many of the T numbers of steps each of genbench's spacings visits the same times as the others' rules."""
    ours = {name: times for name, times in found.items() if name.startswith("genbench")}
    others = {name: times for name, times in found.items() if name not in ours}
    rows = []
    for name, times in others.items():
        row = {"rule": name}
        for own, own_times in ours.items():
            row[own.removeprefix("genbench, ")] = str(sum(own_times[steps] == t for steps, t in times.items()))
        rows.append(row)
    return pd.DataFrame(rows)


def table_of_costs(results: Path, resources: Path) -> pd.DataFrame:
    """FD in the features of the suite's classifier, by spacing and number of steps of DDIM."""
    model = load(results / "ddpm/seed0/model.safetensors")
    extractor = f"classifier:{resources / 'classifier.safetensors'}"
    rows = []
    for spacing in get_args(Spacing):
        if spacing == "truncated":
            continue
        row = {"spacing": f"`{spacing}`"}
        for steps in STEPS:
            options = {"method": "ddim", "steps": steps, "spacing": spacing}
            images = sample(model, range(IMAGES), batch_size=250, **options)
            found = evaluate(images, resources / "train.npz", features=[extractor], metrics=["fd"])
            row[f"{steps} steps"] = f"{found['fd_classifier']:.1f}"
            print(spacing, steps, row[f"{steps} steps"], flush=True)
        rows.append(row)
    return pd.DataFrame(rows)


def draw(found: dict[str, dict[int, tuple[int, ...]]]) -> None:
    """The figure: a line for each rule, a dot for each time that it visits with `DRAWN` steps."""
    plt.rcParams.update({"svg.hashsalt": "timesteps", "svg.fonttype": "none"})
    names = [name for name, times in found.items() if DRAWN in times]
    figure, axes = plt.subplots(figsize=(9, 0.28 * len(names) + 0.8), layout="constrained")
    for height, name in enumerate(names):
        times = found[name][DRAWN]
        axes.plot(times, [height] * len(times), "o", markersize=4, color="C0" if "genbench" in name else "C1")
    axes.set_yticks(range(len(names)), [name.replace("`", "") for name in names])
    axes.invert_yaxis()
    axes.set_xlabel(f"times visited with {DRAWN} steps, of 1 (nearly the image) to {T:,} (noise)")
    axes.spines[["top", "right", "left"]].set_visible(False)
    figure.savefig(FIGURE, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results/demo"), metavar="results/demo")
    parser.add_argument("--resources", type=Path, default=Path("resources/demo"), metavar="resources/demo")
    args = parser.parse_args()
    found = {name: visits(rule) for name, rule in RULES.items()}
    draw(found)
    tables = {"times": table_of_times(found), "twins": table_of_twins(found)}
    fill(PAGE, "tools/timesteps.py", tables | {"costs": table_of_costs(args.results, args.resources)})


if __name__ == "__main__":
    run(main)
