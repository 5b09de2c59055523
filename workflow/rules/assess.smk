"""Stage assess: CPU. In: final masks, images, rows of the measures. Out: how each scan came out.

The batch's rows of the table quality are written before that, below results/shards.
"""


rule assess:
    """Answer the quality rules for the scans of a batch."""
    input:
        manifest=str(LAYOUT.manifest("{batch}")),
        measure=str(LAYOUT.stage_table("measure", "{batch}")),
    output:
        table=str(LAYOUT.stage_table("assess", "{batch}")),
    log:
        log_file("assess"),
    benchmark:
        benchmark_file("assess")
    conda:
        "../../envs/columna.yaml"
    threads: 4
    resources:
        mem_mb=lambda wildcards, threads, attempt: attempt * (1000 + 1500 * threads),
        runtime=lambda wildcards, attempt: attempt * 30,
    params:
        results=CONFIG.results,
        settings=stage_settings(CONFIG, "assess"),
    message:
        "assess {wildcards.batch}"
    shell:
        "columna assess {wildcards.batch} --results {params.results:q} "
        "--settings {params.settings:q} --threads {threads} > {log:q} 2>&1"
