"""Stage semantic: phase 1, the prepared image becomes a mask of 14 structures."""

from typing import TYPE_CHECKING

from columna.anatomy import Semantic
from columna.errors import ModelError
from columna.images.volume import Volume
from columna.results.manifest import ScanEntry
from columna.results.store import Record
from columna.stages.base import Saved
from columna.stages.network_stage import NetworkStage
from columna.stages.prepared import PREPARED, read_prepared

if TYPE_CHECKING:
    from columna.semantic import SemanticResult

SEMANTIC = "semantic"
MAPS = ("probability", "entropy")
"""Maps of the network's certainty that are kept beside the mask."""


class SemanticStage(NetworkStage, name="semantic"):
    """Run the nnU-Net and clean its answer."""

    def open(self, threads: int) -> None:
        """Load the network."""
        import torch

        from columna.models.semantic_network import load_semantic_model

        torch.set_num_threads(threads)
        self.model = load_semantic_model(
            self.folder, self.config.models.device, self.config.semantic.compute
        )
        if Semantic.VERTEBRAL_BODY not in self.model.class_labels:
            raise ModelError(
                f"{self.folder.path}: draws no vertebral bodies, which phase 2 and the measures "
                "need; models of one phase are for `columna train evaluate --one-phase`"
            )

    def load(self, scan: ScanEntry) -> Volume:
        """Read the prepared image, or make it again."""
        return read_prepared(scan, self.done(scan, "prepare"), self.file(scan, PREPARED))

    def compute(self, item: Volume) -> "SemanticResult":
        """Segment the 14 structures."""
        from columna.semantic import segment_semantic

        return segment_semantic(item, self.model, self.config.semantic)

    def save(self, scan: ScanEntry, result: "SemanticResult") -> Saved:
        """Keep the mask and the network's certainty in the model's grid, and a summary of it."""
        return Saved(
            values={"confidence": result.confidence},
            volumes={SEMANTIC: result.mask, **result.certainty},
        )

    def finish(self, batch: str, scans: list[ScanEntry], records: list[Record]) -> None:
        """Remove the prepared images, which no later stage reads."""
        for scan in scans:
            self.clean(scan)
