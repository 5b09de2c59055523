"""References of a cohort: the stage, its receipts and its tables, without Snakemake."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from small_run import SCANS, SmallRun, small_cohort

from columna.batch.job import run_job
from columna.chain import EVALUATE
from columna.collect.collect_evaluation import collect_evaluation
from columna.config import config_sha256
from columna.errors import TableError
from columna.evaluate.evaluate_stage import EvaluateStage
from columna.results.manifest import list_batches, list_evaluated
from columna.results.store import Store
from columna.tables.catalogue import OPTIONAL

REFERENCES = ("reference_semantic", "reference_instance", "reference_convention")
OWN = "levels"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Three scans: references are their own masks, a missing one, and one of another convention."""
    run = small_cohort(tmp_path_factory.mktemp("cohort"))
    run = SmallRun(run.folder, run.config.model_copy(update={"evaluate": _settings("1-28")}))
    vert = nib.load(run.folder / "data" / f"{SCANS[2]}_seg-vert_dseg.nii.gz")
    nib.save(vert, run.folder / "data" / "mask.nii")
    _name_references(
        run,
        [
            [f"data/{SCANS[0]}_seg-{k}_dseg.nii.gz" for k in ("spine", "vert")] + [""],
            ["$NO_SUCH_VARIABLE/none.nii.gz", "data", ""],
            ["", "data/mask.nii", OWN],
        ],
    )
    run.index()
    run.run()
    _evaluate(run)
    return run


def _settings(vertebrae):
    from columna.config import EvaluateSettings

    return EvaluateSettings(conventions={OWN: {"instances": {"vertebra": vertebrae}}})


def _name_references(run, references):
    sheet = run.folder / "cohort.tsv"
    header, *rows = [line.split("\t")[:5] for line in sheet.read_text().splitlines()]
    lines = [
        [*header, *REFERENCES],
        *(row + more for row, more in zip(rows, references, strict=False)),
    ]
    sheet.write_text("".join("\t".join(line) + "\n" for line in lines))


def _evaluate(run):
    """The jobs that Snakemake would run; the batches that were evaluated."""
    batches = run.look().evaluations
    for batch in batches:
        run_job(EvaluateStage(run.config, run.layout), batch, 1)
    if list_evaluated(run.layout.index):
        collect_evaluation(run.layout, config_sha256(run.config))
    return batches


def _table(run, name):
    return pd.read_parquet(run.layout.tables / f"{name}.parquet")


def _computed(run):
    store = Store(run.layout)
    records = {scan: store.read(scan, EVALUATE) for scan in store.scan_ids()}
    return {scan: record.computations_n for scan, record in records.items() if record}


def test_every_scan_with_a_reference_has_a_row(finished):
    pairs = _table(finished, "evaluation_pairs").set_index("participant_id")
    assert dict(pairs.status) == dict(zip(SCANS, ["done", "refused", "done"], strict=True))
    assert "there is no such mask" in pairs.reason[SCANS[1]]
    assert str(finished.folder) not in pairs.reason[SCANS[1]]
    assert (_table(finished, "scans").processing_status == "done").all()
    rows = _table(finished, "evaluation")
    dice = rows[(rows.metric == "dice") & (rows.structure == "vertebra")]
    assert (dice.value == 1).all()
    own = rows[rows.participant_id == SCANS[2]]
    assert set(own.structure) == {"vertebra"}, "what a reference lacks is not evaluated"
    assert set(rows.participant_id) == {SCANS[0], SCANS[2]}
    summary = _table(finished, "evaluation_summary")
    assert len(summary) == len(summary.drop_duplicates(["structure", "unit", "stratum", "metric"]))


def test_nothing_is_done_twice(finished):
    before = {name: (finished.layout.tables / f"{name}.parquet").read_bytes() for name in OPTIONAL}
    assert finished.look().evaluations == ()
    assert finished.run() == []
    collect_evaluation(finished.layout, config_sha256(finished.config))
    assert before == {n: (finished.layout.tables / f"{n}.parquet").read_bytes() for n in OPTIONAL}


def test_exactly_what_a_change_concerns_is_evaluated_again(finished):
    once = _computed(finished)
    assert set(once) == {f"{name}_T2w" for name in SCANS}
    path = finished.folder / "data" / "mask.nii"
    mask = nib.load(path)
    labels = np.asanyarray(mask.dataobj).copy()
    labels[labels == 23] = 0
    nib.save(nib.Nifti1Image(labels, mask.affine), path)
    assert finished.look().stale == {}, "a reference is no reason to measure again"
    assert _evaluate(finished) == ("b00002",)
    assert _computed(finished) == once | {f"{SCANS[2]}_T2w": 2}

    other = SmallRun(
        finished.folder, finished.config.model_copy(update={"evaluate": _settings("1-22")})
    )
    assert _evaluate(other) == ("b00001", "b00002")
    assert _computed(other) == once | {f"{SCANS[2]}_T2w": 3}, "only it uses that convention"

    name = other.layout.shard("evaluation", "b00001")
    name.write_bytes(name.read_bytes()[:-1])
    assert other.look().evaluations == ("b00001",)
    assert other.look().stale == {}
    _evaluate(other)
    assert other.look().evaluations == ()

    # without references, no tables are left, and none can be made
    _name_references(other, [[], [], []])
    sheet = other.folder / "cohort.tsv"
    lines = sheet.read_text().splitlines()
    sheet.write_text("\n".join([lines[0].removesuffix("\t" + "\t".join(REFERENCES)), *lines[1:]]))
    other.index()
    assert other.run()[-1] == "collect"
    assert not any((other.layout.tables / f"{n}.parquet").exists() for n in OPTIONAL)
    assert list_batches(other.layout.index) == ["b00001", "b00002"]
    with pytest.raises(TableError, match="no scan of the cohort has a reference"):
        collect_evaluation(other.layout, config_sha256(other.config))
