"""Error of measures from two folders of tables, and of retests."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from columna.cli.main import app
from columna.errors import ColumnaError
from columna.evaluate.bland_altman import save_bland_altman
from columna.evaluate.measure_error import measure_errors, read_retests
from columna.tables.catalogue import TABLES

LEVELS = ("L1", "L2", "L3", "L4", "L5")


def tables(folder, offset=0.0, scans=("a", "b", "c"), levels=LEVELS, missing=()):
    """A folder with the columns of `vertebrae` that matter here."""
    folder.mkdir()
    rows = [
        {
            "scan_id": scan,
            "level": level,
            "region": "lumbar",
            "vertebra": number,
            "body_height_mid_mm": None
            if (scan, level) in missing
            else 20.0 + 2 * number + 0.5 * place + offset,
        }
        for place, scan in enumerate(scans)
        for number, level in enumerate(levels)
    ]
    frame = pd.DataFrame(rows).astype({"body_height_mid_mm": "float64"})
    frame.to_parquet(folder / "vertebrae.parquet")
    return folder


@pytest.fixture
def column():
    return next(c.name for c in TABLES["vertebrae"].columns if c.unit == "mm")


def rename(folder, column):
    path = folder / "vertebrae.parquet"
    pq.write_table(_renamed(pq.read_table(path), column), path)
    return folder


def _renamed(table, column):
    names = [column if name == "body_height_mid_mm" else name for name in table.column_names]
    return table.rename_columns(names)


def test_a_constant_offset_is_a_bias_without_spread(tmp_path, column):
    found = rename(tables(tmp_path / "found", offset=0.3), column)
    true = rename(tables(tmp_path / "true"), column)
    rows = {row["region"]: row for row in measure_errors(found, true) if row["column"] == column}
    assert set(rows) == {"all", "lumbar"}
    assert rows["all"]["bias"] == pytest.approx(0.3)
    assert rows["all"]["sd_difference"] == pytest.approx(0, abs=1e-9)
    assert rows["all"]["values_n"] == 15
    assert rows["all"]["icc_consistency"] == pytest.approx(1)
    assert rows["all"]["unit"] == "mm"


def test_what_one_side_leaves_null_is_counted_and_levels_that_one_lacks_are_not_compared(
    tmp_path, column
):
    missing = [("a", "L1"), ("b", "L2"), ("c", "L3")]
    found = rename(tables(tmp_path / "found", levels=LEVELS[:4], missing=missing), column)
    true = rename(tables(tmp_path / "true"), column)
    row = next(r for r in measure_errors(found, true) if r["region"] == "all")
    assert row["rows_n"] == 12
    assert row["values_n"] == 9
    assert row["null_prediction_ratio"] == 0.25
    assert row["null_reference_ratio"] == 0


def test_the_command_writes_table_and_figure_also_of_too_few_pairs(tmp_path, column):
    found = rename(tables(tmp_path / "found", scans=("a",), levels=LEVELS[:2]), column)
    out = tmp_path / "out"
    arguments = ["agreement", str(found), str(found), "--out", str(out)]
    result = CliRunner().invoke(app, [*arguments, "--figure", f"vertebrae.{column}"])
    assert result.exit_code == 0, result.output
    written = pd.read_parquet(out / "agreement.parquet")
    assert set(written["values_n"]) == {0}
    assert written["bias"].isna().all()
    assert CliRunner().invoke(app, [*arguments, "--figure", "vertebrae.x"]).exit_code == 1


def test_retests_pair_scans_of_other_names(tmp_path, column):
    folder = rename(tables(tmp_path / "t", scans=("p1", "p2", "q1", "q2")), column)
    sheet = tmp_path / "retests.tsv"
    sheet.write_text("scan_id\tretest_scan_id\np1\tp2\np2\t\nq1\tq2\n")
    pairs = read_retests(sheet)
    assert pairs == {"p1": "p2", "q1": "q2"}
    row = next(r for r in measure_errors(folder, folder, pairs) if r["region"] == "all")
    assert row["values_n"] == 10
    assert row["bias"] == pytest.approx(-0.5)


def test_folders_without_common_scans_or_tables_are_named(tmp_path, column):
    one = rename(tables(tmp_path / "one", scans=("a",)), column)
    two = rename(tables(tmp_path / "two", scans=("b",)), column)
    with pytest.raises(ColumnaError, match="in common"):
        list(measure_errors(one, two))
    (tmp_path / "sheet.tsv").write_text("scan_id\tretest_scan_id\na\t\n")
    with pytest.raises(ColumnaError, match="names no"):
        read_retests(tmp_path / "sheet.tsv")


def test_figures_repeat_bit_by_bit(tmp_path):
    values = np.arange(10.0)
    paths = [tmp_path / f"{n}.png" for n in range(2)]
    assert all(save_bland_altman(values, values * 1.1, "x", path) for path in paths)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert not save_bland_altman(values[:2], values[:2], "x", tmp_path / "no.png")
