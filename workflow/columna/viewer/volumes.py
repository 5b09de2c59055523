"""Scans and masks as the browser gets them: the voxels and their place, nothing of the header."""

import gzip
from typing import Any

import nibabel as nib
import numpy as np

from columna.anatomy import DISC_OFFSET, ENDPLATE_OFFSET, Label, label_table
from columna.images.volume import Volume
from columna.picture.colours import UNNAMED, colour_table

SHOWN_TYPES = tuple(np.dtype(kind) for kind in ("u1", "i2", "u2", "f4"))
"""Types of voxels that the viewer takes as they are."""
SPINE, VERTEBRAE = "spine", "vert"
BELOW = -8
"""NiiVue rounds up what lies in the lowest 2/256 of a colour table: nothing that is there may."""
MASKS = {SPINE: "semantic", VERTEBRAE: "instance"}
"""Name of a mask on the pages -> its name in ``labels.tsv``."""


def clean_nifti(volume: Volume) -> bytes:
    """A gzipped NIfTI-1 file with a header made anew.

    Voxels and affine alone come from `volume`: no description, name, date, intent or extension of
    a file gets to the browser. Weakly packed: the way is short.
    """
    array = volume.array
    if array.dtype.newbyteorder("=") not in SHOWN_TYPES:
        array = array.astype(np.float32)
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    if array.dtype.kind == "f":
        array = np.nan_to_num(array, posinf=0, neginf=0)
    image = nib.Nifti1Image(array, volume.affine)
    image.header.set_xyzt_units("mm")
    return gzip.compress(image.to_bytes(), compresslevel=1, mtime=0)


def colours() -> dict[str, dict[str, list[Any]]]:
    """Colours of the labels of both masks, as NiiVue takes them: lists by channel."""
    return {name: _colours(mask) for name, mask in MASKS.items()}


def _colours(mask: str) -> dict[str, list[Any]]:
    names = {0: ""}
    for row in label_table():
        if row.mask == mask:
            names |= _names(row)
    if mask == MASKS[VERTEBRAE]:
        names |= dict.fromkeys(UNNAMED, "without a name")
    labels = sorted(names)
    red, green, blue = colour_table(mask)[labels].round().astype(int).T.tolist()
    return {
        "I": [BELOW, *labels],
        "R": [0, *red],
        "G": [0, *green],
        "B": [0, *blue],
        "A": [0, *(0 if label == 0 else 255 for label in labels)],
        "labels": ["", *(names[label] for label in labels)],
    }


def _names(row: Label) -> dict[int, str]:
    """What the labels that belong to a row of the label table stand for."""
    own = {row.label: row.name.replace("_", " ")}
    if row.level_order is None:
        return own
    below = {DISC_OFFSET: "disc below", ENDPLATE_OFFSET: "endplates below"}
    return own | {offset + row.label: f"{text} {row.name}" for offset, text in below.items()}
