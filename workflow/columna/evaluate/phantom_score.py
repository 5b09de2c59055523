"""How close delivered masks come to the truth of phantoms."""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from columna.anatomy import ENDPLATES, SACRUM, Semantic
from columna.cohort.sheet import read_sheet
from columna.evaluate.found_once import Match, match_vertebrae
from columna.evaluate.overlap import dice
from columna.files import read_json
from columna.images.volume import load_volume
from columna.results.derivatives import Derivatives
from columna.results.layout import Layout


@dataclass(frozen=True)
class Score:
    """Dice of one phantom.

    Parameters
    ----------
    scan_id
        The phantom.
    structures
        Mean over all semantic labels of the truth.
    body
        Of the vertebral bodies as one structure.
    vertebrae
        Mean over vertebrae that are wholly visible, each against its best match.
    vertebrae_found_n, vertebrae_true_n
        Those of them with a Dice above 0.5, and all.
    levels_right_n
        Those whose best match carries the true level.
    """

    scan_id: str
    structures: float
    body: float
    vertebrae: float
    vertebrae_found_n: int
    vertebrae_true_n: int
    levels_right_n: int


def structure_scores(found: np.ndarray, true: np.ndarray) -> dict[int, float]:
    """Dice of every label of the semantic mask `true`."""
    return {int(n): dice(found == n, true == n) for n in np.unique(true) if n}


def vertebra_scores(found: np.ndarray, true: np.ndarray, truth: dict) -> list[Match]:
    """The best match of every vertebra that `truth` says is wholly visible.

    Parameters
    ----------
    found, true
        Instance masks on one grid.
    truth
        Of `columna.phantom.write.write_phantom`.
    """
    whole = {r["label"] for r in truth["levels"] if r["visible_fraction"] == 1} - {SACRUM}
    return match_vertebrae(found, true, sorted(whole))


def score_cohort(sheet: Path, layout: Layout) -> Iterator[Score]:
    """Score every scan of the cohort that has a truth beside it and is done."""
    for row in read_sheet(sheet).to_dict("records"):
        image, scan_id = Path(row["path"]), row["scan_id"]
        name = image.name.removesuffix("_T2w.nii.gz")
        delivered = Derivatives(layout.derivatives, scan_id)
        truth = image.with_name(f"{name}_truth.json")
        if truth.exists() and delivered.instance.exists():
            yield _score(scan_id, image.with_name(name), read_json(truth), delivered)


def _score(scan_id: str, stem: Path, truth: dict, delivered: Derivatives) -> Score:
    def true(kind: str) -> np.ndarray:
        return load_volume(stem.with_name(f"{stem.name}_seg-{kind}_dseg.nii.gz")).array

    found = load_volume(delivered.semantic).array
    # the truth does not tell upper from lower plates, delivered masks do
    found = np.where(np.isin(found, ENDPLATES), Semantic.ENDPLATE, found)
    structures = structure_scores(found, true("spine"))
    vertebrae = vertebra_scores(load_volume(delivered.instance).array, true("vert"), truth)
    values = [match.dice for match in vertebrae]
    return Score(
        scan_id=scan_id,
        structures=statistics.fmean(structures.values()),
        body=structures[Semantic.VERTEBRAL_BODY],
        vertebrae=statistics.fmean(values) if values else 0.0,
        vertebrae_found_n=sum(value > 0.5 for value in values),
        vertebrae_true_n=len(values),
        levels_right_n=sum(match.label == match.found_label for match in vertebrae),
    )
