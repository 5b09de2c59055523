"""Stage instance: phase 2, the semantic mask becomes vertebra instances."""

from typing import ClassVar

from columna.images.volume import Volume
from columna.results.manifest import ScanEntry
from columna.stages.base import Saved
from columna.stages.network_stage import NetworkStage
from columna.stages.semantic import SEMANTIC

INSTANCE = "instance"


class InstanceStage(NetworkStage, name="instance"):
    """Look at a window around every vertebral body and merge the overlapping answers."""

    without_effect: ClassVar[set[str]] = {"batch_size"}  # windows are independent

    def open(self, threads: int) -> None:
        """Load the network."""
        import torch

        from columna.models.instance_network import load_instance_model

        torch.set_num_threads(threads)
        self.model = load_instance_model(
            self.folder, self.config.models.device, self.config.instance.compute
        )

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
