import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from columna.images.morphology import dilated, eroded

masks = arrays(bool, st.tuples(*[st.integers(1, 6)] * 3))


@pytest.mark.parametrize("rank", [1, 2, 3])
@given(mask=masks, steps=st.integers(1, 2))
@settings(max_examples=40, deadline=None)
def test_equals_scipy(mask, steps, rank):
    structure = ndimage.generate_binary_structure(3, rank)
    np.testing.assert_array_equal(
        dilated(mask, rank, steps), ndimage.binary_dilation(mask, structure, steps)
    )
    np.testing.assert_array_equal(
        eroded(mask, rank, steps), ndimage.binary_erosion(mask, structure, steps)
    )


def test_leaves_its_input_alone():
    mask = np.zeros((3, 3, 3), bool)
    mask[1, 1, 1] = True
    dilated(mask, 1), eroded(mask, 1)
    assert mask.sum() == 1
