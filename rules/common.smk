# The suite, and pure functions from wildcards to paths and parameters.
import json
import os
import re
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from genbench.data.downloads import existing_path
from genbench.data.hub import LOCATION_KEYS
from genbench.devices import gpu_indices
from genbench.errors import InputError
from genbench.suites import check, checkpoints, find_suite, load_suite, seeds_of

try:
    config.update(check(dict(config), "config", "config"))
    SUITE_FILE = find_suite(config["suite"])
    SUITE = load_suite(SUITE_FILE, config)
except InputError as error:
    raise WorkflowError(str(error)) from None

OVERRIDES = json.dumps({key: SUITE[key] for key in ("seeds", "num_samples")})
PREFLIGHT = f"results/{SUITE['name']}/preflight.json"
DATASET = SUITE["dataset"]["name"]
DEVICE = config["device"]
# A GPU is asked for only where one will be used: otherwise gpu=1 would run CPU jobs one after another.
GPU = 1 if DEVICE == "cuda" or (DEVICE == "auto" and gpu_indices()) else 0

# Jobs inherit these: where the scripts are, and the package also in an environment in which it is not installed.
os.environ |= {
    "GENBENCH": workflow.basedir,
    "PYTHONPATH": os.pathsep.join(filter(None, [workflow.basedir, os.getenv("PYTHONPATH")])),
    "GENBENCH_JOBS_PER_GPU": str(config["jobs_per_gpu"]),
    "GENBENCH_WEIGHTS": config["weights_root"],
}


def any_of(names):
    """A regular expression that matches exactly these names."""
    return "|".join(sorted(re.escape(str(name)) for name in names))


def models_with(key):
    """The names of the models whose entry has `key`, as a regular expression: training, pretrained or samples."""
    return any_of(name for name, entry in SUITE["models"].items() if key in entry) or "(?!)"


def user_path(path, where):
    """A file or folder that the suite names, as it stands or inside data_root."""
    try:
        return str(existing_path(path, Path(config["data_root"])))
    except InputError as error:
        raise WorkflowError(f"{SUITE_FILE}: models: {where}: {error}") from None


def pretrained_file(wildcards):
    """A published checkpoint on this machine; none for what the job itself fetches."""
    given = entry(wildcards)["pretrained"]
    return [] if "hub" in given else user_path(given["path"], f"{wildcards.model}: pretrained")


def pretrained_source(wildcards, input):
    """Where a published checkpoint is, as arguments of scripts/import_checkpoint.py."""
    given = entry(wildcards)["pretrained"]
    if "hub" not in given:
        return f"--in {shlex.quote(str(input))}"
    hub = shlex.quote(f"{given['hub']}@{given['revision']}")
    return f"--hub {hub} --data-root {shlex.quote(config['data_root'])}"


def pretrained_options(wildcards):
    """The options of a checkpoint's format, as JSON."""
    given = entry(wildcards)["pretrained"]
    return json.dumps({key: value for key, value in given.items() if key not in ("format", *LOCATION_KEYS)})


def entry(wildcards):
    """The suite's entry of a model."""
    return SUITE["models"][wildcards.model]


def train_spec(wildcards):
    """All that training depends on, as JSON: a change of it, and of nothing else in the entry, trains anew."""
    return json.dumps({key: entry(wildcards)[key] for key in ("model", "training")})


def train_priority(wildcards):
    """How many sample sets wait for a training: the one that holds up most goes first."""
    return len(entry(wildcards)["samplers"]) * len(list(checkpoints(entry(wildcards))))


def train_snapshots(wildcards):
    """The steps at which the model is kept, comma-separated."""
    return ",".join(map(str, sorted(entry(wildcards)["snapshots"])))


def held_out(wildcards):
    """The held-out images, if a training looks at them."""
    return f"resources/{DATASET}/test.npz" if entry(wildcards)["training"].get("validate_every") else []


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
    (Model.condition), so the name of the mode must tell: scripts/sample.py fails where the two disagree."""
    given = entry(wildcards)["samplers"][wildcards.sampler]
    return f"resources/{DATASET}/test.npz" if given.get("mode") == "reconstruct" else []


def draws(wildcards):
    """How often a set of images is drawn with other seeds: of final models alone."""
    return SUITE["draws"] if wildcards.checkpoint == "final" and "samples" not in entry(wildcards) else 1


def num_samples(wildcards):
    """How many images are drawn, all draws together: fewer at snapshots, if the suite says so."""
    return draws(wildcards) * SUITE["num_samples" if wildcards.checkpoint == "final" else "snapshot_samples"]


def extractor_weights(wildcards):
    """The file of weights that an extractor needs, if it is made here."""
    return f"resources/{DATASET}/classifier.safetensors" if wildcards.extractor == "classifier" else []


def extractor_argument(wildcards, input):
    """NAME or NAME:PATH for scripts/extract_features.py."""
    return f"{wildcards.extractor}:{input.weights}" if input.weights else wildcards.extractor


def reference_features(split):
    """The features of a split of the data set, one file for each extractor."""
    return expand(
        "resources/{dataset}/features/{split}-{extractor}.npz",
        dataset=DATASET,
        split=split,
        extractor=SUITE["evaluation"]["extractors"],
    )


def holdout_features(wildcards):
    """The features of test images, unless these are among the training images (cub with split: all)."""
    return [] if SUITE["dataset"].get("split") == "all" else reference_features("test")


def sample_features(wildcards):
    """The features of a sample set, one file for each extractor."""
    folder = "results/{suite}/{model}/seed{seed}/{checkpoint}/{sampler}/features".format(**wildcards)
    return [f"{folder}/{extractor}.npz" for extractor in SUITE["evaluation"]["extractors"]]


def trainings(name, *kinds):
    """The file `name` of every training of the suite, or of the entries of other kinds: pretrained, samples."""
    return [
        f"results/{SUITE['name']}/{model}/seed{seed}/{name}"
        for model, entry in SUITE["models"].items()
        for seed in seeds_of(SUITE, entry)
        if any(kind in entry for kind in kinds or ("training",))
    ]


def sample_sets(name):
    """The file `name` of every sample set of the suite."""
    return [
        f"results/{SUITE['name']}/{model}/seed{seed}/{checkpoint}/{sampler}/{name}"
        for model, entry in SUITE["models"].items()
        for seed in seeds_of(SUITE, entry)
        for checkpoint in checkpoints(entry)
        for sampler in entry["samplers"]
    ]


def neighbours():
    """The pictures of nearest training images, of every final sample set, where there are test images to compare with."""
    wanted = holdout_features(None) and SUITE["evaluation"]["options"].get("neighbours", 1)
    return [path for path in sample_sets("neighbours.png") if "/final/" in path] if wanted else []


def pictures():
    """Every picture that a model of the suite draws of itself."""
    return [
        f"results/{SUITE['name']}/{model}/seed{seed}/final/pictures/{picture}.png"
        for model, entry in SUITE["models"].items()
        for seed in seeds_of(SUITE, entry)
        for picture in entry["pictures"]
    ]


def likelihoods():
    """The likelihood of every model whose entry asks for it."""
    return [
        f"results/{SUITE['name']}/{model}/seed{seed}/final/likelihood.json"
        for model, entry in SUITE["models"].items()
        for seed in seeds_of(SUITE, entry)
        if "likelihood" in entry
    ]
