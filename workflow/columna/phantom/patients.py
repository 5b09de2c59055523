"""Random patients for training: anatomy and pathology over a wide range, in a whole body."""

import numpy as np

from columna.phantom.settings import PhantomSettings, random_settings
from columna.phantom.spine.course import level_labels

PATHOLOGY: dict[str, tuple[tuple[float, ...], tuple[float, float]]] = {
    "crushed": ((0.0, 0.04, 0.15), (0.1, 0.65)),
    "biconcave": ((0.0, 0.03, 0.2), (0.1, 0.45)),
    "schmorl": ((0.0, 0.1, 0.3), (1.5, 6.0)),
    "osteophytes": ((0.0, 0.2, 0.7), (0.04, 0.25)),
    "disc_narrowed": ((0.05, 0.2, 0.5), (0.2, 0.85)),
    "bulging": ((0.0, 0.2, 0.5), (0.5, 4.0)),
    "listhesis_mm": ((0.0, 0.03, 0.1), (-5.0, 10.0)),
    "stenosis": ((0.0, 0.05, 0.2), (0.1, 0.55)),
}
"""Setting -> its rate per level in healthy, usual and bad spines, and the range of its severity."""


def random_patient(seed: int, **fixed: object) -> PhantomSettings:
    """Draw a patient from `seed`; `fixed` fields are kept as given.

    Unlike `random_settings`, which draws the phantoms of evaluations, several things may be wrong
    with a patient at once.
    """
    rng = np.random.default_rng([seed, 8])
    base = random_settings(seed)
    labels = level_labels(base)
    values: dict[str, object] = {
        **base.model_dump(),
        "surroundings": "body",
        "obliquity_deg": 0.0,
        "fov_shift_mm": (0.0, 0.0, 0.0),
        "scoliosis_deg": float(rng.normal(0, rng.choice([2, 6, 14], p=[0.5, 0.35, 0.15]))),
        "size": float(np.clip(rng.normal(1, 0.09), 0.78, 1.25)),
        "canal_size": float(np.clip(rng.normal(1, 0.13), 0.7, 1.4)),
        "fused_below": tuple(int(v) for v in labels if rng.random() < 0.006),
        "missing_disc_below": tuple(int(v) for v in labels if rng.random() < 0.003),
        "posterior_size": float(np.clip(rng.normal(1.08, 0.16), 0.75, 1.5)),
        "posterior_jitter": float(rng.uniform(0.05, 0.25)),
        "squareness": float(rng.uniform(2.3, 4.0)),
        "waist": float(rng.uniform(0.04, 0.2)),
        "body_width": float(rng.uniform(0.95, 1.25)),
        "canal_width": float(rng.uniform(0.95, 1.45)),
        "sacral_notch": float(max(rng.uniform(-0.3, 1.0), 0)),
        "coccyx": True,
    }
    # how ill the spine is, for each kind of trouble
    for name, (rates, (low, high)) in PATHOLOGY.items():
        rate = rng.choice(rates, p=[0.4, 0.4, 0.2])
        chosen = [int(v) for v in labels if rng.random() < rate]
        values[name] = {v: float(rng.uniform(low, high)) for v in chosen}
    return PhantomSettings.model_validate(values | fixed)
