import numpy as np
import pytest

from columna.semantic.tile_weights import tile_weights

PATCHES = [(32, 192, 128), (32, 256, 192), (8, 12, 10)]


@pytest.mark.parametrize("patch", PATCHES)
def test_largest_in_the_middle_and_falling_towards_the_rim(patch):
    weights = tile_weights(patch).numpy()
    middle = tuple(n // 2 for n in patch)
    assert weights[middle] == weights.max() == 1
    for axis in range(3):
        line = weights[tuple(slice(None) if a == axis else m for a, m in enumerate(middle))]
        assert (np.diff(line[middle[axis] :]) <= 0).all()
        assert (np.diff(line[: middle[axis] + 1]) >= 0).all()


def test_half_precision_makes_a_floor_of_about_half_of_a_tile():
    weights = tile_weights((32, 192, 128)).numpy()
    floor = weights.min()
    # smallest half-precision number, over the peak of a Gaussian of unit sum and these widths
    peak = 1 / np.prod(np.sqrt(2 * np.pi) * np.array([4, 24, 16]))
    assert floor == pytest.approx(2**-24 / peak, rel=0.01)
    assert 0.5 < (weights == floor).mean() < 0.65


def test_small_tiles_are_nearly_a_gaussian():
    patch = (8, 12, 10)
    weights = tile_weights(patch).numpy()
    away = [((np.arange(n) - n // 2) * 8 / n) ** 2 for n in patch]
    gaussian = np.exp(-0.5 * (away[0][:, None, None] + away[1][:, None] + away[2]))
    near = gaussian > 0.3
    np.testing.assert_allclose(weights[near], gaussian[near], rtol=0.02)
