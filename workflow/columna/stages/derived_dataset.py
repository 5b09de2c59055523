"""What the derivatives folder has as a whole: description, README, label table, ignored names."""

from pathlib import Path
from urllib.parse import quote

from columna.files import json_bytes, write_if_changed
from columna.label.lookup import structures_table, vertebrae_table
from columna.prepare.sidecars import read_json_object
from columna.provenance import generated_by
from columna.results.derivatives import OTHER

DESCRIPTION = "dataset_description.json"
BIDS_VERSION = "1.11.0"
INHERITED = {
    "spine": {
        "Type": "ROI",
        "Description": "Structures of the spine. Sources, digests and settings are in the sidecar "
        "of the mask of vertebrae (seg-vert) beside it.",
        "SpatialReference": "orig",
    },
    "vert": {
        "Type": "ROI",
        "Description": "Vertebrae, discs and endplates, one number each: a level, or a number that "
        "stands for none.",
        "SpatialReference": "orig",
    },
}
"""What is said once for all masks of a kind."""

README = """\
# Segmentations of sagittal spine MRI

columna wrote this folder: masks of vertebrae and other structures of the spine, in the grid of
the scans that they were made from. It is a BIDS derivatives dataset.

| file, beginning with the entities of the scan | what it holds |
|---|---|
| `seg-spine_dseg.nii.gz` | structures, one number each: `seg-spine_dseg.tsv` here |
| `seg-vert_dseg.nii.gz` | vertebrae, discs, endplates, one number each: `seg-vert_dseg.tsv` here |
| `seg-vert_dseg.json` | sources, digests, settings and models of both masks |
| `seg-spine_ctd.json` | centroids in the format of TPTBox; BIDS has no name for them |

A scan whose name does not end in `T2w` has its ending as a `desc-` entity. Scans whose name is no
BIDS name are in `other/`, which `.bidsignore` leaves out of the validation.
`SourceDatasets` names the cohort without its folder, since a path may tell who somebody is.
"""
IGNORED = f"/{OTHER}\n*_ctd.json\n"
"""What BIDS has no name for."""


def write_dataset_files(root: Path, index: Path) -> None:
    """Make `root` a BIDS derivatives dataset.

    What the sidecars of all masks have in common is said once, in files that every mask inherits
    (https://bids-specification.readthedocs.io/en/stable/common-principles.html).

    Parameters
    ----------
    root
        The derivatives folder.
    index
        The cohort index; its ``index.json`` names the cohort.
    """
    for name, content in _dataset_files(index).items():
        write_if_changed(root / name, content)


def _dataset_files(index: Path) -> dict[str, bytes]:
    description = {
        "Name": "columna: segmentations of sagittal spine MRI",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [generated_by()],
        "SourceDatasets": source_datasets(index),
    }
    inherited = {f"seg-{kind}_dseg.json": json_bytes(common) for kind, common in INHERITED.items()}
    return {
        DESCRIPTION: json_bytes(description),
        "README.md": README.encode(),
        ".bidsignore": IGNORED.encode(),
        "seg-spine_dseg.tsv": structures_table().encode(),
        "seg-vert_dseg.tsv": vertebrae_table().encode(),
        **inherited,
    }


def source_datasets(index: Path) -> list[dict[str, str]]:
    """Name the cohort of an index as ``SourceDatasets`` does; [] where there is no index.

    A BIDS folder is also named by the DOI of its ``dataset_description.json`` where it has one.
    """
    cohort = read_json_object(index / "index.json").get("cohort")
    if not isinstance(cohort, str):
        return []
    described = read_json_object(Path(cohort) / DESCRIPTION)
    known = {"URL": f"file:{quote(Path(cohort).name)}", "DOI": described.get("DatasetDOI")}
    return [{key: value for key, value in known.items() if isinstance(value, str) and value}]
