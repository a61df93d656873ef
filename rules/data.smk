# Convert raw data to arrays, train the data set's own classifier, and extract features of real images.


rule prepare_data:
    output:
        train="resources/{dataset}/train.npz",
        test="resources/{dataset}/test.npz",
        info="resources/{dataset}/info.json",
    log:
        "resources/{dataset}/logs/prepare_data.log",
    benchmark:
        "resources/{dataset}/benchmarks/prepare_data.tsv"
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        dataset=lambda wildcards: json.dumps(suite_of(wildcards)["dataset"]),
        data_root=config["data_root"],
        out=subpath(output.info, parent=True),
        files=dataset_state,
    message:
        "prepare_data {wildcards.dataset}"
    shell:
        'python "$GENBENCH"/scripts/prepare_data.py --dataset {params.dataset:q} --data-root={params.data_root:q}'
        " --out {params.out:q} 2>&1 | tee -ai {log:q}"


rule train_classifier:
    input:
        train="resources/{dataset}/train.npz",
        test="resources/{dataset}/test.npz",
    output:
        "resources/{dataset}/classifier.safetensors",
    log:
        "resources/{dataset}/logs/train_classifier.log",
    benchmark:
        "resources/{dataset}/benchmarks/train_classifier.tsv"
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        gpu=gpu,
        device=device,
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        options=lambda wildcards: flags(evaluation(wildcards)["classifier"]),
    message:
        "train_classifier {wildcards.dataset}"
    shell:
        'python "$GENBENCH"/scripts/train_classifier.py --data-train {input.train:q} --data-test {input.test:q}'
        " --out {output:q} {params.options:q} --device {resources.device} --threads {threads} 2>&1 | tee -ai {log:q}"


rule reference_features:
    input:
        images="resources/{dataset}/{split}.npz",
        weights=extractor_weights,
    output:
        "resources/{dataset}/features/{split}-{extractor}.npz",
    log:
        "resources/{dataset}/logs/features-{split}-{extractor}.log",
    benchmark:
        "resources/{dataset}/benchmarks/features-{split}-{extractor}.tsv"
    priority: 1000000  # before the first training, so that missing weights are reported early
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
        "reference_features {wildcards.dataset} {wildcards.split} {wildcards.extractor}"
    shell:
        'python "$GENBENCH"/scripts/extract_features.py --images {input.images:q} --extractor {params.extractor:q}'
        " --out {output:q} --device {resources.device} --threads {threads} 2>&1 | tee -ai {log:q}"
