"""`columna train evaluate` without networks: a judge that knows the truth, or half of it."""

import csv
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from columna.anatomy import CANAL, Semantic, levels
from columna.config import LabelSettings
from columna.errors import ScanRefused
from columna.evaluate.compare import compare, read_evaluation
from columna.evaluate.in_memory import Answer
from columna.evaluate.measure_error import errors_of_rows
from columna.evaluate.model_pair import (
    CASES,
    Scored,
    _scored_phantom,
    errors_of_measures,
    real_cases,
    score_real,
    write_tables,
)
from columna.evaluate.most_used import MOST_USED, print_errors
from columna.evaluate.real_measures import measure_discs_and_canal
from columna.evaluate.report import tables
from columna.images.volume import save_volume
from columna.label import take_masks
from columna.phantom import PhantomSettings, make_phantom

HELD_OUT = {"007", "034", "050", "057", "098", "162", "200", "241"}
CHOOSING = {"005", "045", "069", "127", "185"}
VERTEBRA, DISC, SAC = 76, 29, 150


@pytest.fixture(scope="module")
def phantom():
    settings = {"spacing_mm": (1.8, 1.8, 4.0), "region": "lumbar", "fov_mm": (100.0, 130.0, 52.0)}
    return make_phantom(PhantomSettings(**settings, seed=1))


@pytest.fixture(scope="module")
def data(phantom, tmp_path_factory):
    """A folder of real data with two of the cases: full masks, and SPIDER's three structures."""
    folder = tmp_path_factory.mktemp("data")
    cases = {case.name: case for case in real_cases(folder)}
    full, spider = cases["tptbox_mri"], cases["spider_005"]
    save_volume(phantom.image, full.image)
    save_volume(phantom.semantic, full.masks["semantic"])
    save_volume(phantom.instance, full.masks["instance"])
    merged = np.zeros(phantom.semantic.shape, np.uint8)
    merged[np.isin(phantom.instance.array, list(levels()))] = VERTEBRA
    merged[phantom.semantic.array == Semantic.DISC] = DISC
    merged[np.isin(phantom.semantic.array, CANAL)] = SAC
    save_volume(phantom.image, spider.image)
    save_volume(phantom.semantic.with_array(merged), spider.masks["semantic"])
    return folder


class Known:
    """Answers with the truth, without the vertebra `lost`, or refuses every scan."""

    convention = "columna"

    def __init__(self, phantom, lost=None, refuses=False):
        self.phantom, self.lost, self.refuses = phantom, lost, refuses

    def answer(self, name, path):
        if self.refuses:
            raise ScanRefused("no_spine", "There is none.")
        image, semantic, instance = (
            v.reoriented()
            for v in (self.phantom.image, self.phantom.semantic, self.phantom.instance)
        )
        lost = instance.array == self.lost
        return Answer(
            image,
            semantic.with_array(np.where(lost, 0, semantic.array)),
            instance.with_array(np.where(lost, 0, instance.array)),
            ("L4", None),
            1.0,
        )


def test_held_out_patients_are_no_cases():
    with open(CASES, newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    spider = {row["name"].removeprefix("spider_") for row in rows if "spider" in row["image"]}
    assert spider == CHOOSING
    assert not any(patient in row["image"] for row in rows for patient in HELD_OUT)


def test_the_truth_is_perfect_in_every_convention(phantom, data, tmp_path):
    scores = list(score_real(Known(phantom), data))
    assert [s.scan for s in scores] == ["tptbox_mri", "spider_005"]
    write_tables(scores, tmp_path)
    rows = pd.read_parquet(tmp_path / "evaluation.parquet")
    dice = rows[(rows.metric == "dice") & rows.value.notna()]
    assert dice.value.min() == 1
    spider = dice[dice.scan_id == "spider_005"]
    assert set(spider.structure) == {"vertebra", "disc", "canal_with_cord"}
    assert all(match.once for s in scores for match in s.matches)
    assert set(pd.read_parquet(tmp_path / "scans.parquet").scan) == {"tptbox_mri", "spider_005"}
    console = Console(width=160, record=True)
    for table in tables(scores):
        console.print(table)
    printed = console.export_text()
    for word in ("vertebral_body", "disc", "spinal_canal", "posterior_elements"):
        assert word in printed
    for word in ("PQ", "SQ", "RQ", "ASSD", "found once"):
        assert word in printed


def test_two_runs_can_be_compared(phantom, data, tmp_path):
    lost = max(set(np.unique(phantom.instance.array).tolist()) & set(range(1, 25)))
    for name, judge in (("old", Known(phantom, lost)), ("new", Known(phantom))):
        write_tables(list(score_real(judge, data)), tmp_path / name)
    runs = [read_evaluation(tmp_path / name, name) for name in ("old", "new")]
    rows = pd.DataFrame(compare(runs))
    found = rows[(rows.metric == "panoptic_quality") & (rows.stratum == "all")]
    found = found[found.structure == "vertebra"]
    assert len(found) == 1
    assert (found.mean_first < found.mean_second).all()


def test_a_scan_that_is_refused_counts_as_found_nothing(phantom, data, tmp_path):
    scores = list(score_real(Known(phantom, refuses=True), data))
    assert {s.status for s in scores} == {"no_spine"}
    write_tables(scores, tmp_path)
    rows = pd.read_parquet(tmp_path / "evaluation.parquet")
    dice = rows[(rows.metric == "dice") & rows.value.notna()]
    assert len(dice)
    assert (dice.value == 0).all()


class Named(Known):
    """Answers with the truth and its names."""

    def answer(self, name, path):
        answer = super().answer(name, path)
        taken = take_masks(answer.image, answer.semantic, answer.instance, LabelSettings())
        return replace(answer, levels=taken.levels)


@pytest.fixture(scope="module")
def named():
    """A phantom of whole bodies, and the answer that knows it."""
    settings = {"spacing_mm": (2.2, 2.2, 4.0), "region": "lumbar", "fov_mm": (150.0, 140.0, 80.0)}
    wide = make_phantom(PhantomSettings(**settings, seed=1))
    return wide, Named(wide).answer("a", None)


def reference_of(answer, disc):
    """A SPIDER-like mask of discs and canal."""
    drawn = np.zeros(disc.shape, np.uint8)
    drawn[disc], drawn[np.isin(answer.semantic.array, CANAL)] = DISC, SAC
    return {"semantic": answer.semantic.with_array(drawn)}


def errors_of_discs_and_canal(answer, disc):
    pair = measure_discs_and_canal("a", answer, reference_of(answer, disc), "spider_space")
    rows = [r for r in errors_of_rows(*pair) if r["region"] == "all" and r["values_n"]]
    return {row["column"]: row for row in rows}


def test_measures_of_discs_and_canal_are_compared_where_references_draw_them(named, tmp_path):
    _, answer = named
    rows = errors_of_discs_and_canal(answer, answer.semantic.array == Semantic.DISC)
    assert {"disc_height_mean_mm", "disc_depth_mm", "canal_ap_mm"} <= set(rows)
    assert not any(name.startswith(("signal", "cord", "gap")) for name in rows)
    # the reference is what was found, so nothing may differ
    assert max(abs(row["bias"]) for row in rows.values()) < 1e-9
    assert measure_discs_and_canal("a", answer, {"semantic": answer.semantic}, "cord") is None
    scored = Scored("a", "real", measures=({"discs": []}, {"discs": []}))
    assert errors_of_measures([scored], is_real=True) == []


def test_a_thicker_disc_is_an_error_of_the_found_one(named):
    _, answer = named
    disc = answer.semantic.array == Semantic.DISC
    rows = errors_of_discs_and_canal(answer, disc & np.roll(disc, 1, 1))
    assert rows["disc_height_mean_mm"]["bias"] > 0.5
    assert abs(rows["canal_ap_mm"]["bias"]) < 0.05  # a disc's slab lies where the disc does


def test_phantoms_are_measured_against_their_true_masks(named, tmp_path, capsys):
    phantom, answer = named
    scored = _scored_phantom("a", "intact", answer, phantom)
    write_tables([scored], tmp_path)
    rows = pd.read_parquet(tmp_path / "agreement.parquet")
    rows = rows[(rows.region == "all") & (rows.values_n > 0)]
    assert {("discs", "gap_mean_mm"), ("cord_canal", "canal_ap_mm")} <= set(
        zip(rows.table, rows.column, strict=True)
    )
    assert rows.bias.abs().max() < 1e-9
    print_errors(errors_of_measures([scored], is_real=False), "Errors")
    printed = capsys.readouterr().out
    assert all(f"{table}.{column}" in printed for table, column in MOST_USED)
