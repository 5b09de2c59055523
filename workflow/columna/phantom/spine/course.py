"""The course of a spine: which vertebrae there are, how large they are, and where they stand."""

from dataclasses import dataclass, replace

import numpy as np

from columna.anatomy import SACRUM, T12, T13
from columna.phantom.settings import PhantomSettings
from columna.phantom.spine.morphometry import SACRAL_SEGMENTS, VertebraSizes, sizes_at
from columna.phantom.spine.shapes import BodyShape

C2, C7, T1, L1 = 2, 7, 8, 20
SAC_GAP_MM = 1.5
"""Space between the posterior wall of a body and the dural sac."""


@dataclass(frozen=True)
class PhantomVertebra:
    """A vertebra (or a fused sacral segment) in its frame.

    Parameters
    ----------
    label
        Instance label (C2 = 2 ... L5 = 24, T13 = 28, sacrum = 26).
    frame
        4x4, local mm (right, anterior, superior; origin in the middle of the body) to RAS mm.
    sizes
        Scaled sizes of this individual.
    body
        The body's shape, endplates included.
    """

    label: int
    frame: np.ndarray
    sizes: VertebraSizes
    body: BodyShape

    @property
    def canal_centre(self) -> np.ndarray:
        """Middle of the canal behind the body, local mm."""
        return np.array([0, -(self.body.depth / 2 + SAC_GAP_MM + self.sizes.canal_ap / 2), 0])

    def to_world(self, point: np.ndarray) -> np.ndarray:
        """RAS mm of a local `point`."""
        return self.frame[:3, :3] @ point + self.frame[:3, 3]


@dataclass(frozen=True)
class PhantomSpine:
    """Vertebrae from cranial to caudal, and the sacral segments S1 to S5."""

    vertebrae: tuple[PhantomVertebra, ...]
    sacrum: tuple[PhantomVertebra, ...]

    @property
    def chain(self) -> tuple[PhantomVertebra, ...]:
        """Presacral vertebrae and S1."""
        return (*self.vertebrae, self.sacrum[0])


def level_labels(settings: PhantomSettings) -> list[int]:
    """Instance labels of the presacral vertebrae from C2 down."""
    thoracic = [*range(T1, T12 + 1), T13][: settings.thoracic]
    return [*range(C2, C7 + 1), *thoracic, *range(L1, L1 + settings.lumbar)]


def build_spine(settings: PhantomSettings) -> PhantomSpine:
    """Stack the vertebrae of `settings` upwards from the sacrum, whose upper plate is at 0."""
    rng = np.random.default_rng([settings.seed, 1])
    labels = level_labels(settings)
    positions = np.concatenate(
        [np.arange(6), np.linspace(6, 17, settings.thoracic), np.linspace(18, 22, settings.lumbar)]
    )
    sagittal = _sagittal_tilts(settings)
    coronal = _coronal_tilts(settings, len(labels), rng)
    twists = 0.4 * coronal + rng.normal(0, 1, len(labels))
    sizes = [_widened(_individual(sizes_at(p), settings, rng), p, settings) for p in positions]
    sacrum = _sacrum(settings)
    top, below = np.zeros(3), sacrum[0].frame[:3, 2]
    stack = []
    for i in reversed(range(len(labels))):
        rotation = _rotation(sagittal[i], coronal[i], twists[i])
        up, size = rotation[:, 2], _crushed(sizes[i], settings.crushed.get(labels[i], 0.0))
        between = (up + below) / np.linalg.norm(up + below)
        narrowed = 1 - settings.disc_narrowed.get(labels[i], 0.0)
        slip = settings.listhesis_mm.get(labels[i], 0.0) * rotation[:, 1]
        bottom = top + narrowed * size.disc * between + slip
        body = _body(labels[i], size, settings)
        stack.append(
            PhantomVertebra(labels[i], _frame(rotation, bottom + size.height / 2 * up), size, body)
        )
        top, below = bottom + size.height * up, up
    return PhantomSpine(tuple(reversed(stack)), sacrum)


def _widened(size: VertebraSizes, position: float, settings: PhantomSettings) -> VertebraSizes:
    """Broad or narrow bodies and canals."""
    canal = 1 + (settings.canal_width - 1) * float(np.interp(position, [14, 18], [0.5, 1]))
    return replace(size, width=size.width * settings.body_width, canal_rl=size.canal_rl * canal)


def _crushed(size: VertebraSizes, lost: float) -> VertebraSizes:
    """Lose the share `lost` of the anterior height; the posterior height stays."""
    if not lost:
        return size
    wedge = size.wedge_deg + np.rad2deg(2 * np.arctan(lost * size.height / 2 / size.depth))
    return replace(size, height=size.height * (1 - lost / 2), wedge_deg=float(wedge))


def _body(label: int, size: VertebraSizes, settings: PhantomSettings) -> BodyShape:
    """The body of a presacral vertebra; the upper end of C2 is no endplate."""
    sunken = settings.biconcave.get(label, 0.0) * size.height / 2
    concavity = size.concavity + sunken
    return BodyShape(
        size.height,
        size.depth,
        size.width,
        wedge_deg=size.wedge_deg,
        concavity_upper=0.0 if label == C2 else concavity,
        concavity_lower=concavity,
        exponent=settings.squareness,
        waist=settings.waist,
        lip=settings.osteophytes.get(label, 0.0),
        nodes=_schmorl_nodes(label, size, settings),
    )


def _schmorl_nodes(label: int, size: VertebraSizes, settings: PhantomSettings) -> tuple:
    """One or two dents somewhere in the middle of the endplates."""
    depth = settings.schmorl.get(label, 0.0)
    if not depth:
        return ()
    rng = np.random.default_rng([settings.seed, 5, label])
    return tuple(
        (
            float(rng.normal(0, 0.12) * size.width),
            float(rng.normal(-0.05, 0.12) * size.depth),
            float(rng.uniform(0.1, 0.22) * size.depth),
            depth,
            int(side),
        )
        for side in rng.choice([-1, 1], int(rng.integers(1, 3)))
    )


def _individual(
    normal: VertebraSizes, settings: PhantomSettings, rng: np.random.Generator
) -> VertebraSizes:
    """Sizes of this individual at one level."""
    varied = np.exp(rng.normal(0, settings.irregularity, 16))
    angles = {"wedge_deg": normal.wedge_deg, "spinous_deg": normal.spinous_deg}
    lengths = {
        name: value * settings.size * factor
        for (name, value), factor in zip(vars(normal).items(), varied, strict=False)
        if name not in angles
    }
    for name in ("canal_ap", "canal_rl", "cord_ap", "cord_rl"):
        lengths[name] *= settings.canal_size
    lengths["disc"] *= settings.disc_height
    angles["wedge_deg"] += rng.normal(0, 30 * settings.irregularity)
    return replace(normal, **lengths, **angles)


def _sagittal_tilts(settings: PhantomSettings) -> np.ndarray:
    """Forward tilt of every presacral body, degrees, cranial to caudal."""
    lumbar = np.arange(settings.lumbar) / settings.lumbar
    at_l1 = settings.sacral_slope_deg - settings.lumbar_lordosis_deg
    at_t1 = at_l1 + settings.thoracic_kyphosis_deg
    return np.concatenate(
        [
            at_t1 - settings.cervical_lordosis_deg * np.linspace(1, 1 / 6, 6),
            np.linspace(at_t1, at_l1, settings.thoracic, endpoint=False),
            at_l1 + settings.lumbar_lordosis_deg * lumbar**1.6,
        ]
    )


def _coronal_tilts(settings: PhantomSettings, n: int, rng: np.random.Generator) -> np.ndarray:
    """Tilt of every presacral body to the patient's right, degrees."""
    phase, waves = rng.uniform(0, 2 * np.pi), rng.uniform(1.0, 1.8)
    turns = np.linspace(0, waves * 2 * np.pi, n)
    return settings.scoliosis_deg * np.sin(turns + phase) + rng.normal(0, 0.5, n)


def _rotation(sagittal_deg: float, coronal_deg: float, twist_deg: float) -> np.ndarray:
    """Columns right, anterior, superior of a body tilted forwards, to the right, and twisted."""
    forward, right, twist = np.deg2rad([sagittal_deg, coronal_deg, twist_deg])
    up = np.array([np.sin(right), np.cos(right) * np.sin(forward), np.cos(right) * np.cos(forward)])
    side = np.array([np.cos(twist), np.sin(twist), 0.0])
    side -= (side @ up) * up
    side /= np.linalg.norm(side)
    return np.stack([side, np.cross(up, side), up], axis=1)


def _frame(rotation: np.ndarray, centre: np.ndarray) -> np.ndarray:
    frame = np.eye(4)
    frame[:3, :3] = rotation
    frame[:3, 3] = centre
    return frame


def _sacrum(settings: PhantomSettings) -> tuple[PhantomVertebra, ...]:
    """The segments S1 to S5, downwards from an upper plate in the origin."""
    top = np.zeros(3)
    segments = []
    size = sizes_at(22.0)
    for index, (height, depth, width, tilt) in enumerate(SACRAL_SEGMENTS):
        rotation = _rotation(settings.sacral_slope_deg + tilt, 0, 0)
        height, depth, width = np.array([height, depth, width]) * settings.size
        centre = top - height / 2 * rotation[:, 2]
        shrink = settings.size * settings.canal_size * np.array([0.85, 0.7, 0.5, 0.3, 0.2])[index]
        scaled = replace(
            size,
            height=height,
            depth=depth,
            width=width,
            canal_ap=size.canal_ap * shrink,
            canal_rl=size.canal_rl * shrink,
        )
        # segments below the first reach into the one above: fused, without a notch
        overlap = 0.0 if index == 0 else 5.0 * settings.size
        centre = centre + overlap / 2 * rotation[:, 2]
        body = BodyShape(height + overlap, depth, width, concavity_upper=0.0 if index else 0.8)
        segments.append(PhantomVertebra(SACRUM, _frame(rotation, centre), scaled, body))
        top = top - height * rotation[:, 2]
    return tuple(segments)
