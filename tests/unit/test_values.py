"""A value is missing if and only if its own status says why: all tables, many kinds of scans."""

from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from exact_scan import measure, relabelled, scan_of, spine_of
from hypothesis import given, settings
from hypothesis import strategies as st
from measured_phantom import assessable, findings_as_rows
from table_rows import fitting_row

from columna.collect.dictionary import dictionary_rows
from columna.config import MeasureSettings
from columna.errors import TableError
from columna.images.volume import load_volume
from columna.measure import measure_scan, unmeasured_scan_row
from columna.phantom import PhantomSettings, make_phantom
from columna.phantom.demo import PHANTOMS
from columna.tables.catalogue import SHARDED, TABLES
from columna.tables.common import STATUS
from columna.tables.discs import DISCS
from columna.tables.finish import UNEXPLAINED, Measured, Missing, finish_row
from columna.tables.measures import in_group
from columna.tables.measures import measure as measure_column
from columna.tables.reasons import reason_table
from columna.tables.scans import SCANS
from columna.tables.shards import rows_to_arrow
from columna.tables.vertebrae import VERTEBRAE
from published import published_masks

CATCH_ALL = (UNEXPLAINED, "fit_failed", "neighbour_missing")
"""Codes that say little."""


@pytest.mark.parametrize("table", SHARDED.values(), ids=SHARDED)
def test_every_measure_names_the_status_that_governs_it(table):
    """What columna measures has a status; the rest is said by cohort, sidecar or run."""
    for column in table:
        if column.nullable and column.source == "columna":
            assert column.status, column.name
        if column.status:
            assert table[column.status].codes, column.name


def test_the_dictionary_says_which_status_and_which_of_its_codes():
    rows = {(r["table"], r["column"]): r for r in dictionary_rows(TABLES.values())}
    loss = rows["vertebrae", "height_loss_middle_pct"]
    assert loss["status_column"] == "height_loss_status"
    assert rows["vertebrae", loss["status_column"]]["value_codes"] == "ok;lateral_cut"
    assert rows["vertebrae", "width_status"]["value_codes"] == "ok"
    assert rows["scans", "processing_status"]["value_codes"] == "done"
    assert rows["vertebrae", "presence"]["value_codes"] is None


def test_every_status_code_is_a_reason_with_a_sentence():
    for table in TABLES.values():
        for name in table.groups:
            for code in set(table[name].codes) - {"ok", "done"}:
                reason = reason_table()[code]
                assert reason["meaning"], code
                assert reason["what_to_do"], code
    assert set(STATUS) - {"ok"} <= set(reason_table())


def phantom_rows(phantom_settings, has_image=True):
    """Rows of all tables of a phantom with its true masks."""
    phantom = make_phantom(phantom_settings)
    context = assessable(phantom.image, phantom.semantic, phantom.instance)
    return {**context.rows, "quality": findings_as_rows(context)}


def changed_rows(change, **phantom_settings):
    """The same of a phantom whose masks `change` has altered, along P, I, R."""
    phantom = make_phantom(PhantomSettings(**SMALL | phantom_settings))
    masks = [v.reoriented(("P", "I", "R")) for v in (phantom.semantic, phantom.instance)]
    arrays = [mask.array.astype(np.uint16) for mask in masks]
    change(*arrays)
    altered = [mask.with_array(a) for mask, a in zip(masks, arrays, strict=True)]
    context = assessable(phantom.image, *altered)
    return {**context.rows, "quality": findings_as_rows(context)}


SMALL = {"seed": 4, "region": "lumbar", "spacing_mm": (1.5, 1.5, 4.0)}


def nothing(semantic, instance):
    semantic[:] = instance[:] = 0


def no_canal(semantic, instance):
    semantic[np.isin(semantic, (60, 61))] = 0


def no_endplates(semantic, instance):
    is_plate = np.isin(semantic, (52, 53, 62))
    semantic[is_plate] = instance[is_plate] = 0


def no_discs(semantic, instance):
    is_disc = semantic == 100
    semantic[is_disc] = instance[is_disc] = 0


def no_sacrum(semantic, instance):
    """Nothing to count from: no level has a name."""
    is_sacrum = semantic == 26
    semantic[is_sacrum] = instance[is_sacrum] = 0
    for old, new in zip(range(18, 25), range(40, 47), strict=True):
        instance[instance == old] = new
        instance[instance == 100 + old] = 100 + new
        instance[instance == 200 + old] = 200 + new


def one_vertebra(semantic, instance):
    is_other = instance != 22
    semantic[is_other] = instance[is_other] = 0


def flat_body(semantic, instance):
    """L2 is three voxels high: no frame can be fitted, or it is too small."""
    rows = np.flatnonzero(((instance == 21) & (semantic == 49)).any(axis=(0, 2)))
    for row in rows[3:]:
        gone = (instance[:, row] == 21) & (semantic[:, row] == 49)
        semantic[:, row][gone] = instance[:, row][gone] = 0


def no_body(semantic, instance):
    gone = (instance == 22) & (semantic == 49)
    semantic[gone] = instance[gone] = 0


def only_bodies(semantic, instance):
    gone = semantic != 49
    semantic[gone] = instance[gone] = 0


CHANGES = (
    nothing,
    no_canal,
    no_endplates,
    no_discs,
    no_sacrum,
    one_vertebra,
    flat_body,
    no_body,
    only_bodies,
)
OTHER_PHANTOMS = {
    "fractures": PhantomSettings(
        **SMALL, crushed={21: 0.4}, missing_disc_below=(23,), fused_below=(20,)
    ),
    "narrow": PhantomSettings(**SMALL, fov_mm=(150.0, 150.0, 30.0)),
    "thoracic": PhantomSettings(seed=7, region="thoracic", spacing_mm=(1.5, 1.5, 3.3)),
    "scoliosis": PhantomSettings(
        seed=8, region="whole", spacing_mm=(1.5, 1.5, 3.3), scoliosis_deg=15.0
    ),
}


@cache
def demo_rows(name):
    phantom = PHANTOMS[name][0] if name in PHANTOMS else OTHER_PHANTOMS[name]
    return phantom_rows(phantom)


SEEN = [name for name, (_, expected, _) in PHANTOMS.items() if expected == "done"]


@pytest.mark.parametrize("name", [*SEEN, *OTHER_PHANTOMS])
def test_phantoms_have_values_or_reasons(name):
    check(demo_rows(name))


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_spoilt_masks_have_values_or_reasons(change):
    check(changed_rows(change))


@pytest.mark.parametrize(
    "names",
    [["C2", "C3", "C4"], ["L4", "L5", "S1"], ["C7", "T1", "T2", "T3"], [None, None, "S1"]],
    ids=lambda names: "-".join(str(name) for name in names),
)
def test_exact_spines_without_an_image_have_values_or_reasons(names):
    drawn = [name or level for name, level in zip(names, ("L4", "L5", "S1"), strict=False)]
    context = scan_of(spine_of(drawn + names[len(drawn) :]), names)
    rows = measure(context)
    rows.pop("scans")  # without facts
    check(rows)


def test_levels_that_are_given_twice_have_values_or_reasons():
    context = scan_of(spine_of(["T12", "L1", "L2", "L3"]), ["T12", "L1", "L1", "L3"])
    rows = measure(context)
    rows.pop("scans")
    check(rows)


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.sampled_from([41, 42, 49, 60, 61, 62, 100, 26]), max_size=2),
    st.tuples(*[st.integers(0, 45)] * 2),
    st.tuples(*[st.integers(0, 6)] * 2),
)
def test_any_crop_of_any_structures_has_values_or_reasons(lost, rows, slices):
    phantom = small_phantom()
    box = (slice(0, None), slice(rows[0], -rows[1] - 1), slice(slices[0], -slices[1] - 1))
    image, semantic, instance = (
        v.reoriented(("P", "I", "R")).cropped(box)
        for v in (phantom.image, phantom.semantic, phantom.instance)
    )
    is_lost = np.isin(semantic.array, lost)
    masks = [v.with_array(np.where(is_lost, 0, v.array)) for v in (semantic, instance)]
    context = assessable(image, *masks)
    check({**context.rows, "quality": findings_as_rows(context)})


@cache
def small_phantom():
    return make_phantom(PhantomSettings(**SMALL))


@pytest.mark.parametrize("version", ["pred", "ref"])
def test_real_masks_have_values_or_reasons(version):
    semantic, instance = (load_volume(path) for path in published_masks(version))
    rng = np.random.default_rng(0)
    image = semantic.with_array(rng.normal(100, 10, semantic.shape).astype(np.float32))
    context = assessable(image, semantic, instance)
    check({**context.rows, "quality": findings_as_rows(context)})


@pytest.mark.parametrize(
    ("stage", "status", "code", "facts"),
    [
        ("index", "refused", "missing_file", {}),
        ("prepare", "refused", "not_3d", {}),
        ("prepare", "failed", "error", {}),
        ("semantic", "refused", "no_spine", {"dim_lr_n": 3, "is_stitched": False}),
    ],
)
def test_scans_that_were_not_measured_say_so(stage, status, code, facts):
    measured = demo_rows("lumbar")["scans"][0]
    if facts:
        facts = {name: measured[name] for name in SCANS.groups["input_status"]}
    row = unmeasured_scan_row(
        scan_id="s",
        participant_id="p",
        session_id=None,
        stage=stage,
        status=status,
        code=code,
        reason="Because.",
        facts=facts,
    )
    check({"scans": [row]})
    assert row["counts_status"] == "not_measured"
    assert row["stitched_status"] == ("not_recorded" if facts else "not_measured")


def test_codes_that_say_little_are_rare():
    """Of all that is missing in the demo and other phantoms, at most 1 % has such a code."""
    codes = Counter()
    for name in (*SEEN, *OTHER_PHANTOMS):
        codes.update(code for _, code in missing_values(demo_rows(name)))
    for code in CATCH_ALL:
        assert codes[code] <= 0.01 * codes.total(), (code, codes)


def check(rows):
    """Raise unless every value is there exactly where its status says so."""
    for name, found in rows.items():
        table = SHARDED[name].shard
        rows_to_arrow(table, found)  # compares each value with its status
        for row in found:
            for status, governed in table.groups.items():
                is_there = row[status] in table[status].value_codes
                assert all((row[n] is not None) == is_there for n in governed), (name, status, row)
                assert row[status] != UNEXPLAINED, (name, status, row)


def missing_values(rows):
    """Column and code of everything that is missing."""
    for name, found in rows.items():
        table = SHARDED[name].shard
        governed = [(c.name, c.status) for c in table if c.status]
        for row in found:
            yield from ((c, row[status]) for c, status in governed if row[c] is None)


DISC = {"disc": "L1-L2", "scan_id": "s", "vertebra_upper": "L1", "presence": "complete"}
SEGMENT = {"segment_angle_deg": Measured(2.0, "lateral_cut")}


def test_a_missing_value_takes_its_reason_to_its_status():
    row = fitting_row(VERTEBRAE, height_mean_mm=20.0, width_mm=Missing("too_few_slices"))
    assert (row["width_mm"], row["width_status"]) == (None, "too_few_slices")
    assert row["body_compactness_ratio"] is None, "a group is measured as a whole"


def test_what_is_made_from_a_missing_group_takes_over_its_reason():
    row = finish_row(DISCS, DISC | {"disc_status": "partial_fov", "gap_status": "partial_fov"})
    assert row["disc_width_status"] == row["tiling_status"] == "partial_fov"


def test_a_remark_stays_on_values_and_on_what_is_made_from_them():
    values = {"angle_status": "lateral_cut", "disc_angle_deg": 1.0, "disc_lateral_angle_deg": 0.0}
    values |= {"segment_angle_deg": 2.0, "listhesis_mm": Missing("fit_failed")}
    row = finish_row(DISCS, DISC | values)
    assert (row["segment_angle_deg"], row["segment_angle_status"]) == (2.0, "lateral_cut")
    assert row["listhesis_status"] == "fit_failed"


def test_a_measured_value_takes_its_code_to_its_status():
    row = finish_row(DISCS, DISC | {"angle_status": "ok", "disc_angle_deg": 1.0} | SEGMENT)
    assert (row["segment_angle_deg"], row["segment_angle_status"]) == (2.0, "lateral_cut")


GAPS = {f"gap_{name}_mm": 8.0 for name in ("anterior", "middle", "posterior", "mean")}
TISSUE = {f"disc_height_{name}_mm": 7.0 for name in ("anterior", "middle", "posterior", "mean")}


def test_a_formula_gives_the_value_or_takes_over_the_reason_of_what_it_needs():
    whole = DISC | {"disc_status": "ok", "gap_status": "ok", "disc_depth_mm": 32.0}
    assert finish_row(DISCS, whole | GAPS | TISSUE)["height_index_farfan_ratio"] == 0.5
    apart = finish_row(DISCS, whole | TISSUE | {"gap_status": "neighbour_missing"})
    assert apart["height_index_farfan_ratio"] is None
    assert apart["gap_status"] == "neighbour_missing"
    lost = finish_row(DISCS, whole | GAPS | TISSUE | {"disc_depth_mm": Missing("fit_failed")})
    assert lost["disc_status"] == lost["gap_status"] == "fit_failed"
    told = finish_row(DISCS, whole | TISSUE | GAPS | {"gap_mean_mm": None})
    assert told["gap_status"] == UNEXPLAINED


def test_a_column_is_declared_and_computed_in_one_place():
    """The recipe of docs/extending.md#a-column, done once."""
    aspect = measure_column(
        "disc_aspect_ratio",
        "Mean height over depth.",
        (0.02, 1.2),
        "A",
        "G9",
        formula=lambda disc_height_mean_mm, disc_depth_mm: disc_height_mean_mm / disc_depth_mm,
    )
    added = in_group("disc_status", "the disc is not complete", aspect)
    table = replace(DISCS, columns=(*DISCS.columns, *added))
    row = finish_row(table, DISC | TISSUE | {"disc_status": "ok", "disc_depth_mm": 35.0})
    assert row["disc_aspect_ratio"] == 0.2
    cut = finish_row(table, DISC | {"disc_status": "partial_fov"})
    assert (cut["disc_aspect_ratio"], cut["disc_status"]) == (None, "partial_fov")


def test_a_formula_of_unknown_columns_or_without_a_status_is_refused():
    lost = measure_column("lost_ratio", "Nothing.", formula=lambda no_such_mm: no_such_mm)
    with pytest.raises(ValueError, match="no_such_mm"):
        replace(DISCS, columns=(*DISCS.columns, *in_group("disc_status", "never", lost)))
    free = measure_column("free_mm", "Nothing.", formula=lambda disc_depth_mm: disc_depth_mm)
    with pytest.raises(ValueError, match="free_mm"):
        replace(DISCS, columns=(*DISCS.columns, free))


def test_a_value_without_a_reason_is_told_from_all_others():
    row = finish_row(DISCS, DISC | {"disc_status": "ok"})
    assert row["disc_status"] == UNEXPLAINED


def test_a_value_that_its_status_denies_is_refused():
    with pytest.raises(TableError, match=r"disc_depth_mm.*disc_status"):
        finish_row(DISCS, DISC | {"disc_status": "partial_fov", "disc_depth_mm": 30.0})
    with pytest.raises(TableError, match="no status column"):
        finish_row(DISCS, DISC | {"index_from_top": 1, "presence": Missing("error")})


def test_settings_that_switch_measures_off_are_a_reason():
    context = scan_of(spine_of(["L1", "L2", "L3", "L4", "L5", "S1"]))
    off = measure_scan(context, MeasureSettings())
    on = measure_scan(context, MeasureSettings(mesh_volume=True, genant_like_grade=True))
    assert {r["volume_mesh_status"] for r in off["structures"]} == {"disabled"}
    assert {r["volume_mesh_status"] for r in on["structures"]} == {"ok"}
    l3 = [next(r for r in rows["vertebrae"] if r["level"] == "L3") for rows in (off, on)]
    assert [row["genant_like_status"] for row in l3] == ["disabled", "ok"]


def test_a_signal_that_is_not_positive_has_no_ratio():
    """An image whose zero is no zero: medians stay, ratios of them would mean nothing."""
    phantom = small_phantom()
    array = phantom.image.array.astype(np.float32)
    dark = array - np.quantile(array[phantom.semantic.array == 100], 0.6)
    context = assessable(phantom.image.with_array(dark), phantom.semantic, phantom.instance)
    rows = {**context.rows, "quality": findings_as_rows(context)}
    check(rows)
    discs = [row for row in rows["discs"] if row["signal_status"] == "ok"]
    assert {row["disc_csf_status"] for row in discs} == {"not_positive"}
    assert min(row["signal_disc_au"] for row in discs) < 0
    ratios = [
        row[column.name]
        for name in ("vertebrae", "discs")
        for row in rows[name]
        for column in SHARDED[name]
        if column.name.startswith("signal_") and column.name.endswith("_ratio")
    ]
    assert min(value for value in ratios if value is not None) >= 0
    black = assessable(phantom.image.with_array(array - array.max() - 1), *masks_of(phantom))
    below = {row["rule_id"]: row for row in findings_as_rows(black)}
    for rule in ("snr_csf", "snr_body", "bias_gradient", "sharpness"):
        assert below[rule]["value_status"] == "not_positive", rule
    assert {row["body_csf_status"] for row in measured(black.rows["vertebrae"])} == {"not_positive"}


def masks_of(phantom):
    return phantom.semantic, phantom.instance


def measured(rows):
    return [row for row in rows if row["signal_status"] == "ok"]


def test_relabelled_voxels_do_not_matter_elsewhere():
    """A structure that is lost takes the measures made from it along, and no others."""
    context = scan_of(spine_of(["L1", "L2", "L3", "L4", "L5", "S1"]))
    bare = relabelled(context, "semantic", lambda a: np.where(np.isin(a, (60, 61)), 0, a))
    rows = measure_scan(replace(bare, image=None), MeasureSettings())
    assert {row["canal_status"] for row in rows["cord_canal"] if row["index_from_top"]} == {
        "not_segmented"
    }
    assert rows["spine"][0]["cord_end_status"] == "not_segmented"
