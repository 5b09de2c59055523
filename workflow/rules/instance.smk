"""Stage instance (phase 2): GPU. In: semantic masks. Out: how each scan came out."""


rule instance:
    """Look at a window around every vertebral body and merge the answers."""
    input:
        manifest=str(LAYOUT.manifest("{batch}")),
        semantic=str(LAYOUT.stage_table("semantic", "{batch}")),
    output:
        table=str(LAYOUT.stage_table("instance", "{batch}")),
    log:
        log_file("instance"),
    benchmark:
        benchmark_file("instance")
    conda:
        "../../envs/columna.yaml"
    threads: 8
    resources:
        mem_mb=lambda wildcards, attempt: at_most("instance", "memory_mb", attempt * 6000),
        runtime=lambda wildcards, attempt: at_most("instance", "minutes", attempt * 60),
        gpu=lambda wildcards: gpus("instance"),
    params:
        results=CONFIG.results,
        settings=stage_settings(CONFIG, "instance"),
    message:
        "instance {wildcards.batch}"
    shell:
        "columna instance {wildcards.batch} --results {params.results:q} "
        "--settings {params.settings:q} --threads {threads} > {log:q} 2>&1"
