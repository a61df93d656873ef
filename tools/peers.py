"""Write docs/peers.md: the results of programs for FID from the same images, and from the same features.

Needs the packages below in these versions. Inception has random weights, so nothing is downloaded. It takes ten minutes
on one core:

    uv pip install torchmetrics==1.9.0 prdc==0.2 lightning-utilities==0.15.3
    uv run python -m tools.peers
"""

import argparse
import logging
import re
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from genbench.errors import InputError
from genbench.machine.command_line import run
from tools.peer_images import CASES
from tools.peer_metrics import METRICS, answer, make_sets
from tools.peer_programs import PROGRAMS, Asked, make_weights
from tools.tables import fill

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "peers.md"
LONGEST = 60  # characters of a message
VERSIONS = {
    "pytorch-fid": "0.3.0",
    "clean-fid": "0.1.35",
    "torch-fidelity": "0.4.0",
    "torchmetrics": "1.9.0",
    "prdc": "0.2",
    "pillow": "13.0.0",
    "scipy": "1.17.1",
    "torch": "2.15.0",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    check_versions()
    logging.disable(logging.WARNING)
    fill(PAGE, "tools/peers.py", {"images": table_of_images()} | dict(tables_of_features()))


def check_versions() -> None:
    """Raise InputError if another version is installed than the page states."""
    for package, expected in VERSIONS.items():
        if (found := version(package).partition("+")[0]) != expected:
            raise InputError(f"{package}: found version {found}, expected {expected}")


def tables_of_features() -> Iterator[tuple[str, pd.DataFrame]]:
    sets = make_sets()
    for name, programs in METRICS.items():
        rows = [
            {"rows": title} | {label: short(answer(metric, *pair)) for label, metric in programs.items()}
            for title, pair in sets.items()
        ]
        yield name, pd.DataFrame(rows)


def table_of_images() -> pd.DataFrame:
    rows = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        asked = Asked(make_weights(folder))
        for number, case in enumerate(CASES):
            real, fake = folder / f"{number}/real", folder / f"{number}/fake"
            case.write(real, fake)
            found = {program: short(asked.distance(program, real, fake, case)) for program in PROGRAMS}
            print(case.title, found, flush=True)
            rows.append({"generated images": case.title} | found)
    return pd.DataFrame(rows)


def short(said: str) -> str:
    """A number unchanged; the first words of a message, without the folder's path."""
    words = re.sub(r"\S*/(real|fake)\b\S*", r"\1", said)
    return words if len(words) <= LONGEST else f"{words[:LONGEST].rsplit(' ', 1)[0]} ..."


if __name__ == "__main__":
    run(main)
