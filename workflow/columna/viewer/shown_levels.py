"""The vertebrae of a scan with the names that they have, and those that decisions give them."""

from collections.abc import Iterable, Sequence
from typing import Any

from columna.anatomy import SACRUM
from columna.errors import DecisionError
from columna.label.reviewed import COMPUTED
from columna.results.layout import Layout
from columna.results.store import Store
from columna.review.decisions import FALSE, NAME, Decision, in_force
from columna.review.levels import S1, LevelDecisions, ReviewedName
from columna.viewer.reviewed_scans import centroids_of


def vertebrae_of(layout: Layout, scan_id: str) -> list[dict[str, Any]]:
    """The vertebrae of a scan from the top, as they are named without decisions.

    Returns
    -------
    list of dict
        ``position`` by which decisions name it (docs/corrections.md#which-vertebra; None for one
        that was added in an edited mask), ``label`` in the delivered mask, ``level`` without
        decisions, ``delivered`` (the level in the tables), ``p`` (its probability), ``second``
        (the most probable other name), ``is_piece``, and ``centre`` (RAS+ mm, or None). Empty
        where the scan has no result.
    """
    record = Store(layout).read(scan_id, "label")
    if record is None or record.status != "done":
        return []
    entries = [e for e in record.values["levels"] if e["label"] != SACRUM]
    entries.sort(key=lambda entry: entry["index"])
    before = {
        position: level
        for position, (_, level) in enumerate(record.values["naming"].get(COMPUTED, []), start=1)
    }
    centres = centroids_of(layout, scan_id)
    return [_vertebra(entry, before, centres) for entry in entries]


def _vertebra(
    entry: dict[str, Any], before: dict[int, str | None], centres: dict[int, list[float]]
) -> dict[str, Any]:
    position = entry.get("position", entry["index"])
    level = before.get(position, entry["level"])
    return {
        "position": position,
        "label": entry["label"],
        "level": level,
        "delivered": entry["level"],
        "p": entry["level_confidence"] if level == entry["level"] else None,
        "second": _second(entry),
        "is_piece": entry["is_fragment"],
        "centre": centres.get(entry["label"]),
    }


def corrected(
    vertebrae: Sequence[dict[str, Any]], decisions: Iterable[Decision]
) -> tuple[list[dict[str, Any]], int, str | None]:
    """What decisions make of the names.

    Parameters
    ----------
    vertebrae
        Of `vertebrae_of`.
    decisions
        About this scan.

    Returns
    -------
    vertebrae
        With ``now`` (a level or None), ``is_false``, ``is_pending`` (the tables say otherwise), and
        ``by`` (who decided about this one).
    shift
        By how many levels all names are moved.
    problem
        Why the decisions cannot hold together, or None. Then ``now`` is what was decided about
        each vertebra alone.
    """
    valid = in_force(decisions)
    about = {d.position: d for d in valid if d.decision in (NAME, FALSE)}
    decided = LevelDecisions.of(valid) or LevelDecisions()
    problem = None
    levels = {entry["position"]: entry["level"] for entry in vertebrae if entry["position"]}
    try:
        found = decided.applied([levels.get(n) for n in range(1, max(levels, default=0) + 1)])
        names = [found[p - 1] if (p := v["position"]) else _alone(v, None) for v in vertebrae]
    except DecisionError as error:
        problem = str(error)
        names = [_alone(entry, about.get(entry["position"])) for entry in vertebrae]
    rows = [
        entry
        | {
            "now": name.level,
            "is_false": name.is_false,
            "is_pending": (None if name.level == S1 else name.level) != entry["delivered"],
            "by": about[entry["position"]].rater if entry["position"] in about else None,
        }
        for entry, name in zip(vertebrae, names, strict=True)
    ]
    return rows, decided.shift, problem


def _alone(entry: dict[str, Any], said: Decision | None) -> ReviewedName:
    if said is None:
        return ReviewedName(entry["level"])
    if said.decision == FALSE:
        return ReviewedName(None, is_reviewed=True, is_false=True)
    return ReviewedName(said.value, is_reviewed=True)


def _second(entry: dict[str, Any]) -> str | None:
    others = {name: p for name, p in entry["posterior"].items() if name != entry["level"]}
    return max(others, key=lambda name: others[name], default=None)
