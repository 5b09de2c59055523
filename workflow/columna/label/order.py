"""Instances from top to bottom."""

import fastremap
import numpy as np

from columna.anatomy import NAMELESS
from columna.label.components import INFERIOR, centres_of

MAX_INSTANCES = len(NAMELESS)
"""As many as there are numbers for instances without a level; a spine has at most 26."""


def order_instances(instance: np.ndarray) -> np.ndarray:
    """Number the instances 1..n by the height of their centres (docs/method.md#order).

    The result does not depend on how they were numbered before. Of more than `MAX_INSTANCES`
    only the largest stay.

    Parameters
    ----------
    instance
        Mask in (P, I, R).
    """
    compact, _ = fastremap.renumber(instance, preserve_zero=True)
    count = int(compact.max(initial=0))
    voxels, centres = centres_of(compact, count)
    largest = np.argsort(-voxels[1:], kind="stable")[:MAX_INSTANCES] + 1
    # equal heights: the order of the other axes, which do not depend on the numbering either
    keys = centres[largest][:, [2, 0, INFERIOR]]
    ordered = largest[np.lexsort(keys.T)]
    numbers = np.zeros(count + 1, np.uint16)
    numbers[ordered] = np.arange(1, len(ordered) + 1)
    return numbers[compact]
