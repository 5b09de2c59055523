"""The vertebrae of a scan with the names that they have, and those that decisions give them."""

from collections.abc import Iterable
from typing import Any

from columna.anatomy import L6 as L6_LABEL
from columna.anatomy import SACRUM, T13, levels
from columna.results.layout import Layout
from columna.results.store import Store
from columna.review.decisions import FALSE, NAME, SHIFT, Decision, for_scan, in_force
from columna.viewer.scans import centroids_of

_USUAL = [level.name for label, level in levels().items() if label not in (T13, L6_LABEL)]


def vertebrae_of(layout: Layout, scan_id: str) -> list[dict[str, Any]]:
    """The vertebrae of a scan from the top, as stage label has named them.

    Returns
    -------
    list of dict
        ``position`` (1 = topmost, pieces and cut ones count), ``label`` in the mask, ``level``,
        ``p`` and ``second`` (the name's probability, and the second name), ``is_piece``, and
        ``centre`` (RAS+ mm, or None). Empty where the scan has no result.
    """
    record = Store(layout).read(scan_id, "label")
    entries = record.values.get("levels", []) if record else []
    centres = centroids_of(layout, scan_id) if entries else {}
    return [
        {
            "position": entry["index"],
            "label": entry["label"],
            "level": entry["level"],
            "p": entry["level_confidence"],
            "second": _second(entry),
            "is_piece": entry["is_fragment"],
            "centre": centres.get(entry["label"]),
        }
        for entry in sorted(entries, key=lambda entry: entry["index"])
        if entry["label"] != SACRUM
    ]


def corrected(
    vertebrae: Iterable[dict[str, Any]], decisions: Iterable[Decision], scan_id: str
) -> list[dict[str, Any]]:
    """`vertebrae` with what decisions say: ``now`` (a level or None), ``is_false``, ``by``."""
    valid = in_force(for_scan(decisions, scan_id))
    steps = sum(d.steps for d in valid if d.decision == SHIFT)
    about = {d.position: d for d in valid if d.decision in (NAME, FALSE)}
    return [_corrected(entry, steps, about.get(entry["position"])) for entry in vertebrae]


def _corrected(entry: dict[str, Any], steps: int, said: Decision | None) -> dict[str, Any]:
    is_false = said is not None and said.decision == FALSE
    now = shifted(entry["level"], steps)
    if said is not None:
        now = None if is_false else said.value
    return entry | {"now": now, "is_false": is_false, "by": said.rater if said else None}


def shifted(level: str | None, steps: int) -> str | None:
    """The level `steps` levels below, of a spine with 12 thoracic and 5 lumbar vertebrae.

    None where there is none; T13 and L6 count as the level above them.
    """
    if level is None or not steps:
        return level
    place = _USUAL.index({"T13": "T12", "L6": "L5"}.get(level, level)) + steps
    return _USUAL[place] if 0 <= place < len(_USUAL) else None


def _second(entry: dict[str, Any]) -> str | None:
    others = {name: p for name, p in entry["posterior"].items() if name != entry["level"]}
    return max(others, key=lambda name: others[name], default=None)
