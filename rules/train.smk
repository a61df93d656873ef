# One training for each model and seed.


rule train:
    input:
        data=f"resources/{DATASET}/train.npz",
        held_out=held_out,
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
        held_out=lambda wildcards, input: f"--held-out {input.held_out}" if input.held_out else "",
    shell:
        'python "$GENBENCH"/scripts/train.py --spec {params.spec:q} --data {input.data:q} {params.held_out}'
        " --seed {wildcards.seed}"
        " --snapshots '{params.snapshots}' --out {output.model:q} --device {resources.device} --threads {threads}"
        " 2>&1 | tee -ai {log:q}"
