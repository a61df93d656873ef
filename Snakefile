# genbench: data -> train -> sample -> features -> metrics -> report, for every model of every suite.
import os

from snakemake.utils import min_version

min_version("9.20")


if os.path.exists("config.yaml"):  # else what stands on the command line, and the defaults of genbench/suites/config.py

    configfile: "config.yaml"


include: "rules/common.smk"
include: "rules/entries.smk"
include: "rules/resources.smk"
include: "rules/workarounds.smk"
include: "rules/forecast.smk"


envvars:
    "GENBENCH_COMMIT",


# Used only with `--sdm apptainer`; every rule's own environment (conda) with `--sdm conda`.
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
    # Every entry of every suite is checked before any job starts. This is no rule: as an input of the trainings its file,
    # new whenever the suite is edited, would make Snakemake train every model again, or (ancient) overlook the edit.
    preflight("--results", "results")
    report_progress()


onsuccess:
    prefix = workflow.storage_settings.default_storage_prefix
    if REPORT.exists() and REPORT.stat().st_mtime >= STARTED:  # not where the run was asked for something else
        print(outcome.made(REPORT.parent, FILES), file=sys.stderr)
    elif prefix and any(job.rule.name == "index" for job in workflow.dag.finished_jobs):
        print(f"\nThe report: {prefix.rstrip('/')}/{REPORT}", file=sys.stderr)


onerror:
    failures = [] if STOP.seen else failed_jobs()
    print(outcome.failed(failures, report_so_far() if failures else None, command_line()), file=sys.stderr)


call_also_as_a_module()


# What stands here is made again where it is missing, though the first page is newer than all of it.
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
