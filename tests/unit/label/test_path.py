"""The probabilities of levels, against all runs of levels one by one."""

from dataclasses import replace

import numpy as np
import pytest
from drawn_spine import draw_spine
from hypothesis import given, settings
from hypothesis import strategies as st

from columna.anatomy import SACRUM, levels, vertebra_labels
from columna.config import LabelSettings, VariantPriors
from columna.label import label_masks
from columna.label.evidence import Evidence
from columna.label.model import LABELS, MOST_MISSED, RANKS, Spines, cord_start, likelihoods
from columna.label.naming import ChainNamer
from columna.label.path import infer


def evidence(count, seed=0):
    """Measures of bodies somewhere in a spine, some of them odd."""
    rng = np.random.default_rng(seed)
    height = np.arange(count)[:, None] * np.array([0.0, 0.0, -26.0])
    return Evidence(
        height_mm=rng.normal(18, 3, count),
        depth_mm=rng.normal(22, 3, count),
        width_mm=np.where(rng.random(count) < 0.5, np.nan, 26.0),
        tilt_deg=rng.normal(5, 8, count),
        spinous_deg=rng.normal(18, 6, count),
        off_mm=np.abs(rng.normal(0, 3, count)),
        size_ratio=np.exp(rng.normal(0, 0.3, count)),
        bare=(rng.random(count) < 0.2).astype(float),
        dens=np.full(count, np.nan),
        cord=(rng.random(count) < 0.8).astype(float),
        centre_mm=height + rng.normal(0, 2, (count, 3)),
        disc=(rng.random(count - 1) < 0.9).astype(float),
        sacrum_mm3=float(seed % 2) * 3e4,
        sacrum_mm=np.where(seed % 2, 26.0 * np.arange(count, 0, -1), np.nan),
        sacrum_disc=np.where(seed % 2, 1.0, np.nan) * np.ones(count),
        room_above_mm=10.0,
        room_below_mm=30.0,
    )


def one_by_one(seen):
    """Joint probability of body, spine and rank, by listing all runs."""
    count = len(seen.false)
    begin = seen.start + cord_start(seen.spines, seen.evidence) + seen.spines.log_prior[..., None]
    weight = np.zeros(seen.level.shape)
    total = np.exp(seen.false.sum())

    def go_on(run, log_p, body):
        """`run` ends at (body, rank) for every spine at once; the rest may be false."""
        nonlocal total
        rank = run[-1][1]
        p = np.exp(log_p + seen.end[body, :, :, rank] + seen.false[body + 1 :].sum())
        total += p.sum()
        for i, r in run:
            weight[i, :, :, r] += p
        for lower in range(body + 1, count):
            step = np.broadcast_to(seen.step(body, lower), (*seen.level.shape[1:], MOST_MISSED + 1))
            for m in range(min(MOST_MISSED + 1, RANKS - rank - 1)):
                more = step[:, :, rank, m] + seen.level[lower, :, :, rank + 1 + m]
                between = seen.false[body + 1 : lower].sum()
                go_on([*run, (lower, rank + 1 + m)], log_p + more + between, lower)

    for body in range(count):
        for rank in range(RANKS):
            first = begin[body, :, :, rank] + seen.level[body, :, :, rank]
            go_on([(body, rank)], first + seen.false[:body].sum(), body)
    return weight / total


@given(count=st.integers(2, 3), seed=st.integers(0, 999))
@settings(max_examples=8, deadline=None)
def test_is_the_sum_over_all_runs(count, seed):
    spines = Spines.of(VariantPriors())
    seen = likelihoods(evidence(count, seed), spines)
    expected = one_by_one(seen)
    found = infer(seen)
    np.testing.assert_allclose(found.joint, expected.sum(axis=2), atol=1e-9)
    posterior = found.posterior()
    np.testing.assert_allclose(posterior.level.sum(axis=1) + posterior.false, 1)
    assert posterior.variant.sum() == pytest.approx(1)


@given(seed=st.integers(0, 999))
@settings(max_examples=20, deadline=None)
def test_no_variant_is_less_probable_than_usual_unless_counted(seed):
    spines = Spines.of(VariantPriors())
    sums = infer(likelihoods(evidence(4, seed), spines))
    prior = np.exp(spines.log_prior).sum(axis=1)
    unusual = np.arange(9) != prior.argmax()
    found = sums.posterior(is_counted=False)
    plain = sums.posterior().variant
    assert (found.variant >= prior - 1e-6)[unusual & (plain > 1e-9)].all()
    assert found.variant.sum() == pytest.approx(1)
    np.testing.assert_allclose(found.level.sum(axis=1) + found.false, 1)


def certain(names, of=0.9):
    """Scores of a labeller that is `of` sure of each name."""
    scores = np.full((len(names), 26), np.log((1 - of) / 25))
    for row, name in enumerate(names):
        place = [levels()[label].name for label in vertebra_labels()].index(name)
        scores[row, place] = np.log(of)
    return scores


def by_labeller(names, of=0.999):
    """Names of bodies that say nothing themselves, by a labeller; None where none is likely."""
    silent = {
        name: np.full(len(names), np.nan)
        for name in ("height_mm", "depth_mm", "width_mm", "tilt_deg", "spinous_deg", "cord")
    }
    seen = replace(evidence(len(names), 2), **silent, size_ratio=np.ones(len(names)))
    seen = replace(seen, off_mm=np.zeros(len(names)), bare=np.zeros(len(names)))
    found = ChainNamer(LabelSettings(), lambda spine: None).posterior(seen, certain(names, of))
    names = [levels()[LABELS[place]].name for place in found.level.argmax(axis=1)]
    return [n if p > 0.5 else None for n, p in zip(names, found.level.max(axis=1), strict=True)]


def test_a_level_never_comes_twice():
    """SPINEPS answers T12 three times (W5)."""
    names = by_labeller(["T11", "T12", "T12", "T12", "L1", "L2"])
    known = [name for name in names if name]
    assert len(set(known)) == len(known) >= 4


def test_what_the_labeller_says_of_t13_counts():
    """In SPINEPS the name of the T13 head does not match, so that its vote is lost (W11)."""
    seen = ["T10", "T11", "T12", "T13", "L1", "L2"]
    assert by_labeller(seen) == seen
    assert by_labeller(["T10", "T11", "T12", "L1", "L2", "L3"], of=0.6)[3] == "L1"


def test_many_vertebrae_are_no_error():
    semantic, instance = draw_spine(34, sacrum=False).volumes()
    result = label_masks(semantic, semantic, instance, LabelSettings())
    assert len(result.levels) == 34
    assert len({entry["label"] for entry in result.levels}) == 34


def test_a_labeller_names_a_view_without_landmarks():
    semantic, instance = draw_spine(4, sacrum=False).volumes()
    namer = ChainNamer(LabelSettings(), lambda spine: certain(["T5", "T6", "T9", "T8"]))
    result = label_masks(semantic, semantic, instance, LabelSettings(), namer)
    assert [entry["level"] for entry in result.levels] == ["T5", "T6", "T7", "T8"]
    assert {entry["level_anchor"] for entry in result.levels} == {"labeller"}
    assert result.naming["status"] == "named"


def test_every_variant_has_its_levels_in_order():
    spines = Spines.of(VariantPriors())
    order = [*LABELS]
    for (thoracic, lumbar), row, last in zip(spines.counts, spines.label, spines.last, strict=True):
        known = [order.index(label) for label in row if label]
        assert known == sorted(known)
        assert row[last + 1] == SACRUM
        assert len(known) == 7 + thoracic + lumbar + 1
    assert np.exp(spines.log_prior).sum() == pytest.approx(1)
