# genbench: data -> train -> sample -> features -> metrics -> report, for every model of one suite.
from snakemake.utils import min_version

min_version("9.20")


configfile: "config.yaml"


include: "rules/common.smk"
include: "rules/prefetch.smk"
include: "rules/data.smk"
include: "rules/train.smk"
include: "rules/sample.smk"
include: "rules/evaluate.smk"
include: "rules/report.smk"


wildcard_constraints:
    suite=re.escape(SUITE["name"]),
    dataset=re.escape(DATASET),
    model=any_of(SUITE["models"]),
    seed=any_of(SUITE["seeds"]),
    checkpoint=r"final|step-\d+",
    sampler=any_of(name for entry in SUITE["models"].values() for name in entry["samplers"]),
    picture=any_of(name for entry in SUITE["models"].values() for name in entry["pictures"]),
    extractor=any_of(SUITE["evaluation"]["extractors"]),
    split="train|test",


onstart:
    # Every entry of the suite is checked before any job starts. This is no rule: as an input of the trainings its file,
    # new whenever the suite is edited, would make Snakemake train every model again, or (ancient) overlook the edit.
    shell(
        "{sys.executable:q} {workflow.basedir:q}/scripts/preflight.py --suite {SUITE_FILE:q} --overrides {OVERRIDES:q}"
        " --data-root {config[data_root]:q} --out {PREFLIGHT:q}"
    )


onsuccess:
    if Path("results/report/index.html").exists():
        print(f"The report: {Path('results/report/index.html').resolve()}", file=sys.stderr)


localrules:
    all,


rule all:
    default_target: True
    input:
        "results/report/index.html",
