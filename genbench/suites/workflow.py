"""Run the Snakemake workflow from Python on one or more suites, with common options."""

import json
import logging
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genbench.errors import InputError
from genbench.machine.checkout import ROOT, is_checkout
from genbench.machine.cores import cores
from genbench.machine.devices import apple_gpu, count_gpus
from genbench.records.plan import Plan
from genbench.suites.load import find_suite

CORES = {"-c", "--cores", "-j", "--jobs"}
ELSEWHERE = {"--profile", "--executor", "-e"}  # other machines do the work; these options determine the resources
CONFIG = {"-C", "--config"}


def run_workflow(suites: Sequence[str] = (), config: Sequence[str] = (), options: Sequence[str] = ()) -> int:
    """Run the workflow in the working folder, in this process; return its exit status.

    suites: names or paths; without any, those of ./config.yaml, or the demo. config: KEY=VALUE of that file.
    options: Snakemake's options, which win. Raises InputError for an unknown suite, and for --config among the options.
    """
    arguments = snakemake_arguments(suites, config, options)
    from snakemake.cli import main

    logging.getLogger().handlers.clear()  # otherwise Snakemake's lines appear twice
    try:
        main(arguments)
    except SystemExit as end:
        if not isinstance(end.code, str):
            return int(end.code or 0)
        print(end.code, file=sys.stderr)
        return 1
    return 0


def how_to_go_on(arguments: Sequence[str], when: str = "To go on") -> str:
    """How to continue an unfinished run of `genbench` with these arguments, in a sentence. when: its beginning.

    The folder is locked while a run is alive, and stays locked if a run was killed.
    """
    again = shlex.join(["genbench", *arguments])
    if not any(Path(".snakemake/locks").glob("*")):
        return f"{when}: {again}"
    unlock = shlex.join(["genbench", *arguments, *([] if "--" in arguments else ["--"]), "--unlock"])
    return f"If no other run is alive: {unlock}, and then: {again}"


def overrides_of(config: Sequence[str]) -> dict[str, Any]:
    """Keys of config.yaml from KEY=VALUE texts, as Snakemake and genbench read them; raises InputError."""
    from snakemake.cli import parse_config

    from genbench.suites.config import Config

    given = Config.from_snakemake(parse_config(list(config))) if config else {}
    return {key: value for key, value in given.items() if value is not None}


def planned_jobs(suites: Sequence[str], config: Sequence[str] = ()) -> dict[str, int]:
    """How many jobs of each rule a run would have now, from a dry run; empty if there is nothing left to do.

    Arguments and errors as in `run_workflow`; also raises InputError if the dry run fails.
    """
    arguments = snakemake_arguments(suites, config, ["--dry-run", "--quiet", "rules"])
    command = [sys.executable, "-m", "snakemake", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
        raise InputError((errors or lines or ["the dry run failed, and said nothing"])[-1])
    _, _, table = done.stdout.partition("Job stats:")
    counts = dict(re.findall(r"^(\w+) +(\d+)$", table.partition("\n\n")[0], re.MULTILINE))
    return {rule: int(count) for rule, count in counts.items() if rule not in ("all", "total")}


def planned_suites(
    names: Sequence[str], data_root: str | os.PathLike[str], config: Sequence[str] = ()
) -> list[tuple[Plan, dict[str, int]]]:
    """The plan of each of these suites, and how many jobs of each rule are left for it.

    data_root: the folder of downloads. config: KEY=VALUE of config.yaml. Raises InputError, with file, entry and key,
    for the first error.
    """
    from genbench.suites.cost_table import preflight_files  # imports much that a run does not need

    paths = {name: str(find_suite(name)) for name in names}
    given = overrides_of(config)
    plans = {name: list(preflight_files([path], changes(given), data_root=data_root)) for name, path in paths.items()}
    config = [f"data_root={os.fspath(data_root)}", *config]  # only suites of images have plans
    return [(plan, planned_jobs([name], config)) for name, found in plans.items() for plan in found]


def changes(given: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of config.yaml that change a suite."""
    return {key: given[key] for key in ("seeds", "num_samples", "scale", "extractors") if key in given}


def snakemake_arguments(suites: Sequence[str], config: Sequence[str], options: Sequence[str]) -> list[str]:
    """The command line of Snakemake. Defaults come first, because the last of two options with one name counts."""
    flags = {option.partition("=")[0] for option in options if option.startswith("-")}
    flags |= {option[:2] for option in options if re.match(r"-[cjeC]\w", option)}
    if found := sorted(flags & CONFIG):
        raise InputError(f"genbench run: found {found[0]} after --, expected it before: --config KEY=VALUE")
    for name in suites:
        if "=" in name and not Path(name).exists():
            raise InputError(f"genbench run: found {name!r} among the suites, expected it after --config")
        find_suite(name)
    arguments = [] if is_checkout(Path.cwd()) else ["--snakefile", str(ROOT / "Snakefile")]
    if not flags & ELSEWHERE:
        arguments += [] if flags & CORES else ["--cores", str(cores())]
        arguments += ["--resources", f"gpu={gpus}"] if (gpus := count_gpus() or int(apple_gpu())) else []
    values = [*([f"suite={json.dumps(list(suites))}"] if suites else []), *config]
    return [*arguments, *(["--config", *values] if values else []), *options]
