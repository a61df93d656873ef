# The suites of this run, and pure functions from wildcards to paths and parameters.
import json
import os
import re
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from types import SimpleNamespace

from snakemake.exceptions import WorkflowError

from genbench import own_code
from genbench.files.downloads import existing_path
from genbench.files.hub import LOCATION_KEYS
from genbench.data.objects import labels_path
from genbench.machine.devices import count_gpus, gpu_indices
from genbench.errors import InputError
from genbench.metrics import frechet_key
from genbench.machine.provenance import git_commit
from genbench.reporting import outcome
from genbench.suites.keys import Config
from genbench.suites.families import needed
from genbench.suites.load import QUANTISATION, checkpoints, load_suites, seeds_of

try:
    config.update(Config.complete(dict(config), "config"))
    FILES = {suite["name"]: (path, suite) for path, suite in load_suites(config["suite"], config).items()}
    OWN_CODE = own_code.allowed()
except InputError as error:
    raise WorkflowError(str(error)) from None

STARTED = time.time()
REPORT = Path("results/report/index.html")
SUITE_FILES = [path for path, _ in FILES.values()]
SUITES = {name: suite for name, (_, suite) in FILES.items()}
OVERRIDES = json.dumps({key: config[key] for key in ("seeds", "num_samples")})

# Jobs inherit these: where the scripts are, and the package also in an environment in which it is not installed.
os.environ |= {
    "GENBENCH": workflow.basedir,
    "PYTHONPATH": os.pathsep.join(filter(None, [workflow.basedir, os.getenv("PYTHONPATH")])),
    "GENBENCH_JOBS_PER_GPU": str(config["jobs_per_gpu"]),
    "GENBENCH_WEIGHTS": config["weights_root"],
    own_code.VARIABLE: "\n".join(OWN_CODE),  # what they may run of the user's own files
    "GENBENCH_COMMIT": git_commit() or "",  # for jobs in a cloud, whose copy of the checkout is without its history
}

if "snakemake_storage_plugin_s3" in sys.modules:
    from snakemake_storage_plugin_s3 import StorageObject

    def is_folder(self):
        """Asked anew until there is one. The plugin (0.3.6) remembers for good that there was none before the job that
        makes it, and then misses the snapshots of a training in a cloud."""
        self._is_dir = self._is_dir or any(self.get_subkeys())
        return self._is_dir

    StorageObject.is_dir = is_folder


def elsewhere():
    """Whether jobs run on other machines than this one, which can't say whether those have GPUs: a cluster or a cloud."""
    planned = workflow.dryrun and workflow.resource_settings.nodes is not None  # --jobs: of a cluster
    return workflow.non_local_exec or workflow.remote_exec or planned


def device(wildcards):
    """What a job computes on. Elsewhere auto means a GPU: a job without one shall fail, and not take weeks on a CPU."""
    return "cuda" if config["device"] == "auto" and elsewhere() else config["device"]


def gpu(wildcards):
    """How many GPUs a job asks for: none where it will use a CPU, since gpu=1 would run such jobs one after another."""
    return int(device(wildcards) == "cuda" or (device(wildcards) == "auto" and bool(gpu_indices())))


def ranks(wildcards):
    """How many processes share a job of a model: its `gpus`, one on each, where it uses GPUs, and else its `ranks`.

    On this machine no more than it has GPUs, or --resources gpu=N lets jobs have.
    """
    if not gpu(wildcards):
        return entry(wildcards)["ranks"]
    limit = getattr(workflow.global_resources.get("gpu"), "value", None)
    limits = [] if elsewhere() else [max(1, number) for number in (count_gpus(), limit) if number is not None]
    return min([entry(wildcards)["gpus"], *limits])


def gpus(wildcards):
    """How many GPUs such a job asks for."""
    return ranks(wildcards) if gpu(wildcards) else 0


def mpi(wildcards):
    """What starts the processes of a job: nothing where it is one, which needs no MPI.

    The shell text of a rule is the same for any number of them, so that Snakemake repeats nothing when it changes.
    """
    return "mpiexec" if ranks(wildcards) > 1 else ""


def growing(first, times=lambda wildcards: 1):
    """A resource function: `first` for each process, and as much again with each further attempt at a failed job."""
    return lambda wildcards, attempt: attempt * first * times(wildcards)


def failed_jobs():
    """The jobs that failed, for the message at the end. Snakemake offers no public way to them."""
    failed = getattr(workflow.scheduler, "failed", ())
    jobs = [single for job in failed for single in (job.jobs if job.is_group() else [job])]
    return [
        outcome.FailedJob(
            job.rule.name,
            job.message.partition(" ")[2],
            [log for log in job.log if not log.is_storage],  # a job that fails in a cloud sends none
        )
        for job in jobs
        if job.message
    ]


def any_of(names):
    """A regular expression that matches exactly these names."""
    return "|".join(sorted(re.escape(str(name)) for name in names))


def models_with(key):
    """The names of the models whose entry has `key`, as a regular expression: training, pretrained or samples."""
    names = [name for suite in SUITES.values() for name, entry in suite["models"].items() if key in entry]
    return any_of(set(names)) or "(?!)"


def everywhere(names):
    """A regular expression that matches exactly the names that this function finds in the suites' models."""
    return any_of({name for suite in SUITES.values() for entry in suite["models"].values() for name in names(entry)})


@cache
def check_entries(dryrun):
    """In a dry run, for which Snakemake calls no onstart: refuse what that finds wrong with the suites' entries, as far as
    it needs no run of a model and no network. Takes seconds. As an input function's value: no files."""
    if dryrun:
        script = [sys.executable, f"{workflow.basedir}/scripts/preflight.py", "--check"]
        suites = ["--suite", *map(str, SUITE_FILES), "--overrides", OVERRIDES, f"--data-root={config['data_root']}"]
        job = subprocess.run([*script, *suites], stderr=subprocess.PIPE, text=True)
        if job.returncode:
            raise WorkflowError(job.stderr.strip())
    return []


def suite_of(wildcards):
    """The suite of a result, or one with the data set of a resource: they agree on all that it depends on."""
    check_entries(workflow.dryrun)  # every plan asks for a suite
    if hasattr(wildcards, "suite"):
        return SUITES[wildcards.suite]
    return next(suite for suite in SUITES.values() if suite["dataset"]["name"] == wildcards.dataset)


def evaluation(wildcards):
    """How a suite evaluates."""
    return suite_of(wildcards)["evaluation"]


def resource(name):
    """An input function: the file `name` of the suite's data set."""
    return lambda wildcards: f"resources/{suite_of(wildcards)['dataset']['name']}/{name}"


def flags(options):
    """Options of a script on its command line, for {params...:q}, which quotes each."""
    return [f"--{key.replace('_', '-')}={value}" for key, value in sorted(options.items())]


def user_path(path, where):
    """A file or folder that the suite names, as it stands or inside data_root."""
    try:
        return str(existing_path(path, Path(config["data_root"])))
    except InputError as error:
        raise WorkflowError(f"{where}: {error}") from None


def pretrained_file(wildcards):
    """A published checkpoint on this machine; none for what the job itself fetches."""
    given = entry(wildcards)["pretrained"]
    return [] if "hub" in given else user_path(given["path"], f"{place(wildcards)}: pretrained")


def pretrained_source(wildcards, input):
    """Where a published checkpoint is, as arguments of scripts/import_checkpoint.py, for {params...:q}."""
    given = entry(wildcards)["pretrained"]
    if "hub" not in given:
        return [f"--in={input[0]}"]
    return [f"--hub={given['hub']}@{given['revision']}", f"--data-root={config['data_root']}"]


def pretrained_options(wildcards):
    """The options of a checkpoint's format, as JSON."""
    given = entry(wildcards)["pretrained"]
    return json.dumps({key: value for key, value in given.items() if key not in ("format", *LOCATION_KEYS)})


def entry(wildcards):
    """The suite's entry of a model."""
    return SUITES[wildcards.suite]["models"][wildcards.model]


def place(wildcards):
    """Where that entry stands, for errors."""
    return f"{FILES[wildcards.suite][0]}: models: {wildcards.model}"


def train_spec(wildcards):
    """All that training depends on, as JSON: a change of it, and of nothing else in the entry, trains anew."""
    return json.dumps({key: entry(wildcards)[key] for key in ("model", "training")})


def train_priority(wildcards):
    """How many sample sets wait for a training: the one that holds up most goes first."""
    return len(entry(wildcards)["samplers"]) * len(list(checkpoints(entry(wildcards))))


def train_snapshots(wildcards):
    """The steps at which the model is kept, as arguments of scripts/train.py, for {params...:q}."""
    steps = sorted(entry(wildcards)["snapshots"])
    return ["--snapshots", ",".join(map(str, steps))] if steps else []


def held_out(wildcards):
    """The held-out images, if a training looks at them."""
    return resource("test.npz")(wildcards) if entry(wildcards)["training"].get("validate_every") else []


def first_stage(wildcards):
    """The trained first stage of a model of two."""
    name = entry(wildcards).get("first_stage")
    return f"results/{wildcards.suite}/{name}/seed{wildcards.seed}/model.safetensors" if name else []


def checkpoint_input(wildcards):
    """What holds the weights of a checkpoint: the final model's file, or the folder of snapshots."""
    folder = f"results/{wildcards.suite}/{wildcards.model}/seed{wildcards.seed}"
    return f"{folder}/model.safetensors" if wildcards.checkpoint == "final" else f"{folder}/snapshots"


def checkpoint_file(wildcards, input):
    """The file of a checkpoint's weights."""
    if wildcards.checkpoint == "final":
        return input.model
    return f"{input.model}/{wildcards.checkpoint.removeprefix('step-')}.safetensors"


def sampler_options(wildcards):
    """The options of a sampler, as JSON."""
    return json.dumps(entry(wildcards)["samplers"][wildcards.sampler])


def condition_input(wildcards):
    """The split that a sampler starts from, if it does. A job is planned without its model, which has the last word
    (Model.condition): scripts/sample.py fails where it disagrees with what its class states."""
    what = needed(entry(wildcards).get("model", {}), entry(wildcards)["samplers"][wildcards.sampler])
    return resource("test.npz")(wildcards) if what != "nothing" else []


def reference_samples(wildcards):
    """The samples of the float32 network that those of a quantised one are compared with."""
    folder = "results/{suite}/{model}/seed{seed}/{checkpoint}".format(**wildcards)
    return f"{folder}/{entry(wildcards)[QUANTISATION]['sampler']}/samples.npz"


def draws(wildcards):
    """How often a set of images is drawn with other seeds: of final models alone."""
    return suite_of(wildcards)["draws"] if wildcards.checkpoint == "final" and "samples" not in entry(wildcards) else 1


def num_samples(wildcards):
    """How many images are drawn, all draws together: fewer at snapshots, if the suite says so."""
    key = "num_samples" if wildcards.checkpoint == "final" else "snapshot_samples"
    return draws(wildcards) * suite_of(wildcards)[key]


def extractor_weights(wildcards):
    """The file of weights that an extractor needs, if it is made here."""
    made = {"classifier": "classifier.safetensors", "objects": "object_classifier.safetensors"}
    return resource(made[wildcards.extractor])(wildcards) if wildcards.extractor in made else []


def extractor_argument(wildcards, input):
    """NAME or NAME:PATH for scripts/extract_features.py."""
    return f"{wildcards.extractor}:{input.weights}" if input.weights else wildcards.extractor


def reference_features(split):
    """An input function: the features of a split of the data set, one file for each extractor."""
    return lambda wildcards: [
        resource(f"features/{split}-{extractor}.npz")(wildcards) for extractor in evaluation(wildcards)["extractors"]
    ]


def has_holdout(suite):
    """Whether test images are other images than the training's (not in cub with split: all)."""
    return suite["dataset"].get("split") != "all"


def holdout_features(wildcards):
    """The features of test images, where these are not among the training images."""
    return reference_features("test")(wildcards) if has_holdout(suite_of(wildcards)) else []


def sample_features(wildcards):
    """The features of a sample set, one file for each extractor."""
    folder = "results/{suite}/{model}/seed{seed}/{checkpoint}/{sampler}/features".format(**wildcards)
    return [f"{folder}/{extractor}.npz" for extractor in evaluation(wildcards)["extractors"]]


def own_metrics(wildcards):
    """Metrics of the user's own, as arguments of scripts/evaluate.py, for {params...:q}."""
    return ["--metrics", *evaluation(wildcards)["metrics"]] if "metrics" in evaluation(wildcards) else []


def holdout_arguments(wildcards, input):
    """The features of test images, and metrics of the user's own, as arguments of scripts/evaluate.py."""
    return (["--holdout", *input.holdout] if input.holdout else []) + own_metrics(wildcards)


def real_options(wildcards):
    """The metrics' options for the real images, as JSON; and after these metrics of the user's own."""
    options, own = json.dumps(evaluation(wildcards)["options"]), own_metrics(wildcards)
    return [options, *own] if own else options


def neighbour_metric(wildcards):
    """The metric in whose features neighbours are looked for: the headline, if its key surely names features."""
    headline, extractors = evaluation(wildcards)["headline"], evaluation(wildcards)["extractors"]
    named = not headline.startswith("object_accuracy") and not own_metrics(wildcards)
    return headline if named else frechet_key(extractors[0])


def objects(wildcards):
    """How the objects of conditional samples are looked for."""
    return evaluation(wildcards)["objects"]


def object_labels(wildcards):
    """A file of label sets."""
    try:
        return str(labels_path(objects(wildcards)["labels"][wildcards.labels], Path(config["data_root"])))
    except InputError as error:
        raise WorkflowError(f"{FILES[wildcards.suite][0]}: evaluation: objects: {error}") from None


def object_evaluator(wildcards):
    """The classifier of objects: the course's, or the data set's own."""
    given = objects(wildcards).get("evaluator")
    where = f"{FILES[wildcards.suite][0]}: evaluation: objects: evaluator"
    return user_path(given, where) if given else resource("object_classifier.safetensors")(wildcards)


def shown_labels(wildcards):
    """The label sets that pictures show, as an argument of scripts/draw_picture.py."""
    shown = evaluation(wildcards).get("objects", {}).get("shown")
    return ["--labels", json.dumps(shown)] if shown else []


def runs(suite, *kinds):
    """The folder and the entry of every training of a suite, and of entries of other kinds: pretrained, samples."""
    return [
        (f"results/{suite['name']}/{model}/seed{seed}", entry)
        for model, entry in suite["models"].items()
        for seed in seeds_of(suite, entry)
        if any(kind in entry for kind in kinds)
    ]


def trainings(name, *kinds):
    """An input function: the file `name` of every run."""
    return lambda wildcards: [f"{folder}/{name}" for folder, _ in runs(suite_of(wildcards), *kinds)]


def sample_sets(name):
    """An input function: the file `name` of every sample set of the suite."""
    return lambda wildcards: [
        f"{folder}/{checkpoint}/{sampler}/{name}"
        for folder, entry in runs(suite_of(wildcards), "training", "pretrained", "samples")
        for checkpoint in checkpoints(entry)
        for sampler in entry["samplers"]
    ]


def every_metric(wildcards):
    """The metrics of every sample set of every suite."""
    return [path for suite in SUITES for path in sample_sets("metrics.json")(SimpleNamespace(suite=suite))]


def paired(wildcards):
    """The comparison of every sample set of a quantised network with that of the network in float32."""
    return [
        f"{folder}/{checkpoint}/{sampler}/paired.json"
        for folder, entry in runs(suite_of(wildcards), "training", "pretrained")
        for checkpoint in checkpoints(entry)
        for sampler, options in entry["samplers"].items()
        if QUANTISATION in options
    ]


def neighbours(wildcards):
    """The pictures of nearest training images, of every final sample set, where there are test images to compare with."""
    wanted = evaluation(wildcards)["options"].get("neighbours", 1)
    found = sample_sets("neighbours.png")(wildcards) if wanted and has_holdout(suite_of(wildcards)) else []
    return [path for path in found if "/final/" in path]


def object_results(wildcards):
    """The accuracy of objects, of every sample set of a model that is told what to show, for every file of labels."""
    return [
        f"{folder}/{checkpoint}/{sampler}/objects/{labels}.json"
        for folder, entry in runs(suite_of(wildcards), "training")
        for checkpoint in checkpoints(entry)
        for sampler, options in entry["samplers"].items()
        if needed(entry["model"], options) == "labels"
        for labels in evaluation(wildcards).get("objects", {}).get("labels", ())
    ]


def pictures(wildcards):
    """Every picture that a model of the suite draws of itself."""
    found = runs(suite_of(wildcards), "training", "pretrained")
    return [f"{folder}/final/pictures/{picture}.png" for folder, entry in found for picture in entry["pictures"]]


def likelihoods(wildcards):
    """The likelihood of every model whose entry asks for it."""
    found = runs(suite_of(wildcards), "training", "pretrained")
    return [f"{folder}/final/likelihood.json" for folder, entry in found if "likelihood" in entry]
