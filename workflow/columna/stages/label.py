"""Stage label: phase 3, both raw masks become the delivered masks in the grid of the input."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from columna.errors import ScanRefused
from columna.files import remove_empty, write_json
from columna.images.volume import Volume, save_volume
from columna.label import LabelResult, label_masks, take_masks
from columna.label.given_anchor import Anchor
from columna.label.points import poi_json
from columna.prepare import read_mask
from columna.results.derivatives import Derivatives, mask_sidecar
from columna.results.input_digest import check_unchanged, source_sha256
from columna.results.layout import stages_before
from columna.results.manifest import MASKS, ScanEntry
from columna.results.store import Record
from columna.stages.base import Saved, Stage
from columna.stages.derived_dataset import write_dataset_files
from columna.stages.instance import INSTANCE
from columna.stages.semantic import SEMANTIC


@dataclass(frozen=True)
class LabelItem:
    """Input grid (its voxels are not used) and both masks: raw answers of networks, or given."""

    grid: Volume
    semantic: Volume
    instance: Volume
    are_given: bool
    anchor: Anchor | None = None


class LabelStage(Stage, name="label"):
    """Clean, name, derive discs and endplates, and write BIDS derivatives."""

    def dependencies(self, scan: ScanEntry) -> dict[str, Any]:
        """Settings, and masks and levels that the cohort gives."""
        if not scan.has_masks:
            settings = self.config.label.model_dump(mode="json", exclude={"given_levels"})
            return {"settings": settings, **_levels(scan)}
        digests = {
            mask: source_sha256(getattr(scan, mask), self.store, scan.scan_id, mask)
            for mask in MASKS
        }
        settings = self.config.label.model_dump(mode="json")
        return {"settings": settings, "masks": digests, **_levels(scan)}

    def shared(self) -> dict[str, Any]:
        """Settings."""
        return {"settings": self.config.label.model_dump(mode="json")}

    def load(self, scan: ScanEntry) -> LabelItem:
        """Read both masks; the grid of the input is in the record of prepare."""
        grid = self.done(scan, "prepare").values["grid"]
        nothing = np.broadcast_to(np.uint8(0), grid["shape"])
        if scan.has_masks:
            semantic, instance = (self._given(scan, mask) for mask in MASKS)
        else:
            semantic, instance = (
                self.store.volume(scan.scan_id, name) for name in (SEMANTIC, INSTANCE)
            )
        anchor = Anchor.of(scan.given_levels)
        empty = Volume(nothing, np.array(grid["affine"]))
        return LabelItem(empty, semantic, instance, scan.has_masks, anchor)

    def compute(self, item: LabelItem) -> LabelResult:
        """Final masks and names."""
        take = take_masks if item.are_given else label_masks
        masks = (item.grid, item.semantic, item.instance)
        return take(*masks, self.config.label, anchor=item.anchor)

    def save(self, scan: ScanEntry, result: LabelResult) -> Saved:
        """Write masks, their sidecar and points below the derivatives folder."""
        names = Derivatives(self.layout.derivatives, scan.scan_id)
        save_volume(result.semantic, names.semantic)
        save_volume(result.instance, names.instance)
        write_json(names.sidecar, mask_sidecar(scan.path.name, names, self._history(scan)))
        write_json(names.points, poi_json(result))
        for former in names.former_files:
            former.unlink(missing_ok=True)
            remove_empty(former.parent)
        return Saved(names.files, {"levels": result.levels, "naming": result.naming})

    def finish(self, batch: str, scans: list[ScanEntry], records: list[Record]) -> None:
        """Write what describes the derivatives folder as a whole."""
        write_dataset_files(self.layout.derivatives, self.layout.index)

    def _history(self, scan: ScanEntry) -> dict[str, dict[str, Any]]:
        """What every stage of this scan depended on: input digest, settings, models."""
        earlier = {s: self.done(scan, s).dependencies for s in stages_before(self.name, scan)}
        return earlier | {"label": self.dependencies(scan)}

    def _given(self, scan: ScanEntry, mask: str) -> Volume:
        """A mask of the cohort; what is wrong with it is told with its name."""
        path = getattr(scan, mask)
        try:
            found = read_mask(path, self.config.prepare)
        except ScanRefused as refusal:
            raise ScanRefused("bad_mask", f"The {mask} mask: {refusal.reason}") from refusal
        check_unchanged(path, self.store, scan.scan_id, mask)
        return found


def _levels(scan: ScanEntry) -> dict[str, Any]:
    """Levels that the cohort gives; nothing where it gives none."""
    return {"levels": scan.given_levels} if scan.given_levels else {}
