"""Any change of any file that a run reads or writes: what it concerns is computed again, no more.

By default a seeded few of all pairs of file and change; with COLUMNA_ALL_CHANGES=1 all of them
(most of an hour).
"""

import os
import random
import shutil
from pathlib import Path

import pytest
from small_run import SmallRun, computed_scans, small_cohort, write_scan
from tiny_models import CLASSIC_PLAN, write_instance, write_semantic

from columna.config import Config
from columna.errors import ColumnaError

SEED = 10
SAMPLES = 8
MOST_FILES = 140
WITH_NETWORK = "sub-04"
"""The scan that has no masks: a network segments it."""
NOT_COUNTED = (".lock", ".run", "_truth.json")


def touch(path: Path, _other: Path) -> None:
    os.utime(path, ns=(1, 1))


def delete(path: Path, _other: Path) -> None:
    path.unlink()


def edit(path: Path, _other: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path, _other: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def replace(path: Path, other: Path) -> None:
    shutil.copy(other, path)
    os.utime(path, ns=(7, 7))


CHANGES = {change.__name__: change for change in (touch, delete, edit, cut, replace)}


def add_network(run: SmallRun) -> None:
    """A fourth scan without masks, and models; its network finds no body."""
    write_scan(run.folder, WITH_NETWORK, seed=7)
    for mask in (run.folder / "data").glob(f"{WITH_NETWORK}_seg*"):
        mask.unlink()
    sheet = run.folder / "cohort.tsv"
    row = [WITH_NETWORK, f"{WITH_NETWORK}_T2w", f"data/{WITH_NETWORK}_T2w.nii.gz", "", ""]
    sheet.write_text(sheet.read_text() + "\t".join(row) + "\n")
    semantic = write_semantic(
        run.folder / "models/semantic",
        labels={"1": 100, "2": 61, "3": 49},
        resolution_range=[2.0, 2.0, 4.0],
        plan=CLASSIC_PLAN | {"spacing": [4.0, 2.0, 2.0]},
    )
    instance = write_instance(run.folder / "models/instance")
    run.config = Config(models={"semantic": str(semantic), "instance": str(instance)})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Four scans, computed; all tests share the folder, and each leaves it as it was."""
    run = small_cohort(tmp_path_factory.mktemp("any"))
    add_network(run)
    run.index()
    run.run()
    return run, run.tables()


def pairs() -> list[tuple[int, str]]:
    """Number of a file and name of a change; files are counted round, so any number will do."""
    everything = [(number, change) for change in CHANGES for number in range(MOST_FILES)]
    if os.environ.get("COLUMNA_ALL_CHANGES"):
        return everything
    return random.Random(SEED).sample(everything, SAMPLES)


def files_of(run: SmallRun) -> list[str]:
    found = [p for p in sorted(run.folder.rglob("*")) if p.is_file()]
    return [str(p.relative_to(run.folder)) for p in found if not p.name.endswith(NOT_COUNTED)]


def owners(name: str) -> set[str]:
    """The scans that a file belongs to."""
    if name.startswith("models"):
        return {f"{WITH_NETWORK}_T2w"}
    return {f"sub-0{n}_T2w" for n in (1, 2, 3, 4) if f"sub-0{n}" in name}


def bring_up(run: SmallRun) -> str | None:
    """Index and run, twice if the first time ends with a sentence; the sentence of the second."""
    told = None
    for _ in range(2):
        try:
            run.index()
            run.run()
        except ColumnaError as error:
            told = str(error)
        else:
            return None
    return told


def fresh_tables(run: SmallRun, folder: Path) -> dict[str, bytes]:
    """Tables of a run over the same files that has computed nothing before."""
    root = run.layout.root
    root.rename(folder)
    try:
        assert bring_up(run) is None
        return run.tables()
    finally:
        shutil.rmtree(root, ignore_errors=True)
        folder.rename(root)


@pytest.mark.parametrize(("number", "change"), pairs())
def test_any_file_changed_in_any_way(number, change, finished, tmp_path):
    run, tables = finished
    names = files_of(run)
    assert len(names) <= MOST_FILES
    name = names[number % len(names)]
    path = run.folder / name
    kin = [other for other in names if other != name and Path(other).suffix == path.suffix]
    saved = tmp_path / "saved"
    shutil.copy2(path, saved)
    before = run.computations()
    CHANGES[change](path, run.folder / (kin[number % len(kin)] if kin else "cohort.tsv"))
    told = bring_up(run)
    computed = computed_scans(before, run.computations())
    is_source = not name.startswith("results")
    where = f"{change} {name}"
    assert computed <= owners(name) or name == "cohort.tsv", where
    if change == "touch":
        assert (computed, told) == (set(), None), where
    if told is None:
        assert run.look().are_tables_current, where
        assert run.run() == [], where
        if is_source and change != "touch":
            assert run.tables() == fresh_tables(run, tmp_path / "aside"), where
        else:
            assert run.tables() == tables, where
    elif not is_source:
        assert name.endswith("ledger.tsv"), f"{where}: {told}"
    # and back again: nothing of the change stays
    if is_source or told:
        shutil.copy2(saved, path)
    assert bring_up(run) is None, where
    assert run.tables() == tables, where
