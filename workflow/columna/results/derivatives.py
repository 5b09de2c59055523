"""Names and sidecars of the delivered masks (BIDS derivatives)."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from columna.files import json_bytes, write_if_changed
from columna.provenance import generated_by

INHERITED = {
    "spine": "Structures of the spine. Sources, digests and settings are in the sidecar of the "
    "mask of vertebrae (seg-vert) beside it.",
    "vert": "Vertebrae, discs and endplates, one number each.",
}
"""What is said once for all masks of a kind."""
DESCRIPTION = "dataset_description.json"

_ENTITY = re.compile(r"^(sub|ses)-[A-Za-z0-9+]+$")


@dataclass(frozen=True)
class Derivatives:
    """Files that are delivered for one scan below `root`.

    A scan_id made of BIDS entities goes into ``sub-X/[ses-Y/]anat``, any other into a folder of
    its own name. As in SPINEPS, the suffix of the scan becomes ``mod-<suffix>``.
    """

    root: Path
    scan_id: str

    @cached_property
    def folder(self) -> Path:
        """Folder of this scan's files."""
        parts = [f for f in self.scan_id.split("_")[:2] if _ENTITY.match(f)]
        if not parts or not parts[0].startswith("sub-"):
            return self.root / self.scan_id
        return self.root.joinpath(*parts, "anat")

    @cached_property
    def prefix(self) -> str:
        """``sub-01_acq-sag_T2w`` becomes ``sub-01_acq-sag_mod-T2w``."""
        entities, _, suffix = self.scan_id.rpartition("_")
        return f"{entities}_mod-{suffix}" if entities and "-" not in suffix else self.scan_id

    @property
    def semantic(self) -> Path:
        """Mask of the structures."""
        return self.folder / f"{self.prefix}_seg-spine_dseg.nii.gz"

    @property
    def instance(self) -> Path:
        """Mask of vertebrae, discs and endplates."""
        return self.folder / f"{self.prefix}_seg-vert_dseg.nii.gz"

    @property
    def points(self) -> Path:
        """Centroids in TPTBox's POI format."""
        return self.folder / f"{self.prefix}_seg-spine_ctd.json"

    @property
    def files(self) -> list[Path]:
        """Everything that is delivered for the scan, and for no other one."""
        return [self.semantic, self.instance, self.sidecar, self.points]

    @property
    def sidecar(self) -> Path:
        """JSON sidecar of the mask of vertebrae, which tells where both masks came from."""
        return self.folder / f"{self.prefix}_seg-vert_dseg.json"


def mask_sidecar(
    source_name: str, semantic_name: str, history: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Sidecar of the mask of vertebrae: where it came from, with digests and settings.

    It speaks for the mask of structures, too, which is one of its sources.

    Parameters
    ----------
    source_name
        File name of the scan; its folder is nobody else's business.
    semantic_name
        File name of the mask of structures.
    history
        Stage -> what the stage depended on (``Record.dependencies``).
    """
    return {
        "Type": "ROI",
        "Sources": [source_name, semantic_name],
        "SpatialReference": source_name,
        "GeneratedBy": [generated_by()],
        "Stages": history,
    }


def write_dataset_files(root: Path) -> None:
    """Make `root` a BIDS derivatives dataset.

    What the sidecars of all masks have in common is said once, in files that every mask inherits
    (https://bids-specification.readthedocs.io/en/stable/common-principles.html).
    """
    description = {
        "Name": "columna: segmentations of sagittal spine MRI",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [generated_by()],
    }
    write_if_changed(root / "dataset_description.json", json_bytes(description))
    for kind, text in INHERITED.items():
        common = {"Type": "ROI", "Description": text}
        write_if_changed(root / f"seg-{kind}_dseg.json", json_bytes(common))
