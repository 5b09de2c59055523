"""Agreement of raters against published worked examples."""

import numpy as np
import pytest
from typer.testing import CliRunner

from columna.cli import app
from columna.review.decisions import Decision, append_decision
from columna.viewer.kappa import agreeing, agreement_lines, agreements, cohen, fleiss

FLEISS_EXAMPLE = np.array(
    [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
)
"""14 raters, 10 subjects, 5 categories: https://en.wikipedia.org/wiki/Fleiss%27_kappa"""


def ratings(rater, values, domain="names"):
    return [
        Decision.made(f"scan-{n:03}", "rate", rater, domain=domain, value=value)
        for n, value in enumerate(values)
        if value
    ]


def test_fleiss_of_the_worked_example():
    assert agreeing(FLEISS_EXAMPLE) == pytest.approx(0.378, abs=5e-4)
    assert fleiss(FLEISS_EXAMPLE) == pytest.approx(0.210, abs=5e-4)


def test_cohen_of_the_worked_example():
    """50 grants, two readers: https://en.wikipedia.org/wiki/Cohen%27s_kappa"""
    a = ["good"] * 25 + ["bad"] * 25
    b = ["good"] * 20 + ["bad"] * 5 + ["good"] * 10 + ["bad"] * 15
    assert cohen(a, b) == pytest.approx(0.40)


def test_good_is_closer_to_usable_than_to_bad():
    a = ["good", "good", "usable", "bad", "bad"]
    near = ["usable", "good", "usable", "bad", "bad"]
    far = ["bad", "good", "usable", "bad", "bad"]
    assert cohen(a, near, "linear") > cohen(a, far, "linear")


def test_what_is_not_defined_has_no_value():
    assert cohen([], []) is None
    assert cohen(["good"] * 5, ["good"] * 5) is None
    assert fleiss(np.zeros((0, 3), int)) is None
    assert fleiss(np.array([[3, 0, 0]] * 4)) is None


def test_two_raters_are_compared_on_what_both_have_rated():
    a, b = ["good", "good", "bad", "bad", "good"], ["good", "bad", "bad", "bad", None]
    decisions = [*ratings("ada", a), *ratings("bob", b), *ratings("ada", a, "discs")]
    [one] = agreements(decisions)
    assert (one.domain, one.raters, one.scans_n) == ("names", ("ada", "bob"), 4)
    assert one.agree_ratio == 0.75
    assert one.kappa == pytest.approx(0.5)  # (0.75 - 0.5) / (1 - 0.5)


def test_of_three_raters_there_is_fleiss_and_each_pair():
    values = ["good", "usable", "bad", "good"]
    decisions = [d for rater in ("ada", "bob", "cyd") for d in ratings(rater, values)]
    found = agreements(decisions)
    assert [one.raters for one in found] == [
        ("ada", "bob", "cyd"),
        ("ada", "bob"),
        ("ada", "cyd"),
        ("bob", "cyd"),
    ]
    assert [one.kappa for one in found] == [pytest.approx(1)] * 4
    lines = agreement_lines(found)
    assert "Fleiss" in lines[1]
    assert "Cohen" in lines[2]


def test_only_the_latest_rating_counts_and_what_was_taken_back_does_not():
    first = ratings("ada", ["good", "bad"])
    again = Decision.made("scan-000", "rate", "ada", domain="names", value="bad")
    again = Decision(**{**vars(again), "decided_at": "2999-01-01T00:00:00Z"})
    undo = Decision.made("scan-001", "undo", "ada", value=first[1].decision_id)
    [one] = agreements([*first, again, undo, *ratings("bob", ["bad", "bad"])])
    assert one.scans_n == 1
    assert one.agree_ratio == 1
    assert one.kappa is None


def test_without_two_raters_it_says_so():
    assert agreement_lines(agreements(ratings("ada", ["good"]))) == [
        "No domain has ratings of two raters."
    ]


def test_the_command_prints_them(tmp_path):
    (tmp_path / "results").mkdir()
    file = tmp_path / "corrections.tsv"
    command = ["review", str(tmp_path / "results"), "--agreement", "--corrections", str(file)]
    done = CliRunner().invoke(app, command)
    assert "no such file" in str(done.exception)
    for decision in (*ratings("ada", ["good", "bad"]), *ratings("bob", ["good", "bad"])):
        append_decision(file, decision)
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0
    assert "1.000 (Cohen)" in done.output
