"""Stage semantic: phase 1, the prepared image becomes a mask of 14 structures."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from columna.images.volume import Volume
from columna.models.folder import ModelFolder
from columna.models.registry import find_model
from columna.results.manifest import ScanEntry
from columna.results.store import Record
from columna.stages.base import Saved, Stage
from columna.stages.model import known_model, model_identity
from columna.stages.prepared import PREPARED, read_prepared

if TYPE_CHECKING:
    from columna.semantic import SemanticResult

SEMANTIC = "semantic"


class SemanticStage(Stage):
    """Run the nnU-Net and clean its answer."""

    name = "semantic"
    version = 4
    uses_network = True

    @cached_property
    def folder(self) -> ModelFolder:
        """The model; not looked for before a scan needs it."""
        return ModelFolder.read(find_model(self.config.models.semantic))

    @cached_property
    def memo(self) -> Path:
        """Where the digest of the model is remembered."""
        return self.layout.receipt("model-semantic")

    @cached_property
    def identity(self) -> dict[str, str]:
        """Name and digest of the model that is loaded."""
        return model_identity(self.folder, self.memo)

    def open(self, threads: int) -> None:
        """Load the network."""
        import torch

        from columna.models.semantic_network import load_semantic_model

        torch.set_num_threads(threads)
        self.model = load_semantic_model(
            self.folder, self.config.models.device, self.config.semantic.compute
        )

    def dependencies(self, scan: ScanEntry) -> dict[str, Any]:
        """Settings and weights."""
        return {
            "settings": self.config.semantic.model_dump(mode="json"),
            "model": self.identity,
        }

    def shared(self) -> dict[str, Any]:
        """Settings and weights, as far as planning knows them."""
        return {
            "settings": self.config.semantic.model_dump(mode="json"),
            "model": known_model(self.config.models.semantic, self.memo),
        }

    def load(self, scan: ScanEntry) -> Volume:
        """Read the prepared image, or make it again."""
        return read_prepared(scan, self.done(scan, "prepare"), self.file(scan, PREPARED))

    def compute(self, item: Volume) -> "SemanticResult":
        """Segment the 14 structures."""
        from columna.semantic import segment_semantic

        return segment_semantic(item, self.model, self.config.semantic)

    def save(self, scan: ScanEntry, result: "SemanticResult") -> Saved:
        """Keep the mask in the model's grid, and the confidence summary."""
        return Saved(values={"confidence": result.confidence}, volumes={SEMANTIC: result.mask})

    def finish(self, batch: str, scans: list[ScanEntry], records: list[Record]) -> None:
        """Remove the prepared images, which no later stage reads."""
        for scan in scans:
            self.clean(scan)
