"""Bland-Altman figures: difference over mean, with bias and limits of agreement."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from columna.evaluate.agreement import agreement
from columna.files import atomic_path

POINT, LINE = "#0072b2", "#d55e00"


def save_bland_altman(
    reference: NDArray[np.float64], found: NDArray[np.float64], title: str, path: Path
) -> bool:
    """Draw found minus reference over their mean; False with too few pairs.

    Parameters
    ----------
    reference, found
        One value per thing; pairs with a NaN are left out.
    title
        Text above the axes: column, region and unit.
    path
        Where the PNG file goes.
    """
    agreed = agreement(reference, found)
    if agreed is None:
        return False
    figure = Figure(figsize=(4.5, 3.2), layout="constrained")
    axes = figure.add_subplot()
    axes.plot((reference + found) / 2, found - reference, ".", color=POINT, alpha=0.6)
    for height, style in (
        (agreed.bias, "-"),
        (agreed.limit_low, "--"),
        (agreed.limit_high, "--"),
    ):
        axes.axhline(height, color=LINE, ls=style, lw=1.2)
    axes.set_title(f"{title}  (n = {agreed.n})", fontsize=9)
    axes.set_xlabel("mean of both")
    axes.set_ylabel("found - reference")
    with mpl.rc_context(), atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110, metadata={"Software": None})
    return True
