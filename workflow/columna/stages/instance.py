"""Stage instance: phase 2, the semantic mask becomes vertebra instances."""

from functools import cached_property
from typing import Any

from columna.cohort.manifest import ScanEntry
from columna.models.folder import ModelFolder
from columna.models.registry import find_model
from columna.stages.base import Saved, Stage
from columna.stages.semantic import SEMANTIC
from columna.volume import Volume

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
            "model": {"name": self.folder.name, "sha256": self.folder.digest},
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
