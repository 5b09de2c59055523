"""The file of decisions: merged in any order, appended at once, hostile text, damaged lines."""

import multiprocessing
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from columna.errors import DecisionError
from columna.review.decisions import (
    FIELDS,
    LONGEST_COMMENT,
    Decision,
    append_decision,
    for_scan,
    in_force,
    read_decisions,
)


@pytest.fixture(autouse=True, scope="module")
def disk_that_need_not_be_waited_for():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


def decision(number, kind, scan="sub-1", at="2026-11-25T18:40:00Z", rater="anna", **known):
    return Decision(f"{number:032x}", scan, kind, **known, rater=rater, decided_at=at)


KINDS = st.one_of(
    st.builds(dict, kind=st.just("rate"), domain=st.sampled_from(["names", "discs"]),
              value=st.sampled_from(["good", "bad"])),
    st.builds(dict, kind=st.just("shift"), value=st.sampled_from(["+1", "-1", "2"])),
    st.builds(dict, kind=st.just("name"), vertebra=st.sampled_from(["1", "2"]),
              value=st.sampled_from(["T13", "L6"])),
    st.builds(dict, kind=st.just("false"), vertebra=st.sampled_from(["1", "2"])),
    st.builds(dict, kind=st.sampled_from(["exclude", "include"])),
)  # fmt: skip


@st.composite
def several(draw):
    """Decisions of two raters about two scans within three seconds, and some taken back."""
    made = []
    for number, known in enumerate(draw(st.lists(KINDS, max_size=12))):
        second = draw(st.integers(0, 2))
        made.append(
            decision(
                number,
                known.pop("kind"),
                scan=draw(st.sampled_from(["sub-1", "sub-2"])),
                at=f"2026-11-25T18:40:0{second}Z",
                rater=draw(st.sampled_from(["anna", "ben"])),
                **known,
            )
        )
    taken = draw(st.lists(st.sampled_from(made), max_size=3, unique=True)) if made else []
    undone = [
        decision(100 + n, "undo", scan=d.scan_id, value=d.decision_id) for n, d in enumerate(taken)
    ]
    return made + undone, draw(st.permutations(made + undone))


@given(several())
@settings(max_examples=25, deadline=None)
def test_order_of_merging_does_not_matter(tmp_path_factory, made):
    decisions, other = made
    assert in_force(decisions) == in_force(other + decisions[:3])
    folder = tmp_path_factory.mktemp("merged")
    for path, rows in ((folder / "a.tsv", decisions), (folder / "b.tsv", other)):
        for row in rows:
            append_decision(path, row)
    if decisions:
        merged = folder / "merged.tsv"
        merged.write_bytes((folder / "b.tsv").read_bytes() + (folder / "a.tsv").read_bytes())
        assert read_decisions(merged) == read_decisions(folder / "a.tsv")


@given(several())
@settings(max_examples=60, deadline=None)
def test_what_was_taken_back_is_as_never_made(made):
    decisions, _ = made
    gone = {d.value for d in decisions if d.decision == "undo"}
    kept = [d for d in decisions if d.decision != "undo" and d.decision_id not in gone]
    assert in_force(decisions) == in_force(kept)


def test_the_latest_counts_and_undo_brings_back_the_one_before():
    first = decision(1, "shift", value="+1")
    second = decision(2, "shift", value="-1", at="2026-11-25T18:41:00Z", rater="ben")
    assert in_force([second, first]) == [second]
    undo = decision(3, "undo", value=second.decision_id, at="2026-11-25T18:42:00Z")
    assert in_force([undo, second, first]) == [first]


def test_a_vertebra_is_named_or_false_and_a_scan_is_in_or_out():
    rows = [
        decision(1, "name", vertebra="3", value="L6"),
        decision(2, "exclude", at="2026-11-25T18:40:01Z"),
        decision(3, "false", vertebra="3", at="2026-11-25T18:40:02Z"),
        decision(4, "include", at="2026-11-25T18:40:03Z"),
        decision(5, "name", vertebra="2", value="L5", at="2026-11-25T18:40:04Z"),
    ]
    assert [d.decision for d in in_force(rows)] == ["false", "include", "name"]


def test_raters_have_a_rating_each():
    rows = [
        decision(1, "rate", domain="names", value="bad"),
        decision(2, "rate", domain="names", value="good", rater="ben"),
        decision(3, "rate", domain="names", value="usable", at="2026-11-25T18:41:00Z"),
    ]
    assert [(d.rater, d.value) for d in in_force(rows)] == [("ben", "good"), ("anna", "usable")]


@given(
    st.text(max_size=300),
    st.text(min_size=1, max_size=60).filter(lambda text: Decision("", text, "").scan_id.strip()),
)
@settings(max_examples=60, deadline=None)
def test_any_text_comes_back_on_one_line(tmp_path_factory, comment, scan):
    try:
        new = Decision.made(scan, "exclude", "anna", comment=comment)
        new.comment.encode()
        new.scan_id.encode()
    except (DecisionError, UnicodeEncodeError):
        return  # an empty scan_id, or a lone surrogate, which UTF-8 cannot hold
    path = tmp_path_factory.mktemp("text") / "corrections.tsv"
    append_decision(path, new)
    append_decision(path, decision(1, "include"))
    assert len(path.read_bytes().splitlines()) == 3
    assert set(read_decisions(path)) == {new, decision(1, "include")}


@pytest.mark.parametrize(
    "text",
    ['"', '"open', 'closed"', '""', '"whole"', "=cmd|' /C calc'!A0", "<img src=x onerror=y>",
     "../../etc/passwd", "a\tb\nc\rd", "'; DROP TABLE scans; --"],
)  # fmt: skip
def test_hostile_text_is_text(tmp_path, text):
    path = tmp_path / "corrections.tsv"
    for _ in range(3):
        append_decision(path, Decision.made(text, "exclude", "anna", comment=text))
    clean = text.replace("\t", " ").replace("\n", " ").replace("\r", " ")
    rows = read_decisions(path)
    assert [(row.scan_id, row.comment) for row in rows] == [(clean, clean)] * 3


GOOD = "\t".join(["0" * 31 + "1", "sub-1", "shift", "", "", "+1", "", "", "anna", "2026-11-25"])


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (GOOD[:40], "columns"),
        (GOOD.replace("shift", "move"), "move"),
        (GOOD.replace("+1", "0"), "shift is a number"),
        (GOOD.replace("+1", "L1"), "shift is a number"),
        (GOOD.replace("+1", "99"), "shift is a number"),
        (GOOD.replace("+1", "\u0661"), "shift is a number"),
        (GOOD.replace("\tanna", "\tAnna Müller"), "rater"),
        (GOOD.replace("2026-11-25", "25.11.2026"), "decided_at"),
        (GOOD.replace("\tshift\t\t\t", "\tshift\t\t3\t"), "has no vertebra"),
        (GOOD.replace("\tshift\t\t\t+1", "\tname\t\t0\tL1"), "position from the top"),
        (GOOD.replace("\tshift\t\t\t+1", "\tname\t\t\tL1"), "needs a vertebra"),
        (GOOD.replace("\tshift\t\t\t+1", "\tname\t\t3\tL9"), "L9"),
        (GOOD.replace("\tshift\t\t\t+1", "\trate\tnames\t\tfine"), "fine"),
        (GOOD.replace("\tshift\t\t\t+1", "\trate\tlegs\t\tgood"), "legs"),
        (GOOD.replace("\tshift\t\t\t+1", "\tundo\t\t\t12"), "decision_id"),
        (GOOD.replace("+1\t\t", "+1\tlooks wrong\t"), "comment"),
        (GOOD.replace("0" * 31, "0"), "32 hexadecimal"),
        (GOOD.replace("sub-1", ""), "scan_id is empty"),
        (GOOD.replace("sub-1", "sub-\udcff"), "UTF-8"),
    ],
)
def test_a_damaged_line_is_named(tmp_path, row, said):
    path = tmp_path / "corrections.tsv"
    text = "\n".join(["\t".join(FIELDS), GOOD.replace("1\tsub", "2\tsub"), row, ""])
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(DecisionError, match=said) as error:
        read_decisions(path)
    assert f"{path}: line 3: " in str(error.value)


def test_one_id_cannot_say_two_things(tmp_path):
    path = tmp_path / "corrections.tsv"
    path.write_text("\n".join(["\t".join(FIELDS), GOOD, GOOD, GOOD.replace("+1", "-1")]))
    with pytest.raises(DecisionError, match="line 4: line 2 has the same"):
        read_decisions(path)


@pytest.mark.parametrize(
    ("scan", "target", "said"), [("sub-2", 1, "another scan"), ("sub-1", 2, "takes back an 'undo'")]
)
def test_undo_is_of_a_decision_about_the_same_scan(tmp_path, scan, target, said):
    path = tmp_path / "corrections.tsv"
    append_decision(path, decision(1, "exclude"))
    append_decision(path, decision(2, "undo", value=f"{1:032x}"))
    append_decision(path, decision(3, "undo", scan=scan, value=f"{target:032x}"))
    with pytest.raises(DecisionError, match=f"line 4: .*{said}"):
        read_decisions(path)


def test_a_spreadsheet_may_leave_out_what_it_does_not_need(tmp_path):
    path = tmp_path / "corrections.tsv"
    rows = ["\ufeffscan_id\tdecision\tvertebra\tvalue\tmine\trater\tdecided_at", ""]
    rows += ["sub-1\tname\t3\tL6\tx\tanna\t2026-11-25 19:40:00+01:00"] * 2
    path.write_bytes("\r\n".join(rows).encode())
    (only,) = read_decisions(path)
    assert only.decided_at == "2026-11-25T18:40:00Z"
    assert (only.position, only.value) == (3, "L6")
    assert read_decisions(path) == [only]  # the id is that of the content
    with pytest.raises(DecisionError, match="nothing can be added"):
        append_decision(path, decision(1, "exclude"))


def test_rows_follow_the_columns_of_the_file_and_its_last_line(tmp_path):
    path = tmp_path / "corrections.tsv"
    path.write_text("\t".join(["mine", *reversed(FIELDS)]))  # no line break at the end
    append_decision(path, decision(1, "shift", value="+1"))
    assert read_decisions(path) == [decision(1, "shift", value="+1")]


def test_an_empty_file_holds_no_decision(tmp_path):
    path = tmp_path / "corrections.tsv"
    path.touch()
    assert read_decisions(path) == []
    append_decision(path, decision(1, "exclude"))
    assert len(read_decisions(path)) == 1


def test_what_is_no_decision_is_not_written(tmp_path):
    path = tmp_path / "corrections.tsv"
    long = decision(1, "exclude", comment="x" * (LONGEST_COMMENT + 1))
    for wrong in (long, decision(1, "shift", value="many")):
        with pytest.raises(DecisionError):
            append_decision(path, wrong)
    assert not path.exists()


def test_a_pipe_is_never_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DecisionError, match="not a regular file"):
        read_decisions(tmp_path / "pipe")
    with pytest.raises(DecisionError, match="not a regular file"):
        append_decision(tmp_path / "pipe", decision(1, "exclude"))


def test_decisions_of_a_scan():
    rows = [decision(1, "exclude"), decision(2, "exclude", scan="sub-11")]
    assert for_scan(rows, "sub-1") == rows[:1]


def _append_many(path, start):
    for number in range(start, start + 50):
        append_decision(path, decision(number, "exclude", comment="c" * 900))


def test_two_processes_at_once_lose_nothing(tmp_path):
    path = tmp_path / "corrections.tsv"
    spawn = multiprocessing.get_context("fork")
    workers = [spawn.Process(target=_append_many, args=(path, n)) for n in (0, 1000)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert len(read_decisions(path)) == 100
    assert path.read_text().count("decision_id") == 1


def test_a_killed_process_leaves_whole_rows(tmp_path):
    path = tmp_path / "corrections.tsv"
    code = (
        "import sys, pathlib; from columna.review.decisions import *\n"
        "while True: append_decision(pathlib.Path(sys.argv[1]), "
        "Decision.made('s', 'exclude', 'anna', comment='c' * 900)); print(flush=True)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", code, path], stdout=subprocess.PIPE, env=environment
    ) as process:
        told = sum(bool(process.stdout.readline()) for _ in range(5))
        process.kill()
    assert len(read_decisions(path)) >= told == 5
    append_decision(path, decision(1, "include"))
    assert read_decisions(path)
