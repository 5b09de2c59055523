"""The header of a single-file NIfTI image, parsed before anything else of the file is read."""

from dataclasses import dataclass

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError

from columna.errors import ScanRefused
from columna.images.triple import three
from columna.prepare import slices

HEADER_BYTES = 540
"""Enough for either version: NIfTI-1 takes 348 bytes, NIfTI-2 540."""

_VERSIONS = {
    b"n+1\x00": nib.Nifti1Header,
    b"n+2\x00": nib.Nifti2Header,
}
_PAIRS = (b"ni1\x00", b"ni2\x00")


@dataclass(frozen=True, eq=False)
class Header:
    """What columna uses of a header; free text and dates are not kept.

    Parameters
    ----------
    dimensions
        Sizes of all axes that the header announces, without trailing axes of size one beyond the
        third.
    datatype, bits
        NIfTI code of the voxel type, and bits per voxel.
    dtype
        Type of the stored voxels in the file's byte order; None where columna cannot use it.
    offset
        Bytes before the first voxel.
    slope, intercept
        Scaling as stored; a slope of 0 or NaN stands for none.
    pixdim_mm
        Voxel sizes that the header announces, shape (3,).
    sform, qform
        4x4, voxel index to RAS+ mm. None where the header does not have it, or its quaternion is
        impossible.
    is_qform_set
        Whether the header says that it has a qform, usable or not.
    """

    dimensions: tuple[int, ...]
    datatype: int
    bits: int
    dtype: np.dtype | None
    offset: int
    slope: float
    intercept: float
    pixdim_mm: np.ndarray
    sform: np.ndarray | None
    qform: np.ndarray | None
    is_qform_set: bool

    @property
    def affine(self) -> np.ndarray:
        """The transform that columna goes by: the sform, else the qform; ValueError without any."""
        affine = self.qform if self.sform is None else self.sform
        if affine is None:
            raise ValueError("the header has no transform")
        return affine

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along the three axes (after `checks.is_3d`)."""
        return three(self.dimensions[:3])

    @property
    def spacing_mm(self) -> np.ndarray:
        """Voxel size along each array axis by the affine, shape (3,); see `geometry.spacing_mm`."""
        return slices.spacing_mm(self.affine)

    @property
    def stored_type(self) -> np.dtype:
        """`dtype` where columna can use it; ValueError elsewhere."""
        if self.dtype is None:
            raise ValueError(f"voxels of the unknown type {self.datatype}")
        return self.dtype

    @property
    def end(self) -> int:
        """Bytes that the whole file has, unpacked."""
        return self.offset + int(np.prod(self.dimensions, dtype=object)) * self.stored_type.itemsize


SCALAR_TYPES = {
    2: "u1", 256: "i1", 4: "i2", 512: "u2", 8: "i4", 768: "u4", 1024: "i8", 1280: "u8",
    16: "f4", 64: "f8",
}  # fmt: skip
"""NIfTI codes of the voxel types that columna reads."""


def parse_header(head: bytes) -> Header:
    """Parse the first `HEADER_BYTES` bytes of a file.

    Raises
    ------
    ScanRefused
        ``not_nifti`` for Analyze and for the header of a two-file pair, else ``unreadable``.
    """
    size = int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big")
    magic = head[4:8] if 540 in size else head[344:348]
    if magic in _PAIRS:
        raise ScanRefused("not_nifti", "This is half of a .hdr/.img pair; convert it to .nii.gz.")
    if magic in _VERSIONS and len(head) >= (HEADER_BYTES if 540 in size else 352):
        version = _VERSIONS[magic]
        return _read_fields(version(head[: version.template_dtype.itemsize], check=False))
    if 348 in size and len(head) >= 348:
        raise ScanRefused("not_nifti", "This is an Analyze image; convert it to NIfTI (.nii.gz).")
    raise ScanRefused("unreadable", "The content of the file is not NIfTI; convert the scan again.")


def _read_fields(raw: nib.Nifti1Header) -> Header:
    n_axes = int(raw["dim"][0])
    dimensions = [int(n) for n in raw["dim"][1 : 1 + max(n_axes, 0)]]
    while len(dimensions) > 3 and dimensions[-1] == 1:
        dimensions.pop()
    code = int(raw["datatype"])
    dtype = np.dtype(SCALAR_TYPES[code]) if code in SCALAR_TYPES else None
    return Header(
        dimensions=tuple(dimensions),
        datatype=code,
        bits=int(raw["bitpix"]),
        dtype=dtype and dtype.newbyteorder(raw.endianness),
        offset=int(np.nan_to_num(raw["vox_offset"], posinf=-1, neginf=-1)),
        slope=float(raw["scl_slope"]),
        intercept=float(raw["scl_inter"]),
        pixdim_mm=np.abs(raw["pixdim"][1:4].astype(float)),
        sform=raw.get_sform().astype(float) if raw["sform_code"] > 0 else None,
        qform=_qform(raw),
        is_qform_set=bool(raw["qform_code"] > 0),
    )


def _qform(raw: nib.Nifti1Header) -> np.ndarray | None:
    if raw["qform_code"] <= 0:
        return None
    raw["pixdim"][1:4] = np.abs(raw["pixdim"][1:4])
    if raw["pixdim"][0] not in (-1, 1):
        raw["pixdim"][0] = 1  # the standard's reading of other values
    try:
        return raw.get_qform().astype(float)
    except (HeaderDataError, ValueError):
        return None
