"""The corrections of a run: the file of decisions and the folder of edited masks, by scan."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from columna.config import Config
from columna.errors import ConfigError, DecisionError
from columna.files import sha256_json, stamp
from columna.results.derivatives import Derivatives
from columna.results.layout import Layout
from columna.results.manifest import MASKS
from columna.review.decisions import Decision, read_decisions
from columna.review.levels import LevelDecisions

PACKED, UNPACKED = ".nii.gz", ".nii"
SIDECARS = (".json", ".tsv", ".txt")
"""Endings of files that may lie beside masks."""


@dataclass(frozen=True)
class Corrections:
    """What people have put right.

    Parameters
    ----------
    levels
        Scan -> what was decided about its names.
    files
        Name without ``.nii`` or ``.nii.gz`` -> edited masks of this name.
    """

    levels: Mapping[str, LevelDecisions] = field(default_factory=dict)
    files: Mapping[str, list[Path]] = field(default_factory=dict)

    @classmethod
    def of(cls, config: Config, decisions: Iterable[Decision] | None = None) -> "Corrections":
        """Read what the configuration names; what is not there yet holds nothing.

        Parameters
        ----------
        config
            The run.
        decisions
            `decisions_of` it, if they have been read.

        Raises
        ------
        DecisionError
            If the file of decisions is damaged, or cannot be read.
        ConfigError
            If the folder of edited masks holds the delivered ones, or lies among them.
        """
        _check_apart(config)
        by_scan: dict[str, list[Decision]] = {}
        for decision in decisions_of(config) if decisions is None else decisions:
            by_scan.setdefault(decision.scan_id, []).append(decision)
        found = {scan: LevelDecisions.of(rows) for scan, rows in by_scan.items()}
        return cls(
            {scan: levels for scan, levels in found.items() if levels is not None},
            _mask_files(config.corrected_masks),
        )

    def masks(self, scan_id: str) -> dict[str, list[Path]]:
        """The edited masks of a scan, ``semantic`` and ``instance``; those that are there.

        More than one file of a mask is for the caller to refuse.
        """
        found = {mask: self.files.get(name, []) for mask, name in mask_names(scan_id).items()}
        return {mask: paths for mask, paths in found.items() if paths}

    def state(self, scan_id: str) -> str | None:
        """Digest of the decisions about the names of a scan, and of size and time of its masks.

        None where nothing was put right.
        """
        masks = self.masks(scan_id)
        levels = self.levels.get(scan_id)
        if levels is None and not masks:
            return None
        stamps = [[mask, path.name, _stamp(path)] for mask in masks for path in masks[mask]]
        return sha256_json([levels.content if levels else None, stamps])[:16]


def decisions_of(config: Config) -> list[Decision]:
    """All decisions of a run; [] where the configuration names no file, or it is not there yet.

    Raises
    ------
    DecisionError
        If the file is damaged, or cannot be read.
    """
    path = config.corrections
    if path is None:
        return []
    try:
        return read_decisions(path)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DecisionError(f"{path} cannot be read: {error.strerror}") from error


def decisions_state(decisions: Iterable[Decision]) -> str:
    """Digest of all decisions of a run but for the comments; empty where there is none."""
    rows = [[d.decision_id, *_told(d)] for d in decisions]
    return sha256_json(rows) if rows else ""


def mask_names(scan_id: str) -> dict[str, str]:
    """Names of the masks of a scan as they are delivered, without ``.nii.gz``."""
    names = Derivatives(Path(), scan_id)
    return {mask: getattr(names, mask).name.removesuffix(PACKED) for mask in MASKS}


def correction_notes(config: Config, scan_ids: Iterable[str]) -> list[str]:
    """Sentences about corrections that have no effect.

    Parameters
    ----------
    config
        The run.
    scan_ids
        All scans of the cohort.
    """
    named = [path for path in (config.corrections, config.corrected_masks) if path is not None]
    notes = [f"{p} does not exist: nothing is corrected by it" for p in named if not p.exists()]
    known = set(scan_ids) if named else set()
    if strangers := [d.scan_id for d in decisions_of(config) if d.scan_id not in known]:
        notes.append(
            f"{config.corrections}: {len(strangers)} decisions are about scans that are not in the "
            f"cohort, the first about {min(strangers)!r}; they have no effect"
        )
    files = _mask_files(config.corrected_masks)
    if files:
        names = {name for scan_id in known for name in mask_names(scan_id).values()}
        if odd := sorted(path.name for name in files.keys() - names for path in files[name]):
            notes.append(
                f"{config.corrected_masks}: {len(odd)} files are not named as a mask of a scan of "
                f"the cohort, the first is {odd[0]!r}; they have no effect"
            )
    return notes


def _told(decision: Decision) -> list[str]:
    return [
        decision.scan_id,
        decision.decision,
        decision.domain,
        decision.vertebra,
        decision.value,
        decision.reason,
        decision.rater,
        decision.decided_at,
    ]


def _stamp(path: Path) -> list[object] | None:
    try:
        return stamp(path)
    except OSError:
        return None


def _check_apart(config: Config) -> None:
    """Delivered masks would count as edited ones, and be taken for their own correction."""
    if config.corrected_masks is None:
        return
    edited = config.corrected_masks.resolve()
    delivered = Layout(config.results).derivatives.resolve()
    if edited.is_relative_to(delivered) or delivered.is_relative_to(edited):
        raise ConfigError(
            f"corrected_masks: {config.corrected_masks} must be a folder apart from the delivered "
            f"masks in {Layout(config.results).derivatives}"
        )


def _mask_files(folder: Path | None) -> dict[str, list[Path]]:
    """Name without ending -> NIfTI files of a folder and the folders in it, in order.

    Files of another format have their whole name: no scan has such a mask.
    """
    found: dict[str, list[Path]] = {}
    for root, folders, names in os.walk(folder) if folder is not None else ():
        folders.sort()
        for name in sorted(names):
            if not name.startswith(".") and not name.endswith(SIDECARS):
                ending = PACKED if name.endswith(PACKED) else UNPACKED
                found.setdefault(name.removesuffix(ending), []).append(Path(root, name))
    return found
