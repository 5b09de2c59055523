"""Names and sidecars of the delivered masks (BIDS derivatives).

Names follow the BIDS specification, so that the folder passes its validator: "Segmentations" in
https://bids-specification.readthedocs.io/en/stable/derivatives/imaging.html. What the dataset has
as a whole is written by `columna.stages.derived_dataset`.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from columna.provenance import generated_by

OTHER = "other"
"""Folder of the scans whose scan_id is no BIDS name; the validator is told to pass over it."""

_LABEL = re.compile(r"[A-Za-z0-9+]+")
_INDEX = re.compile(r"[0-9]+")
_PART = re.compile(r"mag|phase|real|imag")
ENTITIES = {
    "sub": _LABEL,
    "ses": _LABEL,
    "task": _LABEL,
    "acq": _LABEL,
    "ce": _LABEL,
    "rec": _LABEL,
    "run": _INDEX,
    "echo": _INDEX,
    "part": _PART,
    "chunk": _INDEX,
}
"""Entities that the name of a scan and that of its mask may share, in the order of BIDS."""
_SUFFIX = re.compile(r"[A-Za-z0-9]+")
_USUAL_SUFFIX = "t2w"

_FORMER_PART = re.compile(r"(sub|ses)-[A-Za-z0-9+]+")
_FORMER_ENDINGS = ("spine_dseg.nii.gz", "vert_dseg.nii.gz", "vert_dseg.json", "spine_ctd.json")


@dataclass(frozen=True)
class Derivatives:
    """Files that are delivered for one scan below `root`.

    A scan_id that is a BIDS name goes into ``sub-X/[ses-Y/]anat``, any other into ``other/`` and
    there into a folder of its own name. The masks of ``sub-01_acq-sag_T2w`` begin with
    ``sub-01_acq-sag_seg-``. Any other suffix than T2w becomes a ``desc-`` entity, so that no two
    scans share a file.
    """

    root: Path
    scan_id: str

    @cached_property
    def folder(self) -> Path:
        """Folder of this scan's files."""
        if self._bids is None:
            return self.root / OTHER / self.scan_id
        entities, _ = self._bids
        parts = [e for e in entities[:2] if e.startswith(("sub-", "ses-"))]
        return self.root.joinpath(*parts, "anat")

    @cached_property
    def _bids(self) -> tuple[list[str], str | None] | None:
        """Entities and suffix of a scan_id that is a BIDS name."""
        entities = self.scan_id.split("_")
        suffix = entities.pop() if "-" not in entities[-1] else None
        keys = [entity.partition("-")[0] for entity in entities]
        is_in_order = keys[:1] == ["sub"] and keys == [key for key in ENTITIES if key in keys]
        if not is_in_order or not _SUFFIX.fullmatch(suffix or _USUAL_SUFFIX):
            return None
        values = (entity.partition("-")[2] for entity in entities)
        are_valid = all(ENTITIES[k].fullmatch(v) for k, v in zip(keys, values, strict=True))
        return (entities, suffix) if are_valid else None

    def _file(self, kind: str, ending: str) -> Path:
        if self._bids is None:
            return self.folder / f"{self.scan_id}_seg-{kind}_{ending}"
        entities, suffix = self._bids
        is_usual = suffix is None or suffix.lower() == _USUAL_SUFFIX
        described = [] if is_usual else [f"desc-{suffix}"]
        return self.folder / "_".join([*entities, f"seg-{kind}", *described, ending])

    @property
    def semantic(self) -> Path:
        """Mask of the structures."""
        return self._file("spine", "dseg.nii.gz")

    @property
    def instance(self) -> Path:
        """Mask of vertebrae, discs and endplates."""
        return self._file("vert", "dseg.nii.gz")

    @property
    def sidecar(self) -> Path:
        """JSON sidecar of the mask of vertebrae, which tells where both masks came from."""
        return self._file("vert", "dseg.json")

    @property
    def points(self) -> Path:
        """Centroids in TPTBox's POI format, for which BIDS has no name."""
        return self._file("spine", "ctd.json")

    @property
    def files(self) -> list[Path]:
        """Everything that is delivered for the scan, and for no other one."""
        return [self.semantic, self.instance, self.sidecar, self.points]

    @property
    def former_files(self) -> list[Path]:
        """What earlier versions delivered: other names, and a label table of every mask."""
        return [*self._former_names, self._file("vert", "dseg.tsv")]

    @property
    def _former_names(self) -> list[Path]:
        entities, _, suffix = self.scan_id.rpartition("_")
        prefix = self.scan_id
        if entities and "-" not in suffix:
            prefix = f"{entities}_mod-{suffix}"
        parts = [p for p in self.scan_id.split("_")[:2] if _FORMER_PART.fullmatch(p)]
        if parts and parts[0].startswith("sub-"):
            folder = self.root.joinpath(*parts, "anat")
        else:
            folder = self.root / self.scan_id
        if "_mod-" not in prefix and folder.name == "anat":
            return []  # the name may be that of another scan now
        return [folder / f"{prefix}_seg-{ending}" for ending in _FORMER_ENDINGS]


def mask_sidecar(
    source_name: str, names: Derivatives, history: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Sidecar of the mask of vertebrae: where it came from, with digests and settings.

    It speaks for the mask of structures, too, which is one of its sources.

    Parameters
    ----------
    source_name
        File name of the scan; its folder is nobody else's business.
    names
        The files of the scan.
    history
        Stage -> what the stage depended on (``Record.dependencies``).
    """
    return {
        "Sources": [source_name, f"bids::{names.semantic.relative_to(names.root).as_posix()}"],
        "GeneratedBy": [generated_by()],
        "Stages": history,
    }
