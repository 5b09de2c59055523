"""Comparisons of evaluations: paired by participant, adjusted where declared, ready for a paper."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from typer.testing import CliRunner

from columna.cli.main import app
from columna.errors import ColumnaError
from columna.evaluate.compare import Evaluation, compare, read_evaluation
from columna.evaluate.conventions import structure_labels
from columna.evaluate.paper_table import latex, lines, markdown

ROW = {"unit": "structure", "stratum": "all", "metric": "dice", "reference_label": None}


def evaluation(name, dices, structure="canal_with_cord", **more):
    """One scan per participant, or a list of scans."""
    rows = [
        {
            "scan_id": f"{p}-{number}",
            "participant_id": str(p),
            "structure": structure,
            "value": value,
            **ROW,
            **more,
        }
        for p, values in enumerate(dices)
        for number, value in enumerate(np.atleast_1d(values))
    ]
    return Evaluation(name, pd.DataFrame(rows))


def only(rows):
    (row,) = rows
    return row


def test_the_p_value_is_scipys_and_the_shift_is_first_minus_second():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0.8, 0.95, 12), rng.uniform(0.8, 0.95, 12)
    row = only(compare([evaluation("a", a), evaluation("b", b)]))
    assert row["p"] == pytest.approx(stats.wilcoxon(a, b).pvalue)
    assert row["p_adjusted"] == row["p"]
    assert row["mean_first"] == pytest.approx(a.mean())
    assert np.sign(row["shift"]) == np.sign(np.median(a - b))
    assert (row["participants_n"], row["values_n"], row["role"]) == (12, 12, "primary")


def test_equal_inputs_do_not_differ():
    a = evaluation("a", [0.9, 0.8, 0.7])
    row = only(compare([a, Evaluation("b", a.rows)]))
    assert (row["p"], row["shift"], row["differing_n"]) == (1, 0, 0)


def test_scans_of_a_participant_count_once():
    one = only(compare([evaluation("a", [0.9, 0.8]), evaluation("b", [0.8, 0.9])]))
    many = only(
        compare([evaluation("a", [[0.9] * 50, [0.8]]), evaluation("b", [[0.8] * 50, [0.9]])])
    )
    assert many["participants_n"] == 2
    assert many["values_n"] == 51
    assert many["p"] == one["p"]


def test_a_missed_instance_counts_with_its_dice_of_0():
    instance = {"structure": "disc", "unit": "instance", "metric": "dice", "reference_label": 3}
    a = evaluation("a", [0.9, 0.9], **instance)
    b = evaluation("b", [0.9, 0.0], **instance)
    row = only(compare([a, b]))
    assert row["mean_second"] == pytest.approx(0.45)
    assert row["role"] == "primary"


def test_only_the_declared_family_is_adjusted_and_groups_are_exploratory():
    rng = np.random.default_rng(1)
    evaluations = []
    for name in "ab":
        parts = [
            evaluation(name, rng.uniform(0.8, 0.95, 10), structure=structure, unit=unit).rows
            for structure, unit in (
                ("canal_with_cord", "structure"),
                ("disc", "instance"),
                ("sacrum", "structure"),
            )
        ]
        evaluations.append(Evaluation(name, pd.concat(parts)))
    groups = {f"{p}-0": "f" if p < 6 else "m" for p in range(9)}
    rows = list(compare(evaluations, groups=groups))
    primary = [r for r in rows if r["role"] == "primary"]
    assert {r["structure"] for r in primary} == {"canal_with_cord", "disc"}
    smallest = min(r["p"] for r in primary)
    assert min(r["p_adjusted"] for r in primary) == pytest.approx(min(1, 2 * smallest))
    others = [r for r in rows if r["role"] == "exploratory"]
    assert all(r["p_adjusted"] is None for r in others)
    counts = {r["group"]: r["participants_n"] for r in rows if r["structure"] == "sacrum"}
    assert counts == {"all": 10, "f": 6, "m": 3, "unknown": 1}


def test_three_programs_give_three_comparisons():
    given = [evaluation(name, [0.9, 0.8, 0.85]) for name in "abc"]
    assert [(r["first"], r["second"]) for r in compare(given)] == [
        ("a", "b"),
        ("a", "c"),
        ("b", "c"),
    ]


def test_non_inferiority_needs_an_interval_and_a_margin():
    a, b = np.linspace(0.80, 0.90, 10), np.linspace(0.805, 0.905, 10)
    close = [evaluation("a", a), evaluation("b", b)]
    assert only(compare(close, margin=0.01))["is_non_inferior"]
    assert not only(compare(close, margin=0.004))["is_non_inferior"]
    assert only(compare(close))["is_non_inferior"] is None


def test_scans_without_a_partner_are_an_error_where_there_are_no_others():
    with pytest.raises(ColumnaError, match="no scan with a common reference"):
        list(compare([evaluation("a", [0.9]), evaluation("b", [0.9], participant_id="x")]))


def test_the_papers_table_has_every_structure_in_order():
    rng = np.random.default_rng(2)
    given = [evaluation(name, rng.uniform(0.8, 0.95, 8)) for name in ("a|b", "c_d")]
    table = list(lines(pd.DataFrame(compare(given)), "a|b", "c_d"))
    shown = list(dict.fromkeys(line.structure for line in table))
    assert shown[: len(structure_labels())] == list(structure_labels())
    assert {line.first for line in table if line.structure == "sacrum"} == {"no reference"}
    text = markdown(table, "a|b", "c_d")
    assert "a\\|b" in text
    assert len({line.count(" | ") for line in text.splitlines() if line.startswith("|")}) == 1
    assert "c\\_d" in latex(table, "a|b", "c_d")


def test_folders_that_hold_no_evaluation_are_named(tmp_path):
    assert CliRunner().invoke(app, ["compare", str(tmp_path), "--out", "x"]).exit_code == 1
    with pytest.raises(ColumnaError, match="there is none"):
        read_evaluation(tmp_path, "a")
    (tmp_path / "evaluation.parquet").write_bytes(b"no parquet")
    with pytest.raises(ColumnaError, match="cannot be read"):
        read_evaluation(tmp_path, "a")
