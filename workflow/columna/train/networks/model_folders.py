"""Write trained networks as the model folders that SPINEPS and columna read."""

from pathlib import Path

import torch
from torch import nn

from columna.anatomy import Semantic
from columna.files import atomic_path, write_json
from columna.models.instance_network import state_for_checkpoint
from columna.train.labels import ALL, LABELS, Classes
from columna.train.networks import instance_training, semantic_training

_NAMES: dict[int, str | int] = {
    Semantic.ARCUS: "Arcus_Vertebrae",
    Semantic.SPINOUS_PROCESS: "Spinosus_Process",
    Semantic.COSTAL_PROCESS_LEFT: "Costal_Process_Left",
    Semantic.COSTAL_PROCESS_RIGHT: "Costal_Process_Right",
    Semantic.SUPERIOR_ARTICULAR_LEFT: "Superior_Articular_Left",
    Semantic.SUPERIOR_ARTICULAR_RIGHT: "Superior_Articular_Right",
    Semantic.INFERIOR_ARTICULAR_LEFT: "Inferior_Articular_Left",
    Semantic.INFERIOR_ARTICULAR_RIGHT: "Inferior_Articular_Right",
    Semantic.VERTEBRAL_BODY: "Vertebra_Corpus_border",
    Semantic.SPINAL_CORD: "Spinal_Cord",
    Semantic.SPINAL_CANAL: "Spinal_Canal",
    Semantic.ENDPLATE: "Endplate",
    Semantic.DISC: "Vertebra_Disc",
    Semantic.SACRUM: 26,
}
"""Label names of SPINEPS (docs/method.md#structures); the sacrum goes by its number."""
_CONFIGURATION = "3d_fullres"
_RESAMPLING = "resample_data_or_seg_to_shape"


def export_semantic(network: nn.Module, folder: Path, classes: Classes = ALL) -> None:
    """Write an nnU-Net v2 folder with ``inference_config.json`` (docs/method.md#model-folders)."""
    write_json(folder / "plans.json", _plans(classes))
    write_json(folder / "dataset.json", classes.dataset_json(0))
    name = "Bundled-T2w" if classes == ALL else "One-phase-T2w"
    config = semantic_config(name, semantic_training.SPACING_MM, classes)
    write_json(folder / "inference_config.json", config)
    checkpoint = {
        "trainer_name": "nnUNetTrainer",
        "init_args": {"configuration": _CONFIGURATION},
        "inference_allowed_mirroring_axes": None,
        "network_weights": _plain(network.state_dict()),
    }
    _save(checkpoint, folder / "fold_0" / "checkpoint_final.pth")


def semantic_config(
    name: str, spacing_mm: tuple[float, float, float], classes: Classes = ALL
) -> dict:
    """``inference_config.json`` of an nnU-Net with these classes.

    A class that merges structures keeps its number, which is no label of the method: no later
    stage can take it for one.
    """
    labels: list[str | int] = [*range(1, classes.count)]
    if classes == ALL:
        labels = [_NAMES[label] for label in LABELS]
    return _inference_config(name, "T2w", "nnunet", spacing_mm) | {
        "labels": {str(n): label for n, label in enumerate(labels, 1)},
        "expected_inputs": ["img"],
    }


def export_instance(network: nn.Module, folder: Path, _classes: Classes = ALL) -> None:
    """Write a Lightning-like checkpoint (docs/method.md#the-instance-checkpoint) and its config."""
    write_json(
        folder / "inference_config.json",
        _inference_config("Bundled-Instance", "SEG", "unet", instance_training.SPACING_MM)
        | {
            "labels": {"1": 1, "2": 2, "3": 3},
            "expected_inputs": ["seg"],
            "cutout_size": list(instance_training.CUTOUT),
            # 50 and 250 mm3
            "corpus_size_cleaning": 10,
            "vert_size_threshold": 50,
        },
    )
    checkpoint = {
        "state_dict": _plain(state_for_checkpoint(network)),
        "hyper_parameters": {
            "dim": instance_training.WIDTH,
            "num_channels": instance_training.CHANNELS,
        },
        "pytorch-lightning_version": "2.0.0",
    }
    _save(checkpoint, folder / "vert_weights.ckpt")


EXPORTS = {"semantic": export_semantic, "instance": export_instance}


def _plain(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights in half precision: half the file; loading makes them float32 again.

    nnU-Net's networks list many weights under several names; each is stored once.
    """
    stored: dict[int, torch.Tensor] = {}
    for tensor in state.values():
        stored.setdefault(tensor.data_ptr(), tensor.detach().cpu().half().contiguous())
    return {key: stored[tensor.data_ptr()] for key, tensor in state.items()}


def _save(checkpoint: dict, path: Path) -> None:
    """Write a checkpoint; through a stream, since torch writes file names into its files."""
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        torch.save(checkpoint, stream)


def _inference_config(
    name: str, modality: str, kind: str, spacing_mm: tuple[float, float, float]
) -> dict:
    return {
        "log_name": name,
        "modality": [modality],
        "acquisition": "sag",
        "modeltype": kind,
        "model_expected_orientation": ["P", "I", "R"],
        "available_folds": 1,
        "inference_augmentation": False,
        "resolution_range": list(spacing_mm),
        "default_step_size": 0.5,
    }


def _plans(classes: Classes) -> dict:
    """nnU-Net plans; axes are (R, I, P), the reverse of the image's."""
    order = {"order_z": 0, "force_separate_z": None}
    resampling = {
        f"resampling_fn_{what}": _RESAMPLING for what in ("data", "seg", "probabilities")
    } | {
        "resampling_fn_data_kwargs": {"is_seg": False, "order": 3, **order},
        "resampling_fn_seg_kwargs": {"is_seg": True, "order": 1, **order},
        "resampling_fn_probabilities_kwargs": {"is_seg": False, "order": 1, **order},
    }
    return {
        "dataset_name": "Dataset001_columna_phantoms",
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": list(semantic_training.SPACING_MM[::-1]),
        "original_median_shape_after_transp": [18, 250, 170],
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {
            "0": dict.fromkeys(
                ("max", "mean", "median", "min", "percentile_00_5", "percentile_99_5", "std"), 1.0
            )
        },
        "configurations": {
            _CONFIGURATION: {
                "data_identifier": "nnUNetPlans_3d_fullres",
                "preprocessor_name": "DefaultPreprocessor",
                "batch_size": 2,
                "patch_size": list(semantic_training.PATCH[::-1]),
                "median_image_size_in_voxels": [18, 250, 170],
                "spacing": list(semantic_training.SPACING_MM[::-1]),
                "normalization_schemes": ["ZScoreNormalization"],
                "use_mask_for_norm": [False],
                "batch_dice": True,
                "architecture": semantic_training.architecture(classes),
                **resampling,
            }
        },
    }
