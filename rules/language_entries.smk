# Inputs and parameters for the jobs of rules/language.smk, from suites of language models: pure functions of wildcards, as in
# entries.smk. Wildcards are constrained here, because the Snakefile's constraints are for suites of images.

from genbench.data import texts
from genbench.suites.language import KINDS

LANGUAGE = {name: suite for name, (_, suite) in FILES.items() if suite.get("kind") == "language"}
OF_LANGUAGE = {
    "suite": any_of(LANGUAGE),
    "model": any_of({name for suite in LANGUAGE.values() for name in suite["models"]}),
    "seed": any_of({seed for suite in LANGUAGE.values() for seed in suite["seeds"]}),
}
NETWORKS = any_of(
    {name for suite in LANGUAGE.values() for name, entry in suite["models"].items() if "ngram" not in entry}
)


def language_suite(wildcards):
    """The suite of a result."""
    check_entries(workflow.dryrun)
    return LANGUAGE[wildcards.suite]


def language_entry(wildcards):
    """The suite's entry of a model."""
    return language_suite(wildcards)["models"][wildcards.model]


def text_files(wildcards):
    """The suite's own text files. If one is missing, one line says so before any job starts. Files of WikiText-2 are not
    inputs: the job downloads missing ones, and verifies all."""
    text = language_suite(wildcards)["text"]
    try:
        with errors.place(FILES[wildcards.suite][0]):
            found = [
                texts.text_file(text[split], Path(config["data_root"]), split, fetch=False) for split in splits(text)
            ]
    except InputError as error:
        sys.exit(f"error: {error}")
    return [str(path) for split, path in zip(splits(text), found) if text[split] not in texts.PUBLISHED]


def splits(text):
    """The keys of a suite's `text` that name files."""
    return [split for split in texts.SPLITS if split in text]


def language_spec(wildcards):
    """All that a training depends on, as JSON."""
    found = language_entry(wildcards)
    return json.dumps({key: found[key] for key in ("model", "pretrained", "training") if key in found})


def language_runs(wildcards, *names, kinds=KINDS):
    """These files of every run of these kinds."""
    return language_results(language_suite(wildcards), *names, kinds=kinds)


def language_results(suite, *names, kinds=KINDS):
    """These files of every run of these kinds, by default their scores. Models without training have one run, with the first
    seed."""
    return [
        f"{RUN.format(suite=suite['name'], model=model, seed=seed)}/{name}"
        for model, found in suite["models"].items()
        for seed in (suite["seeds"] if "training" in found else suite["seeds"][:1])
        for name in names or ["perplexity.json"]
        if any(kind in found for kind in kinds)
    ]


def language_model(wildcards):
    """The weights of a network; empty for an n-gram model, which is fitted in the job that scores it."""
    return [] if "ngram" in language_entry(wildcards) else f"{RUN.format(**wildcards)}/model.safetensors"


def scored_model(wildcards, input):
    """The model to score, as an argument of scripts/language.py."""
    return f"--model={input.model}" if input.model else f"--ngram={language_entry(wildcards)['ngram']['order']}"


def alone(wildcards):
    """The cores of a timed job, which must run without others: all of this machine."""
    return max(1, 0 if elsewhere() else workflow.resource_settings.cores or 0)
