"""What loaded models of both phases have in common."""

from dataclasses import dataclass

import torch

from columna.models.folder import ModelFolder
from columna.models.grid import ModelGrid
from columna.models.inference_config import InferenceConfig


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A model that is ready for inference.

    Parameters
    ----------
    folder
        Where it came from.
    device, compute
        Where it runs, in which number format (use with `models.device.inference`).
    may_compile
        Whether OpenVINO may run it on a CPU. Not in a process that trains: torch's training
        crashed in some processes in which OpenVINO had run networks.
    """

    folder: ModelFolder
    device: torch.device
    compute: torch.dtype
    may_compile: bool = True

    @property
    def config(self) -> InferenceConfig:
        """Content of ``inference_config.json``."""
        return self.folder.config

    @property
    def grid(self) -> ModelGrid:
        """Grid of the network's input."""
        return self.folder.grid

    @property
    def digest(self) -> str:
        """SHA-256 of the model's files."""
        return self.folder.digest
