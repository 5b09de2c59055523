"""Stage picture: what a person looks at before believing the tables.

A scan whose image could be read has a picture, also where a later stage refused it or failed.
"""

from itertools import takewhile
from typing import Any

from columna.anatomy import RESOURCES
from columna.assess import Finding
from columna.files import atomic_path, sha256_file
from columna.images.volume import load_volume
from columna.picture import Mark, PictureItem, draw_picture, marks_of
from columna.prepare import read_scan
from columna.results.derivatives import Derivatives
from columna.results.layout import stages_before
from columna.results.manifest import ScanEntry
from columna.results.store import Record
from columna.stages.base import Saved, Stage


class PictureStage(Stage, name="picture"):
    """Draw the planes that follow the spine."""

    def dependencies(self, scan: ScanEntry) -> dict[str, Any]:
        """Settings and colours; everything else comes from the stages before."""
        return self.shared()

    def shared(self) -> dict[str, Any]:
        """Settings and colours."""
        return {
            "settings": self.config.pictures.model_dump(mode="json"),
            "colours": sha256_file(RESOURCES / "labels.tsv"),
        }

    def takes(self, upstream: Record) -> bool:
        """All scans whose image could be read."""
        return upstream.status == "done" or upstream.stage != "prepare"

    def load(self, scan: ScanEntry) -> PictureItem | None:
        """Read image and masks, and collect the names; None where no picture is wanted."""
        if not self.config.pictures.enabled:
            return None
        image = read_scan(scan.path, self.config.prepare).volume
        self.check_input(scan)
        is_whole = self.config.pictures.whole_plane
        records = self._done(scan)
        if "label" not in records:
            return PictureItem(image, is_whole=is_whole)
        names = Derivatives(self.layout.derivatives, scan.scan_id)
        semantic, instance = load_volume(names.semantic), load_volume(names.instance)
        return PictureItem(image, semantic, instance, _marks(records), is_whole)

    def compute(self, item: PictureItem | None) -> bytes | None:
        """Draw."""
        return None if item is None else draw_picture(item)

    def save(self, scan: ScanEntry, result: bytes | None) -> Saved:
        """Write the picture, or remove one that is not wanted any more."""
        path = self.layout.picture(scan.scan_id)
        if result is None:
            path.unlink(missing_ok=True)
            return Saved()
        with atomic_path(path) as temporary:
            temporary.write_bytes(result)
        return Saved([path])

    def _done(self, scan: ScanEntry) -> dict[str, Record]:
        """Records up to the stage that stopped the scan: later ones are of an earlier run."""
        known = self.store.read_all(scan.scan_id)
        stages = stages_before(self.name, scan)
        return {
            stage: known[stage] for stage in takewhile(lambda s: known[s].status == "done", stages)
        }


def _marks(records: dict[str, Record]) -> list[Mark]:
    """Names of the vertebrae, with what measures and quality rules say of them, if they do."""
    measure, assess = records.get("measure"), records.get("assess")
    return marks_of(
        records["label"].values["levels"],
        measure.values["rows"]["vertebrae"] if measure else (),
        [Finding(*entry) for entry in assess.values["findings"]] if assess else (),
    )
