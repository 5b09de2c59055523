"""A real scan of 38 mm from side to side: its slices do not reach the sides of the bodies."""

import pandas as pd
import pytest

from published import published
from workspace import Workspace

pytestmark = pytest.mark.slow


def test_the_bodies_of_a_narrow_scan_are_measured(tmp_path):
    scan = tmp_path / "sub-1_T2w.nii.gz"
    scan.symlink_to(published("sct_lumbar/t2_lumbar.nii.gz"))
    Workspace(tmp_path).columna("segment", str(scan), "--out", "out")
    vertebrae = pd.read_parquet(tmp_path / "out" / "tables" / "vertebrae.parquet")
    cut = vertebrae[vertebrae.presence == "lateral_cut"]
    assert len(cut) >= 5
    assert cut.height_middle_mm.between(15, 32).all()
    assert cut.depth_mm.between(22, 40).all()
    assert cut.body_volume_mm3.isna().all()
    assert cut.width_mm.isna().all()
    discs = pd.read_parquet(tmp_path / "out" / "tables" / "discs.parquet")
    measured = discs[discs.disc_status == "lateral_cut"]
    assert len(measured) >= 4
    assert measured.gap_middle_mm.between(4, 16).all()
