"""Check suites: build, run and sample every model once without memory or data, and say what each will cost."""

import argparse
import sys
from pathlib import Path
from typing import Any

from genbench.machine.command_line import json_argument, run


def human(value: float | None, unit: str = "") -> str:
    """A number with three digits and a unit prefix; a dash for what is unknown, as of samples from elsewhere."""
    if value is None:
        return "-"
    for prefix in ("", "k", "M", "G", "T", "P"):
        if value < 1000:
            return f"{value:.3g} {prefix}{unit}".strip()
        value /= 1000
    return f"{value:.3g} E{unit}"


def show(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 120)
    table = Table(title=escape(f"{result['suite']}: {result['title']}"))
    columns = ["model", "sampler", "parameters", "NFE", "FLOPs/image"]
    if console.width >= 100:  # a narrow terminal would cut every number
        columns += ["FLOPs/NFE", "training memory"]
    for column in columns:
        table.add_column(column, no_wrap=True, justify="left" if column in ("model", "sampler") else "right")
    for name, model in result["models"].items():
        for sampler, cost in model["samplers"].items():
            cells = {
                "model": name,
                "sampler": sampler,
                "parameters": human(sum(model["parameters"].values()) or None),
                "FLOPs/NFE": human(cost.get("flops_per_nfe")),
                "NFE": str(cost["nfe"] or "-"),
                "FLOPs/image": human(cost.get("flops_per_image")),
                "training memory": human(model.get("training_memory_bytes"), "B"),
            }
            table.add_row(*(escape(cells[column]) for column in columns))
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", required=True, nargs="+", metavar="FILE", help="such as suites/demo.yaml")
    parser.add_argument(
        "--overrides", type=json_argument, default={}, help='JSON such as {"num_samples": 1000}, or @file'
    )
    parser.add_argument("--data-root", default="resources/downloads", metavar="DIR", help="where raw data sets are")
    parser.add_argument("--results", type=Path, metavar="DIR", help="write DIR/SUITE/preflight.json")
    args = parser.parse_args()

    from genbench.files.artifacts import write_json
    from genbench.suites.load import load_suite
    from genbench.suites.preflight import preflight

    for path in args.suite:
        result = preflight(load_suite(Path(path), args.overrides), args.data_root, path)
        if args.results:
            write_json(args.results / result["suite"] / "preflight.json", result)
        show(result)


if __name__ == "__main__":
    run(main)
