"""The stages that run over batches, in order, and all that is known of them without running them.

Everything else that lists stages derives from this table: the classes in ``stages``, the commands,
the folders of the results, and what of the configuration a job depends on. It imports nothing
heavy, because planning a large cohort reads it.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class StageFacts:
    """What is fixed about a stage.

    Attributes
    ----------
    version
        Raised with every change that alters results: stored results are then computed again.
    help
        What its command does.
    settings
        The part of the configuration that it depends on, as pydantic's ``include`` takes it: a job
        is repeated when that part changes.
    uses_network
        Whether it needs a network, and thus a GPU where there is one. Scans that come with masks
        skip such stages.
    decides
        Whether it has a say in what becomes of a scan: a picture that fails takes nothing from it.
    """

    version: int
    help: str
    settings: dict[str, Any]
    uses_network: bool = False
    decides: bool = True


CHAIN: dict[str, StageFacts] = {
    "prepare": StageFacts(
        version=8,
        help="Check, correct, normalise and resample the scans of a batch.",
        settings={"prepare": True, "models": {"semantic": True}},
    ),
    "semantic": StageFacts(
        version=7,
        help="Phase 1: segment 14 structures in the scans of a batch.",
        settings={"semantic": True, "models": {"semantic": True, "device": True}},
        uses_network=True,
    ),
    "instance": StageFacts(
        version=6,
        help="Phase 2: separate the vertebrae of a batch.",
        settings={"instance": True, "models": {"instance": True, "device": True}},
        uses_network=True,
    ),
    "label": StageFacts(
        version=7,
        help="Phase 3: name vertebrae, write the final masks of a batch.",
        settings={"label": True},
    ),
    "measure": StageFacts(
        version=6,
        help="Measure the scans of a batch and write the batch's table rows.",
        settings={
            "measure": True,
            "models": {"semantic": True, "instance": True, "quality": True},
            "prepare": True,
            "semantic": True,
            "instance": True,
            "label": True,
        },
    ),
    "assess": StageFacts(
        version=6,
        help="Assess the quality of the scans, masks and measures of a batch.",
        settings={"prepare": True},
    ),
    "picture": StageFacts(
        version=1,
        help="Draw a picture of every scan of a batch.",
        settings={"prepare": True, "pictures": True},
        decides=False,
    ),
}

EVALUATE = "evaluate"
EVALUATED = "label"
"""The stage that delivers what `EVALUATE` compares with references."""

CORRECTED = "label"
"""The stage that takes corrections."""

BESIDE: dict[str, StageFacts] = {
    EVALUATE: StageFacts(
        version=1,
        help="Compare the masks of a batch with the references of the cohort sheet.",
        settings={"evaluate": True},
        decides=False,
    ),
}
"""Stages that only scans with references go through; nothing comes after them."""

STAGES = tuple(CHAIN)
MEASURED_STAGES = tuple(stage for stage, facts in CHAIN.items() if facts.decides)
