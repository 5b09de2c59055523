"""Write a phantom to files."""

from pathlib import Path

from columna.files import write_json
from columna.images.volume import save_volume
from columna.phantom.generate import Phantom


def write_phantom(phantom: Phantom, folder: Path, name: str) -> Path:
    """Write image, truth masks and truth numbers into `folder`.

    Returns
    -------
    Path
        The image, ``<name>_T2w.nii.gz``; beside it are ``<name>_seg-spine_dseg.nii.gz``,
        ``<name>_seg-vert_dseg.nii.gz`` and ``<name>_truth.json``.
    """
    folder = Path(folder)
    image = folder / f"{name}_T2w.nii.gz"
    save_volume(phantom.image, image)
    save_volume(phantom.semantic, folder / f"{name}_seg-spine_dseg.nii.gz")
    save_volume(phantom.instance, folder / f"{name}_seg-vert_dseg.nii.gz")
    write_json(folder / f"{name}_truth.json", phantom.truth)
    return image
