"""Structures that the slices do not reach the sides of (docs/measures.md#g15, docs/accuracy.md)."""

from dataclasses import replace

import numpy as np
import pytest
from exact_scan import LABELS, cropped, lumbar_body, measure, on_grid, relabelled, scan_of, spine_of
from hypothesis import given, settings
from hypothesis import strategies as st

from columna.anatomy import CANAL
from columna.phantom.known.analytic import turn_deg
from columna.phantom.known.bodies import SIZES, body_scan
from columna.phantom.known.exact import SpinePose
from columna.tables.common import SAGITTAL_CODES

NAMES = ["L2", "L3", "L4", "L5", "S1"]
SAGITTAL = (
    "height_anterior_mm",
    "height_middle_mm",
    "height_posterior_mm",
    "height_mean_mm",
    "depth_mm",
    "wedge_angle_deg",
    "axis_sagittal_deg",
)
NEAR = {"_mm": 0.4, "_deg": 0.9}
"""How near to the same body seen whole: docs/accuracy.md, at the least width."""
ACROSS = (
    "width_mm",
    "height_left_mm",
    "height_right_mm",
    "lateral_wedge_deg",
    "axis_coronal_deg",
    "body_volume_mm3",
)


def near(value, truth, name):
    limit = next(limit for unit, limit in NEAR.items() if name.endswith(unit))
    return value == pytest.approx(truth, abs=limit)


def of(rows, name, table="vertebrae", key="vertebra"):
    return next(row for row in rows[table] if row[key] == name)


def slab(context, middle_mm, left_mm, right_mm):
    """Only the slices between two places, left and right of `middle_mm` (RAS+ right)."""
    affine, n = context.semantic.affine, context.semantic.shape[0]
    at = affine[0, 0] * np.arange(n) + affine[0, 3] - middle_mm
    seen = np.flatnonzero((at >= -left_mm) & (at <= right_mm))
    return cropped(context, 0, int(seen[0]), n - 1 - int(seen[-1]))


@pytest.fixture(scope="module")
def bowl():
    """A lumbar body, hollow and wedged both ways: off its middle it measures differently."""
    body = lumbar_body(turn_deg(-10, 4, -4), wedge_deg=6, hollow_inferior=1.6)
    context = body_scan(np.random.default_rng(3), body, SIZES["lumbar"])
    return body, context, of(measure(context), "L3")


@pytest.fixture(scope="module")
def lumbar():
    return scan_of(spine_of(NAMES, SpinePose(forward=15)))


@pytest.mark.parametrize(("left", "right"), [(16, 16), (10, 10), (30, 9), (12, 30), (30, 18)])
def test_the_middle_of_a_body_is_measured_whichever_side_is_cut(bowl, left, right):
    body, context, whole = bowl
    rows = measure(slab(context, body.at.centre[0], left, right))
    row = of(rows, "L3")
    assert (row["presence"], row["body_status"]) == ("lateral_cut", "lateral_cut")
    assert row["frame_status"] == row["heights_status"] == "lateral_cut"
    for name in SAGITTAL:
        assert near(row[name], whole[name], name), (name, row[name], whole[name])
    assert all(row[name] is None for name in ACROSS)
    assert row["width_status"] == row["lateral_wedge_status"] == "lateral_cut"
    # twice the narrower side, give or take a slice on both and the turn of the body
    assert row["middle_width_mm"] == pytest.approx(2 * min(left, right), abs=10)
    [plate] = [r for r in rows["endplates"] if (r["level"], r["side"]) == ("L3", "superior")]
    assert plate["endplate_status"] == plate["thickness_status"] == "lateral_cut"
    assert plate["concavity_mm"] == pytest.approx(whole["superior_concavity_mm"], abs=0.5)
    assert plate["plane_status"] == plate["extent_status"] == "lateral_cut"
    assert plate["area_mm2"] is plate["tilt_coronal_deg"] is plate["normal_r_ratio"] is None


@pytest.mark.parametrize(("left", "right"), [(30, -3), (-3, 30), (3, 3)])
def test_where_the_middle_is_not_seen_nothing_is_measured(bowl, left, right):
    body, context, _ = bowl
    rows = measure(slab(context, body.at.centre[0], left, right))
    row = of(rows, "L3")
    assert (row["presence"], row["heights_status"]) == ("partial", "partial_fov")
    assert all(row[name] is None for name in (*SAGITTAL, *ACROSS))
    assert {r["endplate_status"] for r in rows["endplates"]} == {"partial_fov"}


def test_a_scan_without_a_canal_does_not_say_where_the_middle_is(bowl):
    body, context, _ = bowl
    cut = slab(context, body.at.centre[0], 14, 14)
    without = relabelled(cut, "semantic", lambda a: np.where(np.isin(a, CANAL), 0, a))
    assert of(measure(without), "L3")["heights_status"] == "partial_fov"


def test_discs_angles_and_lordosis_stay(lumbar):
    whole, cut = measure(lumbar), measure(slab(lumbar, 0.0, 60, 14))
    one, other = (of(rows, "L3-L4", "discs", "disc") for rows in (whole, cut))
    assert other["presence"] == other["volume_status"] == "lateral_cut"
    groups = ("disc_status", "gap_status", "angle_status", "listhesis_status", "tiling_status")
    assert {other[group] for group in groups} == {"lateral_cut"}
    for name in ("disc_height_middle_mm", "gap_mean_mm", "disc_angle_deg", "listhesis_mm"):
        assert near(other[name], one[name], name), name
    assert other["disc_width_mm"] is other["disc_lateral_angle_deg"] is other["volume_mm3"] is None
    [before], [after] = whole["spine"], cut["spine"]
    assert after["sacral_slope_scanner_status"] == after["arc_status"] == "lateral_cut"
    assert near(after["lordosis_l4_s1_deg"], before["lordosis_l4_s1_deg"], "_deg")
    assert after["listhesis_status"] == "lateral_cut"
    assert (after["coronal_status"], after["coronal_cobb_max_deg"]) == ("lateral_cut", None)
    [scan] = cut["scans"]
    assert (scan["n_bodies_complete_n"], scan["n_bodies_lateral_cut_n"]) == (0, 4)


def test_one_wide_body_leaves_its_neighbours_alone():
    spine = spine_of(["L2", "L3", "L4", "L5"], changes={"L4": {"width": 62}})
    whole = scan_of(spine)
    rows, cut = measure(whole), measure(slab(whole, 0.0, 28, 28))
    assert [of(cut, name)["presence"] for name in ("L3", "L4")] == ["complete", "lateral_cut"]
    l3 = of(cut, "L3")
    relative = ("fov_distance_mm", "axial_rotation_deg", "axial_rotation_status")
    kept = {name: l3[name] for name in relative}
    before = of(rows, "L3") | kept | {"curve_position_mm": l3["curve_position_mm"]}
    for name in SAGITTAL:
        assert l3[name] == pytest.approx(before[name], abs=0.1), name
    assert l3["body_volume_mm3"] == before["body_volume_mm3"]
    assert l3["axial_rotation_status"] == "neighbour_missing", "L4 does not know its own"
    # the curve is not seen at L4: the others' would be no maximum
    assert cut["spine"][0]["coronal_status"] == "lateral_cut"


def test_canal_cut_at_a_side():
    names = ["T10", "T11", "T12"]
    context = scan_of(spine_of(names, changes={n: {"width": 60, "canal": (14, 30)} for n in names}))
    whole = measure(context)
    width = of_site(whole)["canal_rl_mm"]
    cut = of_site(measure(slab(context, 0.0, 40, width / 2 - 3)))
    assert cut["canal_status"] == cut["canal_area_status"] == "lateral_cut"
    assert cut["canal_ap_mm"] == pytest.approx(of_site(whole)["canal_ap_mm"], abs=0.4)
    assert cut["canal_area_mm2"] is cut["canal_rl_mm"] is cut["csf_area_mm2"] is None
    # the cord in it is narrower, and whole
    assert (cut["cord_status"], cut["csf_area_status"]) == ("lateral_cut", "lateral_cut")
    assert cut["cord_area_mm2"] == pytest.approx(of_site(whole)["cord_area_mm2"], rel=0.02)
    narrow = of_site(measure(slab(context, 0.0, 40, 5)))
    assert (narrow["canal_status"], narrow["cord_status"]) == ("lateral_cut", "partial_fov")
    gone = of_site(measure(slab(context, 0.0, 40, -3)))
    assert (gone["canal_status"], gone["canal_ap_mm"]) == ("partial_fov", None)


def of_site(rows, vertebra="T11", site="disc"):
    return next(
        row for row in rows["cord_canal"] if (row["vertebra"], row["site"]) == (vertebra, site)
    )


def test_a_body_cut_at_the_top_and_at_a_side_has_its_lower_endplate(bowl):
    body, context, _ = bowl
    cut = slab(context, body.at.centre[0], 14, 14)
    level = np.flatnonzero((cut.instance.array == LABELS["L2"]).any(axis=(0, 1)))
    cut = cropped(cut, 2, high=cut.semantic.shape[2] - int(level.mean()))
    rows = measure(cut)
    assert (of(rows, "L2")["presence"], of(rows, "L2")["body_status"]) == ("partial", "partial_fov")
    plates = {r["side"]: r["endplate_status"] for r in rows["endplates"] if r["level"] == "L2"}
    assert plates == {"superior": "partial_fov", "inferior": "lateral_cut"}
    assert of(rows, "L3")["presence"] == "lateral_cut"


@pytest.mark.parametrize("codes", ["LPI", "SAR", "AIL"])
def test_rows_of_a_slab_do_not_depend_on_orientation(bowl, codes):
    body, context, _ = bowl
    cut = slab(context, body.at.centre[0], 30, 12)
    turned = on_grid(cut, lambda volume: volume.reoriented(tuple(codes)))
    for table, rows in measure(cut).items():
        assert measure(turned)[table] == rows


@settings(max_examples=8, deadline=None)
@given(left=st.integers(4, 30), right=st.integers(4, 30))
def test_whatever_is_cut_a_height_is_near_the_truth_or_not_there(left, right):
    spine = spine_of(["L3", "L4"], SpinePose(forward=10, right=4, axial=4))
    context = scan_of(spine)
    rows, whole = measure(slab(context, 0.0, left, right)), measure(context)
    for row in rows["vertebrae"]:
        if row["index_from_top"] is None:
            continue
        is_measured = row["heights_status"] in SAGITTAL_CODES
        assert is_measured == (row["presence"] in ("complete", "lateral_cut"))
        for name in SAGITTAL if is_measured else ():
            truth = of(whole, row["vertebra"])[name]
            assert near(row[name], truth, name), (name, row[name], truth)
        assert (row["body_volume_mm3"] is None) == bool(set(row["edge_faces"]) & set("LR"))


def test_the_image_may_be_narrower_than_its_grid(bowl):
    """Slices of padding beside the slab are no field of view."""
    body, context, _ = bowl
    cut = slab(context, body.at.centre[0], 14, 14)
    padded = on_grid(cut, lambda v: replace(v, array=np.pad(v.array, ((2, 2), (0, 0), (0, 0)))))
    signal = np.random.default_rng(0).uniform(50, 150, cut.semantic.shape).astype(np.float32)
    image = np.pad(signal, ((2, 2), (0, 0), (0, 0)))
    seen = replace(padded, image=padded.semantic.with_array(image))
    assert of(measure(seen), "L3")["presence"] == "lateral_cut"
