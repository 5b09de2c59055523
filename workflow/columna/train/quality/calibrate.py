"""`columna train quality`: from scans with a truth to a model file and a page of figures."""

import datetime
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from columna.evaluate.known_scans import PATIENTS, KeptAnswers, known_scans
from columna.predict.quality_model import write_model
from columna.predict.signs import KINDS
from columna.train.quality.figures import Figures, figures, figures_table
from columna.train.quality.fit import KindData, fit_model, held_out
from columna.train.quality.known_structures import Structure, collect_structures

_log = logging.getLogger(__name__)


def calibrate(
    networks: KeptAnswers,
    data: Path | None,
    out: Path,
    *,
    phantoms: Mapping[str, int],
    patients: Sequence[str] = PATIENTS,
    workers: int = 2,
    only_known: bool = False,
) -> list[Figures]:
    """Ask the networks about scans with a truth, fit the model, and judge it by patient.

    Parameters
    ----------
    networks
        The weights, and the folder that keeps their answers.
    data
        Folder of real data; None: phantoms only.
    out
        Model file to write.
    phantoms
        Field of view -> held-out phantoms.
    patients
        Of SPIDER T2 SPACE, none of which the networks saw in training.
    workers
        Processes.
    only_known
        Leave out scans that the networks were not asked about.
    """
    scans = known_scans(phantoms, data, patients)
    if only_known:
        scans = [scan for scan in scans if networks.has(scan)]
    structures: list[Structure] = []
    for scan, of_scan in collect_structures(scans, networks, workers):
        _log.info("%s: %d structures", scan.name, len(of_scan))
        structures += of_scan
    began = time.monotonic()
    held = {k: held_out(KindData([s for s in structures if s.kind == k])) for k in KINDS}
    write_model(out, fit_model(structures, networks.digests, held))
    found = list(figures(structures, held))
    _log.info("fitted in %.0f s", time.monotonic() - began)
    return found


def figures_page(found: Sequence[Figures], networks: KeptAnswers, command: str) -> str:
    """Text of docs/predicted-quality-measured.md."""
    return "\n".join(
        [
            "# Predicted quality, measured",
            "",
            "<!-- Written by `columna train quality --page`. -->",
            "",
            f"`{command}`, {datetime.datetime.now(datetime.UTC):%Y-%m-%d}; models "
            f"`{networks.semantic_name}` and `{networks.instance_name}` (digests "
            f"{networks.digest}).",
            "",
            "Every structure is predicted by a model that never saw the patient, and its bound by "
            "the margins of the other patients. Phantoms of one seed are one patient in several "
            "fields of view. Intervals resample patients. On people, bodies are compared with what "
            "is drawn in front of the middle of the canal, posterior parts with what is drawn "
            "behind it.",
            "",
            *figures_table(found),
            "",
        ]
    )
