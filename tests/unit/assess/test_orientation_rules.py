"""Scans whose affine turns the patient: told from masks, whatever networks make of them."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from columna.anatomy import Semantic
from columna.assess.head import sacrum_below
from columna.assess.orientation_rules import orientation_findings
from columna.assess.quality_context import QualityContext
from columna.assess.rules import all_rules
from columna.images.volume import Volume
from columna.label.evidence import MIN_SACRUM_MM3
from columna.phantom import PhantomSettings, make_phantom, random_settings

TURNS = {
    "upside down": np.diag([1, 1, -1]),
    "back to front": np.diag([1, -1, 1]),
    "half a turn": np.diag([1, -1, -1]),
    "on the back": np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]]),
    "on the front": np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]]),
    "axes exchanged": np.array([[1, 0, 0], [0, 0, 1], [0, 1, 0]]),
    "sideways": np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]]),
}
"""Name -> where the affine puts right, front and head. A mirroring left-right may come on top."""
MIRROR = np.diag([-1, 1, 1])
SCANS = {
    "lumbar": {"region": "lumbar", "seed": 4},
    "lumbar, kyphotic": {
        "region": "lumbar",
        "seed": 5,
        "lumbar_lordosis_deg": 20.0,
        "scoliosis_deg": 12.0,
    },
    "thoracic": {"region": "thoracic", "seed": 6},
    "neck": {"region": "cervicothoracic", "seed": 7},
    "neck, no thorax": {
        "region": "cervicothoracic",
        "seed": 8,
        "fov_shift_mm": (6.0, -43.0, -6.0),
    },
    "whole": {"region": "whole", "seed": 9},
}


@cache
def phantom(name):
    """Image, semantic and instance mask of a phantom."""
    found = make_phantom(PhantomSettings(spacing_mm=(1.5, 1.5, 3.3), **SCANS[name]))
    return found.image, found.semantic, found.instance


def context_of(image, semantic, instance, turn=None):
    wrong = np.eye(4)
    wrong[:3, :3] = np.eye(3) if turn is None else turn
    turned = [Volume(v.array, wrong @ v.affine) for v in (semantic, instance, image)]
    return QualityContext(*turned, {})


def values(context):
    return {finding.rule_id: finding.value for finding in orientation_findings(context)}


def alarms(context):
    found = values(context).items()
    return {rule for rule, value in found if all_rules()[rule].verdict(value) in ("review", "fail")}


@pytest.mark.parametrize("name", SCANS)
def test_an_upright_scan_raises_nothing(name):
    found = values(context_of(*phantom(name)))
    assert None not in found.values()
    assert alarms(context_of(*phantom(name))) == set(), found


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("name", SCANS)
def test_a_wrong_affine_is_told(name, turn):
    assert alarms(context_of(*phantom(name), TURNS[turn]))
    assert alarms(context_of(*phantom(name), MIRROR @ TURNS[turn]))


def test_each_rule_says_what_is_wrong():
    scan = phantom("lumbar")
    assert alarms(context_of(*scan, TURNS["upside down"])) == {"head_up"}
    behind = {"canal_behind_bodies", "arches_behind_bodies"}
    assert alarms(context_of(*scan, TURNS["back to front"])) == behind
    assert alarms(context_of(*scan, TURNS["half a turn"])) == {*behind, "head_up"}
    assert "spine_axis" in alarms(context_of(*scan, TURNS["on the front"]))


@pytest.mark.parametrize("name", SCANS)
def test_left_and_right_exchanged_cannot_be_told(name):
    """docs/quality.md says so: the masks of a mirrored spine are those of a spine."""
    found, mirrored = values(context_of(*phantom(name))), values(context_of(*phantom(name), MIRROR))
    assert found == pytest.approx(mirrored, abs=1e-6)


@pytest.mark.parametrize("name", SCANS)
def test_processes_named_by_their_place_do_not_hide_that_a_scan_is_upside_down(name):
    """Networks call the upper processes superior, whichever they are."""
    image, semantic, instance = phantom(name)
    array = semantic.array.copy()
    for one, other in ((45, 47), (46, 48)):
        array[semantic.array == one], array[semantic.array == other] = other, one
    turned = context_of(image, semantic.with_array(array), instance, TURNS["upside down"])
    assert alarms(turned) == {"head_up"}


@pytest.mark.parametrize("name", SCANS)
def test_a_canal_without_arches_is_no_back(name):
    """On a scan back to front, networks put a canal behind the bodies, but find few arches."""
    image, semantic, instance = phantom(name)
    few = np.isin(semantic.array, range(41, 49)) & (instance.array % 3 > 0)
    array = np.where(few, 0, semantic.array)
    assert alarms(context_of(image, semantic.with_array(array), instance)) == {
        "arches_behind_bodies"
    }


def test_too_little_to_judge_is_no_answer():
    image, semantic, instance = phantom("lumbar")
    one = instance.array == 22
    context = context_of(
        image,
        semantic.with_array(np.where(one & np.isin(semantic.array, (49, 50)), semantic.array, 0)),
        instance.with_array(np.where(one, instance.array, 0)),
    )
    found = {f.rule_id: f.status for f in orientation_findings(context)}
    assert found == {
        "spine_axis": "neighbour_missing",
        "canal_behind_bodies": "not_segmented",
        "arches_behind_bodies": "not_segmented",
        "head_up": "neighbour_missing",
    }
    nothing = semantic.with_array(np.zeros_like(semantic.array))
    empty = {f.status for f in orientation_findings(context_of(image, nothing, nothing))}
    assert empty == {"not_segmented"}


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(sorted(TURNS)))
def test_any_plausible_spine_is_told_from_one_that_is_turned(seed, turn):
    found = make_phantom(random_settings(seed, spacing_mm=(1.8, 1.8, 3.6)))
    scan = (found.image, found.semantic, found.instance)
    assert alarms(context_of(*scan)) == set(), values(context_of(*scan))
    assert alarms(context_of(*scan, TURNS[turn]))


def test_a_sheared_grid_has_the_volumes_of_its_voxels():
    """Sizes follow the determinant: the same voxels count alike, however slanted the axes are."""
    image, semantic, instance = phantom("lumbar")
    shear = np.eye(4)
    shear[1, 0] = 4.0  # spacings grow, the volume of a voxel does not
    slanted = [Volume(v.array, v.affine @ shear.T) for v in (image, semantic, instance)]
    straight = context_of(image, semantic, instance).crop
    crop = context_of(*slanted).crop
    assert np.prod(crop.spacing_mm) > 2 * crop.voxel_volume_mm3
    assert crop.voxel_volume_mm3 == pytest.approx(straight.voxel_volume_mm3)
    slivers = semantic.array.copy()
    sacrum = np.argwhere(slivers == Semantic.SACRUM)
    few = int(0.9 * MIN_SACRUM_MM3 / straight.voxel_volume_mm3)
    slivers[tuple(sacrum[few:].T)] = 0  # less than counts as a sacrum
    for scan in (slanted, (image, semantic, instance)):
        small = context_of(scan[0], scan[1].with_array(slivers), scan[2]).crop
        assert sacrum_below(small, []) is None
        assert sacrum_below(context_of(*scan).crop, []) is not None
