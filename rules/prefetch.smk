# Download everything that the suites need, for clusters whose compute nodes have no network.


# It has no output, so that it verifies existing files whenever it is requested.
rule prefetch:
    input:
        lambda wildcards: check_entries(workflow.dryrun),
    log:
        "results/logs/prefetch.log",
    localrule: True
    conda:
        "../envs/metrics.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(240),
    params:
        suites=SUITE_FILES,
        data_root=config["data_root"],
    message:
        "prefetch"
    shell:
        'python "$GENBENCH"/scripts/prefetch.py --suite {params.suites:q} --data-root={params.data_root:q}'
        " 2>&1 | tee -ai {log:q}"
