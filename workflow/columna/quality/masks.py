"""Rules about the masks: pieces, agreement of the two masks, canal, sides, stray voxels."""

from collections.abc import Iterator

import numpy as np
from scipy.spatial import cKDTree

from columna.anatomy import BODY, ENDPLATES, POSTERIOR_ELEMENTS, Semantic, semantic_names
from columna.measure.topology import topology
from columna.quality.context import Crop, QualityContext, Row, centroid_mm
from columna.quality.finding import Finding, found

MIDLINE_PARTS = (Semantic.ARCUS, Semantic.SPINOUS_PROCESS)
"""Structures that every vertebra below C1 shows in a sagittal scan."""
LEFT = (
    Semantic.COSTAL_PROCESS_LEFT,
    Semantic.SUPERIOR_ARTICULAR_LEFT,
    Semantic.INFERIOR_ARTICULAR_LEFT,
)
RIGHT = (
    Semantic.COSTAL_PROCESS_RIGHT,
    Semantic.SUPERIOR_ARTICULAR_RIGHT,
    Semantic.INFERIOR_ARTICULAR_RIGHT,
)
PAIRED = ("costal", "sup_artic", "inf_artic")
"""Processes of two sides, as the columns of their volumes call them."""
REACH_MM = {
    **dict.fromkeys(BODY, 45.0),
    **dict.fromkeys(ENDPLATES, 45.0),
    **dict.fromkeys(POSTERIOR_ELEMENTS, 100.0),
    Semantic.DISC: 45.0,
    Semantic.DENS: 45.0,
    Semantic.SPINAL_CORD: 60.0,
    Semantic.SPINAL_CANAL: 60.0,
    Semantic.SACRUM: 160.0,
}
"""Structure -> how far its voxels can lie from the curve through the bodies."""
SAMPLE = 20_000
"""Voxels per structure that are enough to tell a share of 0.5 %."""


def mask_findings(context: QualityContext) -> Iterator[Finding]:
    """Answer all rules about the masks."""
    crop = context.crop
    yield from _agreement(crop)
    yield from _canal(crop)
    pieces = topology(crop.bodies)
    parts, cut = _Parts(crop), _cut_labels(context)
    for row in context.vertebrae:
        item, label = row["vertebra"], row["spineps_label"]
        if label in pieces:
            yield found("body_components", pieces[label].components_n, item=item)
        else:
            lack = "not_applicable" if row["level"] == "C1" else "not_segmented"
            yield found("body_components", None, lack, item)
        yield _subregions(row, parts, label in cut)
        yield _symmetry(row)
        yield parts.swap(row)
    yield from _leakage(context, crop)


def _agreement(crop: Crop) -> Iterator[Finding]:
    """Compare the union of vertebra instances with the union of vertebra structures."""
    structures = np.isin(crop.semantic, (*BODY, *POSTERIOR_ELEMENTS))
    others = np.isin(crop.semantic, (*ENDPLATES, Semantic.DENS))
    instances = crop.is_vertebra & ~others
    sizes = int(structures.sum()) + int(instances.sum())
    if sizes:
        yield found("semantic_instance_dice", 2 * int((structures & instances).sum()) / sizes)
    else:
        yield found("semantic_instance_dice", None, "not_segmented")
    bodies_n = int(crop.is_body.sum())
    if bodies_n:
        bare = int((crop.is_body & ~crop.is_vertebra).sum())
        yield found("body_without_instance", bare / bodies_n)
    else:
        yield found("body_without_instance", None, "not_segmented")


def _canal(crop: Crop) -> Iterator[Finding]:
    rows = np.flatnonzero(crop.is_canal.any(axis=(0, 2)))
    if len(rows):
        longest = int(np.diff(rows).max(initial=1)) - 1
        yield found("canal_continuity", longest * crop.spacing_mm[1])
    else:
        yield found("canal_continuity", None, "not_segmented")
    shell_n, canal_n = 0, 0
    for axis in (0, 1):
        cord = np.moveaxis(crop.is_cord, axis, 0)
        canal = np.moveaxis(crop.semantic == Semantic.SPINAL_CANAL, axis, 0)
        for mine, beside in ((slice(1, None), slice(-1)), (slice(-1), slice(1, None))):
            shell = cord[mine] & ~cord[beside]
            shell_n += int(shell.sum())
            canal_n += int((shell & canal[beside]).sum())
    if shell_n:
        yield found("cord_in_canal", canal_n / shell_n)
    else:
        yield found("cord_in_canal", None, "not_segmented")


class _Parts:
    """Which voxels of a vertebra belong to which structure, counted in one pass."""

    def __init__(self, crop: Crop) -> None:
        index = np.flatnonzero(crop.is_vertebra & np.isin(crop.semantic, POSTERIOR_ELEMENTS))
        vertebra = crop.instance.reshape(-1)[index].astype(int)
        part = crop.semantic.reshape(-1)[index].astype(int)
        place = np.unravel_index(index, crop.instance.shape)
        right_mm = sum(crop.affine[0, axis] * place[axis] for axis in range(3))
        self._key = {}
        key, inverse = np.unique(vertebra * 128 + part, return_inverse=True)
        counts = np.bincount(inverse, minlength=len(key))
        sums = np.bincount(inverse, weights=right_mm, minlength=len(key))
        for number, count, total in zip(key.tolist(), counts, sums, strict=True):
            self._key[divmod(number, 128)] = (int(count), float(total))

    def count(self, row: Row, part: int) -> int:
        """Voxels of a structure of a vertebra."""
        return self._key.get((row["spineps_label"], int(part)), (0, 0.0))[0]

    def _right_mm(self, row: Row, parts: tuple[Semantic, ...]) -> float | None:
        known = [self._key.get((row["spineps_label"], int(part)), (0, 0.0)) for part in parts]
        count = sum(n for n, _ in known)
        return sum(total for _, total in known) / count if count else None

    def swap(self, row: Row) -> Finding:
        """How far the right processes lie to the right of the left ones."""
        left, right = self._right_mm(row, LEFT), self._right_mm(row, RIGHT)
        if left is None or right is None:
            return found("lr_swap", None, "not_segmented", row["vertebra"])
        return found("lr_swap", right - left, item=row["vertebra"])


def _cut_labels(context: QualityContext) -> set[int]:
    """Instance labels that the upper, lower or posterior edge of the image cuts."""
    faces = ("touches_superior", "touches_inferior", "touches_posterior")
    rows = context.rows.get("structures", ())
    return {r["label"] for r in rows if r["mask"] == "instance" and any(r[face] for face in faces)}


def _subregions(row: Row, parts: _Parts, is_cut: bool) -> Finding:
    rule_id, item = "subregion_missing", row["vertebra"]
    if row["level"] == "C1":
        return found(rule_id, None, "not_applicable", item)
    if is_cut:
        return found(rule_id, None, "partial_fov", item)
    return found(rule_id, sum(not parts.count(row, part) for part in MIDLINE_PARTS), item=item)


def _symmetry(row: Row) -> Finding:
    """Compare the processes of both sides that are whole (cut ones have no volume)."""
    pairs = [[row[f"{name}_{side}_volume_mm3"] for side in ("left", "right")] for name in PAIRED]
    whole = [pair for pair in pairs if all(pair)]
    if not whole:
        lack = "partial_fov" if row["arch_status"] == "partial_fov" else "not_segmented"
        return found("lr_symmetry", None, lack, row["vertebra"])
    left, right = np.sum(whole, axis=0)
    return found("lr_symmetry", np.log(left / right), item=row["vertebra"])


def _leakage(context: QualityContext, crop: Crop) -> Iterator[Finding]:
    curve = _curve(context)
    for label, name in semantic_names().items():
        index = np.flatnonzero(crop.semantic == label) if label in REACH_MM else ()
        if not len(index):
            continue
        if curve is None:
            yield found("leakage", None, "neighbour_missing", name)
            continue
        index = index[:: max(1, len(index) // SAMPLE)]
        voxels = np.stack(np.unravel_index(index, crop.semantic.shape), axis=1)
        points = voxels @ crop.affine[:3, :3].T + crop.affine[:3, 3]
        distance, _ = curve.query(points)
        yield found("leakage", 100 * float((distance > REACH_MM[label]).mean()), item=name)


def _curve(context: QualityContext) -> cKDTree | None:
    """Points along the bodies, and on along both ends as far as the image."""
    centres = np.array([centroid_mm(row) for row in context.bodies])
    if len(centres) < 2:
        return None
    reach = 300.0
    up, down = centres[0] - centres[1], centres[-1] - centres[-2]
    ends = [
        centres[0] + reach * up / np.linalg.norm(up),
        centres[-1] + reach * down / np.linalg.norm(down),
    ]
    corners = np.array([ends[0], *centres, ends[1]])
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(corners, axis=0), axis=1))])
    steps = np.arange(0, along[-1], 2.0)
    return cKDTree(np.stack([np.interp(steps, along, axis) for axis in corners.T], axis=1))
