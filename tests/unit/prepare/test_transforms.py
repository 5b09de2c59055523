"""Headers whose transforms disagree, and grids whose axes are not orthogonal."""

import nibabel as nib
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from columna.assess.rules import all_rules
from columna.config import PrepareSettings
from columna.errors import ScanRefused
from columna.images.volume import Volume
from columna.prepare import read_scan
from columna.prepare.facts import geometry_facts
from columna.prepare.header import parse_header
from columna.prepare.transforms import transform_facts

SHAPE = (40, 48, 9)
PIR = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
"""Columns: where the array axes P, I, R run to."""
SPACING = (1.2, 1.2, 3.3)
FACTS = ("qform_distance_mm", "qform_turn_deg", "qform_scale_ratio", "qform_shift_mm")


def affine_of(spacing=SPACING, turn=None):
    affine = np.eye(4)
    affine[:3, :3] = (np.eye(3) if turn is None else turn) @ PIR * spacing
    affine[:3, 3] = (-12, 30, 70)
    return affine


def image_of(sform, qform=None, codes=(1, 1)):
    image = nib.Nifti1Image(np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE), None)
    if sform is not None:
        image.set_sform(sform, codes[0])
        image.header.set_zooms(np.linalg.norm(sform[:3, :3], axis=0))
    if qform is not None:
        image.set_qform(qform, codes[1])
    return image


def facts_of(folder, image):
    path = folder / "sub-1_T2w.nii.gz"
    nib.save(image, path)
    return read_scan(path, PrepareSettings()).facts


def verdict(rule_id, facts):
    rule = all_rules()[rule_id]
    return rule.verdict(facts.get(rule.source_column[1]))


def moved(affine, shift):
    return np.array([[1, 0, 0, shift], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]) @ affine


def world(matrix):
    whole = np.eye(4)
    whole[:3, :3] = matrix
    return whole


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (world(np.diag([-1, 1, 1])), {"is_qform_mirrored": True, "qform_turn_deg": 0}),
        (world(Rotation.from_euler("x", 29, degrees=True).as_matrix()), {"qform_turn_deg": 29}),
        (world(np.eye(3) * 1.04), {"qform_scale_ratio": 1.04}),
        (world(np.diag([1, 1, 0.96])), {"qform_scale_ratio": 1 / 0.96}),
        (moved(np.eye(4), 2.0), {"qform_shift_mm": 2, "qform_turn_deg": 0}),
    ],
    ids=["flipped", "turned", "template", "stretched", "moved"],
)
def test_transforms_that_disagree_are_told(tmp_path, change, expected):
    facts = facts_of(tmp_path, image_of(change @ affine_of(), affine_of(), (4, 1)))
    assert facts["affine_source"] == "sform"
    for name, value in expected.items():
        assert facts[name] == pytest.approx(value, abs=1e-3), name
    assert verdict("transforms_agree", facts) == "review"


def test_equal_transforms_and_single_ones_raise_nothing(tmp_path):
    both = facts_of(tmp_path, image_of(affine_of(), affine_of()))
    assert both["is_qform_mirrored"] is False
    assert [both[name] for name in FACTS] == pytest.approx([0, 0, 1, 0], abs=0.02)
    assert verdict("transforms_agree", both) == "ok"
    for image, source in (
        (image_of(affine_of()), "sform"),
        (image_of(affine_of(), affine_of(turn=PIR), (2, 0)), "sform"),
        (image_of(affine_of(turn=PIR), affine_of(), (0, 1)), "qform"),
    ):
        facts = facts_of(tmp_path, image)
        assert facts["affine_source"] == source
        assert not {"is_qform_mirrored", *FACTS} & facts.keys()
        assert verdict("transforms_agree", facts) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [("quatern_b", 5), ("quatern_c", np.nan), ("qoffset_x", np.nan), ("qoffset_z", np.inf)],
)
@pytest.mark.parametrize("code", [1, 4])
def test_a_qform_that_is_no_transform_is_told(tmp_path, field, value, code):
    image = image_of(affine_of(), affine_of(), (1, code))
    image.header[field] = value
    facts = facts_of(tmp_path, image)
    assert facts["affine_source"] == "sform"
    assert facts["is_qform_broken"] is True
    assert verdict("qform_usable", facts) == "review"
    assert not {"is_qform_mirrored", *FACTS} & facts.keys()


def test_a_qform_that_is_not_set_may_hold_anything(tmp_path):
    image = image_of(affine_of(), affine_of(), (1, 0))
    image.header["quatern_b"] = 5
    facts = facts_of(tmp_path, image)
    assert facts["is_qform_broken"] is False
    assert verdict("qform_usable", facts) == "ok"


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.floats(-180, 180), min_size=3, max_size=3),
    st.sampled_from([1.0, 1e-2, 1e-4, 0.0]),
    st.tuples(*[st.integers(16, 1000)] * 2, st.integers(3, 200)),
)
def test_rounding_of_the_quaternion_raises_nothing(angles, share, shape):
    """Near half a turn single precision moves the corners of a whole spine by almost 1 mm."""
    turn = Rotation.from_euler("xyz", np.array(angles) * share, degrees=True).as_matrix()
    affine = affine_of((0.7, 0.7, 3.3), turn)
    image = nib.Nifti1Image(np.broadcast_to(np.uint8(0), shape), None)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    facts = transform_facts(parse_header(image.header.binaryblock + bytes(192)))
    assert verdict("transforms_agree", facts) == "ok"


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["turn", "scale", "shift", "mirror"]),
    st.floats(1, 45),
    st.sampled_from("xyz"),
)
def test_every_kind_of_difference_is_told(kind, size, axis):
    changes = {
        "turn": world(Rotation.from_euler(axis, size, degrees=True).as_matrix()),
        "scale": world(np.eye(3) * (1 + size / 100)),
        "shift": moved(np.eye(4), size),
        "mirror": world(np.diag([-1.0 if a == axis else 1 for a in "xyz"])),
    }
    image = image_of(changes[kind] @ affine_of(), affine_of())
    facts = transform_facts(parse_header(image.header.binaryblock + bytes(192)))
    assert verdict("transforms_agree", facts) == "review"
    assert facts["is_qform_mirrored"] == (kind == "mirror")


def sheared(k, axis=1):
    """Slices stored `k` voxels apart along `axis`, in the same places."""
    shear = np.eye(4)
    shear[axis, 2] = k
    return affine_of() @ shear


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(("k", "angle"), [(1, 19.98), (2, 36.03), (-3, 47.49)])
def test_spacing_of_sheared_axes_is_that_of_the_slices(tmp_path, k, angle, axis):
    facts = facts_of(tmp_path, image_of(sheared(k, axis)))
    assert facts["shear_deg"] == pytest.approx(angle, abs=0.01)
    assert [facts[f"spacing_{a}_mm"] for a in ("lr", "ap", "si")] == [3.3, 1.2, 1.2]
    assert facts["fov_lr_mm"] == pytest.approx(9 * 3.3)
    assert verdict("axes_orthogonal", facts) == "review"


def test_pixdim_of_sheared_axes_may_be_either_distance(tmp_path):
    for thickness in (3.3, np.hypot(3.3, 2.4)):
        image = image_of(sheared(2))
        image.header["pixdim"][3] = thickness
        assert facts_of(tmp_path, image)["spacing_lr_mm"] == 3.3
    image.header["pixdim"][3] = 3.7
    with pytest.raises(ScanRefused, match="contradicts itself"):
        facts_of(tmp_path, image)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-25, 25), min_size=3, max_size=3),
    st.floats(-2, 2),
    st.permutations(range(3)),
)
def test_volume_is_the_product_of_the_spacings_unless_the_slices_are_sheared(angles, k, order):
    turn = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    shear = np.eye(3)
    shear[1, 2] = k
    affine = np.eye(4)
    affine[:3, :3] = (turn @ PIR * SPACING @ shear)[:, list(order)]
    facts = geometry_facts(Volume(np.broadcast_to(0, SHAPE), affine))
    assume(facts["spacing_lr_mm"] > 2)  # the array axis of the slices runs left-right
    product = np.prod([facts[f"spacing_{a}_mm"] for a in ("lr", "ap", "si")])
    assert product == pytest.approx(np.prod(SPACING), rel=1e-5)


def test_orthogonal_axes_raise_nothing(tmp_path):
    turn = Rotation.from_euler("xyz", (10, 8, -12), degrees=True).as_matrix()
    facts = facts_of(tmp_path, image_of(affine_of(turn=turn)))
    assert facts["shear_deg"] == pytest.approx(0, abs=0.01)
    assert verdict("axes_orthogonal", facts) == "ok"
