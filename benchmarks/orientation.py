"""Scans whose affine lies: what the bundled networks make of them, and which rules notice.

    python benchmarks/orientation.py --masks FOLDER [--data FOLDER] [--turns upright si ap ...]

Every scan goes through both networks as it is and with every wrong affine; the rules of
`columna.assess.orientation_rules` judge the masks. FOLDER keeps the masks: what is there is not
predicted again. Without --data (the folder of real scans), phantoms alone.
Phantoms that the limits were not chosen on, each upright and with one wrong affine in turn:

    python benchmarks/orientation.py --masks FOLDER --scans ph --phantoms 24 \\
        --first-seed 4100000000 --wrong-each 1
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from columna.assess.orientation_rules import orientation_findings
from columna.assess.quality_context import QualityContext
from columna.assess.rules import all_rules
from columna.config import Config
from columna.errors import ScanRefused
from columna.images.volume import Volume, load_volume, save_volume
from columna.phantom import make_phantom, random_settings

TURNS = {
    "upright": np.diag([1, 1, 1]),
    "si": np.diag([1, 1, -1]),
    "ap": np.diag([1, -1, 1]),
    "turn": np.diag([1, -1, -1]),
    "quarter": np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]]),
    "quarterback": np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]]),
    "swap": np.array([[1, 0, 0], [0, 0, 1], [0, 1, 0]]),
    "side": np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]]),
}
"""Name -> where the affine puts the patient's right, front and head: upside down, back to front,
both, on the front or the back, both mirrored, and left-right taken for front-back."""
VIEWS = (
    ("lumbar", (0.8, 0.8, 4.0)),
    ("cervicothoracic", (0.9, 0.9, 3.3)),
    ("thoracic", (1.0, 1.0, 3.3)),
    ("whole", (1.0, 1.0, 3.5)),
    ("lumbar", (1.1, 1.1, 3.3)),
    ("thoracic", (0.9, 0.9, 4.0)),
    ("cervicothoracic", (1.0, 1.0, 3.0)),
    ("lumbar", (1.0, 1.0, 3.5)),
    ("whole", (1.1, 1.1, 4.0)),
    ("cervicothoracic", (0.8, 0.8, 3.3)),
    ("thoracic", (0.9, 0.9, 3.3)),
    ("lumbar", (0.9, 0.9, 4.4)),
)
FIRST_SEED = 4_000_000_000
"""Training draws its seeds below 2^31."""
REAL = {
    "sctlumbar": "sct_lumbar/t2_lumbar.nii.gz",
    "tptbox": "tptbox_mri/sub-mri_label-6_T2w.nii.gz",
    "sctcerv": "sct_cervical/t2.nii.gz",
}
KINDS = ("img", "sem", "ins")


def scans(
    data: Path | None, phantoms_n: int, first_seed: int
) -> Iterator[tuple[str, Callable[[], Volume]]]:
    """Name of every scan, and how to get it."""
    files = {}
    if data:
        files = {name: data / file for name, file in REAL.items()}
        for file in sorted((data / "spider_space").glob("*_T2w.nii.gz")):
            files[f"spider{file.name[:3]}"] = file
    for number, (region, spacing) in enumerate(islice(cycle(VIEWS), phantoms_n)):
        settings = random_settings(
            first_seed + number, region=region, surroundings="body", spacing_mm=spacing
        )
        yield f"ph{number:02d}{region}", lambda s=settings: make_phantom(s).image
    for name, file in files.items():
        yield name, lambda f=file: load_volume(f)


def turns_of(number: int, turns: list[str], wrong_each: int) -> list[str]:
    """Turns of the scan with this number: upright, and `wrong_each` of the wrong ones in turn."""
    wrong = [turn for turn in turns if turn != "upright"]
    first = number * wrong_each
    chosen = {wrong[(first + step) % len(wrong)] for step in range(min(wrong_each, len(wrong)))}
    return [turn for turn in turns if turn == "upright" or turn in chosen]


@cache
def models() -> tuple[Any, Any]:
    from columna.models.instance_network import load_instance_model
    from columna.models.registry import find_model
    from columna.models.semantic_network import load_semantic_model

    return (
        load_semantic_model(find_model("bundled_semantic")),
        load_instance_model(find_model("bundled_instance")),
    )


def predict(scan: Volume, turn: str, stem: Path) -> None:
    """Write masks and image, and how it ended, as files that begin with `stem`."""
    from columna.evaluate.in_memory import segment

    wrong = np.eye(4)
    wrong[:3, :3] = TURNS[turn]
    ended = stem.with_name(f"{stem.name}.txt")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan_T2w.nii.gz"
        save_volume(Volume(scan.array, wrong @ scan.affine), path)
        try:
            answer = segment(path, *models(), Config())
        except ScanRefused as refusal:
            ended.write_text(f"refused {refusal.code}")
            return
    for kind, volume in zip(KINDS, (answer.image, answer.semantic, answer.instance), strict=True):
        save_volume(volume, stem.with_name(f"{stem.name}_{kind}.nii.gz"))
    ended.write_text(f"{answer.status} {answer.names}")


def judge(stem: Path) -> tuple[str, str]:
    """Values of the rules in their order, or why there are none; and what flags the scan."""
    status, *rest = stem.with_name(f"{stem.name}.txt").read_text().split()
    if status != "done":
        code = rest[0] if status == "refused" else status
        return code, f"refused: {code}"
    image, semantic, instance = (
        load_volume(stem.with_name(f"{stem.name}_{kind}.nii.gz")) for kind in KINDS
    )
    findings = list(orientation_findings(QualityContext(semantic, instance, image, {})))
    values = " ".join("   -  " if f.value is None else f"{f.value:6.2f}" for f in findings)
    verdicts = {f.rule_id: all_rules()[f.rule_id].verdict(f.value) or "NULL" for f in findings}
    return values, ", ".join(f"{r} {v}" for r, v in verdicts.items() if v != "ok")


def summary(reasons: list[str]) -> str:
    """How many scans are flagged, and by what."""
    refused = sum(why.startswith("refused") for why in reasons)
    judged = sum(" review" in why or " fail" in why for why in reasons)
    lacking = sum(bool(why) for why in reasons) - refused - judged
    return (
        f"flagged {refused + judged + lacking} of {len(reasons)}: {judged} by a rule, "
        f"{lacking} because rules have no answer, {refused} refused"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--masks", type=Path, required=True, help="folder that keeps the masks")
    parser.add_argument("--data", type=Path, help="folder of real scans")
    parser.add_argument("--turns", nargs="+", default=list(TURNS), choices=TURNS)
    parser.add_argument("--scans", default="", help="only scans whose name begins so")
    parser.add_argument("--phantoms", type=int, default=len(VIEWS), help="how many")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--wrong-each", type=int, default=len(TURNS), help="wrong turns of a scan")
    parser.add_argument("--judge-only", action="store_true", help="predict nothing")
    options = parser.parse_args()
    options.masks.mkdir(parents=True, exist_ok=True)
    flagged = {turn: [] for turn in options.turns}
    everything = scans(options.data, options.phantoms, options.first_seed)
    for number, (name, load) in enumerate(everything):
        if not name.startswith(options.scans):
            continue
        scan = None
        for turn in turns_of(number, options.turns, options.wrong_each):
            stem = options.masks / f"{name}_{turn}"
            if not stem.with_name(f"{stem.name}.txt").exists():
                if options.judge_only:
                    continue
                scan = load() if scan is None else scan
                predict(scan, turn, stem)
            values, why = judge(stem)
            flagged[turn].append(why)
            print(f"{name:<20} {turn:<12} {values:<28} {why}", flush=True)
    for turn, reasons in flagged.items():
        if reasons:
            print(f"{turn:<12} {summary(reasons)}")


if __name__ == "__main__":
    main()
