# Raw data to arrays; the data set's own classifier; features of the real images.


rule prepare_data:
    output:
        train="resources/{dataset}/train.npz",
        test="resources/{dataset}/test.npz",
        info="resources/{dataset}/info.json",
    log:
        "resources/{dataset}/logs/prepare_data.log",
    benchmark:
        "resources/{dataset}/benchmarks/prepare_data.tsv"
    threads: 1
    resources:
        mem_mb=4000,
    params:
        dataset=json.dumps(SUITE["dataset"]),
        data_root=config["data_root"],
        out=subpath(output.info, parent=True),
    conda:
        "../envs/torch.yaml"
    shell:
        "python {SCRIPTS:q}/prepare_data.py --dataset {params.dataset:q} --data-root {params.data_root:q}"
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
    threads: 1
    resources:
        gpu=GPU,
        mem_mb=4000,
    params:
        options=" ".join(
            f"--{key.replace('_', '-')} {value}"
            for key, value in sorted(SUITE["evaluation"]["classifier"].items())
        ),
    conda:
        "../envs/torch.yaml"
    shell:
        "python {SCRIPTS:q}/train_classifier.py --data-train {input.train:q} --data-test {input.test:q}"
        " --out {output:q} {params.options} --device {DEVICE} --threads {threads} 2>&1 | tee -ai {log:q}"


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
    threads: 1
    resources:
        gpu=GPU,
        mem_mb=4000,
    params:
        extractor=extractor_argument,
    conda:
        "../envs/metrics.yaml"
    shell:
        "python {SCRIPTS:q}/extract_features.py --images {input.images:q} --extractor {params.extractor:q}"
        " --out {output:q} --device {DEVICE} --threads {threads} 2>&1 | tee -ai {log:q}"
