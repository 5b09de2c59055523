"""A cohort that comes with its masks, as a user runs it: no network, same tables."""

import pandas as pd
import pytest

from columna.phantom import PhantomSettings, make_phantom, write_phantom

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]

SMALL = {"spacing_mm": (1.2, 1.2, 3.3), "region": "lumbar"}


@pytest.fixture
def collected(workspace):
    """Two phantoms with their true masks, and one with the masks of another scan."""
    lines = ["participant_id\tscan_id\tpath\tsemantic\tinstance"]
    for number, spacing in ((1, 1.2), (2, 1.2), (3, 1.5)):
        name = f"sub-{number:02d}"
        settings = SMALL | {"seed": number, "spacing_mm": (spacing, spacing, 3.3)}
        settings |= {"fov_mm": (130.0, 150.0 + 30 * (number == 3), 66.0)}
        write_phantom(make_phantom(PhantomSettings(**settings)), workspace.folder / "data", name)
        masks = "sub-01" if number == 3 else name
        lines.append(
            f"{name}\t{name}_T2w\tdata/{name}_T2w.nii.gz\t"
            f"data/{masks}_seg-spine_dseg.nii.gz\tdata/{masks}_seg-vert_dseg.nii.gz"
        )
    lines.append("sub-04\tsub-04_T2w\tdata/sub-01_T2w.nii.gz\tdata/sub-01_T2w.nii.gz\t")
    (workspace.folder / "cohort.tsv").write_text("\n".join(lines) + "\n")
    workspace.configure(
        cohort="cohort.tsv", models={"semantic": "no_such_model", "instance": "no_such_model"}
    )
    workspace.columna("index")
    workspace.snakemake()
    return workspace


def test_tables_come_from_the_given_masks(collected):
    tables = collected.folder / "results" / "tables"
    scans = pd.read_parquet(tables / "scans.parquet").set_index("scan_id")
    good = ["sub-01_T2w", "sub-02_T2w"]
    assert (scans.loc[good, "processing_status"] == "done").all()
    assert (scans.loc[good, "mask_source"] == "given").all()
    assert scans.model_semantic.isna().all()
    assert scans.loc["sub-03_T2w", "processing_code"] == "mask_grid"
    assert scans.loc["sub-04_T2w", "input_status"] == "bad_row"
    assert scans.loc[["sub-03_T2w", "sub-04_T2w"], "qc_verdict"].isna().all()
    vertebrae = pd.read_parquet(tables / "vertebrae.parquet")
    seen = vertebrae[vertebrae.presence.isin(["complete", "partial"])]
    assert set(seen.level_anchor) == {"given"}
    assert set(seen[seen.presence == "complete"].level) >= {"L3", "L4"}
    quality = pd.read_parquet(tables / "quality.parquet")
    assert set(quality.scan_id) == set(good)
    dice = quality[quality.rule_id == "semantic_instance_dice"]
    assert (dice.value == 1).all()
    assert "done" in collected.columna("status").stdout
    again = collected.snakemake()
    assert "Nothing to be done" in again.stdout + again.stderr
