"""Synthetic twins: grids of a cohort, known truth, resumable files, and the error they tell."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from columna.cli.main import app
from columna.config import Config
from columna.errors import ColumnaError, ScanRefused
from columna.evaluate import model_pair, twins
from columna.evaluate.in_memory import Answer
from columna.evaluate.measured import measure_truth
from columna.evaluate.most_used import MOST_USED, print_measurement_error
from columna.evaluate.outputs import write_measurement_error
from columna.evaluate.twin_error import FEWEST, measurement_errors, slice_class
from columna.evaluate.twin_plan import FIRST_SEED, SeenScan, plan_twins, seen_scans
from columna.images.volume import load_image
from columna.phantom.generate import make_masks, make_phantom
from columna.phantom.settings import PhantomSettings
from columna.tables.catalogue import TABLES
from columna.train.sources import FRESH_SEEDS

SMALL = SeenScan("a", (2.0, 2.0, 4.0), (140.0, 130.0, 40.0), 5.0, "lumbar", 0.03, 0.4)
THIN = replace(SMALL, scan_id="b", spacing_mm=(2.0, 2.0, 2.0), marrow=None, noise=None)
MODEL = SimpleNamespace(folder=SimpleNamespace(digest="d"))


def cohort(folder):
    """Tables of four scans: a lumbar one, a whole spine, one without names, and a refused one."""
    folder.mkdir(parents=True, exist_ok=True)
    scans = pd.DataFrame(
        {
            "scan_id": ["s1", "s2", "s3", "s4"],
            "input_status": ["ok", "ok", "ok", "not_3d"],
            "level_first": ["T11", "C2", None, None],
            "level_last": ["L5", "L5", None, None],
            "obliquity_deg": [3.0, 0.0, 12.0, np.nan],
        }
    )
    for axis, spacing, fov in (("ap", 0.8, 200), ("si", 0.9, 250), ("lr", 4.0, 60)):
        scans[f"spacing_{axis}_mm"], scans[f"fov_{axis}_mm"] = spacing, float(fov)
    scans.loc[1:2, "fov_si_mm"] = 600.0
    scans.to_parquet(folder / "scans.parquet")
    quality = pd.DataFrame(
        {
            "scan_id": ["s1", "s1", "s2"],
            "rule_id": ["snr_csf", "csf_over_body", "snr_csf"],
            "value": [10.0, 2.5, None],
        }
    )
    quality.to_parquet(folder / "quality.parquet")
    return folder


# --- plans ---


def test_a_twin_takes_grid_and_contrast_from_a_scan(tmp_path):
    one, whole, unnamed = seen_scans(cohort(tmp_path))
    assert (one.spacing_mm, one.fov_mm) == ((0.8, 0.9, 4.0), (200.0, 250.0, 60.0))
    assert (one.region, whole.region, unnamed.region) == ("lumbar", "whole", "whole")
    assert one.noise == pytest.approx(np.sqrt(0.1**2 - 0.06**2))
    assert one.marrow == pytest.approx(0.4)
    assert whole.noise is None
    assert whole.marrow is None
    plans = plan_twins([one, whole, unnamed], 6)
    assert sorted(plan.scan.scan_id for plan in plans) == ["s1", "s1", "s2", "s2", "s3", "s3"]
    for plan in plans:
        assert plan.settings.spacing_mm == plan.scan.spacing_mm
        assert plan.settings.fov_mm == plan.scan.fov_mm
        assert abs(plan.settings.obliquity_deg) == plan.scan.obliquity_deg


def test_more_twins_begin_with_the_same_ones():
    scans = [SMALL, THIN]
    assert plan_twins(scans, 7)[:3] == plan_twins(scans, 3)
    assert len({plan.settings.seed for plan in plan_twins(scans, 7)}) == 7


def test_no_training_and_no_evaluation_draws_their_seeds():
    seeds = [plan.settings.seed for plan in plan_twins([SMALL], 3)]
    assert min(seeds) >= FIRST_SEED > max(FRESH_SEEDS)
    assert FIRST_SEED > model_pair.FIRST_SEED + 100_000


def test_a_folder_without_scans_is_told(tmp_path):
    with pytest.raises(ColumnaError, match="run the workflow first"):
        seen_scans(tmp_path)
    rows = pd.read_parquet(cohort(tmp_path) / "scans.parquet")
    rows.iloc[3:].to_parquet(tmp_path / "scans.parquet")
    with pytest.raises(ColumnaError, match="no scan was accepted"):
        seen_scans(tmp_path)
    done = CliRunner().invoke(app, ["twins", "--n", "1", "--results", str(tmp_path)])
    assert isinstance(done.exception, ColumnaError)


# --- scans and truth ---


@pytest.mark.parametrize("scan", [SMALL, THIN])
def test_the_scan_of_a_twin_has_the_grid_of_its_scan(scan):
    [plan] = plan_twins([scan], 1)
    image, instance = twins.paint_twin(plan)
    assert image.spacing_mm == pytest.approx(scan.spacing_mm)
    extent = np.array(image.shape) * image.spacing_mm
    assert extent == pytest.approx(scan.fov_mm, abs=4.0)
    assert np.array_equal(image.affine, instance.affine)
    again, _ = twins.paint_twin(plan)
    assert np.array_equal(image.array, again.array)


def test_the_fine_truth_lies_where_the_scan_shows_it():
    settings = PhantomSettings(region="lumbar", seed=5, spacing_mm=(1.2, 1.2, 4.0))
    [plan] = plan_twins([replace(SMALL, fov_mm=(120.0, 130.0, 68.0))], 1)
    plan = replace(plan, settings=settings.model_copy(update={"fov_mm": (120.0, 130.0, 68.0)}))
    _, coarse = twins.paint_twin(plan)
    _, fine = make_masks(settings.model_copy(update={"spacing_mm": (1.0, 1.0, 1.0),
                                                     "fov_mm": (120.0, 130.0, 68.0)}))  # fmt: skip
    middles = []
    for mask in (coarse, fine):
        voxels = np.argwhere(mask.array == 22).mean(axis=0)
        middles.append(mask.affine[:3, :3] @ voxels + mask.affine[:3, 3])
    assert np.linalg.norm(middles[0] - middles[1]) < 0.7


def test_masks_alone_are_those_of_the_phantom():
    settings = PhantomSettings(region="lumbar", spacing_mm=(3.0, 3.0, 5.0), surroundings="body")
    phantom = make_phantom(settings)
    for mask, known in zip(make_masks(settings), (phantom.semantic, phantom.instance), strict=True):
        assert np.array_equal(mask.array, known.array)


def test_bones_are_as_bright_as_in_the_cohort():
    settings = PhantomSettings(region="lumbar", spacing_mm=(2.0, 2.0, 4.0), bias=0, noise=0)
    levels = []
    for marrow in (0.2, 0.6):
        phantom = make_phantom(settings, marrow)
        body, fluid = (phantom.image.array[phantom.semantic.array == n] for n in (49, 61))
        levels.append(float(np.median(body)) / float(np.median(fluid)))
    assert levels == pytest.approx([0.2, 0.6], rel=0.15)


# --- running ---


class Networks:
    """In place of the networks: the true masks; counts how often it is asked."""

    def __init__(self, monkeypatch, refuses=False):
        self.asked, self.refuses, self.true = 0, refuses, None
        paint = twins.paint_twin

        def painted(plan):
            self.true = make_phantom(plan.settings)
            return paint(plan)

        monkeypatch.setattr(twins, "paint_twin", painted)
        monkeypatch.setattr(twins, "segment", self.segment)

    def segment(self, path, *_):
        self.asked += 1
        if self.refuses:
            raise ScanRefused("no_spine", "There is none.")
        from columna.config import LabelSettings
        from columna.label import take_masks

        image = load_image(path)
        semantic, instance = self.true.semantic, self.true.instance
        taken = take_masks(semantic, semantic, instance, LabelSettings())
        return Answer(
            semantic.with_array(np.resize(image.array, semantic.shape)),
            semantic, instance, (), 0.0, levels=taken.levels,
        )  # fmt: skip


@pytest.fixture
def coarse(monkeypatch):
    """A truth that costs little."""
    monkeypatch.setattr(twins, "TRUE_MM", 1.5)
    monkeypatch.setattr(twins, "BESIDE_MM", 5.0)


def run(plans, folder, config=None):
    return list(twins.run_twins(plans, MODEL, MODEL, config or Config(), folder))


@pytest.mark.usefixtures("coarse")
def test_twins_are_kept_and_made_again_only_if_something_changed(tmp_path, monkeypatch):
    networks = Networks(monkeypatch)
    plans = plan_twins([SMALL], 2)
    first = run(plans[:1], tmp_path)
    assert networks.asked == 1
    both = run(plans, tmp_path)
    assert networks.asked == 2
    assert json.dumps(both[0], sort_keys=True) == json.dumps(first[0], sort_keys=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["twin-0000.json", "twin-0001.json"]
    other = Config.model_validate({"semantic": {"max_gap_mm": None}})
    run(plans[:1], tmp_path, other)
    assert networks.asked == 3
    (tmp_path / "twin-0000.json").write_text("{")
    again = run(plans[:1], tmp_path, other)
    assert networks.asked == 4
    assert again[0]["found"] == both[0]["found"]


@pytest.mark.usefixtures("coarse")
def test_true_masks_have_small_errors_and_refused_twins_are_counted(tmp_path, monkeypatch):
    Networks(monkeypatch)
    made = run(plan_twins([SMALL], 1), tmp_path / "a")
    assert made[0]["right"]
    assert made[0]["wrong_n"] == 0
    rows = {(r["table"], r["column"]): r for r in measurement_errors(made, tmp_path)
            if r["region"] == r["slices"] == "all"}  # fmt: skip
    heights = rows["vertebrae", "height_middle_mm"]
    assert heights["values_n"] >= 1
    assert heights.get("bias") is None  # fewer than 20 values
    Networks(monkeypatch, refuses=True)
    made = run(plan_twins([SMALL], 1), tmp_path / "b")
    assert made[0]["status"] == "no_spine"
    assert list(measurement_errors(made, tmp_path)) == []


def test_a_wrong_name_is_counted_and_its_rows_left_out():
    phantom = make_phantom(PhantomSettings(region="lumbar", spacing_mm=(2.5, 2.5, 4.0), seed=1))
    instance = phantom.instance.array.copy()
    instance[phantom.instance.array == 22] = 24
    instance[phantom.instance.array == 24] = 22
    found = phantom.instance.with_array(instance)
    answer = Answer(phantom.image, phantom.semantic, found, (), 0.0)
    right, wrong_n = twins._named(answer, phantom.instance)
    assert wrong_n == 2
    assert {"L3", "L5"}.isdisjoint(right)
    assert "L4" in right


# --- numbers ---


def made_twins(count, levels=("L1", "L2"), slice_mm=4.0, bias=0.5, sd=0.4, spread=2.0, right=None):
    rng = np.random.default_rng(0)
    for n in range(count):
        true = rng.normal(25, spread, len(levels))
        found = true + bias + rng.normal(0, sd, len(levels))
        rows = [
            [
                {"scan_id": f"t{n}", "level": level, "region": "lumbar", "height_middle_mm": value}
                for level, value in zip(levels, values, strict=True)
            ]
            for values in (found, true)
        ]
        yield {
            "status": "done", "slice_mm": slice_mm, "wrong_n": 0,
            "right": list(levels if right is None else right),
            "found": {"vertebrae": rows[0]}, "true": {"vertebrae": rows[1]},
        }  # fmt: skip


def errors(made, tables):
    rows = list(measurement_errors(made, tables))
    return {(r["region"], r["slices"]): r for r in rows if r["column"] == "height_middle_mm"}


def test_known_errors_come_out(tmp_path):
    rows = errors(made_twins(400), tmp_path)
    assert set(rows) == {(r, s) for r in ("all", "lumbar") for s in ("all", "thick")}
    row = rows["all", "thick"]
    assert (row["twins_n"], row["values_n"]) == (400, 800)
    assert row["bias"] == pytest.approx(0.5, abs=0.05)
    assert row["error_sd"] == pytest.approx(0.4, abs=0.03)
    assert row["limit_high"] == pytest.approx(row["bias"] + 1.96 * row["error_sd"])
    assert row["reliability_ratio"] == pytest.approx(4 / 4.16, abs=0.02)
    assert row["bias_slope"] == pytest.approx(0, abs=0.03)
    assert row["error_size_r"] == pytest.approx(0, abs=0.1)
    assert row["unit"] == "mm"


def test_errors_that_grow_with_the_size_are_seen(tmp_path):
    made = list(made_twins(200, sd=0.0, bias=0.0))
    for twin in made:
        for found, true in zip(twin["found"]["vertebrae"], twin["true"]["vertebrae"], strict=True):
            found["height_middle_mm"] = 0.8 * true["height_middle_mm"] + 5
    row = errors(made, tmp_path)["all", "all"]
    assert row["bias_slope"] == pytest.approx(-0.2)
    assert row["error_size_r"] == pytest.approx(-1)
    assert row["reliability_ratio"] == pytest.approx(1 / 0.8)


def test_few_values_are_null(tmp_path):
    few = errors(made_twins(FEWEST // 2 - 1), tmp_path)["all", "all"]
    assert few["values_n"] == FEWEST - 2
    assert set(few) == {"table", "column", "unit", "region", "slices", "twins_n", "values_n"}
    assert errors(made_twins(FEWEST // 2), tmp_path)["all", "all"]["bias"] is not None
    path = write_measurement_error(measurement_errors(made_twins(3), tmp_path), tmp_path)
    print_measurement_error(path)
    table = pd.read_parquet(path)
    assert table["bias"].isna().all()
    assert table["values_n"].gt(0).all()


def test_levels_that_were_named_wrong_do_not_count(tmp_path):
    row = errors(made_twins(30, right=["L2"]), tmp_path)["all", "all"]
    assert row["values_n"] == 30


def test_missing_measures_are_counted(tmp_path):
    made = list(made_twins(30))
    for twin in made:
        twin["found"]["vertebrae"][0]["height_middle_mm"] = None
    row = errors(made, tmp_path)["all", "all"]
    assert row["null_ratio"] == 0.5
    assert row["values_n"] == 30


def test_the_spread_of_the_cohort_makes_its_reliability(tmp_path):
    cohort(tmp_path)
    rng = np.random.default_rng(1)
    rows = pd.DataFrame(
        {
            "scan_id": ["s1"] * 100,
            "level": ["L1"] * 100,
            "region": ["lumbar"] * 100,
            "height_middle_mm": rng.normal(25, 0.8, 100),
        }
    )
    rows.to_parquet(tmp_path / "vertebrae.parquet")
    row = errors(made_twins(200), tmp_path)["lumbar", "thick"]
    assert row["cohort_sd"] == pytest.approx(rows["height_middle_mm"].std(ddof=1))
    expected = 1 - row["error_sd"] ** 2 / row["cohort_sd"] ** 2
    assert row["cohort_reliability_ratio"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("slice_mm", "expected"),
    [(0.9, "thin"), (1.99, "thin"), (2.0, "medium"), (3.3, "medium"), (3.6, "thick"), (9, "thick")],
)
def test_slices_have_three_classes(slice_mm, expected):
    assert slice_class(slice_mm) == expected


def test_the_ten_most_used_measures_exist():
    assert len(set(MOST_USED)) == 10
    assert all(column in TABLES[table].names for table, column in MOST_USED)


def test_truth_has_no_signal_columns():
    masks = make_masks(PhantomSettings(region="lumbar", spacing_mm=(2.0, 2.0, 3.0)))
    rows = measure_truth("a", *masks, Config().measure)
    assert all(row["signal_body_au"] is None for row in rows["vertebrae"])
    assert any(row["height_middle_mm"] for row in rows["vertebrae"])
