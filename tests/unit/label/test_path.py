"""The most likely run of levels, against brute force."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from drawn_spine import draw_spine
from hypothesis import given, settings
from hypothesis import strategies as st

from columna.anatomy import levels, vertebra_labels
from columna.config import LabelSettings
from columna.label import label_masks
from columna.label.path import RARE_STEPS, ScoredNamer, likely_path

LABELS = vertebra_labels()
OPTIONAL = (19, 28, 25)  # T12, T13, L6


def named(labels):
    return [levels()[label].name for label in labels]


def runs(count):
    """All runs of `count` levels, with their log prior."""
    for left_out in [c for k in range(4) for c in combinations(OPTIONAL, k)]:
        if 19 in left_out and 28 not in left_out:
            continue  # T13 needs a T12
        kept = [label for label in LABELS if label not in left_out]
        for first in range(len(kept) - count + 1):
            run = kept[first : first + count]
            prior = 0.0
            for step in pairwise(run):
                upper = [p for (u, _), p in RARE_STEPS.items() if u == step[0]]
                prior += np.log(RARE_STEPS.get(step, 1 - sum(upper)))
            yield tuple(run), prior


@given(count=st.integers(1, 26), seed=st.integers(0, 999), sharp=st.sampled_from([0.3, 2.0]))
@settings(max_examples=40, deadline=None)
def test_is_the_best_of_all_runs(count, seed, sharp):
    scores = sharp * np.random.default_rng(seed).normal(size=(count, 26))
    totals = {
        run: prior + sum(scores[i, LABELS.index(label)] for i, label in enumerate(run))
        for run, prior in runs(count)
    }
    labels, probability = likely_path(scores)
    assert tuple(labels) == max(totals, key=totals.get)
    weights = {run: np.exp(total - max(totals.values())) for run, total in totals.items()}
    for i, p in enumerate(probability):
        agreeing = sum(w for run, w in weights.items() if run[i] == labels[i])
        assert p == pytest.approx(agreeing / sum(weights.values()))


def certain(names, of=0.9):
    """Scores of a labeller that is `of` sure of each name."""
    scores = np.full((len(names), 26), np.log((1 - of) / 25))
    for row, name in enumerate(names):
        scores[row, [levels()[label].name for label in LABELS].index(name)] = np.log(of)
    return scores


def test_a_level_never_comes_twice():
    """SPINEPS answers T12 three times (W5)."""
    labels, _ = likely_path(certain(["T11", "T12", "T12", "T12", "L1", "L2"]))
    assert len(set(labels)) == 6


def test_what_the_labeller_says_of_t13_counts():
    """In SPINEPS the name of the T13 head does not match, so that its vote is lost (W11)."""
    seen = ["T10", "T11", "T12", "T13", "L1", "L2"]
    assert named(likely_path(certain(seen))[0]) == seen
    doubtful = certain(["T10", "T11", "T12", "L1", "L2", "L3"], of=0.6)
    assert named(likely_path(doubtful)[0])[3] == "L1"


def test_levels_without_evidence_stay_unnamed_and_many_vertebrae_are_no_error():
    for count, scores in ((4, np.zeros((4, 26))), (28, None)):
        semantic, instance = draw_spine(count, sacrum=False).volumes()
        namer = ScoredNamer(lambda spine, scores=scores: scores)
        result = label_masks(semantic, semantic, instance, LabelSettings(), namer)
        assert [entry["level"] for entry in result.levels] == [None] * count
        assert len(np.unique([entry["label"] for entry in result.levels])) == count


def test_a_labeller_names_a_view_without_landmarks():
    semantic, instance = draw_spine(4, sacrum=False).volumes()
    namer = ScoredNamer(lambda spine: certain(["T5", "T6", "T9", "T8"]))
    result = label_masks(semantic, semantic, instance, LabelSettings(), namer)
    assert [entry["level"] for entry in result.levels] == ["T5", "T6", "T7", "T8"]
    assert {entry["level_anchor"] for entry in result.levels} == {"labeller"}
    assert result.naming["status"] == "named"
