"""Two segmentations of one scan, measured by the same code: a real measurement error.

    python benchmarks/measured_twice.py FOLDER [--top T11] [--tables discs cord_canal spine]

FOLDER holds semantic_pred, instance_pred, semantic_ref and instance_ref (.nii.gz), as the folder
examples/spine_seg of BrainLesion/panoptica does. Its vertebrae are numbered from the top; `--top`
names the first. Where 60 and 61 are swapped (a cord larger than the fluid), they are swapped back.
Prints, per column: number of pairs, mean of the first version, mean difference, and SD of the
differences divided by the root of 2, which is the SD of a single measurement.
"""

import argparse
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from columna.anatomy import DISC_OFFSET, ENDPLATE_OFFSET, SACRUM, Semantic, levels
from columna.config import MeasureSettings
from columna.images.volume import Volume, load_volume
from columna.measure import MeasureContext, measure_scan
from columna.tables.catalogue import MEASURED

KEYS = {
    "vertebrae": ("vertebra",),
    "endplates": ("vertebra", "side"),
    "discs": ("disc",),
    "cord_canal": ("vertebra", "site"),
    "spine": ("scan_id",),
}
GROUPS = {"cord_canal": "site"}
"""Tables whose differences are told apart by a column."""


def main() -> None:
    """Measure both versions and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--top", default="T11", help="name of the topmost vertebra")
    parser.add_argument("--tables", nargs="*", default=list(KEYS))
    options = parser.parse_args()
    first, second = (measure(options.folder, kind, options.top) for kind in ("pred", "ref"))
    print("| table | column | pairs | mean | difference | SD of one |\n|---|---|---|---|---|---|")
    for table in options.tables:
        for column, pairs in paired(table, first[table], second[table]).items():
            values = np.array(pairs, float)
            difference = values[:, 1] - values[:, 0]
            spread = f"{difference.std(ddof=1) / np.sqrt(2):.3g}" if len(pairs) > 1 else ""
            cells = (table, f"`{column}`", str(len(pairs)), f"{values[:, 0].mean():.4g}")
            print("| " + " | ".join([*cells, f"{difference.mean():+.3g}", spread]) + " |")


def measure(folder: Path, kind: str, top: str) -> dict[str, list[dict[str, Any]]]:
    """Rows of one version."""
    semantic = load_volume(folder / f"semantic_{kind}.nii.gz")
    instance = load_volume(folder / f"instance_{kind}.nii.gz")
    numbers = [int(n) for n in np.unique(instance.array) if 0 < n < SACRUM]
    names = [level.name for label, level in levels().items() if label not in (25, 28)]
    chain = names[names.index(top) :][: len(numbers)]
    label_of = {level.name: label for label, level in levels().items()}
    table = np.arange(int(instance.array.max()) + 1)
    for number, name in zip(numbers, chain, strict=True):
        for offset in (0, DISC_OFFSET, ENDPLATE_OFFSET):
            if offset + number < len(table):
                table[offset + number] = offset + label_of[name]
    entries = [
        {
            "label": label_of[name],
            "level": name,
            "level_anchor": "sacrum",
            "level_confidence": 1.0,
            "index": place,
        }
        for place, name in enumerate(chain)
    ]
    context = MeasureContext(
        "s", "p", None, {}, mended(semantic), instance.with_array(table[instance.array]),
        levels=entries,
    )  # fmt: skip
    return measure_scan(context, MeasureSettings())


def mended(semantic: Volume) -> Volume:
    """Swap cord and canal back where the cord is the larger one."""
    array = semantic.array
    cord, canal = array == Semantic.SPINAL_CORD, array == Semantic.SPINAL_CANAL
    if cord.sum() <= canal.sum():
        return semantic
    array = array.copy()
    array[cord], array[canal] = Semantic.SPINAL_CANAL, Semantic.SPINAL_CORD
    return semantic.with_array(array)


def paired(
    table: str, first: list[dict[str, Any]], second: list[dict[str, Any]]
) -> dict[str, list[tuple[float, float]]]:
    """Column -> pairs of values of the rows that both versions have."""
    other = {tuple(row[k] for k in KEYS[table]): row for row in second}
    measures = [c.name for c in MEASURED[table] if c.type == "float64" and c.reliability]
    found = defaultdict(list)
    for name in measures:
        for row in first:
            pair = row[name], other.get(tuple(row[k] for k in KEYS[table]), {}).get(name)
            if None not in pair:
                group = f" ({row[GROUPS[table]]})" if table in GROUPS else ""
                found[name + group].append(pair)
    return found


if __name__ == "__main__":
    main()
