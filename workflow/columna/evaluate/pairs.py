"""Pairs of masks: read the sheet that names them, bring them to one grid, evaluate each."""

from collections.abc import Hashable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from columna.cohort.sheet import read_table
from columna.errors import CohortError, ColumnaError
from columna.evaluate.conventions import find_convention
from columna.evaluate.reference_masks import on_grid, read_mask, same_grid
from columna.evaluate.scan_values import Grid, Masks, Value, evaluate
from columna.images.volume import Volume
from columna.paths import expanded

MASKS = (
    "prediction_semantic",
    "prediction_instance",
    "reference_semantic",
    "reference_instance",
)
CONVENTIONS = ("prediction_convention", "reference_convention")


@dataclass(frozen=True)
class Pair:
    """Masks of one scan by two authors.

    Parameters
    ----------
    scan_id, participant_id
        As the sheet names them.
    prediction_semantic, prediction_instance, reference_semantic, reference_instance
        Mask files; None where there is none. One file may be both.
    prediction_convention, reference_convention
        What the labels mean (`columna.evaluate.conventions`).
    """

    scan_id: str
    participant_id: str
    prediction_semantic: Path | None
    prediction_instance: Path | None
    reference_semantic: Path | None
    reference_instance: Path | None
    prediction_convention: str = "columna"
    reference_convention: str = "columna"


@dataclass(frozen=True)
class Evaluated:
    """What came of one pair.

    Parameters
    ----------
    pair
        The pair.
    rows
        Rows of the evaluation; none where the pair was refused.
    reason
        Why it was refused.
    is_resampled
        Whether the reference lay on another grid.
    inside_ratio
        Share of the prediction's grid that the reference covers.
    """

    pair: Pair
    rows: tuple[Value, ...] = ()
    reason: str | None = None
    is_resampled: bool | None = None
    inside_ratio: float | None = None


def read_pairs(path: Path) -> list[Pair]:
    """Read a sheet of pairs.

    Parameters
    ----------
    path
        TSV, CSV or Parquet with the column ``scan_id``, optionally ``participant_id`` (else the
        scan), ``prediction_semantic``, ``prediction_instance``, ``reference_semantic``,
        ``reference_instance`` (paths, relative to the sheet), ``prediction_convention`` and
        ``reference_convention``. Other columns are left alone.

    Raises
    ------
    CohortError
        If the sheet cannot be read, lacks a column, names a scan twice or has a row of another
        length than its header.
    """
    rows, problems = read_table(path)
    if problems:
        raise CohortError(f"{path}: {next(iter(problems.values()))}")
    if "scan_id" not in rows or not {*MASKS[:2]} & {*rows} or not {*MASKS[2:]} & {*rows}:
        raise CohortError(
            f"{path}: a sheet of pairs has the columns scan_id, prediction_semantic or "
            "prediction_instance, and reference_semantic or reference_instance"
        )
    pairs = [_pair(row, path.parent) for row in rows.fillna("").to_dict("records")]
    ids = [pair.scan_id for pair in pairs]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if "" in ids or twice:
        raise CohortError(
            f"{path}: scan_id is empty or occurs twice: {', '.join(twice) or 'empty'}"
        )
    return pairs


def _pair(row: Mapping[Hashable, Any], folder: Path) -> Pair:
    text = {name: str(value).strip() for name, value in row.items()}
    participant = text.get("participant_id", "") or text["scan_id"]
    masks = {name: _file(text.get(name, ""), folder) for name in MASKS}
    conventions = {name: text.get(name, "") or "columna" for name in CONVENTIONS}
    return Pair(
        scan_id=text["scan_id"],
        participant_id=participant,
        prediction_semantic=masks["prediction_semantic"],
        prediction_instance=masks["prediction_instance"],
        reference_semantic=masks["reference_semantic"],
        reference_instance=masks["reference_instance"],
        prediction_convention=conventions["prediction_convention"],
        reference_convention=conventions["reference_convention"],
    )


def _file(text: str, folder: Path) -> Path | None:
    return folder / expanded(text) if text and text.lower() != "n/a" else None


def evaluate_pairs(
    pairs: list[Pair], conventions: Mapping[str, Any] | None = None, workers: int = 1
) -> Iterator[Evaluated]:
    """Evaluate pairs, in their order whatever the number of workers.

    Parameters
    ----------
    pairs
        Pairs of masks.
    conventions
        The user's own conventions (`columna.evaluate.conventions.find_convention`).
    workers
        Processes; each holds one pair at a time.
    """
    for name in {c for p in pairs for c in (p.prediction_convention, p.reference_convention)}:
        find_convention(name, conventions)
    work = partial(evaluate_pair, conventions=conventions)
    if workers == 1:
        yield from map(work, pairs)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(work, pairs)


def evaluate_pair(pair: Pair, conventions: Mapping[str, Any] | None = None) -> Evaluated:
    """Evaluate one pair; what is wrong with its files becomes the reason of a refusal."""
    try:
        predicted, true = read_masks(pair, "prediction"), read_masks(pair, "reference")
        return compare_masks(pair, predicted, true, conventions)
    except ColumnaError as error:
        return Evaluated(pair, reason=str(error))


def read_masks(pair: Pair, side: str) -> dict[str, Volume]:
    """Read the masks of one `side` of a pair (``prediction`` or ``reference``), by their kind.

    Raises
    ------
    ColumnaError
        If there is none, or one of them cannot be read.
    """
    paths = {kind: getattr(pair, f"{side}_{kind}") for kind in ("semantic", "instance")}
    read: dict[Path, Volume] = {}
    for path in paths.values():
        if path is not None and path not in read:
            read[path] = read_mask(path)
    if not read:
        raise ColumnaError(f"{pair.scan_id}: the sheet names no {side} mask")
    return {kind: read[path] for kind, path in paths.items() if path is not None}


def compare_masks(
    pair: Pair,
    predicted: Mapping[str, Volume],
    true: Mapping[str, Volume],
    conventions: Mapping[str, Any] | None = None,
) -> Evaluated:
    """Evaluate the masks of a pair: ``semantic``, ``instance`` or both of either side.

    A reference on another grid is brought to that of the prediction.

    Raises
    ------
    ColumnaError
        If the two sides have no place in common, or a convention is not known.
    """
    grid = next(iter(predicted.values()))
    inside = np.ones(grid.shape, bool)
    sides = []
    for masks, name in ((predicted, pair.prediction_convention), (true, pair.reference_convention)):
        arrays: dict[str, Any] = dict.fromkeys(("semantic", "instance"))
        for kind, mask in masks.items():
            arrays[kind], reaches = on_grid(mask, grid)
            if reaches is not None:
                inside &= reaches
        sides.append(Masks(**arrays, convention=find_convention(name, conventions)))
    if not inside.any():
        raise ColumnaError(
            f"{pair.scan_id}: the reference and the prediction lie at different places of the "
            "scanner; is the reference of another scan, or its affine wrong?"
        )
    lateral = next(axis for axis, code in enumerate(grid.orientation) if code in "LR")
    where = Grid(grid.spacing_mm, grid.voxel_volume_mm3, lateral, grid.shape)
    prediction, reference = (_within(side, inside) for side in sides)
    return Evaluated(
        pair,
        tuple(evaluate(prediction, reference, where)),
        is_resampled=not all(same_grid(mask, grid) for mask in true.values()),
        inside_ratio=float(inside.mean()),
    )


def _within(masks: Masks, inside: Any) -> Masks:
    """Masks without what lies where the other one does not reach."""
    if inside.all():
        return masks
    return masks.changed(lambda mask: np.where(inside, mask, 0))


def value_row(evaluated: Evaluated, value: Value) -> dict[str, Any]:
    """Row of the table ``evaluation``."""
    row = {item.name: getattr(value, item.name) for item in fields(value)}
    row["value_status"], row["instances_n"] = row.pop("status"), row.pop("n")
    return _identity(evaluated) | row


def pair_row(evaluated: Evaluated) -> dict[str, Any]:
    """Row of the table ``evaluation_pairs``."""
    return _identity(evaluated) | {
        "status": "refused" if evaluated.reason else "done",
        "reason": evaluated.reason,
        "is_resampled": evaluated.is_resampled,
        "inside_ratio": evaluated.inside_ratio,
        "prediction_convention": evaluated.pair.prediction_convention,
        "reference_convention": evaluated.pair.reference_convention,
    }


def _identity(evaluated: Evaluated) -> dict[str, Any]:
    pair = evaluated.pair
    return {"scan_id": pair.scan_id, "participant_id": pair.participant_id}
