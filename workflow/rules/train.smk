"""Training, beside the cohort: `snakemake train`. The recipe is config/train.yaml.

In: nothing (synthetic scans), or sheets of scans with masks. Out: model folders and curves below
`results/train`. States to continue from are not declared, so that Snakemake never deletes them.
"""


rule train:
    """Train both networks as the recipe says."""
    input:
        trained_models,


rule train_convert:
    """Check and prepare scans and masks of one's own; nnU-Net raw format."""
    input:
        lambda wildcards: [str(d.file) for d in recipe().datasets.values()],
    output:
        CASES,
    log:
        join(TRAIN, "logs", "convert-{dataset}.log"),
    conda:
        "../../envs/columna.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: at_most("train_convert", "memory_mb", attempt * 4000),
        runtime=lambda wildcards, attempt: at_most("train_convert", "minutes", attempt * 240),
    params:
        folder=above(1),
        recipe=data_recipe,
    message:
        "convert the datasets of the recipe"
    shell:
        "columna train convert --out {params.folder:q} --settings {params.recipe:q} > {log:q} 2>&1"


rule train_maps:
    """Make the pool of label maps."""
    output:
        touch(join(TRAIN, "maps", "done")),
    log:
        join(TRAIN, "logs", "maps.log"),
    conda:
        "../../envs/columna.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: at_most("train_maps", "memory_mb", attempt * 4000),
        runtime=lambda wildcards, attempt: at_most("train_maps", "minutes", attempt * 240),
    params:
        folder=above(0),
        maps=lambda wildcards: recipe().maps,
    message:
        "make label maps"
    shell:
        "columna train pool {params.folder:q} --maps {params.maps} > {log:q} 2>&1"


rule train_network:
    """Train one network with columna's own loop; a killed job continues."""
    input:
        dataset=converted,
        maps=label_maps,
    output:
        join(TRAIN, "{phase}", "model", "inference_config.json"),
        join(TRAIN, "{phase}", "curves.parquet"),
        join(TRAIN, "{phase}", "curves.png"),
    log:
        join(TRAIN, "logs", "{phase}.log"),
    conda:
        "../../envs/columna.yaml"
    threads: 8
    resources:
        mem_mb=lambda wildcards, attempt: at_most("train_network", "memory_mb", attempt * 16000),
        runtime=lambda wildcards, attempt: at_most("train_network", "minutes", attempt * 1440),
        gpu=train_gpu,
    params:
        folder=above(1),
        given=lambda wildcards, input: (
            (f" --dataset {quote(dirname(input.dataset))}" if input.dataset else "")
            + (f" --maps {quote(dirname(input.maps))}" if input.maps else "")
        ),
        recipe=network_recipe,
    message:
        "train {wildcards.phase}"
    shell:
        "columna train network {wildcards.phase} --out {params.folder:q}{params.given} "
        "--settings {params.recipe:q} --threads {threads} >> {log:q} 2>&1"
