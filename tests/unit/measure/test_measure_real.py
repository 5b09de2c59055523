"""Masks of a real lumbar scan: measures within the ranges of the literature."""

import pytest

from columna.config import MeasureSettings
from columna.images.volume import load_volume
from columna.measure import MeasureContext, measure_scan
from columna.tables.catalogue import MEASURED
from columna.tables.shards import rows_to_arrow
from published import published_masks

LEVELS = ("T11", "T12", "L1", "L2", "L3", "L4", "L5")


@pytest.fixture(scope="module")
def rows():
    semantic, instance = (load_volume(path) for path in published_masks())
    found = measure_scan(
        MeasureContext(
            scan_id="real",
            participant_id=None,
            session_id=None,
            facts={},
            semantic=semantic,
            instance=instance,
            levels=[
                {
                    "label": 2 + i,
                    "level": level,
                    "level_anchor": "sacrum",
                    "level_confidence": 0.9,
                    "index": i,
                }
                for i, level in enumerate(LEVELS)
            ],
        ),
        MeasureSettings(mesh_volume=True),
    )
    for name in ("vertebrae", "endplates", "structures"):
        rows_to_arrow(MEASURED[name].shard, found[name])
    return found


def of(rows, table="vertebrae", **key):
    return next(r for r in rows[table] if all(r[k] == v for k, v in key.items()))


def test_the_cut_vertebra_is_partial_and_the_others_complete(rows):
    assert of(rows, level="T11")["heights_status"] == "partial_fov"
    for level in LEVELS[1:]:
        row = of(rows, level=level)
        assert (row["frame_status"], row["heights_status"]) == ("ok", "ok")
        assert row["frame_source"] == "canal"
        assert row["signal_status"] == "no_image"


@pytest.mark.parametrize("level", LEVELS[1:])
def test_lumbar_sizes_are_those_of_people(rows, level):
    row = of(rows, level=level)
    for band in ("anterior", "middle", "posterior"):
        assert 20 < row[f"height_{band}_mm"] < 32
    assert 27 < row["depth_mm"] < 42
    assert 30 < row["width_mm"] < 54
    assert 2e4 < row["body_volume_mm3"] < 5.2e4
    assert -12 < row["wedge_angle_deg"] < 8
    assert abs(row["lateral_wedge_deg"]) < 5
    assert 0.85 < row["body_compactness_ratio"] < 1.15


def test_sizes_change_down_the_spine_as_anatomy_has_it(rows):
    found = [of(rows, level=level) for level in LEVELS[1:]]
    assert [r["depth_mm"] for r in found] == sorted(r["depth_mm"] for r in found)
    assert found[-1]["wedge_angle_deg"] < found[0]["wedge_angle_deg"], "L5 is lordotic"
    positions = [r["curve_position_mm"] for r in found]
    assert positions == sorted(positions)
    tilt = [r["axis_sagittal_deg"] for r in found]
    assert tilt == sorted(tilt), "lordosis: lower bodies lean forward"


def test_endplates_are_all_found_down_to_the_sacrum(rows):
    for level in LEVELS[1:]:
        for side in ("superior", "inferior"):
            row = of(rows, "endplates", level=level, side=side)
            assert row["endplate_status"] == "ok"
            assert 0.4 < row["thickness_mm"] < 2
            assert row["coverage_ratio"] > 0.8
            assert -5 < row["concavity_mm"] < 5
    sacral = of(rows, "endplates", level="S1", side="superior")
    assert sacral["endplate_status"] == "ok"
    assert 25 < sacral["length_ap_mm"] < 42
    assert -60 < sacral["angle_sagittal_deg"] < -15, "the sacral slope, anterior end lower"
    assert sacral["plane_rms_mm"] < 1.5


def test_mesh_volumes_are_near_voxel_volumes(rows):
    for row in rows["structures"]:
        if row["voxels_n"] > 5000:
            assert row["volume_mesh_mm3"] == pytest.approx(row["volume_mm3"], rel=0.05)
