"""Note that the package computes the same results as an earlier version: write genbench/machine/earlier_code.json.

    uv run tools/same_code.py --earlier HASH --kinds training sampling

HASH is the `code_sha256` in the records of the earlier version. Use it only for kinds of results that were seen to be
bitwise equal to those of this checkout: results of that version then count as made by this code, until it changes.
"""

import argparse
import json
import re

from genbench.machine.code import EARLIER, ROOTS, all_definitions
from genbench.machine.command_line import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--earlier", required=True, metavar="HASH", help="code_sha256 of the earlier version's records")
    parser.add_argument("--kinds", required=True, nargs="+", choices=ROOTS, help="kinds of results that are equal")
    args = parser.parse_args()
    if not re.fullmatch("[0-9a-f]{64}", args.earlier):
        parser.error(f"--earlier: found {args.earlier!r}, expected 64 hexadecimal digits")
    known = json.loads(EARLIER.read_text(encoding="utf-8")) if EARLIER.exists() else {}
    known[args.earlier] = {
        kind: " ".join(sorted(definition[:8] for definition in all_definitions(kind))) for kind in args.kinds
    }
    EARLIER.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run(main)
