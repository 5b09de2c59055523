"""Evaluate: CPU. In: final masks, and the references that the cohort sheet names.

Batches without references have no job here, and cohorts without any no tables. The jobs wait for
the measures only because both write into the store of a scan.
"""


rule evaluate_batch:
    """Compare the masks of a batch with references."""
    input:
        manifest=str(LAYOUT.manifest("{batch}")),
        label=str(LAYOUT.stage_table("label", "{batch}")),
        assess=str(LAYOUT.stage_table("assess", "{batch}")),
    output:
        table=str(LAYOUT.stage_table("evaluate", "{batch}")),
    log:
        log_file("evaluate"),
    benchmark:
        benchmark_file("evaluate")
    conda:
        "../../envs/columna.yaml"
    threads: 4
    resources:
        mem_mb=lambda wildcards, threads, attempt: at_most(
            "evaluate_batch", "memory_mb", attempt * (1000 + 1500 * threads)
        ),
        runtime=lambda wildcards, attempt: at_most("evaluate_batch", "minutes", attempt * 30),
    params:
        results=CONFIG.results,
        settings=stage_settings(CONFIG, "evaluate"),
    message:
        "evaluate {wildcards.batch}"
    shell:
        "columna evaluate-batch {wildcards.batch} --results {params.results:q} "
        "--settings {params.settings:q} --threads {threads} > {log:q} 2>&1"


rule evaluate:
    """Write the optional tables of the evaluation."""
    input:
        index=str(LAYOUT.index / "scans.parquet"),
        stages=evaluation_stages,
    output:
        tables=EVALUATION_TABLES,
    log:
        str(LAYOUT.root / "logs" / "evaluate.log"),
    benchmark:
        str(LAYOUT.root / "benchmarks" / "evaluate.tsv")
    conda:
        "../../envs/columna.yaml"
    threads: 2
    resources:
        mem_mb=lambda wildcards, attempt: at_most("evaluate", "memory_mb", attempt * 4500),
        runtime=lambda wildcards: at_most("evaluate", "minutes", 60),
    params:
        results=CONFIG.results,
        settings=stage_settings(CONFIG, "collect"),
    message:
        "collect the evaluation"
    shell:
        "columna collect-evaluation --results {params.results:q} --settings {params.settings:q} "
        "> {log:q} 2>&1"
