"""Shared by benchmarks/rules.py: scans with a truth, and what the networks make of them, kept.

What networks answer waits in a folder by digest of the models and by scan, so that other rules,
limits or names need no network.
"""

import tempfile
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any

from columna.assess import Finding, QualityContext, assess_scan
from columna.config import (
    InstanceSettings,
    LabelSettings,
    MeasureSettings,
    PrepareSettings,
    SemanticSettings,
)
from columna.errors import ScanRefused
from columna.evaluate.model_pair import REAL, VIEWS, held_out_phantoms
from columna.files import read_json, write_json
from columna.images.volume import Volume, load_volume, save_volume
from columna.instance.phase_2 import segment_instances
from columna.label import label_masks
from columna.measure import MeasureContext, measure_scan
from columna.models.folder import ModelFolder
from columna.models.instance_network import load_instance_model
from columna.models.registry import find_model
from columna.models.semantic_network import load_semantic_model
from columna.phantom import PhantomSettings, make_phantom, write_phantom
from columna.prepare import prepare_scan, read_scan
from columna.semantic.phase_1 import segment_semantic

DIGITS = 12
"""Of the models' digests: enough to tell them apart."""


@dataclass(frozen=True)
class Case:
    """A scan with a truth: a phantom, or a file and the masks that were drawn for it."""

    name: str
    settings: PhantomSettings | None = None
    image: Path | None = None
    drawn: Path | None = None

    @property
    def is_real(self) -> bool:
        """Whether a person was scanned."""
        return self.settings is None


@dataclass(frozen=True, eq=False)
class Judged:
    """What came of a case; without `rows`, the `code` says why it was refused."""

    case: Case
    code: str = "done"
    semantic: Volume | None = None
    instance: Volume | None = None
    rows: dict[str, list[dict[str, Any]]] | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def vertebrae(self) -> list[dict[str, Any]]:
        """Rows of the vertebrae that were found."""
        return [r for r in (self.rows or {}).get("vertebrae", ()) if r["spineps_label"]]


def cases(per_view: int, data: Path | None, patients: list[str]) -> list[Case]:
    """Phantoms of all fields of view and real scans, taken in turn."""
    phantoms = [Case(name, settings=s) for name, _, s in held_out_phantoms(per_view)]
    mixed = [phantoms[view * per_view + n] for n in range(per_view) for view in range(len(VIEWS))]
    real = []
    if data:
        space = data / "spider_space"
        for patient in patients:
            files = [space / f"{patient}_{kind}.nii.gz" for kind in ("T2w", "mask")]
            real.append(Case(f"spider-{patient}", image=files[0], drawn=files[1]))
        real[2:2] = [Case(name, image=data / below["image"]) for name, below in REAL.items()]
    pairs = zip_longest(mixed, real)
    return [case for pair in pairs for case in pair if case is not None]


@dataclass(frozen=True, eq=False)
class Networks:
    """Both networks, and the folder that keeps their answers."""

    semantic_name: str
    instance_name: str
    folder: Path

    @cached_property
    def digest(self) -> str:
        """Of both models."""
        names = (self.semantic_name, self.instance_name)
        return "-".join(ModelFolder.read(find_model(n)).digest[:DIGITS] for n in names)

    @cached_property
    def _semantic(self) -> Any:
        return load_semantic_model(find_model(self.semantic_name), "cpu")

    @cached_property
    def _instance(self) -> Any:
        return load_instance_model(find_model(self.instance_name), "cpu")

    def answer(self, case: Case) -> Path:
        """Folder with ``answer.json`` and the raw masks of a case, asking the networks once."""
        place = self.folder / self.digest / case.name
        if not (place / "answer.json").exists():
            place.mkdir(parents=True, exist_ok=True)
            write_json(place / "answer.json", self._ask(image_of(case, self.folder), place))
        return place

    def has(self, case: Case) -> bool:
        """Whether the networks have answered."""
        return (self.folder / self.digest / case.name / "answer.json").exists()

    def _ask(self, image: Path, place: Path) -> dict[str, Any]:
        settings = PrepareSettings()
        try:
            scan = _read(image, settings)
            prepared = prepare_scan(scan, self._semantic.grid, settings)
            found = segment_semantic(prepared, self._semantic, SemanticSettings())
            parts = segment_instances(found.mask, self._instance, InstanceSettings())
        except ScanRefused as refusal:
            return {"code": refusal.code}
        save_volume(found.mask, place / "semantic.nii.gz")
        save_volume(parts, place / "instance.nii.gz")
        return {"code": "done", "confidence": found.confidence, "facts": scan.facts}


def image_of(case: Case, folder: Path) -> Path:
    """File of the image; that of a phantom is made once, with its true masks beside it."""
    if case.image is not None:
        return case.image
    place = folder / "phantoms" / case.name
    image = place / f"{case.name}_T2w.nii.gz"
    if not (place / f"{case.name}_truth.json").exists():
        place.mkdir(parents=True, exist_ok=True)
        phantom = make_phantom(case.settings)
        write_phantom(phantom, place, case.name)
    return image


def true_masks(case: Case, folder: Path) -> tuple[Volume, Volume, dict[int, float]]:
    """Semantic and instance mask of a phantom, and how much of each vertebra is seen."""
    place = folder / "phantoms" / case.name
    levels = read_json(place / f"{case.name}_truth.json")["levels"]
    return (
        load_volume(place / f"{case.name}_seg-spine_dseg.nii.gz"),
        load_volume(place / f"{case.name}_seg-vert_dseg.nii.gz"),
        {row["label"]: row["visible_fraction"] for row in levels},
    )


def judge(case: Case, networks: Networks) -> Judged:
    """Name, measure and assess what the networks made of a case."""
    place = networks.answer(case)
    answer = read_json(place / "answer.json")
    if answer["code"] != "done":
        return Judged(case, answer["code"])
    image = _read(image_of(case, networks.folder), PrepareSettings()).volume
    raw = (load_volume(place / f"{kind}.nii.gz") for kind in ("semantic", "instance"))
    named = label_masks(image, *raw, LabelSettings())
    context = MeasureContext(
        scan_id=case.name,
        participant_id=None,
        session_id=None,
        facts=answer["facts"],
        semantic=named.semantic,
        instance=named.instance,
        image=image,
        levels=named.levels,
        variants=named.naming.get("variants", {}),
        confidence={int(k): v for k, v in answer["confidence"].items()},
    )
    rows = measure_scan(context, MeasureSettings())
    findings = assess_scan(QualityContext(named.semantic, named.instance, image, rows))
    return Judged(case, "done", named.semantic, named.instance, rows, tuple(findings))


def _read(image: Path, settings: PrepareSettings) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        # by a plain name: that of a published sample may say that it is a derived image
        path = Path(folder) / "scan_T2w.nii.gz"
        path.symlink_to(image.resolve())
        return read_scan(path, settings)
