"""Training on masks of some structures only: sets of classes, their loss, their samples."""

import itertools

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from columna.errors import ConfigError
from columna.images.volume import Volume, save_volume
from columna.train.labels import ALL, CLASS_OF
from columna.train.networks.held_out import validation_points
from columna.train.networks.loop import Training, TrainSettings
from columna.train.networks.losses import SMOOTH, dice_and_entropy
from columna.train.networks.task import TrainingTask, adamw, no_penalty, polynomial
from columna.train.recipe import DatasetSettings, parse_train_config
from columna.train.samples import dataset
from columna.train.samples.label_sets import ANY, LabelSets, coded, label_sets
from columna.train.samples.real_scans import RealScan, load_scan
from columna.train.samples.scan_patches import scan_patch

BONE = ("arcus", "spinous_process", "inferior_articular_left", "vertebral_body")
SPIDER = DatasetSettings(
    sheet="sheet.tsv",
    labels={76: BONE, 29: ("disc",), 150: ("spinal_cord", "spinal_canal")},
    background=("sacrum",),
    seam_mm=1.0,
)


def table(*sets):
    """Codes 0, 1, ... that allow the classes of `sets`, of three."""
    return torch.tensor([[n in members for n in range(3)] for members in sets])


def plain_loss(logits, target):
    probability = logits.softmax(dim=1)
    onehot = nn.functional.one_hot(target, logits.shape[1]).movedim(-1, 1)
    axes = (0, 2, 3, 4)
    total = probability.sum(axes) + onehot.sum(axes) + SMOOTH
    dice = 2 * (probability * onehot).sum(axes) / total
    return nn.functional.cross_entropy(logits, target) + 1 - dice[1:].mean()


def test_with_full_labels_the_loss_is_the_plain_one():
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 5, 4, 5, 6, generator=rng)
    target = torch.randint(0, 5, (2, 4, 5, 6), generator=rng)
    own = dice_and_entropy(logits, target, torch.eye(5, dtype=torch.bool))
    torch.testing.assert_close(own, plain_loss(logits, target))


def test_voxels_that_may_be_anything_have_no_gradient():
    logits = torch.randn(1, 3, 4, 4, 4, requires_grad=True)
    target = torch.randint(0, 3, (1, 4, 4, 4))
    target[:, 2:] = 3
    dice_and_entropy(logits, target, table({0}, {1}, {2}, {0, 1, 2})).backward()
    gradient = logits.grad.abs().amax(dim=1)
    assert gradient[:, 2:].max() == 0
    assert gradient[:, :2].min() > 0


def test_a_background_that_may_hide_a_structure_does_not_punish_it():
    target = torch.zeros(1, 4, 4, 4, dtype=torch.long)
    hidden = torch.zeros(1, 3, 4, 4, 4)
    hidden[:, 2] = 20.0
    assert dice_and_entropy(hidden, target, table({0, 2}, {1}, {2})) < 1e-4
    assert dice_and_entropy(hidden, target, table({0}, {1}, {2})) > 10


def test_the_classes_of_a_merged_label_share_its_voxels():
    target = torch.ones(1, 4, 4, 4, dtype=torch.long)
    either = torch.zeros(1, 3, 4, 4, 4)
    either[:, 1:] = 20.0
    either[:, 1, :2] = 30.0
    assert dice_and_entropy(either, target, table({0}, {1, 2})) < 1e-3


def test_codes_do_not_depend_on_the_order_of_datasets():
    one, other = (
        label_sets({"a": SPIDER, "b": DatasetSettings(sheet="b.tsv")}),
        label_sets({"b": DatasetSettings(sheet="b.tsv"), "a": SPIDER}),
    )
    assert one == other
    assert all(len(one.sets[n]) == 1 for n in range(15))
    assert one.table()[ANY].all()


def test_a_mirrored_patient_swaps_left_and_right_within_sets():
    sets = label_sets({"a": SPIDER})
    lookup = sets.mirrored()
    vertebra = sets.code_of(ALL.of_structures(BONE))
    names = [name.replace("left", "right") for name in BONE]
    assert sets.sets[lookup[vertebra]] == ALL.of_structures(names)
    assert np.array_equal(lookup[lookup], np.arange(256))
    assert lookup[CLASS_OF[43]] == CLASS_OF[44]


def test_masks_become_codes_with_seams_left_open():
    mask = np.zeros((12, 12, 4), np.uint8)
    mask[1:5, 1:11], mask[6:8, 1:11], mask[8:10, 1:11] = 76, 29, 99
    sets = label_sets({"a": SPIDER})
    codes = coded(mask, SPIDER, sets, np.array([1.0, 1.0, 1.0]))
    assert (codes[1:5, 1:11] == sets.code_of(ALL.of_structures(BONE))).all()
    assert (codes[6:8, 1:11] == CLASS_OF[100]).all()
    assert (codes[5, 2:10] == ANY).all()  # between vertebra and disc
    assert (codes[8:10, 1:11] == ANY).all()  # a number that the settings do not name
    assert sets.sets[codes[0, 0, 0]] == {0, CLASS_OF[26]}


@pytest.mark.parametrize(
    "settings",
    [
        {"labels": {76: ["arch"]}},
        {"labels": {0: ["disc"]}},
        {"background": ["sacrum"]},
        {"labels": {1: ["disc"]}, "background": ["nothing"]},
    ],
)
def test_wrong_names_and_numbers_are_refused(settings):
    with pytest.raises(ValidationError):
        DatasetSettings.model_validate({"sheet": "sheet.tsv"} | settings)


def test_the_engine_that_knows_no_sets_does_not_take_them():
    recipe = {"semantic": {"engine": "nnunet"}, "datasets": {"spider": {"sheet": "s.tsv"}}}
    parse_train_config(recipe, "test")
    recipe["datasets"]["spider"]["labels"] = {29: ["disc"]}
    with pytest.raises(ConfigError, match="nnunet cannot use `labels`"):
        parse_train_config(recipe, "test")


def test_dice_of_merged_labels_counts_what_is_known():
    class Answers(nn.Module):
        def forward(self, given):
            return given

    logits = np.zeros((3, 1, 1, 4), np.float32)
    for voxel, answer in enumerate((1, 2, 1, 0)):
        logits[answer, 0, 0, voxel] = 9
    codes = np.array([[[3, 3, 4, 3]]], np.uint8)
    task = TrainingTask(
        name="toy",
        structures={1: "one", 2: "two", 3: "both"},
        allowed=table({0}, {1}, {2}, {1, 2}, {0, 1, 2}).numpy(),
        encode=lambda given: given,
        **dict.fromkeys(["build_network", "cut_scan", "cut_map", "per_draw", "loss", "penalty"]),
        optimizer=adamw,
        schedule=polynomial,
    )
    points = validation_points(
        Answers(), task, [(logits[None], codes[None])], torch.device("cpu"), torch.float32
    )
    # two of three voxels found; the one that may be anything counts for nothing
    assert {name: value for _, name, value in points}["both"] == pytest.approx(2 * 2 / (2 + 3))


def scan(sets, thick=1.0):
    """A bright disc between two vertebrae, of which only the disc and the bone are labelled."""
    image = np.full((60, 80, 20), 0.4, np.float16)
    mask = np.zeros(image.shape, np.uint8)
    for low, high, number, value in ((5, 30, 76, 0.5), (30, 40, 29, 1.0), (40, 75, 76, 0.5)):
        mask[15:45, low:high, 3:17], image[15:45, low:high, 3:17] = number, value
    spacing = np.array([1.0, 1.0, thick])
    codes = coded(mask, SPIDER, sets, spacing)
    points = {int(c): np.argwhere(codes == c)[::50].astype(np.int16) for c in np.unique(codes)}
    return RealScan(image, codes, None, points, spacing)


def test_patches_of_a_real_scan_show_it_and_are_open_beyond_it():
    sets = label_sets({"a": SPIDER})
    one = scan(sets)
    rng = np.random.default_rng(0)
    patches = [
        scan_patch(one, (48, 48, 12), (1.0, 1.0, 2.5), sets, {0: 0.5}, rng) for _ in range(12)
    ]
    seen = set(itertools.chain.from_iterable(np.unique(codes).tolist() for _, codes in patches))
    assert {int(CLASS_OF[100]), ANY} <= seen
    for image, codes in patches:
        assert np.isfinite(image).all()
        assert (image[codes == ANY] == 0).mean() > 0.3
    again = scan_patch(one, (48, 48, 12), (1.0, 1.0, 2.5), sets, {}, np.random.default_rng(5))
    same = scan_patch(one, (48, 48, 12), (1.0, 1.0, 2.5), sets, {}, np.random.default_rng(5))
    assert all(np.array_equal(a, b) for a, b in zip(again, same, strict=True))


def test_partly_labelled_scans_need_no_instances(tmp_path):
    rng = np.random.default_rng(0)
    affine = np.diag([3.0, 1.0, 1.0, 1.0])
    image = rng.normal(300, 80, (16, 80, 90)).clip(1).astype(np.float32)
    mask = np.zeros(image.shape, np.uint8)
    mask[4:12, 30:50, 10:40], mask[4:12, 30:50, 42:50] = 76, 29
    save_volume(Volume(image, affine), tmp_path / "a_T2w.nii.gz")
    save_volume(Volume(mask, affine), tmp_path / "a_mask.nii.gz")
    sheet = tmp_path / "sheet.tsv"
    sheet.write_text("participant_id\tpath\tsemantic\na\ta_T2w.nii.gz\ta_mask.nii.gz\n")
    settings = SPIDER.model_copy(update={"sheet": sheet})
    [case] = dataset.convert({"spider": settings}, tmp_path / "raw", 2, no_n4())
    assert case.status == "ok", case.reason
    stored = load_scan(tmp_path / "raw", case.case)
    assert stored.instance is None
    assert CLASS_OF[100] in stored.points


def no_n4():
    from columna.config import PrepareSettings

    return PrepareSettings(n4=False)


def test_sets_with_disjoint_labels_teach_all_classes():
    """Half of the samples label class 1 only, the other half class 2 only."""
    allowed = table({0}, {1}, {2}, {0, 2}, {0, 1})

    def sample(rng):
        true = np.zeros((1, 4, 12, 12), np.int64)
        for label in (1, 2):
            a, b = rng.integers(0, 8, 2)
            true[:, :, a : a + 4, b : b + 4] = label
        image = torch.from_numpy(true[:, None] + rng.normal(0, 0.1, (1, 1, 4, 12, 12))).float()
        known = int(rng.integers(1, 3))
        codes = np.where(true == known, known, 3 if known == 1 else 4)
        return image, torch.from_numpy(codes), torch.from_numpy(true)

    task = TrainingTask(
        name="toy",
        structures={1: "one", 2: "two"},
        allowed=allowed.numpy(),
        build_network=lambda: nn.Sequential(
            nn.Conv3d(1, 12, 3, padding=1), nn.LeakyReLU(), nn.Conv3d(12, 3, 1)
        ),
        cut_scan=None,
        cut_map=None,
        per_draw=1,
        encode=lambda patches: patches,
        loss=lambda outputs, target: dice_and_entropy(outputs, target, allowed),
        penalty=no_penalty,
        optimizer=adamw,
        schedule=polynomial,
    )
    torch.manual_seed(0)
    training = Training(task, TrainSettings(None, 300, learning_rate=2e-2), torch.device("cpu"))
    rng = np.random.default_rng(0)
    for step in range(300):
        image, codes, _ = sample(rng)
        training.step(image, codes, step / 300)
    right = []
    for _ in range(10):
        image, _, true = sample(rng)
        right.append((training.network(image).argmax(dim=1) == true).float().mean())
    assert float(torch.stack(right).mean()) > 0.95


def test_label_sets_compare_by_what_they_allow():
    assert LabelSets((frozenset({0}),)) == LabelSets((frozenset({0}),))
