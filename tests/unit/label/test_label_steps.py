"""Each step of the label stage on masks spoilt on purpose."""

import numpy as np
import pytest
from drawn_spine import FIRST_ROW, PITCH, draw_spine

from columna.anatomy import ENDPLATES, Semantic
from columna.label.adjacent_voxels import commonest
from columna.label.articular import settle_articular
from columna.label.c2 import merge_split_c2
from columna.label.components import find_components
from columna.label.derived import LabelColumn, add_derived, level_above
from columna.label.missing import assign_missing
from columna.label.order import MAX_INSTANCES, order_instances
from columna.label.spinous import move_posterior_elements


def framed(count, **options):
    drawn = draw_spine(count, **options)
    return np.pad(drawn.semantic, 1), np.pad(drawn.instance, 1)


def spaces_of(semantic):
    wanted = np.isin(semantic, (Semantic.DISC, *ENDPLATES))
    return find_components(np.where(wanted, semantic, 0))


def test_order_does_not_depend_on_the_numbers():
    _, instance = framed(5)
    shuffled = np.array([0, 40, 7, 301, 2, 12], np.uint16)[instance]
    np.testing.assert_array_equal(order_instances(shuffled), instance)


def test_too_many_instances_leave_the_largest():
    instance = np.zeros((5, 4 * MAX_INSTANCES, 5), np.uint16)
    for number in range(MAX_INSTANCES + 9):
        instance[1 : 2 + (number < MAX_INSTANCES), 2 + 3 * number, 2] = number + 1
    ordered = order_instances(instance)
    assert ordered.max() == MAX_INSTANCES
    assert (ordered > 0).sum() == 2 * MAX_INSTANCES


def test_process_follows_its_dominant_vertebra():
    semantic, instance = framed(4)
    process = (semantic == 45) & (instance == 2)
    truth = instance.copy()
    where = np.argwhere(process)
    instance[tuple(where[:7].T)] = 1
    np.testing.assert_array_equal(settle_articular(semantic, instance), truth)


def test_process_without_clear_owner_stays():
    semantic, instance = framed(4)
    where = np.argwhere((semantic == 45) & (instance == 2))
    instance[tuple(where[: len(where) * 2 // 5].T)] = 1
    before = instance.copy()
    np.testing.assert_array_equal(settle_articular(semantic, instance), before)


def test_process_that_is_mostly_unassigned_is_completed_not_deleted():
    semantic, instance = framed(4)
    truth = instance.copy()
    where = np.argwhere((semantic == 48) & (instance == 3))
    instance[tuple(where[3:].T)] = 0
    np.testing.assert_array_equal(settle_articular(semantic, instance), truth)  # W12


def test_rim_and_detached_pieces_are_assigned_and_strays_deleted():
    semantic, instance = framed(4)
    truth = instance.copy()
    instance[:, FIRST_ROW + 1 + PITCH, :] = 0  # a row of vertebra 2
    instance[(instance == 3) & (semantic == 42)] = 0  # a whole process
    semantic[44:47, 2:5, 2:5] = 42  # touches nothing
    instance[(semantic == 100)] = 4  # reaches into the discs
    got_semantic, got_instance = assign_missing(semantic, instance)
    np.testing.assert_array_equal(got_instance, truth)
    assert not got_semantic[44:47, 2:5, 2:5].any()


def test_pieces_go_to_the_instance_that_surrounds_them_most():
    semantic = np.zeros((12, 30, 12), np.uint8)
    instance = semantic.copy()
    semantic[2:10, 2:28, 2:10] = 49
    instance[2:10, 2:6, 2:10] = 1
    instance[4, 27, 4] = 2
    _, got = assign_missing(semantic, instance)
    assert got[5, 15, 5] == 1
    assert ((got > 0) == (semantic > 0)).all()


@pytest.mark.parametrize("empty", ["semantic", "instance"])
def test_nothing_to_assign_is_no_error(empty):
    semantic, instance = framed(2)
    (semantic if empty == "semantic" else instance)[...] = 0
    before = semantic.copy(), instance.copy()
    got = assign_missing(semantic, instance)
    for mask, same in zip(got, before, strict=True):
        np.testing.assert_array_equal(mask, same)


def test_a_dens_of_its_own_is_merged_into_c2():
    semantic, instance = framed(4, dens=True)
    truth = instance.copy()
    instance[instance > 0] += 1
    instance[9:20, : FIRST_ROW + 1 + 14][instance[9:20, : FIRST_ROW + 1 + 14] > 0] = 1
    merged = merge_split_c2(semantic, instance.copy(), spaces_of(semantic), 3.0)
    np.testing.assert_array_equal(order_instances(merged), truth)
    semantic[semantic == 100] = 0
    alone = merge_split_c2(semantic, instance.copy(), spaces_of(semantic), 3.0)
    np.testing.assert_array_equal(alone, instance)  # without discs nothing is known


def test_two_full_vertebrae_are_not_merged():
    semantic, instance = framed(3)
    semantic[:, : 2 * PITCH][semantic[:, : 2 * PITCH] >= 62] = 0
    before = instance.copy()
    np.testing.assert_array_equal(
        merge_split_c2(semantic, instance, spaces_of(semantic), 3.0), before
    )


def test_a_detached_spinous_process_goes_to_the_vertebra_it_lies_at():
    semantic, instance = framed(3)
    truth = instance.copy()
    process = (semantic == 42) & (instance == 2)
    instance[process] = 3
    np.testing.assert_array_equal(move_posterior_elements(semantic, instance), truth)


def test_a_detached_piece_of_body_is_not_moved():
    semantic, instance = framed(3)
    rows = slice(FIRST_ROW + PITCH + 1, FIRST_ROW + PITCH + 5)
    piece = np.zeros(instance.shape, bool)
    piece[:, rows] = (semantic[:, rows] == 49) & (instance[:, rows] == 2)
    instance[piece] = 3
    before = instance.copy()
    np.testing.assert_array_equal(move_posterior_elements(semantic, instance), before)


def derive(semantic, instance, labels, sacrum=True):
    """Relabel instances 1..n as `labels` and derive the rest."""
    heights = [FIRST_ROW + 1 + place * PITCH + 7.5 for place in range(len(labels))]
    rows = np.flatnonzero((semantic == 26).any(axis=(0, 2)))
    below = float(rows.mean()) if sacrum else None
    named = np.array([0, *labels], np.uint16)[instance]
    column = LabelColumn.of(list(zip(labels, heights, strict=True)), below)
    add_derived(semantic, named, spaces_of(semantic), column)
    return named


@pytest.mark.parametrize("sacrum", [True, False])
def test_the_topmost_plate_and_disc_are_kept(sacrum):
    semantic, instance = framed(3, sacrum=sacrum)
    semantic[5:25, FIRST_ROW, 4:12] = 62  # superior plate of the first vertebra
    semantic[6:24, 1 : FIRST_ROW - 1, 5:11] = 100
    named = derive(semantic, instance, [22, 23, 24], sacrum)
    below_l5 = {26, 124, 224} if sacrum else set()
    assert set(np.unique(named)) == {0, 22, 23, 24, 121, 122, 123, 221, 222, 223} | below_l5
    assert (semantic[5:25, FIRST_ROW, 4:12] == 52).all()  # W2: lost, or called inferior
    assert not (semantic == 62).any()


@pytest.mark.parametrize("sacrum", [True, False])
def test_plates_are_superior_below_and_inferior_above_a_disc(sacrum):
    semantic, instance = framed(3, sacrum=sacrum)
    named = derive(semantic, instance, [22, 23, 24], sacrum)
    for place, vertebra in enumerate((22, 23)):
        row = FIRST_ROW + 1 + place * PITCH
        assert (semantic[5:25, row + 16, 4:12] == 53).all()
        assert (semantic[5:25, row + 23, 4:12] == 52).all()
        assert (named[5:25, [row + 16, row + 23], 4:12] == 200 + vertebra).all()
        assert (named[6:24, row + 17 : row + 23, 5:11] == 100 + vertebra).all()


def test_t13_keeps_its_plates():
    semantic, instance = framed(4)
    plates = semantic == 62
    named = derive(semantic, instance, [19, 28, 20, 21])
    assert np.isin(semantic[plates], (52, 53)).all()  # W3: wiped in T13 and L1
    assert [int(named[10, FIRST_ROW + 1 + place * PITCH + 16, 6]) for place in range(4)] == [
        219,
        228,
        220,
        221,
    ]
    row = FIRST_ROW + 1 + 2 * PITCH
    assert semantic[10, row - 1, 6] == 52
    assert semantic[10, row + 16, 6] == 53


def test_models_with_split_plates_name_them_by_their_own_vertebra():
    semantic, instance = framed(3)
    for place in range(3):
        row = FIRST_ROW + 1 + place * PITCH
        semantic[:, row + 16][semantic[:, row + 16] == 62] = 53
        semantic[:, row + 23][semantic[:, row + 23] == 62] = 52
    named = derive(semantic, instance, [22, 23, 24])
    row = FIRST_ROW + 1
    assert (named[5:25, row + 16, 4:12] == 22).all()
    assert (named[5:25, row + 23, 4:12] == 23).all()


def test_sacrum_and_metal_without_any_vertebra():
    semantic, instance = framed(2)
    semantic[2:4, 10:14, 5:8] = 80
    instance[...] = 0
    add_derived(semantic, instance, spaces_of(semantic), None)
    assert set(np.unique(instance)) == {0, 26, 80}


@pytest.mark.parametrize(("label", "above"), [(20, 19), (28, 19), (25, 24), (2, 1), (8, 7)])
def test_level_above(label, above):
    assert level_above(label) == above


def test_commonest_prefers_the_smaller_and_ignores_zero():
    rows = np.array([[0, 0, 0, 3], [2, 1, 1, 2], [5, 5, 1, 0], [0, 0, 0, 0]])
    assert commonest(rows).tolist() == [3, 1, 5, 0]
    assert commonest(rows[:0]).tolist() == []
