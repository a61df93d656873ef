"""The files of a complete suite: of its runs (a model, a seed) and of their draws (a checkpoint, a sampler).

The rules take their lists of files from here. Only the source of a model's class is read; torch is not imported.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from genbench.metrics import frechet_key
from genbench.suites.completion import QUANTISATION
from genbench.suites.families import model_of, needed
from genbench.suites.load import ONLY, checkpoints, is_asked, patterns, seeds_of

RUN = "results/{suite}/{model}/seed{seed}"
DRAW = f"{RUN}/{{checkpoint}}/{{sampler}}"
SPEED = "results/{suite}/{model}/speed.json"
LARGE = 10e9  # bytes: from this total on, the features of a suite's samples are deleted
FINAL = "final"  # the checkpoint at a training's end; the others are step-N

Suite = Mapping[str, Any]
Entry = Mapping[str, Any]


class Draw(NamedTuple):
    """A set of samples: its folder, the checkpoint and the sampler that it comes from, and the model's entry."""

    folder: str
    checkpoint: str
    sampler: str
    entry: Entry


def runs(suite: Suite, *kinds: str) -> Iterator[tuple[str, Entry]]:
    """The folder and the entry of every run whose entry is of one of these kinds: training, pretrained, samples. With
    `only` in the config, just the runs that it names."""
    for model, entry in suite["models"].items():
        for seed in seeds_of(suite, entry):
            if any(kind in entry for kind in kinds) and is_part(suite, model, seed):
                yield RUN.format(suite=suite["name"], model=model, seed=seed), entry


def is_part(suite: Suite, model: str, seed: int) -> bool:
    """Whether a run is in the part of the suite that `only` names."""
    return ONLY not in suite or is_asked(patterns(suite[ONLY]), f"{model}/seed{seed}")


def draws(suite: Suite, *kinds: str) -> Iterator[Draw]:
    """Every draw of the runs of these kinds; of all runs if no kind is named."""
    for folder, entry in runs(suite, *(kinds or ("training", "pretrained", "samples"))):
        for checkpoint in checkpoints(entry):
            for sampler in entry["samplers"]:
                yield Draw(f"{folder}/{checkpoint}/{sampler}", checkpoint, sampler, entry)


def has_test_images(suite: Suite) -> bool:
    """Whether test images differ from the training images (not in cub with split: all)."""
    return bool(suite["dataset"].get("split") != "all") and has_row_of_real(suite)


def has_row_of_real(suite: Suite) -> bool:
    """Whether held-out real images exist, which are not in the reference and can be judged like samples."""
    dataset = suite["dataset"]
    return dataset["source"] != "folder" or dataset.get("test_fraction") != 0


def needs_test_images(entry: Entry, sampler: str) -> bool:
    """Whether this sampler starts from images or labels of the test split, according to the model's source."""
    return needed(model_of(entry), entry["samplers"][sampler]) != "nothing"


def repeats(suite: Suite, entry: Entry, checkpoint: str) -> int:
    """How often a set of samples is drawn, with new seeds: the suite's `draws` for final models, and otherwise once."""
    return int(suite["draws"]) if checkpoint == FINAL and "samples" not in entry else 1


def num_samples(suite: Suite, entry: Entry, checkpoint: str) -> int:
    """How many images are drawn in all repeats together; the suite may ask for fewer at snapshots."""
    key = "num_samples" if checkpoint == FINAL else "snapshot_samples"
    return repeats(suite, entry, checkpoint) * int(suite[key])


def neighbour_metric(suite: Suite) -> str:
    """The metric in whose features neighbours are searched: the headline, if its key is known to name features."""
    evaluation = suite["evaluation"]
    if evaluation["headline"] == "class_accuracy":
        return frechet_key("classifier")
    named = not evaluation["headline"].startswith("object_accuracy") and not evaluation.get("metrics")
    headline = str(evaluation["headline"]).removeprefix("class_")  # class_fd_clean becomes fd_clean
    return headline if named else frechet_key(evaluation["extractors"][0])


# --- Files of a suite's report ----------------------------------------------------------------------------------------


def keeps_features(suite: Suite, asked: bool | None) -> bool:
    """Whether to keep the features of samples once metrics are computed: as asked, or if their total is below LARGE."""
    if asked is not None:
        return asked
    from genbench.features import EXTRACTORS

    values = sum(EXTRACTORS[name].dim for name in suite["evaluation"]["extractors"] if name in EXTRACTORS)
    images = sum(num_samples(suite, draw.entry, draw.checkpoint) for draw in draws(suite))
    return 4 * values * images < LARGE


def run_files(suite: Suite, name: str, *kinds: str) -> list[str]:
    """The file `name` of every run of these kinds."""
    return [f"{folder}/{name}" for folder, _ in runs(suite, *kinds)]


def speeds(suite: Suite) -> list[str]:
    """The speed record of every model, measured with its first seed; the networks of other seeds are equally fast."""
    models = [
        model
        for model, entry in suite["models"].items()
        if "samples" not in entry and is_part(suite, model, seeds_of(suite, entry)[0])
    ]
    return [SPEED.format(suite=suite["name"], model=model) for model in models]


def draw_files(suite: Suite, name: str) -> list[str]:
    """The file `name` of every draw."""
    return [f"{draw.folder}/{name}" for draw in draws(suite)]


def real_metrics(suite: Suite) -> list[str]:
    """The metrics of real test images, the table's row of real images."""
    return [f"results/{suite['name']}/real/metrics.json"] if has_row_of_real(suite) else []


def real_statistics(suite: Suite) -> list[str]:
    """The parts of metrics that depend only on real images, made together with `real_metrics`."""
    return [f"results/{suite['name']}/real/statistics.npz"] if has_row_of_real(suite) else []


def paired(suite: Suite) -> list[str]:
    """The comparison of every draw of a quantised network with the draw of the float32 network."""
    found = draws(suite, "training", "pretrained")
    return [f"{draw.folder}/paired.json" for draw in found if QUANTISATION in draw.entry["samplers"][draw.sampler]]


def neighbours(suite: Suite) -> list[str]:
    """The picture of nearest training images of every final draw, if there are test images to compare with."""
    evaluation = suite["evaluation"]
    asked = evaluation["options"].get("neighbours", 1) and "memorised" not in evaluation.get("without", ())
    wanted = asked and has_test_images(suite)
    return [f"{draw.folder}/neighbours.png" for draw in draws(suite) if wanted and draw.checkpoint == FINAL]


def object_results(suite: Suite) -> list[str]:
    """The object accuracy of every draw of a model that is conditioned on objects, for every file of labels."""
    labels = suite["evaluation"].get("objects", {}).get("labels", ())
    return [
        f"{draw.folder}/objects/{name}.json"
        for draw in draws(suite, "training")
        if needed(draw.entry["model"], draw.entry["samplers"][draw.sampler]) == "labels"
        for name in labels
    ]


def pictures(suite: Suite) -> list[str]:
    """Every further picture that a model draws."""
    found = runs(suite, "training", "pretrained")
    return [f"{folder}/final/pictures/{picture}.png" for folder, entry in found for picture in entry["pictures"]]


def likelihoods(suite: Suite) -> list[str]:
    """The likelihood under every model whose entry asks for it."""
    found = runs(suite, "training", "pretrained")
    return [f"{folder}/final/likelihood.json" for folder, entry in found if "likelihood" in entry]


def results(suite: Suite) -> list[str]:
    """All inputs of the suite's report, except those about real images."""
    return [
        *run_files(suite, "training.json", "training", "pretrained"),
        *run_files(suite, "history.jsonl", "training"),
        *(path for name in ("timing.json", "grid.png", "metrics.json") for path in draw_files(suite, name)),
        *(
            path
            for files in (speeds, paired, object_results, likelihoods, pictures, neighbours)
            for path in files(suite)
        ),
    ]
