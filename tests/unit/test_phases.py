"""From scan to final masks: what must not matter does not, through all stages and networks."""

import numpy as np
import pytest
import torch

from columna.config import InstanceSettings, LabelSettings, PrepareSettings, SemanticSettings
from columna.images.volume import PIR
from columna.instance import segment_instances
from columna.label import label_masks
from columna.models.instance_network import load_instance_model
from columna.models.registry import find_model
from columna.models.semantic_network import load_semantic_model
from columna.phantom import PhantomSettings, make_phantom
from columna.prepare import Scan, prepare_scan
from columna.semantic import segment_semantic

pytestmark = pytest.mark.slow
SMALL = PhantomSettings(
    region="lumbar", fov_mm=(130.0, 100.0, 46.0), spacing_mm=(1.2, 1.2, 3.3), seed=5
)
ORIENTATIONS = [("L", "P", "S"), ("R", "A", "S"), ("S", "L", "A"), ("A", "I", "L")]


@pytest.fixture(scope="module")
def chain():
    """Function of a scan (and the windows per forward pass): its final masks and levels."""
    semantic = load_semantic_model(find_model("bundled_semantic"), "cpu", "float32")
    instance = load_instance_model(find_model("bundled_instance"), "cpu", "float32")

    def run(scan, batch_size=1):
        prepared = prepare_scan(Scan(scan, {}), semantic.grid, PrepareSettings())
        structures = segment_semantic(prepared, semantic, SemanticSettings()).mask
        vertebrae = segment_instances(structures, instance, InstanceSettings(batch_size=batch_size))
        return label_masks(scan, structures, vertebrae, LabelSettings())

    return run


@pytest.fixture(scope="module")
def scan():
    return make_phantom(SMALL).image


@pytest.fixture(scope="module")
def expected(chain, scan):
    result = chain(scan)
    assert len(result.levels) >= 3, "nothing to compare"
    return result


def assert_same(result, expected, inside=...):
    for ours, theirs in (
        (result.semantic, expected.semantic),
        (result.instance, expected.instance),
    ):
        array = ours.reoriented(PIR).array
        np.testing.assert_array_equal(array[inside], theirs.reoriented(PIR).array)
        assert np.count_nonzero(array) == np.count_nonzero(theirs.array)
    assert result.levels == expected.levels


@pytest.mark.parametrize("codes", ORIENTATIONS, ids="".join)
def test_orientation(chain, scan, expected, codes):
    assert_same(chain(scan.reoriented(codes)), expected)


def test_air(chain, scan, expected):
    """The limits of the signal leave out voxels at the fill value, so single voxels may differ.

    So do the probabilities of names: air above and below is room for vertebrae that were not found.
    """
    empty = scan.with_array(scan.array - scan.array.min())
    found = chain(empty.padded(9))
    for ours, theirs in (
        (found.semantic, expected.semantic),
        (found.instance, expected.instance),
    ):
        inside = ours.reoriented(PIR).array[(slice(9, -9),) * 3]
        assert (inside == theirs.reoriented(PIR).array).mean() > 0.999
    for ours, theirs in zip(found.levels, expected.levels, strict=True):
        assert [ours[key] for key in ("label", "level")] == [
            theirs[key] for key in ("label", "level")
        ]


def test_threads(chain, scan, expected):
    threads = torch.get_num_threads()
    torch.set_num_threads(3 - min(threads, 2))
    try:
        assert_same(chain(scan), expected)
    finally:
        torch.set_num_threads(threads)


def test_batch_size(chain, scan, expected):
    assert_same(chain(scan, batch_size=3), expected)
