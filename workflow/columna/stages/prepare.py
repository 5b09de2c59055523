"""Stage prepare: a scan becomes a checked, corrected image in the grid of the phase-1 model."""

from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

from columna.cohort.manifest import ScanEntry
from columna.models.folder import ModelFolder
from columna.models.registry import find_model
from columna.prepare import Scan, prepare_scan, read_scan
from columna.prepare.modality import sidecar_path
from columna.stages.base import Saved, Stage
from columna.stages.source import source_sha256
from columna.volume import Volume, save_image

if TYPE_CHECKING:
    from columna.models.grid import ModelGrid

PREPARED = "prepared.nii.gz"


class PrepareStage(Stage):
    """Check, correct, normalise, reorient and resample; with masks at hand, check only."""

    name = "prepare"
    version = 5

    @cached_property
    def grid(self) -> "ModelGrid":
        """What the phase-1 model asks for; not looked for before a scan needs it."""
        return ModelFolder.read(find_model(self.config.models.semantic)).grid

    def dependencies(self, scan: ScanEntry) -> dict[str, Any]:
        """Input file, sidecar, settings and the grid that the model asks for, if one is to run."""
        return {
            "input": source_sha256(scan.path, self.file(scan, "source.json")),
            "sidecar": source_sha256(
                sidecar_path(scan.path), self.file(scan, "source-sidecar.json")
            ),
            "settings": self.config.prepare.model_dump(mode="json"),
            "grid": None if scan.has_masks else asdict(self.grid),
        }

    def load(self, scan: ScanEntry) -> tuple[Scan, bool]:
        """Read and check the input file; whether an image for a network has to be made."""
        return read_scan(scan.path, self.config.prepare), not scan.has_masks

    def compute(self, item: tuple[Scan, bool]) -> tuple[Scan, Volume | None]:
        """Prepare the image."""
        read, is_wanted = item
        return read, prepare_scan(read, self.grid, self.config.prepare) if is_wanted else None

    def save(self, scan: ScanEntry, result: tuple[Scan, Volume | None]) -> Saved:
        """Write the prepared image; facts and grid of the input go into the record."""
        read, prepared = result
        files = []
        if prepared is not None:
            files = [self.file(scan, PREPARED)]
            save_image(prepared, files[0])
        grid = {"shape": list(read.volume.shape), "affine": read.volume.affine.tolist()}
        return Saved(files, {"facts": read.facts, "grid": grid})
