"""Stage prepare: CPU. In: manifest of a batch. Out: how each scan came out."""


rule prepare:
    """Check, correct, normalise, reorient and resample the scans of a batch."""
    input:
        manifest=manifest,
    output:
        table=str(LAYOUT.stage_table("prepare", "{batch}")),
    log:
        log_file("prepare"),
    benchmark:
        benchmark_file("prepare")
    conda:
        "../../envs/columna.yaml"
    threads: 4
    resources:
        mem_mb=lambda wildcards, threads, attempt: at_most(
            "prepare", "memory_mb", attempt * (2000 + 1500 * threads)
        ),
        runtime=lambda wildcards, attempt: at_most("prepare", "minutes", attempt * 30),
    params:
        results=CONFIG.results,
        settings=stage_settings(CONFIG, "prepare"),
    message:
        "prepare {wildcards.batch}"
    shell:
        "columna prepare {wildcards.batch} --results {params.results:q} "
        "--settings {params.settings:q} --threads {threads} > {log:q} 2>&1"
