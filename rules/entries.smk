# Inputs and parameters that a job takes from its suite's entry: pure functions of wildcards.


def train_spec(wildcards):
    """All that a training depends on, as JSON: only changes of these keys of the entry repeat the training."""
    return json.dumps({key: entry(wildcards)[key] for key in ("model", "training")})


def train_priority(wildcards):
    """How many sample sets wait for a training: trainings with the most run first."""
    return len(entry(wildcards)["samplers"]) * len(list(checkpoints(entry(wildcards))))


def train_snapshots(wildcards):
    """The steps of snapshots, as arguments of scripts/train.py, for {params...:q}."""
    steps = sorted(entry(wildcards)["snapshots"])
    return ["--snapshots", ",".join(map(str, steps))] if steps else []


def held_out(wildcards):
    """The held-out images, if a training uses them."""
    return resource("test.npz")(wildcards) if entry(wildcards)["training"].get("validate_every") else []


def first_stage(wildcards):
    """The trained first stage of a model with two stages."""
    name = entry(wildcards).get("first_stage")
    folder = RUN.format(**{**wildcards, "model": name})
    return f"{folder}/model.safetensors" if name else []


def pretrained_file(wildcards):
    """A published checkpoint on this machine, or a function's file followed by the files that it reads; empty if the job
    downloads it."""
    given = entry(wildcards)["pretrained"]
    if "hub" in given:
        return []
    file = user_path(given["path"], f"{place(wildcards)}: pretrained")
    return [file, *given["files"]] if given["format"] == "callable" and "files" in given else file


def pretrained_source(wildcards, input):
    """The place of a published checkpoint, as arguments of scripts/import_checkpoint.py, for {params...:q}."""
    given = entry(wildcards)["pretrained"]
    if "hub" not in given:
        return [f"--in={input[0]}"]
    return [f"--hub={given['hub']}@{given['revision']}", f"--data-root={config['data_root']}"]


def pretrained_options(wildcards):
    """The options of a checkpoint's format, as JSON, followed by --hand-in for a hand-in."""
    options = json.dumps(format_options(entry(wildcards)["pretrained"]))
    return [options, "--hand-in"] if HAND_IN in entry(wildcards) else options


def given_file(wildcards):
    """Samples that were drawn elsewhere: a file or a folder."""
    return user_path(given_entry(entry(wildcards)["samples"])["path"], f"{place(wildcards)}: samples")


def given_state(wildcards):
    """The current state of these samples' files."""
    made = f"{RUN.format(**wildcards)}/final/given/samples.npz"
    return user_files(given_entry(entry(wildcards)["samples"])["path"], made)


def pretrained_state(wildcards):
    """The current state of the files of a published checkpoint on this machine."""
    path = entry(wildcards)["pretrained"].get("path")
    return user_files(path, f"{RUN.format(**wildcards)}/model.safetensors") if path else UNSEEN


def dataset_state(wildcards):
    """The current state of the files of a user's own data set."""
    path = suite_of(wildcards)["dataset"].get("path")
    return user_files(path, f"resources/{wildcards.dataset}/train.npz") if isinstance(path, str) else UNSEEN


def given_arguments(wildcards):
    """The number of samples, followed by the entry's options as arguments of import_samples.py."""
    options = given_entry(entry(wildcards)["samples"])
    del options["path"]
    count = suite_of(wildcards)["num_samples"]
    hand_in = ["--hand-in"] if HAND_IN in entry(wildcards) else []
    hand_in += [f"--refused={reason}"] if (reason := refused(entry(wildcards))) else []
    return [count, *map(shlex.quote, [*flags(options), *hand_in])] if options or hand_in else count


def checkpoint_input(wildcards):
    """The file or folder with the weights of a checkpoint: the final model's file, or the folder of snapshots."""
    name = "model.safetensors" if wildcards.checkpoint == runs.FINAL else "snapshots"
    return f"{RUN.format(**wildcards)}/{name}"


def checkpoint_file(wildcards, input):
    """The file of a checkpoint's weights."""
    if wildcards.checkpoint == runs.FINAL:
        return input.model
    return f"{input.model}/{wildcards.checkpoint.removeprefix('step-')}.safetensors"


def averages_input(wildcards):
    """The folder of a training's averages, for a sampler with an `ema_length`."""
    asked = "ema_length" in entry(wildcards)["samplers"][wildcards.sampler]
    return f"{RUN.format(**wildcards)}/snapshots" if asked else []


def sampler_options(wildcards):
    """The options of a sampler, as JSON."""
    return sampler_argument(entry(wildcards), wildcards.sampler)


def condition_input(wildcards):
    """The split that a sampler starts from, if any. Jobs are planned from the source of a model's class; scripts/sample.py
    fails if the model itself (Model.condition) disagrees."""
    return resource("test.npz")(wildcards) if runs.needs_test_images(entry(wildcards), wildcards.sampler) else []


def timed_model(wildcards):
    """The weights with which a model's speed is measured: those of its first seed."""
    seed = seeds_of(suite_of(wildcards), entry(wildcards))[0]
    return f"{RUN.format(**wildcards, seed=seed)}/model.safetensors"


def timed_samplers(wildcards):
    """The options of all samplers of a model, as JSON by name."""
    names = entry(wildcards)["samplers"]
    return json.dumps({name: json.loads(sampler_argument(entry(wildcards), name)) for name in names})


def timed_condition(wildcards):
    """The split that a model's samplers start from, if any does."""
    starts = any(runs.needs_test_images(entry(wildcards), name) for name in entry(wildcards)["samplers"])
    return resource("test.npz")(wildcards) if starts else []


def reference_samples(wildcards):
    """The samples of the float32 network, with which those of a quantised network are compared."""
    folder = DRAW.format(**{**wildcards, "sampler": entry(wildcards)[QUANTISATION]["sampler"]})
    return f"{folder}/samples.npz"


def draws(wildcards):
    """How often a set of samples is drawn, with new seeds."""
    return runs.repeats(suite_of(wildcards), entry(wildcards), wildcards.checkpoint)


def num_samples(wildcards):
    """How many images are drawn in all repeats together."""
    return runs.num_samples(suite_of(wildcards), entry(wildcards), wildcards.checkpoint)


def extractor_weights(wildcards):
    """The file of an extractor's weights, if they are trained here."""
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


def holdout_features(wildcards):
    """The features of test images, if these are not among the training images."""
    return reference_features("test")(wildcards) if runs.has_test_images(suite_of(wildcards)) else []


def sample_features(wildcards):
    """The features of a sample set, one file for each extractor."""
    return [f"{DRAW.format(**wildcards)}/features/{name}.npz" for name in evaluation(wildcards)["extractors"]]


def metric_options(wildcards):
    """The metrics' options as JSON, followed by the user's own metrics, names of metrics to leave out, and published
    statistics, if there are any.

    This function does not use the job's input, because Snakemake ignores changes of parameters that do.
    """
    options = json.dumps(evaluation(wildcards)["options"])
    chosen = {key: evaluation(wildcards)[key] for key in ("metrics", "without") if key in evaluation(wildcards)}
    chosen["published"] = [f"{name}={path}" for name, path in published(wildcards)]
    given = [part for key, names in chosen.items() if names for part in (f"--{key}", *names)]
    return [options, *given] if given else options


def published(wildcards):
    """(extractor, path) of each file of published statistics that the suite names."""
    where = f"{FILES[suite_of(wildcards)['name']][0]}: evaluation: statistics"
    return [(name, user_path(path, where)) for name, path in evaluation(wildcards).get("statistics", {}).items()]


def published_files(wildcards):
    """These files, as inputs: a change in them repeats evaluations."""
    return [path for _, path in published(wildcards)]


def neighbours_headline(wildcards):
    """The metric in whose features neighbours are searched, as an argument of scripts/evaluate.py."""
    return [f"--headline={runs.neighbour_metric(suite_of(wildcards))}"]


def neighbours_files(wildcards, input, output):
    """The picture of nearest training images, and its images, as arguments of the same script."""
    return ["--neighbours", output.picture, "--samples", input.samples, "--train", input.train]


def objects(wildcards):
    """The suite's settings for objects in conditional samples."""
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
