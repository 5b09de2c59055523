"""Stage semantic (phase 1): GPU. In: prepared images. Out: how each scan came out."""


rule semantic:
    """Segment 14 structures with the nnU-Net."""
    input:
        manifest=str(LAYOUT.manifest("{batch}")),
        prepare=str(LAYOUT.stage_table("prepare", "{batch}")),
    output:
        table=str(LAYOUT.stage_table("semantic", "{batch}")),
    log:
        log_file("semantic"),
    benchmark:
        benchmark_file("semantic")
    conda:
        "../../envs/columna.yaml"
    threads: 8
    resources:
        mem_mb=lambda wildcards, attempt: at_most("semantic", "memory_mb", attempt * 6000),
        runtime=lambda wildcards, attempt: at_most("semantic", "minutes", attempt * 60),
        gpu=lambda wildcards: gpus("semantic"),
    params:
        results=CONFIG.results,
        settings=stage_settings(CONFIG, "semantic"),
    message:
        "semantic {wildcards.batch}"
    shell:
        "columna semantic {wildcards.batch} --results {params.results:q} "
        "--settings {params.settings:q} --threads {threads} > {log:q} 2>&1"
