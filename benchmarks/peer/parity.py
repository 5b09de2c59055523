"""Does columna answer as the released package does? One row for every scan.

    python benchmarks/peer/parity.py [CASE ...]

Every stage starts from what the package's stage before it left, so that differences do not add up;
the last columns start from the answer of the semantic network. Phantoms (`cases.py`) go through
the package when they are asked for first; its answers stay in ``build/peer``.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import cc3d
import numpy as np
import torch
from agreement import Agreement, agreement, instance_agreement, labels
from cases import PHANTOMS, Case, make_case
from oracle import (
    THREADS,
    Answer,
    StoredAnswer,
    peer_folder,
    run_package,
    stored_answer,
    stored_scan,
)

from columna.anatomy import ARTICULAR_PROCESSES, SACRUM, Semantic
from columna.config import InstanceSettings, LabelSettings
from columna.images.volume import Volume, load_volume
from columna.instance import segment_instances
from columna.label import LabelResult, final_masks, label_masks
from columna.models.instance_network import InstanceModel, load_instance_model
from columna.semantic.postprocess import clean_semantic

TOP_DOWN = LabelSettings(naming="top_down", borders="nearest")
MAX_LEVEL = 29
STORED = ("ph1", "ph3")
HEAD = (
    "scan",
    "vertebrae",
    "cleaning",
    "instances",
    "Dice",
    "structures",
    "vertebrae as delivered",
    "right: ours / theirs",
    "with W12",
    "Dice",
    "spaces differ / ours right",
    "phases 2 and 3",
    "Dice",
)


@dataclass(frozen=True, eq=False)
class Row:
    """Agreement of one scan, stage by stage.

    Parameters
    ----------
    cleaning, instances
        Of the semantic network's answer after cleaning; of the raw instance mask.
    structures
        Of the final semantic mask, without plates (see `spaces`).
    delivered, w12
        Of the vertebrae in the final instance mask; once more where columna lets background own
        articular processes, as the package does (W12).
    right
        Share of vertebra voxels that lie with the true body of their instance, ours and theirs.
    spaces
        Voxels of discs and plates that belong to another space or side, and in how many of them
        columna agrees with the truth, where that knows spaces.
    chain
        As `w12`, after columna's own cleaning and instances.
    """

    name: str
    vertebrae_n: int
    cleaning: Agreement
    instances: Agreement
    structures: Agreement
    delivered: Agreement
    w12: Agreement
    right: tuple[float, float]
    spaces: tuple[int, ...]
    chain: Agreement

    def cells(self) -> list[str]:
        return [
            self.name,
            str(self.vertebrae_n),
            percent(self.cleaning.equal),
            percent(self.instances.equal),
            f"{self.instances.worst_dice:.4f}",
            percent(self.structures.equal),
            percent(self.delivered.equal),
            " / ".join(f"{share:.1%}" for share in self.right),
            percent(self.w12.equal),
            f"{self.w12.worst_dice:.4f}",
            " / ".join(str(count) for count in self.spaces),
            percent(self.chain.equal),
            f"{self.chain.worst_dice:.4f}",
        ]


@cache
def compare(name: str) -> Row:
    """Run the package and columna on the phantom called `name`."""
    case = make_case(name)
    theirs = run_package(name, case.scan, answer=str(case.answer), n4=False)
    return compare_with(case, theirs, instance_model())


@cache
def compare_stored(scan: str) -> Row:
    """Compare with the stored answers to the noisy truth of a stored scan."""
    theirs = stored_answer("truthsem", scan)
    truth = load_volume(peer_folder() / "truth" / f"{scan}_inst.nii.gz")
    case = Case(scan, stored_scan(scan), truth, None)
    return compare_with(case, theirs, instance_model())


@cache
def instance_model() -> InstanceModel:
    torch.set_num_threads(THREADS)
    return load_instance_model(peer_folder() / "models" / "instance_sagittal", "cpu", "float32")


def compare_with(case: Case, theirs: Answer | StoredAnswer, model: InstanceModel) -> Row:
    grid = load_volume(case.scan)
    spine_raw, vert_raw = theirs.mask("spine-raw"), theirs.mask("vert-raw")
    spine, vert = theirs.mask("spine").array, theirs.mask("vert").array
    cleaned = spine_raw.reoriented()
    if case.answer is not None:
        cleaned = clean_semantic(load_volume(case.answer).reoriented())
    instances = segment_instances(spine_raw, model, InstanceSettings())
    delivered = label_masks(grid, spine_raw, vert_raw, TOP_DOWN)
    with articular_processes_as_in_the_package():
        w12 = label_masks(grid, spine_raw, vert_raw, TOP_DOWN)
        chain = w12  # where columna stands on its own answers, too
        if not same(cleaned, spine_raw) or not same(instances, vert_raw):
            chained = segment_instances(cleaned, model, InstanceSettings())
            chain = label_masks(grid, cleaned, chained, TOP_DOWN)
    truth = case.instance.array.astype(int)
    theirs_final = LabelResult(theirs.mask("spine"), theirs.mask("vert"), [], {})
    return Row(
        name=case.name,
        vertebrae_n=len(labels(vertebrae(vert))),
        cleaning=agreement(cleaned.array, spine_raw.reoriented().array),
        instances=instance_agreement(instances.array, vert_raw.reoriented().array),
        structures=agreement(*(without_plates(m) for m in (delivered.semantic.array, spine))),
        delivered=vertebra_agreement(delivered.instance, vert),
        w12=vertebra_agreement(w12.instance, vert),
        right=(right_share(delivered, truth), right_share(theirs_final, truth)),
        spaces=spaces(delivered, vert, truth),
        chain=vertebra_agreement(chain.instance, vert),
    )


def same(ours: Volume, theirs: Volume) -> bool:
    """Whether two masks are equal but for the numbers that they use."""
    return instance_agreement(ours.array, theirs.reoriented().array).differing_n == 0


@contextmanager
def articular_processes_as_in_the_package() -> Iterator[None]:
    """Let columna do what its W12 is about: background owns a process that it dominates."""
    original = final_masks.settle_articular
    final_masks.settle_articular = settle_with_background
    try:
        yield
    finally:
        final_masks.settle_articular = original


def settle_with_background(semantic: np.ndarray, instance: np.ndarray) -> np.ndarray:
    for process in ARTICULAR_PROCESSES:
        components = cc3d.connected_components(semantic == process, connectivity=26)
        boxes = cc3d.statistics(components)["bounding_boxes"]
        for number, box in list(enumerate(boxes))[1:]:
            part = components[box] == number
            counts = np.bincount(instance[box][part])
            second, first = np.sort(counts)[-2:] if len(counts) > 1 else (0, 0)
            if second and first * 0.5 > second:
                instance[box][part] = counts.argmax()
    return instance


def vertebrae(instance: np.ndarray) -> np.ndarray:
    return np.where((instance <= MAX_LEVEL) & (instance != SACRUM), instance, 0)


def vertebra_agreement(ours: Volume, theirs: np.ndarray) -> Agreement:
    return agreement(vertebrae(ours.array), vertebrae(theirs))


def without_plates(semantic: np.ndarray) -> np.ndarray:
    plates = (Semantic.ENDPLATE, Semantic.ENDPLATE_SUPERIOR, Semantic.ENDPLATE_INFERIOR)
    return np.where(np.isin(semantic, plates), 0, semantic)


def true_levels(result: LabelResult, truth: np.ndarray) -> dict[int, int]:
    """Level of every vertebra by the truth: that of most of its body."""
    body = (result.semantic.array == Semantic.VERTEBRAL_BODY) & (truth > 0) & (truth <= MAX_LEVEL)
    known = np.where(body, vertebrae(result.instance.array), 0)
    return {int(n): int(np.bincount(truth[known == n]).argmax()) for n in labels(known)}


def right_share(result: LabelResult, truth: np.ndarray) -> float:
    """Share of vertebra voxels whose instance is, by its body, the one that the truth has there."""
    instance = vertebrae(result.instance.array)
    levels = np.zeros(instance.max() + 1, int)
    for number, level in true_levels(result, truth).items():
        levels[number] = level
    judged = (instance > 0) & (truth > 0) & (truth <= MAX_LEVEL)
    return float((levels[instance] == truth)[judged].mean())


def spaces(ours: LabelResult, theirs: np.ndarray, truth: np.ndarray) -> tuple[int, ...]:
    """Voxels of discs and plates with another number, and in how many of them ours is right."""
    instance = ours.instance.array.astype(int)
    differ = (instance != theirs) & ((instance > 100) | (theirs > 100))
    if truth.max() <= 100:
        return (int(differ.sum()),)
    levels = true_levels(ours, truth)
    first = min(levels)
    levels[first - 1] = levels[first] - 1  # the space above the first vertebra
    expected = [
        100 * (label // 100) + levels.get(label % 100, -1) for label in instance[differ].tolist()
    ]
    return int(differ.sum()), int((truth[differ] == np.array(expected, int)).sum())


def percent(share: float) -> str:
    return f"{100 * share:.3f}"


def table(names: list[str]) -> Iterator[str]:
    yield f"| {' | '.join(HEAD)} |"
    yield "|---" * len(HEAD) + "|"
    for name in names:
        row = compare_stored(name) if name in STORED else compare(name)
        yield f"| {' | '.join(row.cells())} |"


if __name__ == "__main__":
    for line in table(sys.argv[1:] or [*STORED, *PHANTOMS]):
        print(line, flush=True)
