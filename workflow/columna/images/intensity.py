"""What in an image is signal: limits that neither single voxels nor fill values can move.

Minimum and maximum belong to one voxel each, which may be a defect; and what a tool has put around
a scan (0, -1000, -1024, -3024, -32768, 65535) is no signal. The limits here are order statistics
of what is left without the fill value.
"""

from dataclasses import dataclass

import numpy as np

from columna.images.triple import three
from columna.images.volume import Box

TAIL = 1e-4
"""Share of the content that the order statistics leave out at either end."""
FACE_SHARE = 0.01
"""A fill value takes at least this share of the outermost voxels."""
NEAR = 0.1
"""Zero, or a fill value, is where the signal begins if the content begins less than this part of
its range above."""
FEW = 0.05
FAINT = 0.05
"""Negative values are artefacts (MR has none) where the quantile `FEW` lies above minus this part
of the upper limit: undershoot of an interpolation, overflow, or several fill values."""
BLOCK_SHARE = 0.01
"""The least or largest value is that of a block, and no signal, if it takes at least this share of
the content and lies far from all other values."""
MANY = 0.03
WIDE = 3.0
"""The order statistics lie at most `WIDE` times the distance of the quantiles `FEW` and 1 - `MANY`
beyond these: up to 1.5 times in scans (phantoms, SPIDER, Spinal Cord Toolbox), so that a row or a
block of voxels that are farther away belongs to no signal."""
FAR = 1.0
"""Values farther from the order statistics than this many times their range are outliers."""
FEW_IN_PLANE = 1e-4
"""A box of signal ends with planes that have a larger share of it, and more than one voxel."""


@dataclass(frozen=True)
class SignalRange:
    """Limits of the signal of an image.

    Attributes
    ----------
    low, high
        Limits, wide enough for any type of voxels; equal where the image is constant.
    floor, ceiling
        Values beyond these are outliers.
    fill
        The value around the field of view, of the image's type; None where there is none.
    """

    low: np.longdouble
    high: np.longdouble
    floor: np.longdouble
    ceiling: np.longdouble
    fill: np.generic | None

    @property
    def span(self) -> np.longdouble:
        """Width of the range."""
        return self.high - self.low

    def is_signal(self, array: np.ndarray) -> np.ndarray:
        """Where an image is neither filled nor empty; everywhere in an image without fill."""
        if self.fill is None:
            return np.ones(array.shape, bool)
        return (array > array.dtype.type(self.low)) & (array != self.fill)


def signal_range(array: np.ndarray) -> SignalRange:
    """Find the limits of the signal.

    The upper one is the maximum without outliers. The lower one is 0 where the content begins near
    0 (all MR does, unless a tool has shifted it) or where all but a few voxels are positive; else
    the value around the scan, if it is just below the content; else an order statistic of the
    content: one voxel in 10,000, and one at least, may be darker. Rows and scattered voxels, up to
    3 % of the content, and blocks of one value do not count if they are far from all others.

    Parameters
    ----------
    array
        Finite numbers of any type, three axes.
    """
    common = common_on_faces(array)
    content = _without_blocks(array.ravel() if common is None else array[array != common])
    low, few, high = _ordered(content) if content.size > 2 else [np.longdouble(0)] * 3
    if low == high:
        least, most = np.longdouble(array.min()), np.longdouble(array.max())
        return SignalRange(least, most, least, most, None)
    if 0 <= low <= NEAR * (high - low) or (low < 0 and few >= -FAINT * high):
        low = np.longdouble(0)
    span = high - low
    floor, ceiling = np.longdouble(low - FAR * span), np.longdouble(high + FAR * span)
    fill = None
    if common is not None:
        value = np.longdouble(common)
        if low != 0 and 0 < low - value <= NEAR * span:
            low = value
        fill = common if value <= low or value > ceiling else None
    most = np.longdouble(array.max())
    if most > ceiling:
        most = np.longdouble(array[array <= ceiling].max())
    return SignalRange(low, most, floor, ceiling, fill)


def common_on_faces(array: np.ndarray) -> np.generic | None:
    """The most frequent value of the outermost voxels, if it is frequent."""
    faces = [array.take(end, axis).ravel() for axis in range(3) for end in (0, -1)]
    values, counts = np.unique(np.concatenate(faces), return_counts=True)
    most = counts.argmax()
    return values[most] if counts[most] >= FACE_SHARE * counts.sum() else None


def _without_blocks(values: np.ndarray) -> np.ndarray:
    for end in (np.min, np.max):
        if values.size <= 2:
            break
        value = end(values)
        rest = values[values != value]
        if rest.size <= 2 or values.size - rest.size < BLOCK_SHARE * values.size:
            continue
        low, _, high = _ordered(rest)
        if value < low - NEAR * (high - low) or value > high + FAR * (high - low):
            values = rest
    return values


def _ordered(values: np.ndarray) -> list[np.longdouble]:
    """Lower limit, quantile `FEW` and upper limit of `values`, as order statistics."""
    low, few, many, high = _statistics(values)
    reach = WIDE * (many - few)
    if reach > 0 and (low < few - reach or high > many + reach):
        low, few, _, high = _statistics(values[(values >= few - reach) & (values <= many + reach)])
    return [low, few, high]


def _statistics(values: np.ndarray) -> list[np.longdouble]:
    last = values.size - 1
    beyond = min(max(int(TAIL * values.size), 1), last // 2)
    many = min(last - int(MANY * last), last - beyond)
    places = [beyond, max(int(FEW * last), beyond), many, last - beyond]
    ordered = np.partition(values, places)
    return [np.longdouble(ordered[place]) for place in places]


def signal_box(mask: np.ndarray) -> Box | None:
    """Box around all planes that hold more than a few true voxels.

    Sparse planes right beside it are inside, too: they are the rim of something.

    Parameters
    ----------
    mask
        Three axes, bool.

    Returns
    -------
    tuple of slice or None
        None where no plane holds more than a few.
    """
    box = []
    for axis in range(3):
        counts = np.count_nonzero(mask, axis=tuple({0, 1, 2} - {axis}))
        solid = np.flatnonzero(counts > max(FEW_IN_PLANE * mask.size / len(counts), 1))
        if not len(solid):
            return None
        empty = np.flatnonzero(counts == 0)
        start = empty[empty < solid[0]].max(initial=-1) + 1
        stop = empty[empty > solid[-1]].min(initial=len(counts))
        box.append(slice(int(start), int(stop)))
    return three(box)


def imaged_box(array: np.ndarray) -> Box:
    """The part of an image that was imaged: all of it but the planes of fill at its rim."""
    whole = three(slice(0, size) for size in array.shape)
    return signal_box(signal_range(array).is_signal(array)) or whole
