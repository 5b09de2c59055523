"""A cohort with reference masks, as a user runs it: evaluated beside being measured."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from columna.anatomy import DISC_OFFSET, Semantic
from columna.phantom import PhantomSettings, make_phantom, write_phantom
from columna.results.layout import Layout
from columna.results.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]

SMALL = {"region": "lumbar", "spacing_mm": (1.8, 1.8, 4.0), "fov_mm": (100.0, 130.0, 52.0)}
TABLES = ("evaluation", "evaluation_summary", "evaluation_pairs")
L5 = 24
SHEET = ("participant_id", "scan_id", "path", "semantic", "instance")
REFERENCES = ("reference_semantic", "reference_instance", "reference_convention")


def as_spider(folder, name):
    """The true masks of a phantom, numbered as SPIDER numbers them."""
    semantic, instance = (
        nib.load(folder / f"{name}_seg-{kind}_dseg.nii.gz") for kind in ("spine", "vert")
    )
    labels = np.asanyarray(instance.dataobj)
    spider = np.zeros(labels.shape, np.uint8)
    spider[np.isin(semantic.dataobj, (Semantic.SPINAL_CORD, Semantic.SPINAL_CANAL))] = 100
    for label in range(17, L5 + 1):
        spider[labels == label] = 1 + L5 - label
        spider[labels == DISC_OFFSET + label] = 201 + L5 - label
    path = folder / f"{name}_spider.nii.gz"
    nib.save(nib.Nifti1Image(spider, instance.affine), path)
    return path


@pytest.fixture
def evaluated(workspace):
    """Three phantoms with given masks; references: their own, a missing one, SPIDER's numbers."""
    data = workspace.folder / "data"
    lines = ["\t".join((*SHEET, *REFERENCES))]
    for number in (1, 2, 3):
        name = f"sub-{number:02d}"
        write_phantom(make_phantom(PhantomSettings(**SMALL, seed=number)), data, name)
        masks = [f"data/{name}_seg-{kind}_dseg.nii.gz" for kind in ("spine", "vert")]
        references = {1: [*masks, ""], 2: ["data/none.nii.gz", "", ""]}.get(number)
        if references is None:
            path = f"data/{as_spider(data, name).name}"
            references = [path, path, "spider"]
        row = [name, f"{name}_T2w", f"data/{name}_T2w.nii.gz", *masks, *references]
        lines.append("\t".join(row))
    (workspace.folder / "cohort.tsv").write_text("\n".join(lines) + "\n")
    workspace.configure(
        cohort="cohort.tsv",
        models={"semantic": "no_such_model", "instance": "no_such_model"},
    )
    assert "1 of which are not there" in workspace.columna("index").stdout
    workspace.snakemake()
    return workspace


def computations(workspace, stage):
    store = Store(Layout(workspace.folder / "results"))
    scans = sorted(store.scan_ids())
    return {scan: store.read(scan, stage).computations_n for scan in scans}


def mean_dice(folder, scan_id):
    rows = pd.read_parquet(folder / "evaluation.parquet")
    chosen = (rows.scan_id == scan_id) & (rows.unit == "instance") & (rows.metric == "dice")
    return rows[chosen & (rows.structure == "vertebra")].value.mean()


def test_references_are_evaluated_scan_by_scan(evaluated):
    tables = evaluated.folder / "results" / "tables"
    scans = pd.read_parquet(tables / "scans.parquet").set_index("scan_id")
    assert (scans.processing_status == "done").all(), "a missing reference hinders no measuring"
    pairs = pd.read_parquet(tables / "evaluation_pairs.parquet").set_index("scan_id")
    assert dict(pairs.status) == {
        "sub-01_T2w": "done",
        "sub-02_T2w": "refused",
        "sub-03_T2w": "done",
    }
    assert "none.nii.gz: there is no such mask" in pairs.loc["sub-02_T2w", "reason"]
    assert str(evaluated.folder) not in pairs.loc["sub-02_T2w", "reason"]
    assert pairs.loc["sub-03_T2w", "reference_convention"] == "spider"
    rows = pd.read_parquet(tables / "evaluation.parquet")
    assert set(rows.scan_id) == {"sub-01_T2w", "sub-03_T2w"}
    spider = rows[(rows.scan_id == "sub-03_T2w") & (rows.metric == "dice")]
    assert set(spider[spider.unit == "structure"].structure) == {
        "vertebra",
        "disc",
        "canal_with_cord",
    }
    offsets = rows[(rows.metric == "level_offset") & rows.value.notna()]
    assert len(offsets)
    assert (offsets.value == 0).all()
    assert mean_dice(tables, "sub-01_T2w") == 1
    described = pd.read_parquet(tables / "columns.parquet")
    assert set(TABLES) <= set(described.table)
    assert all((tables / f"{table}.json").exists() for table in TABLES)
    again = evaluated.snakemake("-n")
    assert "Nothing to be done" in again.stdout + again.stderr

    # another reference: exactly its scan is evaluated again, and nothing is measured again
    before = {stage: computations(evaluated, stage) for stage in ("measure", "evaluate")}
    path = evaluated.folder / "data" / "sub-03_spider.nii.gz"
    mask = nib.load(path)
    labels = np.asanyarray(mask.dataobj).copy()
    labels[labels == 2] = 0
    nib.save(nib.Nifti1Image(labels, mask.affine), path)
    evaluated.snakemake()
    assert computations(evaluated, "measure") == before["measure"]
    after = computations(evaluated, "evaluate")
    assert after == before["evaluate"] | {"sub-03_T2w": 2}
    rows = pd.read_parquet(tables / "evaluation.parquet")
    false = rows[(rows.metric == "false_n") & (rows.structure == "vertebra")]
    assert false[false.stratum == "all"].set_index("scan_id").value["sub-03_T2w"] >= 1
    again = evaluated.snakemake("-n")
    assert "Nothing to be done" in again.stdout + again.stderr
