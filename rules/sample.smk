# Draw images from a checkpoint and measure the time; and draw a model's further pictures.


rule sample:
    input:
        model=checkpoint_input,
        averages=averages_input,
        condition=condition_input,
    output:
        samples=f"{DRAW}/samples.npz",
        timing=f"{DRAW}/timing.json",
        grid=report(
            f"{DRAW}/grid.png",
            caption="../report/captions/samples.rst",
            category="Samples",
            labels={"model": "{model}", "seed": "{seed}", "checkpoint": "{checkpoint}", "sampler": "{sampler}"},
        ),
    log:
        f"{DRAW}/logs/sample.log",
    benchmark:
        f"{DRAW}/benchmarks/sample.tsv"
    wildcard_constraints:
        model=f"{models_with('training')}|{models_with('pretrained')}",
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
        runtime=growing(720),
    params:
        checkpoint=checkpoint_file,
        sampler=sampler_options,
        condition=lambda wildcards, input: ["--condition", input.condition] if input.condition else [],
        num_samples=num_samples,
        batch_size=lambda wildcards: entry(wildcards)["sample_batch_size"],
    message:
        f"sample {OF_DRAW}"
    shell:
        'mpi="{resources.mpi}"; ${{mpi:+$mpi -n {resources.tasks}}}'
        ' python "$GENBENCH"/scripts/sample.py --model {params.checkpoint:q} --sampler {params.sampler:q}'
        " {params.condition:q}"
        " --seeds 0:{params.num_samples} --batch-size {params.batch_size} --out {output.samples:q}"
        " --timing {output.timing:q} --grid {output.grid:q} --device {resources.device} --threads {threads}"
        " 2>&1 | tee -ai {log:q}"


# The time to sample, which the report compares. It is measured after all other jobs, while nothing else runs.
rule measure_speed:
    input:
        model=timed_model,
        condition=timed_condition,
    output:
        SPEED,
    log:
        "results/{suite}/{model}/logs/measure_speed.log",
    benchmark:
        "results/{suite}/{model}/benchmarks/measure_speed.tsv"
    wildcard_constraints:
        model=f"{models_with('training')}|{models_with('pretrained')}",
    priority: -1
    conda:
        "../envs/torch.yaml"
    threads: whole_machine
    resources:
        mpi=mpi,
        tasks=ranks,
        cpus_per_task=lambda wildcards, threads: max(1, threads // ranks(wildcards)),
        gpu=gpus,
        device=device,
        mem_mb=growing(8000, ranks),
        runtime=growing(60),
    params:
        samplers=timed_samplers,
        condition=lambda wildcards, input: ["--condition", input.condition] if input.condition else [],
        batch_size=lambda wildcards: entry(wildcards)["sample_batch_size"],
        threads=sampling_threads,
    message:
        "measure_speed {wildcards.suite}/{wildcards.model}"
    shell:
        'mpi="{resources.mpi}"; ${{mpi:+$mpi -n {resources.tasks}}}'
        ' python "$GENBENCH"/scripts/measure_speed.py --model {input.model:q} --samplers {params.samplers:q}'
        " {params.condition:q}"
        " --batch-size {params.batch_size} --out {output:q} --device {resources.device} --threads {params.threads}"
        " 2>&1 | tee -ai {log:q}"


rule picture:
    input:
        model=f"{RUN}/model.safetensors",
        images=resource("test.npz"),
    output:
        report(
            f"{RUN}/final/pictures/{{picture}}.png",
            caption="../report/captions/picture.rst",
            category="Pictures",
            labels={"model": "{model}", "seed": "{seed}", "picture": "{picture}"},
        ),
    log:
        f"{RUN}/final/logs/{{picture}}.log",
    benchmark:
        f"{RUN}/final/benchmarks/{{picture}}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        gpu=gpu,
        device=device,
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        labels=shown_labels,
    message:
        f"picture {OF_RUN} {{wildcards.picture}}"
    shell:
        'python "$GENBENCH"/scripts/draw_picture.py --model {input.model:q} --picture {wildcards.picture:q}'
        " --images {input.images:q} {params.labels:q} --out {output:q} --device {resources.device} --threads {threads}"
        " 2>&1 | tee -ai {log:q}"
