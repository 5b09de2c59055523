"""A small cohort of phantoms and bad files, and the whole workflow over it."""

import gzip
import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from columna.phantom import PhantomSettings, make_phantom, write_phantom
from workspace import Workspace

SMALL = {"fov_mm": (130.0, 120.0, 60.0), "spacing_mm": (1.2, 1.2, 3.3), "region": "lumbar"}
"""Three to four vertebrae, with room beside them: seconds on the bundled networks."""

SCANS = {
    "sub-01_T2w": {"seed": 1},
    "sub-02_T2w": {"seed": 2, "orientation": ("L", "A", "S"), "obliquity_deg": 8.0},
    "sub-03_T2w": {"seed": 3, "spacing_mm": (1.0, 1.0, 4.0)},
    "sub-04_T2w": {"seed": 4},
}


def pytest_collection_modifyitems(items):
    """Keep these tests in one process of pytest-xdist, so that the cohort is finished once."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("e2e"))


PRIVATE = "Erika Mustermann 1964"


def add_private_header(path):
    """Free text and a sidecar as some scanners and converters write them."""
    image = nib.load(path)
    header = image.header.copy()
    header["descrip"] = PRIVATE.encode()
    header["db_name"] = b"Mustermann"
    nib.save(nib.Nifti1Image(np.asanyarray(image.dataobj), image.affine, header), path)
    sidecar = {"PatientName": PRIVATE, "AcquisitionDate": "19640812", "MagneticFieldStrength": 3}
    path.with_name("sub-04_T2w.json").write_text(json.dumps(sidecar))


@pytest.fixture(scope="session")
def cohort(tmp_path_factory):
    """Folder with a cohort sheet of four phantoms and three files that must be refused."""
    folder = tmp_path_factory.mktemp("cohort")
    for name, settings in SCANS.items():
        phantom = make_phantom(PhantomSettings(**(SMALL | settings)))
        write_phantom(phantom, folder, name.removesuffix("_T2w"))
    add_private_header(folder / "sub-04_T2w.nii.gz")
    good = (folder / "sub-01_T2w.nii.gz").read_bytes()
    (folder / "sub-05_T2w.nii.gz").write_bytes(good[: len(good) // 2])
    image = nib.load(folder / "sub-01_T2w.nii.gz")
    two = np.stack([np.asanyarray(image.dataobj)] * 2, axis=-1)
    nib.save(nib.Nifti1Image(two, image.affine), folder / "sub-06_T2w.nii.gz")
    (folder / "sub-07_T2w.nii.gz").write_bytes(gzip.compress(b"no image"))
    lines = ["participant_id\tscan_id\tpath\tage"]
    for number in range(1, 9):
        name = f"sub-{number:02d}_T2w"
        lines.append(f"sub-{number:02d}\t{name}\t{name}.nii.gz\t{50 + number}")
    (folder / "cohort.tsv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def prepared_workspace(tmp_path, cohort):
    """A workspace set up for the cohort; returns a function of the batch size."""

    def prepare(name, batch_size):
        folder = tmp_path / name
        folder.mkdir()
        workspace = Workspace(folder)
        workspace.configure(cohort=str(cohort / "cohort.tsv"), batch_size=batch_size)
        workspace.columna("index")
        return workspace

    return prepare


@pytest.fixture(scope="session")
def finished(tmp_path_factory, cohort):
    """The whole workflow over the cohort, run once."""
    workspace = Workspace(tmp_path_factory.mktemp("finished"))
    workspace.configure(cohort=str(cohort / "cohort.tsv"), batch_size=32)
    workspace.columna("index")
    workspace.snakemake()
    return workspace


@pytest.fixture
def copy_of(tmp_path):
    """Copy a finished workspace, with its times, to go on from."""

    def copy(workspace):
        folder = tmp_path / "copy"
        shutil.copytree(workspace.folder, folder, symlinks=True)
        return Workspace(folder)

    return copy
