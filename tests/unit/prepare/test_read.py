"""Every bad input is refused with its code; every odd but good one is read as it is."""

import dataclasses
import errno
import gzip
import io
import json
import os
import struct
import tracemalloc
import zlib

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from columna.config import PrepareSettings
from columna.errors import ScanRefused, UnavailableError
from columna.images.volume import Volume
from columna.prepare import read_mask, read_scan, scan_checks, slices
from columna.prepare.facts import input_sha256
from columna.prepare.header import Header

SETTINGS = PrepareSettings()
SHAPE = (9, 40, 48)
SPACING = (3.3, 0.9, 0.9)


def texture(shape=SHAPE, dtype=np.int16):
    return np.random.default_rng(0).integers(0, 1000, shape).astype(dtype)


def rotation(axis, degrees):
    turn = np.eye(4)
    first, second = [i for i in range(3) if i != axis]
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn[[first, second], [first, second]] = cosine
    turn[first, second], turn[second, first] = -sine, sine
    return turn


def affine_of(spacing=SPACING, turn=None):
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = (-12, 30, -70)
    return affine if turn is None else turn @ affine


@pytest.fixture
def write(tmp_path):
    """Write a scan; `change` edits the raw header, `damage` the bytes of the unpacked file."""

    def write(
        array=None,
        affine=None,
        name="sub-1_T2w.nii.gz",
        kind=nib.Nifti1Image,
        change=None,
        damage=None,
    ):
        array = texture() if array is None else array
        image = kind(array, affine_of() if affine is None else affine, dtype=array.dtype)
        content = bytearray(image.to_bytes())
        if change:
            header = type(image.header)(bytes(content[: image.header.sizeof_hdr]), check=False)
            change(header)
            content[: image.header.sizeof_hdr] = header.binaryblock
        content = bytes(damage(content)) if damage else bytes(content)
        path = tmp_path / name
        path.write_bytes(gzip.compress(content, 1) if name.endswith(".gz") else content)
        return path

    return write


def refusal(path, settings=SETTINGS):
    with pytest.raises(ScanRefused) as caught:
        read_scan(path, settings)
    assert caught.value.reason.endswith(".")
    assert str(path.parent) not in caught.value.reason
    return caught.value.code


# Reading


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("name", ["sub-1_T2w.nii.gz", "sub-1_T2w.nii"])
def test_voxels_affine_and_digest_do_not_depend_on_the_container(write, kind, name):
    scan = read_scan(write(kind=kind, name=name), SETTINGS)
    np.testing.assert_array_equal(scan.volume.array, texture())
    assert scan.volume.array.dtype == np.int16
    np.testing.assert_allclose(scan.volume.affine, affine_of(), atol=1e-5)
    reference = read_scan(write(name="other_T2w.nii"), SETTINGS)
    assert scan.facts["input_sha256"] == reference.facts["input_sha256"]


@pytest.mark.parametrize(
    "dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", ">i2", ">f4"]
)
def test_every_scalar_type_in_either_byte_order(write, dtype):
    array = (texture(dtype=np.int64) % 100).astype(dtype)
    header = nib.Nifti1Header(endianness=">" if dtype.startswith(">") else "<")
    header.set_data_dtype(array.dtype)
    image = nib.Nifti1Image(array, affine_of(), header, dtype=array.dtype)
    path = write()
    path.write_bytes(gzip.compress(image.to_bytes()))
    read = read_scan(path, SETTINGS).volume.array
    np.testing.assert_array_equal(read, array)
    assert read.dtype == array.dtype.newbyteorder("=")


def test_scaling_is_applied_in_float32(write):
    def scale(header):
        header["scl_slope"], header["scl_inter"] = 0.25, -3

    read = read_scan(write(change=scale), SETTINGS).volume.array
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, texture() * 0.25 - 3)


@pytest.mark.parametrize("slope", [0, np.nan, 1])
def test_no_scaling(write, slope):
    def scale(header):
        header["scl_slope"], header["scl_inter"] = slope, 0

    assert read_scan(write(change=scale), SETTINGS).volume.array.dtype == np.int16


def test_trailing_axis_of_one_is_dropped(write):
    assert read_scan(write(texture()[..., None]), SETTINGS).volume.shape == SHAPE


def test_several_gzip_members_and_zero_padding_are_legal(write):
    path = write()
    content = gzip.decompress(path.read_bytes())
    parts = [gzip.compress(content[:1000]), gzip.compress(content[1000:]), bytes(512)]
    path.write_bytes(b"".join(parts))
    np.testing.assert_array_equal(read_scan(path, SETTINGS).volume.array, texture())


def test_quirks_of_real_headers_are_tolerated(write):
    def no_qfac(header):
        header["sform_code"], header["qform_code"], header["pixdim"][0] = 0, 1, 0

    scan = read_scan(write(change=no_qfac), SETTINGS)
    np.testing.assert_allclose(scan.volume.affine, affine_of(), atol=1e-4)


# Damage


def test_missing_empty_and_odd_files(tmp_path):
    with pytest.raises(UnavailableError, match=r"no_T2w\.nii\.gz cannot be read now"):
        read_scan(tmp_path / "no_T2w.nii.gz", SETTINGS)
    (tmp_path / "dir_T2w.nii.gz").mkdir()
    assert refusal(tmp_path / "dir_T2w.nii.gz") == "not_nifti"
    for name in ("empty_T2w.nii.gz", "empty_T2w.nii"):
        (tmp_path / name).touch()
        assert refusal(tmp_path / name) == "unreadable"
    for name, content in {
        "text_T2w.nii.gz": b"This is a text file.\n" * 50,
        "text_T2w.nii": b"This is a text file.\n" * 50,
        "packed_text_T2w.nii.gz": gzip.compress(b"This is a text file.\n" * 50),
        "short_T2w.nii.gz": gzip.compress(struct.pack("<i", 348)),
        "stub_T2w.nii.gz": b"\x1f\x8b",
    }.items():
        (tmp_path / name).write_bytes(content)
        assert refusal(tmp_path / name) == "unreadable", name


@pytest.mark.parametrize("what", ["file", "folder"])
def test_no_permission_is_no_verdict_on_the_scan(what, write):
    path = write()
    closed = path if what == "file" else path.parent
    mode = closed.stat().st_mode
    closed.chmod(0)
    user = os.geteuid()
    try:
        if user == 0:  # root may read everything
            os.seteuid(65534)
        with pytest.raises(UnavailableError, match="Permission denied"):
            read_scan(path, SETTINGS)
    finally:
        os.seteuid(user)
        closed.chmod(mode)
    assert read_scan(path, SETTINGS)


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT])
def test_a_disk_that_fails_is_no_verdict_on_the_scan(code, write, monkeypatch):
    class Failing(io.BytesIO):
        def readinto(self, buffer):
            raise OSError(code, os.strerror(code))

    path = write(name="sub-1_T2w.nii")
    head = path.read_bytes()[:400]
    monkeypatch.setattr("builtins.open", lambda *_: Failing(head))
    with pytest.raises(UnavailableError, match=os.strerror(code)):
        read_scan(path, SETTINGS)


def test_content_must_be_packed_as_the_name_says(write):
    path = write()
    assert refusal(path.rename(path.with_name("a_T2w.nii"))) == "unreadable"
    path = write(name="b_T2w.nii")
    assert refusal(path.rename(path.with_name("b_T2w.nii.gz"))) == "unreadable"


@pytest.mark.parametrize(
    "content",
    [
        "/annex/objects/MD5E-s3311232--0123456789abcdef0123456789abcdef.nii.gz\n",
        "../../.git/annex/objects/Zx/9q/SHA256E-s9--0a.nii.gz/SHA256E-s9--0a.nii.gz",
        "..\\..\\.git\\annex\\objects\\Zx\\9q\\MD5E-s9--0a.nii.gz",
        "/annex/objects/SHA256E-s9--0a.nii\n/annex/chunked\n",
        "version https://git-lfs.github.com/spec/v1\noid sha256:" + 64 * "a" + "\nsize 3311232\n",
        "version https://hawser.github.com/spec/v1\noid sha256:" + 64 * "a" + "\nsize 9\n",
    ],
)
@pytest.mark.parametrize("name", ["a_T2w.nii.gz", "a_T2w.nii"])
def test_pointers_say_what_to_get(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content.encode())
    with pytest.raises(ScanRefused, match="get the content first") as refused:
        read_scan(path, SETTINGS)
    assert refused.value.code == "missing_file"
    with pytest.raises(ScanRefused, match="get the content first"):
        read_mask(path, SETTINGS)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99, -4, -1])
def test_truncated(write, kept):
    path = write()
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if 0 < kept < 1 else kept])
    assert refusal(path) == "unreadable"


def test_every_flipped_byte_is_noticed(write):
    """Bytes 4 to 9 of a gzip file are time, flags and system; all others carry the image."""
    path = write(texture((3, 16, 16)))
    content = path.read_bytes()
    for position in [0, 1, 2, 3, *np.linspace(10, len(content) - 1, 40).astype(int)]:
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        assert refusal(path) in {"unreadable", "implausible_header", "not_nifti"}, position


def test_garbage_after_the_stream(write):
    path = write()
    path.write_bytes(path.read_bytes() + b"garbage")
    assert refusal(path) == "unreadable"


def test_shorter_and_longer_than_announced(write):
    assert refusal(write(damage=lambda b: b[:-2000])) == "implausible_header"
    assert refusal(write(damage=lambda b: b + bytes(10_000))) == "implausible_header"
    assert refusal(write(damage=lambda b: b[:-2000], name="a_T2w.nii")) == "implausible_header"
    assert read_scan(write(damage=lambda b: b + bytes(100)), SETTINGS)


def test_other_formats(write):
    image = nib.AnalyzeImage(texture(), affine_of())
    path = write()
    path.write_bytes(gzip.compress(image.header.binaryblock + bytes(2000)))
    assert refusal(path) == "not_nifti"

    def pair(header):
        header["magic"] = b"ni1"

    assert refusal(write(change=pair)) == "not_nifti"


# Headers that lie: nothing may be allocated or unpacked


def traced_refusal(path):
    tracemalloc.start()
    code = refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return code, peak


@pytest.mark.parametrize(
    ("dim", "code"),
    [
        ((30000, 30000, 3000), "implausible_size"),
        ((400, 2000, 2000), "implausible_header"),
        ((9, 0, 48), "implausible_header"),
        ((9, -40, 48), "implausible_header"),
    ],
)
def test_impossible_sizes_take_no_memory(write, dim, code):
    def change(header):
        header["dim"][1:4] = dim

    found, peak = traced_refusal(write(change=change))
    assert found == code
    assert peak < 4e6


def test_gzip_bomb_is_not_unpacked(write):
    path = write()
    head = gzip.decompress(path.read_bytes())
    packer = zlib.compressobj(9, wbits=31)
    zeros = bytes(2**20)
    packed = [packer.compress(head)] + [packer.compress(zeros) for _ in range(40)]
    path.write_bytes(b"".join([*packed, packer.flush()]))
    found, peak = traced_refusal(path)
    assert found == "implausible_header"
    assert peak < 4e6


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"scl_slope": 1e36, "scl_inter": 0}, "implausible_header"),
        ({"scl_slope": np.inf, "scl_inter": 0}, "implausible_header"),
        ({"scl_slope": 2, "scl_inter": np.nan}, "implausible_header"),
        ({"vox_offset": 0}, "implausible_header"),
        ({"vox_offset": 1e9}, "implausible_header"),
        ({"vox_offset": np.nan}, "implausible_header"),
        ({"bitpix": 32}, "implausible_header"),
        ({"datatype": 77}, "implausible_header"),
        ({"datatype": 32, "bitpix": 64}, "unsupported_type"),
        ({"datatype": 1, "bitpix": 1}, "unsupported_type"),
        ({"sform_code": 0, "qform_code": 0}, "implausible_header"),
        ({"sform_code": 0, "qform_code": 1, "quatern_b": 5}, "implausible_header"),
        ({"srow_x": 0}, "singular_affine"),
        ({"srow_x": np.nan}, "singular_affine"),
        ({"srow_x": (3.3, 0, 0, 1e30)}, "implausible_header"),
        ({"pixdim": (1, 3.3, 0.9, 1.8, 1, 1, 1, 1)}, "implausible_header"),
    ],
)
def test_header_fields(write, fields, code):
    def change(header):
        for name, value in fields.items():
            header[name] = value

    assert refusal(write(change=change)) == code


def test_colours_and_complex_numbers(write):
    rgb = np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    assert refusal(write(rgb)) == "unsupported_type"
    assert refusal(write(texture(dtype=np.complex64))) == "unsupported_type"


# Size and voxels


@pytest.mark.parametrize(
    ("shape", "code"),
    [
        ((1, 40, 48), "implausible_size"),
        ((2, 40, 48), "implausible_size"),
        ((9, 40, 8), "implausible_size"),
        ((9, 40), "not_3d"),
        ((9, 40, 48, 2), "not_3d"),
        ((9, 40, 48, 1, 3), "not_3d"),
    ],
)
def test_shapes(write, shape, code):
    assert refusal(write(texture(shape))) == code


@pytest.mark.parametrize(
    ("spacing", "code"),
    [
        ((3.3, 0.9, 0.1), "implausible_spacing"),
        ((9, 0.9, 0.9), "implausible_spacing"),
        ((0.0033, 0.0009, 0.0009), "implausible_spacing"),
    ],
)
def test_spacing(write, spacing, code):
    assert refusal(write(affine=affine_of(spacing))) == code


def test_extent(write):
    path = write(np.ones((3, 16, 1600), np.uint8), affine_of((3, 2, 2)))
    assert refusal(path) == "implausible_size"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite(write, value):
    array = texture(dtype=np.float32)
    array[4, 5, 6] = value
    assert refusal(write(array)) == "not_finite"


@pytest.mark.parametrize("value", [0, 7, -3])
def test_constant(write, value):
    assert refusal(write(np.full(SHAPE, value, np.int16))) == "constant"


# Plane


def test_planes(write):
    shape = (40, 40, 40)
    for spacing, code in {
        (0.9, 3.3, 0.9): "wrong_orientation",
        (0.9, 0.9, 3.3): "wrong_orientation",
        (0.9, 0.9, 1.6): "wrong_orientation",
        (1.3, 1.3, 2.0): "wrong_orientation",
        (0.7, 1.6, 0.7): "wrong_orientation",
    }.items():
        assert refusal(write(texture(shape), affine_of(spacing))) == code
    with pytest.raises(ScanRefused, match="axial"):
        read_scan(write(texture(shape), affine_of((0.9, 0.9, 7.5))), SETTINGS)


@pytest.mark.parametrize(
    ("shape", "spacing"),
    [
        ((35, 256, 200), (1, 1, 1)),
        ((40, 40, 40), (1.1, 1.06, 1.0)),
        ((40, 40, 40), (1.0, 1.06, 1.1)),
        ((40, 40, 40), (0.5, 0.5, 0.9)),
        ((40, 40, 40), (1.3, 1.0, 1.0)),
        ((40, 40, 40), (1.0, 1.0, 1.25)),
        ((40, 40, 40), (1.0, 0.8, 1.25)),
        ((40, 40, 40), (0.5, 0.5, 1.25)),
        ((40, 40, 40), (0.9, 0.9, 1.2)),
        ((40, 40, 40), (1.0, 1.4, 1.0)),
        ((40, 40, 40), (1.4, 1.4, 2.0)),
    ],
)
def test_near_isotropic_and_thin_volumes_are_accepted(write, shape, spacing):
    assert read_scan(write(texture(shape), affine_of(spacing)), SETTINGS).volume.shape == shape


@pytest.mark.parametrize("axis", [1, 2])
def test_oblique(write, axis):
    facts = read_scan(write(affine=affine_of(turn=rotation(axis, 30))), SETTINGS).facts
    assert facts["obliquity_deg"] == pytest.approx(30, abs=0.01)
    assert refusal(write(affine=affine_of(turn=rotation(axis, 50)))) == "too_oblique"
    assert refusal(write(affine=affine_of(turn=rotation(axis, 75)))) == "wrong_orientation"
    strict = PrepareSettings(max_obliquity_deg=20)
    assert refusal(write(affine=affine_of(turn=rotation(axis, 30))), strict) == "too_oblique"


def test_rotation_within_the_slices_is_no_tilt(write):
    scan = read_scan(
        write(affine=affine_of(turn=rotation(0, 35))), PrepareSettings(max_obliquity_deg=5)
    )
    assert scan.facts["obliquity_deg"] == pytest.approx(35, abs=0.01)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(-180, 180), min_size=3, max_size=3),
    st.permutations(range(3)),
    st.floats(1.6, 6),
)
def test_an_accepted_stack_is_stacked_along_left_right(angles, order, thickness):
    """Whatever the rotation, reorienting an accepted scan leaves its slices along L/R."""
    turn = rotation(0, angles[0]) @ rotation(1, angles[1]) @ rotation(2, angles[2])
    spacing = np.array([thickness, 0.9, 0.9])[list(order)]
    affine = affine_of(spacing, turn)
    header = _header(affine, spacing)
    try:
        scan_checks.is_sagittal(header, SETTINGS)
    except ScanRefused:
        return
    axis = int(np.argmax(spacing))
    assert slices.normal_angles_deg(affine, axis)[0] <= 45.02
    reoriented = Volume(np.zeros(SHAPE, np.uint8), affine).reoriented()
    assert int(np.argmax(reoriented.spacing_mm)) == 2


def _header(affine, spacing):
    values = {field.name: None for field in dataclasses.fields(Header)}
    return Header(**{**values, "sform": affine, "dimensions": SHAPE, "pixdim_mm": spacing})


# Modality


def test_names_and_sidecars_are_looked_at_before_the_file(write, tmp_path):
    assert refusal(tmp_path / "sub-1_T1w.nii.gz") == "wrong_modality"
    path = write()
    path.with_name("sub-1_T2w.json").write_text(json.dumps({"Modality": "CT"}))
    assert refusal(path) == "wrong_modality"


def hounsfield():
    """Air, fat and soft tissue with noise, and a little bone."""
    random = np.random.default_rng(1)
    array = random.normal(40, 30, (40, 40, 40))
    array[:, 34:] = random.normal(-100, 25, (40, 6, 40))
    array[:, :12] = random.normal(-995, 10, (40, 12, 40))
    array[10:14, 20:30] = 700
    return np.maximum(array, -1024).astype(np.int16)


def test_ct_is_recognised_only_where_nothing_says_mr(write):
    affine = affine_of((1, 1, 1))
    assert refusal(write(hounsfield(), affine, name="export.nii.gz")) == "wrong_modality"
    assert read_scan(write(hounsfield(), affine, name="sub-1_T2w.nii.gz"), SETTINGS)
    path = write(hounsfield(), affine, name="sub-2.nii.gz")
    path.with_name("sub-2.json").write_text(json.dumps({"Modality": "MR"}))
    assert read_scan(path, SETTINGS)


@pytest.mark.parametrize("low", [-32768, -1024, -1000])
def test_mr_with_negative_numbers_is_not_taken_for_ct(write, low):
    full = np.random.default_rng(2).integers(low, 32767, SHAPE, endpoint=True).astype(np.int16)
    gamma = (np.random.default_rng(3).gamma(2, 150, SHAPE) + low).astype(np.int16)
    for array in (full, gamma):
        assert read_scan(write(array, name="export.nii.gz"), SETTINGS)


# Facts


def test_facts(write):
    array = texture()
    array[:2] = 0
    array[:, :, 44:] = 0
    affine = affine_of()[[1, 0, 2, 3]]  # the first axis runs along A/P: coronal
    assert refusal(write(array, affine)) == "wrong_orientation"
    swapped = affine_of() @ np.eye(4)[[0, 2, 1, 3]]
    path = write(array, swapped, name="sub-1_acq-sag_run-3_T2w.nii.gz")
    facts = read_scan(path, SETTINGS).facts
    assert [facts[f"dim_{a}_n"] for a in ("lr", "ap", "si")] == [9, 48, 40]
    assert facts["spacing_lr_mm"] == pytest.approx(3.3, abs=1e-5)
    assert facts["fov_si_mm"] == pytest.approx(36, abs=1e-4)
    assert facts["support_fraction_ratio"] == pytest.approx(7 / 9 * 44 / 48)
    assert (facts["modality"], facts["acquisition"], facts["run"]) == ("T2w", "sag", 3)
    json.dumps(facts, allow_nan=False)


def test_digest_follows_voxels_and_affine_only():
    volume = Volume(texture(), affine_of())
    digest = input_sha256(volume)
    assert digest == input_sha256(Volume(np.asfortranarray(texture()), affine_of()))
    changed = texture()
    changed[0, 0, 0] += 1
    moved = affine_of()
    moved[0, 3] += 0.1
    for other in (
        Volume(changed, affine_of()),
        Volume(texture(), moved),
        Volume(texture(dtype=np.int32), affine_of()),
        Volume(texture().reshape(9, 48, 40), affine_of()),
    ):
        assert input_sha256(other) != digest


def test_no_free_text_reaches_the_facts(write):
    secret = b"MUSTERMANN"

    def change(header):
        for field in ("descrip", "intent_name", "aux_file", "db_name"):
            header[field] = secret[:10]

    path = write(change=change)
    sidecar = {"PatientName": secret.decode(), "Comments": [secret.decode()], "Manufacturer": "GE"}
    path.with_name("sub-1_T2w.json").write_text(json.dumps(sidecar))
    scan = read_scan(path, SETTINGS)
    assert scan.facts["manufacturer"] == "GE"
    assert secret.decode() not in json.dumps(scan.facts)
