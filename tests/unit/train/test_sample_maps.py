"""Label maps, their deformation and their scanning: samples show what their labels say."""

import itertools

import numpy as np
import pytest
from scipy import ndimage

from columna.anatomy import Semantic
from columna.phantom import PhantomSettings
from columna.phantom.generate import make_scene
from columna.phantom.patients import random_patient
from columna.phantom.tissues import EMPTY
from columna.train.samples import maps
from columna.train.samples import pool as pools
from columna.train.samples.acquire import acquire, random_gain, random_protocol
from columna.train.samples.appearance import random_appearance
from columna.train.samples.deform import MapPose, doubled, look_up, random_pose
from columna.train.samples.patches import make_patch, swapped
from columna.train.samples.pool import Pool
from columna.train.samples.real_maps import REAL_MAPS, available, read_masks, real_map
from published import DATA, needs_data

SPACING = (1.2, 1.2, 3.3)
SMALL = (96, 96, 12)


def test_a_body_leaves_labels_alone_and_fills_every_voxel():
    plain = PhantomSettings(region="whole", spacing_mm=(3, 3, 5), seed=2)
    scene, bare = make_scene(plain.model_copy(update={"surroundings": "body"})), make_scene(plain)
    assert np.array_equal(scene.semantic, bare.semantic)
    assert np.array_equal(scene.instance, bare.instance)
    assert not (scene.tissues == EMPTY).any()
    outside = scene.tissues[scene.semantic == 0]
    assert len(np.unique(outside)) > 20


def test_patients_are_reproducible_and_ill_in_many_ways():
    assert random_patient(3) == random_patient(3)
    patients = [random_patient(seed) for seed in range(40)]
    for name in ("crushed", "schmorl", "osteophytes", "disc_narrowed", "listhesis_mm", "stenosis"):
        ill = sum(bool(getattr(p, name)) for p in patients)
        assert 5 < ill < 40, name


def test_pathology_shows_in_the_masks():
    usual = {"region": "lumbar", "spacing_mm": (0.7, 0.7, 3), "fov_mm": (120, 170, 40), "seed": 1}
    plain = make_scene(PhantomSettings(**usual))

    def volume(scene, label):
        return int((scene.instance == label).sum())

    def changed(**settings):
        return make_scene(PhantomSettings(**usual, **settings))

    assert volume(changed(disc_narrowed={22: 0.6}), 122) < 0.7 * volume(plain, 122)
    assert volume(changed(bulging={22: 3.0}), 122) > 1.1 * volume(plain, 122)
    body = (plain.semantic == Semantic.VERTEBRAL_BODY) & (plain.instance == 22)
    for settings in ({"biconcave": {22: 0.4}}, {"schmorl": {22: 5.0}}):
        scene = changed(**settings)
        dented = (scene.semantic == Semantic.VERTEBRAL_BODY) & (scene.instance == 22)
        assert 0.6 * body.sum() < dented.sum() < 0.99 * body.sum()
    canal = np.isin(plain.semantic, (60, 61)).sum()
    narrow = np.isin(changed(stenosis={21: 0.5, 22: 0.5, 23: 0.5}).semantic, (60, 61)).sum()
    assert narrow < 0.9 * canal


def test_a_slipped_vertebra_stands_forward():
    usual = {"region": "lumbar", "spacing_mm": (1, 1, 4), "irregularity": 0.0}

    def step(settings):
        scene = make_scene(PhantomSettings(**usual, **settings))
        at = [np.argwhere(scene.instance == label)[:, 0].mean() for label in (23, 24)]
        return at[1] - at[0]

    assert step({"listhesis_mm": {23: 8.0}}) - step({}) == pytest.approx(8, abs=1.5)


def test_maps_survive_disk(lumbar_map, tmp_path):
    maps.save_map(lumbar_map, tmp_path / "phantom-00001")
    again = Pool(tmp_path).draw(np.random.default_rng(0))
    assert np.array_equal(again.codes, lumbar_map.codes)
    assert np.array_equal(again.palette, lumbar_map.palette)
    assert np.array_equal(again.points, lumbar_map.points)


def test_points_carry_their_labels(lumbar_map):
    label, *index = lumbar_map.points.T
    assert np.array_equal(lumbar_map.palette[lumbar_map.codes[tuple(index)], 1], label)
    assert {26, 42, 49, 60, 61, 62, 100} <= set(lumbar_map.labels.tolist())


def test_looking_up_without_deformation_gives_the_map_back(lumbar_map):
    p, i, r = lumbar_map.spacing_mm
    steps = (p * np.arange(10, 60), i * np.arange(10, 60), r * np.arange(5, 25))
    still = MapPose(np.eye(3), np.zeros(3), np.zeros(3))
    found = look_up(lumbar_map.codes, still.at(steps), lumbar_map.spacing_mm)
    assert np.array_equal(found, lumbar_map.codes[10:60, 10:60, 5:25])


def test_doubling_keeps_the_coarse_coordinates(lumbar_map):
    rng = np.random.default_rng(3)
    steps = (np.arange(8) * 1.2, np.arange(9) * 1.2, np.arange(5) * 3.3)
    coarse = random_pose(np.array([50.0, 60, 30]), rng).at(steps)
    fine = doubled(coarse)
    fine_steps = tuple(s[0] + (s[1] - s[0]) / 2 * np.arange(2 * len(s)) for s in steps)
    for axis in range(3):
        assert np.array_equal(fine[axis][::2, ::2, ::2], coarse[axis])
    # a pose is linear, so halving its steps is exact
    pose = MapPose(np.diag([1.1, 0.9, 1.0]), np.zeros(3), np.array([1.0, 2, 3]))
    for exact, found in zip(pose.at(fine_steps), doubled(pose.at(steps)), strict=True):
        assert np.allclose(exact, found, atol=1e-3)


def test_a_scan_of_high_quality_is_the_picture():
    """Without noise, tones and gain, an acquisition only blurs."""
    fine = (np.arange(80) * 0.6, np.arange(80) * 0.6, np.arange(24) * 1.65)
    wanted = tuple(s[::2] for s in fine)
    rng = np.random.default_rng(0)
    picture = ndimage.gaussian_filter(rng.standard_normal((80, 80, 24)), (5, 5, 3))
    picture = (1 + picture / picture.std() * 0.2).astype(np.float32)
    protocol = random_protocol(rng)
    ideal = type(protocol)(
        **{
            **vars(protocol),
            "voxel_mm": (0.6, 0.6, 1.65),
            "width_mm": (0.6, 0.6, 1.65),
            "noise": 0.0,
            "ghost": 0.0,
            "wrap": 0.0,
        }
    )
    gain = random_gain(rng)
    flat = type(gain)(
        **{
            **vars(gain),
            "depth_mm": 1e9,
            "along_mm": 1e9,
            "waves": np.zeros((1, 7)),
            "slab_mm": -1e3,
            "slab_slope": 0.0,
            "seam": 0.0,
        }
    )
    image = acquire(picture, fine, wanted, flat, ideal, rng)
    inner = (slice(4, -4), slice(4, -4), slice(2, -2))
    assert np.corrcoef(image[inner].ravel(), picture[::2, ::2, ::2][inner].ravel())[0, 1] > 0.98


def test_samples_follow_the_generator_and_are_scaled(lumbar_map):
    first, again = (make_patch(lumbar_map, SMALL, SPACING, np.random.default_rng(1)) for _ in "ab")
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    other = make_patch(lumbar_map, SMALL, SPACING, np.random.default_rng(2))
    assert not np.array_equal(first[0], other[0])
    rng, seen, levels = np.random.default_rng(7), set(), []
    for _ in range(16):
        image, semantic = make_patch(lumbar_map, SMALL, SPACING, rng)
        assert image.shape == semantic.shape == SMALL
        assert np.isfinite(image).all()
        seen |= set(np.unique(semantic).tolist())
        levels.append(float(image.mean()))
    assert len(seen) > 11
    assert np.abs(np.mean(levels)) < 0.6


def test_labels_lie_where_the_picture_shows_them(lumbar_map):
    """In most T2w samples fluid is brighter than the bone beside it; misplaced labels show none."""
    rng, wins, counted = np.random.default_rng(11), 0, 0
    for _ in range(24):
        image, semantic = make_patch(lumbar_map, SMALL, SPACING, rng)
        canal, body = image[semantic == 61], image[semantic == 49]
        if len(canal) > 200 and len(body) > 200:
            counted += 1
            wins += np.median(canal) > np.median(body)
    assert counted > 8
    assert wins / counted > 0.65


def test_left_and_right_stay_left_and_right_when_a_patient_is_mirrored(lumbar_map):
    rng, checked = np.random.default_rng(4), 0
    for _ in range(24):
        _, semantic = make_patch(lumbar_map, (96, 96, 20), SPACING, rng)
        for left, right in ((43, 44), (45, 46), (47, 48)):
            places = [np.argwhere(semantic == n)[:, 2] for n in (left, right)]
            if min(len(p) for p in places) > 60:
                checked += 1
                # the last axis runs to the patient's right
                assert places[0].mean() < places[1].mean()
    assert checked > 5
    assert swapped(np.array([43, 44, 49], np.uint8)).tolist() == [44, 43, 49]


def test_appearances_are_mostly_t2_weighted():
    rng = np.random.default_rng(0)
    looks = [random_appearance(rng).mean for _ in range(200)]
    bright = sum(look[Semantic.SPINAL_CANAL] > look[Semantic.VERTEBRAL_BODY] for look in looks)
    assert 0.75 < bright / len(looks) < 0.98
    assert all(np.isfinite(look).all() and (look >= 0).all() for look in looks)
    discs = [look[130 + 22] / look[Semantic.SPINAL_CANAL] for look in looks]
    assert min(discs) < 0.15
    assert max(discs) > 0.5


@needs_data
def test_swapped_cord_and_canal_are_repaired():
    counts = {
        name: np.bincount(read_masks(name, DATA)[0].array.ravel(), minlength=101)
        for name in ("panoptica-ref", "panoptica-pred")
    }
    for count in counts.values():
        assert count[60] < count[61]
    assert counts["panoptica-ref"][60] == pytest.approx(counts["panoptica-pred"][60], rel=0.3)


@needs_data
def test_a_real_map_is_complete_and_keeps_its_labels():
    label_map = real_map("tptbox-mri", 0, DATA)
    tissue, semantic, instance = label_map.palette[label_map.codes].T
    assert not (tissue == EMPTY).any()
    true, _ = read_masks("tptbox-mri", DATA)
    for label in (49, 100, 61):
        mine = (semantic == label).sum() * np.prod(maps.SPACING_MM)
        theirs = (true.array == label).sum() * true.voxel_volume_mm3
        assert mine == pytest.approx(theirs, rel=0.1)
    assert set(np.unique(instance[semantic == 49])) <= {20, 21, 22, 23, 24}


@needs_data
def test_masks_of_bones_get_discs_and_a_canal():
    semantic, instance = (v.array for v in read_masks("tptbox-ct", DATA))
    assert {61, 62, 100} <= set(np.unique(semantic))
    assert set(np.unique(instance[semantic == Semantic.DISC])) == {121, 122}
    rows = {n: np.argwhere(instance == n)[:, 1].mean() for n in (21, 121, 22, 122, 23)}
    assert list(rows) == sorted(rows, key=rows.get)
    canal = np.argwhere(semantic == 61)[:, 0].mean()
    body = np.argwhere(semantic == Semantic.VERTEBRAL_BODY)[:, 0].mean()
    spinous = np.argwhere(semantic == Semantic.SPINOUS_PROCESS)[:, 0].mean()
    assert body < canal < spinous
    # the sac is as deep as a lumbar_map sac, mm
    depth = (semantic == 61).any(axis=2).sum(axis=0) * 1.5
    assert 9 < np.median(depth) < 22


def test_a_pool_leaves_out_what_it_is_told_to(lumbar_map, tmp_path):
    for stem in ("phantom-00001", "real-tptbox-mri-0", "real-panoptica-ref-0"):
        maps.save_map(lumbar_map, tmp_path / stem)
    pool, rng = Pool(tmp_path, exclude=("tptbox-mri",)), np.random.default_rng(0)
    for _ in range(60):
        pool.draw(rng)
    assert {stem.name for stem in pool._open} == {"phantom-00001", "real-panoptica-ref-0"}
    assert set(itertools.chain(REAL_MAPS)) >= {"tptbox-mri"}


def test_without_real_data_a_pool_holds_phantoms_alone_and_says_so(
    lumbar_map, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(pools, "phantom_map", lambda seed: lumbar_map)
    with caplog.at_level("INFO"):
        pools.fill(tmp_path, 2)
    assert {path.stem for path in tmp_path.iterdir()} == {"phantom-00001", "phantom-00002"}
    assert "phantoms alone: COLUMNA_DATA" in caplog.text


def test_a_pool_holds_the_real_maps_that_the_folder_of_real_data_has(
    lumbar_map, tmp_path, monkeypatch, caplog
):
    data = tmp_path / "data"
    for name in ("tptbox-mri", "tptbox-ct"):
        for file in REAL_MAPS[name][:2]:
            (data / file).parent.mkdir(parents=True, exist_ok=True)
            (data / file).touch()
    assert available(data) == ["tptbox-mri", "tptbox-ct"]
    monkeypatch.setattr(pools, "phantom_map", lambda seed: lumbar_map)
    monkeypatch.setattr(pools, "real_map", lambda name, version, data: lumbar_map)
    with caplog.at_level("INFO"):
        pools.fill(tmp_path / "pool", 1, data=data, exclude=("tptbox-mri",))
    assert len(list((tmp_path / "pool").glob("real-tptbox-ct-*.npy"))) == pools.REAL_VERSIONS
    assert not list((tmp_path / "pool").glob("real-tptbox-mri-*"))
    assert "alone" not in caplog.text
