"""Measures of discs and canal on references that draw nothing else (SPIDER)."""

from collections.abc import Mapping

import cc3d
import numpy as np

from columna.anatomy import CANAL, DISC_OFFSET, ENDPLATE_OFFSET, Semantic
from columna.config import MeasureSettings
from columna.evaluate.conventions import find_convention
from columna.evaluate.in_memory import Answer
from columna.evaluate.measured import RowsByTable, measure_masks
from columna.evaluate.reference_masks import on_grid
from columna.images.volume import Volume

NEEDED = ("disc", "canal_with_cord")
IDENTITY = ("scan_id", "level", "level_upper", "site", "region")
DISC_COLUMNS = ("disc_height_", "disc_depth_", "disc_width_", "volume_")
"""Beginnings of the columns that follow from the disc itself, not from the bodies beside it."""
CANAL_COLUMNS = (
    "canal_ap_mm",
    "canal_ap_min_mm",
    "canal_area_mm2",
    "canal_area_min_mm2",
    "canal_rl_mm",
)


def measure_discs_and_canal(
    scan_id: str, answer: Answer, true: Mapping[str, Volume], convention: str
) -> tuple[RowsByTable, RowsByTable] | None:
    """Measure the answer, and the answer with the discs and the canal of the reference.

    Vertebrae and names are those of the answer in both, so that the same disc is measured between
    the same bodies: what bodies add to the error of a disc is not seen.

    Parameters
    ----------
    scan_id
        Name of the scan.
    answer
        What the networks found.
    true
        Reference masks.
    convention
        What their labels mean.

    Returns
    -------
    tuple or None
        Rows of ``discs`` and ``cord_canal``, found and true, with the columns of discs and canal
        alone; None where the reference does not draw both.
    """
    known = find_convention(convention)
    if "semantic" not in true or not set(NEEDED) <= set(known.structures):
        return None
    mask, _ = on_grid(true["semantic"], answer.image)
    disc, canal = (known.structure(mask, name) for name in NEEDED)
    semantic, instance = answer.semantic.array.copy(), answer.instance.array.copy()
    _replace_discs(semantic, instance, disc)
    _replace_canal(semantic, instance, canal)
    settings = MeasureSettings()
    pairs = ((answer.semantic.array, answer.instance.array), (semantic, instance))
    found, reference = (
        _kept(
            measure_masks(
                scan_id,
                answer.semantic.with_array(one),
                answer.instance.with_array(other),
                answer.levels,
                settings,
            )
        )
        for one, other in pairs
    )
    return found, reference


def _replace_discs(semantic: np.ndarray, instance: np.ndarray, disc: np.ndarray) -> None:
    """Draw the discs of the reference, named by what was found where they lie, in place."""
    is_disc = (instance > DISC_OFFSET) & (instance < ENDPLATE_OFFSET)
    named = np.where(is_disc, instance, 0)
    semantic[(semantic == Semantic.DISC)] = 0
    instance[is_disc] = 0
    semantic[disc], instance[disc] = Semantic.DISC, 0
    components = cc3d.connected_components(disc, connectivity=6)
    for component in range(1, int(components.max(initial=0)) + 1):
        here = components == component
        counts = np.bincount(named[here])
        counts[:1] = 0
        if counts.any():
            instance[here] = counts.argmax()


def _replace_canal(semantic: np.ndarray, instance: np.ndarray, canal: np.ndarray) -> None:
    """Draw the canal of the reference around the cord that was found, in place."""
    cord = semantic == Semantic.SPINAL_CORD
    semantic[np.isin(semantic, CANAL)] = 0
    semantic[canal] = np.where(cord[canal], Semantic.SPINAL_CORD, Semantic.SPINAL_CANAL)
    instance[canal] = 0


def _kept(rows: RowsByTable) -> RowsByTable:
    """Columns that follow from discs and canal, and those that say what a row is about."""

    def wanted(name: str, column: str) -> bool:
        if column in IDENTITY:
            return True
        if name == "cord_canal":
            return column in CANAL_COLUMNS
        return column.startswith(DISC_COLUMNS)

    return {
        name: [{c: v for c, v in row.items() if wanted(name, c)} for row in rows[name]]
        for name in ("discs", "cord_canal")
    }
