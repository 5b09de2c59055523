"""Pieces of bone that are no vertebrae: a class of their own in names, counts, views and tables."""

import duckdb
import numpy as np
import pytest
from measured_phantom import assessable, collect_rows, findings_as_rows

from columna.config import LabelSettings
from columna.label import take_masks
from columna.label.points import poi_json
from columna.phantom import PhantomSettings, make_phantom
from columna.tables.shards import rows_to_arrow
from columna.tables.vertebrae import VERTEBRAE

PIECE = 34
"""A number of the instance mask that stands for no level."""


@pytest.fixture(scope="module")
def phantom():
    """A whole spine, C2 to the sacrum."""
    return make_phantom(PhantomSettings(seed=1, region="whole", spacing_mm=(2.0, 2.0, 4.0)))


def with_piece(phantom, place, size=(5, 4, 2)):
    """Masks with a block of body above C2 or beside another level, and plates below it."""
    upright = [v.reoriented(("P", "I", "R")) for v in (phantom.semantic, phantom.instance)]
    semantic, instance = (v.array.astype(np.uint16) for v in upright)
    body = np.argwhere(instance == place)
    top, middle = body[:, 1].min(), np.rint(body[body[:, 1] == body[:, 1].min()].mean(axis=0))
    low = top - 1 - size[1]
    assert low >= 2, "the piece must not be cut by the edge"
    p, _, r = (
        slice(int(m) - n // 2, int(m) + n // 2 + 1) for m, n in zip(middle, size, strict=True)
    )
    block, plate = (p, slice(low, top - 1), r), (p, slice(top - 1, top), r)
    semantic[block], instance[block] = 49, PIECE
    semantic[plate], instance[plate] = 62, 200 + place - 1
    return tuple(v.with_array(a) for v, a in zip(upright, (semantic, instance), strict=True))


@pytest.fixture(scope="module")
def spoilt(phantom):
    return assessable(phantom.image, *with_piece(phantom, 2))


@pytest.fixture(scope="module")
def clean(phantom):
    return assessable(phantom.image, phantom.semantic, phantom.instance)


def only(rows, **key):
    return [row for row in rows if all(row[name] == value for name, value in key.items())]


def test_a_piece_above_c2_is_a_fragment_and_no_complete_vertebra(spoilt):
    rows = spoilt.rows["vertebrae"]
    rows_to_arrow(VERTEBRAE.shard, rows)
    [row] = only(rows, presence="fragment")
    assert (row["vertebra"], row["level"], row["spineps_label"]) == ("fragment_01", None, PIECE)
    for group in ("level", "body", "vertebra", "arch", "frame", "heights", "signal", "index"):
        assert row[f"{group}_status"] == "fragment", group
    assert row["body_volume_mm3"] is None
    assert row["centroid_s_mm"] is not None, "where it is can be looked up"
    assert not only(rows, presence="complete", level=None)


def test_it_does_not_hide_the_counts_of_a_whole_spine(spoilt, clean):
    [row], [expected] = spoilt.rows["scans"], clean.rows["scans"]
    assert expected["enumeration_variant"] == "none"
    assert (row["n_fragments_n"], expected["n_fragments_n"]) == (1, 0)
    counted = [n for n in row if n.startswith(("n_", "is_", "level", "enumeration", "has_"))]
    counted.remove("n_fragments_n")
    assert {n: row[n] for n in counted} == {n: expected[n] for n in counted}
    assert row["counts_status"] == "ok"


def test_its_plates_and_itself_are_fragments_among_the_structures(spoilt):
    rows = only(spoilt.rows["structures"], mask="instance", structure="fragment")
    assert {row["label"] for row in rows} == {PIECE, 201}
    assert {(row["level"], row["level_status"]) for row in rows} == {(None, "fragment")}
    assert not only(spoilt.rows["structures"], mask="instance", level="C1")


def test_the_other_tables_know_nothing_of_it(spoilt, clean):
    for table in ("discs", "cord_canal", "endplates"):
        found, expected = spoilt.rows[table], clean.rows[table]
        assert len(found) == len(expected)
        assert [r["level_status"] for r in found] == [r["level_status"] for r in expected]
    whole = {r["vertebra"]: r for r in spoilt.rows["vertebrae"]}
    for row in clean.rows["vertebrae"]:
        for name in ("presence", "index_from_top", "curve_position_mm", "axial_rotation_deg"):
            assert whole[row["vertebra"]][name] == row[name], (row["vertebra"], name)


def test_quality_asks_to_look_at_it(spoilt, clean):
    [row] = only(findings_as_rows(spoilt), rule_id="fragments")
    assert (row["value"], row["verdict"]) == (1, "review")
    assert only(findings_as_rows(clean), rule_id="fragments")[0]["verdict"] == "ok"
    assert "fragment_01" not in {row["item"] for row in findings_as_rows(spoilt)}


def test_points_leave_it_out(phantom):
    result = take_masks(phantom.image, *with_piece(phantom, 2), LabelSettings())
    assert {e["label"] for e in result.levels if e["is_fragment"]} == {PIECE}
    assert str(PIECE) not in poi_json(result)[1]


def test_names_that_are_counted_anew_know_it_too(phantom):
    anew = LabelSettings(given_levels="rename")
    result = take_masks(phantom.image, *with_piece(phantom, 2), anew)
    [entry] = [e for e in result.levels if e["is_fragment"]]
    assert entry["level"] is None
    named = {e["level"] for e in result.levels if e["level"]}
    assert {"C2", "T12", "L5"} <= named


def test_the_view_of_complete_bodies_leaves_it_out(spoilt, tmp_path):
    tables = collect_rows(tmp_path, {**spoilt.rows, "quality": findings_as_rows(spoilt)})
    con = duckdb.connect()
    con.execute(f"SET file_search_path = '{tables}'")
    con.execute((tables / "views.sql").read_text())
    query = "SELECT count(*), count(level) FROM v_complete_bodies"
    [(rows, named)] = con.execute(query).fetchall()
    assert rows == named > 20
