"""Stages measure, assess and picture: CPU. In: final masks. Out: how each scan came out of them.

One job runs all: the rows of the measures are what assess looks at first, and a rule of its own
would cost a large cohort three more seconds of planning. The batch's rows of every table are
written before the declared outputs, below results/shards.
"""


rule measure:
    """Measure the scans of a batch, answer the quality rules, and draw a picture of each."""
    input:
        manifest=str(LAYOUT.manifest("{batch}")),
        label=str(LAYOUT.stage_table("label", "{batch}")),
    output:
        measure=str(LAYOUT.stage_table("measure", "{batch}")),
        assess=str(LAYOUT.stage_table("assess", "{batch}")),
        picture=str(LAYOUT.stage_table("picture", "{batch}")),
    log:
        log_file("measure"),
    benchmark:
        benchmark_file("measure")
    conda:
        "../../envs/columna.yaml"
    threads: 4
    resources:
        mem_mb=lambda wildcards, threads, attempt: at_most(
            "measure", "memory_mb", attempt * (1000 + 1500 * threads)
        ),
        runtime=lambda wildcards, attempt: at_most("measure", "minutes", attempt * 30),
    params:
        results=CONFIG.results,
        settings=stage_settings(CONFIG, "measure"),
        pictures=stage_settings(CONFIG, "picture"),
    message:
        "measure, assess and draw {wildcards.batch}"
    shell:
        "columna measure {wildcards.batch} --results {params.results:q} "
        "--settings {params.settings:q} --threads {threads} > {log:q} 2>&1 && "
        "columna assess {wildcards.batch} --results {params.results:q} "
        "--settings {params.settings:q} --threads {threads} >> {log:q} 2>&1 && "
        "columna picture {wildcards.batch} --results {params.results:q} "
        "--settings {params.pictures:q} --threads {threads} >> {log:q} 2>&1"
