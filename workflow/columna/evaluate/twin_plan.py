"""What a synthetic twin is made of: a scan of the cohort, and a patient who does not exist."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from columna.errors import ColumnaError
from columna.images.triple import Triple, three
from columna.phantom.settings import PhantomSettings, SpineRegion, random_settings

FIRST_SEED = 3_500_000_000
"""Training draws its seeds below 2^31, `columna train evaluate` from 3,000,000,000 on."""
WHOLE_MM = 380.0
"""A field of view at least this high shows a whole spine, where no level was found."""
TEXTURE = 0.06
LEAST_NOISE, MOST_NOISE = 0.005, 0.2
SHIFT_SD_MM = (8.0, 12.0, 3.0)
"""How far the middle of a field of view is from that of the phantom's region: P, I, R."""


@dataclass(frozen=True)
class SeenScan:
    """What a twin takes over from a scan of the cohort.

    Parameters
    ----------
    scan_id
        The scan.
    spacing_mm, fov_mm
        Towards posterior, inferior and right.
    obliquity_deg
        Tilt of the slices.
    region
        Part of the spine that it shows.
    noise
        SD of the noise relative to cerebrospinal fluid.
    marrow
        Brightness of bodies relative to it; None where no rule could tell.
    """

    scan_id: str
    spacing_mm: Triple
    fov_mm: Triple
    obliquity_deg: float
    region: SpineRegion
    noise: float | None
    marrow: float | None


@dataclass(frozen=True)
class TwinPlan:
    """One twin: its name, the scan that it resembles, and the settings of its phantom."""

    name: str
    scan: SeenScan
    settings: PhantomSettings


def seen_scans(tables: Path) -> list[SeenScan]:
    """Scans of a cohort, as its tables describe them.

    Parameters
    ----------
    tables
        Folder of the delivered tables.

    Raises
    ------
    ColumnaError
        If there is no table of scans, or no scan in it was accepted.
    """
    path = tables / "scans.parquet"
    if not path.exists():
        raise ColumnaError(f"{path}: there is none; run the workflow first, which makes it")
    rows = pd.read_parquet(path).sort_values("scan_id")
    rows = rows[rows["input_status"].astype(str) == "ok"]
    if rows.empty:
        raise ColumnaError(f"{path}: no scan was accepted, so there is no grid to put a twin on")
    signals = _signals(tables / "quality.parquet")
    return [_seen(row, signals) for _, row in rows.iterrows()]


def plan_twins(scans: Sequence[SeenScan], count: int) -> list[TwinPlan]:
    """The first `count` twins; a larger number begins with the same ones.

    Scans take turns in a random order, so that every grid has as many twins as any other.
    """
    order = np.random.default_rng([FIRST_SEED, len(scans)]).permutation(len(scans))
    return [_plan(n, scans[order[n % len(scans)]]) for n in range(count)]


def _plan(number: int, scan: SeenScan) -> TwinPlan:
    seed = FIRST_SEED + number
    rng = np.random.default_rng([seed, 17])
    more = {} if scan.noise is None else {"noise": scan.noise}
    settings = random_settings(
        seed,
        surroundings="body",
        region=scan.region,
        spacing_mm=scan.spacing_mm,
        fov_mm=scan.fov_mm,
        fov_shift_mm=three(float(v) for v in rng.normal(0, SHIFT_SD_MM)),
        obliquity_deg=float(np.clip(scan.obliquity_deg * rng.choice([-1, 1]), -60, 60)),
        texture=TEXTURE,
        **more,
    )
    return TwinPlan(f"twin-{number:04d}", scan, settings)


def _signals(path: Path) -> dict[tuple[str, str], float]:
    """Scan and rule -> value, of the rules that say how bright and how noisy a scan is."""
    if not path.exists():
        return {}
    rows = pd.read_parquet(path)
    rows = rows[rows["rule_id"].isin(["snr_csf", "csf_over_body"]) & rows["value"].notna()]
    keys = zip(rows["scan_id"].astype(str), rows["rule_id"].astype(str), strict=True)
    return dict(zip(keys, rows["value"].astype(float), strict=True))


def _seen(row: pd.Series, signals: dict[tuple[str, str], float]) -> SeenScan:
    scan_id = str(row["scan_id"])
    snr, ratio = (signals.get((scan_id, rule)) for rule in ("snr_csf", "csf_over_body"))
    return SeenScan(
        scan_id=scan_id,
        spacing_mm=three(float(row[f"spacing_{axis}_mm"]) for axis in ("ap", "si", "lr")),
        fov_mm=three(float(row[f"fov_{axis}_mm"]) for axis in ("ap", "si", "lr")),
        obliquity_deg=float(row["obliquity_deg"]),
        region=_region(row),
        noise=_noise(snr) if snr else None,
        marrow=float(np.clip(1 / ratio, 0.05, 1.5)) if ratio else None,
    )


def _noise(snr: float) -> float:
    """Noise that, with the texture of tissue, gives the signal to noise ratio of a scan."""
    rest = max(1 / snr**2 - TEXTURE**2, 0)
    return float(np.clip(np.sqrt(rest), LEAST_NOISE, MOST_NOISE))


def _region(row: pd.Series) -> SpineRegion:
    """The region whose middle a scan shows, by the levels that were found in it."""
    first, last = (str(row[f"level_{end}"] or "")[:1] for end in ("first", "last"))
    if first == "C" and last in ("L", "S"):
        return "whole"
    if first == "C":
        return "cervicothoracic"
    if last in ("L", "S"):
        return "whole" if float(row["fov_si_mm"]) >= WHOLE_MM else "lumbar"
    if last == "T":
        return "thoracic"
    return "whole" if float(row["fov_si_mm"]) >= WHOLE_MM else "lumbar"
