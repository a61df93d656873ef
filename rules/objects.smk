# Conditional models: images for given label sets, and whether a classifier finds the objects in them.


rule train_object_classifier:
    input:
        train="resources/{dataset}/train.npz",
        test="resources/{dataset}/test.npz",
    output:
        "resources/{dataset}/object_classifier.safetensors",
    log:
        "resources/{dataset}/logs/train_object_classifier.log",
    benchmark:
        "resources/{dataset}/benchmarks/train_object_classifier.tsv"
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        gpu=gpu,
        device=device,
        mem_mb=growing(4000),
        runtime=growing(240),
    params:
        options=lambda wildcards: flags(evaluation(wildcards).get("objects", {}).get("classifier", {})),
    message:
        "train_object_classifier {wildcards.dataset}"
    shell:
        'python "$GENBENCH"/scripts/train_object_classifier.py --data-train {input.train:q} --data-test {input.test:q}'
        " --out {output:q} {params.options:q} --device {resources.device} --threads {threads} 2>&1 | tee -ai {log:q}"


rule sample_objects:
    input:
        model=checkpoint_input,
        labels=object_labels,
    output:
        samples=f"{DRAW}/objects/{{labels}}.npz",
        grid=report(
            f"{DRAW}/objects/{{labels}}.png",
            caption="../report/captions/objects.rst",
            category="Pictures",
            labels={"model": "{model}", "seed": "{seed}", "picture": "{labels}, {sampler}, {checkpoint}"},
        ),
    log:
        f"{DRAW}/logs/sample_objects-{{labels}}.log",
    benchmark:
        f"{DRAW}/benchmarks/sample_objects-{{labels}}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        gpu=gpu,
        device=device,
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        checkpoint=checkpoint_file,
        sampler=sampler_options,
        draws=lambda wildcards: objects(wildcards)["draws"],
    message:
        f"sample_objects {OF_DRAW} {{wildcards.labels}}"
    shell:
        'python "$GENBENCH"/scripts/sample.py --model {params.checkpoint:q} --sampler {params.sampler:q}'
        " --condition={input.labels:q} --draws {params.draws}"
        " --out {output.samples:q} --grid {output.grid:q} --device {resources.device} --threads {threads}"
        " 2>&1 | tee -ai {log:q}"


rule evaluate_objects:
    input:
        evaluator=object_evaluator,
        samples=f"{DRAW}/objects/{{labels}}.npz",
        labels=object_labels,
    output:
        report(
            f"{DRAW}/objects/{{labels}}.json",
            caption="../report/captions/objects.rst",
            category="Metrics",
            labels={
                "model": "{model}",
                "seed": "{seed}",
                "checkpoint": "{checkpoint}",
                "sampler": "{sampler}, {labels}",
            },
        ),
    log:
        f"{DRAW}/logs/evaluate_objects-{{labels}}.log",
    benchmark:
        f"{DRAW}/benchmarks/evaluate_objects-{{labels}}.tsv"
    conda:
        "../envs/metrics.yaml"
    threads: 1
    resources:
        gpu=gpu,
        device=device,
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        draws=lambda wildcards: objects(wildcards)["draws"],
    message:
        f"evaluate_objects {OF_DRAW} {{wildcards.labels}}"
    shell:
        'python "$GENBENCH"/scripts/evaluate_objects.py --evaluator={input.evaluator:q} --samples {input.samples:q}'
        " --labels={input.labels:q} --draws {params.draws} --out {output:q} --device {resources.device}"
        " --threads {threads} 2>&1 | tee -ai {log:q}"
