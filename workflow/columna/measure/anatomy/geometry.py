"""The geometry of a scan: measured once, handed to every table."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from columna.anatomy import (
    BODY,
    CANAL,
    DISC_OFFSET,
    ENDPLATES,
    POSTERIOR_ELEMENTS,
    SACRUM,
    Semantic,
    levels,
)
from columna.measure.anatomy.band import slice_normal
from columna.measure.anatomy.body import Body, BodyMasks
from columna.measure.anatomy.fov import FieldOfView
from columna.measure.anatomy.frame import Frame, fit_frames, unit
from columna.measure.anatomy.heights import FRACTIONS
from columna.measure.anatomy.lateral import middle_part
from columna.measure.anatomy.parts import Parts
from columna.measure.anatomy.plates import owned_endplates
from columna.measure.anatomy.sacral import SacralPlate, sacral_plate
from columna.measure.anatomy.visibility import (
    SIDES_OF_SLICES,
    body_status,
    cut_status,
    visible_sides,
)
from columna.measure.context import MeasureContext, Vertebra
from columna.measure.tools.crops import Crop, box_around, cut
from columna.measure.tools.curve import SpineCurve
from columna.measure.tools.regions import Region
from columna.tables.common import LATERAL_CUT
from columna.tables.finish import Measured, Missing


@dataclass(frozen=True, eq=False)
class Disc:
    """The disc below a vertebra.

    Parameters
    ----------
    label
        Label of the vertebra above, whether or not that one is seen.
    crop
        Its largest component; cut at a side, what is seen around its middle.
    status
        Whether it is in the field of view: a code of
        `columna.measure.anatomy.visibility.cut_status`.
    """

    label: int
    crop: Crop
    status: str = "ok"


@dataclass(frozen=True, eq=False)
class Geometry:
    """Bodies, discs and canal of a scan.

    Parameters
    ----------
    bodies
        All vertebral bodies in craniocaudal order, cut ones too.
    discs
        Label of the vertebra above -> disc.
    canal, cord
        All voxels of the canal (labels 60 and 61) and of the cord (60); None without any.
    sacrum
        The sacrum; None where it is not seen.
    endplate_mask
        All endplate voxels (labels 52, 53 and 62); None without any.
    curve
        Curve through bodies and discs; None without either.
    slice_mm
        Distance between slices: the largest voxel spacing.
    """

    bodies: tuple[Body, ...]
    discs: Mapping[int, Disc]
    canal: Crop | None
    cord: Crop | None
    sacrum: Crop | None
    endplate_mask: Crop | None
    curve: SpineCurve | None
    slice_mm: float

    @cached_property
    def by_label(self) -> dict[int, Body]:
        """Instance label -> body."""
        return {body.label: body for body in self.bodies}

    @cached_property
    def sacral(self) -> SacralPlate | None:
        """Superior endplate of S1, measured below the last disc."""
        if self.sacrum is None or not self.bodies:
            return None
        last = self.bodies[-1]
        disc = self.discs.get(last.label)
        if disc is None or last.frame.status != "ok":
            return None
        return sacral_plate(self.sacrum, disc.crop, last, self.slice_mm, FRACTIONS)

    @property
    def sacral_end(self) -> Measured[SacralPlate] | Missing:
        """The endplate of S1, cut as the disc on it is, or why a sacrum has none."""
        if self.sacral is None:
            return Missing(self._sacral_failure())
        last = self.bodies[-1]
        crops = (last.crop, self.discs[last.label].crop)
        is_cut = any(crop.is_lateral_cut for crop in crops)
        return Measured(self.sacral, LATERAL_CUT if is_cut else "ok")

    def _sacral_failure(self) -> str:
        if self.bodies and self.bodies[-1].label not in self.discs:
            return "neighbour_missing"
        if self.bodies and self.bodies[-1].frame.status == "partial_fov":
            return "partial_fov"
        return "fit_failed"

    @cached_property
    def endplates(self) -> dict[tuple[int, str], Crop]:
        """(Instance label, side) -> endplate voxels on that side of that bone (26: the sacrum)."""
        if self.endplate_mask is None:
            return {}
        owners = {body.label: (body.crop, body.frame) for body in self.bodies}
        if self.sacral is not None and self.sacrum is not None:
            owners[SACRUM] = (
                self.sacrum,
                replace(self.sacral.frame, origin=self.sacrum.centroid_mm),
            )
        return owned_endplates(self.endplate_mask, owners)

    @cached_property
    def chord(self) -> np.ndarray:
        """Unit vector from the lowest to the uppermost body (a single one: its own axis s)."""
        if len(self.bodies) < 2:
            return self.bodies[0].frame.s
        return unit(self.bodies[0].crop.centroid_mm - self.bodies[-1].crop.centroid_mm)

    def mean_right(self, region: str | None) -> np.ndarray:
        """Mean of r over the vertebrae of a region; over all where it has none with a frame.

        Raises
        ------
        ValueError
            If no vertebra has a frame.
        """
        fitted = [b for b in self.bodies if b.frame.status == "ok"]
        chosen = [b for b in fitted if b.region == region] or fitted
        if not chosen:
            raise ValueError("no vertebra has a frame")
        return unit(np.sum([body.frame.r for body in chosen], axis=0))


def scan_geometry(
    context: MeasureContext,
    parts: Mapping[int, Parts],
    semantic: Mapping[int, Region],
    instance: Mapping[int, Region],
    fov: FieldOfView,
) -> Geometry:
    """Measure the geometry of a scan.

    Parameters
    ----------
    context
        The scan.
    parts
        Regions of its vertebrae.
    semantic, instance
        Regions of both masks, by label.
    fov
        The field of view.
    """
    canal = _semantic_crop(context, semantic, CANAL)
    canal_mm = np.zeros((0, 3)) if canal is None else canal.points_mm
    discs = _discs(context, instance, fov)
    masks = _body_masks(context, parts, fov)
    curve = _curve(masks, discs)
    if curve is not None:
        masks, discs = _middles(masks, discs, curve, canal_mm)
        curve = _curve(masks, discs)
    frames: tuple[Frame, ...] = ()
    if masks and curve is not None:
        frames = fit_frames(masks, curve, canal_mm)
    sacrum = _instance_crop(context, instance, SACRUM)
    if sacrum is None:
        sacrum = _semantic_crop(context, semantic, (Semantic.SACRUM,))
    return Geometry(
        bodies=tuple(Body(m, f) for m, f in zip(masks, frames, strict=True)),
        discs=discs,
        canal=canal,
        cord=_semantic_crop(context, semantic, (Semantic.SPINAL_CORD,)),
        endplate_mask=_semantic_crop(context, semantic, ENDPLATES),
        sacrum=None if sacrum is None else sacrum.largest(),
        curve=curve,
        slice_mm=slice_normal(context.instance.affine)[0],
    )


def _semantic_crop(
    context: MeasureContext, regions: Mapping[int, Region], labels: tuple[int, ...]
) -> Crop | None:
    found = [regions[label] for label in labels if label in regions]
    if not found:
        return None
    part = cut(context.semantic, box_around(found, context.semantic))
    return Crop(np.isin(part.array, labels), part.affine)


def _instance_crop(
    context: MeasureContext, regions: Mapping[int, Region], label: int
) -> Crop | None:
    if label not in regions:
        return None
    part = cut(context.instance, box_around([regions[label]], context.instance))
    return Crop(part.array == label, part.affine)


def _discs(
    context: MeasureContext, regions: Mapping[int, Region], fov: FieldOfView
) -> dict[int, Disc]:
    """Discs by the label of the vertebra above."""
    found = {}
    for level in range(1, 100):
        crop = _instance_crop(context, regions, DISC_OFFSET + level)
        if crop is not None and DISC_OFFSET + level not in context.fragments:
            status = cut_status(regions[DISC_OFFSET + level], fov)
            found[level] = Disc(level, crop.largest(), status)
    return found


def _middles(
    masks: Sequence[BodyMasks],
    discs: Mapping[int, Disc],
    curve: SpineCurve,
    canal_mm: np.ndarray,
) -> tuple[list[BodyMasks], dict[int, Disc]]:
    """Reduce the bodies and discs that are cut at a side to what is seen around their middle."""

    def middle(crop: Crop) -> Crop | None:
        return middle_part(crop, curve.tangent(curve.nearest(crop.centroid_mm)), canal_mm)

    bodies = [_body_middle(mask, middle) if mask.touches_side else mask for mask in masks]
    return bodies, {
        label: _disc_middle(disc, middle) if disc.status == LATERAL_CUT else disc
        for label, disc in discs.items()
    }


def _body_middle(mask: BodyMasks, middle: Callable[[Crop], Crop | None]) -> BodyMasks:
    part = middle(mask.body)
    if part is None:
        return replace(mask, sides=(), status=_without_middle(mask.status))
    return replace(mask, body=part)


def _disc_middle(disc: Disc, middle: Callable[[Crop], Crop | None]) -> Disc:
    part = middle(disc.crop)
    if part is None:
        return replace(disc, status=_without_middle(disc.status))
    return replace(disc, crop=part)


def _without_middle(status: str) -> str:
    return "partial_fov" if status == LATERAL_CUT else status


def _body_masks(
    context: MeasureContext, parts: Mapping[int, Parts], fov: FieldOfView
) -> list[BodyMasks]:
    """Cut out the bodies of a scan."""
    repeated = repeated_levels(context, parts)
    regions: dict[str | None, str | None] = {v.name: v.region for v in levels().values()}
    masks = []
    for vertebra in context.vertebrae:
        part = parts.get(vertebra.label)
        if part is None or part.body is None or vertebra.level == "C1" or vertebra.is_fragment:
            continue
        body, arch = _body_and_arch(context, vertebra, part)
        status = body_status(vertebra, part, fov, repeated)
        masks.append(
            BodyMasks(
                vertebra=vertebra,
                region=regions.get(vertebra.level),
                body=body,
                arch=arch,
                sides=visible_sides(vertebra, part.body, fov),
                status=status,
                touches_side=bool(set(fov.faces(part.body)) & SIDES_OF_SLICES),
            )
        )
    return masks


def repeated_levels(context: MeasureContext, parts: Mapping[int, Parts]) -> set[str]:
    """Levels that were assigned to more than one vertebra."""
    counts = Counter(v.level for v in context.vertebrae if v.level and v.label in parts)
    return {level for level, n in counts.items() if n > 1}


def _body_and_arch(
    context: MeasureContext, vertebra: Vertebra, part: Parts
) -> tuple[Crop, Crop | None]:
    regions = (part.body, *part.posterior.values())
    box = box_around([region for region in regions if region is not None], context.instance)
    instance = cut(context.instance, box)
    is_vertebra = instance.array == vertebra.label
    semantic = cut(context.semantic, box).array
    body = Crop(is_vertebra & np.isin(semantic, BODY), instance.affine).largest()
    if not part.posterior:
        return body, None
    return body, Crop(is_vertebra & np.isin(semantic, POSTERIOR_ELEMENTS), instance.affine)


def _curve(masks: Sequence[BodyMasks], discs: Mapping[int, Disc]) -> SpineCurve | None:
    """Fit the curve through bodies and discs from the top."""
    points = []
    for m in masks:
        points.append(m.body.centroid_mm)
        disc = discs.get(m.vertebra.label)
        if disc is not None:
            points.append(disc.crop.centroid_mm)
    if not points:
        return None
    return SpineCurve.fit(np.array(points))
