"""Reference masks of any format, orientation and grid; sheets of pairs as people write them."""

import weakref

import nibabel as nib
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import SimpleITK
from typer.testing import CliRunner

from columna.cli.main import app
from columna.errors import ColumnaError
from columna.evaluate.conventions import find_convention, read_conventions
from columna.evaluate.outputs import TOGETHER, write_evaluation
from columna.evaluate.pairs import Evaluated, Pair, evaluate_pairs, read_pairs
from columna.evaluate.reference_masks import on_grid, read_mask, same_grid
from columna.evaluate.scan_values import Value
from columna.images.volume import Volume

AFFINE = np.array([[0, 0, 3, -10], [-0.5, 0, 0, 40], [0, -0.5, 0, 60], [0, 0, 0, 1]], float)


def mask():
    labels = np.zeros((30, 60, 9), np.uint16)
    for place, label in enumerate((20, 21, 22)):
        labels[8:20, 4 + 18 * place : 16 + 18 * place, 2:7] = label
        labels[8:20, 17 + 18 * place : 21 + 18 * place, 2:7] = 100 + label
    return labels


def write(path, labels=None, affine=AFFINE):
    nib.save(nib.Nifti1Image(mask() if labels is None else labels, affine), path)
    return path


def write_itk(path, labels):
    """The same voxels at the same places, as ITK writes them (LPS)."""
    image = SimpleITK.GetImageFromArray(labels.transpose(2, 1, 0))
    lps = np.diag([-1, -1, 1, 1]) @ AFFINE
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    SimpleITK.WriteImage(image, str(path))
    return path


@pytest.mark.parametrize("ending", [".mha", ".nrrd", ".mhd"])
def test_formats_of_itk_lie_where_the_nifti_file_lies(tmp_path, ending):
    nifti = read_mask(write(tmp_path / "a.nii.gz"))
    other = read_mask(write_itk(tmp_path / f"a{ending}", mask()))
    assert same_grid(nifti, other)
    assert np.array_equal(nifti.array, other.array)


@pytest.mark.parametrize("codes", ["LPS", "RAS", "ASL", "PIR"])
def test_every_orientation_is_brought_to_the_grid_without_loss(codes):
    here = Volume(mask(), AFFINE)
    labels, inside = on_grid(here.reoriented(tuple(codes)), here)
    assert inside is None
    assert np.array_equal(labels, here.array)


def test_a_smaller_reference_says_where_it_reaches():
    here = Volume(mask(), AFFINE)
    part = here.cropped((slice(0, 30), slice(20, 60), slice(0, 9)))
    labels, inside = on_grid(part, here)
    assert not inside[:, :20].any()
    assert inside[:, 20:].all()
    assert not labels[:, :20].any()
    assert np.array_equal(labels[:, 20:], here.array[:, 20:])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p.write_bytes(b"\x00" * 100), "cannot be read as a mask"),
        (lambda p: write(p, (mask() + 0.4).astype(np.float32)), "fractions"),
        (lambda p: write(p, mask().astype(np.int16) - 5), "no labels"),
        (lambda p: write(p, np.full((3, 3, 3), np.nan, np.float32)), "finite"),
        (lambda p: write(p, np.zeros((3, 3, 3, 2), np.uint8)), "4 dimensions"),
        (lambda p: None, "no such mask"),
    ],
)
def test_what_is_no_mask_is_refused_in_a_sentence(tmp_path, make, message):
    path = tmp_path / "m.nii"
    make(path)
    with pytest.raises(ColumnaError, match=message):
        read_mask(path)


def test_float_masks_and_slopes_are_labels(tmp_path):
    image = nib.Nifti1Image(mask().astype(np.float32), AFFINE)
    image.header.set_slope_inter(1, 0)
    nib.save(image, tmp_path / "m.nii.gz")
    assert np.array_equal(read_mask(tmp_path / "m.nii.gz").array, mask())


def sheet(folder, rows):
    path = folder / "pairs.tsv"
    pd.DataFrame(rows).to_csv(path, sep="\t", index=False)
    return path


def test_pairs_on_other_grids_of_other_scans_and_missing_ones(tmp_path):
    write(tmp_path / "found.nii.gz")
    elsewhere = AFFINE.copy()
    elsewhere[:3, 3] += 500
    write(tmp_path / "far.nii.gz", affine=elsewhere)
    half = AFFINE.copy()
    half[:3, 1] *= 2
    write(tmp_path / "coarse.nii.gz", mask()[:, ::2], half)
    base = {"participant_id": "p", "prediction_instance": "found.nii.gz"}
    rows = [
        base | {"scan_id": "same", "reference_instance": "found.nii.gz"},
        base | {"scan_id": "coarse", "reference_instance": "coarse.nii.gz"},
        base | {"scan_id": "far", "reference_instance": "far.nii.gz"},
        base | {"scan_id": "none", "reference_instance": "missing.nii.gz"},
    ]
    pairs = read_pairs(sheet(tmp_path, rows))
    same, coarse, far, none = evaluate_pairs(pairs)
    assert same.is_resampled is False
    assert coarse.is_resampled is True
    assert "different places" in far.reason
    assert "no such mask" in none.reason
    assert not far.rows
    dices = [r.value for r in coarse.rows if r.metric == "dice" and r.structure == "vertebra"]
    assert min(dices) > 0.9
    assert list(evaluate_pairs(pairs, workers=2)) == [same, coarse, far, none]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"scan_id": "a", "prediction_instance": "x"}], "a sheet of pairs has the columns"),
        (
            [{"scan_id": "a", "prediction_instance": "x", "reference_instance": "y"}] * 2,
            "occurs twice: a",
        ),
    ],
)
def test_sheets_that_say_too_little_or_too_much(tmp_path, rows, message):
    with pytest.raises(ColumnaError, match=message):
        read_pairs(sheet(tmp_path, rows))


def test_the_command_writes_three_tables_and_repeats_them_bit_by_bit(tmp_path):
    write(tmp_path / "found.nii.gz")
    rows = [
        {
            "scan_id": name,
            "prediction_instance": "found.nii.gz",
            "reference_instance": "found.nii.gz",
        }
        for name in ("a", "b")
    ]
    path = sheet(tmp_path, rows)
    written = []
    for out in ("one", "two"):
        arguments = ["evaluate", "--sheet", str(path), "--out", str(tmp_path / out)]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
        written.append([p.read_bytes() for p in sorted((tmp_path / out).glob("*.parquet"))])
    assert len(written[0]) == 3
    assert written[0] == written[1]
    summary = pd.read_parquet(tmp_path / "one" / "evaluation_summary.parquet")
    vertebrae = summary.query("structure == 'vertebra' and unit == 'scan' and stratum == 'all'")
    assert vertebrae.set_index("metric")["mean"]["panoptic_quality"] == 1
    assert "vertebra" in result.output


def test_conventions_of_ones_own(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(
        "mine: {structures: {disc: [3, 5-7]}, instances: {disc: 3 5-7}, levels: {L5: 3}}"
    )
    own = read_conventions(path)
    found = find_convention("mine", own)
    assert found.structures == {"disc": (3, 5, 6, 7)}
    assert found.levels == {3: "L5"}


@pytest.mark.parametrize(
    "text",
    [
        "[1, 2]",
        "mine: 3",
        "mine: {structures: {bone: 3}}",
        "mine: {structures: {disc: 0-4}}",
        "mine: {structures: {disc: 9-4}}",
        "mine: {structures: {disc: -3}}",
        "mine: {instances: {rib: 3}}",
        "mine: {instances: {disc: 3}, levels: {L9: 3}}",
        "mine: {structures: {disc: 99999}}",
        "mine: {}",
        "mine: {structures: {disc: 3}, code: x}",
        "mine: [",
    ],
)
def test_conventions_that_cannot_be(tmp_path, text):
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(ColumnaError):
        read_conventions(path)


def test_an_unknown_convention_names_the_known_ones():
    with pytest.raises(ColumnaError, match="spider"):
        find_convention("SPIDER2")


def test_a_long_sheet_is_written_as_it_goes(tmp_path):
    """However many pairs there are, memory holds a few of them."""
    made, most = [], []
    value = Value("disc", "structure", "dice", 0.5)

    def answers():
        for n in range(4 * TOGETHER):
            pair = Pair(f"s{n:03d}", f"s{n:03d}", None, None, None, None)
            answer = Evaluated(pair, (value,), is_resampled=False, inside_ratio=1.0)
            made.append(weakref.ref(answer))
            most.append(sum(one() is not None for one in made))
            yield answer
            del answer

    write_evaluation(answers(), tmp_path)
    assert max(most) <= 2 * TOGETHER + 2  # those that are written, and the next ones
    assert pq.read_metadata(tmp_path / "evaluation.parquet").num_rows == 4 * TOGETHER
    summary = pd.read_parquet(tmp_path / "evaluation_summary.parquet")
    assert summary["values_n"].tolist() == [4 * TOGETHER]


def test_an_evaluation_of_nothing_is_an_empty_table(tmp_path):
    write_evaluation([Evaluated(Pair("a", "a", None, None, None, None), reason="bad")], tmp_path)
    assert pq.read_metadata(tmp_path / "evaluation.parquet").num_rows == 0
    assert len(pd.read_parquet(tmp_path / "evaluation_summary.parquet")) == 0
    assert pd.read_parquet(tmp_path / "evaluation_pairs.parquet")["reason"].tolist() == ["bad"]
