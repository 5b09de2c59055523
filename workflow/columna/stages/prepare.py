"""Stage prepare: a scan becomes a checked, corrected image in the grid of the phase-1 model."""

from dataclasses import asdict
from typing import Any

from columna.cohort.manifest import ScanEntry
from columna.config import Config
from columna.layout import Layout
from columna.models.folder import ModelFolder
from columna.models.registry import find_model
from columna.prepare import Scan, prepare_scan, read_scan
from columna.prepare.modality import sidecar_path
from columna.stages.base import Saved, Stage
from columna.stages.source import source_sha256
from columna.volume import Volume, save_image

PREPARED = "prepared.nii.gz"


class PrepareStage(Stage):
    """Check, correct, normalise, reorient and resample (DESIGN: prepare)."""

    name = "prepare"
    version = 2

    def __init__(self, config: Config, layout: Layout) -> None:
        super().__init__(config, layout)
        self.grid = ModelFolder.read(find_model(config.models.semantic)).grid

    def dependencies(self, scan: ScanEntry) -> dict[str, Any]:
        """Input file, sidecar, settings and the grid that the model asks for."""
        return {
            "input": source_sha256(scan.path, self.file(scan, "source.json")),
            "sidecar": source_sha256(
                sidecar_path(scan.path), self.file(scan, "source-sidecar.json")
            ),
            "settings": self.config.prepare.model_dump(mode="json"),
            "grid": asdict(self.grid),
        }

    def load(self, scan: ScanEntry) -> Scan:
        """Read and check the input file."""
        return read_scan(scan.path, self.config.prepare)

    def compute(self, item: Scan) -> tuple[Scan, Volume]:
        """Prepare the image."""
        return item, prepare_scan(item, self.grid, self.config.prepare)

    def save(self, scan: ScanEntry, result: tuple[Scan, Volume]) -> Saved:
        """Write the prepared image; facts and grid of the input go into the record."""
        read, prepared = result
        path = self.file(scan, PREPARED)
        save_image(prepared, path)
        grid = {"shape": list(read.volume.shape), "affine": read.volume.affine.tolist()}
        return Saved([path], {"facts": read.facts, "grid": grid})
