"""What the name and the sidecar of a scan say about it.

The rules are tables (docs/method.md#names-and-sidecars). Only what is known to be wrong is refused:
an unknown suffix or acquisition is trusted, and nothing is guessed from sequence parameters. Names
are compared without regard to case.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

Verdict = tuple[str, str]
"""A code of ``reasons.tsv`` and a sentence."""

NIFTI_ENDINGS = (".nii.gz", ".nii")

T2W_SUFFIXES = frozenset({"t2w", "dixon", "mr", "t2", "t2c"})
DERIVED_SUFFIXES = frozenset({"msk", "mask", "seg", "dseg", "probseg", "label", "labels"})
OTHER_SUFFIXES: Mapping[str, str] = {
    "t1w": "T1w", "t1": "T1w", "t1c": "T1w", "unit1": "T1w",
    "t1dixon": "VIBE", "vibe": "VIBE", "mevibe": "VIBE",
    "gre": "gradient echo", "megre": "gradient echo",
    "t2star": "T2*", "t2starw": "T2*", "swi": "SWI",
    "pd": "PD", "pdw": "PD", "flair": "FLAIR", "mpr": "MPR", "angio": "angiography",
    "t1map": "T1 map", "t2map": "T2 map", "t2starmap": "T2* map", "pdmap": "PD map",
    "r2map": "R2 map", "mtr": "MTR", "mts": "MT",
    "dwi": "diffusion", "adc": "diffusion", "asl": "perfusion",
    "bold": "functional MRI", "sbref": "functional MRI",
    "phasediff": "field map", "fieldmap": "field map",
    "magnitude1": "field map", "magnitude2": "field map",
    "ct": "CT", "pet": "PET",
}  # fmt: skip
"""Suffixes of other known contrasts, and what to call these."""

OTHER_PLANES: Mapping[str, str] = {
    "ax": "axial", "axl": "axial", "axi": "axial", "axial": "axial",
    "tra": "axial", "transverse": "axial", "transversal": "axial",
    "cor": "coronal", "coronal": "coronal",
}  # fmt: skip
"""Values of the acq entity that stand for another plane than sagittal."""

DERIVED_ENTITIES = ("seg", "label", "lesions")
DERIVED_DESCRIPTIONS = ("mask", "msk", "seg", "label")

DIXON_OTHER = frozenset(
    {"w", "f", "fat", "water", "op", "opp", "outphase", "opposed", "difference"}
)
"""Dixon reconstructions other than the in-phase image (`rec`, `acq`, `part`, ``ImageType``)."""
OTHER_PARTS = frozenset({"phase", "real", "imag"})

OTHER_MODALITIES: Mapping[str, str] = {
    "CT": "CT", "PT": "PET", "NM": "nuclear medicine", "US": "ultrasound", "CR": "radiography",
    "DX": "radiography", "XA": "angiography", "RF": "fluoroscopy", "MG": "mammography",
}  # fmt: skip
"""DICOM codes of modalities other than MR (sidecar key ``Modality``)."""

MR_WORDS = frozenset({"MR", "MRI"})

T2W, MR, DERIVED = "T2w", "MR", "derived"
MODALITIES: Mapping[str, str] = {
    T2W: "the file name says so",
    MR: "the sidecar says MR, the name nothing",
    DERIVED: "a mask, a label or another derived image",
    **{
        kind: f"another contrast: {kind}"
        for kind in dict.fromkeys([*OTHER_SUFFIXES.values(), *OTHER_MODALITIES.values()])
    },
}
"""What `known_modality` may say, with what it stands for."""

SIDECAR_NUMBERS: Mapping[str, tuple[str, float]] = {
    "MagneticFieldStrength": ("field_strength_t", 30.0),
    "RepetitionTime": ("repetition_time_s", 60.0),
    "EchoTime": ("echo_time_s", 2.0),
}
"""Sidecar key -> fact and the value (in T, s) from which it cannot be in the unit of BIDS."""
NO_VALUE = frozenset({"n/a", "na", "nan", "none", "null", "unknown", "anonymous", "anonymized"})
"""Texts of a sidecar that say nothing, in lower case."""
SIDECAR_TEXTS: Mapping[str, str] = {
    "Manufacturer": "manufacturer",
    "ManufacturersModelName": "model_name",
}


def split_name(path: Path) -> tuple[dict[str, str], str]:
    """Entities and suffix of a BIDS file name; any name has at least a suffix.

    Examples
    --------
    >>> split_name(Path("sub-01_acq-sag_T2w.nii.gz"))
    ({'sub': '01', 'acq': 'sag'}, 'T2w')
    """
    fields = stem(path).split("_")
    pairs = (field.partition("-") for field in fields)  # names outside BIDS may end in an entity
    return {key: value for key, dash, value in pairs if dash and value}, fields[-1]


def stem(path: Path) -> str:
    """File name without ``.nii`` or ``.nii.gz``."""
    name = Path(path).name
    for ending in NIFTI_ENDINGS:
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name


def name_verdict(path: Path) -> Verdict | None:
    """Why the name of a file rules it out, or None where it does not.

    Returns
    -------
    tuple of str or None
        Code (``not_nifti``, ``derived_image``, ``wrong_modality`` or ``wrong_acquisition``) and
        sentence.
    """
    entities, suffix = split_name(path)
    return (
        _ending_verdict(Path(path).name)
        or _derived_verdict(entities, suffix)
        or _contrast_verdict(entities, suffix)
        or _plane_verdict(entities)
    )


def _ending_verdict(name: str) -> Verdict | None:
    if name.lower().endswith(NIFTI_ENDINGS):
        return None
    return "not_nifti", "The file name ends neither in .nii nor in .nii.gz; convert it to NIfTI."


def _derived_verdict(entities: Mapping[str, str], suffix: str) -> Verdict | None:
    found = [f"{key}-{entities[key]}" for key in DERIVED_ENTITIES if key in entities]
    description = entities.get("desc", "")
    if any(word in description.lower() for word in DERIVED_DESCRIPTIONS):
        found.append(f"desc-{description}")
    if suffix.lower() in DERIVED_SUFFIXES:
        found.append(suffix)
    if not found:
        return None
    return (
        "derived_image",
        f"'{found[0]}' in the name says that this is a mask or a label, not an original scan.",
    )


def _contrast_verdict(entities: Mapping[str, str], suffix: str) -> Verdict | None:
    kind = OTHER_SUFFIXES.get(suffix.lower())
    if kind is not None:
        return (
            "wrong_modality",
            f"The suffix '{suffix}' says {kind}, not T2w; correct the name if it is T2w.",
        )
    part = entities.get("part", "").lower()
    if part in OTHER_PARTS:
        return "wrong_modality", f"'part-{part}' is not the magnitude image that columna takes."
    if suffix.lower() == "dixon":
        for key in ("rec", "acq", "part"):
            if entities.get(key, "").lower() in DIXON_OTHER:
                return (
                    "wrong_modality",
                    f"'{key}-{entities[key]}' is not the in-phase Dixon image that columna takes.",
                )
    return None


def _plane_verdict(entities: Mapping[str, str]) -> Verdict | None:
    acquisition = entities.get("acq", "")
    plane = OTHER_PLANES.get(acquisition.lower())
    if plane is None:
        return None
    return (
        "wrong_acquisition",
        f"'acq-{acquisition}' says that the scan is {plane}; columna takes sagittal scans.",
    )


def sidecar_verdict(path: Path, sidecar: Mapping[str, Any]) -> Verdict | None:
    """Why the sidecar of a scan rules it out, or None where it does not."""
    modality = str(sidecar.get("Modality", "")).strip().upper()
    if modality == "SEG":
        return "derived_image", "The sidecar says Modality SEG: a mask, not an original scan."
    if modality in OTHER_MODALITIES:
        kind = OTHER_MODALITIES[modality]
        return (
            "wrong_modality",
            f"The sidecar says Modality {modality} ({kind}); columna takes T2w MRI.",
        )
    image_type = sidecar.get("ImageType")
    if split_name(path)[1].lower() == "dixon" and isinstance(image_type, list):
        others = [str(word) for word in image_type if str(word).lower() in DIXON_OTHER]
        if others:
            return (
                "wrong_modality",
                f"ImageType {others[0]} in the sidecar is not the in-phase Dixon image "
                "that columna takes.",
            )
    return None


def says_mr(path: Path, sidecar: Mapping[str, Any]) -> bool:
    """Whether name or sidecar state that the scan is a T2w or an MR image."""
    named = split_name(path)[1].lower() in T2W_SUFFIXES
    return named or str(sidecar.get("Modality", "")).strip().upper() in MR_WORDS


def sidecar_facts(sidecar: Mapping[str, Any]) -> dict[str, str | float | None]:
    """Pick the only values of a sidecar that results may hold (docs/method.md#facts-of-a-scan).

    Numbers outside what the unit of BIDS allows, such as an echo time in milliseconds, are None,
    and so are texts that are no short single line.
    """
    facts: dict[str, str | float | None] = {}
    for key, (fact, limit) in SIDECAR_NUMBERS.items():
        value = sidecar.get(key)
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else 0
        facts[fact] = float(number) if 0 < number < limit else None
    for key, fact in SIDECAR_TEXTS.items():
        value = sidecar.get(key)
        text = value.strip() if isinstance(value, str) else ""
        text = "" if text.lower() in NO_VALUE else text
        facts[fact] = text if 0 < len(text) <= 64 and text.isprintable() else None
    return facts


def name_facts(path: Path) -> dict[str, str | int | None]:
    """Facts that the name carries: acquisition and run.

    `run` is None where the entity is absent or no number.
    """
    entities = split_name(path)[0]
    run = entities.get("run", "")
    return {
        "acquisition": entities.get("acq"),
        "run": int(run) if run.isascii() and run.isdigit() else None,
    }


def acquisition_facts(path: Path, sidecar: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of an image before it is opened, by column name of the table ``scans``."""
    return {
        "modality": known_modality(path, sidecar),
        **name_facts(path),
        **sidecar_facts(sidecar),
    }


def known_modality(path: Path, sidecar: Mapping[str, Any]) -> str | None:
    """Kind of image by sidecar and name, one of `MODALITIES`, or None where neither says."""
    entities, suffix = split_name(path)
    modality = str(sidecar.get("Modality", "")).strip().upper()
    if modality in OTHER_MODALITIES:
        return OTHER_MODALITIES[modality]
    if modality == "SEG" or _derived_verdict(entities, suffix):
        return DERIVED
    if suffix.lower() in T2W_SUFFIXES:
        return T2W
    return OTHER_SUFFIXES.get(suffix.lower()) or (MR if modality in MR_WORDS else None)
