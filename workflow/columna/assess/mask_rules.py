"""Rules about the masks as a whole: agreement of the two, canal, stray voxels."""

from collections.abc import Iterator

import numpy as np
from scipy.spatial import cKDTree

from columna.anatomy import BODY, ENDPLATES, POSTERIOR_ELEMENTS, Semantic, semantic_names
from columna.assess.finding import Finding, found
from columna.assess.quality_context import QualityContext, ScanCrop, centroid_mm

REACH_MM: dict[int, float] = {
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
    """Answer all rules about the masks as a whole."""
    crop = context.crop
    yield from _agreement(crop)
    yield from _canal(crop)
    yield _spine_share(context, crop)
    yield from _leakage(context, crop)


def _agreement(crop: ScanCrop) -> Iterator[Finding]:
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


def _canal(crop: ScanCrop) -> Iterator[Finding]:
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


def _spine_share(context: QualityContext, crop: ScanCrop) -> Finding:
    """Rows that show a body and the canal, over all rows that were imaged."""
    rows = crop.is_body.any(axis=(0, 2)) & crop.is_canal.any(axis=(0, 2))
    imaged_n = int(context.fov.stop[1] - context.fov.start[1])
    return found("spine_share", min(int(rows.sum()) / imaged_n, 1.0))


def _leakage(context: QualityContext, crop: ScanCrop) -> Iterator[Finding]:
    curve = _curve(context)
    for label, name in semantic_names().items():
        if label not in REACH_MM:
            continue
        index = np.flatnonzero(crop.semantic == label)
        if not len(index):
            continue
        if curve is None:
            yield found("leakage", None, "neighbour_missing", name)
            continue
        index = index[:: max(1, len(index) // SAMPLE)]
        voxels = np.stack(np.unravel_index(index, crop.semantic.shape), axis=1)
        points = voxels @ crop.affine[:3, :3].T + crop.affine[:3, 3]
        distance = np.asarray(curve.query(points)[0])
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
