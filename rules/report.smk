# Tables, plots and pages from everything above.


rule report:
    input:
        trainings=trainings("training.json", "training", "pretrained"),
        histories=trainings("history.jsonl"),
        timings=sample_sets("timing.json"),
        grids=sample_sets("grid.png"),
        metrics=sample_sets("metrics.json"),
        likelihoods=likelihoods(),
        pictures=pictures(),
        neighbours=neighbours(),
        real=f"results/{SUITE['name']}/real/metrics.json",
        real_grid=f"results/{SUITE['name']}/real/grid.png",
    output:
        index=report(
            "results/report/index.html",
            caption="../report/captions/index.rst",
            category="Overview",
            labels={"page": "all suites"},
        ),
        page=report(
            f"results/report/{SUITE['name']}.html",
            caption="../report/captions/index.rst",
            category="Overview",
            labels={"page": SUITE["name"]},
        ),
        table=f"results/report/{SUITE['name']}.csv",
        summary=f"results/report/{SUITE['name']}.json",
    log:
        f"results/{SUITE['name']}/logs/report.log",
    benchmark:
        f"results/{SUITE['name']}/benchmarks/report.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
    params:
        preflight=PREFLIGHT,
        suite=json.dumps(SUITE),
        out=subpath(output.index, parent=True),
        templates=Path(workflow.basedir) / "report",
    shell:
        'python "$GENBENCH"/scripts/render_report.py --preflight {params.preflight:q}'
        " --template-dir {params.templates:q} --out-dir {params.out:q} 2>&1 | tee -ai {log:q}"
