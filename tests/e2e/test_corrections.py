"""Corrections flow back through Snakemake: exactly the touched scan is computed again."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from columna.chain import STAGES
from columna.phantom import PhantomSettings, make_phantom, write_phantom
from columna.results.layout import Layout
from columna.results.store import Store
from columna.review.decisions import Decision, append_decision

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]

SMALL = {"spacing_mm": (1.8, 1.8, 4.0), "region": "lumbar", "fov_mm": (100.0, 130.0, 52.0)}
CONFIG = {
    "cohort": "cohort.tsv",
    "batch_size": 2,
    "models": {"semantic": "none", "instance": "none"},
}
SCANS = ("sub-01_T2w", "sub-02_T2w", "sub-03_T2w")


@pytest.fixture
def computed(workspace):
    """Three scans with masks of their own, two in the first batch, computed."""
    lines = ["participant_id\tscan_id\tpath\tsemantic\tinstance"]
    for number in (1, 2, 3):
        name = f"sub-0{number}"
        phantom = make_phantom(PhantomSettings(**SMALL, seed=number))
        write_phantom(phantom, workspace.folder / "data", name)
        files = [f"data/{name}_{k}.nii.gz" for k in ("T2w", "seg-spine_dseg", "seg-vert_dseg")]
        lines.append("\t".join([name, f"{name}_T2w", *files]))
    (workspace.folder / "cohort.tsv").write_text("\n".join(lines) + "\n")
    workspace.configure(**CONFIG)
    workspace.columna("index")
    workspace.snakemake()
    return workspace


def layout(workspace):
    return Layout(workspace.folder / "results")


def computations(workspace):
    """How often each stage of each scan was computed."""
    store = Store(layout(workspace))
    records = {(scan, stage): store.read(scan, stage) for scan in SCANS for stage in STAGES}
    return {key: record.computations_n for key, record in records.items() if record}


def rows(workspace, scans):
    """Rows of these scans in all tables, as text."""
    found = {}
    for name in ("scans", "vertebrae", "discs", "structures", "spine", "level_posterior"):
        table = pd.read_parquet(layout(workspace).tables / f"{name}.parquet")
        found[name] = table[table.scan_id.isin(scans)].to_csv(index=False)
    return found


def levels(workspace, scan):
    table = pd.read_parquet(layout(workspace).tables / "vertebrae.parquet")
    table = table[(table.scan_id == scan) & table.index_from_top.notna()]
    return table.sort_values("index_from_top").set_index("level").level_anchor


def test_a_shift_and_an_edited_mask_reach_their_scan(computed):
    before, rest = computations(computed), rows(computed, SCANS[1:])
    names = levels(computed, SCANS[0])
    paths = {"corrections": "config/corrections.tsv", "corrected_masks": "corrected"}
    computed.configure(**CONFIG, **paths)
    told = computed.snakemake()
    assert "Nothing to be done" in told.stdout + told.stderr, "naming a path repeats no job"
    assert "corrections.tsv does not exist: nothing is corrected by it" in told.stderr
    corrections = computed.folder / "config" / "corrections.tsv"
    append_decision(corrections, Decision.made(SCANS[0], "shift", "anna", value="-1"))
    append_decision(corrections, Decision.made("sub-99_T2w", "exclude", "anna"))
    planned = computed.planned()
    assert {tuple(p.split()[1:3]) for p in planned if "b0" in p} == {
        ("label", "b00001"),
        ("measure", "b00001"),
    }
    told = computed.snakemake()
    assert "are about scans that are not in the cohort, the first about 'sub-99_T2w'" in told.stderr
    after = computations(computed)
    again = {key for key in after if after[key] != before[key]}
    assert again == {(SCANS[0], stage) for stage in STAGES[STAGES.index("label") :]}
    assert list(levels(computed, SCANS[0]).index)[1:] == list(names.index)[:-1]
    assert set(levels(computed, SCANS[0])) == {"reviewed"}
    assert rows(computed, SCANS[1:]) == rest

    mask = next((layout(computed).root / "derivatives").rglob("sub-03*_seg-vert_dseg.nii.gz"))
    image = nib.load(mask)
    array = np.asanyarray(image.dataobj)
    first = min(label for label in np.unique(array) if 0 < label < 29)
    (computed.folder / "corrected").mkdir()
    edited = np.where(array == first, 0, array).astype(np.int16)
    nib.save(nib.Nifti1Image(edited, image.affine), computed.folder / "corrected" / mask.name)
    rest, count = rows(computed, SCANS[:2]), len(levels(computed, SCANS[2]))
    assert {p.split()[2] for p in computed.planned() if "b0" in p} == {"b00002"}
    computed.snakemake()
    assert len(levels(computed, SCANS[2])) == count - 1
    assert rows(computed, SCANS[:2]) == rest
    done = computed.snakemake()
    assert "Nothing to be done" in done.stdout + done.stderr
