"""Disc spaces of known size; tolerances are 3 x the SD of the phantom study."""

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
from exact_scan import (
    LABELS,
    cropped,
    discs_of,
    measure,
    on_grid,
    poses,
    relabelled,
    scan_of,
    segment,
    spine_of,
)

from columna.images.volume import Volume
from columna.phantom.known.exact import ExactSpine, SpinePose, stack

CHANGES = {
    "lumbar": {
        "L3": {"angle": 6.0, "gap": 11.0, "slip": 4.0, "lateral": 3.0, "wedge": 2.0},
        "L4": {"angle": 10.0, "gap": 12.0, "wedge": -3.0},
        "L5": {"angle": 14.0, "gap": 10.0, "wedge": -7.0},
    },
    "thoracic": {
        "T7": {"angle": -3.0, "gap": 5.5, "wedge": 4.0},
        "T8": {"angle": -1.0, "gap": 6.5, "wedge": 5.0, "lateral": -3.0},
    },
    "cervical": {
        "C4": {"angle": 4.0, "gap": 6.5, "slip": 2.0},
        "C5": {"angle": -4.0, "gap": 6.0, "slip": -2.0},
    },
}
NAMES = {
    "lumbar": ["L3", "L4", "L5", "S1"],
    "thoracic": ["T7", "T8", "T9"],
    "cervical": ["C4", "C5", "C6"],
}
# 3 SD of heights (0.16 to 0.20 mm, and as much bias), depths, and of an angle of two endplates;
# one of the thoracic spines lies along the rows of voxels, where steps of the grid look like angles
HEIGHT_MM = {"lumbar": 0.75, "thoracic": 0.82, "cervical": 0.85}
DEPTH_MM = {"lumbar": 0.6, "thoracic": 0.55, "cervical": 0.5}
ANGLE_DEG = {"lumbar": 0.7, "thoracic": 1.5, "cervical": 3.0}


@pytest.fixture(scope="module")
def measured():
    """Region -> (spine, rows) in random poses."""
    found = {}
    for region, names in NAMES.items():
        found[region] = []
        for pose, offset in poses(3, seed=len(region)):
            spine = spine_of(names, pose, CHANGES[region])
            found[region].append((spine, measure(scan_of(spine, offset=offset))["discs"]))
    return found


def spaces(measured, region):
    """Bone above, bone below and row of every space."""
    for spine, rows in measured[region]:
        by_upper = {row["level_upper"]: row for row in rows}
        for name, upper, lower in zip(
            NAMES[region], spine.bones[:-1], spine.bones[1:], strict=False
        ):
            yield spine, upper, lower, by_upper[name]


@pytest.mark.parametrize("region", NAMES)
def test_heights_and_depths(measured, region):
    for spine, upper, lower, row in spaces(measured, region):
        s, tolerance = upper.segment, HEIGHT_MM[region]
        assert {row[f"{group}_status"] for group in ("disc", "gap", "angle")} == {"ok"}
        rise = 2 * np.tan(np.deg2rad(s.angle / 2))
        depth = (s.depth + lower.segment.depth) / 2
        plates = 2 * spine.endplate_mm / np.cos(np.deg2rad(s.angle / 2))
        for name, fraction in (("posterior", 0.16), ("middle", 0.5), ("anterior", 0.84)):
            gap = s.gap + rise * (fraction - 0.5) * depth
            assert row[f"gap_{name}_mm"] == pytest.approx(gap, abs=tolerance)
            assert row[f"disc_height_{name}_mm"] == pytest.approx(gap - plates, abs=tolerance)
        assert row["gap_mean_mm"] == pytest.approx(s.gap, abs=tolerance)
        assert row["disc_depth_mm"] == pytest.approx(depth, abs=DEPTH_MM[region])
        assert row["disc_width_mm"] == pytest.approx(s.width, abs=4.1)
        both = row["gap_anterior_mm"] + row["gap_posterior_mm"]
        assert row["height_index_farfan_ratio"] == pytest.approx(
            both / row["disc_depth_mm"], abs=1e-3
        )


@pytest.mark.parametrize("region", NAMES)
def test_tissue_and_endplates_tile_the_gap(measured, region):
    for *_, row in spaces(measured, region):
        assert abs(row["tiling_residual_mm"]) < 0.9, "less than about a voxel"


@pytest.mark.parametrize("region", NAMES)
def test_angles_and_listhesis(measured, region):
    for _, upper, lower, row in spaces(measured, region):
        s, tolerance = upper.segment, ANGLE_DEG[region]
        assert row["disc_angle_deg"] == pytest.approx(s.angle, abs=tolerance)
        assert row["segment_angle_deg"] == pytest.approx(s.angle - s.wedge, abs=tolerance)
        assert row["disc_lateral_angle_deg"] == pytest.approx(s.lateral, abs=2 * tolerance)
        corners = upper.corner("lower", "posterior"), lower.corner("upper", "posterior")
        slip = (corners[0] - corners[1]) @ lower.upper[:3, 1]
        assert row["listhesis_mm"] == pytest.approx(slip, abs=0.9)
        assert row["listhesis_pct"] == pytest.approx(100 * slip / lower.segment.depth, abs=5)


def test_overhang_of_a_bulging_disc():
    spine = spine_of(["L3", "L4", "L5"], disc_share=1.2)
    row = discs_of(scan_of(spine))["L3-L4"]
    beyond = (1.2 - 1) * 34 / 2
    assert row["posterior_overhang_mm"] == pytest.approx(beyond, abs=0.6)
    assert row["anterior_overhang_mm"] == pytest.approx(beyond, abs=0.6)
    flush = discs_of(scan_of(spine_of(["L3", "L4", "L5"])))["L3-L4"]
    assert flush["posterior_overhang_mm"] == pytest.approx(0, abs=0.6)


def test_every_canonical_space_has_one_row(measured):
    _, rows = measured["lumbar"][0]
    assert len(rows) == 23
    by_name = {row["disc"]: row for row in rows}
    assert by_name["C2-C3"]["presence"] == "absent_outside_fov"
    assert by_name["C2-C3"]["disc_status"] == by_name["C2-C3"]["angle_status"] == "outside_fov"
    assert by_name["L5-S1"]["level_lower"] == "S1"
    assert by_name["L5-S1"]["presence"] == "complete"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["L3", "L4", "S1"], {"L3-L4", "L4-S1"}),
        (["L5", "L6", "S1"], {"L5-L6", "L6-S1"}),
        (["T11", "L1", "L2"], {"T11-L1", "L1-L2"}),
        (["T12", "T13", "L1"], {"T12-T13", "T13-L1"}),
    ],
)
def test_variants_of_anatomy(names, expected):
    spine = stack([segment(n, gap=9.0) for n in names], SpinePose())
    rows = discs_of(scan_of(spine, spacing_mm=(3.3, 1.2, 1.2)))
    measured = {name for name, row in rows.items() if row["gap_status"] == "ok"}
    assert measured == expected
    for name in expected:
        assert rows[name]["gap_middle_mm"] == pytest.approx(9, abs=1)


def test_rows_do_not_depend_on_orientation():
    names = ["C4", "C5", "C6"]
    spine = spine_of(names, SpinePose(forward=12, right=3), CHANGES["cervical"])
    context = scan_of(spine, spacing_mm=(3.3, 1.2, 1.2), margin_mm=4)
    turn = np.eye(4)
    turn[:3, :3] = _turned(8)
    context = on_grid(context, lambda v: Volume(v.array, turn @ v.affine))
    expected = {n: measure(context)[n] for n in ("discs", "cord_canal", "spine")}
    assert expected["discs"][0]["gap_status"] == "ok"
    pairs = (("R", "L"), ("A", "P"), ("S", "I"))
    for axes in permutations(range(3)):
        for ends in product(range(2), repeat=3):
            codes = [pairs[axis][end] for axis, end in zip(axes, ends, strict=True)]
            rows = measure(on_grid(context, lambda v, codes=codes: v.reoriented(codes)))
            assert {n: rows[n] for n in expected} == expected, codes


def _turned(angle):
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1.0]])


def test_oblique_scans_give_the_same_discs():
    spine = spine_of(["L3", "L4", "L5"], SpinePose(forward=5), CHANGES["lumbar"])
    context = scan_of(spine)
    turn = np.eye(4)
    turn[:3, :3] = _turned(15)
    oblique = discs_of(on_grid(context, lambda v: Volume(v.array, turn @ v.affine)))
    straight = discs_of(context)
    for name in ("gap_middle_mm", "disc_height_mean_mm", "disc_angle_deg", "listhesis_mm"):
        for disc in ("L3-L4", "L4-L5"):
            assert oblique[disc][name] == pytest.approx(straight[disc][name], abs=0.02)


def test_mirrored_scans_swap_only_the_sides():
    spine = spine_of(["L3", "L4", "L5"], SpinePose(forward=5, right=3), CHANGES["lumbar"])
    context = scan_of(spine)
    flip = np.diag([-1.0, 1, 1, 1])
    mirrored = discs_of(on_grid(context, lambda v: Volume(v.array, flip @ v.affine)))["L3-L4"]
    row = discs_of(context)["L3-L4"]
    assert mirrored["disc_lateral_angle_deg"] == pytest.approx(
        -row["disc_lateral_angle_deg"], abs=0.05
    )
    for name in ("gap_anterior_mm", "disc_height_middle_mm", "disc_angle_deg", "listhesis_mm"):
        assert mirrored[name] == pytest.approx(row[name], abs=0.05)


def test_disc_cut_by_the_edge():
    context = scan_of(spine_of(["L2", "L3", "L4", "L5"]))
    whole = discs_of(context)
    rows_s = np.flatnonzero((context.instance.array == 100 + LABELS["L2"]).any(axis=(0, 1)))
    n = context.semantic.shape[2]
    cut = discs_of(cropped(context, 2, high=n - int(rows_s.mean())))
    row = cut["L2-L3"]
    assert (row["presence"], row["disc_status"]) == ("partial", "partial_fov")
    assert row["disc_height_middle_mm"] is row["volume_mm3"] is row["gap_mean_mm"] is None
    assert row["signal_status"] == "partial_fov"
    # one level down the space is whole, but the vertebra above it may lack its upper end
    below = discs_of(cropped(context, 2, high=n - int(rows_s.min()) + 12))
    row = below["L3-L4"]
    assert (row["presence"], row["gap_status"], row["angle_status"]) == ("complete", "ok", "ok")
    assert row["gap_middle_mm"] == pytest.approx(whole["L3-L4"]["gap_middle_mm"], abs=0.3)
    assert row["segment_angle_deg"] is None
    assert below["L4-L5"]["gap_middle_mm"] == pytest.approx(
        whole["L4-L5"]["gap_middle_mm"], abs=0.05
    )


def test_cut_at_the_sides_the_middle_is_measured():
    context = scan_of(spine_of(["L3", "L4", "L5"]))
    inside = np.flatnonzero((context.semantic.array == 100).any(axis=(1, 2)))
    narrow = cropped(context, 0, int(inside[0]) + 1, context.semantic.shape[0] - int(inside[-1]))
    row = discs_of(narrow)["L3-L4"]
    assert (row["presence"], row["disc_status"]) == ("lateral_cut", "lateral_cut")
    assert row["volume_mm3"] is None
    assert row["disc_height_middle_mm"] == pytest.approx(10 - 2.4, abs=HEIGHT_MM["lumbar"])


def test_missing_disc_between_vertebrae():
    context = scan_of(spine_of(["L3", "L4", "L5"], changes={"L3": {"angle": 5.0}}))
    label = 100 + LABELS["L3"]
    without = relabelled(context, "instance", lambda a: np.where(a == label, 0, a))
    row = discs_of(without)["L3-L4"]
    assert (row["presence"], row["disc_status"]) == ("absent_within_range", "not_segmented")
    assert row["gap_status"] == "not_segmented"
    assert row["disc_angle_deg"] == pytest.approx(5, abs=0.7)


def test_across_a_missed_vertebra_nothing_is_measured():
    spine = spine_of(["L2", "L3", "L4", "L5"])
    context = scan_of(ExactSpine(spine.bones))
    label = LABELS["L3"]
    lost = relabelled(context, "instance", lambda a: np.where(a == label, 0, a))
    lost = replace(lost, levels=[e for e in lost.levels if e["label"] != label])
    row = discs_of(lost)["L2-L3"]
    assert (row["disc_status"], row["gap_status"]) == ("ok", "neighbour_missing")
    assert row["angle_status"] == "neighbour_missing"
    unnamed = [dict(e, level=None, level_anchor="none") for e in lost.levels]
    row = discs_of(replace(lost, levels=unnamed))["unnamed_01-unnamed_02"]
    assert {row["gap_status"], row["angle_status"]} == {"neighbour_missing"}


def test_disc_above_the_topmost_vertebra():
    context = scan_of(spine_of(["L2", "L3", "L4"]))
    label = LABELS["L2"]
    seen = relabelled(context, "instance", lambda a: np.where(a == label, 0, a))
    seen = replace(seen, levels=[e for e in seen.levels if e["label"] != label])
    row = discs_of(seen)["L2-L3"]
    assert (row["presence"], row["disc_status"]) == ("complete", "ok")
    assert row["disc_height_middle_mm"] == pytest.approx(10 - 2.4, abs=HEIGHT_MM["lumbar"])
    assert row["gap_status"] == "neighbour_missing"
    rows = {(r["vertebra"], r["site"]): r for r in measure(seen)["cord_canal"]}
    assert rows["L3", "level"]["canal_status"] == "ok", "from the disc above to that below"


def test_levels_given_twice():
    names = ["L2", "L3", "L3", "L5"]
    rows = discs_of(scan_of(spine_of(["L2", "L3", "L4", "L5"]), names=names))
    twice = [row for row in rows.values() if row["level_upper"] == "L3"]
    assert len(twice) == 2
    assert {row["disc_status"] for row in twice} == {"duplicate_label"}
    assert {row["angle_status"] for row in twice} == {"duplicate_label"}


def test_signal_relative_to_fluid():
    context = scan_of(spine_of(["L3", "L4", "L5"]))
    semantic = context.semantic.array
    image = np.random.default_rng(0).uniform(20, 80, semantic.shape).astype(np.float32)
    image[semantic == 61], image[semantic == 100] = 600, 240
    with_image = replace(context, image=Volume(image, context.semantic.affine))
    row = discs_of(with_image)["L3-L4"]
    assert row["signal_status"] == "ok"
    assert row["signal_disc_au"] == 240
    assert row["signal_disc_csf_ratio"] == row["signal_central_csf_ratio"] == 0.4
    assert row["signal_contrast_ratio"] == 0
    without = discs_of(context)["L3-L4"]
    assert without["signal_status"] != "ok"
    assert without["signal_disc_au"] is None
