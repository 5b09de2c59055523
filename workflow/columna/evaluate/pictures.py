"""Pictures of scans with their masks."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from columna.anatomy import label_table
from columna.files import atomic_path
from columna.images.volume import Volume

SLICES = 3
OPACITY = 0.5
PIXELS_PER_MM = 1.0


def save_picture(image: Volume, masks: Mapping[str, np.ndarray], title: str, path: Path) -> None:
    """Write sagittal slices: one row with the image, one per mask.

    Parameters
    ----------
    image
        Along P, I, R.
    masks
        Title of the row -> mask on the grid of `image`: ``semantic`` is coloured by structure,
        everything else by instance.
    title
        Headline.
    path
        A ``.png`` file, written atomically.
    """
    from matplotlib.figure import Figure

    columns = _slices(masks, image.shape[2])
    spacing = image.spacing_mm
    width, height = image.shape[0] * spacing[0], image.shape[1] * spacing[1]
    rows = {"": None} | dict(masks)
    inches = np.array([width * len(columns), height * len(rows)]) * PIXELS_PER_MM / 100
    figure = Figure(figsize=(inches[0], inches[1] + 0.4), dpi=100, layout="constrained")
    axes = figure.subplots(len(rows), len(columns), squeeze=False)
    grey = _grey(image.array)
    for line, (name, mask) in zip(axes, rows.items(), strict=True):
        for axis, index in zip(line, columns, strict=True):
            picture = np.repeat(grey[:, :, index, None], 3, axis=2)
            if mask is not None:
                picture = _tinted(picture, mask[:, :, index], _colours(name))
            axis.imshow(picture.swapaxes(0, 1), aspect=spacing[1] / spacing[0])
            axis.axis("off")
    figure.suptitle(title, fontsize=9)
    with atomic_path(path) as temporary:
        figure.savefig(temporary)


def _slices(masks: Mapping[str, np.ndarray], count: int) -> np.ndarray:
    """Slices spread over what the masks occupy."""
    shown = [np.flatnonzero(mask.any(axis=(0, 1))) for mask in masks.values()]
    occupied = np.concatenate([np.array([], int), *shown])
    low, high = (occupied.min(), occupied.max()) if len(occupied) else (0, count - 1)
    return np.linspace(low, high, SLICES + 2)[1:-1].round().astype(int)


def _grey(array: np.ndarray) -> np.ndarray:
    low, high = np.percentile(array, (0.5, 99.5))
    return np.clip((array - low) / max(high - low, 1e-6), 0, 1).astype(np.float32)


def _tinted(picture: np.ndarray, mask: np.ndarray, colours: np.ndarray) -> np.ndarray:
    weight = OPACITY * (mask > 0)[..., None]
    return picture * (1 - weight) + colours[mask] * weight


def _colours(kind: str) -> np.ndarray:
    """Lookup from label to RGB, 0 to 1; discs and endplates of vertebra X look like X."""
    table = np.full((512, 3), 0.5)
    wanted = "semantic" if kind == "semantic" else "instance"
    rows = [row for row in label_table() if row.mask == wanted]
    for row in rows:
        table[row.label] = [int(row.color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    if wanted == "instance":
        for label in range(29, 100):  # instances without a level
            table[label] = table[1 + label % 24]
        table[100:200] = 0.7 * table[:100]
        table[200:300] = 0.5 * table[:100]
    return table
