"""Phase 1 by nnU-Net itself, for recipes that say `engine: nnunet`. In: a converted dataset."""


rule train_nnunet_plan:
    """Let nnU-Net plan and preprocess; its folds are those of the participants."""
    input:
        CASES,
    output:
        SPLITS,
    log:
        join(TRAIN, "logs", "plan-{dataset}.log"),
    conda:
        "../../envs/columna.yaml"
    threads: 8
    resources:
        mem_mb=lambda wildcards, attempt: at_most("train_nnunet_plan", "memory_mb", attempt * 16000),
        runtime=lambda wildcards, attempt: at_most("train_nnunet_plan", "minutes", attempt * 240),
    params:
        folders=nnunet_folders(2),
        nnunet=lambda wildcards: recipe().nnunet,
        recipe=data_recipe,
    message:
        "nnU-Net plans and preprocesses"
    shell:
        "({params.folders} nnUNetv2_plan_and_preprocess -d {params.nnunet.dataset_id} "
        "-c {params.nnunet.configuration} -pl {params.nnunet.planner} "
        "-npfp {threads} -np {threads} --verify_dataset_integrity && "
        'columna train splits "$(dirname {input:q})" "$(dirname {output:q})" '
        "--settings {params.recipe:q}) > {log:q} 2>&1"


rule train_nnunet_fold:
    """Let nnU-Net train one fold, or continue to."""
    input:
        SPLITS,
    output:
        FOLD,
    log:
        join(TRAIN, "logs", "{dataset}-{trained}-{fold}.log"),
    conda:
        "../../envs/columna.yaml"
    threads: 8
    resources:
        mem_mb=lambda wildcards, attempt: at_most("train_nnunet_fold", "memory_mb", attempt * 32000),
        runtime=lambda wildcards, attempt: at_most("train_nnunet_fold", "minutes", attempt * 2880),
        gpu=lambda wildcards: 0 if recipe().nnunet.device == "cpu" else gpus("train_nnunet_fold", 1),
    params:
        folders=nnunet_folders(4),
        recipe=fold_recipe,
    message:
        "nnU-Net trains fold {wildcards.fold}"
    shell:
        "{params.folders} nnUNet_n_proc_DA={threads} columna train nnunet {wildcards.fold} "
        "--settings {params.recipe:q} --threads {threads} >> {log:q} 2>&1"


rule train_nnunet_model:
    """Gather the folds in a model folder."""
    input:
        folds=trained_folds,
    output:
        join(TRAIN, "nnunet", "model", "inference_config.json"),
    log:
        join(TRAIN, "logs", "export.log"),
    conda:
        "../../envs/columna.yaml"
    params:
        trained=lambda wildcards, input: Path(input.folds[0]).parents[1],
        model=above(0),
    message:
        "export what nnU-Net has trained"
    shell:
        "columna train export {params.trained:q} --out {params.model:q} > {log:q} 2>&1"
