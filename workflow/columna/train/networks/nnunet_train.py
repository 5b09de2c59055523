"""nnU-Net's training command, also where some of its trainers cannot be imported.

``python -m columna.train.networks.nnunet_train`` takes the arguments of ``nnUNetv2_train``. To find
a trainer by name, nnU-Net imports all of them; those of Primus need timm and torchvision, whose
wheel fails beside a CPU build of torch. Without this, no trainer could be found there.
"""

import importlib
import sys
from types import ModuleType

OPTIONAL = "nnunetv2.training.nnUNetTrainer.primus.primus_trainers"
"""Trainers that nobody has asked for."""


def skip_if_broken(name: str) -> None:
    """Let the module `name` be empty if it cannot be imported, for whatever reason."""
    try:
        importlib.import_module(name)
    except Exception:
        sys.modules[name] = ModuleType(name)


if __name__ == "__main__":
    skip_if_broken(OPTIONAL)
    from nnunetv2.run.run_training import run_training_entry

    run_training_entry()
