"""What the rules look at: masks, image and rows of one scan, in one orientation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from columna.anatomy import BODY, CANAL, Semantic
from columna.images.volume import PIR, Volume, bounding_box
from columna.label.kinds import instance_kind
from columna.measure.anatomy.fov import FieldOfView

MeasuredRow = Mapping[str, Any]
Rows = Mapping[str, Sequence[MeasuredRow]]

MARGIN = 3
"""Voxels kept around the structures: as far as the rules dilate."""


@dataclass(frozen=True, eq=False)
class QualityContext:
    """One measured scan.

    Parameters
    ----------
    semantic, instance
        Final masks in the grid of the input, SPINEPS labels.
    image
        The input on the same grid.
    rows
        Table -> rows of the scan, as the measure stage made them.
    """

    semantic: Volume
    instance: Volume
    image: Volume
    rows: Rows

    @cached_property
    def fov(self) -> FieldOfView:
        """The part of the grid that was imaged."""
        return FieldOfView.of(self.upright_image, self.upright_image)

    @cached_property
    def upright_image(self) -> Volume:
        """The image along P, I, R (a view)."""
        return self.image.reoriented(PIR)

    @cached_property
    def crop(self) -> "ScanCrop":
        """Masks and image around the structures, along P, I, R."""
        masks = [mask.reoriented(PIR) for mask in (self.semantic, self.instance)]
        box = bounding_box(masks[0].array, MARGIN) or (slice(0, 1),) * 3
        semantic, instance = (np.ascontiguousarray(mask.array[box]) for mask in masks)
        image = np.ascontiguousarray(self.upright_image.array[box], np.float32)
        affine = masks[0].cropped(box).affine
        return ScanCrop(semantic, instance, image, affine, masks[0].spacing_mm)

    @cached_property
    def vertebrae(self) -> list[MeasuredRow]:
        """Rows of the vertebrae that were found, from top to bottom; fragments are none."""
        rows = [r for r in self.rows.get("vertebrae", ()) if r["index_from_top"] is not None]
        return sorted(rows, key=lambda row: row["index_from_top"])

    @cached_property
    def bodies(self) -> list[MeasuredRow]:
        """Those of the vertebrae that have a body."""
        return [row for row in self.vertebrae if row["centroid_s_mm"] is not None]

    @property
    def scan_row(self) -> MeasuredRow:
        """The row of the table `scans`."""
        return self.rows["scans"][0]


@dataclass(frozen=True, eq=False)
class ScanCrop:
    """Arrays along P, I, R around the structures.

    Parameters
    ----------
    semantic, instance, image
        Voxels, one shape.
    affine
        Index to RAS+ mm.
    spacing_mm
        Voxel size along P, I, R.
    """

    semantic: np.ndarray
    instance: np.ndarray
    image: np.ndarray
    affine: np.ndarray
    spacing_mm: np.ndarray

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of a voxel, also of a sheared grid."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    @property
    def pixel_mm2(self) -> float:
        """Area of a voxel within its sagittal slice, also of a sheared grid."""
        return float(np.linalg.norm(np.cross(self.affine[:3, 0], self.affine[:3, 1])))

    @cached_property
    def is_body(self) -> np.ndarray:
        """Vertebral bodies."""
        return np.isin(self.semantic, BODY)

    @cached_property
    def is_canal(self) -> np.ndarray:
        """Canal with cord."""
        return np.isin(self.semantic, CANAL)

    @cached_property
    def is_cord(self) -> np.ndarray:
        """Spinal cord."""
        return self.semantic == Semantic.SPINAL_CORD

    @cached_property
    def is_vertebra(self) -> np.ndarray:
        """Voxels of vertebra instances."""
        table = np.zeros(int(self.instance.max(initial=0)) + 1, bool)
        table[1:] = [instance_kind(label) == "vertebra" for label in range(1, len(table))]
        return table[self.instance]

    @cached_property
    def bodies(self) -> np.ndarray:
        """Label of the vertebra where a voxel belongs to its body, else 0."""
        return np.where(self.is_body & self.is_vertebra, self.instance, 0)


def centroid_mm(row: MeasuredRow) -> np.ndarray:
    """Centroid of a row, RAS+ mm."""
    return np.array([row[f"centroid_{axis}_mm"] for axis in "ras"])
