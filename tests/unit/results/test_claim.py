"""Whose folder it is, decided without computing anything."""

import json

import pytest

from columna.errors import ColumnaError
from columna.files import sha256_file
from columna.results.claim import check_folder
from columna.results.derivatives import Derivatives


@pytest.fixture
def folder(tmp_path):
    """A scan, and a folder that holds its result."""
    scan, out = tmp_path / "a" / "s.nii.gz", tmp_path / "out"
    scan.parent.mkdir()
    scan.write_bytes(b"a scan")
    names = Derivatives(out, "s")
    (out / "work").mkdir(parents=True)
    (out / "tables").mkdir()
    sheet = out / "work" / "scan.tsv"
    sheet.write_text(f"participant_id\tscan_id\tpath\ns\ts\t{scan}\n")
    stages = {"Stages": {"prepare": {"input": sha256_file(scan)}}}
    (out / names.sidecar.name).write_text(json.dumps(stages))
    return scan, sheet, out


def test_an_empty_folder_is_free(folder, tmp_path):
    check_folder(folder[0], "s", tmp_path / "no.tsv", tmp_path / "new")
    check_folder(folder[0], "s", tmp_path / "no.tsv", tmp_path / "a")


@pytest.mark.parametrize("change", ["nothing", "content", "moved", "no work"])
def test_the_same_scan_may_come_again(change, folder):
    scan, sheet, out = folder
    if change == "content":
        scan.write_bytes(b"repaired")
    if change == "moved":
        scan = scan.rename(scan.with_name("t.nii.gz"))
    if change == "no work":
        sheet.unlink()
    check_folder(scan, "s", sheet, out)


@pytest.mark.parametrize("known", [True, False])
def test_another_scan_is_refused_whatever_its_name(known, folder, tmp_path):
    _, sheet, out = folder
    other = tmp_path / "s.nii.gz"
    other.write_bytes(b"another scan")
    if not known:
        sheet.unlink()
    with pytest.raises(ColumnaError, match="a folder of its own"):
        check_folder(other, "s", sheet, out)


def test_a_damaged_sheet_is_named(folder):
    scan, sheet, out = folder
    sheet.write_bytes(b"participant_id\n\xff")
    with pytest.raises(ColumnaError, match=r"scan\.tsv is damaged"):
        check_folder(scan, "s", sheet, out)
