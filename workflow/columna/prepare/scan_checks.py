"""What a scan must fulfil, as two ordered lists of small checks.

`HEADER_CHECKS` need nothing but the header and run before any voxel is read, each relying on
those before it; `VOXEL_CHECKS` look at the voxels. Every check raises `ScanRefused` or returns.
"""

import numpy as np

from columna.config import PrepareSettings
from columna.errors import ScanRefused
from columna.prepare import slices
from columna.prepare.header import Header
from columna.prepare.image_content import looks_like_ct, looks_like_labels

MIN_SLICES = 3
MIN_IN_PLANE = 16
MAX_VOXELS = 2**31
MAX_EXTENT_MM = 3000.0
SPACING_RANGE_MM = (0.2, 8.0)
PIXDIM_TOLERANCE = 0.05
MAX_HEADER_BYTES = 2**26
"""Header with all its extensions (some hold a whole DICOM header)."""
SLOPE_RANGE = (1e-20, 1e20)
MAX_POSITION_MM = 1e5
MIN_AXES_DETERMINANT = 0.1
"""Volume spanned by unit vectors along the voxel axes: 1 if orthogonal, 0 if in one plane."""
CLEARLY_DEG = 30.0
"""Slices closer than this to axial or coronal are called so; others are called oblique."""

RGB_TYPES = {128: "RGB colours", 2304: "RGBA colours"}
COMPLEX_TYPES = {32: "complex numbers", 1792: "complex numbers", 2048: "complex numbers"}
OTHER_TYPES = {1: "single bits", 1536: "128-bit numbers"}
TYPE_NAMES = {**RGB_TYPES, **COMPLEX_TYPES, **OTHER_TYPES}


def is_3d(header: Header, _: PrepareSettings) -> None:
    """Three axes of at least one voxel; trailing axes of one are ignored."""
    sizes = header.dimensions
    if not sizes or min(sizes) < 1:
        raise ScanRefused(
            "implausible_header", f"The header announces axes of size {_by(sizes)}; convert again."
        )
    if len(sizes) < 3:
        raise ScanRefused("not_3d", f"The image has {len(sizes)} axes, not three.")
    if len(sizes) > 3:
        raise ScanRefused(
            "not_3d",
            f"The image has size {_by(sizes)}: more than one volume; extract the one to segment.",
        )


def has_scalar_voxels(header: Header, _: PrepareSettings) -> None:
    """A plain number per voxel, of the size that the header announces."""
    if header.dtype is None and header.datatype in TYPE_NAMES:
        raise ScanRefused(
            "unsupported_type",
            f"The voxels are {TYPE_NAMES[header.datatype]}; convert to a plain intensity image.",
        )
    if header.dtype is None:
        raise ScanRefused(
            "implausible_header", f"The header announces an unknown voxel type {header.datatype}."
        )
    if header.bits != 8 * header.dtype.itemsize:
        raise ScanRefused(
            "implausible_header",
            f"The header announces {header.bits} bits for a voxel of type {header.dtype.name}.",
        )


def has_sane_size(header: Header, _: PrepareSettings) -> None:
    """Enough slices and pixels for a spine, and not more voxels than any scanner makes."""
    fewest, second, _most = sorted(header.shape)
    if fewest < MIN_SLICES or second < MIN_IN_PLANE:
        raise ScanRefused(
            "implausible_size",
            f"The image has {_by(header.shape)} voxels; at least {MIN_SLICES} slices of "
            f"{MIN_IN_PLANE} x {MIN_IN_PLANE} are needed.",
        )
    n_voxels = int(np.prod(header.shape, dtype=object))
    if n_voxels > MAX_VOXELS:
        raise ScanRefused(
            "implausible_size",
            f"The header announces {_by(header.shape)} voxels, more than the {MAX_VOXELS} that "
            "columna reads; it is probably damaged: convert the scan again.",
        )


def has_sane_scaling(header: Header, _: PrepareSettings) -> None:
    """Scaling that leaves the values finite; slopes of 0 and NaN stand for no scaling."""
    if not is_scaled(header):
        return
    low, high = SLOPE_RANGE
    # written so that NaN and infinities fail
    if not (low <= abs(header.slope) <= high and abs(header.intercept) <= high):
        raise ScanRefused(
            "implausible_header",
            f"The header scales intensities by {header.slope:g} and adds {header.intercept:g}; "
            "correct scl_slope and scl_inter.",
        )


def is_scaled(header: Header) -> bool:
    """Whether stored values have to be scaled."""
    none = header.slope == 0 or np.isnan(header.slope)
    return not none and (header.slope, header.intercept) != (1, 0)


def has_sane_offset(header: Header, _: PrepareSettings) -> None:
    """Voxels that begin after the header, and not far beyond it."""
    if not 352 <= header.offset <= MAX_HEADER_BYTES:
        raise ScanRefused(
            "implausible_header",
            f"The header says that the voxels begin at byte {header.offset}; convert again.",
        )


def has_affine(header: Header, _: PrepareSettings) -> None:
    """An orientation that is stated, finite and invertible."""
    if header.sform is None and header.qform is None:
        raise ScanRefused(
            "implausible_header",
            "The header does not say how the image lies in the scanner (no valid sform or "
            "qform); convert the scan again from DICOM.",
        )
    affine = header.affine
    edges = slices.edges_mm(affine)
    singular = not np.isfinite(affine).all() or (edges == 0).any()
    if singular or abs(np.linalg.det(affine[:3, :3] / edges)) < MIN_AXES_DETERMINANT:
        raise ScanRefused(
            "singular_affine", "The affine in the header cannot be inverted; convert again."
        )
    if np.abs(affine[:3, 3]).max() > MAX_POSITION_MM:
        raise ScanRefused(
            "implausible_header", "The header places the image more than 100 m from the scanner."
        )


def has_sane_spacing(header: Header, _: PrepareSettings) -> None:
    """Voxels of 0.2 to 8 mm on which affine and pixdim agree, and an extent that a body has."""
    spacing = header.spacing_mm
    low, high = SPACING_RANGE_MM
    if (spacing < low * 0.999).any() or (spacing > high * 1.001).any():
        raise ScanRefused(
            "implausible_spacing",
            f"The voxels measure {_mm(spacing)}; columna takes {low:g} to {high:g} mm.",
        )
    # of sheared axes, some writers note the distance of voxels, others that of slices
    sizes = (spacing, slices.edges_mm(header.affine))
    agrees = [np.isclose(header.pixdim_mm, size, rtol=PIXDIM_TOLERANCE) for size in sizes]
    if not np.logical_or(*agrees).all():
        raise ScanRefused(
            "implausible_header",
            f"The header contradicts itself: voxels of {_mm(header.pixdim_mm)} by pixdim, of "
            f"{_mm(spacing)} by the affine.",
        )
    extent = spacing * header.shape
    if extent.max() > MAX_EXTENT_MM:
        raise ScanRefused(
            "implausible_size",
            f"The image would cover {extent.max() / 1000:.1f} m; check sizes and spacing.",
        )


def is_sagittal(header: Header, settings: PrepareSettings) -> None:
    """Slices stacked along L/R, or a near-isotropic volume, not too oblique.

    As SPINEPS, without the rounding by which it calls near-isotropic scans axial
    (docs/method.md#slices).
    """
    left_right = slices.anatomical_axes(header.affine)[0]
    stacked = slices.slice_axis(header.spacing_mm)
    axis = left_right if stacked is None else stacked
    angles = slices.normal_angles_deg(header.affine, axis)
    if angles[0] <= settings.max_obliquity_deg + 0.01 and axis == left_right:
        return
    nearest = int(np.argmin(angles))
    if stacked is not None and nearest != 0 and angles[nearest] < CLEARLY_DEG:
        raise ScanRefused(
            "wrong_orientation",
            f"The slices are {slices.PLANES[nearest]} (voxels of {_mm(header.spacing_mm)}); "
            "columna takes sagittal scans.",
        )
    raise ScanRefused(
        "too_oblique",
        f"The slices are tilted by {angles[0]:.0f} degrees against sagittal; "
        f"at most {settings.max_obliquity_deg:g} are allowed.",
    )


def is_finite(array: np.ndarray, says_mr: bool) -> None:
    """No NaN and no infinite value."""
    if np.isfinite(array.min()) and np.isfinite(array.max()):
        return
    n_bad = array.size - int(np.isfinite(array).sum())
    raise ScanRefused(
        "not_finite", f"{n_bad} voxels are NaN or infinite; repair the image or convert it again."
    )


def has_content(array: np.ndarray, says_mr: bool) -> None:
    """More than one value."""
    if array.min() == array.max():
        raise ScanRefused(
            "constant", f"All voxels have the value {array.flat[0]:g}; the image has no content."
        )


def is_not_ct(array: np.ndarray, says_mr: bool) -> None:
    """No Hounsfield units, in a scan whose name and sidecar do not say what it is.

    MR images may use any numbers, which is why a name or sidecar that says MR settles it here;
    the quality rule `hounsfield_units` then asks for a look.
    """
    if not says_mr and looks_like_ct(array):
        raise ScanRefused(
            "wrong_modality",
            "The intensities look like CT (fat below 0, soft tissue near 0, bone far above); if "
            "this is T2w MRI, let the file name end in _T2w.",
        )


def is_no_label_map(array: np.ndarray, says_mr: bool) -> None:
    """Intensities, and no labels, whatever the name says."""
    if looks_like_labels(array):
        raise ScanRefused(
            "derived_image",
            "The image consists of flat areas of few values: a mask or a label map, not a scan.",
        )


HEADER_CHECKS = (
    is_3d,
    has_scalar_voxels,
    has_sane_size,
    has_sane_scaling,
    has_sane_offset,
    has_affine,
    has_sane_spacing,
    is_sagittal,
)
VOXEL_CHECKS = (is_finite, has_content, is_no_label_map, is_not_ct)


def check_header(header: Header, settings: PrepareSettings) -> None:
    """Run all `HEADER_CHECKS`, in order."""
    for check in HEADER_CHECKS:
        check(header, settings)


def check_voxels(array: np.ndarray, says_mr: bool) -> None:
    """Run all `VOXEL_CHECKS`, in order; `says_mr`: name or sidecar say that this is MR."""
    for check in VOXEL_CHECKS:
        check(array, says_mr)


def _by(sizes: tuple[int, ...]) -> str:
    return " x ".join(str(n) for n in sizes)


def _mm(spacing: np.ndarray) -> str:
    return " x ".join(f"{s:.3g}" for s in spacing) + " mm"
