"""Stage semantic: phase 1, the prepared image becomes a mask of 14 structures."""

from typing import Any

from columna.cohort.manifest import ScanEntry
from columna.config import Config
from columna.layout import Layout
from columna.models.folder import ModelFolder
from columna.models.registry import find_model
from columna.models.semantic_network import load_semantic_model
from columna.semantic import SemanticResult, segment_semantic
from columna.stages.base import Saved, Stage
from columna.stages.prepare import PREPARED
from columna.volume import Volume, load_image, save_volume

SEMANTIC = "semantic.nii.gz"


class SemanticStage(Stage):
    """Run the nnU-Net and clean its answer."""

    name = "semantic"
    version = 1
    uses_network = True

    def __init__(self, config: Config, layout: Layout) -> None:
        super().__init__(config, layout)
        self.folder = ModelFolder.read(find_model(config.models.semantic))

    def open(self) -> None:
        """Load the network."""
        self.model = load_semantic_model(
            self.folder.path, self.config.models.device, self.config.semantic.compute
        )

    def dependencies(self, scan: ScanEntry) -> dict[str, Any]:
        """Settings and weights."""
        return {
            "settings": self.config.semantic.model_dump(mode="json"),
            "model": {"name": self.folder.name, "sha256": self.folder.digest},
        }

    def load(self, scan: ScanEntry) -> Volume:
        """Read the prepared image."""
        return load_image(self.file(scan, PREPARED))

    def compute(self, item: Volume) -> SemanticResult:
        """Segment the 14 structures."""
        return segment_semantic(item, self.model, self.config.semantic)

    def save(self, scan: ScanEntry, result: SemanticResult) -> Saved:
        """Write the mask in the model's grid; the confidence summary goes into the record."""
        path = self.file(scan, SEMANTIC)
        save_volume(result.mask, path)
        return Saved([path], {"confidence": result.confidence})
