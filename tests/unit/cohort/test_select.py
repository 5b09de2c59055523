"""Some scans of a cohort instead of all."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from columna.cohort.index import build_index
from columna.cohort.select import selected
from columna.config import Selection
from columna.errors import CohortError

SCANS = [
    "sub-01/ses-a/anat/sub-01_ses-a_acq-sag_T2w",
    "sub-01/ses-b/anat/sub-01_ses-b_acq-sag_run-01_T2w",
    "sub-02/ses-a/anat/sub-02_ses-a_T2w",
    "sub-02/ses-a/anat/sub-02_ses-a_T1w",
    "sub-003/anat/sub-003_acq-tra_T2w",
    "sub-3/anat/sub-3_acq-sag_T2w",
]


@pytest.fixture
def dataset(tmp_path):
    for scan in SCANS:
        file = tmp_path / "bids" / f"{scan}.nii.gz"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (tmp_path / "bids/stray_T2w.nii.gz").touch()
    return tmp_path / "bids"


def index(dataset, *selections, name="index"):
    out = dataset.parent / name
    build_index(dataset, out, 2, [Selection(**s) for s in selections])
    rows = pd.read_parquet(out / "scans.parquet")
    return list(rows["scan_id"])


@pytest.mark.parametrize(
    ("selection", "scans"),
    [
        ({"participants": ["sub-02"]}, ["sub-02_ses-a_T1w", "sub-02_ses-a_T2w"]),
        ({"participants": ["3"]}, ["sub-3_acq-sag_T2w"]),
        ({"participants": ["01"], "sessions": ["ses-b"]}, ["sub-01_ses-b_acq-sag_run-01_T2w"]),
        ({"entities": {"acquisition": ["tra"]}}, ["sub-003_acq-tra_T2w"]),
        ({"entities": {"acq": None, "suffix": ["T2w"]}}, ["stray_T2w", "sub-02_ses-a_T2w"]),
        ({"entities": {"run": ["1"]}}, ["sub-01_ses-b_acq-sag_run-01_T2w"]),
        ({"entities": {"run": ["*"]}}, ["sub-01_ses-b_acq-sag_run-01_T2w"]),
    ],
)
def test_what_a_selection_takes(dataset, selection, scans):
    assert sorted(index(dataset, selection)) == scans


def test_selections_add_up_and_batches_stay(dataset):
    index(dataset, {"participants": ["3"]})
    both = index(dataset, {"participants": ["3"]}, {"participants": ["02"]})
    assert sorted(both) == ["sub-02_ses-a_T1w", "sub-02_ses-a_T2w", "sub-3_acq-sag_T2w"]
    ledger = (dataset.parent / "index/ledger.tsv").read_text().splitlines()[1:]
    assert ledger == ["sub-3_acq-sag_T2w\tb00001", "sub-02_ses-a_T2w\tb00001"]


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        ({"participants": ["01", "7"]}, "there is no sub-7; there are: sub-003, sub-01"),
        ({"participants": ["02"], "sessions": ["b"]}, "there is no ses-b; there are: ses-a"),
        ({"entities": {"acq": ["cor"]}}, "no file fits"),
        ({"entities": {"aqc": ["sag"]}}, "'aqc' is not a BIDS entity"),
    ],
)
def test_what_cannot_be_found_is_an_error_and_changes_nothing(dataset, selection, said):
    with pytest.raises(CohortError, match=said):
        index(dataset, selection)
    assert not (dataset.parent / "index/ledger.tsv").exists()


def test_a_participant_without_a_fitting_file_is_named(dataset, caplog):
    index(dataset, {"participants": ["01", "02"], "sessions": ["b"]})
    assert "no file of sub-02 fits" in caplog.text


LABELS = st.sampled_from(["1", "01", "2", "10"])


@settings(max_examples=50)
@given(st.lists(LABELS, min_size=1), st.sets(LABELS, min_size=1), st.booleans())
def test_exactly_the_participants_asked_for(cohort, wanted, with_prefix):
    wanted &= set(cohort)
    names = [f"sub-{label}" for label in cohort]
    rows = pd.DataFrame({"participant_id": names, "session_id": None, "path": names})
    selections = [Selection(participants=[f"sub-{w}" if with_prefix else w]) for w in wanted]
    kept = selected(rows, selections, "cohort")["participant_id"].tolist()
    assert kept == [n for n in names if not wanted or n.removeprefix("sub-") in wanted]
