import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from columna.anatomy import Semantic
from columna.errors import ScanRefused
from columna.images.volume import Volume
from columna.semantic.islands import delete_islands, delete_stray_sacrum
from columna.semantic.postprocess import (
    SMALL_MM3,
    clean_semantic,
    delete_small_components,
    fill_holes,
    keep_spine,
)

ARCH, BODY, DISC, CORD, CANAL, SACRUM = 41, 49, 100, 60, 61, 26
MM = np.ones(3)
PIR_AFFINE = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]])


def volume(labels, spacing=1.0):
    return Volume(labels, PIR_AFFINE @ np.diag([spacing] * 3 + [1.0]))


def empty(*shape):
    return np.zeros(shape, np.uint8)


def test_threshold_is_thirty_reference_voxels():
    """At 0.75 x 0.75 x 1.65 mm, 29 voxels go and 30 stay."""
    assert pytest.approx(30 * 0.75 * 0.75 * 1.65) == SMALL_MM3
    for voxels, stays in [(29, False), (30, True)]:
        labels = empty(40, 3, 3)
        labels[:voxels, 1, 1] = BODY
        delete_small_components(labels, 0.75 * 0.75 * 1.65)
        assert (labels == BODY).any() == stays


@pytest.mark.parametrize(
    ("label", "stays"),
    [(label, label not in (*range(41, 50), CANAL, DISC)) for label in sorted(Semantic)],
)
def test_which_labels_are_dusted(label, stays):
    labels = empty(5, 5, 5)
    labels[2, 2, 2] = label
    delete_small_components(labels, 1.0)
    assert labels.any() == stays


def test_specks_are_components_of_one_label_joined_by_faces():
    labels = empty(20, 12, 12)
    labels[2:8, 2:8, 2:8] = BODY
    labels[8, 3, 3] = DISC  # touches the body, but is a speck of its own label
    labels[8, 8, 8] = BODY  # touches the body by a corner only
    labels[8, 5, 5] = BODY  # touches it by a face
    delete_small_components(labels, 1.0)
    assert labels[8, 3, 3] == labels[8, 8, 8] == 0
    assert labels[8, 5, 5] == BODY
    assert (labels == BODY).sum() == 6**3 + 1


def test_boxes_chain():
    """B is near A, C near B only: all stay, in full; D is near none.

    An older SPINEPS cut away what lay outside the box of the largest component.
    """
    labels = empty(60, 120, 12)
    labels[5:25, 5:45, 2:10] = BODY  # A
    labels[15:40, 50:70, 2:10] = DISC  # B: further back than A's box
    labels[35:50, 75:95, 2:10] = SACRUM  # C
    labels[5:8, 112:118, 2:10] = BODY  # D: below, but out of reach
    expected = labels.copy()
    expected[:, 110:] = 0
    keep_spine(labels, MM)
    assert np.array_equal(labels, expected)


@pytest.mark.parametrize(("axis", "gap", "stays"), [
    (0, 6, True), (0, 7, False), (2, 6, True), (2, 7, False), (1, 9, True), (1, 10, False),
])  # fmt: skip
def test_reach_of_boxes(axis, gap, stays):
    """Two boxes grown by 3 mm each meet across 6 mm, along the height across 9 mm."""
    labels = empty(40, 40, 40)
    labels[5:15, 5:15, 5:15] = BODY
    box = [slice(8, 12)] * 3
    box[axis] = slice(15 + gap, 19 + gap)
    labels[tuple(box)] = BODY
    keep_spine(labels, MM)
    assert labels[tuple(box)].any() == stays


def test_reach_is_in_mm():
    labels = empty(60, 60, 60)
    labels[5:15, 5:15, 5:15] = BODY
    labels[26:30, 5:15, 5:15] = BODY
    coarse, fine = labels.copy(), labels.copy()
    keep_spine(coarse, MM)
    assert not coarse[26:30].any()
    keep_spine(fine, MM / 2)
    assert fine[26:30].any()


def test_holes_are_filled_label_by_label():
    labels = empty(30, 20, 20)
    labels[2:12, 2:12, 2:12] = BODY
    labels[5:8, 5:8, 5:8] = 0
    labels[6, 6, 6] = DISC  # an island inside the hole keeps its label
    labels[15:25, 2:12, 2:12] = SACRUM
    labels[18:20, 5:8, 5:8] = 0  # the sacrum is not filled
    fill_holes(labels)
    assert (labels[2:12, 2:12, 2:12] == BODY).sum() == 10**3 - 1
    assert labels[6, 6, 6] == DISC
    assert not labels[18:20, 5:8, 5:8].any()


def test_open_holes_stay_open():
    labels = empty(12, 12, 12)
    labels[1:11, 1:11, 1:11] = CANAL
    labels[5, 5, :] = 0
    fill_holes(labels)
    assert not labels[5, 5, :].any()


def test_bodies_are_filled_before_the_cord():
    """A hole that both enclose goes to the earlier label."""
    labels = empty(11, 11, 11)
    labels[1:10, 1:10, 1:10] = BODY
    labels[2:9, 2:9, 2:9] = CORD
    labels[5, 5, 5] = 0
    fill_holes(labels)
    assert labels[5, 5, 5] == BODY


def test_nothing_found_is_refused():
    with pytest.raises(ScanRefused) as refusal:
        clean_semantic(volume(empty(5, 5, 5)))
    assert refusal.value.code == "no_spine"
    specks = empty(9, 9, 9)
    specks[4, 4, 4] = BODY
    with pytest.raises(ScanRefused) as refusal:
        clean_semantic(volume(specks))
    assert refusal.value.code == "no_spine"


LABELS = hnp.arrays(
    np.uint8, st.tuples(*[st.integers(1, 9)] * 3), elements=st.sampled_from([0, 0, 49, 61, 100, 26])
)


@given(LABELS, st.sampled_from([0.5, 1.0, 3.1]))
def test_cleaning_relabels_only_specks(labels, spacing):
    before = labels.copy()
    try:
        cleaned = clean_semantic(volume(labels, spacing)).array
    except ScanRefused:
        return
    assert np.array_equal(labels, before), "the input is not changed"
    relabelled = (cleaned != labels) & (cleaned != 0) & (labels != 0)
    specks = labels.copy()
    delete_small_components(specks, spacing**3)
    # a speck is deleted first; the hole that it leaves may be filled by what encloses it
    assert not (relabelled & (specks != 0)).any()
    assert cleaned.dtype == np.uint8


@given(LABELS, st.integers(1, 5))
def test_empty_margins_do_not_matter(labels, margin):
    wide = np.pad(labels, margin)
    try:
        cleaned = clean_semantic(volume(labels, 3.1)).array
    except ScanRefused:
        with pytest.raises(ScanRefused):
            clean_semantic(volume(wide, 3.1))
        return
    assert np.array_equal(clean_semantic(volume(wide, 3.1)).array, np.pad(cleaned, margin))


@given(LABELS)
def test_left_and_right_do_not_matter(labels):
    try:
        cleaned = clean_semantic(volume(labels, 3.1)).array
    except ScanRefused:
        return
    mirrored = clean_semantic(volume(labels[:, :, ::-1].copy(), 3.1)).array
    sizes_differ = np.array_equal(mirrored[:, :, ::-1], cleaned)
    assert sizes_differ or _has_equal_components(labels)


def _has_equal_components(labels):
    """Two components of the same, largest size: which one is the spine is then a toss."""
    import cc3d

    sizes = np.sort(cc3d.statistics(cc3d.connected_components(labels != 0))["voxel_counts"][1:])
    return len(sizes) > 1 and sizes[-1] == sizes[-2]


def curved_spine():
    """A half circle of bodies, and an island in the middle of its box."""
    labels = empty(120, 200, 12)
    for angle in np.linspace(0.1, np.pi - 0.1, 40):
        p, i = int(20 + 80 * np.sin(angle)), int(100 - 80 * np.cos(angle))
        labels[p - 8 : p + 8, i - 8 : i + 8, 3:9] = BODY
    island = empty(*labels.shape)
    island[30:36, 95:101, 4:8] = DISC
    return labels, island


def test_islands_within_the_box_of_a_curved_spine_are_deleted():
    spine, island = curved_spine()
    both = np.maximum(spine, island)
    assert (clean_semantic(volume(both)).array[island > 0] == DISC).all()  # as SPINEPS
    assert np.array_equal(clean_semantic(volume(both), 15.0).array, spine)


def test_parts_of_the_spine_stay_however_far_away():
    spine, _ = curved_spine()
    spine[:, 60:140] = 0  # a stretch that the network has missed
    parts = spine.copy()
    delete_islands(parts, MM, 15.0)
    assert np.array_equal(parts, spine)


def test_there_is_one_spine_only():
    """Something large beside the spine is none, also if processes bridge the way to it."""
    spine, _ = curved_spine()
    second = empty(*spine.shape)
    second[4:12, 60:150, 2:10] = BODY
    assert np.count_nonzero(second) > 0.1 * np.count_nonzero(spine)
    bridge = empty(*spine.shape)
    bridge[12:110:10, 98:102, 4:8] = ARCH
    for bridged in (False, True):
        both = np.maximum(spine, second)
        if bridged:
            both[(both == 0) & (bridge > 0)] = ARCH
        delete_islands(both, MM, 15.0)
        assert not (both[second > 0] == BODY).any()
        assert (both[spine > 0] == BODY).all()


SPACINGS = [(1.0, 1.0, 1.0), (0.75, 0.75, 1.65), (1.2, 1.2, 3.3), (5.0, 5.0, 5.0)]


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize(("gap", "stays"), [(8.0, True), (25.0, False)])
def test_the_gap_is_in_millimetres(spacing, gap, stays):
    labels = empty(*(int(n / s) for n, s in zip((120, 60, 40), spacing, strict=True)))

    def paint(low, high, label):
        box = zip(np.array(low) / spacing, np.array(high) / spacing, strict=True)
        labels[tuple(slice(int(a), int(b)) for a, b in box)] = label

    paint((5, 5, 5), (45, 55, 35), BODY)
    paint((45 + gap, 20, 10), (56 + gap, 35, 25), DISC)
    delete_islands(labels, np.array(spacing), 15.0)
    assert (labels == DISC).any() == stays
    assert (labels == BODY).any()


def test_islands_of_nothing():
    labels = empty(4, 4, 4)
    delete_islands(labels, MM, 15.0)
    assert not labels.any()


def lumbar_with_sacrum():
    """Five bodies with discs, and a sacrum that begins beside the last one."""
    labels = np.zeros((60, 120, 20), np.uint8)
    for place in range(5):
        labels[10:30, 5 + 17 * place : 17 + 17 * place, 4:16] = Semantic.VERTEBRAL_BODY
        labels[10:30, 18 + 17 * place : 21 + 17 * place, 4:16] = Semantic.DISC
    labels[20:45, 91:115, 5:15] = Semantic.SACRUM
    return labels


@pytest.mark.parametrize("is_upside_down", [False, True])
def test_sacrum_stays_only_where_the_bodies_end(is_upside_down):
    true = lumbar_with_sacrum()
    labels = true.copy()
    labels[50:58, 30:60, 5:15] = Semantic.SACRUM  # behind the spine, at mid-height
    labels[5:9, 0:3, 16:20] = Semantic.SACRUM  # a speck above
    if is_upside_down:
        true, labels = true[:, ::-1], labels[:, ::-1].copy()
    delete_stray_sacrum(labels, MM, 15.0)
    assert np.array_equal(labels, true)


def test_stray_sacrum_of_a_neck_goes_and_masks_without_bodies_stay():
    labels = lumbar_with_sacrum()
    labels[labels == Semantic.SACRUM] = 0
    labels[50:58, 30:60, 5:15] = Semantic.SACRUM
    delete_stray_sacrum(labels, MM, 15.0)
    assert not (labels == Semantic.SACRUM).any()
    alone = np.where(lumbar_with_sacrum() == Semantic.SACRUM, Semantic.SACRUM, 0)
    before = alone.copy()
    delete_stray_sacrum(alone, MM, 15.0)
    assert np.array_equal(alone, before)
