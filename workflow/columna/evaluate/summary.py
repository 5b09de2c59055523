"""Means of an evaluation, with bootstrap intervals that draw whole participants."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

DRAWS = 2000
SEED = 20240610
BY = ["structure", "unit", "stratum", "metric"]


def summarize(values: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Summarize the rows of the table ``evaluation``.

    Instances are summarized in their strata and, where the field of view does not cut them above,
    below, in front or behind, together as ``not_cut``, and all together as ``all``.

    Parameters
    ----------
    values
        Rows of the table ``evaluation``.

    Yields
    ------
    dict
        Rows of the table ``evaluation_summary``.
    """
    instances = values[values["unit"].astype(str) == "instance"]
    is_uncut = instances["stratum"].astype(str).isin(["whole", "lateral_cut"])
    parts = [values, instances.assign(stratum="all"), instances[is_uncut].assign(stratum="not_cut")]
    together = pd.concat([part.astype(dict.fromkeys(BY, str)) for part in parts])
    for keys, group in together.groupby(BY, sort=True):
        yield dict(zip(BY, keys, strict=True)) | _summary(group)


def _summary(group: pd.DataFrame) -> dict[str, Any]:
    known = group[group["value"].notna()]
    numbers = known["value"].to_numpy(float)
    low, high = mean_interval(numbers, known["participant_id"].to_numpy(str))
    return {
        "values_n": len(known),
        "null_n": len(group) - len(known),
        "participants_n": known["participant_id"].nunique(),
        "mean": float(numbers.mean()) if len(numbers) else None,
        "sd": float(numbers.std(ddof=1)) if len(numbers) > 1 else None,
        "median": float(np.median(numbers)) if len(numbers) else None,
        "mean_low": low,
        "mean_high": high,
    }


def mean_interval(
    values: NDArray[np.float64], participants: NDArray[np.str_]
) -> tuple[float | None, float | None]:
    """95 % percentile interval of the mean of all values when participants are drawn.

    Parameters
    ----------
    values, participants
        One per value.

    Returns
    -------
    tuple
        None twice with fewer than two participants.
    """
    names, index = np.unique(participants, return_inverse=True)
    n = len(names)
    if n < 2:
        return None, None
    sums = np.bincount(index, weights=values, minlength=n)
    counts = np.bincount(index, minlength=n)
    drawn = np.random.default_rng(SEED).multinomial(n, np.full(n, 1 / n), size=DRAWS)
    means = (drawn @ sums) / (drawn @ counts)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
