# genbench: data -> train -> sample -> features -> metrics -> report, for every model of every suite.
import os

from snakemake.utils import min_version

min_version("9.20")


if os.path.exists("config.yaml"):  # without it, the command line and the defaults of genbench/suites/config.py hold

    configfile: "config.yaml"


include: "rules/common.smk"
include: "rules/entries.smk"
include: "rules/resources.smk"
include: "rules/workarounds.smk"
include: "rules/forecast.smk"


envvars:
    "GENBENCH_COMMIT",


# Used only with `--sdm apptainer`. With `--sdm conda`, every rule has its own environment.
container: config["container"]


# Before the rules, see rules/workarounds.smk.
wildcard_constraints:
    suite=any_of(SUITES),
    dataset=any_of({suite["dataset"]["name"] for suite in SUITES.values()}),
    model=any_of({name for suite in SUITES.values() for name in suite["models"]}),
    seed=any_of({seed for suite in SUITES.values() for seed in suite["seeds"]}),
    checkpoint=r"final|step-\d+",
    sampler=everywhere(lambda entry: entry["samplers"]),
    picture=everywhere(lambda entry: entry["pictures"]),
    extractor=any_of({name for suite in SUITES.values() for name in suite["evaluation"]["extractors"]}),
    labels=any_of(
        {name for suite in SUITES.values() for name in suite["evaluation"].get("objects", {}).get("labels", ())}
    ),
    split="train|test",


include: "rules/prefetch.smk"
include: "rules/data.smk"
include: "rules/train.smk"
include: "rules/sample.smk"
include: "rules/evaluate.smk"
include: "rules/objects.smk"
include: "rules/language_entries.smk"
include: "rules/language.smk"
include: "rules/report.smk"


onstart:
    # Check every entry of every suite before any job starts. This is not a rule: its file changes whenever the suite is
    # edited, so as an input of trainings it would make Snakemake train every model again, or (ancient) ignore the edit.
    preflight("--results", "results")
    report_progress()


onsuccess:
    prefix = workflow.storage_settings.default_storage_prefix
    if REPORT.exists() and REPORT.stat().st_mtime >= STARTED:  # not if other targets were requested
        print(outcome.made(REPORT.parent, FILES), file=sys.stderr)
    elif prefix and any(job.rule.name == "index" for job in workflow.dag.finished_jobs):
        print(f"\nThe report: {prefix.rstrip('/')}/{REPORT}", file=sys.stderr)


onerror:
    failures = [] if STOP.seen else failed_jobs()
    print(outcome.failed(failures, report_so_far() if failures else None, command_line()), file=sys.stderr)


call_also_as_a_module()


# Snakemake makes these files again if they are missing, although the first page is newer than all of them.
rule all:
    default_target: True
    input:
        REPORT,
        expand(rules.report.output, suite=SUITES),
        expand(rules.language_report.output, suite=LANGUAGE),
        [path for suite in SUITES.values() for path in runs.real_metrics(suite)],
        expand("results/{suite}/real/grid.png", suite=SUITES),
        every_result,
    localrule: True
    message:
        "all"
