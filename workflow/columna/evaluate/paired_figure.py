"""Figure of a comparison: the difference of each participant, by structure."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from columna.evaluate.compare import PRIMARY, Evaluation
from columna.files import atomic_path

POINT, ESTIMATE = "#0072b2", "#d55e00"
WIDTH_IN, HEIGHT_PER_ROW_IN = 7.0, 0.5


def save_differences(
    first: Evaluation, second: Evaluation, rows: pd.DataFrame, stem: Path
) -> list[Path]:
    """Draw the Dice differences of the primary structures as ``stem.svg`` and ``stem.png``.

    Parameters
    ----------
    first, second
        Evaluations.
    rows
        Rows of the table ``comparison`` of these two.
    stem
        Path without ending.
    """
    part = rows[rows["group"] == "all"]
    found = part.set_index(["structure", "unit", "stratum", "metric"]).to_dict("index")
    shown = [key for key in PRIMARY if key in found]
    figure = Figure(figsize=(WIDTH_IN, 1.2 + HEIGHT_PER_ROW_IN * len(shown)), layout="constrained")
    axes = figure.add_subplot()
    for place, key in enumerate(shown):
        differences = _differences(first, second, key)
        spread = np.linspace(-0.15, 0.15, len(differences)) if len(differences) > 1 else [0.0]
        axes.plot(differences, place + np.asarray(spread), "o", color=POINT, alpha=0.6, ms=4)
        row = found[key]
        low, high = row["shift_low"], row["shift_high"]
        if pd.notna(low):
            axes.plot([low, high], [place, place], color=ESTIMATE, lw=2)
        axes.plot([row["shift"]], [place], "D", color=ESTIMATE, ms=7)
    axes.axvline(0, color="black", lw=0.8)
    axes.set_yticks(range(len(shown)), [f"{key[0]} ({key[1]})" for key in shown])
    axes.invert_yaxis()
    axes.set_xlabel(f"Dice of {first.name} minus Dice of {second.name}, one point per participant")
    paths = [stem.with_name(f"{stem.name}.{ending}") for ending in ("svg", "png")]
    for path in paths:
        with mpl.rc_context({"svg.hashsalt": "columna"}), atomic_path(path) as temporary:
            ending = path.suffix[1:]
            metadata = {"Date": None} if ending == "svg" else {"Software": None}
            figure.savefig(temporary, format=ending, dpi=150, metadata=metadata)
    return paths


def _differences(
    first: Evaluation, second: Evaluation, key: tuple[str, str, str, str]
) -> np.ndarray:
    means = []
    for evaluation in (first, second):
        values = evaluation.rows
        is_meant = np.logical_and.reduce(
            [
                values[name] == wanted
                for name, wanted in zip(
                    ("structure", "unit", "stratum", "metric"), key, strict=True
                )
            ]
        )
        means.append(values[is_meant].groupby("participant_id")["value"].mean())
    return (means[0] - means[1]).dropna().sort_values().to_numpy()
