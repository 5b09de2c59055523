"""A look at real scans with the weights of a training that is still going on."""

from pathlib import Path

from columna.models.checkpoint import load_checkpoint
from columna.train.looks import Looks
from columna.train.networks.loop import CurvePoint
from columna.train.recipe import LooksSettings, TrainConfig
from columna.train.train_one import make_task


def take_look(phase: str, state: Path, sheet: Path, out: Path) -> tuple[int, list[CurvePoint]]:
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

    Returns
    -------
    step : int
        How far the training is.
    points : list of CurvePoint
        Dice or counts of vertebrae.
    """
    content = load_checkpoint(state)
    network = make_task(phase, TrainConfig()).build_network()
    network.load_state_dict(content["averaged"])
    config = TrainConfig(device="cpu", looks=LooksSettings(sheet=sheet))
    return content["step"], Looks(phase, config, out).take(content["step"], network.eval())
