"""Scans and masks of your own: checked, prepared, and kept as an nnU-Net raw dataset.

One conversion serves all engines. nnU-Net reads ``imagesTr`` and ``labelsTr``; columna's own loop
reads these and ``instancesTr``, which nnU-Net does not know of.
"""

import csv
import io
import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from columna.anatomy import BODY, ENDPLATES, Semantic
from columna.cohort.sheet import read_sheet
from columna.config import PrepareSettings
from columna.errors import CohortError, ScanRefused
from columna.files import write_json, write_text
from columna.images.volume import PIR, Volume, resample_mask_like, save_image, save_volume
from columna.models.grid import ModelGrid
from columna.prepare import prepare_scan, read_mask, read_scan
from columna.prepare.stage import PADDING
from columna.train.labels import ALL, LABELS, Classes
from columna.train.recipe import DatasetSettings
from columna.train.samples.corrected_scans import corrected_scans
from columna.train.samples.label_sets import LabelSets, coded, label_sets

CASES = "cases.tsv"
MASKS = ("semantic", "instance")
OWN_GRID = ModelGrid(PIR, (0.0,) * 3, (math.inf,) * 3)
"""Every scan keeps its voxel size: nnU-Net plans its own, and samples are cut at theirs."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Case:
    """One scan of the converted dataset, or the reason why it is not in it.

    Parameters
    ----------
    case
        Name of its files.
    dataset
        Name in the recipe.
    participant_id, scan_id
        As in the sheet.
    fold
        Part of the participants that it belongs to.
    status
        ``ok``, or the code of a reason (``resources/reasons.tsv``).
    reason
        A sentence, where the status is not ``ok``.
    """

    case: str
    dataset: str
    participant_id: str
    scan_id: str
    fold: int
    status: str = "ok"
    reason: str = ""


def convert(
    datasets: Mapping[str, DatasetSettings],
    folder: Path,
    folds: int,
    prepare: PrepareSettings,
    classes: Classes = ALL,
) -> list[Case]:
    """Convert all scans of all sheets into one nnU-Net raw dataset.

    Parameters
    ----------
    datasets
        Name -> sheet.
    folder
        ``.../nnUNet_raw/Dataset100_columna``.
    folds
        Parts that participants are divided into.
    prepare
        Whether to run N4, and what to accept.
    classes
        What phase 1 tells apart. Where it merges structures there is no phase 2, and instance
        masks are not needed.

    Returns
    -------
    list of Case
        One per row of the sheets; those that cannot be used say why. Also in ``cases.tsv``.

    Raises
    ------
    CohortError
        If a sheet cannot be read, has no masks, or nothing in all of them can be used.
    """
    cases: list[Case] = []
    sets = label_sets(datasets, classes)
    for name, settings in datasets.items():
        rows = list(sheet_rows(settings.sheet, needed=_needed(settings, classes)))
        parts = folds_of({row.participant_id for row in rows}, folds)
        for row in rows:
            case = Case(
                f"{name}_{len(cases):05d}", name, row.participant_id, row.scan_id,
                parts[row.participant_id],
            )  # fmt: skip
            cases.append(_converted(case, row, folder, prepare, settings, sets))
    used = [case for case in cases if case.status == "ok"]
    if not used:
        raise CohortError("none of the scans can be trained on: see the reasons above")
    reader = {"overwrite_image_reader_writer": "SimpleITKIO"}
    write_json(folder / "dataset.json", classes.dataset_json(len(used)) | reader)
    _write_cases(cases, folder / CASES)
    return cases


def folds_of(participants: set[str], folds: int) -> dict[str, int]:
    """Participant -> fold: all scans of a person lie in one, and folds are equally large."""
    return {person: place % folds for place, person in enumerate(sorted(participants))}


def read_cases(folder: Path) -> list[Case]:
    """Cases of a converted dataset that can be used."""
    with open(folder / CASES, newline="", encoding="utf-8") as stream:
        found: Iterable[dict[str, Any]] = csv.DictReader(stream, delimiter="\t")
        rows = [Case(**row | {"fold": int(row["fold"])}) for row in found]
    return [case for case in rows if case.status == "ok"]


def splits(cases: Sequence[Case], folds: int) -> list[dict[str, list[str]]]:
    """Training and validation cases of every fold, as nnU-Net's ``splits_final.json``."""
    return [
        {
            "train": [c.case for c in cases if c.fold != fold],
            "val": [c.case for c in cases if c.fold == fold],
        }
        for fold in range(folds)
    ]


@dataclass(frozen=True)
class SheetRow:
    """What the conversion needs of a row of a sheet."""

    participant_id: str
    scan_id: str
    path: Path
    masks: Mapping[str, Path | None]
    status: str
    reason: str


def _needed(settings: DatasetSettings, classes: Classes) -> tuple[str, ...]:
    """Masks that a dataset must have."""
    return MASKS if settings.labels is None and classes == ALL else MASKS[:1]


def sheet_rows(sheet: Path, *, needed: tuple[str, ...] = ()) -> Iterator[SheetRow]:
    """Rows of a sheet of scans, which must have columns for the masks `needed`.

    The results folder of a run stands for its scans with corrected masks.
    """
    if sheet.is_dir():
        yield from _corrected(sheet)
        return
    table = read_sheet(sheet, paired_masks=len(needed) != 1)
    missing = [mask for mask in needed if mask not in table.columns]
    if missing:
        raise CohortError(f"{sheet}: training needs the columns {', '.join(missing)}")
    for row in table.to_dict("records"):
        masks = {mask: Path(row[mask]) if row.get(mask) else None for mask in MASKS}
        yield SheetRow(
            str(row["participant_id"]),
            str(row["scan_id"]),
            Path(row["path"] or ""),
            masks,
            row["input_status"],
            row["reason"] or "",
        )


def _corrected(results: Path) -> Iterator[SheetRow]:
    for scan in corrected_scans(results):
        masks = {"semantic": scan.semantic, "instance": scan.instance}
        is_there = scan.path.exists()
        status = ("ok", "") if is_there else ("missing_file", f"{scan.path} does not exist.")
        yield SheetRow(scan.participant_id, scan.scan_id, scan.path, masks, *status)


def _converted(
    case: Case,
    row: SheetRow,
    folder: Path,
    prepare: PrepareSettings,
    settings: DatasetSettings,
    sets: LabelSets,
) -> Case:
    """Write the files of one case; a case that says why where that is impossible."""
    if row.status != "ok":
        return _left_out(case, row.status, row.reason)
    try:
        image, masks = _read(row, prepare, _needed(settings, sets.classes))
        codes = _coded(masks["semantic"], settings, sets)
    except ScanRefused as refusal:
        return _left_out(case, refusal.code, refusal.reason)
    save_image(image, image_path(folder, case.case))
    save_volume(codes, label_path(folder, case.case))
    if "instance" in masks:
        save_volume(masks["instance"], instance_path(folder, case.case))
    return case


def _left_out(case: Case, status: str, reason: str) -> Case:
    _log.warning("%s (%s): left out: %s", case.scan_id, case.dataset, reason)
    return Case(**asdict(case) | {"status": status, "reason": reason})


def _read(
    row: SheetRow, prepare: PrepareSettings, needed: tuple[str, ...]
) -> tuple[Volume, dict[str, Volume]]:
    """Prepared image along P, I, R, and the masks `needed` on its grid."""
    scan = read_scan(row.path, prepare)
    # without the padding, which nnU-Net would take for a background to crop
    image = prepare_scan(scan, OWN_GRID, prepare).cropped((slice(PADDING, -PADDING),) * 3)
    return image, {mask: _mask(row, mask, image, prepare) for mask in needed}


def _coded(mask: Volume, settings: DatasetSettings, sets: LabelSets) -> Volume:
    """Codes of a semantic mask (`label_sets`): its classes, where it labels every structure."""
    if not np.isin(mask.array, tuple(settings.labels or LABELS)).any():
        raise ScanRefused("bad_mask", "The semantic mask holds none of the known structures.")
    if settings.labels is not None:
        return mask.with_array(coded(mask.array, settings, sets, mask.spacing_mm))
    array = mask.array
    array[np.isin(array, (*BODY, Semantic.DENS))] = Semantic.VERTEBRAL_BODY
    array[np.isin(array, ENDPLATES)] = Semantic.ENDPLATE
    return mask.with_array(sets.classes.class_of[array])


def _mask(row: SheetRow, kind: str, image: Volume, prepare: PrepareSettings) -> Volume:
    path = row.masks[kind]
    if path is None:
        raise ScanRefused("bad_mask", f"The sheet names no {kind} mask.")
    try:
        mask = read_mask(path, prepare)
    except ScanRefused as refusal:
        raise ScanRefused("bad_mask", f"The {kind} mask: {refusal.reason}") from refusal
    if mask.array.max(initial=0) > 255:
        raise ScanRefused("bad_mask", f"The {kind} mask holds labels above 255.")
    return image.with_array(resample_mask_like(mask, image).array.astype(np.uint8))


def image_path(folder: Path, case: str) -> Path:
    """The prepared image."""
    return folder / "imagesTr" / f"{case}_0000.nii.gz"


def label_path(folder: Path, case: str) -> Path:
    """Classes of the semantic network, or codes of sets of them (`label_sets`)."""
    return folder / "labelsTr" / f"{case}.nii.gz"


def instance_path(folder: Path, case: str) -> Path:
    """Vertebra instances."""
    return folder / "instancesTr" / f"{case}.nii.gz"


def _write_cases(cases: Sequence[Case], path: Path) -> None:
    text = io.StringIO(newline="")
    columns = [field.name for field in fields(Case)]
    writer = csv.DictWriter(text, columns, delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(case) for case in cases)
    write_text(path, text.getvalue())
