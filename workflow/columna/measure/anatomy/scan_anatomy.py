"""A scan taken apart: what the rows of all tables are measured on."""

from collections.abc import Mapping
from dataclasses import dataclass

from columna.measure.anatomy.fov import FieldOfView
from columna.measure.anatomy.geometry import Geometry, scan_geometry
from columna.measure.anatomy.parts import Parts, vertebra_parts
from columna.measure.anatomy.tissue import Tissue
from columna.measure.context import MeasureContext
from columna.measure.tools.regions import LabelledRuns, Region


@dataclass(frozen=True, eq=False)
class ScanAnatomy:
    """A scan and what is found in it.

    Parameters
    ----------
    context
        Its masks and image, and what earlier stages found out about it.
    fov
        Its field of view.
    regions
        Regions of its instance mask, by label.
    parts
        Regions of its vertebrae, by instance label.
    geometry
        Frames of its bodies, its discs and canal.
    tissue
        Its image, read through its structures; None without an image.
    """

    context: MeasureContext
    fov: FieldOfView
    regions: Mapping[int, Region]
    parts: Mapping[int, Parts]
    geometry: Geometry
    tissue: Tissue | None

    @classmethod
    def of(
        cls,
        context: MeasureContext,
        fov: FieldOfView,
        instance: LabelledRuns,
        regions: dict[int, Region],
        kinds: Mapping[int, Region],
    ) -> "ScanAnatomy":
        """Take a scan apart.

        Parameters
        ----------
        context, fov
            The scan and its field of view.
        instance, regions
            Labelled voxels of the instance mask, and their regions.
        kinds
            Regions of the semantic mask.
        """
        parts = vertebra_parts(context, instance, regions, fov)
        geometry = scan_geometry(context, parts, kinds, regions, fov)
        return cls(context, fov, regions, parts, geometry, Tissue.of(context.image, geometry))
