import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from columna.cohort.ledger import assign, extend_ledger, read_ledger
from columna.errors import CohortError
from columna.results.manifest import FIELDS, ScanEntry, list_batches, read_manifest, write_manifests

scan_ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,8}", fullmatch=True)
cohorts = st.lists(
    st.tuples(st.lists(scan_ids, max_size=30, unique=True), st.integers(1, 7)), max_size=6
)


@given(cohorts)
@settings(deadline=None, max_examples=60)
def test_ledger_only_grows_whatever_cohorts_come(tmp_path_factory, history):
    path = tmp_path_factory.mktemp("ledger") / "ledger.tsv"
    before, content = {}, b""
    for cohort, batch_size in history:
        after = extend_ledger(path, cohort, batch_size)
        assert read_ledger(path) == after
        assert path.read_bytes().startswith(content)
        assert set(after) == set(before) | set(cohort)
        assert {scan: after[scan] for scan in before} == before
        sizes = [list(after.values()).count(batch) for batch in list_batches(path.parent)]
        assert all(sizes)
        assert sum(sizes) == len(after)
        before, content = after, path.read_bytes()


@given(st.sets(scan_ids, max_size=60), st.sets(scan_ids, max_size=60), st.integers(1, 9))
def test_new_scans_touch_few_batches(old, new, batch_size):
    ledger = assign({}, old, batch_size)
    added = assign(ledger, old | new, batch_size)
    assert set(added) == new - old
    full, rest = divmod(len(added), batch_size)
    assert len(set(added.values())) <= full + (2 if rest > 1 else 1 if rest else 0) + 1
    counts = list((ledger | added).values())
    assert all(
        counts.count(batch) == batch_size for batch in set(counts) - {max(counts, default="")}
    )


@given(st.permutations(["a", "b", "c", "d", "e"]))
def test_order_of_rows_does_not_matter(order):
    assert assign({}, order, 2) == assign({}, "abcde", 2)


def test_last_batch_is_filled_first():
    ledger = assign({}, ["a", "b", "c"], 2)
    assert ledger == {"a": "b00001", "b": "b00001", "c": "b00002"}
    assert assign(ledger, ["a", "d", "e"], 2) == {"d": "b00002", "e": "b00003"}


def test_a_smaller_batch_size_opens_a_new_batch():
    ledger = assign({}, ["a", "b", "c"], 3)
    assert assign(ledger, ["d"], 1) == {"d": "b00002"}


def test_more_than_99999_batches_stay_in_order(tmp_path):
    names = [f"{n:06d}" for n in range(100_001)]
    extend_ledger(tmp_path / "ledger.tsv", names, 1)
    assert read_ledger(tmp_path / "ledger.tsv")["100000"] == "b100001"
    assert list_batches(tmp_path)[-2:] == ["b100000", "b100001"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-1],
        lambda text: text[:-4],
        lambda text: text.replace("scan_id\tbatch\n", ""),
        lambda text: text + "a\tb00002\n",
        lambda text: text + "z\tb00009\n",
        lambda text: text + "z\tb00001\n",
        lambda text: text + "../z\tb00002\n",
        lambda text: text + "z\n",
        lambda text: text + "<<<<<<< HEAD\n",
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("a\tb00001\n", "a\tb00000\n"),
    ],
)
def test_damaged_ledger_is_refused_and_kept(tmp_path, damage):
    path = tmp_path / "ledger.tsv"
    extend_ledger(path, "abc", 2)
    path.write_bytes(damage(path.read_text()).encode())
    before = path.read_bytes()
    with pytest.raises(CohortError, match="damaged"):
        extend_ledger(path, "abcd", 2)
    assert path.read_bytes() == before


def test_manifests_come_back_as_written_and_rest_when_unchanged(tmp_path):
    ledger = extend_ledger(tmp_path / "ledger.tsv", ["a", "b", "c"], 2)
    entries = [
        ScanEntry("b", "O'Neill; rm -rf", None, tmp_path / 'a "b"  c.nii'),
        ScanEntry("a", "Äß 漢", "n 1", tmp_path / "$(x).nii.gz"),
        ScanEntry("c", "-", "s", tmp_path / "c.nii.gz"),
    ]
    scans = [(ledger[e.scan_id], e) for e in entries]
    assert write_manifests(tmp_path, scans) == ["b00001", "b00002"]
    assert read_manifest(tmp_path / "batches/b00001.tsv") == [entries[1], entries[0]]
    assert write_manifests(tmp_path, reversed(scans)) == []
    assert write_manifests(tmp_path, scans[:2]) == ["b00002"]
    assert read_manifest(tmp_path / "batches/b00002.tsv") == []


def test_manifest_missing_or_damaged(tmp_path):
    with pytest.raises(CohortError, match="columna index"):
        read_manifest(tmp_path / "b00001.tsv")
    (tmp_path / "b00001.tsv").write_text("scan_id\tparticipant_id\tsession_id\tpath\na\tb\tc\n")
    with pytest.raises(CohortError, match="damaged"):
        read_manifest(tmp_path / "b00001.tsv")


@pytest.mark.parametrize("name", ["../x", "/x", "..", "a/b", "", "-x", "a b"])
def test_names_in_a_manifest_are_no_paths(tmp_path, name):
    path = tmp_path / "b00001.tsv"
    empty = "\t" * (len(FIELDS) - 4)
    path.write_text("\t".join(FIELDS) + f"\n{name}\tp\t\tx.nii{empty}\n")
    with pytest.raises(CohortError, match="damaged"):
        read_manifest(path)
    path.write_text(path.read_text().replace(f"\n{name}\t", "\nx\t"))
    assert len(read_manifest(path)) == 1


def test_manifests_of_a_lost_ledger_are_removed(tmp_path):
    extend_ledger(tmp_path / "ledger.tsv", ["a", "b"], 1)
    write_manifests(tmp_path, [])
    (tmp_path / "ledger.tsv").unlink()
    extend_ledger(tmp_path / "ledger.tsv", ["a", "b"], 2)
    write_manifests(tmp_path, [])
    assert [p.name for p in (tmp_path / "batches").iterdir()] == ["b00001.tsv"]


def test_no_index_no_batches(tmp_path):
    assert list_batches(tmp_path) == []
    extend_ledger(tmp_path / "ledger.tsv", [], 3)
    assert list_batches(tmp_path) == []
