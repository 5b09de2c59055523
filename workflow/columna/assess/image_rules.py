"""Rules about the image: noise, contrast, blur and motion (docs/method.md#quality)."""

from collections.abc import Iterator

import numpy as np

from columna.anatomy import Semantic
from columna.assess.finding import Finding, found
from columna.assess.quality_context import QualityContext, ScanCrop, centroid_mm
from columna.images.intensity import signal_range
from columna.images.volume import PIR
from columna.prepare.image_content import looks_like_ct

MAD_TO_SD = 1.4826
MIN_VOXELS = 50
MIN_BODIES = 3
"""Bodies or slices that a robust summary needs."""
LARGE_SECTION = 0.75
"""Share of a body's largest section from which a slice tells where the body is."""
IN_PLANE = (0, 1)
"""P and I: erosion and gradients stay inside sagittal slices, which may be far apart."""


def image_findings(context: QualityContext) -> Iterator[Finding]:
    """Answer all rules about the image."""
    crop = context.crop
    tissues = _tissues(crop)
    yield from _values(context)
    yield from _noise(tissues)
    yield from _contrast(tissues)
    yield _fluid_over_body(context, tissues)
    yield from _energy(context)
    yield _bias_gradient(context, crop)
    yield _slice_displacement(crop)
    yield _sharpness(crop, tissues["csf"])


def _tissues(crop: ScanCrop) -> dict[str, np.ndarray]:
    """Name -> signal of its voxels away from its edges."""
    masks = {
        "csf": crop.is_canal & ~_grown(crop.is_cord),
        "cord": crop.is_cord,
        "body": crop.is_body,
        "disc": crop.semantic == Semantic.DISC,
    }
    return {name: crop.image[_shrunk(mask)].astype(float) for name, mask in masks.items()}


def _values(context: QualityContext) -> Iterator[Finding]:
    """Whether the voxels hold what T2w MR holds."""
    outliers = context.scan_row.get("outlier_voxels_n")
    yield found("outlier_voxels", outliers, "no_image")
    yield found("unusable_sidecars", context.scan_row.get("unusable_sidecars_n"), "no_image")
    yield found("hounsfield_units", float(looks_like_ct(context.image.array)))
    yield found("empty_planes", float(_empty_planes(context)))


def _empty_planes(context: QualityContext) -> int:
    """Planes of one value inside the field of view: slices or rows that were lost."""
    fov = context.fov
    box = tuple(slice(a, b) for a, b in zip(fov.start, fov.stop, strict=True))
    inside = context.upright_image.array[box]
    others = [(1, 2), (0, 2), (0, 1)]
    return sum(int((inside.max(axis=a) == inside.min(axis=a)).sum()) for a in others)


def _shrunk(mask: np.ndarray) -> np.ndarray:
    return ~_grown(~mask)


def _grown(mask: np.ndarray, steps: int = 1) -> np.ndarray:
    """Grow by the 4-neighbourhood inside sagittal slices."""
    for _ in range(steps):
        grown = mask.copy()
        grown[1:] |= mask[:-1]
        grown[:-1] |= mask[1:]
        grown[:, 1:] |= mask[:, :-1]
        grown[:, :-1] |= mask[:, 1:]
        mask = grown
    return mask


def _robust_sd(values: np.ndarray) -> float:
    return MAD_TO_SD * float(np.median(np.abs(values - np.median(values))))


def _ratio(rule_id: str, above: float, below: float, lack: str = "fit_failed") -> Finding:
    """A ratio that cannot be negative; `lack`: why there is none if `below` is not positive."""
    if above < 0:
        return found(rule_id, None, "not_positive")
    return found(rule_id, above / below) if below > 0 else found(rule_id, None, lack)


def _lack(*tissues: np.ndarray) -> str | None:
    """Why a rule cannot be answered from `tissues`, or None."""
    fewest = min(len(values) for values in tissues)
    if fewest == 0:
        return "not_segmented"
    return "too_few_voxels" if fewest < MIN_VOXELS else None


def _noise(tissues: dict[str, np.ndarray]) -> Iterator[Finding]:
    for name in ("csf", "body"):
        values, rule_id = tissues[name], f"snr_{name}"
        lack = _lack(values)
        if lack:
            yield found(rule_id, None, lack)
        else:
            yield _ratio(rule_id, float(np.median(values)), _robust_sd(values))


def _contrast(tissues: dict[str, np.ndarray]) -> Iterator[Finding]:
    for one, other in (("body", "csf"), ("body", "disc"), ("cord", "csf")):
        rule_id, pair = f"cnr_{one}_{other}", (tissues[one], tissues[other])
        lack = _lack(*pair)
        if lack:
            yield found(rule_id, None, lack)
            continue
        medians = [float(np.median(values)) for values in pair]
        pooled = np.sqrt(np.mean([_robust_sd(values) ** 2 for values in pair]))
        yield _ratio(rule_id, abs(medians[0] - medians[1]), float(pooled))


def _fluid_over_body(context: QualityContext, tissues: dict[str, np.ndarray]) -> Finding:
    """Fluid is brighter than marrow on T2w, and darker or equal on T1w and CT."""
    fluid, body = tissues["csf"], tissues["body"]
    lack = _lack(fluid, body)
    if lack:
        return found("csf_over_body", None, lack)
    low = float(signal_range(context.image.array).low)
    return _ratio("csf_over_body", float(np.median(fluid)) - low, float(np.median(body)) - low)


def _energy(context: QualityContext) -> Iterator[Finding]:
    """Entropy focus criterion and foreground energy, as MRIQC defines them."""
    fov = context.fov
    box = tuple(slice(a, b) for a, b in zip(fov.start, fov.stop, strict=True))
    # a float first: the absolute value of the least integer is no integer of its type
    values = np.abs(context.upright_image.array[box].astype(np.float32))
    labelled = context.semantic.reoriented(PIR).array[box] > 0
    total = float(np.sqrt(np.sum(np.square(values, dtype=float))))
    share = values / np.float32(total)
    entropy = float(np.sum(share * np.log(share + np.float32(1e-16)), dtype=float))
    worst = -np.sqrt(values.size) * np.log(np.sqrt(values.size))
    yield _ratio("efc", -entropy, -float(worst))
    if not labelled.any():
        yield found("foreground_energy_ratio", None, "not_segmented")
        return
    inside, outside = (float(np.median(values[m])) ** 2 for m in (labelled, ~labelled))
    yield _ratio("foreground_energy_ratio", inside, outside)


def _bias_gradient(context: QualityContext, crop: ScanCrop) -> Finding:
    """Straight line through the median signals of the bodies along the spine."""
    rule_id = "bias_gradient"
    signals = dict(_by_body(crop))
    rows = [row for row in context.bodies if row["spineps_label"] in signals]
    if len(rows) < MIN_BODIES:
        return found(rule_id, None, "neighbour_missing")
    centres = np.array([centroid_mm(row) for row in rows])
    steps = np.linalg.norm(np.diff(centres, axis=0), axis=1)
    along = np.concatenate([[0], np.cumsum(steps)])
    levels = np.array([np.median(signals[row["spineps_label"]]) for row in rows])
    if levels.mean() <= 0:
        return found(rule_id, None, "not_positive")
    if along[-1] <= 0:
        return found(rule_id, None, "fit_failed")
    return found(rule_id, 100 * 100 * np.polyfit(along, levels, 1)[0] / levels.mean())


def _by_body(crop: ScanCrop) -> Iterator[tuple[int, np.ndarray]]:
    """Label and signal of every body."""
    labels = crop.bodies[crop.bodies > 0]
    values = crop.image[crop.bodies > 0]
    order = np.argsort(labels, kind="stable")
    occurring, starts = np.unique(labels[order], return_index=True)
    parts = np.split(values[order], starts[1:])
    yield from zip(occurring.tolist(), parts, strict=bool(len(occurring)))


def _slice_displacement(crop: ScanCrop) -> Finding:
    """Shift of the bodies' centroids between neighbouring slices, common trend removed."""
    rule_id = "slice_displacement"
    shifts = _slice_shifts(crop)
    if shifts is None:
        return found(rule_id, None, "not_segmented")
    is_body_rich = np.isfinite(shifts[0]).sum(axis=0) >= MIN_BODIES
    if is_body_rich.sum() < MIN_BODIES:
        return found(rule_id, None, "neighbour_missing")
    common = np.nanmedian(shifts[:, :, is_body_rich], axis=1)
    return found(rule_id, np.abs(common - np.median(common, axis=1, keepdims=True)).max())


def _slice_shifts(crop: ScanCrop) -> np.ndarray | None:
    """Shift in mm along P and I, of every body, from slice to slice: shape (2, bodies, slices-1).

    Slices that show less than `LARGE_SECTION` of a body do not count (NaN): its rim is uneven.
    """
    p, i, r = np.nonzero(crop.bodies)
    if not len(p):
        return None
    _, body = np.unique(crop.bodies[p, i, r], return_inverse=True)
    slices_n = crop.bodies.shape[2]
    place, size = body * slices_n + r, (int(body.max()) + 1) * slices_n
    counts = np.bincount(place, minlength=size).reshape(-1, slices_n)
    is_whole = counts >= LARGE_SECTION * counts.max(axis=1, keepdims=True)
    centres = np.full((2, *counts.shape), np.nan)
    for axis, index in enumerate((p, i)):
        sums = np.bincount(place, weights=index, minlength=size).reshape(-1, slices_n)
        centres[axis][is_whole] = sums[is_whole] / counts[is_whole] * crop.spacing_mm[axis]
    return np.diff(centres, axis=2)


def _sharpness(crop: ScanCrop, csf: np.ndarray) -> Finding:
    """How steep the signal is on the edge of the canal that faces the bodies."""
    edge = _grown(crop.is_canal) & ~_shrunk(crop.is_canal)
    border = edge & _grown(crop.is_body, 3)
    lack = _lack(csf, crop.image[border])
    if lack:
        return found("sharpness", None, lack)
    slopes = np.gradient(crop.image.astype(np.float32), *crop.spacing_mm[:2], axis=IN_PLANE)
    steep = float(np.median(np.hypot(*(slope[border] for slope in slopes))))
    return _ratio("sharpness", steep, float(np.median(csf)), "not_positive")
