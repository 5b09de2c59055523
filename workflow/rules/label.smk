"""Stage label (phase 3): CPU. In: both raw masks. Out: final masks, how each scan came out."""


rule label:
    """Name the vertebrae and write the final masks in the grid of the input."""
    input:
        manifest=str(LAYOUT.manifest("{batch}")),
        instance=str(LAYOUT.stage_table("instance", "{batch}")),
    output:
        table=str(LAYOUT.stage_table("label", "{batch}")),
    log:
        log_file("label"),
    benchmark:
        benchmark_file("label")
    conda:
        "../../envs/columna.yaml"
    threads: 4
    resources:
        mem_mb=lambda wildcards, threads, attempt: at_most(
            "label", "memory_mb", attempt * (1000 + 2000 * threads)
        ),
        runtime=lambda wildcards, attempt: at_most("label", "minutes", attempt * 30),
        corrections=corrections("corrections", "corrected_masks"),
    params:
        results=CONFIG.results,
        settings=stage_settings(CONFIG, "label"),
    message:
        "label {wildcards.batch}"
    shell:
        "columna label {wildcards.batch} --results {params.results:q} "
        "--settings {params.settings:q} --threads {threads} {resources.corrections} > {log:q} 2>&1"
