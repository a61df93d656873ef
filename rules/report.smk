# Tables, plots and pages from all results: a page for each suite, and the first page, which links to all.


rule report:
    input:
        sources=of_suite(runs.results),
        real=of_suite(runs.real_metrics),
        real_grid="results/{suite}/real/grid.png",
        reference=reference_of,
    output:
        page=report(
            "results/report/{suite}.html",
            caption="../report/captions/index.rst",
            category="Overview",
            labels={"page": "{suite}"},
        ),
        table="results/report/{suite}.csv",
        summary="results/report/{suite}.json",
        record="results/report/{suite}/record.json",
        comparison=multiext("results/report/{suite}/comparison", ".csv", ".json", ".tex", ".md"),
        plots=report(
            directory("results/report/{suite}/plots"),
            patterns=["{plot}.svg"],
            caption="../report/captions/plots.rst",
            category="Plots",
            subcategory="{suite}",
            labels={"plot": "{plot}"},
        ),
    log:
        "results/{suite}/logs/report.log",
    benchmark:
        "results/{suite}/benchmarks/report.tsv"
    localrule: True
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        preflight="results/{suite}/preflight.json",
        results=subpath(input.real_grid, ancestor=2),
        suite=lambda wildcards: json.dumps(suite_of(wildcards)),
        out=subpath(output.page, parent=True),
        templates=Path(CHECKOUT) / "report",
        reference=lambda wildcards, input: [f"--reference={path}" for path in input.get("reference", [])],
    message:
        "report {wildcards.suite}"
    shell:
        'python "$GENBENCH"/scripts/render_report.py --preflight {params.preflight:q}'
        " --results {params.results:q} --template-dir {params.templates:q} --out-dir {params.out:q} {params.reference:q}"
        " 2>&1 | tee -ai {log:q}"


rule index:
    input:
        expand("results/report/{suite}.{kind}", suite=FILES, kind=["html", "json"]),
    output:
        report(
            "results/report/index.html",
            caption="../report/captions/index.rst",
            category="Overview",
            labels={"page": "all suites"},
        ),
    log:
        "results/logs/index.log",
    benchmark:
        "results/benchmarks/index.tsv"
    localrule: True
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(10),
    params:
        out=subpath(output[0], parent=True),
        templates=Path(CHECKOUT) / "report",
    message:
        "index"
    shell:
        'python "$GENBENCH"/scripts/render_index.py --report {params.out:q} --template-dir {params.templates:q}'
        " 2>&1 | tee -ai {log:q}"
