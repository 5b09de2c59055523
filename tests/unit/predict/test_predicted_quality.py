"""Predicted Dice: what it is made from, how it is bounded, and where it comes to stand."""

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measured_phantom import assessable
from sklearn.ensemble import ExtraTreesRegressor

from columna.anatomy import SACRUM, Semantic
from columna.errors import ModelError
from columna.evaluate.known_scans import KnownScan, MeasuredScan
from columna.evaluate.true_dice import true_dice
from columna.images.volume import Volume
from columna.label.certainty import NetworkAnswers, VoxelCertainty, values_at
from columna.measure import MeasureContext
from columna.phantom import PhantomSettings, make_phantom, write_phantom
from columna.predict.forest import Forest, tree_as_lists
from columna.predict.predictions import with_predictions
from columna.predict.quality_model import (
    ALL,
    BUNDLED,
    OTHER_WEIGHTS,
    QualityModel,
    from_log_odds,
    log_odds,
    stratum,
    write_model,
)
from columna.predict.signs import KINDS, SeenBodies, evidence
from columna.train.quality.figures import figures
from columna.train.quality.fit import KindData, fit_model, held_out, margin_of, margins
from columna.train.quality.known_structures import Structure

L2, L4 = 21, 23
SETTINGS = PhantomSettings(seed=4, region="lumbar", spacing_mm=(1.5, 1.5, 3.3))


@cache
def phantom():
    return make_phantom(SETTINGS)


@cache
def answers(unsure=L2):
    """True masks as answers of networks that were not sure of the vertebra `unsure`."""
    made = phantom()
    semantic, instance = made.semantic, made.instance
    percent = np.where(semantic.array > 0, 95, 0).astype(np.uint8)
    percent[instance.array == unsure] = 55
    # there may be more of L4 in front than was drawn
    beside = np.roll(instance.array == L4, -1, axis=0) & (semantic.array == 0)
    percent[beside] = 40
    entropy = np.where(semantic.array > 0, 100 - percent, 0).astype(np.uint8)
    maps = (semantic.with_array(percent), semantic.with_array(entropy))
    return NetworkAnswers(semantic, instance, *maps)


@cache
def scan():
    """The phantom, measured without the networks' answers, and what they thought."""
    made = phantom()
    context = assessable(made.image, made.semantic, made.instance)
    return context, VoxelCertainty.of(answers(), context.instance)


def structures(n=160, seed=0):
    """Made-up structures: the Dice follows from one feature, less well for one patient."""
    rng = np.random.default_rng(seed)
    found = []
    for kind in KINDS:
        for number in range(n):
            patient = number % 8
            sure = rng.uniform(0.5, 1)
            noise = rng.normal(0, 0.3 if patient else 0.6)
            dice = float(from_log_odds(np.array(6 * sure - 3 + noise)))
            features = {"p_mean": sure, "nothing": rng.normal(), "unknown": np.nan}
            name = "lumbar, thick slices" if number % 4 else "thoracic, thin slices"
            is_real = patient > 5
            found.append(Structure(kind, f"p{patient}", "s", is_real, name, features, dice))
    return found


@cache
def fitted(weights=("a", "b")):
    known = structures()
    held = {k: held_out(KindData([s for s in known if s.kind == k])) for k in KINDS}
    return known, held, fit_model(known, weights, held)


def test_a_forest_answers_as_scikit_learn_does():
    rng = np.random.default_rng(0)
    features, target = rng.normal(size=(200, 4)), rng.normal(size=200)
    fit = ExtraTreesRegressor(20, max_depth=6, random_state=0).fit(features, target)
    trees = json.loads(json.dumps([tree_as_lists(t.tree_, digits=12) for t in fit.estimators_]))
    forest = Forest.of(trees)
    # scikit-learn compares in single precision
    others = rng.normal(size=(100, 4)).astype(np.float32)
    np.testing.assert_allclose(forest(others), fit.predict(others), atol=1e-9)


@pytest.mark.parametrize("name", ["left", "right"])
@pytest.mark.parametrize("target", [0, 9])
def test_trees_that_do_not_end_are_refused(name, target):
    tree = {
        "feature": [0, -1, -1],
        "threshold": [0.0, 0.0, 0.0],
        "left": [1, 0, 0],
        "right": [2, 0, 0],
        "value": [0.0, 1.0, 2.0],
    }
    assert Forest.of([tree])(np.array([[-1.0], [1.0]])).tolist() == [1.0, 2.0]
    tree[name][0] = target
    with pytest.raises(ValueError, match="points"):
        Forest.of([tree])


@given(st.lists(st.floats(-5, 5), min_size=10, max_size=80, unique=True))
@settings(max_examples=30, deadline=None)
def test_nine_in_ten_of_the_next_ones_are_covered(excess):
    """Each value left out in turn: the margin of the others covers nine in ten of them."""
    values = np.array(excess)
    covered = [values[i] <= margin_of(np.delete(values, i)) for i in range(len(values))]
    exact = np.ceil(0.9 * len(values)) / len(values)
    assert np.mean(covered) >= min(exact, 1 - 1 / len(values))


def test_strata_have_margins_of_their_own_where_they_are_large():
    excess = np.concatenate([np.linspace(0, 1, 120), np.linspace(0, 3, 40)])
    names = np.array(["many"] * 120 + ["few"] * 40)
    found = margins(excess, names)
    assert set(found) == {ALL, OTHER_WEIGHTS, "many"}
    assert found["many"] < found[ALL] < found[OTHER_WEIGHTS]
    assert found[OTHER_WEIGHTS] >= 2 * found[ALL]


def test_a_model_predicts_what_it_learned_and_says_what_it_does_not_know(tmp_path):
    _, _, content = fitted()
    write_model(tmp_path / "q.json", content)
    model = QualityModel.load(tmp_path / "q.json")
    assert model.is_calibrated_for("a", "b")
    assert not model.is_calibrated_for("a", "c")
    assert not model.is_calibrated_for(None, None)
    rows = [{"p_mean": 0.55, "nothing": 0.0}, {"p_mean": 0.95, "nothing": 0.0}]
    strata = ["lumbar, thick slices", "never seen"]
    low, high = model.kinds["body"](rows, strata, is_calibrated=True)
    assert low[0] < high[0]
    assert low[1] < low[0]
    wide = model.kinds["body"](rows, strata, is_calibrated=False)
    assert [w[0] for w in wide] == [low[0], high[0]]
    assert all(w[1] < k[1] for w, k in zip(wide, (low, high), strict=True))
    assert model.kinds["body"]([], [], is_calibrated=True) == []


def test_the_same_structures_give_the_same_model():
    known, held, content = fitted()
    assert fit_model(known, ("a", "b"), held) == content


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: c["kinds"]["disc"]["fill"].append(0.0), "changed"),
        (lambda c: c.update(format=99), "format 99"),
        (lambda c: c.pop("sha256"), "sha256"),
    ],
)
def test_a_file_that_was_edited_is_refused(tmp_path, change, says):
    path = tmp_path / "q.json"
    write_model(path, fitted()[2])
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(ModelError, match=says) as error:
        QualityModel.load(path)
    assert str(path) in str(error.value)
    path.write_text("[1, 2")
    with pytest.raises(ModelError):
        QualityModel.load(path)
    with pytest.raises(ModelError, match="columna train quality"):
        QualityModel.load(tmp_path / "none.json")


def test_the_bundled_model_can_be_read():
    model = QualityModel.load(BUNDLED)
    assert set(model.kinds) == set(KINDS)
    assert all(kind.margin[OTHER_WEIGHTS] > kind.margin[ALL] for kind in model.kinds.values())


def test_figures_are_by_patient_and_bounds_hold():
    known, held, _ = fitted()
    found = {(f.kind, f.of): f for f in figures(known, dict(held))}
    body = found["body", "phantoms"]
    assert (body.patients, body.structures) == (6, 120)
    assert 0.8 <= body.coverage <= 1
    low, high = body.coverage_interval
    assert low <= body.coverage <= high
    assert body.spearman > 0.7
    assert found["body", "people"].patients == 2


@given(st.floats(0, 1))
def test_log_odds_can_be_undone(dice):
    assert float(from_log_odds(log_odds(np.array(dice)))) == pytest.approx(dice, abs=1e-9)


def test_voxels_are_looked_up_by_their_place_whatever_the_grid():
    context, certainty = scan()
    assert certainty.probability[certainty.label == L2] == pytest.approx(0.55)
    finer = np.repeat(context.instance.array, 2, axis=0)
    affine = context.instance.affine.copy()
    affine[:3, 3] -= affine[:3, 0] / 4
    affine[:3, 0] /= 2
    found = values_at(Volume(finer, affine), certainty.place_mm)
    assert np.array_equal(found, certainty.label)
    assert not values_at(context.instance, np.array([[1e4, 0, 0]])).any()


def test_rims_and_what_may_be_missing_beside_them():
    mask = np.zeros((5, 5, 3), np.uint8)
    mask[1:4, 1:4, 1] = Semantic.VERTEBRAL_BODY
    percent = np.where(mask > 0, 90, 0).astype(np.uint8)
    percent[0, 2, 1] = 40  # beside one voxel
    grid = Volume(mask, np.eye(4))
    answers = NetworkAnswers(grid, grid, grid.with_array(percent), grid.with_array(mask * 0))
    found = VoxelCertainty.of(answers, grid)
    assert len(found.kind) == 9
    assert found.is_rim.all()  # one slice only
    assert found.missed.sum() == pytest.approx(0.4)
    assert found.place_mm[found.missed > 0].tolist() == [[1, 2, 1]]


def test_evidence_tells_which_structure_is_doubtful():
    context, certainty = scan()
    found = evidence(context.rows, certainty)
    bodies = found["body"]
    assert min(bodies, key=lambda label: bodies[label]["p_mean"]) == L2
    assert max(bodies, key=lambda label: bodies[label]["missed_share"]) == L4
    assert bodies[L4]["soft_dice"] < bodies[22]["soft_dice"]
    assert all(features["phases"] == 1 for features in bodies.values())
    assert SACRUM not in bodies
    for kind in KINDS:
        names = {tuple(features) for features in found[kind].values()}
        assert len(names) == 1, kind
    # every piece of the canal belongs to the body beside it
    assert set(found["canal"]) <= set(SeenBodies.of(context.rows["vertebrae"]).labels)


def test_predictions_stand_in_the_rows(tmp_path):
    context, certainty = scan()
    found = evidence(context.rows, certainty)
    content = fitted()[2]
    write_model(tmp_path / "q.json", content)
    model = QualityModel.load(tmp_path / "q.json")
    before = json.dumps(context.rows["vertebrae"])
    rows = with_predictions(context.rows, certainty, model, is_calibrated=True)
    assert json.dumps(context.rows["vertebrae"]) == before
    [l2] = [r for r in rows["vertebrae"] if r["level"] == "L2"]
    [l3] = [r for r in rows["vertebrae"] if r["level"] == "L3"]
    assert l2["body_dice_status"] == "ok"
    assert l2["body_dice_expected_ratio"] < l3["body_dice_expected_ratio"]
    assert l2["body_dice_lower_ratio"] < l2["body_dice_expected_ratio"]
    absent = [r for r in rows["vertebrae"] if r["spineps_label"] is None]
    assert absent
    assert all(r["body_dice_expected_ratio"] is None for r in absent)
    assert {r["body_dice_status"] for r in absent} <= {"outside_fov", "not_applicable"}
    for table, stem in (("discs", "disc"), ("cord_canal", "canal")):
        filled = [r for r in rows[table] if r[f"{stem}_dice_status"] == "ok"]
        assert len(filled) >= len(found[stem])
        assert all(0 <= r[f"{stem}_dice_lower_ratio"] <= 1 for r in filled)


def test_given_masks_have_no_prediction():
    context, _ = scan()
    for table, stem in (("vertebrae", "body"), ("vertebrae", "posterior"), ("discs", "disc")):
        found = {r[f"{stem}_dice_status"] for r in context.rows[table]}
        assert "not_recorded" in found
        assert "ok" not in found


def test_confidence_of_a_body_is_that_of_its_voxels():
    context, _ = scan()
    made = phantom()
    rows = assessable(made.image, context.semantic, context.instance, answers=answers()).rows
    sure = {r["level"]: r["confidence_mean_ratio"] for r in rows["vertebrae"] if r["level"]}
    assert sure["L2"] == pytest.approx(0.55)
    assert sure["L3"] == pytest.approx(0.95)
    instance = [r for r in rows["structures"] if r["mask"] == "instance"]
    by_level = {
        (r["structure"], r["level"]): r["confidence_mean_ratio"]
        for r in instance
        if r["confidence_status"] == "ok"
    }
    assert by_level["vertebra", "L2"] == pytest.approx(0.55)
    assert by_level["disc", "L2"] == pytest.approx(0.95)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    write_phantom(phantom(), folder / "phantoms" / "p", "p")
    return folder


def result_of(semantic, instance):
    """What `true_dice` looks at."""
    made = phantom()
    quality = assessable(made.image, semantic, instance)
    context = MeasureContext("p", None, None, {}, quality.semantic, quality.instance, made.image)
    return MeasuredScan(KnownScan("p", SETTINGS), "done", context, quality.rows)


def test_true_dice_of_right_masks_is_one_and_of_a_wrong_body_less(kept):
    made = phantom()
    right = true_dice(result_of(made.semantic, made.instance), kept)
    assert {found.kind for found in right} == set(KINDS)
    assert {round(found.dice, 6) for found in right if found.kind != "disc"} == {1.0}
    semantic, instance = made.semantic.array.copy(), made.instance.array.copy()
    body = (instance == L2) & (semantic == Semantic.VERTEBRAL_BODY)
    half = np.argwhere(body)[:, 0] > np.median(np.argwhere(body)[:, 0])
    lost = tuple(np.argwhere(body)[half].T)
    semantic[lost] = instance[lost] = 0
    wrong = result_of(made.semantic.with_array(semantic), made.instance.with_array(instance))
    dice = {(found.kind, found.label): found.dice for found in true_dice(wrong, kept)}
    assert 0.5 < dice["body", L2] < 0.85
    assert dice["body", L4] == pytest.approx(1)


def test_a_scan_of_which_nothing_is_known_has_no_true_dice(kept):
    made = phantom()
    found = result_of(made.semantic, made.instance)
    nothing = KnownScan("somebody", image=kept / "x.nii.gz")
    assert true_dice(replace(found, scan=nothing), kept) == []


def test_strata_are_regions_and_slices():
    assert stratum("lumbar", 4.0) == "lumbar, thick slices"
    assert stratum(None, 1.0) == "unnamed, thin slices"
