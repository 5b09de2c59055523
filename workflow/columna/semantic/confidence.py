"""How sure the network was: summed up per structure, and voxel by voxel for later stages."""

import numpy as np
from scipy.ndimage import find_objects

_LOW_PERCENTILE = 5
PERCENT = 100
"""Steps of the maps: fine enough for means over structures, coarse enough to be packed well."""


def certainty_maps(
    mask: np.ndarray, network_labels: np.ndarray, probability: np.ndarray, entropy: np.ndarray
) -> dict[str, np.ndarray]:
    """Probability and entropy of every voxel in percent, as the network chose.

    Parameters
    ----------
    mask, network_labels, probability, entropy
        As in `summarise_confidence`.

    Returns
    -------
    dict
        uint8, shape of `mask`. ``probability``: of the chosen class, at least 1; in doubtful
        background that it is a structure; 0 in other background, where post-processing filled a
        hole, and in what it deleted. ``entropy``: 0 outside the structures.
    """
    kept = mask == network_labels
    maps = {}
    for name, values, least in (("probability", probability, 1), ("entropy", entropy, 0)):
        maps[name] = np.zeros(mask.shape, np.uint8)
        where = kept & (values > 0)
        percent = np.rint(PERCENT * values[where].astype(np.float32))
        maps[name][where] = np.clip(percent, least, PERCENT)
    return maps


def summarise_confidence(
    mask: np.ndarray, network_labels: np.ndarray, probability: np.ndarray, entropy: np.ndarray
) -> dict[int, dict[str, float]]:
    """Summarise the network's confidence in the voxels of each structure.

    Voxels that post-processing filled are left out, since the network did not choose them.

    Parameters
    ----------
    mask
        Labels after post-processing.
    network_labels
        Labels as the network gave them, same shape.
    probability, entropy
        As `decision.decide` gives them, same shape.

    Returns
    -------
    dict
        Label -> ``confidence_mean_ratio`` and ``confidence_p05_ratio`` (mean and 5th percentile
        of the probability of the chosen class) and ``entropy_mean_ratio`` (0 sure, 1 no idea).
    """
    summary = {}
    for number, box in enumerate(find_objects(mask), start=1):
        if box is None:
            continue
        chosen = (mask[box] == number) & (network_labels[box] == number)
        sure = probability[box][chosen].astype(np.float32)
        if not sure.size:
            continue
        summary[number] = {
            "confidence_mean_ratio": float(sure.mean()),
            "confidence_p05_ratio": float(np.percentile(sure, _LOW_PERCENTILE)),
            "entropy_mean_ratio": float(entropy[box][chosen].mean(dtype=np.float32)),
        }
    return summary
