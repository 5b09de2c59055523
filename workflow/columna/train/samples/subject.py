"""Who phase 2 is trained on: masks on a network's grid."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class SubjectMasks:
    """The masks of a spine, axes (P, I, R).

    Parameters
    ----------
    semantic, instance
        uint8, numbers as SPINEPS writes them.
    """

    semantic: np.ndarray
    instance: np.ndarray
