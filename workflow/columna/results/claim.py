"""Whose folder it is: `columna segment` never mixes the results of two scans."""

import csv
from pathlib import Path

from columna.errors import ColumnaError
from columna.files import read_json, sha256_file
from columna.results.derivatives import Derivatives
from columna.results.layout import Layout


def check_folder(scan: Path, scan_id: str, sheet: Path, out: Path) -> None:
    """Raise ColumnaError if `out` holds a result that is not that of `scan`.

    A scan is the same if it lies where it lay, whatever it holds now, or if it holds what it held,
    wherever it lies now.

    Parameters
    ----------
    scan, scan_id
        The scan that is to be segmented.
    sheet
        Sheet of the scan that was segmented into `out` last, if it is there.
    out
        The folder.
    """
    last = _last_scan(sheet)
    if last == scan.resolve() or (last is None and not _holds_results(out, scan_id)):
        return
    if scan.is_file() and _delivered_digest(out, scan_id) == sha256_file(scan):
        return
    whose = f"the result of another scan ({last})" if last else "other results"
    raise ColumnaError(f"{out} holds {whose}: give {scan} a folder of its own")


def _last_scan(sheet: Path) -> Path | None:
    try:
        with open(sheet, newline="", encoding="utf-8") as stream:
            [row] = csv.DictReader(stream, delimiter="\t")
            return Path(row["path"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise ColumnaError(f"{sheet} is damaged: remove the folder {sheet.parent}") from error


def _holds_results(out: Path, scan_id: str) -> bool:
    """Whether something that would be written is there already, or a whole cohort is."""
    names = [file.name for file in Derivatives(out, scan_id).files]
    names.append(Layout(out).picture(scan_id).name)
    return any((out / name).exists() for name in ("tables", "index", *names))


def _delivered_digest(out: Path, scan_id: str) -> str | None:
    """Digest of the scan whose masks lie in `out`, by their sidecar."""
    try:
        sidecar = read_json(out / Derivatives(out, scan_id).sidecar.name)
        return sidecar["Stages"]["prepare"]["input"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
