"""Vertebral bodies of known shape, measured on 3.3 mm slices (docs/accuracy.md)."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from exact_scan import lumbar_body, measure, on_grid

from columna.anatomy import Semantic
from columna.images.volume import Volume
from columna.measure.anatomy.neighbours import add_neighbour_columns
from columna.measure.anatomy.vertebra_shape import axial_rotation_deg
from columna.phantom.known.analytic import turn_deg
from columna.phantom.known.bodies import (
    PLATE_MM,
    SIZES,
    SPACING_MM,
    body_scan,
    random_body,
    true_endplate,
    true_vertebra,
)
from columna.tables.catalogue import MEASURED
from columna.tables.finish import Missing

LUMBAR = SIZES["lumbar"]
TABLES = ("vertebrae", "endplates")

SD = {  # of docs/accuracy.md#bodies-and-endplates
    "cervical": {"angle": 0.59, "wedge": 1.01, "height": 0.20, "depth": 0.13, "volume": 3.0},
    "thoracic": {"angle": 0.28, "wedge": 0.40, "height": 0.19, "depth": 0.17, "volume": 1.5},
    "lumbar": {"angle": 0.17, "wedge": 0.23, "height": 0.16, "depth": 0.19, "volume": 0.7},
}
KIND = {
    "axis_sagittal_deg": "angle",
    "axis_coronal_deg": "angle",
    "wedge_angle_deg": "wedge",
    "height_anterior_mm": "height",
    "height_middle_mm": "height",
    "height_posterior_mm": "height",
    "height_mean_mm": "height",
    "depth_mm": "depth",
    "body_volume_mm3": "volume",
}


def vertebra(rows, level="L3"):
    return next(r for r in rows["vertebrae"] if r["level"] == level)


def plate(rows, side, level="L3"):
    return next(r for r in rows["endplates"] if (r["level"], r["side"]) == (level, side))


@pytest.fixture(scope="module")
def tilted():
    """A lumbar body, tilted and wedged, between two like it."""
    rng = np.random.default_rng(5)
    body = lumbar_body(turn_deg(-18, 4, -3), wedge_deg=8, hollow_inferior=1.2)
    context = body_scan(rng, body, LUMBAR)
    return body, context, measure(context)


@pytest.mark.parametrize("region", SIZES)
def test_measures_are_as_near_to_the_truth_as_the_study_says(region):
    rng, size = np.random.default_rng(11), SIZES[region]
    errors = {name: [] for name in KIND}
    for _ in range(6):
        body = random_body(rng, size)
        row = vertebra(measure(body_scan(rng, body, size)), size.levels[1])
        truth = true_vertebra(body, SPACING_MM[0])
        for name, kind in KIND.items():
            error = row[name] - truth[name]
            errors[name].append(100 * error / truth[name] if kind == "volume" else error)
    for name, kind in KIND.items():
        found, limit = np.array(errors[name]), SD[region][kind]
        if kind == "volume":  # voxel counts have a bias (docs/accuracy.md)
            assert abs(found.mean()) < 3.5
            found = found - found.mean()
        assert np.sqrt(np.mean(found**2)) < 2 * limit, (name, found)


def test_finer_slices_give_finer_measures():
    rng, size = np.random.default_rng(2), SIZES["thoracic"]
    body = random_body(rng, size)
    row = vertebra(measure(body_scan(rng, body, size, (0.9, 0.9, 0.9))), "T8")
    truth = true_vertebra(body, 0.9)
    for name in ("width_mm", "depth_mm", "height_left_mm", "height_middle_mm"):
        assert row[name] == pytest.approx(truth[name], abs=0.25), name
    assert row["body_volume_mm3"] == pytest.approx(truth["body_volume_mm3"], rel=0.01)


def test_signs_and_places(tilted):
    body, _, rows = tilted
    row, truth = vertebra(rows), true_vertebra(body, SPACING_MM[0])
    assert row["wedge_angle_deg"] == pytest.approx(8, abs=0.7)
    assert row["height_anterior_mm"] < row["height_posterior_mm"] - 2
    assert row["lateral_wedge_deg"] == pytest.approx(3, abs=1)
    assert row["height_right_mm"] < row["height_left_mm"] - 0.8
    assert row["axis_sagittal_deg"] == pytest.approx(truth["axis_sagittal_deg"], abs=0.5)
    assert row["axis_coronal_deg"] == pytest.approx(truth["axis_coronal_deg"], abs=0.5)
    assert row["depth_superior_mm"] > row["depth_mm"], "the body is waisted"
    assert row["width_mm"] == pytest.approx(truth["width_mm"], abs=3.5)
    assert row["frame_source"] == "canal"
    assert row["n_native_slices_in_band_n"] in (3, 4)
    assert row["bodies_touching_n"] == 0
    pitch = body.height + LUMBAR.gap
    assert row["curve_position_mm"] == pytest.approx(pitch, abs=0.3)
    assert vertebra(rows, "L2")["curve_position_mm"] == 0


def test_endplates_against_their_formulas(tilted):
    body, _, rows = tilted
    truth = true_vertebra(body, SPACING_MM[0])
    for side, sign in (("superior", 1), ("inferior", -1)):
        row = plate(rows, side)
        assert row["endplate_status"] == "ok"
        for name, true in true_endplate(body, side).items():
            if name.startswith("normal"):
                assert row[name] == pytest.approx(true, abs=0.015), name
        assert row["concavity_mm"] == pytest.approx(truth[f"{side}_concavity_mm"], abs=0.35)
        assert row["concavity_mm"] == vertebra(rows)[f"{side}_concavity_mm"]
        assert 0.3 < row["concavity_position_ratio"] < 0.7
        # a sheet thinner than a voxel and a half is drawn one voxel thick
        assert row["thickness_mm"] == pytest.approx(PLATE_MM, abs=0.25)
        assert row["coverage_ratio"] > 0.9
        assert row["focal_depression_mm"] < 0.6
        assert row["length_ap_mm"] == pytest.approx(body.depth * 1.02, abs=1)
        assert row["area_mm2"] == pytest.approx(0.88 * body.width * body.depth, rel=0.12)
        assert np.sign(row["normal_s_ratio"]) == sign
    angle = {s: plate(rows, s)["angle_sagittal_deg"] for s in ("superior", "inferior")}
    assert angle["inferior"] - angle["superior"] == pytest.approx(8, abs=0.7)
    assert angle["superior"] == pytest.approx(-vertebra(rows)["axis_sagittal_deg"] - 4, abs=0.7), (
        "anterior end lower"
    )


def test_a_dent_is_focal_and_a_bowl_is_not(tilted):
    body, context, rows = tilted
    array = context.semantic.array.copy()
    world = np.argwhere(context.instance.array == 22) @ context.semantic.affine[:3, :3].T
    local = body.at.local(world + context.semantic.affine[:3, 3])
    is_dent = (np.hypot(local[:, 0], local[:, 1] - 4) < 5) & (local[:, 2] > body.height / 2 - 6)
    array[tuple(np.argwhere(context.instance.array == 22)[is_dent].T)] = Semantic.DISC
    dented = plate(
        measure(replace(context, semantic=Volume(array, context.semantic.affine))), "superior"
    )
    whole = plate(rows, "superior")
    assert dented["focal_depression_mm"] > whole["focal_depression_mm"] + 1.5
    assert dented["concavity_mm"] > whole["concavity_mm"] + 1.5


def test_endplates_belong_to_the_body_they_lie_on(tilted):
    """Whatever their instance label, and whether they are 62 or 52 and 53."""
    _, context, rows = tilted
    instance = context.instance.array.copy()
    instance[instance > 200] = 221
    is_plate = context.semantic.array == Semantic.ENDPLATE
    semantic = np.where(is_plate, Semantic.ENDPLATE_SUPERIOR, context.semantic.array)
    changed = replace(
        context,
        instance=context.instance.with_array(instance),
        semantic=context.semantic.with_array(semantic.astype(np.uint8)),
    )
    assert measure(changed)["endplates"] == rows["endplates"]


def test_masks_without_endplates_have_no_thickness(tilted):
    _, context, rows = tilted
    bare = np.where(context.semantic.array == Semantic.ENDPLATE, 0, context.semantic.array)
    found = measure(replace(context, semantic=context.semantic.with_array(bare)))
    row = plate(found, "superior")
    assert (row["endplate_status"], row["thickness_mm"], row["coverage_ratio"]) == (
        "ok",
        None,
        None,
    )
    assert vertebra(found)["height_middle_mm"] == vertebra(rows)["height_middle_mm"]


@pytest.mark.parametrize("codes", ["PIR", "LSA", "IPL", "ARI"])
def test_rows_are_the_same_however_a_tilted_scan_is_stored(tilted, codes):
    _, context, _ = tilted
    turn = np.eye(4)
    turn[:3, :3] = turn_deg(12, 9, -10)
    oblique = on_grid(context, lambda v: Volume(v.array, turn @ v.affine))
    stored = on_grid(oblique, lambda v: v.reoriented(codes))
    before, after = measure(oblique), measure(stored)
    assert all(after[name] == before[name] for name in TABLES)


def test_sizes_do_not_depend_on_where_the_scanner_is(tilted):
    _, context, rows = tilted
    turn = np.eye(4)
    turn[:3, :3] = turn_deg(12, 9, -10)
    turn[:3, 3] = (30, -20, 100)
    turned = measure(on_grid(context, lambda v: Volume(v.array, turn @ v.affine)))
    for name in (*KIND, "width_mm", "lateral_wedge_deg", "height_left_mm", "posterior_wall_deg"):
        if not name.startswith("axis"):
            assert vertebra(turned)[name] == pytest.approx(vertebra(rows)[name], abs=0.05), name
    normal = turn[:3, :3] @ [plate(rows, "superior")[f"normal_{x}_ratio"] for x in "ras"]
    found = [plate(turned, "superior")[f"normal_{x}_ratio"] for x in "ras"]
    assert found == pytest.approx(normal, abs=2e-3)


def test_a_mirrored_scan_swaps_left_and_right(tilted):
    _, context, rows = tilted
    mirrored = measure(on_grid(context, lambda v: Volume(v.array[::-1], v.affine)))
    before, after = vertebra(rows), vertebra(mirrored)
    for side, other in (("left", "right"), ("right", "left")):
        assert after[f"height_{side}_mm"] == pytest.approx(before[f"height_{other}_mm"], abs=0.05)
    assert after["lateral_wedge_deg"] == pytest.approx(-before["lateral_wedge_deg"], abs=0.05)
    assert after["axis_coronal_deg"] == pytest.approx(-before["axis_coronal_deg"], abs=0.05)
    for name in ("height_anterior_mm", "height_posterior_mm", "depth_mm", "wedge_angle_deg"):
        assert after[name] == pytest.approx(before[name], abs=0.05), name


def test_a_cut_body_is_partial_and_its_neighbour_untouched(tilted):
    body, context, rows = tilted
    top = body.at.moved([0, 0, body.height + LUMBAR.gap]).centre[2] + 2
    row = int((top - context.semantic.affine[2, 3]) / SPACING_MM[2])
    box = (*(slice(0, n) for n in context.semantic.shape[:2]), slice(0, row))
    cut = measure(on_grid(context, lambda v: v.cropped(box)))
    upper, middle = vertebra(cut, "L2"), vertebra(cut)
    statuses = ("body_status", "frame_status", "heights_status")
    assert {upper[s] for s in statuses} == {"partial_fov"}
    assert upper["presence"] == "partial"
    assert 0.3 < upper["visible_fraction_ratio"] < 0.8
    measures = [c.name for c in MEASURED["vertebrae"] if c.status in statuses]
    assert all(upper[name] is None for name in measures)
    assert plate(cut, "superior", "L2")["endplate_status"] == "partial_fov"
    whole, seen = plate(rows, "inferior", "L2"), plate(cut, "inferior", "L2")
    assert seen["endplate_status"] == "ok", "the lower endplate is in view"
    assert seen["angle_sagittal_deg"] == pytest.approx(whole["angle_sagittal_deg"], abs=0.5)
    assert {middle[s] for s in statuses} == {"ok"}
    assert middle["body_volume_mm3"] == vertebra(rows)["body_volume_mm3"]
    for name, kind in KIND.items():
        # a neighbour's direction is a quarter of one's own: it changes by less than the grid does
        if kind != "volume":
            near = SD["lumbar"][kind]
            assert middle[name] == pytest.approx(vertebra(rows)[name], abs=near), name


def test_a_body_cut_at_the_side_keeps_its_endplates(tilted):
    body, context, _ = tilted
    side = int((body.at.centre[0] + 12 - context.semantic.affine[0, 3]) / SPACING_MM[0])
    box = (slice(0, side), *(slice(0, n) for n in context.semantic.shape[1:]))
    cut = measure(on_grid(context, lambda v: v.cropped(box)))
    assert vertebra(cut)["heights_status"] == "lateral_cut"
    assert vertebra(cut)["edge_faces"] == "R"
    assert {r["endplate_status"] for r in cut["endplates"]} == {"lateral_cut"}


def test_bodies_that_grew_together_touch(tilted):
    _, context, _ = tilted
    semantic, instance = context.semantic.array.copy(), context.instance.array.copy()
    is_between = np.isin(instance, (121, 221))
    semantic[is_between], instance[is_between] = Semantic.VERTEBRAL_BODY, 21
    fused = replace(
        context,
        semantic=context.semantic.with_array(semantic),
        instance=context.instance.with_array(instance),
    )
    rows = measure(fused)
    touching = [vertebra(rows, level)["bodies_touching_n"] for level in ("L2", "L3", "L4")]
    assert touching == [1, 1, 0]


def test_signal_is_that_of_the_inside(tilted):
    _, context, _ = tilted
    semantic = context.semantic.array
    image = np.full(semantic.shape, 5, np.float32)
    for label, value in ((49, 100), (100, 50), (61, 200)):
        image[semantic == label] = value
    body = context.instance.array == 22
    inner = body.copy()
    for axis in (1, 2):  # voxels at the border within the slice are bright
        for step in (-1, 1):
            inner &= np.roll(body, step, axis)
    image[body & ~inner] = 1000
    image[0, 0, 0] = 0
    row = vertebra(measure(replace(context, image=context.semantic.with_array(image))))
    assert row["signal_status"] == "ok"
    assert (row["signal_body_au"], row["signal_body_cv_ratio"]) == (100, 0)
    assert (row["signal_body_csf_ratio"], row["signal_body_disc_ratio"]) == (0.5, 2)


def test_c2_has_a_lower_endplate_and_no_heights(tilted):
    _, context, rows = tilted
    levels = [e | {"level": f"C{2 + i}"} for i, e in enumerate(context.levels)]
    found = measure(replace(context, levels=levels))
    row = vertebra(found, "C2")
    assert (row["frame_status"], row["heights_status"]) == ("ok", "not_applicable")
    assert row["height_middle_mm"] is None
    assert row["depth_inferior_mm"] is not None
    assert plate(found, "superior", "C2")["endplate_status"] == "not_applicable"
    expected = plate(rows, "inferior", "L2")["angle_sagittal_deg"]
    assert plate(found, "inferior", "C2")["angle_sagittal_deg"] == pytest.approx(expected, abs=1)


def test_without_canal_and_arch_the_image_tells_anterior(tilted):
    _, context, rows = tilted
    bare = np.where(context.semantic.array == Semantic.SPINAL_CANAL, 0, context.semantic.array)
    row = vertebra(measure(replace(context, semantic=context.semantic.with_array(bare))))
    assert (row["frame_status"], row["frame_source"]) == ("ok", "image")
    assert row["height_middle_mm"] == pytest.approx(vertebra(rows)["height_middle_mm"], abs=0.3)


def test_seams_of_a_stitched_scan(tilted):
    _, context, rows = tilted
    middle = vertebra(rows)["centroid_s_mm"]
    for seams, crossing, near in (
        (None, None, None),
        ("", False, None),
        (f"{middle + 60:.1f};{middle + 3:.1f}", True, 0),
        (f"{middle - 40:.1f}", False, pytest.approx(40 - 20, abs=4)),
    ):
        facts = {"stitch_si_mm": seams}
        if seams is not None:
            facts |= {"is_stitched": bool(seams), "n_stations_n": seams.count(";") + 2}
        row = vertebra(measure(replace(context, facts=facts)))
        assert row["is_crossing_stitch"] is crossing
        assert row["stitch_distance_mm"] == near


def heights(*values, band_factor=(1.0, 1.0, 1.0)):
    names = ("anterior", "middle", "posterior")
    return [
        {f"height_{n}_mm": v and v * f for n, f in zip(names, band_factor, strict=True)}
        for v in values
    ]


def test_height_losses_are_against_what_neighbours_lead_one_to_expect():
    rows = heights(20.0, 21.0, 22.0, 23.0, 24.0, 25.0, 26.0)
    rows[3] = {name: 0.7 * value for name, value in rows[3].items()}
    add_neighbour_columns(rows, has_grade=True)
    assert rows[3]["height_loss_anterior_pct"] == pytest.approx(30, abs=0.2)
    assert rows[3]["crush_neighbours_ratio"] == pytest.approx(0.7)
    assert rows[3]["genant_like_grade"] == 2
    for row in (*rows[:3], *rows[4:]):
        assert abs(row["height_loss_middle_pct"]) < 4, "the crushed one counts little"
        assert row["genant_like_grade"] == 0
    assert rows[0]["crush_neighbours_ratio"] == Missing("neighbour_missing"), "none above"


def test_height_losses_need_four_neighbours_and_grades_a_wish():
    rows = heights(20.0, None, 22.0, 23.0, 24.0)
    add_neighbour_columns(rows, has_grade=False)
    assert rows[2]["height_loss_anterior_pct"] == Missing("neighbour_missing")
    assert "height_loss_anterior_pct" not in rows[1], "it has no height itself"
    assert rows[2]["crush_neighbours_ratio"] == pytest.approx(22 / (20 + 3 * 2 / 3))
    assert rows[2]["genant_like_grade"] == Missing("disabled")


class Turned:
    """A body whose front points so many degrees to the right."""

    def __init__(self, turn):
        own = np.array([np.sin(np.deg2rad(turn)), np.cos(np.deg2rad(turn)), 0])
        r, a = np.eye(3)[:2]
        self.frame = SimpleNamespace(r=r, a=a, own_a=own)


def test_axial_rotation_is_against_the_neighbours():
    bodies = [Turned(2), Turned(12), Turned(4)]
    turn = axial_rotation_deg(SimpleNamespace(bodies=bodies), bodies[1])
    assert turn == pytest.approx(9, abs=0.01), "front turned to the right"
    assert axial_rotation_deg(SimpleNamespace(bodies=bodies[:1]), bodies[0]) == Missing(
        "neighbour_missing"
    )
