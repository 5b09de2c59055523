"""The history of a training as a Parquet file and a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from columna.files import atomic_path

_FIELDS: "list[pa.Field[Any]]" = [  # generic in its stubs only
    pa.field("step", pa.int64(), nullable=False),
    pa.field("seconds", pa.float64(), nullable=False),
    pa.field("split", pa.string(), nullable=False),
    pa.field("measure", pa.string(), nullable=False),
    pa.field("value", pa.float64(), nullable=False),
]
SCHEMA = pa.schema(_FIELDS)
"""One row per point; `split` is train, validation or look."""


def write_curves(history: Sequence[dict[str, Any]], folder: Path) -> None:
    """Write ``curves.parquet`` and ``curves.png`` into `folder`, atomically.

    Parameters
    ----------
    history
        Points of `columna.train.networks.loop.TrainingProgress`.
    folder
        Made if need be.
    """
    table = pa.Table.from_pylist(list(history), schema=SCHEMA)
    with atomic_path(folder / "curves.parquet") as temporary:
        pq.write_table(table, temporary)
    with atomic_path(folder / "curves.png") as temporary:
        _draw(table.to_pandas(), temporary)


def _draw(points: Any, path: Path) -> None:
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4.5), layout="constrained")
    titles = {"train": "loss, training", "validation": "validation", "look": "real scans"}
    for axes, (split, title) in zip(figure.subplots(1, 3), titles.items(), strict=True):
        axes.set_prop_cycle(color=list(colormaps["tab20"](range(20))))
        for measure, curve in points[points["split"] == split].groupby("measure", sort=False):
            emphasis = {"color": "black", "linewidth": 2} if measure == "mean" else {"linewidth": 1}
            axes.plot(curve["step"], curve["value"], label=measure, **emphasis)
        axes.set(title=title, xlabel="step")
        axes.grid(alpha=0.3)
        if split != "train":
            axes.set_ylim(0, 1)
            axes.legend(fontsize=6) if axes.lines else None
    figure.savefig(path, dpi=110)
