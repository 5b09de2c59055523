"""Probabilities of names reach the tables."""

from dataclasses import replace

import numpy as np
import pytest

from columna.config import MeasureSettings
from columna.measure import measure_scan
from columna.phantom.known.bodies import SIZES, body_scan, random_body
from columna.tables.level_posterior import LEVEL_POSTERIOR
from columna.tables.shards import rows_to_arrow

VARIANTS = {"t11": 0.05, "t13": 0.05, "l4": 0.05, "l6": 0.06, "transitional": 0.03}


@pytest.fixture(scope="module")
def context():
    rng = np.random.default_rng(0)
    return body_scan(rng, random_body(rng, SIZES["lumbar"]), SIZES["lumbar"])


def tables_of(context, posteriors, names, **entry):
    levels = [
        dict(e, posterior=p, level=name, level_confidence=p.get(name), **entry)
        for e, p, name in zip(context.levels, posteriors, names, strict=True)
    ]
    return measure_scan(replace(context, levels=levels, variants=VARIANTS), MeasureSettings())


def test_all_names_of_all_vertebrae_are_listed(context):
    posteriors = [
        {"L2": 0.7, "L1": 0.2, "L3": 0.1},
        {"L3": 0.5, "L2": 0.3, "L4": 0.2},
        {"L4": 1.0},
    ]
    tables = tables_of(context, posteriors, ["L2", None, "L4"])
    found = [
        (r["vertebra"], r["name_rank"], r["level"], r["p_ratio"]) for r in tables["level_posterior"]
    ]
    assert found[:3] == [("L2", 1, "L2", 0.7), ("L2", 2, "L1", 0.2), ("L2", 3, "L3", 0.1)]
    assert [row[0] for row in found] == ["L2"] * 3 + ["unnamed_02"] * 3 + ["L4"]
    rows = {r["vertebra"]: r for r in tables["vertebrae"]}
    assert (rows["L2"]["level_p_ratio"], rows["L2"]["level_second"]) == (0.7, "L1")
    unnamed = rows["unnamed_02"]
    assert unnamed["level_p_status"] == unnamed["level_status"] == "no_anchor"
    assert (unnamed["level_second"], unnamed["level_second_p_ratio"]) == ("L2", 0.3)
    assert rows["L4"]["level_second_status"] == "not_applicable"
    rows_to_arrow(LEVEL_POSTERIOR, tables["level_posterior"])
    [scan] = tables["scans"]
    assert {name: scan[f"p_{name}_ratio"] for name in VARIANTS} == VARIANTS


def test_given_names_have_no_probability(context):
    levels = [dict(e, level_anchor="given", level_confidence=None) for e in context.levels]
    tables = measure_scan(replace(context, levels=levels), MeasureSettings())
    assert tables["level_posterior"] == []
    row = next(r for r in tables["vertebrae"] if r["level"] == "L3")
    assert (row["level_p_status"], row["level_second_status"]) == ("not_recorded",) * 2
    assert tables["scans"][0]["variant_p_status"] == "not_recorded"
