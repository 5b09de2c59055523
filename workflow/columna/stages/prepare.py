"""Stage prepare: a scan becomes a checked, corrected image in the grid of the phase-1 model."""

from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

from columna.images.volume import Volume
from columna.models.folder import ModelFolder
from columna.models.registry import find_model
from columna.prepare import Scan, prepare_scan, read_scan
from columna.prepare.sidecars import sidecar_sha256
from columna.results.input_digest import check_unchanged, source_sha256
from columna.results.manifest import ScanEntry
from columna.stages.base import Saved, Stage
from columna.stages.model_identity import known_model
from columna.stages.prepared import PREPARED, write_prepared

if TYPE_CHECKING:
    from columna.models.grid import ModelGrid


class PrepareStage(Stage, name="prepare"):
    """Check, correct, normalise, reorient and resample; with masks at hand, check only."""

    @cached_property
    def grid(self) -> "ModelGrid":
        """What the phase-1 model asks for; not looked for before a scan needs it."""
        return ModelFolder.read(find_model(self.config.models.semantic)).grid

    def dependencies(self, scan: ScanEntry) -> dict[str, Any]:
        """Input file, sidecars, settings and the grid that the model asks for, if one is to run."""
        return {
            "input": source_sha256(scan.path, self.store, scan.scan_id, "input"),
            "sidecars": sidecar_sha256(scan.path),
            "settings": self.config.prepare.model_dump(mode="json"),
            "grid": None if scan.has_masks else asdict(self.grid),
        }

    def shared(self) -> dict[str, Any]:
        """Settings, and the model that says which grid it wants."""
        memo = self.layout.receipt("model-semantic")
        model = known_model(self.config.models.semantic, memo)
        return {"settings": self.config.prepare.model_dump(mode="json"), "model": model}

    def load(self, scan: ScanEntry) -> tuple[Scan, bool]:
        """Read and check the input file; whether an image for a network has to be made."""
        read = read_scan(scan.path, self.config.prepare)
        check_unchanged(scan.path, self.store, scan.scan_id, "input")
        return read, not scan.has_masks

    def compute(self, item: tuple[Scan, bool]) -> tuple[Scan, Volume | None]:
        """Prepare the image."""
        read, is_wanted = item
        return read, prepare_scan(read, self.grid, self.config.prepare) if is_wanted else None

    def save(self, scan: ScanEntry, result: tuple[Scan, Volume | None]) -> Saved:
        """Write the prepared image; facts and grid of the input go into the record.

        The image is no lasting result: the next stage removes it, or makes it again.
        """
        read, prepared = result
        grid = {"shape": list(read.volume.shape), "affine": read.volume.affine.tolist()}
        values = {"facts": read.facts, "grid": grid}
        if prepared is not None:
            values["prepared_sha256"] = write_prepared(prepared, self.file(scan, PREPARED))
        return Saved(values=values)
