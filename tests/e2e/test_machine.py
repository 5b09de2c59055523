"""A machine that fails for a while, as a user meets it: nothing is decided about the scans."""

import pandas as pd
import pytest

from columna.phantom import PhantomSettings, make_phantom, write_phantom

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]

SMALL = {"fov_mm": (130.0, 120.0, 66.0), "spacing_mm": (1.5, 1.5, 4.0), "region": "lumbar"}


@pytest.fixture
def indexed(workspace):
    """Two phantoms with their true masks: no network."""
    lines = ["participant_id\tscan_id\tpath\tsemantic\tinstance"]
    data = workspace.folder / "data"
    for name in ("sub-01", "sub-02"):
        write_phantom(make_phantom(PhantomSettings(seed=1, **SMALL)), data, name)
        files = ("T2w", "seg-spine_dseg", "seg-vert_dseg")
        lines.append("\t".join([name, f"{name}_T2w", *(f"data/{name}_{f}.nii.gz" for f in files)]))
    (workspace.folder / "cohort.tsv").write_text("\n".join(lines) + "\n")
    workspace.configure(cohort="cohort.tsv")
    workspace.columna("index")
    return workspace


def test_a_file_that_is_away_for_a_while(indexed):
    """Case 02: as on a node without the data folder."""
    scan = indexed.folder / "data" / "sub-02_T2w.nii.gz"
    away = scan.rename(indexed.folder / "away.nii.gz")
    failed = indexed.snakemake("--retries", "0", check=False)
    assert failed.returncode != 0
    log = (indexed.folder / "results" / "logs" / "prepare" / "b00001.log").read_text()
    assert "sub-02_T2w.nii.gz cannot be read now" in log
    assert "Traceback" not in log
    assert "sub-01_T2w done" in log
    away.rename(scan)
    indexed.snakemake()
    scans = pd.read_parquet(indexed.folder / "results" / "tables" / "scans.parquet")
    assert scans.processing_status.tolist() == ["done", "done"]
