"""Names follow from landmarks, or are not given."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from drawn_spine import FIRST_ROW, PITCH, draw_spine
from hypothesis import given
from hypothesis import strategies as st

from columna.anatomy import NAMELESS, anatomical_order, levels
from columna.config import LabelSettings
from columna.images.volume import Volume
from columna.label import label_masks
from columna.label.naming import NamedInstance, Naming, _numbered_down
from columna.label.points import poi_json
from columna.phantom import PhantomSettings, make_phantom

CHAIN = LabelSettings()


def label(drawn):
    semantic, instance = drawn.volumes()
    return label_masks(semantic, semantic, instance, CHAIN)


def level_names(result):
    return [entry["level"] for entry in result.levels]


def label_phantom(**settings):
    phantom = make_phantom(PhantomSettings(spacing_mm=(1.5, 1.5, 4.0), noise=0.0, **settings))
    raw = phantom.instance.array.copy()
    raw[(raw >= 100) | (raw == 26)] = 0
    instance = phantom.instance.with_array(raw)
    return phantom, label_masks(phantom.image, phantom.semantic, instance, CHAIN)


def true_levels(phantom):
    mask = phantom.instance.array
    bodies = np.unique(mask[(phantom.semantic.array == 49) & (mask < 40)])
    return anatomical_order({int(x) for x in bodies} - {0, 26})


@pytest.mark.parametrize(
    ("region", "anchors"),
    [("whole", ["c2", "sacrum"]), ("lumbar", ["sacrum"]), ("cervicothoracic", ["c2"])],
)
@pytest.mark.parametrize("seed", [1, 2])
def test_phantoms_are_named_right(region, anchors, seed):
    phantom, result = label_phantom(region=region, seed=seed)
    assert result.naming["anchors"] == anchors
    assert result.naming["status"] == "named"
    assert [entry["label"] for entry in result.levels] == true_levels(phantom)
    np.testing.assert_array_equal(result.instance.array, phantom.instance.array)
    sure = [entry["level_confidence"] for entry in result.levels]
    assert min(sure) >= 0.6
    if region == "whole":
        assert min(sure) > 0.97, "counted from end to end"
    if region == "lumbar":
        assert max(sure) <= 0.9, "four or six lumbar vertebrae look alike from below"
        assert sure[-1] >= sure[0], "less sure above the thoracolumbar junction"
    if region == "cervicothoracic":
        assert sure[0] > 0.99


def variants_of(result):
    return result.naming["variants"]


def posterior_of(result, place):
    return result.levels[place]["posterior"]


def test_without_landmark_shapes_tell_about_where_it_is():
    phantom, result = label_phantom(region="thoracic", seed=1)
    assert result.naming["anchors"] == []
    true = [levels()[label].name for label in true_levels(phantom)]
    for name, entry in zip(true, result.levels, strict=True):
        assert sum(entry["posterior"].values()) == pytest.approx(1, abs=0.01)
        assert entry["posterior"].get(name, 0) > 0.1
        assert entry["level_anchor"] == ("shape" if entry["level"] else "none")
        assert (entry["level_confidence"] is None) == (entry["level"] is None)


def test_a_name_must_be_as_probable_as_the_settings_say():
    strict = LabelSettings(least_name_p=0.95)
    drawn = draw_spine(5)
    semantic, instance = drawn.volumes()
    result = label_masks(semantic, semantic, instance, strict)
    assert level_names(result) == [None] * 5
    assert result.naming["status"] == "unnamed"
    assert [e["label"] for e in result.levels] == list(NAMELESS[:5])
    assert max(posterior_of(result, -1).values()) > 0.6


@pytest.mark.parametrize(
    ("counts", "variant"),
    [
        ({"thoracic": 13}, {"t13", "l6"}),
        ({"lumbar": 6}, {"t13", "l6"}),
        ({"thoracic": 11}, {"t11", "l4"}),
        ({"lumbar": 4}, {"t11", "l4"}),
    ],
)
def test_an_unusual_count_is_told_and_names_above_are_sure(counts, variant):
    phantom, result = label_phantom(region="whole", **counts)
    chances = variants_of(result)
    assert sum(chances[name] for name in variant) > 0.9
    true = true_levels(phantom)
    sure = [e["level_confidence"] for e in result.levels][:17]
    assert [e["label"] for e in result.levels][:17] == true[:17]
    assert min(sure) > 0.9
    for label, entry in zip(true, result.levels, strict=True):
        if (entry["level_confidence"] or 0) > 0.9:
            assert entry["label"] == label


@pytest.mark.parametrize("lumbar", [4, 6])
@pytest.mark.parametrize("seed", [3, 4, 5])
def test_four_or_six_lumbar_vertebrae_above_the_sacrum_are_never_surely_wrong(lumbar, seed):
    phantom, result = label_phantom(region="lumbar", lumbar=lumbar, seed=seed)
    for label, entry in zip(true_levels(phantom), result.levels, strict=True):
        assert entry["label"] == label or (entry["level_confidence"] or 0) <= 0.9
    assert variants_of(result)[f"l{lumbar}"] >= 0.04, "no less than usual"


def test_the_sacrum_alone_does_not_tell_five_lumbar_vertebrae_from_six():
    result = label(draw_spine(5))
    priors = LabelSettings().variants
    most = 1 - priors.l4 - priors.l6
    sure = [e["level_confidence"] for e in result.levels]
    assert level_names(result) == ["L1", "L2", "L3", "L4", "L5"]
    assert max(sure) <= most + 0.01
    assert posterior_of(result, -1)["L6"] >= 0.9 * priors.l6
    assert posterior_of(result, -1)["L4"] >= 0.9 * priors.l4


def test_a_sacrum_far_below_the_lowest_vertebra_shows_that_one_is_missed():
    drawn = draw_spine(5)
    lost = drawn.instance == 5
    drawn.instance[lost] = drawn.semantic[lost] = 0
    result = label(drawn)
    assert result.naming["anchors"] == []
    assert level_names(result) == ["L1", "L2", "L3", "L4"]


def test_a_speck_of_sacrum_is_no_anchor():
    drawn = draw_spine(5)
    sacrum = np.argwhere(drawn.semantic == 26)
    drawn.semantic[tuple(sacrum[300:].T)] = 0
    assert label(drawn).naming["anchors"] == []


@pytest.mark.parametrize(("rows", "mm3"), [(4, 0), (20, 208 * 20 * 2.4)])
def test_sizes_in_a_sheared_grid_are_those_of_its_voxels(rows, mm3):
    """Four rows of sacrum are 2.0 cm3 by the product of the spacings, too little by the voxels."""
    drawn = draw_spine(5)
    sacrum = drawn.semantic == 26
    first = int(np.flatnonzero(sacrum.any(axis=(0, 2)))[0])
    sacrum[:, : first + rows] = False
    drawn.semantic[sacrum] = 0
    masks = drawn.volumes()
    affine = masks[0].affine.copy()
    affine[:3, 2] = [2.4, 1.8, 0.0]
    sheared = [Volume(mask.array, affine) for mask in masks]
    found = label_masks(sheared[0], *sheared, CHAIN).naming["sacrum_mm3"]
    assert found == pytest.approx(mm3, rel=0.02)


def test_a_sacrum_above_the_spine_is_no_anchor():
    drawn = draw_spine(5, sacrum=False)
    drawn.semantic[30:48, 0:30, 0:3] = 26
    assert label(drawn).naming["anchors"] == []


def test_c2_is_recognised_by_its_dens():
    masks = draw_spine(5, sacrum=False, dens=True).volumes()
    small = [Volume(m.array, m.affine @ np.diag([0.75, 0.75, 0.75, 1])) for m in masks]
    result = label_masks(small[0], *small, CHAIN)
    assert result.naming["anchors"] == ["c2"]
    assert level_names(result) == ["C2", "C3", "C4", "C5", "C6"]


def test_two_bodies_run_together_are_no_c2():
    drawn = draw_spine(6, sacrum=False)
    rows = slice(FIRST_ROW, FIRST_ROW + PITCH + 16)
    drawn.semantic[4:24, rows, 3:11] = 49
    drawn.instance[:, rows][drawn.semantic[:, rows] >= 41] = 1
    drawn.instance[drawn.semantic > 59] = 0
    assert label(drawn).naming["anchors"] == []


def test_a_body_cut_by_the_image_edge_is_no_c2():
    drawn = draw_spine(5, sacrum=False, dens=True)
    drawn.semantic, drawn.instance = (m[:, FIRST_ROW:] for m in (drawn.semantic, drawn.instance))
    assert label(drawn).naming["anchors"] == []


def test_a_sliver_between_vertebrae_does_not_shift_the_names():
    drawn = draw_spine(6)
    sliver = (drawn.instance == 3) & (drawn.semantic == 42)
    drawn.instance[sliver] = 7
    drawn.semantic[34:38, :, :][drawn.semantic[34:38, :, :] == 41] = 0
    drawn.instance[drawn.semantic == 0] = 0
    result = label(drawn)
    known = [name for name in level_names(result) if name]
    assert known == ["T12", "L1", "L2", "L3", "L4", "L5"]


def test_a_labeller_of_ones_own_sees_the_image_and_decides_the_names():
    drawn = draw_spine(3)
    semantic, instance = drawn.volumes()
    scan = semantic.with_array(np.where(drawn.instance > 0, 7 - drawn.instance, 0).astype(float))

    def by_brightness(spine):
        inside = [spine.image[spine.bodies == i].mean() for i in spine.levels]
        labels = [int(value) for value in inside]
        named = zip(spine.levels, labels, strict=True)
        return Naming([NamedInstance(i, n, f"C{n}", "both", 0.9) for i, n in named])

    turned = scan.reoriented(("R", "A", "S"))
    result = label_masks(turned, semantic, instance, CHAIN, by_brightness)
    assert level_names(result) == ["C6", "C5", "C4"]
    assert set(np.unique(result.instance.array)) >= {6, 5, 4}


def test_points_are_where_the_structures_are():
    drawn = draw_spine(5)
    semantic, instance = drawn.volumes()
    grid = semantic.reoriented(("L", "S", "P"))
    result = label_masks(grid, semantic, instance, CHAIN)
    header, points = json.loads(json.dumps(poi_json(result)))
    assert header["format"] == "POI"
    assert header["direction"] == ["L", "S", "P"]
    assert header["shape"] == list(grid.shape)
    assert set(points) == {"20", "21", "22", "23", "24", "26"}
    assert set(points["22"]) == {"50", "52", "53", "60", "61", "100"}
    assert set(points["26"]) == {"50", "52"}

    def world(voxel):
        scaled = np.asarray(header["rotation"]) @ np.diag(header["zoom"]) @ voxel
        return scaled + np.asarray(header["origin"])

    def drawn_at(p, i, r):
        return semantic.affine[:3, :3] @ [p, i, r] + semantic.affine[:3, 3]

    row = drawn.row(3)
    expected = {
        "50": drawn_at(13.5, row + 7.5, 6.5),
        "52": drawn_at(13.5, row - 1, 6.5),
        "53": drawn_at(13.5, row + 16, 6.5),
        "60": drawn_at(27, row + 7.5, 6.5),
        "61": drawn_at(27, row + 7.5, 6.5),
        "100": drawn_at(13.5, row + 19.5, 6.5),
    }
    for subregion, place in expected.items():
        np.testing.assert_allclose(world(points["22"][subregion]), place, atol=0.6)
    np.testing.assert_allclose(world(points["22"]["50"]), expected["50"], atol=1e-3)


def test_points_of_an_empty_result():
    empty = Volume(np.zeros((4, 4, 4), np.uint8), np.diag([-1.0, -1, 1, 1]))
    header, points = poi_json(label_masks(empty, empty, empty, CHAIN))
    assert points == {}
    assert header["zoom"] == [1, 1, 1]


def name_damaged(region, damage):
    """Names of a phantom whose raw masks have faults that networks make."""
    phantom = make_phantom(PhantomSettings(spacing_mm=(1.5, 1.5, 4.0), noise=0.0, region=region))
    semantic, raw = phantom.semantic.array.copy(), phantom.instance.array.copy()
    raw[(raw >= 100) | (raw == 26)] = 0
    damage(semantic, raw)
    masks = (phantom.semantic.with_array(semantic), phantom.instance.with_array(raw))
    result = label_masks(phantom.image, *masks, CHAIN)
    named = [e["label"] for e in result.levels if e["level"] is not None]
    return named, true_levels(phantom), result


def upper_sacrum_is_called_body(semantic, raw):
    sacrum = semantic == 26
    first = np.flatnonzero(sacrum.any(axis=(0, 2)))[0]
    piece = sacrum & (np.arange(semantic.shape[1]) < first + 6)[None, :, None]
    semantic[piece], raw[piece] = 49, 90


def tip_of_the_dens_is_apart(semantic, raw):
    dens = raw == 2
    first = np.flatnonzero(dens.any(axis=(0, 2)))[0]
    rows = np.arange(semantic.shape[1])[None, :, None]
    raw[dens & (rows < first + 5)] = 90
    gap = dens & (rows >= first + 5) & (rows < first + 7)
    semantic[gap] = raw[gap] = 0


def tip_of_the_dens_has_a_bit_of_arch(semantic, raw):
    tip_of_the_dens_is_apart(semantic, raw)
    piece = np.flatnonzero(raw == 90)
    semantic.flat[piece[::5]] = 41


def islands_of_sacrum_and_disc_lie_above(semantic, raw):
    semantic[:12, 2:6, 2:5] = 26
    semantic[20:22, 0:2, 2:4] = 100


@pytest.mark.parametrize(
    ("region", "damage"),
    [
        ("lumbar", upper_sacrum_is_called_body),
        ("lumbar", islands_of_sacrum_and_disc_lie_above),
        ("cervicothoracic", tip_of_the_dens_is_apart),
        ("cervicothoracic", tip_of_the_dens_has_a_bit_of_arch),
        ("cervicothoracic", islands_of_sacrum_and_disc_lie_above),
    ],
)
def test_faults_near_the_landmarks_do_not_shift_the_names(region, damage):
    named, true, result = name_damaged(region, damage)
    assert result.naming["status"] == "named"
    assert named == true


@given(st.integers(0, 46), st.booleans())
def test_vertebrae_without_a_level_never_have_the_number_of_one(count, has_bodies):
    spine = SimpleNamespace(count=count, levels=list(range(1, count + 1)) if has_bodies else [])
    named = _numbered_down(spine, {i: {} for i in spine.levels})
    assert [n.label for n in named] == list(NAMELESS[:count])
    assert not {n.label for n in named} & set(levels())
