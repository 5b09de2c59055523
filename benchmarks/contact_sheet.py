"""Painted training samples beside real scans: ``python benchmarks/contact_sheet.py POOL OUT.png``.

POOL is a folder of label maps (`columna train pool`). The picture in docs/ was
made with the defaults.
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from columna.images.volume import load_volume
from columna.real_data import data_folder
from columna.train.samples.patches import make_patch
from columna.train.samples.pool import Pool

REAL = {
    "sct-lumbar": "sct_lumbar/t2_lumbar.nii.gz",
    "tptbox-lumbar": "tptbox_mri/sub-mri_label-6_T2w.nii.gz",
}
"""Real scans, where COLUMNA_DATA names a folder that holds them."""
SHAPE, SPACING_MM = (200, 260, 12), (1.0, 1.0, 4.0)
ROWS, COLUMNS = 3, 7


def painted(pool: Pool, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """One slice, (P, I), of a painted sample, cut to its field of view; voxels are square."""
    while True:
        image, semantic = make_patch(pool.draw(rng), SHAPE, SPACING_MM, rng)
        shown = image != 0
        rows, columns = (np.flatnonzero(shown.any(axis=a)) for a in ((1, 2), (0, 2)))
        if len(rows) > 60 and len(columns) > 60 and (semantic[..., 6] > 0).any():
            cut = image[rows[0] : rows[-1], columns[0] : columns[-1], 6]
            return cut, 1.0


def real(path: Path) -> tuple[np.ndarray, float]:
    """The middle slice, (P, I), of a scan, and how much taller than wide its voxels are."""
    volume = load_volume(path).reoriented()
    return volume.array[:, :, volume.shape[2] // 2], volume.spacing_mm[1] / volume.spacing_mm[0]


def main() -> None:
    """Draw the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pool", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, pool = np.random.default_rng(options.seed), Pool(options.pool)
    data = data_folder()
    pictures = [(f"real: {n}", *real(data / file)) for n, file in REAL.items() if data]
    pictures += [("", *painted(pool, rng)) for _ in range(ROWS * COLUMNS - len(pictures))]
    figure = Figure(figsize=(2.2 * COLUMNS, 2.6 * ROWS), layout="constrained")
    for axis, (title, slice_, aspect) in zip(
        figure.subplots(ROWS, COLUMNS).flat, pictures, strict=True
    ):
        low, high = np.percentile(slice_, (0.5, 99.5))
        axis.imshow(slice_.T, cmap="gray", vmin=low, vmax=high, aspect=aspect)
        axis.set_title(title, fontsize=8)
        axis.axis("off")
    figure.savefig(options.out, dpi=55)


if __name__ == "__main__":
    main()
