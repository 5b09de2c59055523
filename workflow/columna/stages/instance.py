"""Stage instance: phase 2, the semantic mask becomes vertebra instances."""

from functools import cached_property
from pathlib import Path
from typing import Any

from columna.images.volume import Volume
from columna.models.folder import ModelFolder
from columna.models.registry import find_model
from columna.results.manifest import ScanEntry
from columna.stages.base import Saved, Stage
from columna.stages.model import known_model, model_identity
from columna.stages.semantic import SEMANTIC

INSTANCE = "instance"


class InstanceStage(Stage):
    """Look at a window around every vertebral body and merge the overlapping answers."""

    name = "instance"
    version = 5
    uses_network = True

    @cached_property
    def folder(self) -> ModelFolder:
        """The model; not looked for before a scan needs it."""
        return ModelFolder.read(find_model(self.config.models.instance))

    @cached_property
    def memo(self) -> Path:
        """Where the digest of the model is remembered."""
        return self.layout.receipt("model-instance")

    @cached_property
    def identity(self) -> dict[str, str]:
        """Name and digest of the model that is loaded."""
        return model_identity(self.folder, self.memo)

    def open(self, threads: int) -> None:
        """Load the network."""
        import torch

        from columna.models.instance_network import load_instance_model

        torch.set_num_threads(threads)
        self.model = load_instance_model(
            self.folder, self.config.models.device, self.config.instance.compute
        )

    def dependencies(self, scan: ScanEntry) -> dict[str, Any]:
        """Settings and weights; windows are independent, so the batch size does not count."""
        return {
            "settings": self.config.instance.model_dump(mode="json", exclude={"batch_size"}),
            "model": self.identity,
        }

    def shared(self) -> dict[str, Any]:
        """Settings and weights, as far as planning knows them."""
        return {
            "settings": self.config.instance.model_dump(mode="json", exclude={"batch_size"}),
            "model": known_model(self.config.models.instance, self.memo),
        }

    def load(self, scan: ScanEntry) -> Volume:
        """Read the semantic mask."""
        return self.store.volume(scan.scan_id, SEMANTIC)

    def compute(self, item: Volume) -> Volume:
        """Separate the vertebrae."""
        from columna.instance import segment_instances

        return segment_instances(item, self.model, self.config.instance)

    def save(self, scan: ScanEntry, result: Volume) -> Saved:
        """Keep the instance mask in the model's grid."""
        return Saved(volumes={INSTANCE: result})
