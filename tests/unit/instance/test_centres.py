import numpy as np
import pytest
from drawn_spine import BODY_ROWS, SPACING_MM, draw_spine

from columna.instance.centres import find_centres
from columna.instance.split import split_body

SPACING = np.array(SPACING_MM)


def centres_of(semantic):
    return find_centres(semantic, SPACING, min_voxels=40)


def test_one_centre_per_body_from_bottom_to_top():
    drawn = draw_spine(6)
    centres = centres_of(drawn.semantic)
    expected = [drawn.row(v) + (BODY_ROWS - 1) / 2 for v in range(6, 0, -1)]
    np.testing.assert_allclose(centres[:, 1], expected)
    np.testing.assert_allclose(centres[:, 0], 13.5)


def test_pieces_at_one_height_are_one_body():
    drawn = draw_spine(6)
    row = drawn.row(3)
    drawn.semantic[13:15, row : row + BODY_ROWS, :] = 0
    centres = centres_of(drawn.semantic)
    assert len(centres) == 6, "W8: the package looks twice at a body in two pieces"
    np.testing.assert_allclose(centres[3], centres_of(draw_spine(6).semantic)[3])


def test_a_false_body_far_behind_the_spine_does_not_move_a_true_one():
    """Networks call fat behind the spine a body; it must not be taken for a piece of a vertebra."""
    drawn = draw_spine(6)
    semantic = np.pad(drawn.semantic, ((0, 40), (0, 0), (0, 0)))
    row = drawn.row(3)
    semantic[66:86, row : row + BODY_ROWS, 3:11] = 49
    found = centres_of(semantic)
    expected = centres_of(drawn.semantic)
    assert len(found) == 7
    near = np.linalg.norm(found[:, None] - expected, axis=2).min(axis=0)
    np.testing.assert_allclose(near, 0, atol=1e-6)


def bridge(drawn, upper):
    """Let bone grow from the body of a vertebra to the next, in front of the disc."""
    row = drawn.row(upper) + BODY_ROWS
    drawn.semantic[4:14, row : drawn.row(upper + 1), 3:11] = 49


def centres_in_thin_slices(drawn):
    """Centres where the bodies are as wide in voxels as in real scans."""
    return find_centres(drawn.semantic.repeat(2, axis=2), SPACING / [1, 1, 2], min_voxels=40)


def test_bodies_run_together_are_split():
    drawn = draw_spine(8)
    bridge(drawn, 4)
    found, expected = centres_in_thin_slices(drawn), centres_in_thin_slices(draw_spine(8))
    assert len(found) == 8
    np.testing.assert_allclose(found[[0, 1, 2, 5, 6, 7]], expected[[0, 1, 2, 5, 6, 7]])
    np.testing.assert_allclose(found[3:5, 1], expected[3:5, 1], atol=3)


def test_a_blob_is_split_at_most_once():
    drawn = draw_spine(9)
    bridge(drawn, 4)
    bridge(drawn, 5)
    found = centres_in_thin_slices(drawn)
    assert len(found) == 8, "9 bodies, three in one blob, cut in two"


def test_a_split_into_left_and_right_is_no_split(monkeypatch):
    def sideways(blob, spacing_mm):
        left = blob.copy()
        left[:, :, blob.shape[2] // 2 :] = False
        return left

    drawn = draw_spine(8)
    bridge(drawn, 4)
    assert len(centres_in_thin_slices(drawn)) == 8
    monkeypatch.setattr("columna.instance.centres.split_body", sideways)
    assert len(centres_in_thin_slices(drawn)) == 7, "a wide body is one body"


def test_two_splits_and_pieces_in_one_spine():
    drawn = draw_spine(12)
    bridge(drawn, 2)
    bridge(drawn, 6)
    row = drawn.row(11)
    drawn.semantic[13:15, row : row + BODY_ROWS, :] = 0
    assert len(centres_in_thin_slices(drawn)) == 12


def test_small_bodies_survive_on_a_coarse_grid():
    """Of four voxels of 1.75 mm, an erosion by two would leave nothing."""
    semantic = np.zeros((16, 40, 14), np.uint8)
    for row in (4, 12, 20, 28):
        semantic[5:12, row : row + 4, 3:11] = 49
        semantic[5:12, row + 5 : row + 7, 3:11] = 100
    spacing = np.array([1.75, 1.75, 1.65])
    centres = find_centres(semantic, spacing, min_voxels=10)
    np.testing.assert_allclose(centres[:, 1], [29.5, 21.5, 13.5, 5.5])


def test_noise_is_no_body():
    drawn = draw_spine(4)
    drawn.semantic[40:46, :6, 8:14] = 49  # too small to survive erosion and cleaning
    assert len(centres_of(drawn.semantic)) == 4


def test_without_body_there_is_no_centre():
    semantic = draw_spine(3).semantic
    semantic[semantic == 49] = 41
    assert centres_of(semantic).shape == (0, 3)


def test_models_that_mark_the_inside_of_bodies_and_the_dens():
    drawn = draw_spine(4, dens=True)
    body = drawn.semantic == 49
    drawn.semantic[10:16, 8:22, 5:9] = 51
    inside = np.zeros_like(body)
    inside[6:22, :, 4:10] = True
    for vertebra in range(4):
        row = 8 + 14 + vertebra * 24
        inside[:, row - 2 : row + 3] = False
    drawn.semantic[body & inside & (drawn.semantic == 49)] = 50
    centres = centres_of(drawn.semantic)
    assert len(centres) == 5
    assert sorted(centres[:, 1])[0] == 14.5, "the dens has a centre of its own"


@pytest.mark.parametrize("tilt", [0.0, 0.4])
def test_split_cuts_an_hourglass_at_its_waist(tilt):
    p, i, r = np.ogrid[:40, :60, :20]
    along = (i - 30) * SPACING[1] + tilt * (p - 20) * SPACING[0]
    across = (p - 20) ** 2 + ((r - 10) * SPACING[2]) ** 2
    blob = (np.abs(along) < 24) & (across < np.where(np.abs(along) < 3, 5, 15) ** 2)
    far = split_body(blob, SPACING)
    assert far is not None
    sides = np.where(far, 1, -1)[blob] * np.sign(np.broadcast_to(along, blob.shape)[blob])
    assert abs(sides.sum()) / blob.sum() > 0.97


def test_a_compact_blob_is_cut_into_core_and_shell_or_not_at_all():
    blob = np.zeros((12, 12, 12), bool)
    blob[2:10, 2:10, 2:10] = True
    far = split_body(blob, np.ones(3))
    assert far is None or (0 < far.sum() < blob.sum() and not (far & ~blob).any())
