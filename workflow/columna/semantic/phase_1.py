"""Phase 1 as a whole: prepared image in, cleaned mask and confidence out."""

import logging
from dataclasses import dataclass

import numpy as np

from columna.config import SemanticSettings
from columna.images.volume import PIR, Volume
from columna.models.semantic_network import SemanticModel
from columna.semantic.confidence import certainty_maps, summarise_confidence
from columna.semantic.decision import decide
from columna.semantic.network_input import make_network_input
from columna.semantic.postprocess import clean_semantic
from columna.semantic.sliding_window import Window, predict_logits

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SemanticResult:
    """What phase 1 finds.

    Parameters
    ----------
    mask
        uint8 semantic labels along P, I, R, in the grid of the model.
    confidence
        Label -> confidence of the network (`confidence.summarise_confidence`).
    certainty
        ``probability`` and ``entropy`` of every voxel, in percent, on the grid of `mask`
        (`confidence.certainty_maps`).
    """

    mask: Volume
    confidence: dict[int, dict[str, float]]
    certainty: dict[str, Volume]


def segment_semantic(
    prepared: Volume, model: SemanticModel, settings: SemanticSettings
) -> SemanticResult:
    """Segment a prepared image into semantic structures.

    Parameters
    ----------
    prepared
        Image in the grid that ``model.grid`` asks for.
    model
        Phase-1 model.
    settings
        ``compute`` is not read here: the model was loaded with it.

    Raises
    ------
    ScanRefused
        ``no_spine`` if nothing was found.
    ModelError
        If the image is not in the model's grid.
    """
    image = prepared.reoriented(model.grid.orientation)
    answers = ask_network(image, model, choose_window(model, settings))
    classes, probability, entropy = (image.with_array(a).reoriented(PIR) for a in answers)
    found = classes.with_array(model.class_labels[classes.array])
    mask = clean_semantic(found, settings.max_gap_mm)
    seen = (mask.array, found.array, probability.array, entropy.array)
    maps = {name: mask.with_array(values) for name, values in certainty_maps(*seen).items()}
    return SemanticResult(mask, summarise_confidence(*seen), maps)


def ask_network(image: Volume, model: SemanticModel, window: Window) -> list[np.ndarray]:
    """Class, probability and entropy of every voxel (`decision.decide`), on the axes of `image`."""
    given = make_network_input(image, model)
    shape = given.array.shape[1:]
    answers = [np.zeros(shape, kind) for kind in (np.uint8, np.float16, np.float16)]
    classes = len(model.class_labels)
    slabs = predict_logits(
        model.networks, given.array, window, classes, model.device, model.compute
    )
    for place, logits in slabs:
        for answer, part in zip(answers, decide(logits), strict=True):
            answer[place] = part
    return [given.to_image_axes(answer) for answer in answers]


def choose_window(model: SemanticModel, settings: SemanticSettings) -> Window:
    """Settle step and mirroring: what the settings say, else what the model folder says."""
    mirroring = settings.mirroring
    if mirroring is None:
        mirroring = model.config.inference_augmentation
    if mirroring and not model.mirror_axes:
        _log.warning("%s was trained without mirroring: no mirrored passes", model.folder.name)
    return Window(
        model.patch_size,
        settings.step_size or model.config.default_step_size,
        model.mirror_axes if mirroring else (),
        model.tiles_at_once,
    )
