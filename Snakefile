# genbench: data -> train -> sample -> features -> metrics -> report, for every model of one suite.
from snakemake.utils import min_version

min_version("9.20")


configfile: "config.yaml"


include: "rules/common.smk"
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
    extractor=any_of(SUITE["evaluation"]["extractors"]),
    split="train|test",


localrules:
    all,


rule all:
    default_target: True
    input:
        "results/report/index.html",
