"""Signal of the input image per label."""

import numpy as np

from columna.measure.tools.regions import LabelledRuns
from columna.tables.schema import Row


def signals(voxels: LabelledRuns, image: np.ndarray) -> dict[int, Row]:
    """Label -> mean, median, standard deviation, 5th and 95th percentile, as columns.

    Parameters
    ----------
    voxels
        Labelled voxels of the grid of `image`.
    image
        Intensities, finite.
    """
    values = image.reshape(-1)[voxels.index]
    return {label: _summary(found) for label, found in voxels.by_label(values)}


def _summary(values: np.ndarray) -> Row:
    # sorted, so that sums do not depend on how the voxels are stored
    values = np.sort(values)
    return {
        "signal_mean_au": float(values.mean(dtype=float)),
        "signal_median_au": _quantile(values, 0.5),
        "signal_sd_au": float(values.std(dtype=float)),
        "signal_p05_au": _quantile(values, 0.05),
        "signal_p95_au": _quantile(values, 0.95),
    }


def _quantile(ordered: np.ndarray, fraction: float) -> float:
    """Quantile of `ordered` values with linear interpolation, as `numpy.quantile` does it."""
    below, share = divmod(fraction * (len(ordered) - 1), 1)
    low, high = float(ordered[int(below)]), float(ordered[int(np.ceil(below + share))])
    return low + share * (high - low)
