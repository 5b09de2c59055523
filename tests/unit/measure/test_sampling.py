"""Masks between their voxels, the curve of the spine, robust fits: against formulas."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from columna.images.volume import Volume
from columna.measure.tools.crops import Crop, box_around, cut, image_under
from columna.measure.tools.curve import RESIDUAL_MM, SpineCurve
from columna.measure.tools.regions import LabelledRuns
from columna.measure.tools.robust import finite_median, huber_fit, row_medians
from columna.measure.tools.sampling import Indicator

OBLIQUE = np.array([[0.3, -2.9, 0.1, 7], [0.8, 0.6, -0.2, -3], [0.1, 0.2, 0.9, 5], [0, 0, 0, 1.0]])


def place(affine, index):
    return np.asarray(index, float) @ affine[:3, :3].T + affine[:3, 3]


def test_indicator_is_the_mask_at_voxel_centres_and_half_between():
    mask = np.random.default_rng(0).random((5, 6, 7)) > 0.5
    start = np.array([3, 1, 2])
    indicator = Indicator.of(mask, start, OBLIQUE)
    index = np.argwhere(np.ones_like(mask))
    assert indicator.at(place(OBLIQUE, index + start)) == pytest.approx(
        mask.reshape(-1).astype(float), abs=1e-5
    )
    middle = place(OBLIQUE, start[None] + np.array([[0, 0, 0.5]]))
    assert indicator.at(middle)[0] == pytest.approx((mask[0, 0, 0] + mask[0, 0, 1]) / 2, abs=1e-5)
    assert indicator.at(place(OBLIQUE, start - [[2, 2, 2]]))[0] == 0, "nothing beyond the crop"


def test_crossings_of_a_slab_lie_half_a_voxel_beyond_its_voxels():
    mask = np.zeros((9, 9, 9), bool)
    mask[:, 3:6, :] = True
    affine = np.diag([3.3, 0.8, 0.8, 1.0])
    indicator = Indicator.of(mask, (0, 0, 0), affine)
    origins = np.array([[12.0, 0.8 * 4, 3.0], [12.0, 0.8 * 4 + 0.3, 3.0], [500.0, 0, 0]])
    first, last = indicator.crossings(origins, np.array([0.0, 1.0, 0.0]), -9, 9)
    assert first[:2] == pytest.approx([-1.2, -1.5], abs=1e-3)
    assert last[:2] == pytest.approx([1.2, 0.9], abs=1e-3)
    assert np.isnan(first[2])
    assert np.isnan(last[2])


def test_crossings_agree_with_a_fine_walk_along_oblique_rays():
    rng = np.random.default_rng(1)
    grid = np.stack(np.meshgrid(*[np.arange(20)] * 3, indexing="ij"), axis=-1)
    ball = ((grid - 9.7) ** 2).sum(axis=-1) < 40
    indicator = Indicator.of(ball, (0, 0, 0), OBLIQUE)
    origins = place(OBLIQUE, 9.5 + rng.uniform(-3, 3, (30, 3)))
    direction = np.array([0.48, 0.6, 0.64])
    first, last = indicator.crossings(origins, direction, -30, 30)
    steps = np.arange(-30, 30, 0.005)
    inside = indicator.at(origins[:, None] + steps[:, None] * direction) >= 0.5
    assert first == pytest.approx(steps[inside.argmax(axis=1)], abs=0.03)
    assert last == pytest.approx(steps[len(steps) - 1 - inside[:, ::-1].argmax(axis=1)], abs=0.03)


def test_a_ray_that_begins_inside_crosses_where_it_begins():
    indicator = Indicator.of(np.ones((6, 6, 6), bool), (0, 0, 0), np.eye(4))
    first, last = indicator.crossings(np.full((1, 3), 2.5), np.array([1.0, 0, 0]), -1, 1)
    assert (first[0], last[0]) == (-1, 1)


def test_crops_are_the_same_however_a_scan_is_stored():
    labels = np.zeros((7, 8, 9), np.uint8)
    labels[2:5, 3:6, 1:4] = 4
    labels[3, 4, 2] = 0
    image = np.random.default_rng(0).random(labels.shape).astype(np.float32)
    crops, images = [], []
    for codes in ("RAS", "PIR", "LSA", "IPL"):
        volume = Volume(labels, OBLIQUE).reoriented(codes)
        region = LabelledRuns.of(volume.array).regions(volume.affine)[4]
        part = cut(volume, box_around([region], volume, margin_mm=1.0))
        crops.append(Crop(part.array == 4, part.affine))
        images.append(image_under(Volume(image, OBLIQUE).reoriented(codes), crops[-1]))
    for crop, values in zip(crops, images, strict=True):
        assert (crop.affine == crops[0].affine).all()
        assert (crop.mask == crops[0].mask).all()
        assert (values == images[0]).all()
    expected = place(OBLIQUE, np.argwhere(labels == 4)).mean(axis=0)
    assert crops[0].centroid_mm == pytest.approx(expected)
    assert np.sort(images[0][crops[0].mask]) == pytest.approx(np.sort(image[labels == 4]))


def test_the_largest_component_is_kept():
    mask = np.zeros((9, 9, 9), bool)
    mask[1:3, 1:3, 1:3] = True
    mask[5:8, 5:8, 5:8] = True
    assert Crop(mask, np.eye(4)).largest().voxels_n == 27


def arc(radius=150.0, n=30):
    """Points on a quarter of a circle, from the top."""
    angle = np.linspace(0, np.pi / 2, n)
    return np.stack(
        [np.zeros(n), radius * np.sin(angle), radius * np.cos(angle) - radius], axis=1
    ), radius


def test_curve_follows_a_circle():
    points, radius = arc()
    curve = SpineCurve.fit(points + np.random.default_rng(0).normal(0, 0.5, points.shape))
    assert not curve.is_low_support
    assert curve.length_mm == pytest.approx(radius * np.pi / 2, rel=0.02)
    u = curve.nearest(points[15])
    assert np.linalg.norm(curve.at(u) - points[15]) < 2 * RESIDUAL_MM
    angle = np.linspace(0, np.pi / 2, 30)[15]
    cranially = np.array([0, -np.cos(angle), np.sin(angle)])
    assert curve.tangent(u) @ cranially > np.cos(np.deg2rad(4))
    assert curve.nearest(points) == pytest.approx(curve.nearest(points[:, None])[:, 0])
    assert (np.diff(curve.nearest(points)) > 0).all()


def test_curve_goes_on_straight_beyond_its_ends():
    points, _ = arc()
    curve = SpineCurve.fit(points)
    above = curve.at(0) + 25 * curve.tangent(0)
    assert curve.nearest(above) == pytest.approx(-25, abs=0.01)
    assert curve.at(-25) == pytest.approx(above)
    assert curve.arc_mm(-25) == pytest.approx(-25)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_points_make_a_straight_line(count):
    curve = SpineCurve.fit(np.array([[0, 0, 0], [0, 3, -30], [0, 0, -60]])[:count])
    assert curve.is_low_support
    assert curve.tangent(0.0)[2] > 0.9
    assert curve.nearest(curve.at(12.0)) == pytest.approx(12.0)


def test_points_that_coincide_do_not_break_the_curve():
    points, _ = arc(n=8)
    curve = SpineCurve.fit(np.repeat(points, 2, axis=0))
    assert curve.length_mm == pytest.approx(SpineCurve.fit(points).length_mm)


def test_huber_line_leaves_outliers_aside():
    x = np.linspace(-10, 10, 60)
    y = 0.3 * x + 2
    y[::10] += 6
    design = np.column_stack([np.ones(60), x])
    robust = huber_fit(design, y).coefficients
    plain = np.linalg.lstsq(design, y, rcond=None)[0]
    assert abs(robust[0] - 2) < 0.1 < abs(plain[0] - 2)
    assert huber_fit(design[:3], y[:3]) is None


@given(st.lists(st.lists(st.none() | st.integers(-9, 9), min_size=5, max_size=5), min_size=1))
@settings(deadline=None, max_examples=50)
def test_medians_are_those_of_numpy(rows):
    values = np.array([[np.nan if v is None else v for v in row] for row in rows], float)
    for row, median in zip(values, row_medians(values), strict=True):
        finite = row[np.isfinite(row)]
        expected = np.median(finite) if len(finite) else np.nan
        assert median == pytest.approx(expected, nan_ok=True)
        assert finite_median(row) == pytest.approx(expected, nan_ok=True)
