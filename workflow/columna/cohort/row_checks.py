"""Checks that every row of a cohort goes through; the first reason found is the one that stays.

Nothing is opened here: a file is damaged only when `prepare` says so.
"""

import os
import stat
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import pandas as pd

from columna.cohort.candidates import OUTCOME, accepted, leave_out
from columna.cohort.owned import owned_paths
from columna.prepare.modality import name_verdict
from columna.results.given_levels import LEVEL_COLUMNS, problem_of
from columna.results.manifest import MASKS, REFERENCES
from columna.results.names import CONTROL, PERSON, SCAN_ID

STAT_THREADS = 16
STAT_CHUNK = 500


def check_rows(
    rows: pd.DataFrame, known: Collection[str] = (), *, paired_masks: bool = True
) -> None:
    """Give every row of `rows` that cannot be a scan its reason, in place.

    Scans in `known` have a batch already (`check_duplicates`).
    """
    check_values(rows)
    check_masks(rows, paired=paired_masks)
    check_given_levels(rows)
    check_file_names(rows)
    check_duplicates(rows, known)
    check_files(rows, "path")
    for mask in MASKS:
        if mask in rows:
            check_files(rows, mask)


def check_values(rows: pd.DataFrame) -> None:
    """Leave out rows without a required value, or with names that cannot be used."""
    for column in ("participant_id", "path"):
        leave_out(
            rows,
            rows[column].isna(),
            "bad_row",
            f"The row has no {column} (words such as n/a, NA and None count as none).",
        )
    for column in ("participant_id", "session_id"):
        usable = rows[column].isna() | rows[column].str.fullmatch(PERSON).eq(True)
        leave_out(
            rows,
            ~usable,
            "bad_row",
            f"The {column} holds a slash or a control character, or is longer than 120 characters.",
        )
    leave_out(
        rows,
        rows["path"].str.contains(CONTROL).eq(True),
        "bad_row",
        "The path holds a line break or another control character.",
    )
    leave_out(
        rows,
        ~rows["scan_id"].str.fullmatch(SCAN_ID).eq(True),
        "bad_row",
        "The scan_id must begin with a letter or digit, consist of A-Z, a-z, 0-9, '.', '_', '+' "
        "and '-', and have at most 120 characters; rename the file, or give a scan_id in a cohort "
        "sheet.",
    )


def check_masks(rows: pd.DataFrame, *, paired: bool = True) -> None:
    """Leave out rows with an unusable path of a mask or, if `paired`, with one mask only."""
    masks = rows.reindex(columns=list(MASKS))
    one_sided = masks.notna().sum(axis=1) == 1
    leave_out(
        rows, one_sided & paired, "bad_row", "The row names one mask; give semantic and instance."
    )
    for mask in MASKS:
        unusable = masks[mask].astype("string").str.contains(CONTROL).eq(True).fillna(False)
        leave_out(
            rows, unusable.astype(bool), "bad_row", f"The path of the {mask} mask cannot be used."
        )


def check_given_levels(rows: pd.DataFrame) -> None:
    """Leave out rows whose given levels are none: a name counted from them would be wrong."""
    given = rows.reindex(columns=list(LEVEL_COLUMNS)).dropna(how="all")
    for index, row in given.iterrows():
        texts = zip(LEVEL_COLUMNS, row, strict=True)
        problem = problem_of({name: text for name, text in texts if isinstance(text, str)})
        if problem:
            leave_out(rows, rows.index == index, "bad_row", problem)


def check_file_names(rows: pd.DataFrame) -> None:
    """Leave out files whose name says that they are something else than a T2w scan."""
    candidates = rows.loc[accepted(rows), "path"]
    verdicts = candidates.map(lambda path: name_verdict(Path(path))).dropna()
    if len(verdicts):
        rows.loc[verdicts.index, list(OUTCOME)] = verdicts.tolist()


def check_duplicates(rows: pd.DataFrame, known: Collection[str] = ()) -> None:
    """Leave out rows that would write a file of another row's scan.

    Some disks do not tell upper from lower case, so neither counts.

    Parameters
    ----------
    rows
        Changed in place.
    known
        Scans that have a batch already. They come before those that are new, wherever their rows
        are: what is computed for them stays theirs.
    """
    known = set(known)
    candidates = rows.loc[accepted(rows), "scan_id"]
    in_order = sorted(candidates.items(), key=lambda item: item[1] not in known)
    owners: dict[str, str] = {}
    for index, scan_id in in_order:
        paths = owned_paths(scan_id)
        owner = next((owners[path] for path in paths if path in owners), None)
        if owner is None:
            owners |= dict.fromkeys(paths, scan_id)
        else:
            rows.loc[index, list(OUTCOME)] = ["duplicate_scan", _clash(scan_id, owner)]


def _clash(scan_id: str, owner: str) -> str:
    if scan_id.lower() == owner.lower():
        return "Another row has the same scan_id (upper and lower case count as the same)."
    return f"The scan would write the same files as {owner}; give it another scan_id."


def check_files(rows: pd.DataFrame, column: str) -> None:
    """Leave out rows whose file in `column`, where they have one, does not exist."""
    candidates = rows.loc[accepted(rows), column].dropna()
    # in threads: network file systems are slow to answer
    with ThreadPoolExecutor(STAT_THREADS) as pool:
        found = pool.map(_missing, _chunks(candidates.tolist()))
        problems = pd.Series(chain.from_iterable(found), candidates.index, dtype=object)
    which = "" if column == "path" else f"The {column} mask: "
    for reason, where in problems.groupby(problems).groups.items():
        leave_out(rows, rows.index.isin(where), "missing_file", f"{which}{reason}")


def count_references(rows: pd.DataFrame) -> tuple[int, int]:
    """Reference masks that scans of `rows` name, and those of them that are not there.

    A missing one is no reason to leave out its scan: only its evaluation is refused.
    """
    named = [rows.loc[accepted(rows), column].dropna() for column in REFERENCES if column in rows]
    paths = sorted({path for column in named for path in column})
    with ThreadPoolExecutor(STAT_THREADS) as pool:
        found = chain.from_iterable(pool.map(_missing, _chunks(paths)))
        return len(paths), sum(problem is not None for problem in found)


def _chunks(paths: list[str]) -> Iterator[list[str]]:
    return (paths[start : start + STAT_CHUNK] for start in range(0, len(paths), STAT_CHUNK))


def _missing(paths: list[str]) -> list[str | None]:
    return [_missing_one(path) for path in paths]


def _missing_one(path: str) -> str | None:
    """Why a file is not there, or None."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - a Path per file costs more than the call
    except (FileNotFoundError, NotADirectoryError):
        if os.path.islink(path):  # noqa: PTH114
            return "The link points to a file that is not there (DataLad: get the file first)."
        return "The file does not exist."
    except (OSError, ValueError) as error:
        return f"The file cannot be reached: {getattr(error, 'strerror', 'unusable path')}."
    return None if stat.S_ISREG(mode) else "The path is not that of a file."
