# One training for each model and seed; or import a checkpoint or samples from elsewhere.


rule train:
    input:
        data=resource("train.npz"),
        held_out=held_out,
        first_stage=first_stage,
    output:
        model=f"{RUN}/model.safetensors",
        history=f"{RUN}/history.jsonl",
        training=f"{RUN}/training.json",
        snapshots=directory(f"{RUN}/snapshots"),
    log:
        f"{RUN}/logs/train.log",
    benchmark:
        f"{RUN}/benchmarks/train.tsv"
    wildcard_constraints:
        model=models_with("training"),
    priority: train_priority
    conda:
        "../envs/torch.yaml"
    threads: ranks
    resources:
        mpi=mpi,
        tasks=ranks,
        cpus_per_task=lambda wildcards, threads: max(1, threads // ranks(wildcards)),
        gpu=gpus,
        device=device,
        mem_mb=growing(8000, ranks),
        runtime=growing(1440),
    params:
        spec=train_spec,
        snapshots=train_snapshots,
        held_out=lambda wildcards, input: ["--held-out", input.held_out] if input.held_out else [],
        first_stage=lambda wildcards, input: ["--first-stage", input.first_stage] if input.first_stage else [],
    message:
        f"train {OF_RUN}"
    shell:
        'mpi="{resources.mpi}"; ${{mpi:+$mpi -n {resources.tasks}}}'
        ' python "$GENBENCH"/scripts/train.py --spec {params.spec:q} --data {input.data:q} {params.held_out:q}'
        " {params.first_stage:q}"
        " --seed {wildcards.seed}"
        " {params.snapshots:q} --out {output.model:q} --device {resources.device} --threads {threads}"
        " 2>&1 | tee -ai {log:q}"


rule import_checkpoint:
    input:
        pretrained_file,
    output:
        model=f"{RUN}/model.safetensors",
        training=f"{RUN}/training.json",
    log:
        f"{RUN}/logs/import.log",
    benchmark:
        f"{RUN}/benchmarks/import.tsv"
    wildcard_constraints:
        model=models_with("pretrained"),
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(30),
    params:
        format=lambda wildcards: entry(wildcards)["pretrained"]["format"],
        source=pretrained_source,
        options=pretrained_options,
        files=pretrained_state,
    message:
        f"import_checkpoint {OF_RUN}"
    shell:
        'python "$GENBENCH"/scripts/import_checkpoint.py --format {params.format:q} {params.source:q} --out {output.model:q}'
        " --options {params.options:q} --record {output.training:q} 2>&1 | tee -ai {log:q}"


rule import_samples:
    input:
        samples=given_file,
        like=resource("test.npz"),
    output:
        samples=f"{RUN}/final/given/samples.npz",
        timing=f"{RUN}/final/given/timing.json",
        grid=report(
            f"{RUN}/final/given/grid.png",
            caption="../report/captions/given.rst",
            category="Samples",
            labels={"model": "{model}", "seed": "{seed}", "checkpoint": "final", "sampler": "given"},
        ),
    log:
        f"{RUN}/final/given/logs/import.log",
    benchmark:
        f"{RUN}/final/given/benchmarks/import.tsv"
    wildcard_constraints:
        model=models_with("samples"),
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        num_samples=given_arguments,
        files=given_state,
    message:
        f"import_samples {OF_RUN}"
    shell:
        'python "$GENBENCH"/scripts/import_samples.py --in={input.samples:q} --count {params.num_samples} --like {input.like:q}'
        " --out {output.samples:q} --timing {output.timing:q} --grid {output.grid:q} 2>&1 | tee -ai {log:q}"
