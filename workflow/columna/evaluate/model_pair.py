"""How good a pair of models is: held-out phantoms of all fields of view, and real scans."""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from columna.anatomy import SACRUM, Semantic, levels
from columna.config import PrepareSettings
from columna.errors import ScanRefused
from columna.evaluate.found_once import (
    Match,
    count_vertebrae,
    islands,
    match_vertebrae,
    structure_dice,
)
from columna.evaluate.in_memory import Answer, segment
from columna.evaluate.overlap import dice
from columna.evaluate.pictures import save_picture
from columna.files import atomic_path
from columna.images.volume import load_volume, resample_mask_like
from columna.models.instance_network import InstanceModel
from columna.models.semantic_network import SemanticModel
from columna.phantom import Phantom, PhantomSettings, make_phantom, random_settings, write_phantom
from columna.real_data import VARIABLE

FIRST_SEED = 3_000_000_000
"""Training draws its seeds below 2^31."""
VIEWS: dict[str, tuple[tuple[float, float, float], tuple[int, ...]]] = {
    "whole": ((0.9, 0.9, 3.3), (12, 17, 20, 22)),
    "lumbar": ((0.8, 0.8, 4.0), (20, 22)),
    "thoracic": ((0.9, 0.9, 3.3), (13, 16)),
    "cervicothoracic": ((0.8, 0.8, 3.0), (5, 9)),
}
"""Field of view -> voxel size (P, I, R), and the vertebrae that may be fractured."""
DEPTH = (0.25, 0.5)
"""Lost share of the anterior height of a fractured body."""

REAL: dict[str, dict[str, str]] = {
    "tptbox_mri": {
        "image": "tptbox_mri/sub-mri_label-6_T2w.nii.gz",
        "semantic": "tptbox_mri/sub-mri_seg-subreg_label-6_msk.nii.gz",
        "instance": "tptbox_mri/sub-mri_seg-vert_label-6_msk.nii.gz",
    },
    "sct_lumbar": {"image": "sct_lumbar/t2_lumbar.nii.gz"},
    "sct_cervical": {
        "image": "sct_cervical/t2.nii.gz",
        "cord": "sct_cervical/t2_seg-manual.nii.gz",
    },
}
"""Real scan -> its files below the folder of real data; those that are absent are skipped."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scored:
    """One scan against what is known of it.

    Parameters
    ----------
    scan
        Name.
    kind
        ``intact`` or ``fractured`` for phantoms, ``real``.
    structures
        Structure -> Dice, of those that the truth shows.
    matches
        Of the true vertebrae that are wholly visible.
    islands_n, islands_mm3
        Components away from the true spine; None where the truth shows only a part.
    vertebrae_n, names
        Vertebrae found, and their names from top to bottom.
    seconds
        Wall time of both networks and everything between reading and writing.
    status
        ``done``, or the code of the reason for which the scan was refused.
    """

    scan: str
    kind: str
    structures: dict[str, float] = field(default_factory=dict)
    matches: list[Match] = field(default_factory=list)
    islands_n: int | None = None
    islands_mm3: float | None = None
    vertebrae_n: int = 0
    names: str = ""
    seconds: float = 0.0
    status: str = "done"


@dataclass(frozen=True)
class Judge:
    """The models that are judged, and where the pictures go."""

    semantic: SemanticModel
    instance: InstanceModel
    prepare: PrepareSettings
    pictures: Path

    def answer(self, name: str, path: Path) -> Answer:
        """Segment a scan, and write its picture."""
        answer = segment(path, self.semantic, self.instance, self.prepare)
        masks = {"semantic": answer.semantic.array, "instance": answer.instance.array}
        called = ", ".join(level or "?" for level in answer.names)
        _log.info("%s: %.0f s; %s", name, answer.seconds, called)
        save_picture(answer.image, masks, f"{name}\n{called}", self.pictures / f"{name}.png")
        return answer


def held_out_phantoms(per_view: int) -> Iterator[tuple[str, str, PhantomSettings]]:
    """Name, kind and settings of phantoms that no training draws; half of them fractured."""
    for view, (spacing, breakable) in VIEWS.items():
        for number in range(per_view):
            seed = FIRST_SEED + number
            rng = np.random.default_rng([seed, 11])
            is_fractured = number % 2 == 1
            chosen = rng.choice(breakable, 2, replace=False) if is_fractured else ()
            settings = random_settings(
                seed,
                region=view,
                surroundings="body",
                spacing_mm=spacing,
                crushed={int(label): float(rng.uniform(*DEPTH)) for label in chosen},
            )
            kind = "fractured" if is_fractured else "intact"
            yield f"{view}-{number}-{kind}", kind, settings


def score_phantoms(judge: Judge, per_view: int) -> Iterator[Scored]:
    """Score `per_view` held-out phantoms of every field of view."""
    for name, kind, settings in held_out_phantoms(per_view):
        phantom = make_phantom(settings)
        with tempfile.TemporaryDirectory() as folder:
            path = write_phantom(phantom, Path(folder), name)
            try:
                answer = judge.answer(name, path)
            except ScanRefused as refusal:
                yield _refused(name, kind, refusal, phantom)
                continue
        yield _scored_phantom(name, kind, answer, phantom)


def score_real(judge: Judge, data: Path | None) -> Iterator[Scored]:
    """Score the real scans of the folder `data`; without one, say that there are none."""
    if data is None:
        _log.warning("no real scans: name a folder (--data, or %s)", VARIABLE)
        return
    for name, below in REAL.items():
        files = {kind: data / file for kind, file in below.items()}
        if not files["image"].exists():
            _log.warning("%s: not in the folder of real data, skipped", name)
            continue
        with tempfile.TemporaryDirectory() as folder:
            # by a plain name: that of a published sample may say that it is a derived image
            path = Path(folder) / f"{name}_T2w.nii.gz"
            path.symlink_to(files["image"].resolve())
            try:
                answer = judge.answer(name, path)
            except ScanRefused as refusal:
                yield Scored(name, "real", status=refusal.code)
                continue
        yield _scored_real(name, answer, files)


def write_tables(scores: Sequence[Scored], folder: Path) -> None:
    """Write ``scans.parquet``, ``structures.parquet`` and ``vertebrae.parquet`` into `folder`."""
    long = {
        "scans": [
            {k: v for k, v in asdict(s).items() if k not in ("structures", "matches")}
            for s in scores
        ],
        "structures": [
            {"scan": s.scan, "kind": s.kind, "structure": name, "dice": value}
            for s in scores
            for name, value in s.structures.items()
        ],
        "vertebrae": [
            {"scan": s.scan, "kind": s.kind, **asdict(m)} for s in scores for m in s.matches
        ],
    }
    for name, rows in long.items():
        with atomic_path(folder / f"{name}.parquet") as temporary:
            pd.DataFrame(rows).to_parquet(temporary, index=False)


def _whole(phantom: Phantom) -> list[int]:
    """Presacral vertebrae that are wholly visible."""
    rows = phantom.truth["levels"]
    return [r["label"] for r in rows if r["visible_fraction"] == 1 and r["label"] != SACRUM]


def _refused(name: str, kind: str, refusal: ScanRefused, phantom: Phantom) -> Scored:
    nothing = np.zeros(phantom.semantic.shape, np.uint8)
    return Scored(
        name,
        kind,
        structure_dice(nothing, phantom.semantic.array),
        match_vertebrae(nothing, phantom.instance.array, _whole(phantom)),
        status=refusal.code,
    )


def _scored_phantom(name: str, kind: str, answer: Answer, phantom: Phantom) -> Scored:
    semantic, instance = (v.reoriented().array for v in (phantom.semantic, phantom.instance))
    found = answer.semantic.array
    number, volume = islands(found, semantic, answer.semantic.spacing_mm)
    return _described(
        Scored(
            name,
            kind,
            structure_dice(found, semantic),
            match_vertebrae(answer.instance.array, instance, _whole(phantom)),
            number,
            volume,
        ),
        answer,
    )


def _scored_real(name: str, answer: Answer, files: dict[str, Path]) -> Scored:
    true = {
        kind: resample_mask_like(load_volume(path), answer.image).array
        for kind, path in files.items()
        if kind != "image"
    }
    structures, matches = {}, []
    if "cord" in true:
        cord = answer.semantic.array == Semantic.SPINAL_CORD
        structures = {"spinal_cord": dice(cord, true["cord"] > 0)}
    if "semantic" in true:
        structures = structure_dice(answer.semantic.array, true["semantic"])
    if "instance" in true:
        labels = sorted(set(np.unique(true["instance"]).tolist()) & set(levels()) - {SACRUM})
        matches = match_vertebrae(answer.instance.array, true["instance"], labels)
    return _described(Scored(name, "real", structures, matches), answer)


def _described(scored: Scored, answer: Answer) -> Scored:
    values = asdict(scored) | {
        "matches": scored.matches,
        "vertebrae_n": count_vertebrae(answer.instance.array),
        "names": ", ".join(level or "?" for level in answer.names),
        "seconds": round(answer.seconds, 1),
        "status": answer.status,
    }
    return Scored(**values)
