"""Phase-1 samples: a patch of a deformed label map, painted and scanned at random."""

from dataclasses import dataclass

import numpy as np

from columna.anatomy import Semantic
from columna.images.triple import three
from columna.phantom import tissues
from columna.phantom.texture import smooth_noise
from columna.train.samples.acquire import (
    Gain,
    Protocol,
    acquire,
    random_gain,
    random_protocol,
    with_noise,
)
from columna.train.samples.appearance import UNLABELLED, Appearance, random_appearance
from columna.train.samples.deform import MapPose, Steps, add_elastic, doubled, look_up
from columna.train.samples.maps import LabelMap
from columna.train.samples.placing import place, swapped

WEIGHTS: dict[int, float] = {
    Semantic.SACRUM: 2.0,
    Semantic.COSTAL_PROCESS_LEFT: 2.0,
    Semantic.COSTAL_PROCESS_RIGHT: 2.0,
    Semantic.SPINOUS_PROCESS: 1.5,
}
"""Odds of a patch's centre by semantic label; 1 where nothing is said."""
AWAY = 0.2
"""Share of patches that are centred away from the spine, where false islands arise."""


@dataclass(frozen=True)
class View:
    """What a sample shows, along P, I, R in scanner mm (origin near the spine).

    Parameters
    ----------
    low, high
        Field of view.
    steps
        Positions of the patch's voxels; some may lie outside the field of view.
    """

    low: np.ndarray
    high: np.ndarray
    steps: Steps

    @property
    def inside(self) -> tuple[slice, ...]:
        """The part of the patch within the field of view."""
        return tuple(
            slice(int(np.searchsorted(s, a)), int(np.searchsorted(s, b, side="right")))
            for s, a, b in zip(self.steps, self.low, self.high, strict=True)
        )


def make_patch(
    label_map: LabelMap,
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a training sample.

    Parameters
    ----------
    label_map
        The body to show.
    shape, spacing_mm
        Of the patch, along P, I, R.

    Returns
    -------
    image
        float32, z-scored over the (virtual) field of view of the whole scan, 0 outside it.
    semantic
        uint8 labels, 0 outside the field of view.
    """
    pose, mirrored = place(label_map, WEIGHTS, rng)
    ends = np.array(label_map.codes.shape) * label_map.spacing_mm
    view = random_view(ends, pose, shape, spacing_mm, rng)
    look, protocol, gain = random_appearance(rng), random_protocol(rng), random_gain(rng)
    box = view.inside
    steps = three(s[b] for s, b in zip(view.steps, box, strict=True))
    image, semantic = np.zeros(shape, np.float32), np.zeros(shape, np.uint8)
    if min(len(s) for s in steps) < 4:
        return image, semantic
    picture, labels, fine = _paint(label_map, pose, steps, look, protocol, rng)
    scanned = protocol.toned(acquire(picture, fine, steps, gain, protocol, rng))
    brightness = look.mean[label_map.palette[:, 0]]
    overview = brightness[overlook(label_map.codes, label_map.spacing_mm, pose, view)]
    image[box] = normalised(scanned, overview, view, gain, protocol, rng)
    semantic[box] = swapped(labels) if mirrored else labels
    return image, semantic


def random_view(
    ends: np.ndarray,
    pose: MapPose,
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    rng: np.random.Generator,
) -> View:
    """A field of view around the origin, within a body of size `ends` (mm), and a patch in it."""
    size = np.array([rng.uniform(150, 300), rng.uniform(140, 450), rng.uniform(36, 90)])
    if rng.random() < 0.12:  # a crop
        size = np.array([rng.uniform(55, 130), rng.uniform(50, 140), rng.uniform(40, 90)])
    behind = rng.uniform(35, 110) if size[0] > 140 else rng.uniform(0.3, 0.6) * size[0]
    above = rng.uniform(0.05, 0.95) * size[1]
    left = rng.uniform(0.25, 0.75) * size[2]
    low = np.array([behind - size[0], -above, -left])
    high = low + size
    # not beyond the body: its ends, seen from the scanner (turns are small)
    scale = np.linalg.norm(pose.matrix, axis=0)
    before, after = -pose.inside / scale, (ends - pose.inside) / scale
    if pose.matrix[2, 2] < 0:
        before[2], after[2] = -after[2], -before[2]
    low, high = np.maximum(low, before), np.minimum(high, after)
    extent = np.array(shape) * spacing_mm
    jitter = rng.uniform(-0.3, 0.3, 3) * extent * (1, 1, 0.5)
    centre = np.clip(jitter, low, high)
    if rng.random() < AWAY:
        centre = rng.uniform(low, high)
    room = np.maximum(high - low - extent, 0)
    start = np.where(
        room > 0, np.clip(centre - extent / 2, low, low + room), (low + high - extent) / 2
    )
    steps = three(
        float(a) + step * np.arange(n) for a, step, n in zip(start, spacing_mm, shape, strict=True)
    )
    return View(low, high, steps)


def _paint(
    label_map: LabelMap,
    pose: MapPose,
    steps: Steps,
    look: Appearance,
    protocol: Protocol,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, Steps]:
    """Brightness on a grid twice as fine, labels on the grid of `steps`, and the fine steps."""
    coordinates = doubled(add_elastic(pose.at(steps), steps, rng))
    codes = look_up(label_map.codes, coordinates, label_map.spacing_mm)
    fine = tuple(s[0] + (s[1] - s[0]) / 2 * np.arange(2 * len(s)) for s in steps)
    kinds = label_map.palette[:, 0]
    picture = look.mean[kinds][codes]
    if rng.random() < 0.5:
        free = np.isin(kinds, UNLABELLED) & (kinds != tissues.AIR)
        _add_blobs(picture, free[codes], fine, look, rng)
    spacing = [float(s[1] - s[0]) for s in fine]
    grain = rng.standard_normal(codes.shape, dtype=np.float32)
    grain += smooth_noise(codes.shape, spacing, float(rng.uniform(2.0, 10)), rng)
    grain *= look.grain[kinds][codes]
    picture *= 1 + grain
    if protocol.fat_shift:
        fat = np.where(look.fat[kinds][codes], picture, np.float32(0))
        picture += np.roll(fat, protocol.fat_shift, 1) - fat
    labels = label_map.palette[:, 1][codes[::2, ::2, ::2]]
    return picture, labels, fine


def _add_blobs(
    picture: np.ndarray,
    free: np.ndarray,
    fine: Steps,
    look: Appearance,
    rng: np.random.Generator,
) -> None:
    """Islands of any brightness, some with marrow and a dark rim, in unlabelled tissue."""
    spacing = [float(s[1] - s[0]) for s in fine]
    for _ in range(int(rng.integers(1, 3))):
        field = smooth_noise(picture.shape, spacing, float(rng.uniform(5, 25)), rng)
        edge = rng.uniform(0.8, 2.2)
        value = rng.uniform(0.02, 1.0)
        if rng.random() < 0.4:
            value = look.mean[Semantic.VERTEBRAL_BODY]
            picture[free & (field > edge - rng.uniform(0.05, 0.3))] = look.mean[tissues.LIGAMENT]
        picture[free & (field > edge)] = value


def overlook(codes: np.ndarray, spacing_mm: np.ndarray, pose: MapPose, view: View) -> np.ndarray:
    """Voxels of `codes` on a coarse grid over the whole field of view."""
    return look_up(codes, pose.at(_coarse(view)), spacing_mm)


def normalised(
    scanned: np.ndarray,
    overview: np.ndarray,
    view: View,
    gain: Gain,
    protocol: Protocol,
    rng: np.random.Generator,
) -> np.ndarray:
    """Z-score `scanned` over its whole scan, of which `overview` is a coarse picture."""
    values = overview * gain.at(_coarse(view))
    values = protocol.toned(with_noise(values, protocol.noise, rng))
    # the preparation (N4 above all) and other surroundings shift the statistics a little
    shift, scale = rng.normal(0, 0.08), np.exp(rng.normal(0, 0.08))
    factor = np.float32(scale) / (values.std() + np.float32(1e-4))
    return (scanned - values.mean()) * factor + np.float32(shift)


def _coarse(view: View) -> Steps:
    counts = np.maximum((view.high - view.low) / (5, 6, 7), 4).astype(int)
    return three(np.linspace(a, b, n) for a, b, n in zip(view.low, view.high, counts, strict=True))
