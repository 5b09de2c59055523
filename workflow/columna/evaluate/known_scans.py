"""Scans with a truth, and what the networks make of them, kept in a folder.

Rules are measured on them (`benchmarks/rules.py`), and predicted quality is calibrated on them
(`columna train quality`). What networks answer waits in the folder by digest of the models and by
scan, so that other rules, limits, names or evidence need no network.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any

from columna.config import (
    InstanceSettings,
    LabelSettings,
    MeasureSettings,
    PrepareSettings,
    SemanticSettings,
)
from columna.errors import ScanRefused
from columna.evaluate.model_pair import VIEWS, held_out_phantoms, real_cases
from columna.files import read_json, write_json
from columna.images.volume import Volume, load_volume, save_volume
from columna.instance.phase_2 import segment_instances
from columna.label import label_masks
from columna.label.certainty import NetworkAnswers, VoxelCertainty
from columna.measure import MeasureContext, measure_scan
from columna.models.folder import ModelFolder
from columna.models.instance_network import InstanceModel, load_instance_model
from columna.models.registry import find_model
from columna.models.semantic_network import SemanticModel, load_semantic_model
from columna.phantom import PhantomSettings, make_phantom, write_phantom
from columna.prepare import prepare_scan, read_scan
from columna.prepare.read import Scan
from columna.semantic.phase_1 import segment_semantic

DIGITS = 12
"""Of the models' digests: enough to tell them apart."""
ANSWER = "answer.json"
VOLUMES = ("semantic", "instance", "probability", "entropy")
"""What is kept of an answer: raw masks, and how sure phase 1 was."""
PATIENTS = ("005", "045", "069", "127", "185")
"""Patients of SPIDER T2 SPACE that no training of the bundled networks saw."""


@dataclass(frozen=True)
class KnownScan:
    """A scan with a truth: a phantom, or a file and the mask that was drawn for it.

    Parameters
    ----------
    name
        Name, also of its folder.
    settings
        Of a phantom.
    image, drawn
        Of a person; `drawn` is None where nothing is known.
    """

    name: str
    settings: PhantomSettings | None = None
    image: Path | None = None
    drawn: Path | None = None

    @property
    def is_real(self) -> bool:
        """Whether a person was scanned."""
        return self.settings is None

    @property
    def patient(self) -> str:
        """Whose spine it is: phantoms of one seed are one person in several fields of view."""
        return self.name if self.settings is None else f"phantom-{self.settings.seed}"


@dataclass(frozen=True, eq=False)
class MeasuredScan:
    """What came of a scan; without `context`, the `code` says why it was refused.

    Parameters
    ----------
    scan
        The scan.
    code
        ``done``, or the code of a refusal.
    context
        Final masks, image and what phase 1 thought, as the measure stage has them.
    rows
        Table -> rows, without predicted Dice.
    """

    scan: KnownScan
    code: str = "done"
    context: MeasureContext | None = None
    rows: Mapping[str, list[dict[str, Any]]] | None = None


def known_scans(
    per_view: int | Mapping[str, int],
    data: Path | None,
    patients: Sequence[str] = PATIENTS,
    *,
    others: bool = False,
) -> list[KnownScan]:
    """Phantoms of all fields of view and patients of SPIDER, taken in turn.

    Parameters
    ----------
    per_view
        Phantoms of every field of view.
    data
        Folder of real data (`columna.real_data`); None: phantoms only.
    patients
        Patients of SPIDER T2 SPACE.
    others
        Whether scans come with them of which nothing is known.
    """
    wanted = dict.fromkeys(VIEWS, per_view) if isinstance(per_view, int) else per_view
    known = {name: s for name, _, s in held_out_phantoms(max(wanted.values(), default=0))}
    by_view = [
        [KnownScan(name, s) for name, s in known.items() if name.rsplit("-", 2)[0] == view][:n]
        for view, n in wanted.items()
    ]
    real = []
    if data:
        space = data / "spider_space"
        for patient in patients:
            files = [space / f"{patient}_{kind}.nii.gz" for kind in ("T2w", "mask")]
            real.append(KnownScan(f"spider-{patient}", image=files[0], drawn=files[1]))
        if others:
            free = [c for c in real_cases(data) if not c.name.startswith("spider")]
            real[2:2] = [KnownScan(c.name, image=c.image) for c in free]
    rounds = zip_longest(*by_view, real)
    return [scan for together in rounds for scan in together if scan is not None]


@dataclass(frozen=True, eq=False)
class KeptAnswers:
    """Both networks, and the folder that keeps their answers."""

    semantic_name: str
    instance_name: str
    folder: Path

    @cached_property
    def digests(self) -> tuple[str, str]:
        """SHA-256 of both models."""
        semantic, instance = (
            ModelFolder.read(find_model(name)).digest
            for name in (self.semantic_name, self.instance_name)
        )
        return semantic, instance

    @property
    def digest(self) -> str:
        """Of both models, short."""
        return "-".join(digest[:DIGITS] for digest in self.digests)

    def place(self, scan: KnownScan) -> Path:
        """Folder of the answer."""
        return self.folder / self.digest / scan.name

    def answer(self, scan: KnownScan) -> dict[str, Any]:
        """What the networks said; they are asked once. Masks lie in `place`."""
        place = self.place(scan)
        if not self.has(scan):
            place.mkdir(parents=True, exist_ok=True)
            write_json(place / ANSWER, self._ask(image_of(scan, self.folder), place))
        answer: dict[str, Any] = read_json(place / ANSWER)
        return answer

    def has(self, scan: KnownScan) -> bool:
        """Whether the networks have answered."""
        return (self.place(scan) / ANSWER).exists()

    def volume(self, scan: KnownScan, name: str) -> Volume:
        """One of `VOLUMES`."""
        return load_volume(self.place(scan) / f"{name}.nii.gz")

    def _ask(self, image: Path, place: Path) -> dict[str, Any]:
        settings = PrepareSettings()
        semantic, instance = _networks(self.semantic_name, self.instance_name)
        try:
            scan = read_plainly(image, settings)
            prepared = prepare_scan(scan, semantic.grid, settings)
            found = segment_semantic(prepared, semantic, SemanticSettings())
            parts = segment_instances(found.mask, instance, InstanceSettings())
        except ScanRefused as refusal:
            return {"code": refusal.code}
        for name, volume in {"semantic": found.mask, "instance": parts, **found.certainty}.items():
            save_volume(volume, place / f"{name}.nii.gz")
        return {"code": "done", "confidence": found.confidence, "facts": scan.facts}


@cache
def _networks(semantic: str, instance: str) -> tuple[SemanticModel, InstanceModel]:
    """Both networks, loaded once in every process."""
    return (
        load_semantic_model(find_model(semantic), "cpu"),
        load_instance_model(find_model(instance), "cpu"),
    )


def image_of(scan: KnownScan, folder: Path) -> Path:
    """File of the image; that of a phantom is made once, with its true masks beside it."""
    if scan.image is not None:
        return scan.image
    if scan.settings is None:
        raise ValueError(f"{scan.name}: neither a file nor a phantom")
    place = folder / "phantoms" / scan.name
    if not (place / f"{scan.name}_truth.json").exists():
        place.mkdir(parents=True, exist_ok=True)
        write_phantom(make_phantom(scan.settings), place, scan.name)
    return place / f"{scan.name}_T2w.nii.gz"


def true_masks(scan: KnownScan, folder: Path) -> tuple[Volume, Volume, dict[int, float]]:
    """Semantic and instance mask of a phantom, and how much of each vertebra is seen."""
    place = folder / "phantoms" / scan.name
    levels = read_json(place / f"{scan.name}_truth.json")["levels"]
    return (
        load_volume(place / f"{scan.name}_seg-spine_dseg.nii.gz"),
        load_volume(place / f"{scan.name}_seg-vert_dseg.nii.gz"),
        {row["label"]: row["visible_fraction"] for row in levels},
    )


def measured(scan: KnownScan, networks: KeptAnswers) -> MeasuredScan:
    """Name and measure what the networks made of a scan."""
    answer = networks.answer(scan)
    if answer["code"] != "done":
        return MeasuredScan(scan, answer["code"])
    image = read_plainly(image_of(scan, networks.folder), PrepareSettings()).volume
    kept = {name: networks.volume(scan, name) for name in VOLUMES}
    named = label_masks(image, kept["semantic"], kept["instance"], LabelSettings())
    context = MeasureContext(
        scan_id=scan.name,
        participant_id=None,
        session_id=None,
        facts=answer["facts"],
        semantic=named.semantic,
        instance=named.instance,
        image=image,
        levels=named.levels,
        variants=named.naming.get("variants", {}),
        confidence={int(k): v for k, v in answer["confidence"].items()},
        certainty=VoxelCertainty.of(NetworkAnswers(**kept), named.instance),
    )
    return MeasuredScan(scan, "done", context, measure_scan(context, MeasureSettings()))


def read_plainly(image: Path, settings: PrepareSettings) -> Scan:
    """Read a scan by a plain name: that of a sample may say that it is a derived image."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan_T2w.nii.gz"
        path.symlink_to(image.resolve())
        return read_scan(path, settings)
