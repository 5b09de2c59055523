"""Label maps of several sources become one reference mask per scan (docs/training.md#fusing).

This is how the training data of SPINEPS came about: parts of vertebrae from a CT segmentation,
cord, discs and canal from other programs (Möller et al. 2024, https://arxiv.org/abs/2402.16368).
A table says what each number of a source stands for and which source wins; where two sources that
draw the same structure disagree too much, the scan is left out, since nobody knows which is right.
"""

import csv
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from columna.anatomy import semantic_names
from columna.cohort.sheet import read_sheet
from columna.config import PrepareSettings
from columna.errors import CohortError, ScanRefused
from columna.evaluate.conventions import structure_labels
from columna.files import atomic_path
from columna.images.volume import Volume, save_volume
from columna.label.given import on_grid
from columna.paths import expanded
from columna.prepare import read_mask, read_scan
from columna.results.names import MISSING

AGREEMENT = 0.7
"""Least Dice of two sources that both draw a structure."""
CASES = "cases.tsv"
TRAINING = "training.tsv"
_COLUMNS = ("source", "label", "structure", "priority")
_HIGHEST = 65535

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FusionRule:
    """What one number of one source becomes, and how much it counts.

    Parameters
    ----------
    source
        Column of the sheet that names the mask.
    label
        Number in that mask, 1 to 65535.
    structure
        Label of columna's semantic mask.
    priority
        Of several rules that claim a voxel, the one with the highest priority has it.
    """

    source: str
    label: int
    structure: int
    priority: int


@dataclass(frozen=True)
class Fused:
    """What became of one scan: ``ok`` and its mask, or the code and sentence of a reason."""

    participant_id: str
    scan_id: str
    path: str
    semantic: str = ""
    instance: str = ""
    status: str = "ok"
    reason: str = ""


def read_rules(path: Path) -> list[FusionRule]:
    """Rules of a tab-separated table with the columns source, label, structure and priority.

    Raises
    ------
    CohortError
        If a line says something that cannot be, with its number.
    """
    label_of = {name: label for label, name in semantic_names().items()}
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, delimiter="\t")
            if missing := set(_COLUMNS) - set(reader.fieldnames or ()):
                raise CohortError(f"{path}: lacks the columns {', '.join(sorted(missing))}")
            rules = [_rule(row, label_of, f"{path}, line {n}") for n, row in enumerate(reader, 2)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CohortError(f"{path}: cannot be read: {error}") from error
    if not rules:
        raise CohortError(f"{path}: holds no rules")
    _check_rules(rules, path)
    return rules


def fuse(
    sheet: Path,
    rules: Sequence[FusionRule],
    out: Path,
    prepare: PrepareSettings,
    least_dice: float = AGREEMENT,
) -> list[Fused]:
    """Fuse the masks of every scan of a sheet.

    Parameters
    ----------
    sheet
        Columns participant_id, path, one per source, and optionally instance, which is passed on.
    rules
        As `read_rules` gives them.
    out
        Folder for the masks, ``cases.tsv`` (all scans, with reasons) and ``training.tsv`` (a sheet
        of the fused ones, for `columna train convert`).
    prepare
        Which scans are accepted.
    least_dice
        Two sources that draw a structure may not differ more than that.

    Returns
    -------
    list of Fused
        One per row of the sheet, in its order.

    Raises
    ------
    CohortError
        If the sheet cannot be read or lacks the column of a source.
    """
    table = read_sheet(sheet, paired_masks=False)
    sources = sorted({rule.source for rule in rules})
    if missing := [name for name in sources if name not in table.columns]:
        raise CohortError(f"{sheet}: lacks the columns {', '.join(missing)} of the rules")
    scans = []
    for row in table.to_dict("records"):
        scan = _fused(row, sheet.parent, rules, out, prepare, least_dice)
        if scan.status != "ok":
            _log.warning("%s: left out: %s", scan.scan_id, scan.reason)
        scans.append(scan)
    _write(out / CASES, scans, [field.name for field in fields(Fused)])
    used = [scan for scan in scans if scan.status == "ok"]
    _write(out / TRAINING, used, ["participant_id", "scan_id", "path", "semantic", "instance"])
    return scans


def fuse_masks(masks: Mapping[str, np.ndarray], rules: Sequence[FusionRule]) -> np.ndarray:
    """Structure of every voxel, by the rule of the highest priority that claims it.

    Parameters
    ----------
    masks
        Source -> mask; all of one shape.
    rules
        Those of other sources are passed over.

    Returns
    -------
    numpy.ndarray
        uint8; 0 where no rule claims the voxel.
    """
    shape = next(iter(masks.values())).shape
    fused, best = np.zeros(shape, np.uint8), np.zeros(shape, np.uint16)
    order = sorted({rule.priority for rule in rules})
    for source, mask in masks.items():
        structure = np.zeros(_HIGHEST + 1, np.uint8)
        rank = np.zeros(_HIGHEST + 1, np.uint16)
        for rule in rules:
            if rule.source == source:
                structure[rule.label] = rule.structure
                rank[rule.label] = order.index(rule.priority) + 1
        found = rank[mask]
        wins = found > best
        fused[wins] = structure[mask[wins]]
        best[wins] = found[wins]
    return fused


def disagreements(
    masks: Mapping[str, np.ndarray], rules: Sequence[FusionRule]
) -> Iterator[tuple[str, str, str, float]]:
    """Structure, two sources that both draw all of it, and their Dice, where either has any."""
    drawn = {
        source: {
            part: [r.label for r in rules if (r.source, r.structure) == (source, part)]
            for part in {rule.structure for rule in rules if rule.source == source}
        }
        for source in masks
    }
    for name, labels in structure_labels().items():
        parts = [part for part in labels if any(part in known for known in drawn.values())]
        able = [s for s in masks if parts and all(part in drawn[s] for part in parts)]
        for one, other in combinations(able, 2):
            a, b = (
                np.isin(masks[s], [label for part in parts for label in drawn[s][part]])
                for s in (one, other)
            )
            total = np.count_nonzero(a) + np.count_nonzero(b)
            if total:
                yield name, one, other, 2 * np.count_nonzero(a & b) / total


def _fused(
    row: Mapping[Any, Any],
    folder: Path,
    rules: Sequence[FusionRule],
    out: Path,
    prepare: PrepareSettings,
    least_dice: float,
) -> Fused:
    scan = Fused(str(row["participant_id"]), str(row["scan_id"]), str(row["path"] or ""))
    if row["input_status"] != "ok":
        return _left_out(scan, row["input_status"], row["reason"] or "")
    try:
        grid = read_scan(Path(scan.path), prepare).volume
        masks = _masks(row, folder, rules, grid, prepare)
        _check_agreement(masks, rules, least_dice)
    except ScanRefused as refusal:
        return _left_out(scan, refusal.code, refusal.reason)
    target = out / f"{scan.scan_id}_seg-spine_dseg.nii.gz"
    save_volume(grid.with_array(fuse_masks(masks, rules)), target)
    instance = str(row.get("instance") or "")
    return Fused(scan.participant_id, scan.scan_id, scan.path, str(target.resolve()), instance)


def _check_agreement(
    masks: Mapping[str, np.ndarray], rules: Sequence[FusionRule], least_dice: float
) -> None:
    """Raise ScanRefused (``bad_mask``) where two sources draw a structure differently."""
    for name, one, other, dice in disagreements(masks, rules):
        if dice < least_dice:
            raise ScanRefused(
                "bad_mask",
                f"{one} and {other} disagree: the Dice of {name} is {dice:.2f}, and at least "
                f"{least_dice:.2f} is needed. Look which one is wrong, and correct or leave out "
                "that source.",
            )


def _left_out(scan: Fused, status: str, reason: str) -> Fused:
    return Fused(scan.participant_id, scan.scan_id, scan.path, status=status, reason=reason)


def _masks(
    row: Mapping[Any, Any],
    folder: Path,
    rules: Sequence[FusionRule],
    grid: Volume,
    prepare: PrepareSettings,
) -> dict[str, np.ndarray]:
    """Masks of all sources that the row names, on the grid of the scan."""
    masks = {}
    for source in sorted({rule.source for rule in rules}):
        given = str(row.get(source) or "").strip()
        if given.lower() in MISSING:
            continue
        try:
            mask = read_mask(_existing(folder, given), prepare)
        except (ScanRefused, ValueError) as error:
            raise ScanRefused("bad_mask", f"The mask {source}: {error}") from error
        masks[source] = on_grid(mask, grid, source).array
    if not masks:
        raise ScanRefused("bad_mask", "The sheet names no mask of any source.")
    return masks


def _existing(folder: Path, given: str) -> Path:
    path = folder / expanded(given)
    if not path.is_file():
        raise ScanRefused("bad_mask", f"There is no file {path}.")
    return path


def _rule(row: Mapping[str, str | None], label_of: Mapping[str, int], where: str) -> FusionRule:
    given = {column: (row[column] or "").strip() for column in _COLUMNS}
    if given["structure"] not in label_of:
        raise CohortError(f"{where}: {given['structure']!r} is no structure of labels.tsv")
    try:
        label, priority = int(given["label"]), int(given["priority"])
    except ValueError:
        raise CohortError(f"{where}: label and priority must be whole numbers") from None
    if not given["source"] or not 0 < label <= _HIGHEST:
        raise CohortError(f"{where}: needs a source, and a label from 1 to {_HIGHEST}")
    return FusionRule(given["source"], label, label_of[given["structure"]], priority)


def _check_rules(rules: Sequence[FusionRule], path: Path) -> None:
    """Raise CohortError where two rules contradict each other."""
    for one, other in combinations(rules, 2):
        if (one.source, one.label) == (other.source, other.label):
            raise CohortError(f"{path}: says twice what label {one.label} of {one.source} is")
        if one.priority == other.priority and one.source != other.source:
            raise CohortError(
                f"{path}: {one.source} and {other.source} have both priority {one.priority}, so "
                "that nobody can say who wins"
            )


def _write(path: Path, scans: Sequence[Fused], columns: Sequence[str]) -> None:
    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(
            file, columns, delimiter="\t", lineterminator="\n", extrasaction="ignore"
        )
        writer.writeheader()
        writer.writerows(asdict(scan) for scan in scans)
