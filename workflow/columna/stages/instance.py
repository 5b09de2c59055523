"""Stage instance: phase 2, the semantic mask becomes vertebra instances."""

from typing import Any

from columna.cohort.manifest import ScanEntry
from columna.config import Config
from columna.instance import segment_instances
from columna.layout import Layout
from columna.models.folder import ModelFolder
from columna.models.instance_network import load_instance_model
from columna.models.registry import find_model
from columna.stages.base import Saved, Stage
from columna.stages.semantic import SEMANTIC
from columna.volume import Volume, load_volume, save_volume

INSTANCE = "instance.nii.gz"


class InstanceStage(Stage):
    """Look at a window around every vertebral body and merge the overlapping answers."""

    name = "instance"
    version = 1
    uses_network = True

    def __init__(self, config: Config, layout: Layout) -> None:
        super().__init__(config, layout)
        self.folder = ModelFolder.read(find_model(config.models.instance))

    def open(self) -> None:
        """Load the network."""
        self.model = load_instance_model(
            self.folder.path, self.config.models.device, self.config.instance.compute
        )

    def dependencies(self, scan: ScanEntry) -> dict[str, Any]:
        """Settings and weights; windows are independent, so the batch size does not count."""
        return {
            "settings": self.config.instance.model_dump(mode="json", exclude={"batch_size"}),
            "model": {"name": self.folder.name, "sha256": self.folder.digest},
        }

    def load(self, scan: ScanEntry) -> Volume:
        """Read the semantic mask."""
        return load_volume(self.file(scan, SEMANTIC))

    def compute(self, item: Volume) -> Volume:
        """Separate the vertebrae."""
        return segment_instances(item, self.model, self.config.instance)

    def save(self, scan: ScanEntry, result: Volume) -> Saved:
        """Write the instance mask in the model's grid."""
        path = self.file(scan, INSTANCE)
        save_volume(result, path)
        return Saved([path])
