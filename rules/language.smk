# Suites of language models, a separate branch: text, training, perplexity, generated texts, and a page without images.


rule prepare_text:
    input:
        text_files,
    output:
        tokens="results/{suite}/text/tokens.safetensors",
        counts="results/{suite}/text/text.json",
        tokenizer=directory("results/{suite}/text/tokenizer"),
    log:
        "results/{suite}/logs/prepare_text.log",
    benchmark:
        "results/{suite}/benchmarks/prepare_text.tsv"
    wildcard_constraints:
        **OF_LANGUAGE,
    conda:
        "../envs/language.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        text=lambda wildcards: json.dumps(
            {split: language_suite(wildcards)["text"][split] for split in splits(language_suite(wildcards)["text"])}
        ),
        tokenizer=lambda wildcards: json.dumps(language_suite(wildcards)["tokenizer"]),
        data_root=config["data_root"],
        out=subpath(output.tokens, parent=True),
    message:
        "prepare_text {wildcards.suite}"
    shell:
        'python "$GENBENCH"/scripts/language.py prepare --text {params.text:q} --tokenizer {params.tokenizer:q}'
        " --data-root={params.data_root:q} --out {params.out:q} 2>&1 | tee -ai {log:q}"


rule train_language:
    input:
        rules.prepare_text.output.tokens,
    output:
        model=f"{RUN}/model.safetensors",
        history=f"{RUN}/history.jsonl",
        training=f"{RUN}/training.json",
    log:
        f"{RUN}/logs/train.log",
    benchmark:
        f"{RUN}/benchmarks/train.tsv"
    wildcard_constraints:
        **(OF_LANGUAGE | {"model": NETWORKS}),
    conda:
        "../envs/language.yaml"
    threads: 1  # the same bits for any number of cores
    resources:
        gpu=gpu,
        device=device,
        mem_mb=growing(8000),
        runtime=growing(1440),
    params:
        spec=language_spec,
        data_root=config["data_root"],
    message:
        f"train_language {OF_RUN}"
    shell:
        'python "$GENBENCH"/scripts/language.py train --spec {params.spec:q} --tokens {input:q}'
        " --seed {wildcards.seed} --data-root={params.data_root:q} --out {output.model:q} --device {resources.device}"
        " --threads {threads} 2>&1 | tee -ai {log:q}"


rule evaluate_language:
    input:
        tokens=rules.prepare_text.output.tokens,
        model=language_model,
    output:
        report(
            f"{RUN}/perplexity.json",
            caption="../report/captions/language.rst",
            category="Metrics",
            labels={"model": "{model}", "seed": "{seed}", "checkpoint": "final", "sampler": "perplexity"},
        ),
    log:
        f"{RUN}/logs/evaluate.log",
    benchmark:
        f"{RUN}/benchmarks/evaluate.tsv"
    wildcard_constraints:
        **OF_LANGUAGE,
    conda:
        "../envs/language.yaml"
    threads: alone
    resources:
        gpu=gpu,
        device=device,
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        scored=scored_model,
        evaluation=lambda wildcards: json.dumps(language_suite(wildcards)["evaluation"]),
    message:
        f"evaluate_language {OF_RUN}"
    shell:
        'python "$GENBENCH"/scripts/language.py evaluate {params.scored:q} --tokens {input.tokens:q}'
        " --evaluation {params.evaluation:q} --out {output:q} --device {resources.device} --threads {threads}"
        " 2>&1 | tee -ai {log:q}"


rule sample_language:
    input:
        model=f"{RUN}/model.safetensors",
        tokenizer=rules.prepare_text.output.tokenizer,
    output:
        report(
            f"{RUN}/texts.json",
            caption="../report/captions/language.rst",
            category="Samples",
            labels={"model": "{model}", "seed": "{seed}", "checkpoint": "final", "sampler": "texts"},
        ),
    log:
        f"{RUN}/logs/sample.log",
    benchmark:
        f"{RUN}/benchmarks/sample.tsv"
    wildcard_constraints:
        **(OF_LANGUAGE | {"model": NETWORKS}),
    conda:
        "../envs/language.yaml"
    threads: alone
    resources:
        gpu=gpu,
        device=device,
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        samples=lambda wildcards: json.dumps(language_suite(wildcards)["samples"]),
        texts=lambda wildcards: language_suite(wildcards)["samples"]["texts"],
    message:
        f"sample_language {OF_RUN}"
    shell:
        'python "$GENBENCH"/scripts/language.py sample --model {input.model:q} --tokenizer {input.tokenizer:q}'
        " --samples {params.samples:q} --seeds 0:{params.texts} --out {output:q} --device {resources.device}"
        " --threads {threads} 2>&1 | tee -ai {log:q}"


rule language_report:
    input:
        counts=rules.prepare_text.output.counts,
        scores=lambda wildcards: language_runs(wildcards, "perplexity.json"),
        networks=lambda wildcards: language_runs(
            wildcards, "training.json", "history.jsonl", "texts.json", kinds=("model", "pretrained")
        ),
    output:
        page=report(
            "results/report/{suite}.html",
            caption="../report/captions/index.rst",
            category="Overview",
            labels={"page": "{suite}"},
        ),
        table="results/report/{suite}.csv",
        summary="results/report/{suite}.json",
    log:
        "results/{suite}/logs/report.log",
    benchmark:
        "results/{suite}/benchmarks/report.tsv"
    wildcard_constraints:
        **OF_LANGUAGE,
    localrule: True
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(10),
    params:
        suite=lambda wildcards: json.dumps(language_suite(wildcards)),
        results=subpath(input.counts, ancestor=2),
        out=subpath(output.page, parent=True),
        templates=Path(CHECKOUT) / "report",
    message:
        "language_report {wildcards.suite}"
    shell:
        'python "$GENBENCH"/scripts/render_language_report.py --suite {params.suite:q} --results {params.results:q}'
        " --report {params.out:q} --template-dir {params.templates:q} 2>&1 | tee -ai {log:q}"
