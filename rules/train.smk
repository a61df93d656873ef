# Preflight, then one training for each model and seed.


rule preflight:
    input:
        suite=SUITE_FILE,
    output:
        "results/{suite}/preflight.json",
    log:
        "results/{suite}/logs/preflight.log",
    benchmark:
        "results/{suite}/benchmarks/preflight.tsv"
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=4000,
    params:
        overrides=json.dumps({key: SUITE[key] for key in ("seeds", "num_samples")}),
        data_root=config["data_root"],
    shell:
        'python "$GENBENCH"/scripts/preflight.py --suite {input.suite:q} --overrides {params.overrides:q}'
        " --data-root {params.data_root:q} --out {output:q} 2>&1 | tee -ai {log:q}"


rule train:
    input:
        data=f"resources/{DATASET}/train.npz",
        preflight=ancient("results/{suite}/preflight.json"),
    output:
        model="results/{suite}/{model}/seed{seed}/model.safetensors",
        history="results/{suite}/{model}/seed{seed}/history.jsonl",
        training="results/{suite}/{model}/seed{seed}/training.json",
        snapshots=directory("results/{suite}/{model}/seed{seed}/snapshots"),
    log:
        "results/{suite}/{model}/seed{seed}/logs/train.log",
    benchmark:
        "results/{suite}/{model}/seed{seed}/benchmarks/train.tsv"
    priority: train_priority
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        gpu=GPU,
        device=DEVICE,
        mem_mb=8000,
    params:
        spec=train_spec,
        snapshots=train_snapshots,
    shell:
        'python "$GENBENCH"/scripts/train.py --spec {params.spec:q} --data {input.data:q} --seed {wildcards.seed}'
        " --snapshots '{params.snapshots}' --out {output.model:q} --device {resources.device} --threads {threads}"
        " 2>&1 | tee -ai {log:q}"
