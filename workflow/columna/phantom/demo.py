"""The demo cohort: phantoms that look like scans, and files to be refused with a reason."""

import csv
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from columna.files import write_text
from columna.images.volume import Volume, save_volume
from columna.phantom import damage
from columna.phantom.ct import make_ct
from columna.phantom.generate import make_phantom
from columna.phantom.own import own_scans
from columna.phantom.settings import PhantomSettings
from columna.phantom.write import write_phantom

OK = "done"


def _person(seed: int, **chosen: object) -> PhantomSettings:
    """Settings of a phantom in a whole body, with the irregularities of a person."""
    usual = {
        "surroundings": "body",
        "coccyx": True,
        "posterior_jitter": 0.12,
        "sacral_notch": 0.4,
        "canal_width": 1.15,
        "body_width": 1.1,
    }
    return PhantomSettings.model_validate({"seed": seed, **usual, **chosen})


PHANTOMS: dict[str, tuple[PhantomSettings, str, str]] = {
    "whole": (
        _person(1, region="whole", spacing_mm=(0.9, 0.9, 3.6)),
        OK,
        "phantom, whole spine",
    ),
    "lumbar": (
        _person(2, region="lumbar", spacing_mm=(0.8, 0.8, 4.0)),
        OK,
        "phantom, lumbar spine",
    ),
    "neck": (
        _person(11, region="cervicothoracic", spacing_mm=(0.9, 0.9, 3.3)),
        OK,
        "phantom, cervical and upper thoracic spine",
    ),
    "oblique": (
        _person(
            4,
            region="lumbar",
            spacing_mm=(1.0, 1.0, 3.3),
            obliquity_deg=12.0,
            orientation=("L", "S", "A"),
        ),
        OK,
        "phantom, lumbar spine, slices tilted by 12 degrees, axes permuted and flipped",
    ),
    "worn": (
        _person(
            7,
            region="lumbar",
            spacing_mm=(0.9, 0.9, 4.0),
            crushed={20: 0.35},
            disc_narrowed={23: 0.5, 24: 0.6},
            bulging={22: 2.0, 23: 3.0},
            osteophytes={22: 0.15, 23: 0.2},
            listhesis_mm={23: 4.0},
            stenosis={23: 0.3},
        ),
        OK,
        "phantom, lumbar spine with a fracture of L1, narrowed discs and a slip of L4",
    ),
    "narrow": (
        _person(8, region="lumbar", spacing_mm=(1.0, 1.0, 1.0), fov_mm=(200.0, 256.0, 38.0)),
        OK,
        "phantom, lumbar spine, 3-D of 1 mm that does not reach the sides of the bodies",
    ),
    "crop": (
        _person(9, region="lumbar", spacing_mm=(1.5, 1.5, 1.5), fov_mm=(102.0, 102.0, 78.0)),
        OK,
        "phantom, crop of three lumbar vertebrae, 1.5 mm",
    ),
    "axial": (
        _person(5, region="lumbar", spacing_mm=(1.2, 6.0, 1.2), orientation=("L", "P", "S")),
        "wrong_orientation",
        "phantom, axial slices",
    ),
}
"""Participant -> settings, how the scan should end, what it is."""

BASE = _person(6, region="lumbar", spacing_mm=(1.2, 1.2, 4.0))
"""The phantom that damaged files and CT are made of."""

DAMAGED: dict[str, tuple[Callable[[Volume, Path], None], str, str]] = {
    "truncated": (damage.write_truncated, "unreadable", "phantom, file cut off in the middle"),
    "flippedbyte": (damage.write_flipped_byte, "unreadable", "phantom, one byte of the file wrong"),
    "twovolumes": (damage.write_two_volumes, "not_3d", "phantom, two volumes in one file"),
    "nan": (damage.write_not_finite, "not_finite", "phantom, some voxels are not a number"),
    "constant": (damage.write_constant, "constant", "phantom, empty image"),
    "fullrange": (damage.write_full_range, OK, "phantom, intensities from -32768 to 32767"),
}
"""Participant -> how to write the file, how the scan should end, what it is."""


CT: dict[str, tuple[str, str, str]] = {
    "ct": ("CT", "wrong_modality", "phantom as a CT, named so"),
    "sidecarct": ("T2w", "wrong_modality", "phantom as a CT, its sidecar says so"),
}
"""Participant -> suffix, how the scan should end, what it is."""


class DemoRow(NamedTuple):
    """A row of the demo cohort's sheet."""

    participant_id: str
    session_id: str
    scan_id: str
    path: str
    expected: str
    what: str


def write_demo_cohort(folder: Path, own: Path | None = None) -> Path:
    """Write the demo cohort: a BIDS-like folder and a sheet of its scans.

    The same files, byte by byte, every time. The truth of a phantom lies beside its image.

    Parameters
    ----------
    folder
        Made if need be.
    own
        Folder of NIfTI files that join the cohort where they lie.

    Returns
    -------
    Path
        ``cohort.tsv``; its columns ``expected`` (``done``, or the code of the reason for which
        the scan is to be refused; empty for files of `own`) and ``what`` are more than columna
        needs.

    Raises
    ------
    CohortError
        If `own` is no folder or holds no NIfTI file.
    """
    folder = Path(folder)
    mine = _own(own)
    cases = [*_write_phantoms(folder), *_write_ct(folder), *_write_damaged(folder), *_missing()]
    sheet = folder / "cohort.tsv"
    text = StringIO(newline="")
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerows([DemoRow._fields, *cases, *mine])
    write_text(sheet, text.getvalue())
    return sheet


def _own(folder: Path | None) -> list[DemoRow]:
    """Rows of the user's own files."""
    return (
        []
        if folder is None
        else [
            DemoRow(scan.participant_id, "", scan.scan_id, str(scan.path), "", "a file of your own")
            for scan in own_scans(folder)
        ]
    )


def _write_phantoms(folder: Path) -> Iterator[DemoRow]:
    for name, (settings, expected, what) in PHANTOMS.items():
        case = _case(name, "T2w", expected, what)
        write_phantom(make_phantom(settings), (folder / case.path).parent, case.participant_id)
        yield case


def _write_ct(folder: Path) -> Iterator[DemoRow]:
    image = make_ct(BASE)
    for name, (suffix, expected, what) in CT.items():
        case = _case(name, suffix, expected, what)
        save_volume(image, folder / case.path)
        if suffix != "CT":
            damage.write_sidecar(folder / case.path, {"Modality": "CT"})
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
