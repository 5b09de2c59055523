"""Rows of measured scans, against spines drawn from boxes whose measures are known."""

import json
from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from columna.anatomy import levels
from columna.config import MeasureSettings
from columna.images.volume import Volume
from columna.measure import MEASURE_VERSION, MeasureContext, measure_scan, unmeasured_scan_row
from columna.measure.rows.unmeasured import without_paths
from columna.measure.tools.regions import LabelledRuns
from columna.measure.tools.topology import topology
from columna.tables.catalogue import MEASURED
from columna.tables.shards import rows_to_arrow

LABELS = {level.name: label for label, level in levels().items()}
SPACING = (3.0, 1.0, 1.0)
VOXEL = 3.0
PITCH, BODY, DISC = 12, 8, 2
WIDTH, DEPTH = 9, 40
BODY_VOXELS = 5 * 10 * BODY
POSTERIOR = {  # label: (left-right, anterior-posterior) of blocks as high as the body
    41: (slice(3, 6), slice(14, 18)),
    42: (slice(4, 5), slice(8, 14)),
    43: (slice(2, 3), slice(14, 18)),
    44: (slice(6, 7), slice(14, 18)),
}
FACTS = {
    "modality": "T2w",
    "obliquity_deg": 0.0,
    "shear_deg": 0.0,
    "affine_source": "sform",
    "is_qform_broken": False,
    "outlier_voxels_n": 0,
    "unusable_sidecars_n": 0,
    "input_sha256": "0" * 64,
    "support_fraction_ratio": 1.0,
    **{f"dim_{a}_n": n for a, n in (("lr", WIDTH), ("ap", DEPTH), ("si", 100))},
    **{f"spacing_{a}_mm": s for a, s in zip(("lr", "ap", "si"), SPACING, strict=True)},
    **{f"fov_{a}_mm": 100.0 for a in ("lr", "ap", "si")},
    "no_such_column": 1,
}


def draw(names, has_sacrum=False, margin=4, first_unnamed=2):
    """A spine in RAS order; `names` from the top, None for a vertebra without a name."""
    anchors = {(True, True): "both", (True, False): "c2", (False, True): "sacrum"}.get(
        ("C2" in names, has_sacrum), "sacrum"
    )
    n = len(names)
    height = n * PITCH + 2 * margin + 10 * has_sacrum
    semantic = np.zeros((WIDTH, DEPTH, height), np.uint8)
    instance = np.zeros(semantic.shape, np.uint16)
    semantic[3:6, 18:22, margin:-margin] = 61
    semantic[4, 19:21, margin:-margin] = 60
    entries = []
    for place, name in enumerate(names):
        label = LABELS[name] if name else place + first_unnamed
        top = height - margin - place * PITCH
        rows = slice(top - BODY, top)
        semantic[2:7, 22:32, rows], instance[2:7, 22:32, rows] = 49, label
        for part, (x, y) in POSTERIOR.items():
            semantic[x, y, rows], instance[x, y, rows] = part, label
        below = slice(top - BODY - 1 - DISC, top - BODY - 1)
        semantic[2:7, 22:32, top - PITCH : top - BODY] = 62
        instance[2:7, 22:32, top - PITCH : top - BODY] = 200 + label
        semantic[2:7, 22:32, below], instance[2:7, 22:32, below] = 100, 100 + label
        anchor, confidence = (anchors, 0.9) if name else ("none", 0.0)
        entries.append(
            {
                "label": label,
                "level": name,
                "level_anchor": anchor,
                "level_confidence": confidence,
                "index": place,
            }
        )
    if has_sacrum:
        semantic[2:7, 18:32, margin : margin + 10] = 26
        instance[2:7, 18:32, margin : margin + 10] = 26
    affine = np.diag([*SPACING, 1.0])
    affine[:3, 3] = (-12.0, 5.0, 7.0)
    image = np.random.default_rng(0).integers(0, 500, semantic.shape).astype(np.float32)
    image[0, 0, 0], image[-1, -1, -1], image.flat[7] = 500, 500, -1
    return MeasureContext(
        scan_id="sub-1_T2w",
        participant_id="sub-1",
        session_id=None,
        facts=FACTS,
        semantic=Volume(semantic, affine),
        instance=Volume(instance, affine),
        image=Volume(image, affine),
        levels=entries,
        confidence={
            49: {
                "confidence_mean_ratio": 0.9,
                "confidence_p05_ratio": 0.5,
                "entropy_mean_ratio": 0.1,
            }
        },
        provenance={"pipeline_version": "1", "measure_version": MEASURE_VERSION},
    )


def measure(context, margin_mm=2.0):
    """Rows of all tables, checked as a shard is."""
    rows = measure_scan(context, MeasureSettings(fov_margin_mm=margin_mm))
    for name, table in MEASURED.items():
        rows_to_arrow(table.shard, rows[name])
    return rows


def on_grid(context, change):
    """The same scan with masks and image changed alike."""
    volumes = {name: change(getattr(context, name)) for name in ("semantic", "instance", "image")}
    return replace(context, **volumes)


def by_vertebra(rows):
    return {row["vertebra"]: row for row in rows["vertebrae"]}


def by_label(rows, mask):
    return {row["label"]: row for row in rows["structures"] if row["mask"] == mask}


@pytest.fixture(scope="module")
def lumbar():
    """T12 to L5 and the sacrum."""
    context = draw(["T12", "L1", "L2", "L3", "L4", "L5"], has_sacrum=True)
    return context, measure(context)


def test_volumes_and_places_are_those_drawn(lumbar):
    context, rows = lumbar
    row = by_vertebra(rows)["L1"]
    posterior = {41: 12, 42: 6, 43: 4, 44: 4}
    arch = sum(posterior.values()) * BODY * VOXEL
    assert row["presence"] == "complete"
    assert {row[f"{group}_status"] for group in ("level", "vertebra", "body", "arch")} == {"ok"}
    assert row["body_volume_mm3"] == BODY_VOXELS * VOXEL
    assert row["arch_volume_mm3"] == arch
    assert row["vertebra_volume_mm3"] == BODY_VOXELS * VOXEL + arch
    assert row["body_share_ratio"] == round(BODY_VOXELS / (BODY_VOXELS + arch / VOXEL), 4)
    assert row["spinous_volume_mm3"] == 6 * BODY * VOXEL
    assert row["costal_left_volume_mm3"] == 4 * BODY * VOXEL
    assert row["sup_artic_left_volume_mm3"] is None, "not drawn: missing, not 0"
    top = context.instance.shape[2] - 4 - PITCH
    assert row["centroid_r_mm"] == 4 * 3.0 - 12
    assert row["centroid_a_mm"] == 26.5 + 5
    assert row["centroid_s_mm"] == top - BODY / 2 - 0.5 + 7
    assert row["fov_distance_mm"] == 4 + PITCH
    assert (row["touches_fov"], row["edge_faces"]) == (False, "")


def test_every_canonical_level_has_one_row(lumbar):
    _, rows = lumbar
    vertebrae = by_vertebra(rows)
    assert len(vertebrae) == len(rows["vertebrae"]) == 24
    assert {n for n, r in vertebrae.items() if r["presence"] == "complete"} == {
        "T12", "L1", "L2", "L3", "L4", "L5",
    }  # fmt: skip
    assert vertebrae["T11"]["presence"] == "absent_outside_fov"
    assert vertebrae["C1"]["presence"] == "absent_outside_fov"
    assert vertebrae["C1"]["body_status"] == "not_applicable"
    assert vertebrae["T3"]["body_status"] == "outside_fov"
    assert vertebrae["L1"]["index_from_sacrum"] == 5
    assert vertebrae["L1"]["index_from_top"] == 2
    assert vertebrae["L1"]["index_from_c2"] is None


def test_scan_row_counts(lumbar):
    [row] = lumbar[1]["scans"]
    assert (row["n_vertebrae_n"], row["n_bodies_complete_n"], row["n_discs_n"]) == (6, 6, 6)
    assert (row["level_first"], row["level_last"]) == ("T12", "L5")
    assert (row["n_thoracic_n"], row["n_lumbar_n"], row["n_cervical_n"]) == (1, 5, 0)
    assert (row["has_sacrum"], row["has_c2"]) == (True, False)
    assert row["enumeration_variant"] == "indeterminate"
    assert row["is_lumbar_count_known"] is False
    assert (row["processing_status"], row["processing_stage"]) == ("done", None)
    assert row["input_sha256"] == "0" * 64
    assert row["pipeline_version"] == "1"


def test_rows_survive_json(lumbar):
    assert json.loads(json.dumps(lumbar[1], allow_nan=False)) == lumbar[1]


def test_structures_are_those_drawn(lumbar):
    context, rows = lumbar
    for mask in ("semantic", "instance"):
        array = getattr(context, mask).array
        found = by_label(rows, mask)
        assert list(found) == sorted(np.unique(array[array > 0]))
        for label, row in found.items():
            inside = array == label
            assert row["voxels_n"] == inside.sum()
            assert row["volume_mm3"] == inside.sum() * VOXEL
            assert row["components_n"] == ndimage.label(inside, np.ones((3, 3, 3)))[1]
            values = context.image.array[inside].astype(float)
            assert row["signal_mean_au"] == pytest.approx(values.mean(), abs=6e-4)
            assert row["signal_sd_au"] == pytest.approx(values.std(), abs=6e-4)
            for name, q in (("p05", 5), ("median", 50), ("p95", 95)):
                expected = np.percentile(values, q)
                assert row[f"signal_{name}_au"] == pytest.approx(expected, abs=6e-4)
    body = by_label(rows, "semantic")[49]
    assert (body["extent_lr_mm"], body["extent_ap_mm"]) == (15.0, 10.0)
    assert body["components_n"] == 6
    assert body["largest_component_ratio"] == round(1 / 6, 4)
    assert (body["confidence_mean_ratio"], body["confidence_p05_ratio"]) == (0.9, 0.5)
    disc = by_label(rows, "instance")[100 + LABELS["L5"]]
    assert (disc["structure"], disc["level"], disc["level_order"]) == ("disc", "L5", 25)
    assert by_label(rows, "instance")[26]["level"] == "S1"
    assert by_label(rows, "semantic")[26]["level"] is None


def test_rows_do_not_depend_on_orientation():
    context = draw(["T12", None, "L2"], has_sacrum=True)
    expected = measure(context)
    pairs = (("R", "L"), ("A", "P"), ("S", "I"))
    for axes in permutations(range(3)):
        for ends in product(range(2), repeat=3):
            codes = [pairs[axis][end] for axis, end in zip(axes, ends, strict=True)]
            turned = on_grid(context, lambda v, codes=codes: v.reoriented(codes))
            assert measure_scan(turned, MeasureSettings()) == expected, codes


def test_rows_do_not_depend_on_memory_layout(lumbar):
    context, expected = lumbar
    fortran = on_grid(context, lambda v: Volume(np.asfortranarray(v.array), v.affine))
    assert measure_scan(fortran, MeasureSettings()) == expected


def test_oblique_scans_keep_volumes_and_turn_places(lumbar):
    context, straight = lumbar
    angle = np.deg2rad(20)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    oblique = measure(on_grid(context, lambda v: Volume(v.array, turn @ v.affine)))
    axes = [f"centroid_{a}_mm" for a in "ras"]
    for before, after in zip(straight["vertebrae"], oblique["vertebrae"], strict=True):
        assert before["body_volume_mm3"] == after["body_volume_mm3"]
        if before["centroid_s_mm"] is not None:
            place = turn[:3, :3] @ [before[a] for a in axes]
            assert [after[a] for a in axes] == pytest.approx(place, abs=2e-3)
    # the box of a turned cuboid of 10 x 8 mm
    row = by_label(oblique, "instance")[LABELS["L1"] + 100]
    cos, sin = np.cos(angle), np.sin(angle)
    assert row["extent_ap_mm"] == pytest.approx(10 * cos + DISC * sin, abs=1e-3)
    assert row["extent_si_mm"] == pytest.approx(10 * sin + DISC * cos, abs=1e-3)


def test_body_cut_by_the_upper_edge_is_partial(lumbar):
    context, whole = lumbar
    top = context.instance.shape[2] - 4 - 2  # the upper two of the eight voxels of T12 are lost
    cut = on_grid(context, lambda v: v.cropped((slice(0, WIDTH), slice(0, DEPTH), slice(0, top))))
    rows = by_vertebra(measure(cut))
    row = rows["T12"]
    assert row["presence"] == "partial"
    assert (row["touches_fov"], row["edge_faces"], row["fov_distance_mm"]) == (True, "S", 0.0)
    assert row["body_status"] == row["arch_status"] == row["vertebra_status"] == "partial_fov"
    for name in ("vertebra", "body", "arch", "spinous"):
        assert row[f"{name}_volume_mm3"] is None
    assert row["visible_fraction_ratio"] == 0.75
    assert row["centroid_s_mm"] is not None
    assert {row[f"{group}_status"] for group in ("frame", "heights")} == {"partial_fov"}
    assert row["height_middle_mm"] is None
    relative = [  # to the edge, to the uppermost body, to complete neighbours, to fluid nearby
        "fov_distance_mm",
        "curve_position_mm",
        "crush_neighbours_ratio",
        "crush_neighbours_status",
        "signal_body_csf_ratio",
    ]
    unaffected = by_vertebra(whole)["L1"] | {name: rows["L1"][name] for name in relative}
    assert rows["L1"] == unaffected
    assert rows["L1"]["crush_neighbours_ratio"] is None
    touched = by_label(measure(cut), "instance")[LABELS["T12"]]
    assert touched["touches_superior"] is True
    assert touched["touches_inferior"] is False


def test_body_close_to_the_edge_is_partial_within_the_margin(lumbar):
    context, _ = lumbar
    top = context.instance.shape[2] - 4 + 1
    cut = on_grid(context, lambda v: v.cropped((slice(0, WIDTH), slice(0, DEPTH), slice(0, top))))
    row = by_vertebra(measure(cut, margin_mm=2.0))["T12"]
    assert (row["presence"], row["touches_fov"], row["fov_distance_mm"]) == ("partial", False, 1.0)
    assert (row["arch_status"], row["spinous_volume_mm3"]) == ("partial_fov", None)
    assert by_vertebra(measure(cut, margin_mm=1.0))["T12"]["presence"] == "complete"


def test_processes_cut_at_the_sides_leave_the_body_whole(lumbar):
    context, _ = lumbar
    costal = {43: slice(0, 3), 44: slice(6, 9)}

    def widen(volume):
        array = volume.array.copy()
        for part, x in costal.items():
            rows = np.flatnonzero((context.instance.array == LABELS["L2"]).any(axis=(0, 1)))
            value = part if volume is context.semantic else LABELS["L2"]
            array[x, 14:18, rows.min() : rows.max() + 1] = value
        return Volume(array, volume.affine)

    wide = replace(context, semantic=widen(context.semantic), instance=widen(context.instance))
    row = by_vertebra(measure(wide))["L2"]
    assert (row["presence"], row["body_status"]) == ("complete", "ok")
    assert (row["arch_status"], row["vertebra_status"]) == ("partial_fov", "partial_fov")
    assert row["body_volume_mm3"] == BODY_VOXELS * VOXEL
    assert row["spinous_volume_mm3"] == 6 * BODY * VOXEL, "not cut itself"
    assert row["costal_left_volume_mm3"] is None
    assert row["costal_right_volume_mm3"] is None


def test_padding_is_outside_the_field_of_view(lumbar):
    context, _ = lumbar
    image = context.image.array.copy()
    image[:, :, -8:] = image.min()
    row = by_vertebra(measure(replace(context, image=context.image.with_array(image))))["T12"]
    assert (row["presence"], row["edge_faces"]) == ("partial", "S")
    assert by_vertebra(measure(replace(context, image=None)))["T12"]["presence"] == "complete"


def test_without_an_image_there_is_no_signal(lumbar):
    rows = measure(replace(lumbar[0], image=None))
    assert {row["signal_mean_au"] for row in rows["structures"]} == {None}


def test_thirteenth_thoracic_vertebra_lies_between_t12_and_l1():
    cervical = [f"C{i}" for i in range(2, 8)]
    thoracic = [f"T{i}" for i in range(1, 14)]
    names = cervical + thoracic + [f"L{i}" for i in range(1, 6)]
    rows = measure(draw(names, has_sacrum=True))
    vertebrae = by_vertebra(rows)
    order = sorted((r["level_order"], r["vertebra"]) for r in rows["vertebrae"])
    assert [n for _, n in order][18:21] == ["T12", "T13", "L1"]
    assert vertebrae["T13"]["spineps_label"] == 28
    assert vertebrae["T13"]["index_from_c2"] == 19
    assert vertebrae["C1"]["presence"] == "not_segmented"
    [scan] = rows["scans"]
    assert scan["enumeration_variant"] == "one_more"
    assert scan["n_thoracic_n"] == 13
    assert scan["is_thoracic_count_known"] is False, "it may as well be a sixth lumbar one"


@pytest.mark.parametrize(
    ("thoracic", "lumbar", "variant"),
    [
        (12, 5, "none"),
        (11, 5, "one_less"),
        (12, 4, "one_less"),
        (12, 6, "one_more"),
        (11, 4, "indeterminate"),
    ],
)
def test_enumeration_variants(thoracic, lumbar, variant):
    names = [f"C{i}" for i in range(2, 8)]
    names += [f"T{i}" for i in range(1, thoracic + 1)] + [f"L{i}" for i in range(1, lumbar + 1)]
    [scan] = measure(draw(names, has_sacrum=True))["scans"]
    assert scan["enumeration_variant"] == variant
    assert scan["is_lumbar_count_known"] is (variant == "none")
    [scan] = measure(draw(names, has_sacrum=False))["scans"]
    assert scan["enumeration_variant"] == "indeterminate"


def test_a_gap_makes_counts_unknown():
    names = [f"C{i}" for i in range(2, 8)] + [f"T{i}" for i in range(1, 13) if i != 6]
    names += [f"L{i}" for i in range(1, 6)]
    rows = measure(draw(names, has_sacrum=True))
    assert by_vertebra(rows)["T6"]["presence"] == "absent_within_range"
    assert by_vertebra(rows)["T6"]["body_status"] == "not_segmented"
    assert rows["scans"][0]["enumeration_variant"] == "indeterminate"


def test_vertebrae_without_names_keep_rows():
    rows = measure(draw([None, None, None]))
    unnamed = [r for r in rows["vertebrae"] if r["level"] is None]
    assert [r["vertebra"] for r in unnamed] == ["unnamed_01", "unnamed_02", "unnamed_03"]
    assert [r["index_from_top"] for r in unnamed] == [1, 2, 3]
    assert {r["level_status"] for r in unnamed} == {"no_anchor"}
    assert {r["body_volume_mm3"] for r in unnamed} == {BODY_VOXELS * VOXEL}
    others = [r for r in rows["vertebrae"] if r["level"]]
    assert len(others) == 24
    assert {r["presence"] for r in others} == {"undetermined"}
    assert {r["level_anchor"] for r in unnamed} == {"none"}
    assert {r["level_p_ratio"] for r in unnamed} == {None}, "0 is no missing code"
    [scan] = rows["scans"]
    assert (scan["n_vertebrae_n"], scan["level_first"], scan["n_lumbar_n"]) == (3, None, None)
    discs = [r for r in rows["structures"] if r["structure"] == "disc"]
    assert {r["level"] for r in discs} == {None}


def test_instances_beyond_the_known_levels_keep_rows():
    rows = measure(draw([None, "L5"], has_sacrum=True, first_unnamed=34))
    row = by_vertebra(rows)["unnamed_01"]
    assert (row["spineps_label"], row["body_volume_mm3"]) == (34, BODY_VOXELS * VOXEL)
    assert by_vertebra(rows)["C5"]["presence"] == "absent_outside_fov"
    found = by_label(rows, "instance")
    assert [found[n]["structure"] for n in (34, 134, 234)] == ["vertebra", "disc", "endplate_pair"]
    assert {found[n]["level"] for n in (34, 134, 234)} == {None}
    [scan] = rows["scans"]
    assert (scan["n_vertebrae_n"], scan["n_discs_n"], scan["n_lumbar_n"]) == (2, 2, None)


def test_assumed_names_are_no_anchor():
    context = draw(["C2", "C3", "C4"])
    entries = [dict(e, level_anchor="none", level_confidence=0.0) for e in context.levels]
    rows = measure(replace(context, levels=entries))
    assert rows["scans"][0]["has_c2"] is False
    assert by_vertebra(rows)["C3"]["index_from_c2"] is None
    assert measure(context)["scans"][0]["has_c2"] is True


def test_a_level_given_twice_is_flagged():
    context = draw(["T11", "T12", "L1", "L2"])
    entries = [dict(entry) for entry in context.levels]
    entries[2]["level"] = "T12"
    rows = by_vertebra(measure(replace(context, levels=entries)))
    assert {rows[n]["presence"] for n in ("T12", "T12_2")} == {"duplicate"}
    assert {rows[n]["body_status"] for n in ("T12", "T12_2")} == {"duplicate_label"}
    assert rows["T12_2"]["body_volume_mm3"] is None
    assert rows["L1"]["presence"] == "absent_within_range"


def test_vertebra_without_a_body_is_not_segmented():
    context = draw(["T11", "T12", "L1"])
    semantic = context.semantic.array.copy()
    lost = (semantic == 49) & (context.instance.array == LABELS["T12"])
    semantic[lost] = 41
    row = by_vertebra(measure(replace(context, semantic=context.semantic.with_array(semantic))))
    assert row["T12"]["presence"] == "partial"
    assert row["T12"]["body_status"] == "not_segmented"
    assert row["T12"]["centroid_s_mm"] is None


def test_masks_that_contradict_the_levels_are_an_error():
    context = draw(["T12", "L1"])
    with pytest.raises(ValueError, match="have no entry"):
        measure_scan(replace(context, levels=context.levels[:1]), MeasureSettings())
    other = Volume(context.image.array, context.image.affine @ np.diag([2, 1, 1, 1]))
    with pytest.raises(ValueError, match="same grid"):
        measure_scan(replace(context, image=other), MeasureSettings())


def test_empty_masks_leave_the_denominator():
    context = draw(["L1"])
    empty = Volume(np.zeros_like(context.semantic.array), context.semantic.affine)
    rows = measure(replace(context, semantic=empty, instance=empty, levels=[]))
    assert rows["structures"] == []
    assert len(rows["vertebrae"]) == 24
    assert rows["scans"][0]["n_vertebrae_n"] == 0


def _unmeasured(**changes):
    arguments = {
        "scan_id": "s",
        "participant_id": "p",
        "session_id": None,
        "stage": "prepare",
        "status": "refused",
        "code": "not_3d",
        "reason": "The image has 4 axes.",
    }
    row = unmeasured_scan_row(**(arguments | changes))
    rows_to_arrow(MEASURED["scans"].shard, [row])
    return row


def test_refused_inputs_say_why():
    row = _unmeasured()
    assert (row["input_status"], row["is_excluded_input"]) == ("not_3d", True)
    assert row["input_reason"] == row["processing_reason"] == "The image has 4 axes."
    assert (row["processing_status"], row["processing_stage"]) == ("refused", "prepare")
    assert row["n_vertebrae_n"] is None


def test_scans_refused_later_keep_what_is_known():
    row = _unmeasured(stage="semantic", code="no_spine", reason="No spine.", facts=FACTS)
    assert (row["input_status"], row["is_excluded_input"]) == ("ok", False)
    assert (row["spacing_lr_mm"], row["processing_code"]) == (3.0, "no_spine")
    assert row["input_reason"] is None


def test_failures_before_the_check_say_so():
    row = _unmeasured(status="failed", code="error", reason="OSError: x", facts={})
    assert (row["input_status"], row["processing_status"]) == ("not_checked", "failed")


def test_reasons_hold_no_paths():
    text = "cannot read /data/Miller_John/scan.nii.gz:\n bad, see sub-01_T2w.nii and C:\\x\\y"
    assert without_paths(text) == "cannot read <file> bad, see <file> and <file>"


MASKS = arrays(np.uint8, st.tuples(*[st.integers(1, 6)] * 3), elements=st.integers(0, 3))


@given(MASKS)
@settings(max_examples=60, deadline=None)
def test_regions_against_brute_force(mask):
    affine = np.array([[1, 0.2, 0, 3], [-0.1, 2, 0.3, -4], [0, 0.1, 3, 5], [0, 0, 0, 1.0]])
    regions = LabelledRuns.of(mask).regions(affine)
    assert sorted(regions) == [label for label in (1, 2, 3) if (mask == label).any()]
    corners = np.array(list(product((-0.5, 0.5), repeat=3)))
    for label, region in regions.items():
        at = np.argwhere(mask == label)
        assert region.voxels_n == len(at)
        assert (region.start == at.min(0)).all()
        assert (region.stop == at.max(0) + 1).all()
        world = at @ affine[:3, :3].T + affine[:3, 3]
        assert region.centroid_mm == pytest.approx(world.mean(0))
        ends = (at[:, None] + corners).reshape(-1, 3) @ affine[:3, :3].T
        assert region.extent_mm == pytest.approx(np.ptp(ends, axis=0))


@given(MASKS)
@settings(max_examples=60, deadline=None)
def test_topology_against_brute_force(mask):
    found = topology(mask)
    assert sorted(found) == [label for label in (1, 2, 3) if (mask == label).any()]
    pockets, n = ndimage.label(np.pad(mask, 1) == 0)
    holes = dict.fromkeys(found, 0)
    for pocket in range(1, n + 1):
        inside = pockets == pocket
        walls = set(np.pad(mask, 1)[ndimage.binary_dilation(inside) & ~inside])
        if not inside[0, 0, 0] and len(walls) == 1:
            holes[walls.pop()] += 1
    for label, entry in found.items():
        components, n = ndimage.label(mask == label, np.ones((3, 3, 3)))
        sizes = np.bincount(components.ravel())[1:]
        assert entry.components_n == n
        assert entry.largest_component_ratio == pytest.approx(sizes.max() / sizes.sum())
        assert entry.holes_n == holes[label]


def test_cavities_belong_to_the_label_that_encloses_them():
    mask = np.zeros((20, 7, 7), np.uint8)
    mask[1:6, 1:6, 1:6] = 1  # with a closed cavity
    mask[3, 3, 3] = 0
    mask[7:12, 1:6, 1:6] = 2  # with a cavity that a third label helps to close
    mask[9, 3, 3:5] = 0
    mask[9, 3, 5] = 3
    mask[13:18, 1:6, 1:6] = 4  # with a channel to the outside
    mask[15, 3, 3:] = 0
    assert {label: entry.holes_n for label, entry in topology(mask).items()} == {
        1: 1,
        2: 0,
        3: 0,
        4: 0,
    }
    mask[:, :, 6] = 5
    assert topology(mask[:, :, :5])[4].holes_n == 0, "open at the edge of the array"


def test_islands_of_sacrum_do_not_put_levels_within_the_range():
    context = draw(["C2", "C3", "C4"])
    for mask in (context.semantic, context.instance):
        mask.array[4, 20:23, 0] = 26
    rows = measure(context)
    [scan] = rows["scans"]
    assert scan["has_sacrum"] is False
    presence = {row["vertebra"]: row["presence"] for row in rows["vertebrae"]}
    assert presence["C5"] == presence["L5"] == "absent_outside_fov"
