"""Report: the delivered tables and the pictures become pages that open from disk."""


rule report:
    """Write the pages; `index.html` is the first one."""
    input:
        tables=rules.collect.output.tables,
        pictures=lambda wildcards: [LAYOUT.stage_table("picture", b) for b in batches()],
    output:
        str(LAYOUT.report / "index.html"),
        str(LAYOUT.report / "manifest.json"),
    log:
        str(LAYOUT.root / "logs" / "report.log"),
    benchmark:
        str(LAYOUT.root / "benchmarks" / "report.tsv")
    conda:
        "../../envs/columna.yaml"
    threads: 2
    resources:
        mem_mb=lambda wildcards, attempt: attempt * 3000,
        runtime=60,
    params:
        results=CONFIG.results,
        settings=stage_settings(CONFIG, "report"),
    message:
        "write the report"
    shell:
        "columna report --results {params.results:q} --settings {params.settings:q} "
        "--threads {threads} > {log:q} 2>&1"
