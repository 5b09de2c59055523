"""The public SPIDER folder: names, numbers and headers as they are, made of a phantom."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import SimpleITK

from columna.anatomy import CANAL, DISC_OFFSET
from columna.cohort.index import build_index
from columna.errors import CohortError
from columna.evaluate.pairs import Pair, compare_masks
from columna.evaluate.reference_masks import read_mask
from columna.evaluate.spider import write_spider
from columna.images.volume import load_volume
from columna.phantom import PhantomSettings, make_phantom
from columna.results.manifest import read_manifest
from columna.train.recipe import load_train_config
from columna.train.samples.label_sets import meanings

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])
REPOSITORY = Path(__file__).parents[3]
L5 = 24
CUT = 20


@pytest.fixture(scope="module")
def phantom():
    settings = {"spacing_mm": (1.8, 1.8, 4.0), "region": "lumbar", "fov_mm": (100.0, 150.0, 52.0)}
    return make_phantom(PhantomSettings(**settings, seed=1, obliquity_deg=7.0))


def write_mha(path: Path, volume, values) -> None:
    """As SPIDER's files are: MetaImage, directions and origin in LPS."""
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(values.transpose(2, 1, 0)))
    affine = volume.affine
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((RAS_TO_LPS @ affine[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin((RAS_TO_LPS @ affine[:3, 3]).tolist())
    path.parent.mkdir(exist_ok=True)
    SimpleITK.WriteImage(image, str(path), useCompression=True)


def numbered(phantom, dtype=np.uint8):
    """The truth as SPIDER numbers it: L5 is 1, a cut vertebra 100 higher, discs from 201."""
    true = phantom.instance.array
    mask = np.zeros(true.shape, dtype)
    mask[np.isin(phantom.semantic.array, CANAL)] = 100
    for label in range(CUT, L5 + 1):
        number = 1 + L5 - label
        mask[true == label] = number + 100 * (label == CUT)
        mask[true == DISC_OFFSET + label] = 200 + number
    return mask


@pytest.fixture
def folder(phantom, tmp_path):
    root = tmp_path / "SPIDER"
    root.mkdir()
    intensities = phantom.image.array
    for stem, dtype in (("1_t1", np.int16), ("1_t2", np.uint16), ("2_t2_SPACE", np.int16)):
        scaled = (intensities / intensities.max() * 1000).astype(dtype)
        write_mha(root / "images" / f"{stem}.mha", phantom.image, scaled)
    write_mha(root / "masks" / "1_t2.mha", phantom.image, numbered(phantom))
    write_mha(root / "masks" / "1_t1.mha", phantom.image, numbered(phantom))
    write_mha(root / "masks" / "2_t2_SPACE.mha", phantom.image, numbered(phantom, np.int16))
    (root / "overview.csv").write_text(
        "new_file_name,subset,num_vertebrae,sex,MagneticFieldStrength\n"
        "1_t1,training,5,F,1.5\n1_t2,training,5,F,1.5\n2_t2_SPACE,validation,5,M,3\n"
    )
    (root / "radiological_gradings.csv").write_text("Patient,IVD label,Modic\n1,1,0\n")
    return root


def test_a_cohort_with_references(folder, phantom, tmp_path):
    out = tmp_path / "spider"
    counts = write_spider(folder, out)
    assert counts == {"scans": 2, "references": 2, "training": 2, "not converted": 0}
    rows = pd.read_csv(out / "cohort.tsv", sep="\t", dtype=str)
    assert list(rows.scan_id) == ["sub-001_T2w", "sub-002_acq-SPACE_T2w"], "T1 is left aside"
    assert list(rows.sex) == ["F", "M"]
    assert list(rows.magneticfieldstrength) == ["1.5", "3"]
    image = nib.load(out / "images" / "sub-001_T2w.nii.gz")
    assert np.allclose(image.affine, phantom.image.affine, atol=1e-3)
    assert np.abs(np.corrcoef(image.get_fdata().ravel(), phantom.image.array.ravel())[0, 1]) > 0.999

    summary = build_index(out / "cohort.tsv", tmp_path / "index", batch_size=8)
    assert (summary.scans_n, summary.references_n, summary.references_missing_n) == (2, 2, 0)
    [scan, _] = read_manifest(tmp_path / "index" / "batches" / "b00001.tsv")
    assert scan.reference_instance == folder / "masks" / "1_t2.mha"
    assert scan.reference_convention == "spider"


@pytest.mark.parametrize("stem", ["1_t2", "2_t2_SPACE"])
def test_the_masks_mean_what_they_say(folder, phantom, stem):
    true = read_mask(folder / "masks" / f"{stem}.mha")
    names = ("prediction_semantic", "prediction_instance", "reference_semantic")
    pair = Pair("s", "p", *(None for _ in names), None, reference_convention="spider")
    predicted = {"semantic": phantom.semantic, "instance": phantom.instance}
    found = compare_masks(pair, predicted, {"semantic": true, "instance": true})
    assert found.is_resampled is False
    values = {(r.structure, r.unit, r.metric, r.stratum): r.value for r in found.rows}
    for structure in ("disc", "canal_with_cord"):
        assert values[structure, "structure", "dice", "all"] == 1
    assert values["vertebra", "scan", "level_wrong_n", "all"] == 0
    cut = [r for r in found.rows if r.reference_label == 105 and r.metric == "dice"]
    assert [(r.stratum, r.value) for r in cut] == [("cut", 1.0)]


def test_the_training_masks_fit_the_recipe(folder, phantom, tmp_path):
    write_spider(folder, tmp_path / "spider")
    rows = pd.read_csv(tmp_path / "spider" / "training.tsv", sep="\t")
    mask = load_volume(tmp_path / "spider" / rows.semantic[0]).array
    true = numbered(phantom)
    assert set(np.unique(mask)) == {0, 1, 2, 3}
    assert ((mask == 1) == np.isin(true, [1, 2, 3, 4, 105])).all()
    assert ((mask == 2) == (true > 200)).all()
    assert ((mask == 3) == (true == 100)).all()
    recipe = load_train_config(REPOSITORY / "config" / "spider-train.yaml")
    assert set(meanings(recipe.datasets["spider"])) == {0, 1, 2, 3}


def test_what_cannot_be_converted_keeps_its_row(folder, phantom, tmp_path, caplog):
    (folder / "images" / "2_t2_SPACE.mha").write_bytes(b"ObjectType = Image\n")
    # numbers above 127 do not fit: 201 has become -55
    write_mha(folder / "masks" / "1_t2.mha", phantom.image, numbered(phantom).astype(np.int8))
    out = tmp_path / "spider"
    counts = write_spider(folder, out)
    assert counts == {"scans": 2, "references": 2, "training": 0, "not converted": 2}
    assert "2_t2_SPACE.mha: not converted" in caplog.text
    assert "no labels" in caplog.text
    assert len(pd.read_csv(out / "cohort.tsv", sep="\t")) == 2
    summary = build_index(out / "cohort.tsv", tmp_path / "index", batch_size=8)
    assert summary.input_status_n == {"missing_file": 1, "ok": 1}


def test_what_is_there_is_not_converted_again(folder, tmp_path):
    out = tmp_path / "spider"
    write_spider(folder, out)
    files = sorted(out.rglob("*.nii.gz"))
    before = [file.stat().st_mtime_ns for file in files]
    content = (out / "cohort.tsv").read_bytes()
    write_spider(folder, out)
    assert [file.stat().st_mtime_ns for file in files] == before
    assert (out / "cohort.tsv").read_bytes() == content


def test_a_folder_that_is_not_spider(tmp_path):
    with pytest.raises(CohortError, match="holds no images such as"):
        write_spider(tmp_path, tmp_path / "out")
