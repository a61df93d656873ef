"""Every row of the table of docs/speed.md, measured in turn with the peers in one process, and printed as Markdown.

    uv run python -m benchmarks --peers ../peers --before ../genbench-before --write docs/speed.md

One thread; CPU time, or, for whole commands, wall time. Each row is appended at once to benchmarks/results/, from which
the table is made. A row whose peer is missing is printed with the reason.
"""

import argparse
import importlib
import os
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

for library in ("OMP", "OPENBLAS", "MKL"):  # before anything imports numpy; for child processes, too
    os.environ[f"{library}_NUM_THREADS"] = "1"

import torch  # noqa: E402

from benchmarks.comparison import NotAtHandError, Setting, Work, measure  # noqa: E402
from benchmarks.table import circumstances, keep, markdown, write  # noqa: E402

MODULES = ("training", "sampling", "evaluation", "preflight", "page", "demo")  # each has WORKS, in order


def all_works() -> list[Work]:
    """The works of every module here, in the order of the table."""
    found = (importlib.import_module(f"benchmarks.{name}") for name in MODULES)
    return [work for module in found for work in getattr(module, "WORKS", ())]


def measure_all(works: list[Work], setting: Setting, rounds: int | None) -> dict[str, str]:
    """Measure one after another and keep the results; returns, by name, why some were not measured."""
    missing = {}
    for work in works:
        print(f"{work.name} ...", end=" ", flush=True, file=sys.stderr)
        now = circumstances(setting.before)
        for name in work.versions:
            now["packages"] |= setting.version(name)
        try:
            for found in measure(work.make(setting), rounds):
                keep({"name": work.name, **found, **now})
                print(f"{found['precision']}: {found['ratio']:.2f}", end="; ", flush=True, file=sys.stderr)
        except (NotAtHandError, ModuleNotFoundError) as error:
            missing[work.name] = str(error)
        except Exception as error:  # one row must not cost the others
            traceback.print_exc()
            missing[work.name] = f"{type(error).__name__}: {error}".splitlines()[0]
        print(missing.get(work.name, ""), file=sys.stderr)
    return missing


def main() -> None:
    works = all_works()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="NAME", default=[], help="rows by name, or by its beginning")
    parser.add_argument("--peers", type=Path, help="folder of the peers' checkouts, by the names of their repositories")
    parser.add_argument("--before", type=Path, help="checkout of an earlier genbench")
    parser.add_argument("--rounds", type=int, help="rounds of every row (default: each row's own)")
    parser.add_argument("--demo", action="store_true", help="also rows that take minutes, measured only on request")
    parser.add_argument("--list", action="store_true", help="print the rows' names, measure nothing")
    parser.add_argument("--table", action="store_true", help="print the last results, measure nothing")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table between the marks of a document, too")
    args = parser.parse_args()

    if args.list:
        print("\n".join(f"{work.name}: {work.title} beside {work.peer}" for work in works))
        return
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")  # of the peers
    chosen = [work for work in works if any(work.name.startswith(name) for name in args.only)]
    if args.only and not chosen:
        parser.error(f"--only: found {' '.join(args.only)}, expected the beginnings of names: see --list")
    chosen = chosen or [work for work in works if args.demo or not work.on_request]
    missing: dict[str, str] = {}
    if not args.table:
        with tempfile.TemporaryDirectory() as folder:
            peers, before = (path and path.resolve() for path in (args.peers, args.before))
            setting = Setting(peers=peers, before=before, folder=Path(folder))
            missing = measure_all(chosen, setting, args.rounds)
    table = markdown(works if args.table or args.write else chosen, missing)
    print(table)
    if args.write:
        write(args.write, table)


if __name__ == "__main__":
    main()
