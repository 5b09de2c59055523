"""What tells how good a structure probably is, at little cost (docs/predicted-quality.md).

How sure phase 1 was of the structure and of its rim, whether phase 2 cut the vertebra out as phase
1 drew it, sizes against the neighbours, cuts by the field of view, and noise and contrast. What a
scan cannot tell is NaN.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from columna.anatomy import BODY, CANAL, DISC_OFFSET, POSTERIOR_ELEMENTS, Semantic
from columna.label.certainty import VoxelCertainty
from columna.tables.vertebrae import MEASURED

KINDS = ("body", "disc", "canal", "posterior")
"""Structures whose Dice is predicted; each belongs to a vertebra (discs to the one above)."""
REACH = 2
"""So many neighbours up and down a structure is compared with."""
FAR_MM = 50.0
"""What lies farther from the middle of all bodies belongs to no segment of the canal."""
UNSURE = 0.6
"""A voxel whose structure is less probable is unsure."""

SeenRow = Mapping[str, Any]
SeenRows = Mapping[str, Sequence[SeenRow]]
Signs = dict[str, float]


@dataclass(frozen=True, eq=False)
class SeenBodies:
    """Vertebrae with a body from top to bottom: instance labels and middles (n, 3), RAS+ mm."""

    labels: list[int]
    middle_mm: np.ndarray

    @classmethod
    def of(cls, vertebrae: Sequence[SeenRow]) -> "SeenBodies":
        """Take the rows of the table `vertebrae` that have a body."""
        rows = [r for r in vertebrae if r["index_from_top"] and r["centroid_s_mm"] is not None]
        rows.sort(key=lambda row: row["index_from_top"])
        middle = np.array([[r[f"centroid_{a}_mm"] for a in "ras"] for r in rows], float)
        return cls([r["spineps_label"] for r in rows], middle.reshape(-1, 3))

    def nearest(self, place_mm: np.ndarray) -> np.ndarray:
        """Label of the body whose middle is nearest to each place (n, 3); 0 far from all."""
        if not self.labels:
            return np.zeros(len(place_mm), int)
        distance, at = cKDTree(self.middle_mm).query(place_mm)
        return np.where(np.asarray(distance) <= FAR_MM, np.array(self.labels)[np.asarray(at)], 0)


def evidence(rows: SeenRows, certainty: VoxelCertainty) -> dict[str, dict[int, Signs]]:
    """Collect what tells how good the structures of a scan are.

    Parameters
    ----------
    rows
        Table -> rows of the scan, as measured.
    certainty
        How sure the network was.

    Returns
    -------
    dict
        Kind (`KINDS`) -> instance label of the vertebra -> name -> value, NaN where it is not
        known. All vertebrae of a kind have the same names.
    """
    seen = SeenBodies.of(rows["vertebrae"])
    owners = _owners(certainty, seen)
    scan = _scan_features(rows)
    more = _by_vertebra(rows, certainty)
    found: dict[str, dict[int, Signs]] = {}
    for kind in KINDS:
        chosen, owner = owners[kind]
        groups = dict(certainty.groups(chosen, owner))
        ordered = [label for label in seen.labels if label in groups]
        voxels = {label: _voxel_features(certainty, groups[label]) for label in ordered}
        sizes = _against_neighbours([voxels[label]["log_voxels"] for label in ordered])
        found[kind] = {
            label: voxels[label] | {"size_step": step} | more[kind](label) | scan
            for label, step in zip(ordered, sizes, strict=True)
        }
    return found


def _owners(
    certainty: VoxelCertainty, seen: SeenBodies
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Kind -> its voxels, and the vertebra that each of them belongs to."""
    label = certainty.label.astype(int)
    kinds = {
        "body": (BODY, 0),
        "disc": ((Semantic.DISC,), DISC_OFFSET),
        "posterior": (POSTERIOR_ELEMENTS, 0),
    }
    owners = {
        kind: (
            np.isin(certainty.kind, structures),
            np.where(np.isin(label - offset, seen.labels), label - offset, 0),
        )
        for kind, (structures, offset) in kinds.items()
    }
    is_canal = np.isin(certainty.kind, CANAL)
    owner = np.zeros(len(label), int)
    owner[is_canal] = seen.nearest(certainty.place_mm[is_canal])
    return owners | {"canal": (is_canal, owner)}


def _voxel_features(certainty: VoxelCertainty, part: np.ndarray) -> Signs:
    """What the network thought of a structure and of its rim."""
    sure, rim = certainty.probability[part], part[certainty.is_rim[part]]
    on_rim = certainty.probability[rim]
    total, missed = float(sure.sum(dtype=float)), float(certainty.missed[part].sum(dtype=float))
    return {
        "soft_dice": 2 * total / (len(part) + total + missed),
        "missed_share": missed / len(part),
        "p_mean": float(sure.mean(dtype=float)),
        "p_low": float(np.percentile(sure, 5)),
        "p_unsure": float((sure < UNSURE).mean()),
        "p_rim": float(on_rim.mean(dtype=float)) if len(rim) else np.nan,
        "entropy_mean": float(certainty.entropy[part].mean(dtype=float)),
        "entropy_rim": float(certainty.entropy[rim].mean(dtype=float)) if len(rim) else np.nan,
        "rim_share": len(rim) / len(part),
        "log_voxels": float(np.log(len(part))),
    }


def _against_neighbours(values: Sequence[float]) -> list[float]:
    """Distance of each value from the median of those around; 0 where there are none."""
    known = np.array(values, float)
    steps = []
    for place, value in enumerate(known):
        around = np.concatenate([known[max(place - REACH, 0) : place], known[place + 1 :][:REACH]])
        around = around[np.isfinite(around)]
        steps.append(float(value - np.median(around)) if len(around) else 0.0)
    return steps


def _scan_features(rows: SeenRows) -> Signs:
    """Voxel size, noise and contrast of the scan."""
    [scan] = rows["scans"]
    signal = {
        row["structure"]: (row["signal_median_au"], row["signal_sd_au"])
        for row in rows["structures"]
        if row["mask"] == "semantic" and row["signal_median_au"] is not None
    }
    body, canal, disc = (
        signal.get(name, (np.nan, np.nan)) for name in ("vertebral_body", "spinal_canal", "disc")
    )
    return {
        "slice_mm": float(scan["spacing_lr_mm"]),
        "pixel_mm": float(np.sqrt(scan["spacing_ap_mm"] * scan["spacing_si_mm"])),
        "body_spread": _ratio(body[1], body[0]),
        "contrast_canal": _ratio(canal[0] - body[0], np.hypot(canal[1], body[1])),
        "contrast_disc": _ratio(abs(disc[0] - body[0]), np.hypot(disc[1], body[1])),
    }


def _ratio(a: float, b: float) -> float:
    return float(a / b) if b else np.nan


def _by_vertebra(rows: SeenRows, certainty: VoxelCertainty) -> dict[str, Callable[[int], Signs]]:
    """Kind -> function from a vertebra's label to what its rows tell."""
    vertebrae = {r["spineps_label"]: r for r in rows["vertebrae"] if r["spineps_label"]}
    discs = {r["vertebra_upper"]: r for r in rows["discs"]}
    names = {label: row["vertebra"] for label, row in vertebrae.items()}
    agreement = _agreement(certainty)
    steps = {column: _steps(vertebrae, column) for column in ("height_middle_mm", "depth_mm")}

    def of_body(label: int) -> Signs:
        row = vertebrae[label]
        return {
            "is_cut": float(row["presence"] not in MEASURED),
            "is_cut_aside": float(row["presence"] == "lateral_cut"),
            "phases": agreement.get(label, np.nan),
            "height_step": steps["height_middle_mm"].get(label, np.nan),
            "depth_step": steps["depth_mm"].get(label, np.nan),
        }

    def of_disc(label: int) -> Signs:
        row: SeenRow = discs.get(names[label], {})
        residual, height = row.get("tiling_residual_mm"), row.get("disc_height_middle_mm")
        return {
            "is_cut": float(row.get("presence") == "partial"),
            "is_cut_aside": float(row.get("presence") == "lateral_cut"),
            "residual": abs(residual) if residual is not None else np.nan,
            "height": float(np.log(height)) if height else np.nan,
            "signal_step": _signal_step(row, vertebrae[label]),
        }

    def of_canal(label: int) -> Signs:
        return {"is_cut": float(vertebrae[label]["presence"] not in MEASURED)}

    def of_posterior(label: int) -> Signs:
        row = vertebrae[label]
        return {
            "is_cut": float(row["arch_status"] == "partial_fov"),
            "phases": agreement.get(label, np.nan),
        }

    return {"body": of_body, "disc": of_disc, "canal": of_canal, "posterior": of_posterior}


def _signal_step(disc: SeenRow, vertebra: SeenRow) -> float:
    """Absolute log of a disc's signal over that of the body above: no disc is like bone."""
    signals = disc.get("signal_disc_au"), vertebra["signal_body_au"]
    if any(signal is None or signal <= 0 for signal in signals):
        return float("nan")
    return abs(float(np.log(signals[0] / signals[1])))


def _steps(vertebrae: Mapping[int, SeenRow], column: str) -> dict[int, float]:
    """Label -> absolute log of a size over that of the neighbours."""
    known = [(n, row) for n, row in vertebrae.items() if row["index_from_top"] and row[column]]
    known.sort(key=lambda item: item[1]["index_from_top"])
    logs = _against_neighbours([float(np.log(row[column])) for _, row in known])
    return {n: abs(step) for (n, _), step in zip(known, logs, strict=True)}


def _agreement(certainty: VoxelCertainty) -> dict[int, float]:
    """Label -> Dice of a final vertebra and the instance of phase 2 that most of it comes from."""
    is_bone = np.isin(certainty.kind, (*BODY, *POSTERIOR_ELEMENTS))
    label, separated = (
        values[is_bone].astype(int) for values in (certainty.label, certainty.separated)
    )
    sizes = np.bincount(separated, minlength=1)
    found = {}
    for number in np.unique(label[label > 0]).tolist():
        mine = separated[label == number]
        counts = np.bincount(mine, minlength=1)
        counts[0] = 0
        best = int(counts.argmax())
        found[number] = 2 * int(counts[best]) / (len(mine) + int(sizes[best])) if best else 0.0
    return found
