"""Colours of ``labels.tsv`` as lookup tables: one colour for a label, in all pictures.

The hues are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), in an order in which
neighbours differ also for the colour-blind.
"""

from functools import cache

import numpy as np

from columna.anatomy import DISC_OFFSET, ENDPLATE_OFFSET, SACRUM, label_table

UNNAMED = range(29, 80)
"""Instance labels of vertebrae without a name."""
_DISC, _ENDPLATE = 0.7, 0.5


@cache
def colour_table(mask: str) -> np.ndarray:
    """RGB by label of the mask ``semantic`` or ``instance``, 0 to 255, shape (301, 3).

    Discs and endplates of a vertebra are darker than the vertebra itself.
    """
    table = np.full((301, 3), 128.0)
    for row in label_table():
        if row.mask == mask:
            table[row.label] = [int(row.color[i : i + 2], 16) for i in (1, 3, 5)]
    if mask == "instance":
        for label in UNNAMED:
            table[label] = table[1 + (label - UNNAMED.start) % (SACRUM - 1)]
        for offset, share in ((DISC_OFFSET, _DISC), (ENDPLATE_OFFSET, _ENDPLATE)):
            table[offset + 1 : offset + 100] = share * table[1:100]
    table.setflags(write=False)
    return table
