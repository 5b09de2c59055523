"""Files with something wrong, as they occur in cohorts: made from a good image."""

from pathlib import Path

import nibabel as nib
import numpy as np

from columna.files import atomic_path, write_json
from columna.images.volume import Volume, save_volume


def write_truncated(image: Volume, path: Path) -> None:
    """Write half of a file, as an interrupted copy leaves it."""
    save_volume(image, path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def write_flipped_byte(image: Volume, path: Path) -> None:
    """Write a file of the right length with one wrong byte in its middle."""
    save_volume(image, path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def write_two_volumes(image: Volume, path: Path) -> None:
    """Write the image twice into one 4-D file, as for two echoes."""
    series = nib.Nifti1Image(np.stack([image.array, image.array // 2], axis=3), image.affine)
    with atomic_path(path) as temporary:
        nib.save(series, temporary)


def write_not_finite(image: Volume, path: Path) -> None:
    """Write floats of which a few are not numbers."""
    array = image.array.astype(np.float32)
    array[tuple(slice(n // 2, n // 2 + 3) for n in array.shape)] = np.nan
    save_volume(image.with_array(array), path)


def write_full_range(image: Volume, path: Path) -> None:
    """Write the image over the whole range of int16, negative values included; not damaged."""
    low, high = image.array.min(), image.array.max()
    stretched = (image.array - float(low)) * (65535 / (float(high) - float(low))) - 32768
    save_volume(image.with_array(np.round(stretched).astype(np.int16)), path)


def write_sidecar(path: Path, content: dict[str, str]) -> None:
    """Write the JSON sidecar of an image."""
    write_json(path.with_name(path.name.removesuffix(".nii.gz") + ".json"), content)


def write_constant(image: Volume, path: Path) -> None:
    """Write an image without content."""
    save_volume(image.with_array(np.zeros_like(image.array)), path)
