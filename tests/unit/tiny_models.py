"""Model folders in the layouts of SPINEPS, with networks small enough for unit tests."""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet

from columna.errors import ModelError
from columna.models.instance_network import InstanceUNet, state_for_checkpoint

PATCH = (8, 16, 16)
CONFIG = {
    "log_name": "tiny",
    "modality": ["T2w"],
    "acquisition": "sag",
    "modeltype": "nnunet",
    "model_expected_orientation": ["P", "I", "R"],
    "available_folds": 1,
    "inference_augmentation": False,
    "resolution_range": [0.75, 0.75, 1.65],
    "default_step_size": 0.5,
    "labels": {"1": "Vertebra_Corpus_border", "2": "Vertebra_Disc", "3": 26},
}
_COMMON_PLAN = {
    "patch_size": PATCH,
    "spacing": [1.65, 0.75, 0.75],
    "normalization_schemes": ["ZScoreNormalization"],
    "use_mask_for_norm": [False],
    "batch_size": 2,
    # nnU-Net's own predictor, which a test compares with, wants to know how to resample
    **{f"resampling_fn_{what}": "resample_data_or_seg_to_shape" for what in ("data", "seg")},
    "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
    "resampling_fn_data_kwargs": {"is_seg": False, "order": 3, "order_z": 0},
    "resampling_fn_seg_kwargs": {"is_seg": True, "order": 1, "order_z": 0},
    "resampling_fn_probabilities_kwargs": {"is_seg": False, "order": 1, "order_z": 0},
}
_KERNELS = [[1, 3, 3], [3, 3, 3]]
_STRIDES = [[1, 1, 1], [2, 2, 2]]
CLASSIC_PLAN = {
    **_COMMON_PLAN,
    "UNet_class_name": "PlainConvUNet",
    "UNet_base_num_features": 4,
    "unet_max_num_features": 8,
    "n_conv_per_stage_encoder": [1, 1],
    "n_conv_per_stage_decoder": [1],
    "num_pool_per_axis": [1, 1, 1],
    "pool_op_kernel_sizes": _STRIDES,
    "conv_kernel_sizes": _KERNELS,
}
ARCHITECTURE = {
    "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
    "arch_kwargs": {
        "n_stages": 2,
        "features_per_stage": [4, 8],
        "conv_op": "torch.nn.modules.conv.Conv3d",
        "kernel_sizes": _KERNELS,
        "strides": _STRIDES,
        "n_conv_per_stage": [1, 1],
        "n_conv_per_stage_decoder": [1],
        "conv_bias": True,
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    },
    "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
}
ARCHITECTURE_PLAN = {**_COMMON_PLAN, "architecture": ARCHITECTURE}


def attempt(load, *arguments):
    """What `load` returns and None; or None, and the sentence of its ModelError."""
    try:
        return load(*arguments), None
    except ModelError as error:
        return None, str(error)


def tiny_unet(seed: int) -> torch.nn.Module:
    """The network of both plans, with random weights that spread its answers over all classes."""
    torch.manual_seed(seed)
    network = PlainConvUNet(
        1, 2, (4, 8), torch.nn.Conv3d, _KERNELS, _STRIDES, (1, 1), 4, (1,), conv_bias=True,
        norm_op=torch.nn.InstanceNorm3d, norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=torch.nn.LeakyReLU, nonlin_kwargs={"inplace": True}, deep_supervision=False,
    )  # fmt: skip
    return network.eval()


def write_semantic(
    folder: Path,
    *,
    folds=("0",),
    plan=CLASSIC_PLAN,
    transpose=(0, 1, 2),
    configuration="3d_custom",
    more_configurations=None,
    mirror_axes=(0, 1, 2),
    checkpoint_name="checkpoint_final.pth",
    **config,
) -> Path:
    """Write an nnU-Net folder; fold k holds ``tiny_unet(k)`` (``all``: seed 99)."""
    folder.mkdir(parents=True, exist_ok=True)
    plans = {
        "dataset_name": "Dataset001_tiny",
        "plans_name": "nnUNetPlans",
        "image_reader_writer": "SimpleITKIO",
        "label_manager": "LabelManager",
        "transpose_forward": list(transpose),
        "transpose_backward": [int(i) for i in np.argsort(transpose)],
        "configurations": {configuration: plan, **(more_configurations or {})},
        "foreground_intensity_properties_per_channel": {
            "0": {"mean": 1, "std": 1, "percentile_00_5": 0, "percentile_99_5": 9}
        },
    }
    labels = {"background": 0, "body": 1, "disc": 2, "sacrum": 3}
    dataset = {"channel_names": {"0": "MR"}, "labels": labels, "file_ending": ".nii.gz"}
    (folder / "plans.json").write_text(json.dumps(plans))
    (folder / "dataset.json").write_text(json.dumps(dataset))
    (folder / "inference_config.json").write_text(json.dumps(CONFIG | config))
    for fold in folds:
        path = folder / f"fold_{fold}" / checkpoint_name
        path.parent.mkdir(exist_ok=True)
        seed = 99 if fold == "all" else int(fold)
        checkpoint = {
            "network_weights": tiny_unet(seed).state_dict(),
            "trainer_name": "nnUNetTrainer",
            "init_args": {"configuration": configuration},
            "inference_allowed_mirroring_axes": mirror_axes,
            "_best_ema": np.float64(0.9),
        }
        torch.save(checkpoint, path)
    return folder


def write_instance(folder: Path, channels: int = 10, width: int = 8, **config) -> Path:
    """Write a folder with a Lightning checkpoint of an instance network."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    options = argparse.Namespace(lr=1e-4, folder=Path("runs"))
    checkpoint = {
        "state_dict": state_for_checkpoint(InstanceUNet(channels, width)),
        "hyper_parameters": {
            "opt": options,
            "do2D": False,
        },
        "pytorch-lightning_version": "2.0.0",
    }
    torch.save(checkpoint, folder / "vert_weights.ckpt")
    content = CONFIG | {"modality": "SEG", "modeltype": "unet", "labels": {"1": 1}} | config
    (folder / "inference_config.json").write_text(json.dumps(content))
    return folder
