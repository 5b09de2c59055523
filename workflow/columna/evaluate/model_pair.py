"""How good a pair of models is: held-out phantoms of all fields of view, and real scans."""

import csv
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from columna.anatomy import RESOURCES, SACRUM, levels
from columna.config import MeasureSettings
from columna.errors import ScanRefused
from columna.evaluate.found_once import (
    Match,
    count_vertebrae,
    islands,
    match_vertebrae,
)
from columna.evaluate.in_memory import Answer
from columna.evaluate.measure_error import errors_of_rows
from columna.evaluate.measured import RowsByTable, measure_answer, measure_truth
from columna.evaluate.outputs import write_agreement, write_evaluation
from columna.evaluate.pairs import Evaluated, Pair, compare_masks
from columna.evaluate.pictures import save_picture
from columna.evaluate.real_measures import measure_discs_and_canal
from columna.evaluate.reference_masks import on_grid, read_mask
from columna.files import atomic_path
from columna.images.volume import Volume
from columna.phantom import Phantom, PhantomSettings, make_phantom, random_settings, write_phantom
from columna.real_data import VARIABLE

FIRST_SEED = 3_000_000_000
"""Training draws its seeds below 2^31."""
VIEWS: dict[str, tuple[tuple[float, float, float], tuple[int, ...]]] = {
    "whole": ((0.9, 0.9, 3.3), (12, 17, 20, 22)),
    "lumbar": ((0.8, 0.8, 4.0), (20, 22)),
    "thoracic": ((0.9, 0.9, 3.3), (13, 16)),
    "cervicothoracic": ((0.8, 0.8, 3.0), (5, 9)),
}
"""Field of view -> voxel size (P, I, R), and the vertebrae that may be fractured."""
DEPTH = (0.25, 0.5)
"""Lost share of the anterior height of a fractured body."""

CASES = RESOURCES / "evaluation_cases.tsv"
"""Real scans and their masks below the folder of real data; those that are absent are skipped."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RealCase:
    """A real scan.

    Parameters
    ----------
    name
        Name.
    image
        The scan.
    masks
        ``semantic`` and ``instance`` -> mask file, as far as there are any.
    convention
        What their labels mean.
    """

    name: str
    image: Path
    masks: Mapping[str, Path] = field(default_factory=dict)
    convention: str = "columna"


@dataclass(frozen=True)
class Scored:
    """One scan against what is known of it.

    Parameters
    ----------
    scan
        Name.
    kind
        ``intact`` or ``fractured`` for phantoms, ``real``.
    evaluated
        The masks against the true ones; of a scan that was refused, empty ones. None where
        nothing is known.
    matches
        Of the true vertebrae that are wholly visible, where the truth tells them.
    islands_n, islands_mm3
        Components away from the true spine; None where the truth shows only a part.
    vertebrae_n, names
        Vertebrae found, and their names from top to bottom.
    seconds
        Wall time of both networks and everything between reading and writing.
    status
        ``done``, or the code of the reason for which the scan was refused.
    measures
        Rows of the tables of measures: on what was found, and on the true masks.
    """

    scan: str
    kind: str
    evaluated: Evaluated | None = None
    matches: list[Match] = field(default_factory=list)
    islands_n: int | None = None
    islands_mm3: float | None = None
    vertebrae_n: int = 0
    names: str = ""
    seconds: float = 0.0
    status: str = "done"
    measures: tuple[RowsByTable, RowsByTable] | None = None


@dataclass(frozen=True)
class Judge:
    """What is judged, and where the pictures go.

    Parameters
    ----------
    segment
        From a scan to its masks.
    pictures
        Folder.
    convention
        What the labels of the masks mean.
    """

    segment: Callable[[Path], Answer]
    pictures: Path
    convention: str = "columna"

    def answer(self, name: str, path: Path) -> Answer:
        """Segment a scan, and write its picture."""
        answer = self.segment(path)
        # colours of structures are those of columna's own labels
        kind = "semantic" if answer.convention == "columna" else "structures"
        masks = {kind: answer.semantic.array, "instance": answer.instance.array}
        called = ", ".join(level or "?" for level in answer.names)
        _log.info("%s: %.0f s; %s", name, answer.seconds, called)
        save_picture(answer.image, masks, f"{name}\n{called}", self.pictures / f"{name}.png")
        return answer


def held_out_phantoms(per_view: int) -> Iterator[tuple[str, str, PhantomSettings]]:
    """Name, kind and settings of phantoms that no training draws; half of them fractured."""
    for view, (spacing, breakable) in VIEWS.items():
        for number in range(per_view):
            seed = FIRST_SEED + number
            rng = np.random.default_rng([seed, 11])
            is_fractured = number % 2 == 1
            chosen = rng.choice(breakable, 2, replace=False) if is_fractured else ()
            settings = random_settings(
                seed,
                region=view,
                surroundings="body",
                spacing_mm=spacing,
                crushed={int(label): float(rng.uniform(*DEPTH)) for label in chosen},
            )
            kind = "fractured" if is_fractured else "intact"
            yield f"{view}-{number}-{kind}", kind, settings


def score_phantoms(judge: Judge, per_view: int) -> Iterator[Scored]:
    """Score `per_view` held-out phantoms of every field of view."""
    for name, kind, settings in held_out_phantoms(per_view):
        phantom = make_phantom(settings)
        with tempfile.TemporaryDirectory() as folder:
            path = write_phantom(phantom, Path(folder), name)
            try:
                answer = judge.answer(name, path)
            except ScanRefused as refusal:
                yield _refused(name, kind, refusal, phantom, judge.convention)
                continue
        yield _scored_phantom(name, kind, answer, phantom)


def real_cases(data: Path) -> Iterator[RealCase]:
    """Real scans that may lie below `data`, with their masks."""
    with open(CASES, newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream, delimiter="\t"):
            masks = {kind: data / row[kind] for kind in ("semantic", "instance") if row[kind]}
            yield RealCase(row["name"], data / row["image"], masks, row["convention"])


def score_real(judge: Judge, data: Path | None) -> Iterator[Scored]:
    """Score the real scans of the folder `data`; without one, say that there are none."""
    if data is None:
        _log.warning("no real scans: name a folder (--data, or %s)", VARIABLE)
        return
    for case in real_cases(data):
        if not case.image.exists():
            _log.warning("%s: not in the folder of real data, skipped", case.name)
            continue
        with tempfile.TemporaryDirectory() as folder:
            # by a plain name: that of a published sample may say that it is a derived image
            path = Path(folder) / f"{case.name}_T2w.nii.gz"
            path.symlink_to(case.image.resolve())
            try:
                answer = judge.answer(case.name, path)
            except ScanRefused as refusal:
                answer = None
                status = refusal.code
        true = {kind: read_mask(path) for kind, path in case.masks.items()}
        if answer is None:
            evaluated = _against_nothing(case.name, true, (judge.convention, case.convention))
            yield Scored(case.name, "real", evaluated, status=status)
        else:
            yield _scored_real(case, answer, true)


def write_tables(scores: Sequence[Scored], folder: Path) -> None:
    """Write ``scans``, ``vertebrae`` and the tables of an evaluation into `folder`.

    ``agreement`` is that of phantoms; that of real references is in the folder ``real``.
    """
    long = {
        "scans": [
            {k: v for k, v in vars(s).items() if k not in ("evaluated", "matches", "measures")}
            for s in scores
        ],
        "vertebrae": [
            {"scan": s.scan, "kind": s.kind, **asdict(m)} for s in scores for m in s.matches
        ],
    }
    for name, rows in long.items():
        with atomic_path(folder / f"{name}.parquet") as temporary:
            pd.DataFrame(rows).to_parquet(temporary, index=False)
    write_evaluation([s.evaluated for s in scores if s.evaluated is not None], folder)
    for is_real, place in ((False, folder), (True, folder / "real")):
        rows = errors_of_measures(scores, is_real=is_real)
        if rows:
            write_agreement(rows, place)


def errors_of_measures(scores: Sequence[Scored], *, is_real: bool) -> list[dict[str, Any]]:
    """Rows of ``agreement``: what was measured on phantoms, or on real scans, and the truth."""
    measured = [s.measures for s in scores if s.measures and (s.kind == "real") == is_real]
    sides: list[dict[str, list[dict[str, Any]]]] = [{}, {}]
    for pair in measured:
        for side, tables in zip(sides, pair, strict=True):
            for name, rows in tables.items():
                side.setdefault(name, []).extend(rows)
    return list(errors_of_rows(*sides))


def _whole(phantom: Phantom) -> list[int]:
    """Presacral vertebrae that are wholly visible."""
    rows = phantom.truth["levels"]
    return [r["label"] for r in rows if r["visible_fraction"] == 1 and r["label"] != SACRUM]


def _refused(
    name: str, kind: str, refusal: ScanRefused, phantom: Phantom, convention: str
) -> Scored:
    true = {"semantic": phantom.semantic, "instance": phantom.instance}
    nothing = np.zeros(phantom.semantic.shape, np.uint8)
    return Scored(
        name,
        kind,
        _against_nothing(name, true, (convention, "columna")),
        match_vertebrae(nothing, phantom.instance.array, _whole(phantom)),
        status=refusal.code,
    )


def _scored_phantom(name: str, kind: str, answer: Answer, phantom: Phantom) -> Scored:
    semantic, instance = (v.reoriented() for v in (phantom.semantic, phantom.instance))
    grid = answer.semantic
    number, volume = islands(grid.array, semantic.array, grid.spacing_mm, grid.voxel_volume_mm3)
    return _described(
        Scored(
            name,
            kind,
            _evaluated(name, answer, {"semantic": semantic, "instance": instance}),
            match_vertebrae(answer.instance.array, instance.array, _whole(phantom)),
            number,
            volume,
            measures=_measured(name, answer, semantic, instance),
        ),
        answer,
    )


def _measured(
    name: str, answer: Answer, semantic: Volume, instance: Volume
) -> tuple[RowsByTable, RowsByTable] | None:
    """Measures of the answer and of the true masks; None where the answer names no vertebrae."""
    if not answer.levels:
        return None
    settings = MeasureSettings()
    true = measure_truth(name, semantic, instance, settings)
    return measure_answer(name, answer, settings), true


def _scored_real(case: RealCase, answer: Answer, true: Mapping[str, Volume]) -> Scored:
    matches: list[Match] = []
    evaluated = _evaluated(case.name, answer, true, case.convention) if true else None
    if "instance" in true and case.convention == "columna":
        mask, _ = on_grid(true["instance"], answer.image)
        labels = sorted(set(np.unique(mask).tolist()) & set(levels()) - {SACRUM})
        matches = match_vertebrae(answer.instance.array, mask, labels)
    measures = None
    if answer.levels:
        measures = measure_discs_and_canal(case.name, answer, true, case.convention)
    return _described(Scored(case.name, "real", evaluated, matches, measures=measures), answer)


def _evaluated(
    name: str, answer: Answer, true: Mapping[str, Volume], convention: str = "columna"
) -> Evaluated:
    predicted = {"semantic": answer.semantic, "instance": answer.instance}
    return compare_masks(_pair(name, answer.convention, convention), predicted, true)


def _against_nothing(
    name: str, true: Mapping[str, Volume], conventions: tuple[str, str]
) -> Evaluated | None:
    """A scan that was refused counts as one in which nothing was found."""
    if not true:
        return None
    grid = next(iter(true.values()))
    nothing = grid.with_array(np.zeros(grid.shape, np.uint8))
    predicted = {"semantic": nothing, "instance": nothing}
    return compare_masks(_pair(name, *conventions), predicted, true)


def _pair(name: str, predicted: str, true: str) -> Pair:
    """A pair of masks in memory, and their conventions."""
    return Pair(name, name, None, None, None, None, predicted, true)


def _described(scored: Scored, answer: Answer) -> Scored:
    return replace(
        scored,
        vertebrae_n=count_vertebrae(answer.instance.array),
        names=", ".join(level or "?" for level in answer.names),
        seconds=round(answer.seconds, 1),
        status=answer.status,
    )
