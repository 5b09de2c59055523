"""What names and sidecars rule out, and what of them may reach a table."""

import subprocess
import sys
from pathlib import Path

import pytest

from columna.prepare.modality import (
    MODALITIES,
    known_modality,
    name_facts,
    name_verdict,
    sidecar_facts,
    sidecar_verdict,
    split_name,
)


@pytest.mark.parametrize(
    "name",
    [
        "sub-1_ses-2_acq-sag_run-1_T2w.nii.gz",
        "sub-1_acq-iso_T2w.nii",
        "sub-1_acq-lumbar_T2w.nii.gz",
        "sub-1_T2W.NII.GZ",
        "sub-1_dixon.nii.gz",
        "sub-1_rec-inphase_part-mag_dixon.nii.gz",
        "sub-1_desc-preproc_T2w.nii.gz",
        "export_1234.nii.gz",
        "scan.nii.gz",
        "t2.nii.gz",
        "sub-1_STIR.nii.gz",
    ],
)
def test_unknown_and_t2w_names_are_trusted(name):
    assert name_verdict(Path("rawdata") / name) is None


@pytest.mark.parametrize(
    ("name", "code", "word"),
    [
        ("sub-1_T2w.mha", "not_nifti", ".nii.gz"),
        ("sub-1_T2w.hdr", "not_nifti", ".nii"),
        ("sub-1_T1w.nii.gz", "wrong_modality", "T1w"),
        ("sub-1_ct.nii.gz", "wrong_modality", "CT"),
        ("sub-1_bold.nii.gz", "wrong_modality", "functional"),
        ("sub-1_part-phase_T2w.nii.gz", "wrong_modality", "phase"),
        ("sub-1_rec-WATER_dixon.nii.gz", "wrong_modality", "in-phase"),
        ("sub-1_acq-ax_T2w.nii.gz", "wrong_acquisition", "axial"),
        ("sub-1_acq-cor_T2w.nii.gz", "wrong_acquisition", "coronal"),
        ("sub-1_seg-vert_msk.nii.gz", "derived_image", "seg-vert"),
        ("t2_seg-manual.nii.gz", "derived_image", "seg-manual"),
        ("sub-1_label-disc_T2w.nii.gz", "derived_image", "label-disc"),
        ("sub-1_desc-brainmask_T2w.nii.gz", "derived_image", "mask"),
        ("sub-1_dseg.nii.gz", "derived_image", "dseg"),
    ],
)
def test_names_that_say_something_else_are_refused(name, code, word):
    found, sentence = name_verdict(Path(name))
    assert found == code
    assert word in sentence
    assert sentence.endswith(".")


def test_the_folder_does_not_count():
    assert name_verdict(Path("derivatives/seg-x_ct/acq-ax_mask/sub-1_T2w.nii.gz")) is None


def test_entities_and_suffix():
    entities, suffix = split_name(Path("a/sub-01_acq-sag_run-02_T2w.nii.gz"))
    assert entities == {"sub": "01", "acq": "sag", "run": "02"}
    assert suffix == "T2w"
    assert name_facts(Path("sub-01_acq-sag_run-02_T2w.nii.gz")) == {
        "acquisition": "sag",
        "run": 2,
    }
    assert name_facts(Path("sub-01_run-b_x.nii.gz")) == {
        "acquisition": None,
        "run": None,
    }


@pytest.mark.parametrize(
    ("sidecar", "code"),
    [
        ({}, None),
        ({"Modality": "MR", "ScanningSequence": "GR", "EchoTime": 0.01}, None),
        ({"Modality": "CT"}, "wrong_modality"),
        ({"Modality": "SEG"}, "derived_image"),
        ({"Modality": ["CT"]}, None),
        ({"ImageType": ["DERIVED", "SECONDARY", "W"]}, None),
    ],
)
def test_sidecars_are_refused_only_for_what_they_state(sidecar, code):
    verdict = sidecar_verdict(Path("sub-1_T2w.nii.gz"), sidecar)
    assert (verdict and verdict[0]) == code


def test_dixon_water_by_sidecar():
    path = Path("sub-1_dixon.nii.gz")
    assert sidecar_verdict(path, {"ImageType": ["ORIGINAL", "W"]})[0] == "wrong_modality"
    assert sidecar_verdict(path, {"ImageType": ["ORIGINAL", "IP"]}) is None


def test_sidecar_facts_are_a_whitelist():
    secret = "MUSTERMANN"
    sidecar = {
        "PatientName": secret,
        "SeriesDescription": secret,
        "AcquisitionDateTime": "2020-01-01",
        "MagneticFieldStrength": 3,
        "Manufacturer": "Siemens ",
        "ManufacturersModelName": "Skyra",
        "RepetitionTime": 3.2,
        "EchoTime": 98,
    }
    assert sidecar_facts(sidecar) == {
        "field_strength_t": 3.0,
        "repetition_time_s": 3.2,
        "echo_time_s": None,  # milliseconds: not in the unit of BIDS
        "manufacturer": "Siemens",
        "model_name": "Skyra",
    }
    wrong = {"MagneticFieldStrength": True, "EchoTime": float("nan"), "Manufacturer": "a\nb"}
    assert set(sidecar_facts(wrong).values()) == {None}


@pytest.mark.parametrize(
    ("name", "sidecar", "expected"),
    [
        ("sub-1_T2w.nii.gz", {}, "T2w"),
        ("sub-1_acq-ax_T2w.nii.gz", {"Modality": "MR"}, "T2w"),
        ("sub-1_T2w.nii.gz", {"Modality": "CT"}, "CT"),
        ("sub-1_T2w.nii.gz", {"Modality": "SEG"}, "derived"),
        ("sub-1_T1w.nii.gz", {}, "T1w"),
        ("sub-1_desc-mask_T2w.nii.gz", {}, "derived"),
        ("export.nii.gz", {"Modality": "MR"}, "MR"),
        ("export.nii.gz", {}, None),
    ],
)
def test_what_kind_of_image_it_is(name, sidecar, expected):
    assert known_modality(Path(name), sidecar) == expected
    assert expected is None or expected in MODALITIES


def test_the_name_rules_are_light_to_import():
    code = "import sys, columna.prepare.modality; print('SimpleITK' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.stdout.strip() == "False"
