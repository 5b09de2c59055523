"""Each mistake moves exactly the metrics that it should."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from columna.evaluate.conventions import columna_convention, find_convention
from columna.evaluate.scan_values import Grid, Masks, evaluate

SPACING = np.array([0.5, 0.5, 3.0])
SHAPE = (40, 90, 9)
BODY, DISC, CANAL, CORD = 49, 100, 61, 60


def spine(labels=(20, 21, 22, 23)):
    """Bodies with discs below them and a canal behind: semantic and instance mask."""
    semantic, instance = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    for place, label in enumerate(labels):
        top = 6 + 20 * place
        semantic[8:20, top : top + 13, 2:7] = BODY
        instance[8:20, top : top + 13, 2:7] = label
        semantic[8:20, top + 14 : top + 18, 2:7] = DISC
        instance[8:20, top + 14 : top + 18, 2:7] = 100 + label
    semantic[24:30, 4:86, 3:6] = CANAL
    semantic[26:28, 4:86, 4:5] = CORD
    return semantic, instance


def compare(found, true, convention=None):
    convention = convention or columna_convention()
    grid = Grid(SPACING, float(SPACING.prod()), 2, SHAPE)
    prediction = Masks(*found, columna_convention())
    return evaluate(prediction, Masks(*true, convention), grid)


def table(rows, unit="scan", stratum="all"):
    return {
        (row.structure, row.metric): row.value
        for row in rows
        if row.unit == unit and row.stratum == stratum
    }


def test_a_perfect_prediction_is_perfect_everywhere():
    rows = compare(spine(), spine())
    for row in rows:
        if row.metric in ("dice", "iou", "dice_of_matched", "dice_with_missed") or (
            row.metric.endswith("_quality")
        ):
            if row.status == "ok":
                assert row.value == 1, row
        elif row.metric.endswith("_mm") or row.metric in ("missed_n", "false_n", "level_wrong_n"):
            assert row.value in (0, None), row
    found = table(rows)
    assert found["vertebra", "matched_n"] == 4
    assert found["body", "panoptic_quality"] == 1
    assert found["disc", "level_right_n"] == 4


def test_empty_against_empty_is_null_and_not_1_or_0():
    rows = compare(spine(), spine())
    empty = [row for row in rows if row.structure == "sacrum"]
    assert {row.status for row in empty} == {"both_empty"}
    assert all(row.value is None for row in empty)
    plates = [row for row in rows if row.structure == "endplate" and row.unit == "scan"]
    assert {r.status for r in plates if r.metric.endswith("quality")} == {"no_instance"}


def test_one_empty_has_a_dice_of_0_and_no_distance():
    semantic, instance = spine()
    semantic[semantic == CORD] = CANAL
    rows = {
        r.metric: r for r in compare((semantic, instance), spine()) if r.structure == "spinal_cord"
    }
    assert rows["dice"].value == 0
    assert rows["assd_mm"].value is None
    assert rows["assd_mm"].status == "one_empty"
    assert rows["relative_volume_difference"].value == -1


def test_a_shift_by_one_voxel_has_the_analytic_distance():
    true, found = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    true[10:20, 10:20, 2:7] = DISC
    found[10:20, 11:21, 2:7] = DISC
    rows = {
        r.metric: r.value for r in compare((found, None), (true, None)) if r.structure == "disc"
    }
    assert rows["dice"] == pytest.approx(0.9)
    # Both boxes have 500 voxels of which 8 x 8 x 3 lie inside. Of the surface of one, those that
    # are no surface of the other are its one outermost plane (distance 0.5 mm, 50 voxels) and the
    # plane of the inner 8 x 3 voxels that the other one covers with its inside.
    surface = 500 - 8 * 8 * 3
    assert rows["assd_mm"] == pytest.approx(0.5 * (50 + 8 * 3) / surface)
    assert rows["hd95_mm"] == pytest.approx(0.5)
    assert rows["volume_difference_mm3"] == 0


def test_a_merged_pair():
    semantic, instance = spine()
    instance[instance == 21] = 20
    found = table(compare((semantic, instance), spine()))
    assert found["vertebra", "merged_n"] == 1
    assert found["vertebra", "split_n"] == 0
    assert found["vertebra", "matched_n"] == 2
    assert found["vertebra", "missed_n"] == 2
    assert found["vertebra", "false_n"] == 1
    assert found["vertebra", "recognition_quality"] == pytest.approx(2 / (2 + 1.5))
    assert found["disc", "panoptic_quality"] == 1


def test_a_split_one():
    semantic, instance = spine()
    instance[:, 46:53][instance[:, 46:53] == 22] = 24
    found = table(compare((semantic, instance), spine()))
    assert found["vertebra", "split_n"] == 1
    assert found["vertebra", "merged_n"] == 0
    assert found["disc", "split_n"] == 0


def test_a_missing_one_and_an_extra_one():
    semantic, instance = spine()
    missing = np.where(instance == 22, 0, instance)
    found = table(compare((semantic, missing), spine()))
    assert (found["vertebra", "missed_n"], found["vertebra", "false_n"]) == (1, 0)
    assert found["vertebra", "dice_of_matched"] == 1
    assert found["vertebra", "dice_with_missed"] == 0.75
    assert found["vertebra", "recognition_quality"] == pytest.approx(3 / 3.5)
    extra = instance.copy()
    extra[32:38, 10:20, 2:7] = 25
    found = table(compare((semantic, extra), spine()))
    assert (found["vertebra", "missed_n"], found["vertebra", "false_n"]) == (0, 1)
    assert found["vertebra", "dice_with_missed"] == 1


def test_names_that_are_off_by_one_change_the_levels_and_nothing_else():
    right, wrong = compare(spine(), spine()), compare(spine((21, 22, 23, 24)), spine())
    assert table(wrong)["vertebra", "level_wrong_n"] == 4
    assert table(wrong)["vertebra", "level_offset_largest"] == 1
    offsets = [r.value for r in wrong if r.metric == "level_offset" and r.structure == "vertebra"]
    assert offsets == [1] * 4
    same = {k: v for k, v in table(right).items() if "level" not in k[1]}
    assert same == {k: v for k, v in table(wrong).items() if "level" not in k[1]}


def test_vertebrae_without_a_name_are_matched_and_have_no_level():
    semantic, instance = spine((20, 21, 34, 35))
    found = compare((semantic, instance), spine())
    assert table(found)["vertebra", "matched_n"] == 4
    assert table(found)["disc", "matched_n"] == 4
    assert table(found)["vertebra", "level_right_n"] == 2
    unknown = [r for r in found if r.status == "level_unknown" and r.structure == "vertebra"]
    assert {r.reference_label for r in unknown} == {22, 23}


def test_what_the_field_of_view_cuts_is_a_stratum_of_its_own():
    semantic, instance = spine()
    semantic, instance = np.roll(semantic, -8, axis=1), np.roll(instance, -8, axis=1)
    rows = compare((semantic, np.where(instance == 20, 0, instance)), (semantic, instance))
    strata = {r.reference_label: r.stratum for r in rows if r.unit == "instance"}
    assert strata[20] == "cut"
    assert strata[21] == "whole"
    assert table(rows)["vertebra", "missed_n"] == 1
    assert table(rows, stratum="not_cut")["vertebra", "missed_n"] == 0
    wide = np.repeat(instance[:, :, 4:5], 9, axis=2)
    lateral = compare((None, wide), (None, wide))
    assert {r.stratum for r in lateral if r.reference_label == 21} == {"lateral_cut"}


def test_a_reference_without_a_structure_is_no_reproach():
    semantic, instance = spine()
    reference = np.where(instance > 100, instance + 85, 0).astype(np.uint16)
    spider = find_convention("spider")
    rows = compare((semantic, instance), (reference, reference), spider)
    assert {r.structure for r in rows} == {"disc", "vertebra", "canal_with_cord"}
    discs = {r.metric: r.value for r in rows if r.structure == "disc" and r.unit == "structure"}
    assert discs["dice"] == 1
    bodies = find_convention("vertebral_bodies")
    only = np.where(instance < 100, instance, 0)
    rows = compare((semantic, instance), (only, only), bodies)
    assert {r.structure for r in rows} == {"vertebral_body", "body"}
    assert table(rows)["body", "panoptic_quality"] == 1
    assert {r.status for r in rows if r.metric == "level_offset"} == {"level_unknown"}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_swapping_the_masks_turns_misses_into_false_ones_and_keeps_the_rest(seed):
    rng = np.random.default_rng(seed)
    masks = []
    for _ in range(2):
        mask = np.zeros(SHAPE, np.uint8)
        for label in rng.permutation([20, 21, 22, 23, 24])[: rng.integers(1, 5)]:
            low = rng.integers(0, (30, 80, 6))
            high = low + rng.integers(2, (12, 14, 4))
            mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = label
        masks.append(mask)
    there = table(compare((None, masks[0]), (None, masks[1])))
    back = table(compare((None, masks[1]), (None, masks[0])))
    assert there["vertebra", "missed_n"] == back["vertebra", "false_n"]
    for metric in ("panoptic_quality", "dice_of_matched", "assd_of_matched_mm"):
        assert there["vertebra", metric] == pytest.approx(back["vertebra", metric], nan_ok=True)
