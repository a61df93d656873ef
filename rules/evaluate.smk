# Features of samples, and metrics that compare them with the features of real images.


rule sample_features:
    input:
        images=f"{DRAW}/samples.npz",
        weights=extractor_weights,
    output:
        f"{DRAW}/features/{{extractor}}.npz",
    log:
        f"{DRAW}/logs/features-{{extractor}}.log",
    benchmark:
        f"{DRAW}/benchmarks/features-{{extractor}}.tsv"
    conda:
        "../envs/metrics.yaml"
    threads: 1
    resources:
        gpu=gpu,
        device=device,
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        extractor=extractor_argument,
    message:
        f"sample_features {OF_DRAW} {{wildcards.extractor}}"
    shell:
        'python "$GENBENCH"/scripts/extract_features.py --images {input.images:q} --extractor {params.extractor:q}'
        " --out {output:q} --device {resources.device} --threads {threads} 2>&1 | tee -ai {log:q}"


# The same for suites whose features would take much disk space: they are deleted once the metrics are computed.
use rule sample_features as sample_features_for_now with:
    output:
        temp(f"{DRAW}/features/{{extractor}}.npz"),
    wildcard_constraints:
        suite=any_of(name for name, suite in SUITES.items() if not runs.keeps_features(suite, config["keep_features"])),


ruleorder: sample_features_for_now > sample_features


# `ancient` statistics would hide changes of parameters: Snakemake 9 ignores those of a job with ancient input from a job that
# runs.
rule evaluate:
    input:
        real=reference_features("train"),
        fake=sample_features,
        holdout=holdout_features,
        statistics=of_suite(runs.real_statistics),
        published=published_files,
    output:
        metrics=report(
            f"{DRAW}/metrics.json",
            caption="../report/captions/metrics.rst",
            category="Metrics",
            labels={"model": "{model}", "seed": "{seed}", "checkpoint": "{checkpoint}", "sampler": "{sampler}"},
        ),
    log:
        f"{DRAW}/logs/evaluate.log",
    benchmark:
        f"{DRAW}/benchmarks/evaluate.tsv"
    priority: 1000  # before more samples are drawn, whose features would pile up
    conda:
        "../envs/metrics.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(120),
    params:
        draws=draws,
        holdout=lambda wildcards, input: ["--holdout", *input.holdout] if input.holdout else [],
        options=metric_options,
        statistics=lambda wildcards, input: ["--statistics", *input.statistics] if input.statistics else [],
        picture=[],
        headline=[],
    message:
        f"evaluate {OF_DRAW}"
    shell:
        'python "$GENBENCH"/scripts/evaluate.py --real {input.real:q} --fake {input.fake:q} --draws {params.draws}'
        " {params.holdout:q} {params.statistics:q} {params.picture:q} {params.headline:q} --options {params.options:q}"
        " --out {output.metrics:q} 2>&1 | tee -ai {log:q}"


# The same for a final model, with a picture of its samples above their nearest training images.
use rule evaluate as evaluate_and_show with:
    input:
        real=reference_features("train"),
        fake=sample_features,
        holdout=holdout_features,
        statistics=of_suite(runs.real_statistics),
        published=published_files,
        samples=f"{DRAW}/samples.npz",
        train=resource("train.npz"),
    output:
        metrics=report(
            f"{DRAW}/metrics.json",
            caption="../report/captions/metrics.rst",
            category="Metrics",
            labels={"model": "{model}", "seed": "{seed}", "checkpoint": "{checkpoint}", "sampler": "{sampler}"},
        ),
        picture=report(
            f"{DRAW}/neighbours.png",
            caption="../report/captions/neighbours.rst",
            category="Pictures",
            labels={"model": "{model}", "seed": "{seed}", "picture": "nearest training images, {sampler}"},
        ),
    wildcard_constraints:
        suite=any_of(name for name, suite in SUITES.items() if runs.neighbours(suite)),
        checkpoint=runs.FINAL,
    params:
        draws=draws,
        holdout=lambda wildcards, input: ["--holdout", *input.holdout] if input.holdout else [],
        options=metric_options,
        statistics=lambda wildcards, input: ["--statistics", *input.statistics] if input.statistics else [],
        picture=neighbours_files,
        headline=neighbours_headline,


ruleorder: evaluate_and_show > evaluate


rule compare_quantised:
    input:
        samples=f"{DRAW}/samples.npz",
        reference=reference_samples,
    output:
        f"{DRAW}/paired.json",
    log:
        f"{DRAW}/logs/compare_quantised.log",
    benchmark:
        f"{DRAW}/benchmarks/compare_quantised.tsv"
    conda:
        "../envs/metrics.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    message:
        f"compare_quantised {OF_DRAW}"
    shell:
        'python "$GENBENCH"/scripts/compare_samples.py --samples {input.samples:q} --reference {input.reference:q}'
        " --out {output:q} 2>&1 | tee -ai {log:q}"


rule likelihood:
    input:
        model=f"{RUN}/model.safetensors",
        images=resource("test.npz"),
    output:
        report(
            f"{RUN}/final/likelihood.json",
            caption="../report/captions/likelihood.rst",
            category="Metrics",
            labels={"model": "{model}", "seed": "{seed}", "checkpoint": "final", "sampler": "bits per dimension"},
        ),
    log:
        f"{RUN}/final/logs/likelihood.log",
    benchmark:
        f"{RUN}/final/benchmarks/likelihood.tsv"
    wildcard_constraints:
        model=models_with("likelihood"),
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        gpu=gpu,
        device=device,
        mem_mb=growing(8000),
        runtime=growing(720),
    params:
        limit=lambda wildcards: entry(wildcards)["likelihood"]["images"],
        steps=lambda wildcards: entry(wildcards)["likelihood"].get("steps", "all"),
    message:
        f"likelihood {OF_RUN}"
    shell:
        'python "$GENBENCH"/scripts/evaluate_likelihood.py --model {input.model:q} --images {input.images:q}'
        " --limit {params.limit} --steps {params.steps} --out {output:q} --device {resources.device} --threads {threads}"
        " 2>&1 | tee -ai {log:q}"


rule evaluate_real:
    input:
        real=reference_features("train"),
        fake=reference_features("test"),
        published=published_files,
    output:
        metrics="results/{suite}/real/metrics.json",
        statistics="results/{suite}/real/statistics.npz",
    log:
        "results/{suite}/real/logs/evaluate.log",
    benchmark:
        "results/{suite}/real/benchmarks/evaluate.tsv"
    conda:
        "../envs/metrics.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(120),
    params:
        options=metric_options,
        subset=lambda wildcards: suite_of(wildcards)["num_samples"],
    message:
        "evaluate_real {wildcards.suite}/real"
    shell:
        'python "$GENBENCH"/scripts/evaluate.py --real {input.real:q} --fake {input.fake:q} --subset {params.subset}'
        " --allow-too-few --options {params.options:q} --out {output.metrics:q}"
        " --write-statistics {output.statistics:q} 2>&1 | tee -ai {log:q}"


rule real_grid:
    input:
        resource("test.npz"),
    output:
        "results/{suite}/real/grid.png",
    log:
        "results/{suite}/real/logs/grid.log",
    benchmark:
        "results/{suite}/real/benchmarks/grid.tsv"
    localrule: True
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    message:
        "real_grid {wildcards.suite}/real"
    shell:
        'python "$GENBENCH"/scripts/draw_grid.py --images {input:q} --out {output:q} 2>&1 | tee -ai {log:q}'
