"""The public SPIDER folder as a cohort with references and as a training dataset.

SPIDER (van der Graaf et al., Sci Data 2024, doi 10.1038/s41597-024-03090-w) has ``images`` and
``masks`` with files of the same names: ``1_t1.mha``, ``1_t2.mha``, ``1_t2_SPACE.mha``. columna
segments T2-weighted scans and reads NIfTI, so the T1 ones are left aside and the others converted.
"""

import csv
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from columna.cohort.candidates import plain_name
from columna.cohort.sheet import read_table
from columna.errors import CohortError, ColumnaError
from columna.evaluate.conventions import find_convention
from columna.evaluate.reference_masks import read_itk, read_mask
from columna.files import atomic_path
from columna.images.volume import Volume, save_volume

NAME = re.compile(r"(\d+)_(t2|t2_space)", re.IGNORECASE)
OVERVIEW = "overview.csv"
COHORT, TRAINING = "cohort.tsv", "training.tsv"
TRAINED = ("vertebra", "disc", "canal_with_cord")
"""Structures of the training masks, numbered from 1."""
OWN = ("participant_id", "scan_id", "path")
REFERENCES = ("reference_semantic", "reference_instance", "reference_convention")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SpiderCase:
    """One T2-weighted image of SPIDER.

    Parameters
    ----------
    stem
        Name of the file without its ending, as the overview names it.
    patient
        Number of the patient.
    is_space
        Whether it is a T2 SPACE volume.
    """

    stem: str
    patient: int
    is_space: bool

    @property
    def participant_id(self) -> str:
        """``sub-`` and the number of the patient."""
        return f"sub-{self.patient:03d}"

    @property
    def scan_id(self) -> str:
        """Name as BIDS would have it."""
        return f"{self.participant_id}{'_acq-SPACE' if self.is_space else ''}_T2w"


def write_spider(folder: Path, out: Path) -> dict[str, int]:
    """Make a cohort and a training dataset of the public SPIDER folder.

    Parameters
    ----------
    folder
        Has ``images`` and ``masks``, and should have ``overview.csv``.
    out
        Gets ``images`` and ``masks`` as NIfTI (affine and voxels as they are; masks as 1 vertebra,
        2 disc, 3 canal with cord), ``cohort.tsv``, whose references are the masks of `folder`, and
        ``training.tsv``. What is there already and newer than its source is not converted again.

    Returns
    -------
    dict
        Number of ``scans`` of the cohort, of ``references``, of scans for ``training``, and of
        files that could not be ``converted``.

    Raises
    ------
    CohortError
        If `folder` has no such images, or its overview cannot be read.
    """
    cases = list(_cases(folder / "images"))
    if not cases:
        raise CohortError(
            f"{folder}: holds no images such as images/1_t2.mha; give the folder of SPIDER that "
            "has the folders images and masks"
        )
    facts = _overview(folder / OVERVIEW, {case.stem for case in cases})
    names = list(dict.fromkeys(name for known in facts.values() for name in known))
    cohort, training, failed_n = [], [], 0
    for case in cases:
        image, mask = (folder / kind / f"{case.stem}.mha" for kind in ("images", "masks"))
        path = out / "images" / f"{case.scan_id}.nii.gz"
        is_image = _converted(image, path, _image)
        failed_n += not is_image
        known = facts.get(case.stem, {})
        references = [str(mask.absolute())] * 2 + ["spider"] if mask.exists() else [""] * 3
        own = [case.participant_id, case.scan_id, f"images/{path.name}"]
        cohort.append([*own, *references, *(known.get(name, "") for name in names)])
        drawn = out / "masks" / f"{case.scan_id}_dseg.nii.gz"
        if mask.exists() and _converted(mask, drawn, _training_mask):
            if is_image:
                training.append([*own, f"masks/{drawn.name}"])
        elif mask.exists():
            failed_n += 1
    _write(out / COHORT, (*OWN, *REFERENCES, *names), cohort)
    _write(out / TRAINING, (*OWN, "semantic"), training)
    references_n = sum(bool(row[len(OWN)]) for row in cohort)
    return {
        "scans": len(cohort),
        "references": references_n,
        "training": len(training),
        "not converted": failed_n,
    }


def _cases(images: Path) -> Iterator[SpiderCase]:
    """Images by patient, the usual T2 before the SPACE one."""
    found = []
    for file in images.glob("*.mha"):
        name = NAME.fullmatch(file.stem)
        if name:
            found.append(SpiderCase(file.stem, int(name[1]), name[2].lower() != "t2"))
    yield from sorted(found, key=lambda case: (case.patient, case.is_space))


def _overview(path: Path, stems: set[str]) -> dict[str, dict[str, str]]:
    """What the overview says of the images, which it names in one of its columns."""
    if not path.exists():
        _log.warning("%s is not there: sex, subset and scanner stay unknown", path)
        return {}
    rows, problems = read_table(path)
    if problems:
        raise CohortError(f"{path}: {next(iter(problems.values()))}")
    rows = rows.fillna("")
    keys = {str(name): rows[name].str.strip().str.removesuffix(".mha") for name in rows}
    named = {name: int(key.isin(stems).sum()) for name, key in keys.items()}
    column = max(named, key=lambda name: named[name], default=None)
    if column is None or not named[column]:
        raise CohortError(f"{path}: no column names images such as 1_t2")
    taken = {*OWN, *REFERENCES, "session_id", "semantic", "instance", "input_status", "reason"}
    kept = {name: plain_name(name) for name in keys if name != column}
    kept = {name: plain for name, plain in kept.items() if plain and plain not in taken}
    return {
        key: {plain: " ".join(str(row[name]).split()) for name, plain in kept.items()}
        for key, row in zip(keys[column], rows.to_dict("records"), strict=True)
        if key in stems
    }


def _converted(source: Path, target: Path, read: Callable[[Path], Volume]) -> bool:
    """Convert a file unless that has been done; whether there is a `target` now."""
    try:
        if not target.exists() or target.stat().st_mtime_ns < source.stat().st_mtime_ns:
            save_volume(read(source), target)
    except (ColumnaError, OSError, RuntimeError, ValueError) as error:
        target.unlink(missing_ok=True)
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        _log.warning("%s: not converted: %s", source, reason)
        return False
    return True


def _image(path: Path) -> Volume:
    values, affine = read_itk(path)
    return Volume(values, affine)


def _training_mask(path: Path) -> Volume:
    """The mask with a number for each structure instead of each instance."""
    mask = read_mask(path)
    spider = find_convention("spider")
    merged = np.zeros(mask.shape, np.uint8)
    for number, structure in enumerate(TRAINED, 1):
        merged[spider.structure(mask.array, structure)] = number
    return mask.with_array(merged)


def _write(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    with (
        atomic_path(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
