"""Structures with evidence and true Dice, from scans with a truth."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import get_context

from columna.evaluate.known_scans import KeptAnswers, KnownScan, measured
from columna.evaluate.true_dice import true_dice
from columna.predict.quality_model import stratum
from columna.predict.signs import Signs, evidence

PHANTOMS: Mapping[str, int] = {
    "lumbar": 12,
    "thoracic": 10,
    "cervicothoracic": 12,
    "whole": 6,
}
"""Held-out phantoms that the bundled model is calibrated on, by field of view."""


@dataclass(frozen=True)
class Structure:
    """A structure that the networks found.

    Parameters
    ----------
    kind
        A kind of `columna.predict.signs.KINDS`.
    patient
        Whose spine it is: never in training and test at the same time.
    scan
        Name of the scan.
    is_real
        Whether a person was scanned.
    stratum
        Region and thickness of slices (`columna.predict.quality_model.stratum`).
    features
        Evidence.
    dice
        True Dice.
    """

    kind: str
    patient: str
    scan: str
    is_real: bool
    stratum: str
    features: Signs
    dice: float


def structures_of(scan: KnownScan, networks: KeptAnswers) -> list[Structure]:
    """All structures of a scan of which evidence and truth are known."""
    found = measured(scan, networks)
    if found.context is None or found.rows is None or found.context.certainty is None:
        return []
    by_kind = evidence(found.rows, found.context.certainty)
    [row] = found.rows["scans"]
    region = {r["spineps_label"]: r["region"] for r in found.rows["vertebrae"]}
    return [
        Structure(
            known.kind,
            scan.patient,
            scan.name,
            scan.is_real,
            stratum(region[known.label], row["spacing_lr_mm"]),
            by_kind[known.kind][known.label],
            known.dice,
        )
        for known in true_dice(found, networks.folder)
        if known.label in by_kind[known.kind]
    ]


def collect_structures(
    scans: Sequence[KnownScan], networks: KeptAnswers, workers: int
) -> Iterator[tuple[KnownScan, list[Structure]]]:
    """Structures of every scan, in the order of `scans`; networks are asked where needed."""
    work = [(scan, networks) for scan in scans]
    if workers < 2:
        for scan, _ in work:
            yield scan, structures_of(scan, networks)
        return
    with get_context("spawn").Pool(workers) as pool:
        yield from zip(scans, pool.imap(_one, work), strict=True)


def _one(work: tuple[KnownScan, KeptAnswers]) -> list[Structure]:
    import torch

    torch.set_num_threads(1)
    return structures_of(*work)
