"""What is kept of a scan: one archive, whole or noticed as damaged, and no more than is needed."""

import hashlib
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from columna.batch import run_batch
from columna.config import Config
from columna.errors import ColumnaError
from columna.images.volume import Volume, volume_bytes
from columna.phantom import PhantomSettings, make_phantom, write_phantom
from columna.results.archive import write_members
from columna.results.layout import Layout
from columna.results.manifest import ScanEntry
from columna.results.store import Record, Store
from columna.stages.prepare import PrepareStage
from columna.stages.prepared import PREPARED, read_prepared

MASK = Volume(np.arange(24, dtype=np.uint8).reshape(2, 3, 4), np.diag([1.0, 2.0, 3.0, 1.0]))
PREPARE = Record("prepare", "s", "f1", "done", values={"facts": {"a": 1.5}})
DIGEST = hashlib.sha256(volume_bytes(MASK)).hexdigest()
SEMANTIC = Record("semantic", "s", "f2", "done", volumes={"semantic": DIGEST})


def filled(root):
    store = Store(Layout(root))
    store.write(PREPARE)
    store.write(SEMANTIC, {"semantic": MASK})
    store.remember("s", {"input": {"stamp": [1, 2], "sha256": "0"}})
    return store


def test_all_stages_of_a_scan_are_in_one_file(tmp_path):
    store = filled(tmp_path)
    assert store.read_all("s") == {"prepare": PREPARE, "semantic": SEMANTIC}
    mask = store.volume("s", "semantic")
    assert np.array_equal(mask.array, MASK.array)
    assert mask.array.dtype == MASK.array.dtype
    assert np.array_equal(mask.affine, MASK.affine)
    assert store.sources("s")["input"]["stamp"] == [1, 2]
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["s.zip"]


def test_equal_contents_give_equal_bytes(tmp_path):
    first, second = (filled(tmp_path / name).path("s") for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return filled(tmp_path_factory.mktemp("sound")).path("s").read_bytes()


@given(where=st.floats(0, 1, exclude_max=True), bits=st.integers(1, 255), cut=st.booleans())
@settings(max_examples=150, deadline=None)
def test_a_damaged_archive_never_gives_a_wrong_record(sound, tmp_path_factory, where, bits, cut):
    store = Store(Layout(tmp_path_factory.mktemp("damaged")))
    position = int(where * len(sound))
    damaged = bytearray(sound)
    damaged[position] ^= bits
    store.path("s").parent.mkdir()
    store.path("s").write_bytes(sound[:position] if cut else damaged)
    found = store.read_all("s")
    assert found.get("prepare", PREPARE) == PREPARE
    assert found.get("semantic", SEMANTIC) == SEMANTIC
    if "semantic" in found:
        assert np.array_equal(store.volume("s", "semantic").array, MASK.array)
    store.write(PREPARE)  # what is computed again is kept again
    assert store.read("s", "prepare") == PREPARE


def test_a_record_without_its_mask_does_not_count(tmp_path):
    store = filled(tmp_path)
    with zipfile.ZipFile(store.path("s"), "w") as archive:
        archive.writestr("semantic.json", '{"stage": "semantic", "scan_id": "s"}')
    assert store.read("s", "semantic") is None
    with pytest.raises(ColumnaError, match="columna semantic"):
        store.volume("s", "semantic")


def test_a_mask_that_was_edited_in_the_archive_takes_its_record_along(tmp_path):
    store = filled(tmp_path)
    other = Volume(MASK.array[::-1].copy(), MASK.affine)
    write_members(store.path("s"), {"semantic.nii.gz": volume_bytes(other)})
    assert store.read_all("s") == {"prepare": PREPARE}


@pytest.fixture(scope="module")
def phantom():
    size = {"fov_mm": (100.0, 90.0, 46.0), "spacing_mm": (1.5, 1.5, 4.0), "region": "lumbar"}
    return make_phantom(PhantomSettings(seed=1, **size))


@pytest.fixture
def prepared(phantom, tmp_path):
    """A scan that has gone through prepare, its record, and where its prepared image lies."""
    scan = ScanEntry("s_T2w", "s", None, write_phantom(phantom, tmp_path, "s"))
    stage = PrepareStage(Config.model_validate({"prepare": {"n4": False}}), Layout(tmp_path / "r"))
    [record] = run_batch(stage, "b00001", [scan], 1)
    return scan, record, stage.file(scan, PREPARED)


@pytest.mark.parametrize("damage", ["removed", "cut", "other"])
def test_a_prepared_image_is_made_again_exactly(damage, prepared):
    scan, record, path = prepared
    expected, content = read_prepared(scan, record, path), path.read_bytes()
    path.unlink()
    if damage != "removed":
        path.write_bytes(content[:-9] if damage == "cut" else content[:-1] + b"?")
    again = read_prepared(scan, record, path)
    assert np.array_equal(again.array, expected.array)
    assert path.read_bytes() == content


def test_a_prepared_image_is_not_made_of_another_scan(prepared):
    scan, record, path = prepared
    path.unlink()
    scan.path.write_bytes(scan.path.read_bytes() + b"\0")
    with pytest.raises(ColumnaError, match="changed since it was prepared"):
        read_prepared(scan, record, path)
