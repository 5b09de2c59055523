"""nnU-Net's own training of one fold, also where some of its trainers cannot be imported.

To find a trainer by name, nnU-Net imports all of them; those of Primus need timm and torchvision,
whose wheel fails beside a CPU build of torch. Without this, no trainer could be found there.
"""

import importlib
import sys
from types import ModuleType

from columna.train.recipe import NnunetSettings

OPTIONAL = "nnunetv2.training.nnUNetTrainer.primus.primus_trainers"
"""Trainers that nobody has asked for."""


def train_fold(settings: NnunetSettings, fold: int, threads: int) -> None:
    """Train a fold, or continue to, in the folders that nnU-Net's environment variables name.

    Parameters
    ----------
    settings
        Dataset, configuration, trainer, plans and device.
    fold
        The fold that is held out.
    threads
        Cores of the network, where it trains on the CPU.
    """
    import torch

    skip_if_broken(OPTIONAL)
    from nnunetv2.run.run_training import run_training

    torch.set_num_threads(threads if settings.device == "cpu" else 1)
    run_training(
        str(settings.dataset_id),
        settings.configuration,
        fold,
        settings.trainer,
        settings.plans,
        continue_training=True,
        device=torch.device(settings.device),
    )


def skip_if_broken(name: str) -> None:
    """Let the module `name` be empty if it cannot be imported, for whatever reason."""
    try:
        importlib.import_module(name)
    except Exception:
        sys.modules[name] = ModuleType(name)
