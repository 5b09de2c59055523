"""Classes of the semantic network and the labels that they stand for."""

from typing import Any

import numpy as np

from columna.anatomy import Semantic

LABELS = (
    *range(Semantic.ARCUS, Semantic.VERTEBRAL_BODY + 1),
    Semantic.SPINAL_CORD,
    Semantic.SPINAL_CANAL,
    Semantic.ENDPLATE,
    Semantic.DISC,
    Semantic.SACRUM,
)
"""Semantic label of the network's classes 1 to 14."""
CLASS_OF = np.zeros(256, np.uint8)
"""Lookup from semantic label to the network's class."""
CLASS_OF[list(LABELS)] = np.arange(1, len(LABELS) + 1)
LABEL_OF = np.array([0, *LABELS], np.uint8)
"""Lookup from the network's class to semantic label."""


def dataset_json(count: int) -> dict[str, Any]:
    """nnU-Net's ``dataset.json`` for `count` scans with these classes."""
    return {
        "channel_names": {"0": "MR"},
        "labels": {"background": 0} | {f"l{label}": n for n, label in enumerate(LABELS, 1)},
        "file_ending": ".nii.gz",
        "numTraining": count,
    }
