"""Stage label: phase 3, both raw masks become the delivered masks in the grid of the input."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from columna.errors import ScanRefused
from columna.files import remove_empty, write_json
from columna.images.volume import Volume, save_volume
from columna.label import LabelResult, label_masks, take_masks
from columna.label.corrected import removed_positions, replace_masks
from columna.label.given_anchor import Anchor
from columna.label.naming import namer_of
from columna.label.points import poi_json
from columna.label.reviewed import ReviewedNamer, refused
from columna.prepare import read_mask
from columna.results.derivatives import Derivatives, mask_sidecar
from columna.results.input_digest import check_unchanged, source_sha256
from columna.results.layout import stages_before
from columna.results.manifest import MASKS, ScanEntry
from columna.results.store import Record
from columna.review.corrections import Corrections
from columna.review.levels import LevelDecisions
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
    decisions: LevelDecisions | None = None
    edited: Mapping[str, Volume] = field(default_factory=dict)


@dataclass(frozen=True)
class Labelled:
    """What is delivered, and the same without edited masks where there are any."""

    final: LabelResult
    computed: LabelResult | None = None


class LabelStage(Stage, name="label"):
    """Clean, name, derive discs and endplates, put right, and write BIDS derivatives."""

    @cached_property
    def corrections(self) -> Corrections:
        """What people have put right, read once."""
        return Corrections.of(self.config)

    def state(self, scan: ScanEntry) -> str | None:
        """Whether its corrections have changed, for planning."""
        return self.corrections.state(scan.scan_id)

    def dependencies(self, scan: ScanEntry) -> dict[str, Any]:
        """Settings, masks and levels that the cohort gives, and what was put right."""
        return self._from_cohort(scan) | self._put_right(scan)

    def _put_right(self, scan: ScanEntry) -> dict[str, Any]:
        """Decisions about names, and digests of edited masks; nothing where there are none."""
        levels = self.corrections.levels.get(scan.scan_id)
        masks = {
            mask: [source_sha256(p, self.store, scan.scan_id, _edited(mask, n)) for n, p in found]
            for mask, found in self._edited_files(scan).items()
        }
        known = {"levels": levels.content if levels else None, "masks": masks}
        found = {name: value for name, value in known.items() if value}
        return {"corrections": found} if found else {}

    def _edited_files(self, scan: ScanEntry) -> dict[str, list[tuple[int, Path]]]:
        masks = self.corrections.masks(scan.scan_id)
        return {mask: list(enumerate(paths)) for mask, paths in masks.items()}

    def _from_cohort(self, scan: ScanEntry) -> dict[str, Any]:
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
        decisions = self.corrections.levels.get(scan.scan_id)
        edited = {mask: self._edited(scan, mask) for mask in self._edited_files(scan)}
        return LabelItem(empty, semantic, instance, scan.has_masks, anchor, decisions, edited)

    def compute(self, item: LabelItem) -> Labelled:
        """Final masks and names."""
        decisions, instance = item.decisions, item.edited.get("instance")
        if decisions is not None and instance is not None:
            gone = removed_positions(self._computed(item, None), instance)
            decisions = decisions.without(gone)
        computed = self._computed(item, decisions)
        if decisions is not None and not computed.levels:
            raise refused("names are decided, but no vertebra was found")
        if not item.edited:
            return Labelled(computed)
        semantic = item.edited.get("semantic")
        return Labelled(replace_masks(computed, semantic, instance, decisions), computed)

    def _computed(self, item: LabelItem, decisions: LevelDecisions | None) -> LabelResult:
        """Final masks and names without edited masks."""
        masks, settings = (item.grid, item.semantic, item.instance), self.config.label
        if item.are_given:
            return take_masks(*masks, settings, item.anchor, decisions)
        namer = namer_of(settings, item.anchor)
        if decisions is not None:
            namer = ReviewedNamer(namer, decisions)
        return label_masks(*masks, settings, namer)

    def save(self, scan: ScanEntry, result: Labelled) -> Saved:
        """Write masks, their sidecar and points below the derivatives folder.

        Of edited masks, the computed ones are kept in the store.
        """
        final, computed = result.final, result.computed
        kept = {f"computed-{mask}": getattr(computed, mask) for mask in MASKS if computed}
        return Saved(
            self._delivered(scan, final), {"levels": final.levels, "naming": final.naming}, kept
        )

    def _delivered(self, scan: ScanEntry, result: LabelResult) -> list[Path]:
        names = Derivatives(self.layout.derivatives, scan.scan_id)
        save_volume(result.semantic, names.semantic)
        save_volume(result.instance, names.instance)
        write_json(names.sidecar, mask_sidecar(scan.path.name, names, self._history(scan)))
        write_json(names.points, poi_json(result))
        for former in names.former_files:
            former.unlink(missing_ok=True)
            remove_empty(former.parent)
        return names.files

    def finish(self, batch: str, scans: list[ScanEntry], records: list[Record]) -> None:
        """Write what describes the derivatives folder as a whole."""
        write_dataset_files(self.layout.derivatives, self.layout.index)

    def _history(self, scan: ScanEntry) -> dict[str, dict[str, Any]]:
        """What every stage of this scan depended on: input digest, settings, models."""
        earlier = {s: self.done(scan, s).dependencies for s in stages_before(self.name, scan)}
        return earlier | {"label": self.dependencies(scan)}

    def _given(self, scan: ScanEntry, mask: str) -> Volume:
        """A mask of the cohort."""
        return self._read(scan, getattr(scan, mask), mask, mask)

    def _edited(self, scan: ScanEntry, mask: str) -> Volume:
        """A mask that somebody has edited."""
        files = self._edited_files(scan)[mask]
        if len(files) > 1:
            told = " and ".join(path.name for _, path in files)
            raise ScanRefused(
                "bad_mask", f"The corrected {mask} mask is there more than once: {told}."
            )
        [(number, path)] = files
        return self._read(scan, path, _edited(mask, number), f"corrected {mask}")

    def _read(self, scan: ScanEntry, path: Path, name: str, what: str) -> Volume:
        """A mask called `name` in the store; what is wrong is told of `what` it is."""
        try:
            found = read_mask(path, self.config.prepare)
        except ScanRefused as refusal:
            raise ScanRefused("bad_mask", f"The {what} mask: {refusal.reason}") from refusal
        check_unchanged(path, self.store, scan.scan_id, name)
        return found


def _edited(mask: str, number: int) -> str:
    """What an edited mask is called among the source files of a scan."""
    return f"corrected {mask} {number}"


def _levels(scan: ScanEntry) -> dict[str, Any]:
    """Levels that the cohort gives; nothing where it gives none."""
    return {"levels": scan.given_levels} if scan.given_levels else {}
