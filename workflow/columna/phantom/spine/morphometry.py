"""Normal sizes by level, in mm: a typical adult (docs/method.md#sizes-of-phantoms).

The rows are anchors on a craniocaudal scale where C2 = 0, T1 = 6, L1 = 18 and L5 = 22; sizes
between them are interpolated, so that spines with 11 or 13 thoracic or 4 or 6 lumbar vertebrae
change as smoothly as normal ones.
"""

from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True)
class VertebraSizes:
    """Sizes of one vertebra, of the disc below it, and of canal and cord behind it."""

    height: float
    depth: float
    width: float
    wedge_deg: float
    concavity: float
    disc: float
    canal_ap: float
    canal_rl: float
    cord_ap: float
    cord_rl: float
    spinous: float
    spinous_deg: float
    spinous_height: float
    transverse: float
    articular: float


_COLUMNS = ("position", *(f.name for f in fields(VertebraSizes)))
_ANCHORS = np.array(
    [
        # pos   h     d     w    wedge conc disc  c_ap  c_rl  k_ap k_rl  sp  deg  sh    tr   art
        [0.0, 17.0, 15.0, 17.0, 0.0, 0.4, 5.0, 13.5, 20.0, 8.4, 12.0, 16, 15, 11.0, 12.0, 4.2],
        [1.0, 14.5, 15.5, 17.5, 0.0, 0.6, 5.2, 12.5, 19.5, 8.5, 12.8, 13, 20, 8.0, 11.0, 4.2],
        [3.0, 13.6, 16.0, 19.0, 0.0, 0.7, 5.4, 11.8, 19.5, 8.3, 13.4, 14, 22, 8.0, 11.0, 4.2],
        [5.0, 15.0, 17.0, 22.5, 0.0, 0.7, 5.2, 12.2, 18.5, 7.6, 11.6, 24, 25, 9.0, 13.0, 4.2],
        [6.0, 16.8, 17.5, 26.0, 1.5, 0.7, 4.4, 12.5, 17.0, 7.2, 10.5, 28, 32, 10.0, 18.0, 4.0],
        [9.0, 18.5, 20.5, 25.5, 3.0, 0.8, 3.4, 12.5, 15.5, 6.5, 8.8, 30, 48, 11.0, 18.0, 3.6],
        [12.0, 20.0, 24.5, 28.0, 3.5, 0.9, 4.0, 12.5, 15.0, 6.4, 8.4, 30, 55, 12.0, 17.0, 3.6],
        [15.0, 22.0, 28.0, 32.0, 3.5, 1.1, 5.0, 13.0, 15.5, 6.8, 8.8, 26, 42, 14.0, 15.0, 3.8],
        [17.0, 25.0, 30.0, 40.0, 4.0, 1.3, 6.6, 15.0, 17.5, 7.6, 9.4, 25, 22, 17.0, 12.0, 4.2],
        [18.0, 27.0, 31.0, 42.0, 3.0, 1.5, 8.0, 16.0, 18.5, 7.4, 8.8, 27, 12, 18.0, 16.0, 4.6],
        [20.0, 28.5, 33.5, 45.5, 0.5, 1.7, 9.5, 15.5, 18.0, 5.0, 5.0, 29, 8, 19.0, 20.0, 5.0],
        [22.0, 28.5, 35.0, 49.0, -6.0, 1.6, 10.5, 14.0, 18.0, 3.0, 3.0, 24, 8, 16.0, 19.0, 5.4],
    ]
)


def sizes_at(position: float) -> VertebraSizes:
    """Normal sizes at a place on the craniocaudal scale of this module."""
    values = {
        name: float(np.interp(position, _ANCHORS[:, 0], _ANCHORS[:, _COLUMNS.index(name)]))
        for name in _COLUMNS[1:]
    }
    return VertebraSizes(**values)


SACRAL_SEGMENTS = np.array(
    # height, depth, width, tilt against S1
    [
        [28.0, 33.0, 52.0, 0.0],
        [23.0, 24.0, 46.0, 10.0],
        [20.0, 18.0, 40.0, 14.0],
        [17.0, 14.0, 34.0, 6.0],
        [15.0, 11.0, 26.0, -10.0],
    ]
)
"""Bodies of the fused sacral vertebrae S1 to S5."""
