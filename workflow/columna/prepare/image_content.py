"""What an image shows, by its values alone: CT, or labels instead of intensities."""

import numpy as np

from columna.images.intensity import common_on_faces

HOUNSFIELD_OFFSETS = (0, 1000, 1024)
"""What writers add to Hounsfield units (DICOM stores them without sign)."""
SOFT_TISSUE_HU, SOFT_TISSUE_SHARE = (-20, 120), 0.15
FAT_HU, FAT_SHARE = (-150, -40), 0.03
LUNG_HU = (-700, -300)
"""Few voxels of a spine CT lie between air and fat."""
DARK_HU, BRIGHT_HU = -300, 500
"""All but one voxel in 10,000 are brighter, and one in 1000 is brighter: noise, and bone."""

FLAT_SHARE = 0.6
"""Neighbours of equal value: 0.69 and more in label maps, up to 0.2 in scans of 8 bits."""
MOST_LABELS = 100
LABELLED_SHARE = 0.6
"""The most frequent `MOST_LABELS` values take so much of a label map."""
FEWEST_VALUES = 8
"""No scan has so few values."""


def looks_like_ct(array: np.ndarray) -> bool:
    """Whether the values are Hounsfield units, as stored or with an offset.

    Told by soft tissue in a narrow peak, fat below it, bone far above and little in between; of
    these, MR has at most the first by chance, since it has no absolute scale.

    Parameters
    ----------
    array
        Finite numbers, three axes.
    """
    sample = array[::2, ::2, ::2] if array.size > 1_000_000 else array
    common = common_on_faces(sample)
    content = sample.ravel() if common is None else sample[sample != common]
    if content.size < 1000:
        return False
    dark, bright = np.quantile(content, [1e-4, 0.999])
    return any(
        dark - offset <= DARK_HU
        and bright - offset >= BRIGHT_HU
        and _is_body(content.astype(np.float32) - offset)
        for offset in HOUNSFIELD_OFFSETS
    )


def _is_body(units: np.ndarray) -> bool:
    soft, fat, lung = (
        float(np.mean((units >= low) & (units <= high)))
        for low, high in (SOFT_TISSUE_HU, FAT_HU, LUNG_HU)
    )
    return soft >= SOFT_TISSUE_SHARE and fat >= FAT_SHARE and lung < 0.5 * min(soft, 2 * fat)


def looks_like_labels(array: np.ndarray) -> bool:
    """Whether the image is a mask or a label map: flat areas of few values.

    Parameters
    ----------
    array
        Finite numbers, three axes.
    """
    if _has_few_values(array):
        return True
    common = common_on_faces(array)
    is_content = np.ones(array.shape, bool) if common is None else array != common
    if _flat_share(array, is_content) < FLAT_SHARE:
        return False
    counts = np.sort(np.unique(array[is_content], return_counts=True)[1])
    return bool(counts[-MOST_LABELS:].sum() >= LABELLED_SHARE * counts.sum())


def _has_few_values(array: np.ndarray) -> bool:
    sample = array.ravel()[:: max(1, array.size // 100_000)]  # enough to say no
    return all(len(np.unique(part)) <= FEWEST_VALUES for part in (sample, array))


def _flat_share(array: np.ndarray, is_content: np.ndarray) -> float:
    """Share of the pairs of neighbours, one of them content at least, that are equal."""
    equal_n, pairs_n = 0, 0
    for axis in range(3):
        inside, values = (np.moveaxis(volume, axis, 0) for volume in (is_content, array))
        pairs = inside[:-1] | inside[1:]
        equal_n += int(np.count_nonzero(pairs & (values[:-1] == values[1:])))
        pairs_n += int(np.count_nonzero(pairs))
    return equal_n / max(pairs_n, 1)
