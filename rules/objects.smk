# The evaluator of conditional models: a classifier of the data set's objects, trained on other scenes than it is tested on.


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
        gpu=GPU,
        device=DEVICE,
        mem_mb=4000,
    params:
        options=" ".join(
            f"--{key.replace('_', '-')} {value}"
            for key, value in sorted(SUITE["evaluation"].get("objects", {}).get("classifier", {}).items())
        ),
    shell:
        'python "$GENBENCH"/scripts/train_object_classifier.py --data-train {input.train:q} --data-test {input.test:q}'
        " --out {output:q} {params.options} --device {resources.device} --threads {threads} 2>&1 | tee -ai {log:q}"


rule evaluate_objects:
    input:
        evaluator=f"resources/{DATASET}/object_classifier.safetensors",
        samples="results/{suite}/{model}/seed{seed}/{checkpoint}/{sampler}/objects/{labels}.npz",
    output:
        "results/{suite}/{model}/seed{seed}/{checkpoint}/{sampler}/objects/{labels}.json",
    log:
        "results/{suite}/{model}/seed{seed}/{checkpoint}/{sampler}/logs/evaluate_objects-{labels}.log",
    benchmark:
        "results/{suite}/{model}/seed{seed}/{checkpoint}/{sampler}/benchmarks/evaluate_objects-{labels}.tsv"
    conda:
        "../envs/metrics.yaml"
    threads: 1
    resources:
        gpu=GPU,
        device=DEVICE,
        mem_mb=4000,
    params:
        labels=lambda wildcards: SUITE["evaluation"]["objects"]["labels"][wildcards.labels],
        draws=lambda wildcards: SUITE["evaluation"]["objects"].get("draws", 5),
    shell:
        'python "$GENBENCH"/scripts/evaluate_objects.py --evaluator {input.evaluator:q} --samples {input.samples:q}'
        " --labels {params.labels:q} --draws {params.draws} --out {output:q} --device {resources.device}"
        " --threads {threads} 2>&1 | tee -ai {log:q}"
