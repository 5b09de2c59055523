"""From the image, with both networks: does columna end where the released package ends?

    python benchmarks/peer/chain.py [ph3 ph1]

Three times for every scan: with columna's own N4, with `n4_axes: stored`, and with the corrected
image of the package in whole numbers, to tell N4 and the type of images from the rest.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from agreement import Agreement, agreement, instance_agreement
from oracle import Answer, run_columna, run_package, stored_answer, stored_scan
from parity import (
    TOP_DOWN,
    articular_processes_as_in_the_package,
    percent,
    vertebra_agreement,
    without_plates,
)

from columna.config import PrepareSettings
from columna.images.volume import bounding_box, load_volume
from columna.label import label_masks
from columna.prepare import read_scan
from columna.prepare.bias import correct_bias
from columna.prepare.normalise import normalise
from columna.prepare.stage import N4_ORIENTATION

SCANS = ("ph3", "ph1")
HEAD = (
    "scan",
    "N4",
    "corrected image: median, 95th percentile",
    "raw structures",
    "raw instances",
    "Dice",
    "final structures",
    "final vertebrae with W12",
    "Dice",
)
BODY_RATIO = 0.1
"""Voxels of at least this part of the 99th percentile are inside the body."""


@dataclass(frozen=True)
class Row:
    """Agreement of one scan with the stored answers of the package to the image."""

    raw_structures: Agreement
    raw_instances: Agreement
    structures: Agreement
    vertebrae: Agreement

    def cells(self) -> list[str]:
        return [
            percent(self.raw_structures.equal),
            percent(self.raw_instances.equal),
            f"{self.raw_instances.worst_dice:.4f}",
            percent(self.structures.equal),
            percent(self.vertebrae.equal),
            f"{self.vertebrae.worst_dice:.4f}",
        ]


def intermediates(scan: str) -> Answer:
    """What the package makes of the image on its way."""
    return run_package(f"{scan}-intermediates", stored_scan(scan), keep=True)


def with_own_n4(scan: str) -> Answer:
    return run_columna(f"{scan}-own-n4", stored_scan(scan))


def with_n4_as_stored(scan: str) -> Answer:
    return run_columna(f"{scan}-n4-as-stored", stored_scan(scan), n4_axes="stored")


def with_their_n4(scan: str) -> Answer:
    corrected = intermediates(scan).folder / "corrected.nii.gz"
    return run_columna(f"{scan}-their-n4", stored_scan(scan), corrected=str(corrected))


def compare_chain(scan: str, ours: Answer) -> Row:
    """Compare an answer of columna with the stored one."""
    theirs = stored_answer("trained", scan)
    spine_raw, vert_raw = ours.mask("spine-raw"), ours.mask("vert-raw")
    with articular_processes_as_in_the_package():
        final = label_masks(load_volume(stored_scan(scan)), spine_raw, vert_raw, TOP_DOWN)
    upright = [theirs.mask(name).reoriented().array for name in ("spine-raw", "vert-raw")]
    structures = [without_plates(mask.array) for mask in (final.semantic, theirs.mask("spine"))]
    return Row(
        agreement(spine_raw.array, upright[0]),
        instance_agreement(vert_raw.array, upright[1]),
        agreement(*structures),
        vertebra_agreement(final.instance, theirs.mask("vert").array),
    )


def n4_difference(scan: str) -> tuple[float, float]:
    """Median and 95th percentile of the relative difference of the corrected images."""
    volume = read_scan(stored_scan(scan), PrepareSettings()).volume.reoriented(N4_ORIENTATION)
    array = normalise(np.ascontiguousarray(volume.array))
    ours = correct_bias(array[bounding_box(array)], volume.spacing_mm)
    corrected = intermediates(scan).image("corrected").reoriented(N4_ORIENTATION)
    theirs = np.maximum(corrected.array, 1)
    body = theirs >= BODY_RATIO * np.percentile(theirs, 99)
    log = np.log(ours[body] / theirs[body])
    difference = np.abs(np.expm1(log - np.median(log)))
    return float(np.median(difference)), float(np.percentile(difference, 95))


def table(scans: list[str]) -> Iterator[str]:
    yield f"| {' | '.join(HEAD)} |"
    yield "|---" * len(HEAD) + "|"
    for scan in scans:
        median, high = n4_difference(scan)
        own = compare_chain(scan, with_own_n4(scan)).cells()
        yield f"| {' | '.join([scan, 'own', f'{median:.2%}, {high:.2%}', *own])} |"
        stored = compare_chain(scan, with_n4_as_stored(scan)).cells()
        yield f"| {' | '.join([scan, 'own, n4_axes: stored', '', *stored])} |"
        given = compare_chain(scan, with_their_n4(scan)).cells()
        yield f"| {' | '.join([scan, 'package', '', *given])} |"


if __name__ == "__main__":
    for line in table(sys.argv[1:] or list(SCANS)):
        print(line, flush=True)
