"""TSV and CSV sheets: rows in = rows out, or one error that names file and line."""

import csv
import io
import re

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from columna.cohort.delimited import read_delimited
from columna.cohort.index import build_index
from columna.errors import CohortError

DELIMITERS = {".tsv": "\t", ".csv": ","}


def read(folder, text, suffix=".tsv"):
    path = folder / f"sheet{suffix}"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_delimited(path, DELIMITERS[suffix])


def sheet(comments, suffix):
    """A sheet whose rows, written without any quoting, end in `comments`."""
    rows = [("participant_id", "path", "comment")]
    rows += [(f"sub-{n}", f"sub-{n}_T2w.nii.gz", c) for n, c in enumerate(comments, start=1)]
    return "".join(DELIMITERS[suffix].join(row) + "\n" for row in rows)


STRAY = [
    ["ok", '"6 ch coil', "ok", "ok", 'coil 6"', "ok"],
    ["ok", '"6 ch coil', "ok"],
    ["ok", "ok", '"6 ch coil'],
    ["ok", "ok", '6 ch coil"'],
    ['"head first" supine', "ok", 'he said "hi"'],
    ['"6', '"6', '6"'],
    ['"', "ok", "ok"],
    ['""', "ok", '"""', '""""'],
    ['6" coil', '"a" and "b"', 'x"y"z'],
    ['"one', 'two"', "ok", '"three', "ok", 'four"'],
]


@pytest.mark.parametrize("suffix", DELIMITERS)
@pytest.mark.parametrize("comments", STRAY)
def test_stray_quotes_swallow_no_row(tmp_path, suffix, comments):
    found = read(tmp_path, sheet(comments, suffix), suffix)
    assert [row[0] for row in found.rows] == [f"sub-{n}" for n in range(1, len(comments) + 1)]
    assert found.lines == list(range(2, len(comments) + 2))
    for row, comment in zip(found.rows, comments, strict=True):
        is_quoted = comment in ('""', '""""')
        assert row[2] == (comment[1:-1].replace('""', '"') if is_quoted else comment)


def test_stray_quotes_with_a_damaged_row_between_are_one_error(tmp_path):
    text = sheet(["ok", '"6 ch', "ok", "ok\textra", 'coil"'], ".tsv")
    with pytest.raises(CohortError, match=r"sheet\.tsv: line 3: a quote opens .* on line 6"):
        read(tmp_path, text)


@pytest.mark.parametrize("suffix", DELIMITERS)
def test_values_of_several_lines_are_read(tmp_path, suffix):
    rows = [["a", "b", "c"], ["1", 'one\ntwo, "three"\r\nfour', "x"], ["2", "y", "last\n\nline"]]
    rows += [["first\nline", "z\t,", ""], ["4", "5", "6"]]
    stream = io.StringIO()
    csv.writer(stream, delimiter=DELIMITERS[suffix], lineterminator="\n").writerows(rows)
    found = read(tmp_path, stream.getvalue(), suffix)
    assert [found.header, *found.rows] == rows
    assert found.lines == [2, 5, 8, 10]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_blanks_and_byte_order_marks(tmp_path, end, mark):
    text = ["", " a , b,c,", '1, "x, y" ,3,,', "", ",,", "4,5,6", "   "]
    found = read(tmp_path, mark + end.join(text).encode(), ".csv")
    assert found.header == ["a", "b", "c"]
    assert found.rows == [["1", "x, y", "3"], ["4", "5", "6"]]
    assert found.lines == [3, 6]


def test_a_line_that_is_no_text_is_named(tmp_path):
    with pytest.raises(CohortError, match=r"sheet\.tsv: line 3: not UTF-8"):
        read(tmp_path, b"\xef\xbb\xbfa\tb\r\n1\t2\r\nM\xfcller\t3\r\n")


def test_many_stray_quotes_take_no_time(tmp_path):
    text = sheet(['"6 ch coil'] * 20_000, ".tsv")
    assert len(read(tmp_path, text).rows) == 20_000


def write_cohort(quoting, suffix):
    """Six rows with values in quotes or not, one of them of two lines where quotes allow it."""
    notes = ["ok", 'a "b" c', "d, e", "f\nsecond line", "1,5", "g h"]
    rows = [["participant_id", "scan_id", "path", "note"]]
    rows += [[f"p{n}", f"s{n}", "a.nii", note] for n, note in enumerate(notes)]
    stream = io.StringIO()
    if quoting is not None:
        writer = csv.writer(stream, delimiter=DELIMITERS[suffix], quoting=quoting)
        writer.writerows(rows)
        return stream.getvalue().encode()
    plain = [[re.sub(r"[\n,]", " ", value) for value in row] for row in rows]
    return "".join(DELIMITERS[suffix].join(row) + "\n" for row in plain).encode()


@pytest.mark.parametrize("suffix", DELIMITERS)
@pytest.mark.parametrize("quoting", [None, csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@given(place=st.integers(0, 10_000), byte=st.sampled_from([*b'"\t,\n\r\0 ~$\xff\xc3x/', None]))
@settings(deadline=None, max_examples=40)
def test_any_byte_changed_loses_no_other_row(tmp_path_factory, suffix, quoting, place, byte):
    folder = tmp_path_factory.mktemp("byte")
    (folder / "a.nii").touch()
    content = write_cohort(quoting, suffix)
    place %= len(content)
    path = folder / f"c{suffix}"
    put = b"" if byte is None else bytes([byte])
    path.write_bytes(content[:place] + put + content[place + 1 :])
    try:
        summary = build_index(path, folder / "out", 4)
    except CohortError as error:
        told = str(error)
        assert told.startswith(f"{path}: ")
        assert re.search(r"\bline \d+", told)
        return
    rows = pd.read_parquet(folder / "out/scans.parquet")
    assert len(rows) == summary.rows_n >= 5
    starts = [m.start() for m in re.finditer(rb'^"?p\d"?[\t,]', content, re.MULTILINE)]
    ends = [*starts[1:], len(content)]
    if place >= starts[0]:  # beyond the header
        spared = {
            f"s{n}"
            for n, (start, end) in enumerate(zip(starts, ends, strict=True))
            # a line end belongs to both lines
            if not start - 2 <= place < end
        }
        assert spared <= set(rows.loc[rows["input_status"] == "ok", "scan_id"])


def test_a_header_that_fits_no_row_is_one_error(tmp_path):
    (tmp_path / "a.nii").touch()
    text = "participant_id\tpath\n1\tp\ta.nii\n2\tq\ta.nii\n"  # R's write.table with row names
    (tmp_path / "c.tsv").write_text(text)
    with pytest.raises(CohortError, match=r"c\.tsv: line 2 has 3 fields, the header has 2"):
        build_index(tmp_path / "c.tsv", tmp_path / "out", 4)
