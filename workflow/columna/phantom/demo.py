"""The demo cohort: phantoms, real scans, and files that have to be refused with a reason."""

import csv
import shutil
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from columna.anatomy import RESOURCES
from columna.files import atomic_path, write_text
from columna.images.volume import Volume
from columna.phantom import damage
from columna.phantom.generate import make_phantom
from columna.phantom.settings import PhantomSettings
from columna.phantom.write import write_phantom

OK = "done"

PHANTOMS: dict[str, tuple[PhantomSettings, str, str]] = {
    "whole": (
        PhantomSettings(seed=1, region="whole", spacing_mm=(0.9, 0.9, 3.6)),
        OK,
        "phantom, whole spine",
    ),
    "lumbar": (
        PhantomSettings(seed=2, region="lumbar", spacing_mm=(0.8, 0.8, 4.0)),
        OK,
        "phantom, lumbar spine",
    ),
    "neck": (
        PhantomSettings(seed=3, region="cervicothoracic", spacing_mm=(0.9, 0.9, 3.3)),
        OK,
        "phantom, cervical and upper thoracic spine",
    ),
    "oblique": (
        PhantomSettings(
            seed=4,
            region="lumbar",
            spacing_mm=(1.0, 1.0, 3.3),
            obliquity_deg=12.0,
            orientation=("L", "S", "A"),
        ),
        OK,
        "phantom, lumbar spine, slices tilted by 12 degrees, axes permuted and flipped",
    ),
    "axial": (
        PhantomSettings(
            seed=5, region="lumbar", spacing_mm=(1.2, 6.0, 1.2), orientation=("L", "P", "S")
        ),
        "wrong_orientation",
        "phantom, axial slices",
    ),
}
"""Participant -> settings, how the scan should end, what it is."""

REAL: dict[str, tuple[str, str, str]] = {
    "sctlumbar": ("sct-lumbar_T2w.nii.gz", OK, "real scan, lower thoracic and lumbar spine"),
    "tptbox": ("tptbox-lumbar_T2w.nii.gz", OK, "real scan, three lumbar vertebrae"),
    "sctaxial": ("sct-axial_T2w.nii.gz", "wrong_orientation", "real scan, axial slices"),
    "ct": ("tptbox-thoracolumbar_CT.nii.gz", "wrong_modality", "real CT, named so"),
}
"""Participant -> file of ``resources/demo``, how the scan should end, what it is."""

BASE = PhantomSettings(seed=6, region="lumbar", spacing_mm=(1.2, 1.2, 4.0))
"""The phantom that damaged files are made of."""

DAMAGED: dict[str, tuple[Callable[[Volume, Path], None], str, str]] = {
    "truncated": (damage.write_truncated, "unreadable", "phantom, file cut off in the middle"),
    "flippedbyte": (damage.write_flipped_byte, "unreadable", "phantom, one byte of the file wrong"),
    "twovolumes": (damage.write_two_volumes, "not_3d", "phantom, two volumes in one file"),
    "nan": (damage.write_not_finite, "not_finite", "phantom, some voxels are not a number"),
    "constant": (damage.write_constant, "constant", "phantom, empty image"),
    "sidecarct": (damage.write_as_ct, "wrong_modality", "phantom, its sidecar says CT"),
    "fullrange": (damage.write_full_range, OK, "phantom, intensities from -32768 to 32767"),
}
"""Participant -> how to write the file, how the scan should end, what it is."""


class DemoRow(NamedTuple):
    """A row of the demo cohort's sheet."""

    participant_id: str
    session_id: str
    scan_id: str
    path: str
    expected: str
    what: str


def write_demo_cohort(folder: Path) -> Path:
    """Write the demo cohort: a BIDS-like folder and a sheet of its scans.

    The same files, byte by byte, every time. The truth of a phantom lies beside its image.

    Parameters
    ----------
    folder
        Made if need be.

    Returns
    -------
    Path
        ``cohort.tsv``; its columns ``expected`` (``done``, or the code of the reason for which
        the scan is to be refused) and ``what`` are more than columna needs.
    """
    folder = Path(folder)
    cases = [*_write_phantoms(folder), *_copy_real(folder), *_write_damaged(folder), *_missing()]
    sheet = folder / "cohort.tsv"
    text = StringIO(newline="")
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerows([DemoRow._fields, *cases])
    write_text(sheet, text.getvalue())
    return sheet


def _write_phantoms(folder: Path) -> Iterator[DemoRow]:
    for name, (settings, expected, what) in PHANTOMS.items():
        case = _case(name, "T2w", expected, what)
        write_phantom(make_phantom(settings), (folder / case.path).parent, case.participant_id)
        yield case


def _copy_real(folder: Path) -> Iterator[DemoRow]:
    for name, (file, expected, what) in REAL.items():
        suffix = file.removesuffix(".nii.gz").rpartition("_")[2]
        case = _case(name, suffix, expected, what)
        with atomic_path(folder / case.path) as temporary:
            shutil.copyfile(RESOURCES / "demo" / file, temporary)
        yield case


def _write_damaged(folder: Path) -> Iterator[DemoRow]:
    image = make_phantom(BASE).image
    for name, (write, expected, what) in DAMAGED.items():
        case = _case(name, "T2w", expected, what)
        write(image, folder / case.path)
        yield case


def _missing() -> Iterator[DemoRow]:
    yield _case("missing", "T2w", "missing_file", "a file that does not exist")


def _case(name: str, suffix: str, expected: str, what: str) -> DemoRow:
    participant, scan = f"sub-{name}", f"sub-{name}_{suffix}"
    return DemoRow(participant, "", scan, f"{participant}/anat/{scan}.nii.gz", expected, what)
