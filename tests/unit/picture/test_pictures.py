"""Pictures of scans: the plane follows the spine, names are right, no face, few bytes."""

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.color import rgb2lab

from columna.anatomy import BODY, DISC_OFFSET, SACRUM, Semantic, levels, vertebra_labels
from columna.assess import Finding
from columna.images.volume import Volume
from columna.phantom import PhantomSettings, make_phantom
from columna.picture import Mark, PictureItem, draw_picture, marks_of
from columna.picture.colours import colour_table
from columna.picture.lettering import STRIP
from columna.picture.middle import find_middle, sagittal_plane
from columna.picture.panels import LARGEST_BYTES, PANELS
from columna.picture.planes import IN_FRONT_MM, cut_coronal, cut_sagittal, fronts, spine_window

MARKS = [Mark(label, row.name, "none") for label, row in levels().items()]
LABELS = vertebra_labels()


@pytest.fixture(scope="module")
def bent():
    """A scoliotic spine in a wide field of view, so that no body is cut off."""
    settings = {"fov_mm": (150.0, 260.0, 130.0), "spacing_mm": (1.2, 1.2, 4.0)}
    return make_phantom(PhantomSettings(seed=5, region="lumbar", scoliosis_deg=22.0, **settings))


@pytest.fixture(scope="module")
def lumbar():
    return make_phantom(PhantomSettings(seed=3, region="lumbar", spacing_mm=(1.2, 1.2, 4.0)))


def opened(content):
    return Image.open(io.BytesIO(content)).convert("RGB")


def test_the_plane_cuts_every_body_of_a_scoliotic_spine_through_its_middle(bent):
    semantic, instance = bent.semantic.reoriented(), bent.instance.reoriented()
    middle = find_middle(semantic, instance, LABELS)
    columns = np.arange(semantic.shape[0])
    plane = sagittal_plane(middle, columns, semantic.spacing_mm)
    is_body = np.isin(semantic.array, BODY)
    across = []
    for label in np.unique(instance.array[is_body]):
        voxels = np.argwhere(is_body & (instance.array == label))
        p, i, r = voxels.mean(axis=0)
        across.append(r)
        assert abs(plane[round(p), round(i)] - r) * semantic.spacing_mm[2] < 1.0
    assert np.ptp(across) * semantic.spacing_mm[2] > 15  # a straight plane would miss some


def test_bodies_of_a_scoliotic_spine_are_all_in_the_picture(bent):
    grid = [v.reoriented() for v in (bent.image, bent.semantic, bent.instance)]
    middle = find_middle(*grid[1:], LABELS)
    cut = cut_sagittal(*grid, middle, spine_window(grid[1], middle))
    in_scan = set(np.unique(grid[2].array)) & set(LABELS)
    assert in_scan <= set(np.unique(cut.instance))
    assert set(fronts(cut)) >= in_scan


def test_names_stand_beside_their_bodies(lumbar):
    grid = [v.reoriented() for v in (lumbar.image, lumbar.semantic, lumbar.instance)]
    middle = find_middle(*grid[1:], LABELS)
    window = spine_window(grid[1], middle)
    for cut in (cut_sagittal(*grid, middle, window), cut_coronal(*grid, middle, window)):
        for label, (row, column) in fronts(cut).items():
            if label < SACRUM:
                assert cut.instance[round(row), int(column) : int(column) + 3].max() == label


def test_the_picture_does_not_depend_on_how_the_scan_is_stored(lumbar):
    volumes = lumbar.image, lumbar.semantic, lumbar.instance
    first = draw_picture(PictureItem(*volumes, MARKS))
    turned = [v.reoriented(("L", "A", "S")) for v in volumes]
    turned = [Volume(np.ascontiguousarray(v.array), v.affine) for v in turned]
    assert draw_picture(PictureItem(*turned, MARKS)) == first
    sheet = opened(first)
    assert len(first) <= LARGEST_BYTES
    assert sheet.width % len(PANELS) == 0


def test_a_scan_without_masks_has_its_plain_picture(lumbar):
    plain = opened(draw_picture(PictureItem(lumbar.image)))
    panels = np.split(np.asarray(plain)[STRIP:], len(PANELS), axis=1)
    assert [panel.max() > 60 for panel in panels] == [True, False, False, False]
    whole = opened(draw_picture(PictureItem(lumbar.image, is_whole=True)))
    assert plain.width < whole.width
    nothing = lumbar.semantic.with_array(np.zeros_like(lumbar.semantic.array))
    assert opened(draw_picture(PictureItem(lumbar.image, nothing, nothing))).size == plain.size


def test_noise_of_a_large_scan_stays_within_the_limit():
    rng = np.random.default_rng(0)
    affine = np.diag([-0.5, -0.5, 4.0, 1.0])
    image = Volume(rng.normal(size=(900, 1300, 15)).astype(np.float32), affine)
    assert len(draw_picture(PictureItem(image, is_whole=True))) <= LARGEST_BYTES


def test_what_lies_far_in_front_of_the_spine_is_black_unless_asked_for(lumbar):
    """Only there a face can be."""
    upright = [v.reoriented() for v in (lumbar.image, lumbar.semantic, lumbar.instance)]
    middle = find_middle(*upright[1:], LABELS)
    far = np.arange(upright[0].shape[0])[:, None] < (
        middle.body_p - IN_FRONT_MM / upright[0].spacing_mm[0]
    )
    array = upright[0].array.copy()
    array[far] = 0
    without = PictureItem(upright[0].with_array(array), *upright[1:], MARKS)
    assert draw_picture(without) == draw_picture(PictureItem(*upright, MARKS))
    whole = [draw_picture(PictureItem(*v, MARKS, is_whole=True)) for v in (upright,)]
    assert opened(whole[0]).width > opened(draw_picture(without)).width


def test_islands_of_a_mask_and_masks_of_few_voxels_are_drawn():
    image = Volume(np.random.default_rng(1).random((40, 50, 5)).astype(np.float32), np.eye(4) * 3)
    image.affine[3, 3] = 1
    for voxels in ([(20, 10, 2)], [(0, 0, 0), (39, 49, 4)], [(39, 49, 0)]):
        for label in (Semantic.VERTEBRAL_BODY, Semantic.SPINAL_CANAL, Semantic.SACRUM):
            semantic = np.zeros(image.shape, np.uint8)
            semantic[tuple(np.transpose(voxels))] = label
            instance = (semantic == Semantic.VERTEBRAL_BODY).astype(np.uint8) * 20
            item = PictureItem(image, image.with_array(semantic), image.with_array(instance), MARKS)
            assert opened(draw_picture(item)).height > STRIP


def test_letters_and_scale_say_where_sides_are_and_how_long_things_are():
    """A spine of one block; brighter at the patient's right, at the front, and at the top."""
    shape = (60, 100, 20)  # (P, I, R), 2 mm
    affine = np.array([[0, 0, 2.0, 0], [-2.0, 0, 0, 0], [0, -2.0, 0, 0], [0, 0, 0, 1]])
    image = np.full(shape, 100.0, np.float32)
    image[:, :, 12:] = 200
    semantic = np.zeros(shape, np.uint8)
    semantic[25:35, 40:60, 5:15] = Semantic.VERTEBRAL_BODY
    for at, bright in ((np.s_[:30], True), (np.s_[30:], False)):
        front = image.copy()
        front[at] += 100 * bright
        front[:, :50] += 50
        item = PictureItem(
            Volume(front, affine),
            Volume(semantic, affine),
            Volume((semantic > 0).astype(np.uint8) * 20, affine),
            [Mark(20, "", "none")],
        )
        sheet = np.asarray(opened(draw_picture(item))).astype(int)
        plane, *_, coronal = (p.mean(axis=2) for p in np.split(sheet[STRIP:], 4, axis=1))
        upper, lower = np.split(plane[: len(plane) // 2 * 2], 2)
        assert upper[20:-20].mean() > lower[20:-20].mean()
        seen = plane[:, plane.max(axis=0) > 30]
        left, right = seen[30:50, 5 : seen.shape[1] // 3], seen[30:50, -seen.shape[1] // 3 : -5]
        assert (left.mean() > right.mean() + 20) == bright
        middle = coronal.shape[1] // 2
        assert (
            coronal[60:90, middle - 15 : middle].mean()
            > coronal[60:90, middle + 5 :][:, :10].mean()
        )  # the patient's right is on the left
        bar = sheet[-9:-7, : sheet.shape[1] // 4].mean(axis=(0, 2)) > 200
        assert abs(bar[:50].sum() * 0.6 - 20) < 1


def level(label, name, confidence=0.9, **more):
    return {"label": label, "level": name, "level_confidence": confidence, **more}


def test_doubtful_and_false_levels_are_marked():
    named = [
        level(20, "L1"),
        level(21, "L2", 0.5),
        level(22, "L3", None),
        level(23, "L4"),
        level(30, None),
        level(31, None, is_fragment=True),
    ]
    rows = [{"vertebra": "L4", "spineps_label": 23}, {"vertebra": "L1", "spineps_label": 20}]
    findings = [Finding("spacing_smooth", "L4", 0.1), Finding("spacing_smooth", "L1", 1.0)]
    marks = {mark.label: (mark.text, mark.doubt) for mark in marks_of(named, rows, findings)}
    assert marks == {
        20: ("L1", "none"),
        21: ("L2?", "doubtful"),
        22: ("L3", "none"),
        23: ("L4?", "doubtful"),
        30: ("?", "doubtful"),
        31: ("\u00d7", "false"),
        SACRUM: ("S1", "none"),
    }


# Machado et al., IEEE TVCG 2009, severity 1.0: https://doi.org/10.1109/TVCG.2009.113
SEEN_BY = {
    "all": np.eye(3),
    "protanopes": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopes": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopes": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}


def seen(colour, by):
    part = colour / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    linear = np.clip(SEEN_BY[by] @ linear, 0, 1)
    return rgb2lab(
        np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    )


@pytest.mark.parametrize("by", SEEN_BY)
def test_neighbours_have_colours_that_anybody_can_tell_apart(by):
    """A difference of 10 in CIELAB is seen at a glance."""
    order = list(levels())
    pairs = [("instance", one, other) for one, other in pairwise(order)]
    pairs += [("instance", one, DISC_OFFSET + one) for one in order]
    body, disc, canal, cord = (
        Semantic.VERTEBRAL_BODY,
        Semantic.DISC,
        Semantic.SPINAL_CANAL,
        Semantic.SPINAL_CORD,
    )
    touching = [(body, disc), (body, canal), (disc, canal), (canal, cord), (Semantic.SACRUM, disc)]
    touching += [(canal, Semantic.ARCUS), (Semantic.ARCUS, Semantic.SPINOUS_PROCESS)]
    touching += [(canal, Semantic.SACRUM), (Semantic.ENDPLATE, disc), (Semantic.ENDPLATE, body)]
    pairs += [("semantic", one, other) for one, other in touching]
    for mask, one, other in pairs:
        apart = seen(colour_table(mask)[one], by) - seen(colour_table(mask)[other], by)
        assert np.linalg.norm(apart) > 10, (mask, one, other)


def test_pictures_hold_no_metadata(lumbar):
    content = draw_picture(PictureItem(lumbar.image))
    assert not Image.open(io.BytesIO(content)).getexif()
    assert b"EXIF" not in content
    assert b"XMP" not in content
    assert Path(__file__).stem.encode() not in content
