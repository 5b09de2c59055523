"""Our figures are panoptica's, on two segmentations of one real lumbar scan."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from columna.evaluate.conventions import columna_convention
from columna.evaluate.distances import closeness
from columna.evaluate.reference_masks import read_mask
from columna.evaluate.scan_values import Grid, Masks, evaluate

panoptica = pytest.importorskip("panoptica", reason="panoptica is not installed")


@pytest.fixture(scope="module")
def lumbar():
    folder = Path(os.environ.get("COLUMNA_DATA", ""), "panoptica_lumbar")
    if not folder.is_dir() or "COLUMNA_DATA" not in os.environ:
        pytest.skip("COLUMNA_DATA names no folder with panoptica_lumbar")
    names = ("semantic_pred", "instance_pred", "semantic_ref", "instance_ref")
    return {name: read_mask(folder / f"{name}.nii.gz") for name in names}


@pytest.mark.parametrize(
    ("kind", "labels"), [("vertebra", range(1, 26)), ("disc", range(101, 126))]
)
@pytest.mark.parametrize("is_strict", [True, False])
def test_instances_equal_panoptica_on_a_real_pair(lumbar, kind, labels, is_strict):
    found, true = lumbar["instance_pred"], lumbar["instance_ref"]
    parts = [np.where(np.isin(m.array, labels), m.array, 0) for m in (found, true)]
    matcher = panoptica.NaiveThresholdMatching(strict_threshold=is_strict)
    evaluator = panoptica.Panoptica_Evaluator(
        expected_input=panoptica.InputType.UNMATCHED_INSTANCE,
        instance_matcher=matcher,
        instance_metrics=[panoptica.Metric.DSC, panoptica.Metric.IOU, panoptica.Metric.ASSD],
        log_times=False,
    )
    (theirs,) = evaluator.evaluate(
        *parts, voxelspacing=tuple(true.spacing_mm), verbose=False
    ).values()
    ours = _ours(lumbar, kind)
    assert ours["matched_n"] == theirs.tp
    assert ours["missed_n"] == theirs.fn
    assert ours["false_n"] == theirs.fp
    for metric, value in (
        ("recognition_quality", theirs.rq),
        ("segmentation_quality", theirs.sq),
        ("panoptic_quality", theirs.pq),
        ("dice_of_matched", theirs.sq_dsc),
        ("assd_of_matched_mm", theirs.sq_assd),
    ):
        assert ours[metric] == pytest.approx(value, abs=1e-6), metric


def _ours(lumbar, kind):
    true = lumbar["instance_ref"]
    lateral = next(i for i, code in enumerate(true.orientation) if code in "LR")
    grid = Grid(true.spacing_mm, true.voxel_volume_mm3, lateral, true.shape)
    found, reference = (
        Masks(None, lumbar[f"instance_{name}"].array, columna_convention())
        for name in ("pred", "ref")
    )
    rows = evaluate(found, reference, grid)
    return {
        row.metric: row.value
        for row in rows
        if row.structure == kind and row.unit == "scan" and row.stratum == "all"
    }


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_distances_equal_panoptica_on_boxes_that_touch_every_face(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(3, 12, 3))
    masks = [rng.random(shape) < rng.uniform(0.05, 0.9) for _ in range(2)]
    if not all(mask.any() for mask in masks):
        return
    spacing = rng.uniform(0.3, 4, 3)
    ours = closeness(*masks, spacing, float(spacing.prod()))
    metric = panoptica.Metric
    given_spacing = {"voxelspacing": tuple(spacing)}
    assert ours.dice == pytest.approx(metric.DSC(*masks))
    assert ours.assd_mm == pytest.approx(metric.ASSD(*masks, **given_spacing), abs=1e-6)
    assert ours.hd95_mm == pytest.approx(metric.HD95(*masks, **given_spacing), abs=1e-5)
