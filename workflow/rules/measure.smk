"""Stage measure: CPU. In: final masks. Out: how each scan came out.

The batch's rows of every table are written before that, below results/shards.
"""


rule measure:
    """Measure the scans of a batch."""
    input:
        manifest=str(LAYOUT.manifest("{batch}")),
        label=str(LAYOUT.stage_table("label", "{batch}")),
    output:
        table=str(LAYOUT.stage_table("measure", "{batch}")),
    log:
        log_file("measure"),
    benchmark:
        benchmark_file("measure")
    conda:
        "../../envs/columna.yaml"
    threads: 4
    resources:
        mem_mb=lambda wildcards, threads, attempt: attempt * (1000 + 1500 * threads),
        runtime=lambda wildcards, attempt: attempt * 30,
    params:
        results=CONFIG.results,
        settings=stage_settings(CONFIG, "measure"),
    message:
        "measure {wildcards.batch}"
    shell:
        "columna measure {wildcards.batch} --results {params.results:q} "
        "--settings {params.settings:q} --threads {threads} > {log:q} 2>&1"
