"""Quality rules on phantoms: silent on the truth, and loud about one damage at a time."""

from dataclasses import replace

import numpy as np
import pytest
from measured_phantom import assessable, findings_as_rows

from columna.assess import assess_scan
from columna.assess.rules import all_rules, cohort_rules, needed_answers, scan_rules
from columna.domains import DOMAINS
from columna.images.volume import Volume
from columna.phantom import PhantomSettings, make_phantom
from columna.tables.catalogue import TABLES
from columna.tables.quality import QUALITY
from columna.tables.shards import rows_to_arrow

SETTINGS = {"seed": 4, "region": "lumbar", "spacing_mm": (1.2, 1.2, 3.3)}


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(PhantomSettings(**SETTINGS))


@pytest.fixture(scope="module")
def clean(phantom):
    return assessable(phantom.image, phantom.semantic, phantom.instance)


def alarms(context):
    """Rule -> items that it asks to look at."""
    alarms = {}
    for row in findings_as_rows(context):
        if row["verdict"] in ("review", "fail"):
            alarms.setdefault(row["rule_id"], {})[row["item"]] = row["verdict"]
    return alarms


def changed(phantom, change):
    """Assess a phantom whose semantic and instance arrays `change` has altered, in P, I, R."""
    masks = [v.reoriented(("P", "I", "R")) for v in (phantom.semantic, phantom.instance)]
    arrays = [mask.array.astype(np.uint16) for mask in masks]
    change(*arrays)
    altered = [Volume(a, m.affine) for a, m in zip(arrays, masks, strict=True)]
    return assessable(phantom.image, *altered)


def test_a_clean_scan_raises_no_alarm(clean):
    found = alarms(clean)
    found.pop("implausible_disc", None)  # phantoms vary more than spines do
    assert found == {}
    rows_to_arrow(QUALITY, findings_as_rows(clean))


def unanswered(context):
    """Rules that need an answer and have none."""
    answers = {f.rule_id: f.value for f in assess_scan(context)}
    return {rule for rule in needed_answers() if answers[rule] is None}


def test_a_clean_scan_has_every_answer_that_it_needs(clean):
    assert unanswered(clean) == set()


def test_only_rules_about_the_scan_need_answers():
    assert all(all_rules()[rule].scope == "scan" for rule in needed_answers())
    assert all(all_rules()[rule].comparator == "fixed" for rule in needed_answers())


def test_a_scan_without_names_lacks_answers(clean):
    rows = [row | {"level": None, "level_order": None} for row in clean.rows["vertebrae"]]
    nameless = replace(clean, rows={**clean.rows, "vertebrae": rows})
    assert unanswered(nameless) == {"levels_contiguous", "duplicate_labels", "order_monotone"}


def test_a_scan_without_a_complete_body_is_told(clean):
    scans = [row | {"n_bodies_complete_n": 0} for row in clean.rows["scans"]]
    assert alarms(replace(clean, rows={**clean.rows, "scans": scans})).keys() >= {"complete_bodies"}


def lose_canal(semantic, instance):
    semantic[np.isin(semantic, (60, 61))] = 0


def test_a_scan_without_a_canal_lacks_answers(phantom):
    lacks = unanswered(changed(phantom, lose_canal))
    assert lacks >= {"canal_continuity", "canal_behind_bodies", "snr_csf", "cnr_body_csf"}


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("qform_distance_mm", 3.0, "transforms_agree"),
        ("is_qform_broken", True, "qform_usable"),
        ("shear_deg", 20.0, "axes_orthogonal"),
    ],
)
def test_what_the_header_says_is_judged(clean, column, value, rule):
    scans = [row | {column: value} for row in clean.rows["scans"]]
    assert alarms(replace(clean, rows={**clean.rows, "scans": scans}))[rule] == {"scan": "review"}


def test_every_rule_is_answered_for_what_it_is_about(clean):
    answered = {}
    for row in findings_as_rows(clean):
        answered.setdefault(row["rule_id"], set()).add(row["item"])
        assert (row["value"] is None) == (row["value_status"] != "ok")
    seen = {r["vertebra"] for r in clean.rows["vertebrae"] if r["spineps_label"]}
    for rule in scan_rules():
        if rule.scope == "scan":
            assert answered[rule.rule_id] == {"scan"}, rule.rule_id
        elif rule.scope == "level":
            assert answered[rule.rule_id] == seen, rule.rule_id
        else:
            assert {"vertebral_body", "disc", "spinal_canal"} <= answered[rule.rule_id]


def test_rules_name_columns_that_exist():
    for rule in all_rules().values():
        table, column = rule.source_column
        if table == "quality":
            assert column in all_rules()
        elif column:
            assert column in TABLES[table].names, rule.rule_id
    assert all(rule.limits != (None, None) for rule in cohort_rules())


@pytest.mark.parametrize("codes", [("L", "A", "S"), ("S", "P", "R")])
def test_findings_do_not_depend_on_how_the_grid_is_stored(phantom, clean, codes):
    turned = [v.reoriented(codes) for v in (phantom.image, phantom.semantic, phantom.instance)]
    expected = [tuple(f) for f in assess_scan(clean)]
    found = [tuple(f) for f in assess_scan(assessable(*turned))]
    assert [f[:2] + f[3:] for f in found] == [f[:2] + f[3:] for f in expected]
    for one, other in zip(found, expected, strict=True):
        assert one[2] == pytest.approx(other[2], abs=2e-4), one


def swap(semantic, instance):
    """Left and right processes change places."""
    for left, right in ((43, 44), (45, 46), (47, 48)):
        was_left = semantic == left
        semantic[semantic == right] = left
        semantic[was_left] = right


def merge(semantic, instance):
    """L2 and L3 become one vertebra."""
    instance[instance == 22] = 21


def lose_middle(semantic, instance):
    """L2 was not found."""
    semantic[(instance == 21) & np.isin(semantic, (41, 42, 49))] = 0
    instance[instance == 21] = 0


def lose_lowest(semantic, instance):
    """Neither L5 nor the sacrum was found."""
    gone = np.isin(instance, (24, 26))
    semantic[gone] = 0
    instance[gone] = 0


def cut_canal(semantic, instance):
    rows = np.flatnonzero((semantic == 61).any(axis=(0, 2)))
    middle = rows[len(rows) // 2]
    slab = semantic[:, middle : middle + 10]
    slab[np.isin(slab, (60, 61))] = 0


def bare_cord(semantic, instance):
    """Cord and canal are swapped."""
    was_cord = semantic == 60
    semantic[semantic == 61] = 60
    semantic[was_cord] = 61


def stray(semantic, instance):
    """A disc voxel block in the back."""
    semantic[-12:, 60:80, 3:6] = 100


def drill(semantic, instance):
    """A cavity inside the body of L3."""
    p, i, r = (int(x) for x in np.argwhere((instance == 22) & (semantic == 49)).mean(axis=0))
    semantic[p, i, r] = instance[p, i, r] = 0


def split_body(semantic, instance):
    """The body of L3 falls into two pieces."""
    middle = int(np.argwhere((instance == 22) & (semantic == 49))[:, 1].mean())
    plane = (instance[:, middle] == 22) & (semantic[:, middle] == 49)
    semantic[:, middle][plane] = instance[:, middle][plane] = 0


def disown(semantic, instance):
    """The body of L3 belongs to no instance."""
    instance[(instance == 22) & (semantic == 49)] = 0


def lose_arch(semantic, instance):
    semantic[(instance == 22) & np.isin(semantic, (41, 42))] = 0
    instance[(instance == 22) & (semantic == 0)] = 0


def misplace(semantic, instance):
    """L2 and L3 bear each other's number."""
    was = instance == 21
    instance[instance == 22] = 21
    instance[was] = 22


def thin(semantic, instance, tube, level, keep):
    """Beside the body of a level little is left of the cord or the canal."""
    rows = np.flatnonzero(((instance == level) & (semantic == 49)).any(axis=(0, 2)))
    for row in range(rows[0] - 2, rows[-1] + 3):
        is_tube = np.isin(semantic[:, row], tube)
        place = np.argwhere(is_tube)
        kept = place[np.argsort(np.abs(place - place.mean(axis=0)).sum(axis=1), kind="stable")]
        gone = is_tube.copy()
        gone[tuple(kept[:keep].T)] = False
        semantic[:, row][gone] = 61 if tube == (60,) else 0


def thin_cord(semantic, instance):
    """3.7 mm2 of cord beside T11 between 41 above and 23 below."""
    thin(semantic, instance, (60,), 18, 2)


def thin_canal(semantic, instance):
    thin(semantic, instance, (60, 61), 22, 6)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (swap, {"lr_swap": {"L2": "fail", "L3": "fail", "L4": "fail"}}),
        (merge, {"levels_contiguous": {"scan": "fail"}, "body_components": {"L2": "review"}}),
        (lose_middle, {"levels_contiguous": {"scan": "fail"}, "spacing_smooth": {"L1": "fail"}}),
        (lose_lowest, {"coverage_expected": {"scan": "fail"}}),
        (cut_canal, {"canal_continuity": {"scan": "fail"}}),
        (bare_cord, {"cord_in_canal": {"scan": "fail"}}),
        (stray, {"leakage": {"disc": "review"}}),
        (split_body, {"body_components": {"L3": "review"}}),
        (disown, {"semantic_instance_dice": {"scan": "review"}}),
        (disown, {"body_without_instance": {"scan": "fail"}}),
        (lose_arch, {"subregion_missing": {"L3": "review"}}),
        (misplace, {"order_monotone": {"scan": "fail"}}),
        (thin_cord, {"cord_area_step": {"T11": "review"}}),
        (thin_canal, {"canal_area_step": {"L3": "review"}}),
        (thin_canal, {"implausible_canal": {"L3": "review"}}),
        (thin_canal, {"implausible_scan_value": {"scan": "review"}}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_damage_is_seen(phantom, damage, expected):
    found = alarms(changed(phantom, damage))
    for rule, items in expected.items():
        assert items.items() <= found.get(rule, {}).items(), found


def image_values(context):
    return {f.rule_id: f.value for f in assess_scan(context) if f.item == "scan"}


def with_image(phantom, change):
    upright = phantom.image.reoriented(("P", "I", "R"))
    image = Volume(change(upright.array.astype(np.float32).copy()), upright.affine)
    return image_values(assessable(image, phantom.semantic, phantom.instance))


def test_noise_lowers_signal_to_noise_and_contrast(phantom, clean):
    before = image_values(clean)
    noise = np.random.default_rng(0).normal(0, 200, phantom.image.shape)
    after = with_image(phantom, lambda a: np.abs(a + noise.reshape(a.shape)))
    for rule in ("snr_csf", "snr_body", "cnr_body_csf", "cnr_cord_csf"):
        assert after[rule] < 0.7 * before[rule], rule


def test_blur_lowers_sharpness(phantom, clean):
    from scipy import ndimage

    after = with_image(phantom, lambda a: ndimage.gaussian_filter(a, (1.5, 1.5, 0)))
    assert after["sharpness"] < 0.8 * image_values(clean)["sharpness"]


def test_a_known_bias_is_measured(phantom, clean):
    """30 % more signal per 100 mm downwards."""

    def shade(array):
        mm = np.arange(array.shape[1]) * 1.2
        return array * (1 + 0.003 * (mm - mm.mean()))[:, None]

    change = with_image(phantom, shade)["bias_gradient"] - image_values(clean)["bias_gradient"]
    assert change == pytest.approx(30, abs=4)


def test_a_shifted_slice_is_measured(phantom):
    def jolt(semantic, instance):
        middle = semantic.shape[2] // 2
        for array in (semantic, instance):
            array[:, :, middle] = np.roll(array[:, :, middle], 3, axis=0)

    found = alarms(changed(phantom, jolt))
    assert found["slice_displacement"] == {"scan": "review"}
    values = {f.rule_id: f.value for f in assess_scan(changed(phantom, jolt))}
    assert values["slice_displacement"] == pytest.approx(3.6, abs=0.5)


def scan_alarms(context):
    return {rule for rule, items in alarms(context).items() if "scan" in items}


def test_other_contrasts_than_t2w_are_named(phantom):
    """With dark fluid, as on T1w, whatever is added to all values."""
    canal = np.isin(phantom.semantic.array, (60, 61))
    for shift in (0, -500):
        dark = np.where(canal, phantom.image.array * 0.2, phantom.image.array) + shift
        context = assessable(phantom.image.with_array(dark), phantom.semantic, phantom.instance)
        assert "csf_over_body" in scan_alarms(context)


def test_ct_under_another_name_is_named(phantom):
    units = np.random.default_rng(1).normal(50, 15, phantom.image.shape)
    units[np.isin(phantom.semantic.array, (41, 42, 49))] += 300
    units[phantom.image.array < 60] = -900
    units[:, ::4] -= 150
    units[phantom.semantic.array == 62] = 900
    context = assessable(
        phantom.image.with_array(units.astype(np.int16)), phantom.semantic, phantom.instance
    )
    assert {"hounsfield_units", "csf_over_body"} <= scan_alarms(context)


def test_outliers_ask_for_a_look(clean):
    rows = [clean.rows["scans"][0] | {"outlier_voxels_n": 1}]
    assert scan_alarms(replace(clean, rows={**clean.rows, "scans": rows})) == {"outlier_voxels"}


def test_sidecars_that_say_nothing_ask_for_a_look(clean):
    rows = [clean.rows["scans"][0] | {"unusable_sidecars_n": 1}]
    found = scan_alarms(replace(clean, rows={**clean.rows, "scans": rows}))
    assert found == {"unusable_sidecars"}


@pytest.mark.parametrize("value", [0, 700])
def test_lost_slices_ask_for_a_look(phantom, value):
    array = phantom.image.array.copy()
    array[..., [4, 7]] = value
    context = assessable(phantom.image.with_array(array), phantom.semantic, phantom.instance)
    found = {f.rule_id: f.value for f in assess_scan(context)}
    assert found["empty_planes"] == 2
    assert "empty_planes" in scan_alarms(context)


def test_blobs_in_a_head_are_no_spine(phantom):
    """A body and some canal in a small part of the height."""
    upright = [
        v.reoriented(("P", "I", "R")) for v in (phantom.image, phantom.semantic, phantom.instance)
    ]
    image, *masks = (v.array.copy() for v in upright)
    for mask in masks:
        mask[:, image.shape[1] // 4 :] = 0
    context = assessable(*(v.with_array(a) for v, a in zip(upright, (image, *masks), strict=True)))
    assert "spine_share" in scan_alarms(context)


def test_an_odd_body_stands_out_among_its_neighbours(phantom, clean):
    """Without its anterior half, L3 is too small for its place."""
    rows = [dict(row) for row in clean.rows["vertebrae"]]
    for row in rows:
        if row["vertebra"] == "L3" and row["body_volume_mm3"]:
            row["body_volume_mm3"] /= 2
    whole = make_phantom(PhantomSettings(**SETTINGS | {"region": "whole", "spacing_mm": (2, 2, 4)}))
    context = assessable(whole.image, whole.semantic, whole.instance)
    assert "volume_neighbour_z" not in alarms(context)
    rows = [
        row | {"body_volume_mm3": row["body_volume_mm3"] / (2 if row["vertebra"] == "L3" else 1)}
        if row["body_volume_mm3"]
        else row
        for row in context.rows["vertebrae"]
    ]
    odd = replace(context, rows={**context.rows, "vertebrae": rows})
    assert alarms(odd)["volume_neighbour_z"] == {"L3": "review"}


@pytest.mark.parametrize("kind", [np.int16, np.uint8, np.float64])
def test_the_type_of_the_image_and_its_range_do_not_matter(phantom, clean, kind):
    """Integers over their full range: sums and absolute values must not overflow."""
    image = phantom.image.array.astype(float)
    low, high = (-1e6, 1e6) if kind == np.float64 else (np.iinfo(kind).min, np.iinfo(kind).max)
    stretched = low + (image - image.min()) / np.ptp(image) * (high - low)
    scan = phantom.image.with_array(stretched.round().astype(kind))
    values = image_values(assessable(scan, phantom.semantic, phantom.instance))
    expected = image_values(clean)
    assert 0 < values["efc"] <= 1
    offset_free = ("cnr_body_csf", "cnr_body_disc", "slice_displacement")
    for rule in offset_free:
        assert values[rule] == pytest.approx(expected[rule], rel=0.1), rule


def test_empty_masks_are_answered_with_reasons(phantom):
    nothing = phantom.image.with_array(np.zeros(phantom.image.shape, np.uint8))
    rows = findings_as_rows(assessable(phantom.image, nothing, nothing))
    answered = {row["rule_id"] for row in rows if row["value"] is not None}
    assert answered == {
        "efc",
        "empty_planes",
        "axes_orthogonal",
        "complete_bodies",
        "hounsfield_units",
        "implausible_scan_value",
        "outlier_voxels",
        "qform_usable",
        "spine_share",
        "transforms_agree",
        "unusable_sidecars",
    }
    scan_wide = {rule.rule_id for rule in scan_rules() if rule.scope == "scan"}
    assert {row["rule_id"] for row in rows} == scan_wide


@pytest.mark.parametrize("shape", [(12, 20, 6), (30, 40, 9)])
def test_entropy_focus_is_one_for_even_images_and_less_for_peaks(shape):
    """MRIQC scales the criterion so that energy spread evenly over the image gives 1."""
    even = np.full(shape, 7.0, np.float32)
    even[2, 2, 2] = 0
    peaked = np.where(np.indices(shape).sum(axis=0) % 5 == 0, 100.0, 1.0).astype(np.float32)
    peaked[2, 2, 2] = 0
    values = []
    for array in (even, peaked):
        image = Volume(array, np.diag([-1.0, -1, -1, 1]))
        nothing = image.with_array(np.zeros(shape, np.uint8))
        values.append(image_values(assessable(image, nothing, nothing))["efc"])
    assert values[0] == pytest.approx(1, abs=0.005)
    assert values[1] < 0.8


@pytest.mark.parametrize("table", ["vertebrae", "endplates", "discs", "cord_canal"])
def test_what_any_row_counts_as_implausible_is_told(clean, table):
    """Also rows of S1, and of levels that were not found; a side measure raises no alarm."""
    rows = [row | {"n_implausible_n": 1} for row in clean.rows[table]]
    context = replace(clean, rows={**clean.rows, table: rows})
    told = {f.item: f.value for f in assess_scan(context) if f.rule_id == "implausible_value"}
    owner = "vertebra_upper" if table == "discs" else "vertebra"
    assert {item for item, count in told.items() if count} >= {row[owner] for row in rows}
    assert alarms(context) == alarms(clean)


@pytest.mark.parametrize(
    ("rule", "table", "column", "value"),
    [
        ("implausible_body", "vertebrae", "height_middle_mm", 90.0),
        ("implausible_posterior", "vertebrae", "vertebra_volume_mm3", 1e6),
        ("implausible_disc", "discs", "volume_mm3", 1e6),
        ("implausible_canal", "cord_canal", "canal_area_mm2", 5e3),
    ],
)
def test_a_main_measure_out_of_range_is_told_in_its_domain(clean, rule, table, column, value):
    owner = "vertebra_upper" if table == "discs" else "vertebra"
    rows = [row | ({column: value} if row[owner] == "L3" else {}) for row in clean.rows[table]]
    told = alarms(replace(clean, rows={**clean.rows, table: rows}))
    assert told[rule]["L3"] == "review"


def test_small_cavities_are_counted_and_raise_no_alarm(phantom, clean):
    context = changed(phantom, drill)
    holes = {f.item: f.value for f in assess_scan(context) if f.rule_id == "holes"}
    assert holes["vertebral_body"] == 1
    assert alarms(context) == alarms(clean)


@pytest.mark.parametrize(
    ("place", "counted"),
    [({"centroid_s_mm": -1e3}, 0), ({"touches_superior": True}, 0), ({}, 1)],
    ids=["below the last vertebra", "cut by the upper edge", "between the vertebrae"],
)
def test_pieces_of_the_sacrum_and_of_cut_vertebrae_are_explained(clean, place, counted):
    piece = {"presence": "fragment", "spineps_label": 34, "index_from_top": None}
    vertebrae = [*clean.rows["vertebrae"], clean.rows["vertebrae"][-1] | piece]
    l3 = next(r for r in clean.rows["structures"] if r["mask"] == "instance" and r["label"] == 22)
    structures = [*clean.rows["structures"], l3 | {"label": 34} | place]
    rows = {**clean.rows, "vertebrae": vertebrae, "structures": structures}
    [value] = [f.value for f in assess_scan(replace(clean, rows=rows)) if f.rule_id == "fragments"]
    assert value == counted


def test_every_rule_of_a_level_or_a_scan_has_a_domain():
    for rule in all_rules().values():
        assert (rule.domain in DOMAINS) == (rule.scope != "structure"), rule.rule_id
    assert {rule.domain_of("disc") for rule in all_rules().values() if not rule.domain} == {"discs"}


@pytest.mark.parametrize("table", ["scans", "spine"])
def test_implausible_values_of_the_whole_scan_are_told(clean, table):
    rows = [row | {"n_implausible_n": 1} for row in clean.rows[table]]
    told = alarms(replace(clean, rows={**clean.rows, table: rows}))
    assert told["implausible_scan_value"] == {"scan": "review"}
