"""Phase-1 samples of real scans: a patch, deformed, scanned anew in another protocol.

The scan takes the place of the painted label map: coils, slices, noise and tones are those of
`columna.train.samples.acquire`. So a volume of thin slices also teaches what thick ones look
like, and a T2w scan with another tone curve what other sequences look like.
"""

from collections.abc import Callable, Mapping

import numpy as np
from scipy import ndimage

from columna.images.triple import three
from columna.train.samples.acquire import acquire, random_gain, random_protocol
from columna.train.samples.deform import MapPose, Steps, add_elastic, doubled, look_up
from columna.train.samples.label_sets import ANY, LabelSets
from columna.train.samples.patches import View, normalised, overlook, random_view
from columna.train.samples.placing import pose_at
from columna.train.samples.real_scans import RealScan

OTHER_TONES = 0.3
"""Share of the samples whose contrast is bent beyond a gamma curve: inverted, or at random."""
TONE_KNOTS = 6
LEAST_SLICES = 3

Tone = Callable[[np.ndarray], np.ndarray]


def scan_patch(
    scan: RealScan,
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    sets: LabelSets,
    odds_of: Mapping[int, float],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a training sample of a real scan.

    Parameters
    ----------
    shape, spacing_mm
        Of the patch, along P, I, R.
    sets
        What codes mean, and which ones left and right exchange.
    odds_of
        Odds of the patch's centre by code; 1 where nothing is said.

    Returns
    -------
    image
        float32, z-scored over the (virtual) field of view of the whole scan, 0 outside it.
    codes
        uint8; `ANY` outside the field of view.
    """
    pose, mirrored = _place(scan, odds_of, rng)
    view = random_view(np.array(scan.codes.shape) * scan.spacing_mm, pose, shape, spacing_mm, rng)
    image, codes = np.zeros(shape, np.float32), np.full(shape, ANY, np.uint8)
    box = view.inside
    steps = three(s[b] for s, b in zip(view.steps, box, strict=True))
    if min(len(s) for s in steps) < LEAST_SLICES:
        return image, codes
    coordinates = add_elastic(pose.at(steps), steps, rng)
    known = look_up(scan.codes, coordinates, scan.spacing_mm)
    # beyond the scan its border would go on for ever
    for at, n, step in zip(coordinates, scan.codes.shape, scan.spacing_mm, strict=True):
        known[(at < -step) | (at > n * step)] = ANY
    codes[box] = sets.mirrored()[known] if mirrored else known
    image[box] = _scanned(scan, coordinates, steps, pose, view, rng)
    return image, codes


def _place(
    scan: RealScan, odds_of: Mapping[int, float], rng: np.random.Generator
) -> tuple[MapPose, bool]:
    """Put a random point into the origin of the scanner; mirror every second patient."""
    present = sorted(set(scan.points) - {ANY})
    odds = np.array([odds_of.get(code, 1.0) for code in present])
    points = scan.points[present[rng.choice(len(present), p=odds / odds.sum())]]
    return pose_at(points[rng.integers(len(points))] * scan.spacing_mm, rng)


def _scanned(
    scan: RealScan,
    coordinates: list[np.ndarray],
    steps: Steps,
    pose: MapPose,
    view: View,
    rng: np.random.Generator,
) -> np.ndarray:
    """What another protocol makes of the scan at `coordinates`."""
    tone, protocol, gain = random_tone(rng), random_protocol(rng), random_gain(rng)
    places = (
        at * np.float32(1 / step)
        for at, step in zip(doubled(coordinates), scan.spacing_mm, strict=True)
    )
    index: np.ndarray = np.stack(np.broadcast_arrays(*places))
    part, offset = _surrounding(scan.image, index)
    index -= offset
    picture = tone(ndimage.map_coordinates(part, index, order=1, mode="nearest"))
    fine = three(s[0] + (s[1] - s[0]) / 2 * np.arange(2 * len(s)) for s in steps)
    scanned = protocol.toned(acquire(picture, fine, steps, gain, protocol, rng))
    overview = tone(overlook(scan.image, scan.spacing_mm, pose, view).astype(np.float32))
    return normalised(scanned, overview, view, gain, protocol, rng)


def _surrounding(image: np.ndarray, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The part of `image` that `index` (3, ...) looks at, float32, and where it begins."""
    flat = index.reshape(3, -1)
    size = np.array(image.shape)
    low = np.clip(np.floor(flat.min(axis=1)).astype(int) - 1, 0, size - 1)
    high = np.clip(np.ceil(flat.max(axis=1)).astype(int) + 2, low + 1, size)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    return image[box].astype(np.float32), low.astype(np.float32).reshape(3, 1, 1, 1)


def random_tone(rng: np.random.Generator) -> Tone:
    """Draw a tone curve of brightness 0 to 2: gamma, inverted, or through random knots."""
    kind = rng.random()
    gamma = np.float32(np.exp(rng.normal(0, 0.3)))
    if kind >= OTHER_TONES:
        return lambda image: image**gamma
    knots = np.array([0.0, 0.08, 0.2, 0.4, 0.7, 1.1])
    if kind < OTHER_TONES / 2:
        values = np.interp(knots, (0.0, 0.05, 1.1), (0.02, 1.0, rng.uniform(0.02, 0.3)))
    else:
        values = np.concatenate([[0.02], rng.uniform(0.02, 1.0, TONE_KNOTS - 1)])
    return lambda image: np.interp(image**gamma, knots, values).astype(np.float32)
