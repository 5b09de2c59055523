"""The delivered folder is a valid BIDS derivatives dataset; every scan has its own files there."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_run import small_cohort

from columna.cohort.owned import owned_paths
from columna.images.volume import Volume, save_volume
from columna.label.lookup import structures_table, vertebrae_table
from columna.provenance import generated_by
from columna.results.derivatives import Derivatives
from columna.results.store import Store
from columna.stages.derived_dataset import source_datasets, write_dataset_files

VALIDATOR = Path(sys.executable).with_name("bids-validator-deno")
UNKNOWN_AUTHORS = "TOO_FEW_AUTHORS"
"""Who made a dataset is for its owner to say."""
FORMER = Path("sub-01/anat/sub-01_mod-T2w_seg-spine_dseg.nii.gz")


def issues(folder: Path) -> list[tuple[str, str, str]]:
    """Severity, code and place of what the BIDS validator has to say; it needs no network."""
    done = subprocess.run(
        [VALIDATOR, "--format", "json", folder], capture_output=True, text=True, check=False
    )
    found = json.loads(done.stdout)["issues"]["issues"]
    return [(i["severity"], i["code"], i.get("location", "")) for i in found]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    run = small_cohort(tmp_path_factory.mktemp("derivatives"))
    sheet = (run.folder / "cohort.tsv").read_text()
    for default, scan_id in (
        ("sub-02_T2w", "sub-02_ses-1_acq-sag_run-1_T2w"),
        ("sub-03_T2w", "3_t2"),
    ):
        sheet = sheet.replace(f"\t{default}\t", f"\t{scan_id}\t")
    (run.folder / "cohort.tsv").write_text(sheet)
    former = run.layout.derivatives / FORMER
    former.parent.mkdir(parents=True)
    former.write_text("of an earlier version")
    run.index()
    run.run()
    return run


def test_the_delivered_folder_is_valid_bids(finished):
    found = issues(finished.layout.derivatives)
    assert [code for severity, code, _ in found if severity == "error"] == []
    assert {code for _, code, _ in found} <= {UNKNOWN_AUTHORS}, found


def test_the_validator_sees_the_masks_and_would_tell(finished, tmp_path):
    broken = shutil.copytree(finished.layout.derivatives, tmp_path / "broken")
    mask = next(broken.rglob("sub-01_seg-spine_dseg.nii.gz"))
    mask.rename(mask.with_name("sub-01_mod-T2w_seg-spine_dseg.nii.gz"))
    assert any(severity == "error" for severity, _, _ in issues(broken))


IDS = [
    "sub-1_T2w",
    "sub-1",
    "sub-1_T2",
    "sub-1_ses-a_task-x_acq-sag_ce-gd_rec-norm_run-2_echo-1_part-mag_chunk-3_T2w",
    "sub-05+06_acq-sag+fs_MR",
    # no BIDS names
    "sub-1_mod-T2w",
    "sub-1_acq-x_ses-1_T2w",
    "sub-1_run-a_T2w",
    "sub-1_acq-a.b_T2w",
    "sub-1__T2w",
    "12345_t2",
    "other",
    "scan",
    "T2w",
]


def test_any_scan_id_gives_a_valid_dataset(tmp_path):
    small = Volume(np.ones((2, 2, 2), np.uint8), np.eye(4))
    for scan_id in IDS:
        names = Derivatives(tmp_path, scan_id)
        for mask in (names.semantic, names.instance):
            save_volume(small, mask)
        names.sidecar.write_text('{"Sources": ["a.nii.gz"]}')
        names.points.write_text("[]")
    write_dataset_files(tmp_path, tmp_path)
    assert [i for i in issues(tmp_path) if i[0] == "error"] == []


@pytest.mark.parametrize(
    ("scan_id", "name"),
    [
        ("sub-1_T2w", "sub-1/anat/sub-1_seg-vert_dseg.nii.gz"),
        ("sub-1_ses-2_acq-x_T2w", "sub-1/ses-2/anat/sub-1_ses-2_acq-x_seg-vert_dseg.nii.gz"),
        ("sub-1_MR", "sub-1/anat/sub-1_seg-vert_desc-MR_dseg.nii.gz"),
        ("sub-1_mod-T2w", "other/sub-1_mod-T2w/sub-1_mod-T2w_seg-vert_dseg.nii.gz"),
        ("12345_t2", "other/12345_t2/12345_t2_seg-vert_dseg.nii.gz"),
    ],
)
def test_names(scan_id, name):
    assert Derivatives(Path(), scan_id).instance == Path(name)


PARTS = st.sampled_from(
    [
        "sub-1",
        "sub-A",
        "ses-1",
        "acq-x",
        "run-1",
        "desc-T2",
        "mod-T2w",
        "seg-vert",
        "T2w",
        "T2",
        "x",
    ]
)
SCAN_IDS = st.lists(PARTS, min_size=1, max_size=4).map("_".join)


@given(SCAN_IDS, SCAN_IDS)
def test_the_former_files_of_a_scan_are_no_files_of_any_scan(one, other):
    former = {
        path.as_posix().lower() for path in Derivatives(Path("derivatives"), one).former_files
    }
    assert not former & set(owned_paths(other))


def test_files_of_former_names_go_when_a_scan_is_delivered_anew(finished):
    former = Derivatives(finished.layout.derivatives, "sub-01_T2w").former_files
    assert former[0].name == FORMER.name
    assert not any(path.exists() for path in former)
    assert len(Store(finished.layout).read("sub-01_T2w", "label").files) == 4


# --- label tables ---


def rows(text: str) -> dict[int, str]:
    found = list(csv.DictReader(text.splitlines(), delimiter="\t"))
    assert all(set(row) == {"index", "name", "color"} for row in found)
    return {int(row["index"]): row["name"] for row in found}


def test_the_table_of_structures_names_every_label():
    found = rows(structures_table())
    assert (found[49], found[100]) == ("vertebral_body", "disc")


def test_the_table_of_vertebrae_names_levels_discs_and_endplates():
    found = rows(vertebrae_table())
    assert {2: "C2", 24: "L5", 26: "S1", 28: "T13", 80: "metal"}.items() <= found.items()
    assert (found[122], found[223]) == ("disc below L3", "endplates below L4")
    assert (found[34], found[134]) == ("no level (34)", "disc below no level (34)")
    assert len(set(found.values())) == len(found)


def test_every_number_of_a_mask_is_in_the_table_and_means_the_level_of_the_tables(finished):
    table = rows((finished.layout.derivatives / "seg-vert_dseg.tsv").read_text())
    names = Derivatives(finished.layout.derivatives, "sub-01_T2w")
    found = np.unique(nib.load(names.instance).dataobj)
    assert set(found[found > 0].tolist()) <= set(table)
    levels = Store(finished.layout).read("sub-01_T2w", "label").values["levels"]
    assert levels
    assert {table[e["label"]] for e in levels if e["level"]} == {
        e["level"] for e in levels if e["level"]
    }


# --- description of the dataset ---


def test_the_description_says_what_made_it_and_of_what(finished):
    path = finished.layout.derivatives / "dataset_description.json"
    description = json.loads(path.read_text())
    assert description["DatasetType"] == "derivative"
    assert description["SourceDatasets"] == [{"URL": "file:cohort.tsv"}]
    [made_by] = description["GeneratedBy"]
    assert made_by["Name"] == "columna"
    assert made_by["Version"]


def test_a_bids_cohort_is_named_by_its_doi(tmp_path):
    cohort, index = tmp_path / "my data", tmp_path / "index"
    cohort.mkdir()
    index.mkdir()
    (index / "index.json").write_text(json.dumps({"cohort": str(cohort)}))
    assert source_datasets(index) == [{"URL": "file:my%20data"}]
    text = json.dumps({"DatasetDOI": "doi:10.18112/openneuro.ds000001.v1.0.0"})
    (cohort / "dataset_description.json").write_text(text)
    [source] = source_datasets(index)
    assert source["DOI"] == "doi:10.18112/openneuro.ds000001.v1.0.0"
    assert source_datasets(tmp_path / "no index") == []


def test_the_container_is_named_where_it_is_known(monkeypatch):
    for name in ("COLUMNA_CONTAINER_DIGEST", "APPTAINER_CONTAINER", "SINGULARITY_CONTAINER"):
        monkeypatch.delenv(name, raising=False)
    assert "Container" not in generated_by()
    monkeypatch.setenv("COLUMNA_CONTAINER_DIGEST", "sha256:1")
    assert generated_by()["Container"] == {"Type": "docker", "Tag": "sha256:1"}
    monkeypatch.setenv("APPTAINER_CONTAINER", "/images/columna.sif")
    assert generated_by()["Container"] == {"Type": "apptainer", "Tag": "sha256:1"}
