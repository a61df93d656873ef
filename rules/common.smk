# The suites of this run, and how rules look into them. What a suite makes, and where that lies, is in genbench/suites/runs.py.
# Shell texts keep some flags' older names (--data, --held-out): Snakemake makes again whatever a changed text has made.
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
from genbench.files.roots import link
from genbench.data.given import given_entry
from genbench.data.objects import labels_path
from genbench.machine.checkout import is_checkout
from genbench.machine.devices import apple_gpu, count_gpus, gpu_indices
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

STORED = bool(workflow.storage_settings.default_storage_prefix)  # files are elsewhere, but for those of genbench
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
except InputError as error:  # in one line, as preflight: an exception would put Snakemake's own frames around it
    sys.exit(f"error: {error}")

# What a job's message says of it: its run or draw, as in its paths.
OF_RUN, OF_DRAW = (re.sub(r"{(\w+)}", r"{wildcards.\1}", path.removeprefix("results/")) for path in (RUN, DRAW))
# Where the scripts are: beside the Snakefile of genbench, which may be a module of another workflow.
CHECKOUT = os.path.dirname(workflow.current_basedir.get_path_or_uri(secret_free=True))
if not os.path.isdir(CHECKOUT):
    raise WorkflowError(
        f"module: found the Snakefile at {CHECKOUT}, expected it in a checkout of genbench on this machine"
    )
INSTALLED = not is_checkout(Path(CHECKOUT))  # inside the package, as in a wheel
if INSTALLED and workflow.deployment_settings.deployment_method:
    sys.exit(
        "error: --sdm: found an installed genbench, expected a checkout, from which other environments take the package"
    )
STARTED = time.time()
REPORT = Path("results/report/index.html")
SUITE_FILES = [path for path, _ in FILES.values()]
SUITES = {name: suite for name, (_, suite) in FILES.items() if "kind" not in suite}  # those of images
OVERRIDES = json.dumps({key: config[key] for key in ("seeds", "num_samples", "scale", "extractors")})


def first(folder, variable):
    """The value of a variable of the environment that lists folders, this one before all others."""
    others = os.getenv(variable, "").split(os.pathsep)
    return os.pathsep.join([folder, *(other for other in others if other and other != folder)])


# Jobs inherit these: where the scripts are, the package also in an environment in which it is not installed, and as their
# `python` the one that runs Snakemake, whose environment does not have to be activated. Those of conda and containers come before.
os.environ |= {
    "GENBENCH": CHECKOUT,
    **({} if INSTALLED else {"PYTHONPATH": first(CHECKOUT, "PYTHONPATH")}),
    "PATH": first(os.path.dirname(sys.executable), "PATH"),
    "GENBENCH_JOBS_PER_GPU": str(config["jobs_per_gpu"]),
    "GENBENCH_WEIGHTS": config["weights_root"],
    **({"GENBENCH_SCRATCH": config["scratch"]} if config["scratch"] else {}),
    tracking.VARIABLE: ",".join(TRACKERS),  # and no parameter: nothing is made again for it
    "TORCHINDUCTOR_CACHE_DIR": os.getenv("TORCHINDUCTOR_CACHE_DIR", "results/.compiled"),  # of compiled networks
    own_code.VARIABLE: "\n".join(OWN_CODE),  # what they may run of the user's own files
    "GENBENCH_COMMIT": git_commit() or "",  # for jobs in a cloud, whose copy of the checkout is without its history
}


def any_of(names):
    """A regular expression that matches exactly these names; without any, nothing."""
    return "|".join(sorted(re.escape(str(name)) for name in names)) or "(?!)"


def models_with(key):
    """The names of the models whose entry has `key`, as a regular expression: training, pretrained or samples."""
    names = [name for suite in SUITES.values() for name, entry in suite["models"].items() if key in entry]
    return any_of(set(names))


def everywhere(names):
    """A regular expression that matches exactly the names that this function finds in the suites' models."""
    return any_of({name for suite in SUITES.values() for entry in suite["models"].values() for name in names(entry)})


def preflight(*options):
    """Check every entry of every suite. What is wrong is said in one line, with which the run ends: an exception would put
    Snakemake's own frames around it."""
    script = [sys.executable, f"{CHECKOUT}/scripts/preflight.py", *options]
    suites = ["--suite", *map(str, SUITE_FILES), "--overrides", OVERRIDES, f"--data-root={config['data_root']}"]
    suites += [f"--device={config['device']}", *(["--elsewhere", where] if (where := other_machines()) else [])]
    if subprocess.run([*script, *suites]).returncode:
        sys.exit(1)


@cache
def check_entries(dryrun):
    """In a dry run, for which Snakemake calls no onstart: refuse what that finds wrong with the suites' entries, as far as
    it needs no run of a model and no network. Takes seconds where something has changed since the last check of any kind.
    As an input function's value: no files."""
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
    """Refuse suites whose published files are not there: in one line that has all of them, before a rule asks for one."""
    try:
        for name, suite in SUITES.items():
            with errors.place(FILES[name][0]):
                check_files(suite, Path(config["data_root"]))
    except InputError as error:
        sys.exit(f"error: {error}")


def other_machines():
    """What is on other machines, as in the option --elsewhere of scripts/preflight.py: all files, the jobs, or nothing."""
    return "files" if workflow.storage_settings.default_storage_prefix else "jobs" if elsewhere() else ""


def suite_of(wildcards):
    """The suite of a result, or one with the data set of a resource: they agree on all that it depends on."""
    check_given_files()  # every plan asks for a suite
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
    """Options of a script on its command line, for {params...:q}, which quotes each."""
    return [f"--{key.replace('_', '-')}={value}" for key, value in sorted(options.items())]


def user_path(path, where):
    """A file or folder that the suite names, as it stands or inside data_root."""
    try:
        return str(existing_path(path, Path(config["data_root"])))
    except InputError as error:
        raise WorkflowError(f"{where}: {error}") from None


def entry(wildcards):
    """The suite's entry of a model."""
    return SUITES[wildcards.suite]["models"][wildcards.model]


def place(wildcards):
    """Where that entry stands, for errors."""
    return f"{FILES[wildcards.suite][0]}: models: {wildcards.model}"


def of_suite(files, *arguments):
    """An input function: what a function of genbench/suites/runs.py lists for the suite."""
    return lambda wildcards: files(suite_of(wildcards), *arguments)


def every_result(wildcards):
    """All that the reports of all suites are made from, but for what is said of the real images."""
    return [path for suite in SUITES.values() for path in runs.results(suite)]


def report_so_far():
    """The first page over what a run has made whose jobs failed; None where there is nothing yet to report, or elsewhere."""
    if workflow.storage_settings.default_storage_prefix:
        return None
    from genbench.reporting.language import publish_language  # which takes seconds
    from genbench.reporting.publish import publish_unfinished

    results, folders = Path("results"), (REPORT.parent, Path(CHECKOUT) / "report")
    sources = {name: [Path(path) for path in runs.results(suite)] for name, suite in SUITES.items()}
    sources |= {name: [Path(path) for path in language_results(suite)] for name, suite in LANGUAGE.items()}
    others = {name: partial(publish_language, suite, results / name, *folders) for name, suite in LANGUAGE.items()}
    return publish_unfinished(sources, results, *folders, others)
