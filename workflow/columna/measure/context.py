"""What is known of a scan when it is measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from columna.anatomy import DISC_OFFSET, ENDPLATE_OFFSET, SACRUM
from columna.images.volume import Volume
from columna.label.certainty import VoxelCertainty

MEASURE_VERSION = "1.2.0"
"""Raised whenever the definition of a measure changes: tables of two versions do not mix."""


@dataclass(frozen=True)
class Vertebra:
    """One vertebra of the instance mask.

    Parameters
    ----------
    label
        Label in the instance mask.
    level
        Name, or None where it could not be named.
    anchor
        What the name rests on: a code of `columna.tables.vertebrae.ANCHORS`.
    confidence
        Probability of the name; None without a name, or where none was computed.
    position
        1 = topmost.
    is_fragment
        Whether it is a piece of bone that is no vertebra of its own.
    posterior
        Probability of every name, the most probable first; empty where none was computed.
    review_position
        Its position in the result without corrections; None where it was added.
    """

    label: int
    level: str | None
    anchor: str
    confidence: float | None
    position: int
    is_fragment: bool = False
    posterior: Mapping[str, float] = field(default_factory=dict)
    review_position: int | None = None

    @property
    def is_c2(self) -> bool:
        """Whether it was recognised as C2 (or given as it), and not just counted to be it."""
        return self.level == "C2" and self.anchor in ("c2", "both", "given", "sheet", "reviewed")


@dataclass(frozen=True, eq=False)
class MeasureContext:
    """Masks of a scan, and what earlier stages found out about it.

    Parameters
    ----------
    scan_id, participant_id, session_id
        Identity, as in the cohort.
    facts
        What `prepare` says of the input, by column name of the table `scans`.
    semantic, instance
        Final masks in the grid of the input, SPINEPS labels.
    image
        The input on the same grid; without it there is no signal and the field of view is the
        whole grid.
    levels
        One entry per vertebra: label, level, level_anchor, level_confidence, index, and
        is_fragment and posterior (false, or empty, where it is not said), and position (the index
        where it is not said).
    variants
        Probability of unusual numbers of vertebrae, by the names of `VariantPriors`.
    confidence
        Semantic label -> confidence_mean_ratio, confidence_p05_ratio, entropy_mean_ratio.
    certainty
        How sure phase 1 was, voxel by voxel; None for masks that were given.
    provenance
        Versions and digests, by column name of the table `scans`.
    """

    scan_id: str
    participant_id: str | None
    session_id: str | None
    facts: Mapping[str, Any]
    semantic: Volume
    instance: Volume
    image: Volume | None = None
    levels: Sequence[Mapping[str, Any]] = ()
    variants: Mapping[str, float] = field(default_factory=dict)
    confidence: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    certainty: VoxelCertainty | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> dict[str, str | None]:
        """The columns that every row begins with."""
        return {
            "participant_id": self.participant_id,
            "session_id": self.session_id,
            "scan_id": self.scan_id,
        }

    @cached_property
    def vertebrae(self) -> tuple[Vertebra, ...]:
        """Presacral vertebrae of `levels` from the top."""
        entries = [e for e in self.levels if e["label"] != SACRUM]
        ordered = sorted(entries, key=lambda entry: entry["index"])
        return tuple(
            Vertebra(
                label=e["label"],
                level=e["level"],
                anchor=e["level_anchor"] or "none",
                confidence=e["level_confidence"] if e["level"] else None,
                position=place,
                is_fragment=bool(e.get("is_fragment")) and not e["level"],
                posterior=e.get("posterior", {}),
                review_position=e.get("position", e["index"]),
            )
            for place, e in enumerate(ordered, start=1)
        )

    @cached_property
    def fragments(self) -> frozenset[int]:
        """Instance labels of pieces of bone, of their disc and plates, and of those above C2.

        No spine has a disc above C2; what the masks call so are pieces, too.
        """
        spaces = {v.label - 1 for v in self.vertebrae if v.is_c2}
        pieces = {v.label for v in self.vertebrae if v.is_fragment}
        beside = {
            offset + number
            for number in pieces | spaces
            for offset in (DISC_OFFSET, ENDPLATE_OFFSET)
        }
        return frozenset(pieces | beside)
