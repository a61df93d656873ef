# The suites of this run, and functions with which rules read them. genbench/suites/runs.py lists the files of a suite.
# Shell commands keep the old names of some flags (--data, --held-out), because Snakemake repeats jobs whose command changes.
import json
import os
import re
import shlex
import subprocess
import sys
import time
from functools import cache, partial
from pathlib import Path

from snakemake.exceptions import WorkflowError

from genbench import errors, own_code, tracking
from genbench.files.downloads import existing_path
from genbench.files.hub import format_options
from genbench.files.locks import begin_run
from genbench.files.roots import link
from genbench.data.given import given_entry
from genbench.data.objects import labels_path
from genbench.machine.checkout import is_checkout
from genbench.machine.devices import apple_gpu, count_gpus
from genbench.errors import InputError
from genbench.machine.provenance import git_commit
from genbench.references.files import references
from genbench.suites import runs
from genbench.suites.checked import Checked
from genbench.suites.figures import check_files
from genbench.suites.config import Config
from genbench.suites.completion import QUANTISATION
from genbench.suites.load import checkpoints, load_suites, sampler_argument, seeds_of
from genbench.suites.needs import check_folders, shortages
from genbench.suites.runs import DRAW, RUN, SPEED
from genbench.suites.submissions import HAND_IN, refused

STORED = bool(workflow.storage_settings.default_storage_prefix)  # all files except genbench's are in remote storage
try:
    config.update(Config.from_snakemake(config))
    for name in ("results", "resources"):
        link(name, config[f"{name}_root"])
    if not STORED:
        check_folders("results", "resources")
    FILES = {suite["name"]: (path, suite) for path, suite in load_suites(config["suite"], config).items()}
    REFERENCES = {name: references(name, config["reference"], STORED) for name in FILES}
    OWN_CODE = own_code.allowed()
    TRACKERS = tracking.check_trackers([config["track"]] if isinstance(config["track"], str) else config["track"] or [])
except InputError as error:  # in one line, like preflight: Snakemake would add its own frames to an exception
    sys.exit(f"error: {error}")

# The run or draw in a job's message, as in its paths.
OF_RUN, OF_DRAW = (re.sub(r"{(\w+)}", r"{wildcards.\1}", path.removeprefix("results/")) for path in (RUN, DRAW))
# The folder of scripts/, beside the Snakefile of genbench, which may be a module of another workflow.
CHECKOUT = os.path.dirname(workflow.current_basedir.get_path_or_uri(secret_free=True))
if not os.path.isdir(CHECKOUT):
    raise WorkflowError(
        f"module: found the Snakefile at {CHECKOUT}, expected it in a checkout of genbench on this machine"
    )
INSTALLED = not is_checkout(Path(CHECKOUT))  # inside the installed package
if INSTALLED and workflow.deployment_settings.deployment_method:
    sys.exit(
        "error: --sdm: found an installed genbench, expected a checkout, from which other environments take the package"
    )
STARTED = time.time()
if workflow.is_main_process and begin_run(Path(".snakemake"), forget="--unlock" in sys.argv):
    print("The last run here was killed: its lock is removed.", file=sys.stderr)
REPORT = Path("results/report/index.html")
SUITE_FILES = [path for path, _ in FILES.values()]
SUITES = {name: suite for name, (_, suite) in FILES.items() if "kind" not in suite}  # suites of images
OVERRIDES = json.dumps({key: config[key] for key in ("seeds", "num_samples", "scale", "extractors")})


def first(folder, variable):
    """The value of an environment variable that lists folders, with this folder first."""
    others = os.getenv(variable, "").split(os.pathsep)
    return os.pathsep.join([folder, *(other for other in others if other and other != folder)])


# Jobs inherit these variables: the folder of scripts/, the package for environments in which it is not installed, and the
# `python` that runs Snakemake, so that its environment does not have to be activated. Conda and containers come first.
os.environ |= {
    "GENBENCH": CHECKOUT,
    **({} if INSTALLED else {"PYTHONPATH": first(CHECKOUT, "PYTHONPATH")}),
    "PATH": first(os.path.dirname(sys.executable), "PATH"),
    "GENBENCH_JOBS_PER_GPU": str(config["jobs_per_gpu"]),
    "GENBENCH_WEIGHTS": config["weights_root"],
    **({"GENBENCH_SCRATCH": config["scratch"]} if config["scratch"] else {}),
    tracking.VARIABLE: ",".join(TRACKERS),  # not a parameter, so that a change repeats no job
    "TORCHINDUCTOR_CACHE_DIR": os.getenv("TORCHINDUCTOR_CACHE_DIR", "results/.compiled"),  # compiled networks
    own_code.VARIABLE: "\n".join(OWN_CODE),  # the user's own code that jobs may run
    "GENBENCH_COMMIT": git_commit() or "",  # for jobs in a cloud, whose copy of the checkout has no history
}


def any_of(names):
    """A regular expression that matches exactly these names; without names, it matches nothing."""
    return "|".join(sorted(re.escape(str(name)) for name in names)) or "(?!)"


def models_with(key):
    """The names of the models whose entry has `key`, as a regular expression: training, pretrained or samples."""
    names = [name for suite in SUITES.values() for name, entry in suite["models"].items() if key in entry]
    return any_of(set(names))


def everywhere(names):
    """A regular expression that matches exactly the names that this function finds in the suites' models."""
    return any_of({name for suite in SUITES.values() for entry in suite["models"].values() for name in names(entry)})


def preflight(*options):
    """Check every entry of every suite. An error is printed in one line and ends the run; to an exception, Snakemake
    would add its own frames."""
    script = [sys.executable, f"{CHECKOUT}/scripts/preflight.py", *options]
    suites = ["--suite", *map(str, SUITE_FILES), "--overrides", OVERRIDES, f"--data-root={config['data_root']}"]
    suites += [f"--device={config['device']}", *(["--elsewhere", where] if (where := other_machines()) else [])]
    if subprocess.run([*script, *suites]).returncode:
        sys.exit(1)


@cache
def check_entries(dryrun):
    """Check the suites' entries in a dry run, for which Snakemake does not call onstart, without running models or using the
    network. Takes seconds if something has changed since the last check. Returns no files, as an input function."""
    if dryrun:
        found = {FILES[name][0]: Checked(suite, config["data_root"]) for name, suite in SUITES.items()}
        if len(found) < len(FILES) or not all(checked.holds() for checked in found.values()):
            preflight("--check")
            return []
        for path, checked in found.items():
            for line in shortages(checked.suite, checked.facts, device=config["device"], elsewhere=other_machines()):
                print(f"{path}: {line}", file=sys.stderr)
    return []


@cache
def check_given_files():
    """End with one line that lists all missing published files of a suite, before a rule needs one of them."""
    try:
        for name, suite in SUITES.items():
            with errors.place(FILES[name][0]):
                check_files(suite, Path(config["data_root"]))
    except InputError as error:
        sys.exit(f"error: {error}")


def other_machines():
    """What is on other machines, for the option --elsewhere of scripts/preflight.py: "files", "jobs" or nothing."""
    return "files" if workflow.storage_settings.default_storage_prefix else "jobs" if elsewhere() else ""


def suite_of(wildcards):
    """The suite of a result, or any suite with the data set of a resource: these agree on all that it depends on."""
    check_given_files()  # here, because every plan calls this function
    check_entries(workflow.dryrun)
    if hasattr(wildcards, "suite"):
        return SUITES[wildcards.suite]
    return next(suite for suite in SUITES.values() if suite["dataset"]["name"] == wildcards.dataset)


def evaluation(wildcards):
    """How a suite evaluates."""
    return suite_of(wildcards)["evaluation"]


def resource(name):
    """An input function: the file `name` of the suite's data set."""
    return lambda wildcards: f"resources/{suite_of(wildcards)['dataset']['name']}/{name}"


def reference_of(wildcards):
    """The record that a page compares its results with, if there is one."""
    return REFERENCES[wildcards.suite]


def flags(options):
    """A script's options as command-line arguments, for {params...:q}, which quotes each."""
    return [f"--{key.replace('_', '-')}={value}" for key, value in sorted(options.items())]


def user_path(path, where):
    """A file or folder that the suite names, at its path as given or inside data_root."""
    try:
        return str(existing_path(path, Path(config["data_root"])))
    except InputError as error:
        raise WorkflowError(f"{where}: {error}") from None


def entry(wildcards):
    """The suite's entry of a model."""
    return SUITES[wildcards.suite]["models"][wildcards.model]


def place(wildcards):
    """The place of that entry, for errors."""
    return f"{FILES[wildcards.suite][0]}: models: {wildcards.model}"


def of_suite(files, *arguments):
    """An input function: what a function of genbench/suites/runs.py lists for the suite."""
    return lambda wildcards: files(suite_of(wildcards), *arguments)


def every_result(wildcards):
    """All inputs of the reports of all suites, except those about real images."""
    return [path for suite in SUITES.values() for path in runs.results(suite)]


def report_so_far():
    """Write reports on the finished results of a run whose jobs failed, and return the first page; None without any, or if
    files are in remote storage."""
    if workflow.storage_settings.default_storage_prefix:
        return None
    from genbench.reporting.language import publish_language  # a slow import
    from genbench.reporting.publish import publish_unfinished

    results, folders = Path("results"), (REPORT.parent, Path(CHECKOUT) / "report")
    sources = {name: [Path(path) for path in runs.results(suite)] for name, suite in SUITES.items()}
    sources |= {name: [Path(path) for path in language_results(suite)] for name, suite in LANGUAGE.items()}
    others = {name: partial(publish_language, suite, results / name, *folders) for name, suite in LANGUAGE.items()}
    return publish_unfinished(sources, results, *folders, others)
