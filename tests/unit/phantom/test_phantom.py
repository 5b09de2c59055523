"""Phantoms: the truth must be true on every grid."""

import itertools
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from columna.anatomy import SACRUM, Semantic, anatomical_order
from columna.files import read_json
from columna.images.volume import load_volume
from columna.phantom import PhantomSettings, make_phantom, random_settings, write_phantom
from columna.phantom.generate import make_scene
from columna.phantom.spine.shapes import BodyShape, Rod
from columna.phantom.tissues import EMPTY
from columna.phantom.voxels import VoxelGrid

STRUCTURES = {26, 41, 42, 43, 44, 45, 46, 47, 48, 49, 60, 61, 62, 100}
COARSE = (1.5, 1.5, 3.3)
LEFT = (43, 45, 47)
RIGHT = (44, 46, 48)


@pytest.fixture(scope="module")
def whole():
    return make_phantom(PhantomSettings(spacing_mm=COARSE, seed=4))


@pytest.fixture(scope="module")
def lumbar():
    return make_phantom(PhantomSettings(region="lumbar", spacing_mm=COARSE, seed=4))


def right_mm(volume, mask):
    """Mean right (RAS) coordinate of a mask."""
    voxels = np.argwhere(mask)
    return (voxels @ volume.affine[0, :3]).mean() + volume.affine[0, 3]


def test_a_whole_spine_holds_all_structures_and_levels(whole):
    assert set(np.unique(whole.semantic.array)) == STRUCTURES | {0}
    presacral = [*range(2, 25)]
    expected = {0, SACRUM, *presacral, *(100 + v for v in presacral), *(200 + v for v in presacral)}
    assert set(np.unique(whole.instance.array)) == expected


def test_masks_agree_with_each_other(whole):
    semantic, instance = whole.semantic.array, whole.instance.array
    assert ((instance > 100) & (instance < 200))[semantic == Semantic.DISC].all()
    assert (instance[semantic == Semantic.ENDPLATE] > 200).all()
    assert (instance[semantic == Semantic.SACRUM] == SACRUM).all()
    vertebra = (semantic >= 41) & (semantic <= 49)
    assert ((instance[vertebra] >= 2) & (instance[vertebra] <= 28)).all()
    assert (instance[np.isin(semantic, (60, 61))] == 0).all()


def test_levels_stand_in_anatomical_order(whole):
    body = whole.semantic.array == Semantic.VERTEBRAL_BODY
    heights = {
        int(v): np.argwhere(body & (whole.instance.array == v))[:, 1].mean()
        for v in np.unique(whole.instance.array[body])
    }
    assert sorted(heights, key=heights.get) == anatomical_order(heights)


def test_plates_and_discs_lie_below_the_vertebra_that_names_them(lumbar):
    instance = lumbar.instance.array

    def height(label):
        return np.argwhere(instance == label)[:, 1].mean()

    for upper, lower in itertools.pairwise([20, 21, 22, 23, 24, SACRUM]):
        assert height(upper) < height(100 + upper) < height(lower)
        assert abs(height(200 + upper) - height(100 + upper)) * COARSE[1] < 4


def test_the_cord_ends_at_l1_inside_the_canal(whole):
    semantic = whole.semantic.array
    rows = np.flatnonzero((semantic == Semantic.SPINAL_CORD).any(axis=(0, 2)))
    centres = {r["label"]: r["centre_ras_mm"] for r in whole.truth["levels"]}
    lowest = (whole.semantic.affine @ [0, rows[-1], 0, 1])[2]
    assert centres[21][2] < lowest < centres[19][2]
    above = semantic[:, : rows[-1] - 5]
    assert ((above == Semantic.SPINAL_CANAL).any(axis=(0, 2))).all()


@pytest.mark.parametrize(
    "codes", [("P", "I", "R"), ("L", "A", "S"), ("A", "S", "L"), ("S", "P", "R")]
)
def test_left_labels_lie_on_the_patients_left_in_every_orientation(codes):
    phantom = make_phantom(
        PhantomSettings(region="lumbar", spacing_mm=(2, 2, 3), orientation=codes, obliquity_deg=12)
    )
    assert phantom.image.orientation == codes
    semantic = phantom.semantic.array
    for left, right in zip(LEFT, RIGHT, strict=True):
        gap = right_mm(phantom.semantic, semantic == right) - right_mm(
            phantom.semantic, semantic == left
        )
        assert gap > 10


def test_orientation_changes_storage_but_not_the_truth(lumbar):
    turned = make_phantom(
        PhantomSettings(region="lumbar", spacing_mm=COARSE, seed=4, orientation=("R", "A", "S"))
    )
    assert np.array_equal(turned.semantic.reoriented().array, lumbar.semantic.array)
    assert np.array_equal(turned.instance.reoriented().array, lumbar.instance.array)


@hypothesis_settings(max_examples=6, deadline=None)
@given(
    in_plane=st.floats(0.8, 1.6),
    slices=st.floats(1.5, 3.6),
    obliquity=st.floats(-20, 20),
    shift=st.floats(-2, 2),
)
def test_volumes_hardly_depend_on_the_grid(in_plane, slices, obliquity, shift):
    """L3's body and the canal beside it have a volume of their own, whatever samples them."""
    reference = _fine_l3_volumes()
    settings = PhantomSettings(
        **_L3,
        spacing_mm=(in_plane, in_plane, slices),
        obliquity_deg=obliquity,
        fov_shift_mm=(shift, shift, shift),
    )
    body, disc = _l3_volumes(settings)
    assert body == pytest.approx(reference[0], rel=0.05)
    assert disc == pytest.approx(reference[1], rel=0.12)


_L3 = {"region": "lumbar", "irregularity": 0.0, "fov_mm": (120.0, 150.0, 64.0)}


@cache
def _fine_l3_volumes():
    return _l3_volumes(PhantomSettings(**_L3, spacing_mm=(0.7, 0.7, 1.0)))


def _l3_volumes(settings):
    scene = make_scene(settings)
    voxel = abs(np.linalg.det(scene.grid.affine[:3, :3]))
    body = (scene.semantic == Semantic.VERTEBRAL_BODY) & (scene.instance == 22)
    return body.sum() * voxel, (scene.instance == 122).sum() * voxel


def test_obliquity_is_the_angle_between_slice_normal_and_right():
    scene = make_scene(PhantomSettings(region="lumbar", spacing_mm=(4, 4, 6), obliquity_deg=17))
    normal = scene.grid.affine[:3, 2] / np.linalg.norm(scene.grid.affine[:3, 2])
    assert np.rad2deg(np.arccos(normal[0])) == pytest.approx(17)


def test_body_and_rod_volumes_are_analytic():
    """A body without waist is a superellipse of exponent 3; a rod is a capsule."""
    grid = VoxelGrid((120, 120, 120), np.diag([0.5, 0.5, 0.5, 1.0]) + _offset(-29.75))
    at = grid.coordinates(np.eye(4), grid.whole)
    body = BodyShape(height=20, depth=30, width=40)
    section = body.contains_section(at[0], at[1], np.float32(10))
    area = section[:, :, 0].sum() * 0.25
    # area of |x/a|^3 + |y/b|^3 <= 1 is 3.5332 a b
    assert area == pytest.approx(3.5332 * 20 * 15, rel=0.01)
    rod = Rod((0, 0, -10), (0, 0, 10), 6)
    volume = (rod.depth(at) >= 0).sum() * 0.125
    assert volume == pytest.approx(np.pi * 36 * 20 + 4 / 3 * np.pi * 216, rel=0.01)


def _offset(value):
    shift = np.zeros((4, 4))
    shift[:3, 3] = value
    return shift


def test_true_heights_match_the_mask(lumbar):
    """The middle column of L3's body is as high as the truth says."""
    row = next(r for r in lumbar.truth["levels"] if r["label"] == 22)
    fine = {"spacing_mm": (0.5, 0.25, 3.3), "fov_mm": (80.0, 100.0, 20.0)}
    scene = make_scene(PhantomSettings(region="lumbar", seed=4, **fine))
    body = (scene.semantic == Semantic.VERTEBRAL_BODY) & (scene.instance == 22)
    centre = np.linalg.inv(scene.grid.affine) @ [*row["centre_ras_mm"], 1]
    column = body[round(centre[0]), :, round(centre[2])].sum() * 0.25
    tilt = np.cos(np.deg2rad(row["axis_sagittal_deg"]))
    assert column * tilt == pytest.approx(row["height_middle_mm"], abs=0.6)


def test_extra_and_missing_vertebrae_keep_their_numbers():
    many = make_scene(PhantomSettings(thoracic=13, lumbar=6, spacing_mm=(2.5, 2.5, 4)))
    labels = set(np.unique(many.instance))
    assert {28, 25, 128, 125, 228, 225, 19, 20} <= labels
    few = make_scene(PhantomSettings(thoracic=11, lumbar=4, spacing_mm=(2.5, 2.5, 4)))
    labels = set(np.unique(few.instance))
    assert not labels & {19, 24, 25, 28, 119, 124}
    assert {18, 20, 23, 118, 123} <= labels


@pytest.mark.parametrize(
    ("region", "cut", "absent"),
    [("lumbar", 17, 2), ("thoracic", 6, 26), ("cervicothoracic", 12, 20)],
)
def test_partial_views_end_inside_a_vertebra(region, cut, absent):
    phantom = make_phantom(PhantomSettings(region=region, spacing_mm=(1.5, 1.5, 3.3)))
    rows = {r["label"]: r["visible_fraction"] for r in phantom.truth["levels"]}
    assert 0.2 < rows[cut] < 0.8
    assert rows[absent] == 0
    assert absent not in phantom.instance.array
    assert (phantom.instance.array == cut).any()


def test_fused_and_missing_discs():
    settings = {"region": "lumbar", "spacing_mm": (1.5, 1.5, 3.3)}
    plain = make_scene(PhantomSettings(**settings))
    odd = make_scene(PhantomSettings(**settings, fused_below=(21,), missing_disc_below=(22,)))
    assert {121, 122} <= set(np.unique(plain.instance))
    assert not {121, 122} & set(np.unique(odd.instance))
    gained = (plain.instance == 121) & (odd.semantic == Semantic.VERTEBRAL_BODY)
    assert gained.sum() == (plain.instance == 121).sum()
    assert (odd.semantic[plain.instance == 122] == 0).mean() > 0.95


def test_a_crushed_vertebra_loses_its_front():
    phantom = make_phantom(
        PhantomSettings(region="lumbar", spacing_mm=(3, 3, 5), crushed={21: 0.4}, irregularity=0)
    )
    rows = {r["label"]: r for r in phantom.truth["levels"]}
    assert rows[21]["height_anterior_mm"] < 0.8 * rows[22]["height_anterior_mm"]
    assert rows[21]["height_posterior_mm"] > 0.85 * rows[22]["height_posterior_mm"]


def test_same_settings_same_bits_and_another_seed_another_spine(lumbar):
    again = make_phantom(PhantomSettings(region="lumbar", spacing_mm=COARSE, seed=4))
    assert np.array_equal(again.image.array, lumbar.image.array)
    assert np.array_equal(again.semantic.array, lumbar.semantic.array)
    assert again.truth == lumbar.truth
    other = make_phantom(PhantomSettings(region="lumbar", spacing_mm=COARSE, seed=5))
    assert not np.array_equal(other.semantic.array, lumbar.semantic.array)


def test_every_voxel_has_a_tissue_and_the_image_looks_t2_weighted(lumbar):
    scene = make_scene(PhantomSettings(region="lumbar", spacing_mm=COARSE, seed=4))
    assert not (scene.tissues == EMPTY).any()
    assert lumbar.image.array.dtype == np.int16
    median = {
        s: np.median(lumbar.image.array[lumbar.semantic.array == s]) for s in (49, 60, 61, 62)
    }
    assert median[61] > 1.3 * median[60]
    assert median[60] > median[49] * 0.8
    assert median[62] < median[49]


def test_random_settings_follow_the_seed_and_keep_what_is_fixed():
    assert random_settings(11) == random_settings(11)
    assert random_settings(11) != random_settings(12)
    assert random_settings(11, region="thoracic", noise=0.5).noise == 0.5


def test_written_files_read_back(tmp_path, lumbar):
    image = write_phantom(lumbar, tmp_path, "sub-1")
    assert image.name == "sub-1_T2w.nii.gz"
    stored = load_volume(tmp_path / "sub-1_seg-vert_dseg.nii.gz")
    assert np.array_equal(stored.array, lumbar.instance.array)
    assert np.allclose(stored.affine, lumbar.instance.affine, atol=1e-4)
    assert read_json(tmp_path / "sub-1_truth.json")["settings"]["seed"] == 4
