"""Collect: rows of all batches become one validated Parquet file per table."""


rule collect:
    """Validate, sort and write the delivered tables and their dictionary."""
    input:
        index=str(LAYOUT.index / "scans.parquet"),
        stages=lambda wildcards: [LAYOUT.stage_table(MEASURED_STAGES[-1], b) for b in batches()],
    output:
        tables=[str(LAYOUT.tables / f"{t}.parquet") for t in TABLES],
        dictionary=[str(LAYOUT.tables / f"{t}.json") for t in (*TABLES, "datapackage")],
        views=str(LAYOUT.tables / "views.sql"),
    log:
        str(LAYOUT.root / "logs" / "collect.log"),
    benchmark:
        str(LAYOUT.root / "benchmarks" / "collect.tsv")
    conda:
        "../../envs/columna.yaml"
    threads: 2
    resources:
        mem_mb=lambda wildcards, attempt: at_most("collect", "memory_mb", attempt * 4500),
        runtime=lambda wildcards: at_most("collect", "minutes", 60),
        corrections=corrections("corrections"),
    params:
        results=CONFIG.results,
        settings=stage_settings(CONFIG, "collect"),
    message:
        "collect tables"
    shell:
        "columna collect --results {params.results:q} --settings {params.settings:q} "
        "{resources.corrections} > {log:q} 2>&1"
