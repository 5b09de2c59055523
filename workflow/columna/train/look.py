"""A look at real scans with the weights of a training that is still going on."""

from pathlib import Path

from columna.models.checkpoint import load_checkpoint
from columna.train.labels import ALL
from columna.train.looks import Looks
from columna.train.networks.loop import CurvePoint
from columna.train.recipe import parse_train_config
from columna.train.train_one import make_task


def take_look(
    phase: str, state: Path, sheet: Path, out: Path, classes: str = ALL.name
) -> tuple[int, list[CurvePoint]]:
    """Segment the scans of a sheet with the averaged weights of a training state, on the CPU.

    Parameters
    ----------
    phase
        semantic or instance.
    state
        What the training resumes from (``state.pt``).
    sheet
        Scans: participant_id, path and, for Dice, semantic.
    out
        Gets a picture of every scan, and ``model/`` with the weights.
    classes
        ``semantic.classes`` of the recipe.

    Returns
    -------
    step : int
        How far the training is.
    points : list of CurvePoint
        Dice or counts of vertebrae.
    """
    content = load_checkpoint(state)
    recipe = {"device": "cpu", "looks": {"sheet": str(sheet)}, "semantic": {"classes": classes}}
    config = parse_train_config(recipe, "columna train look")
    network = make_task(phase, config).build_network()
    network.load_state_dict(content["averaged"])
    return content["step"], Looks(phase, config, out).take(content["step"], network.eval())
