"""The spaces between vertebrae: what lies above, in and below each of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from columna.anatomy import DISC_OFFSET, SACRUM, levels
from columna.measure.anatomy.body import Body
from columna.measure.anatomy.geometry import Disc, Geometry
from columna.measure.anatomy.sacral import SacralPlate
from columna.tables.schema import Row

FOLLOWERS = {"T11": ("T12", "L1"), "T12": ("T13", "L1"), "L4": ("L5", "S1"), "L5": ("L6", "S1")}
"""Levels that may follow a level, where anatomy varies."""
OPTIONAL = ("T13", "L6")
_S1 = levels()[SACRUM].name
_NAMES = [level.name for level in levels().values()]
_NORMAL = [name for name in _NAMES if name not in OPTIONAL]


@dataclass(frozen=True, eq=False)
class Space:
    """The space below a vertebra, found or not.

    Parameters
    ----------
    row
        Row of the vertebra above in the table `vertebrae`.
    upper
        Body above; None where it was not found.
    disc
        Disc in it; None where it was not found.
    lower_name
        Vertebra below, as the table `vertebrae` names it, or S1; None without a name.
    lower_level
        Its level: of the vertebra found, otherwise of normal anatomy.
    lower
        Body or sacral endplate below; None where it was not found or is no neighbour.
    lower_label
        Instance label of `lower`.
    lower_row
        Row of the vertebra below; None for the sacrum, and where it was not found.
    """

    row: Row
    upper: Body | None
    disc: Disc | None
    lower_name: str | None
    lower_level: str | None
    lower: Body | SacralPlate | None
    lower_label: int | None
    lower_row: Row | None = None

    @property
    def bones(self) -> tuple[Body, Body | SacralPlate] | None:
        """The bones above and below; None where one of them is missing."""
        return None if self.upper is None or self.lower is None else (self.upper, self.lower)

    @property
    def name(self) -> str:
        """Unique name in the scan."""
        return f"{self.row['vertebra']}-{self.lower_name or 'next'}"


def scan_spaces(vertebrae: Sequence[Row], geometry: Geometry) -> tuple[Space, ...]:
    """Spaces below all vertebrae but C1 and fragments, in the order of the rows of `vertebrae`."""
    seen = sorted((r for r in vertebrae if r["index_from_top"]), key=lambda r: r["index_from_top"])
    by_level = {r["level"]: r for r in reversed(seen) if r["level"]}
    after = {upper["vertebra"]: lower for upper, lower in pairwise(seen)}
    unseen = _disc_above_all(seen, geometry)
    spaces = []
    for row in vertebrae:
        if row["level"] == "C1" or row["presence"] == "fragment":
            continue
        if row["index_from_top"]:
            spaces.append(_below_seen(row, after.get(row["vertebra"]), geometry))
        else:
            spaces.append(_below_absent(row, by_level, unseen, geometry))
    return tuple(spaces)


def disc_above(spaces: Sequence[Space], body: Body, geometry: Geometry) -> Disc | None:
    """Disc above a body: of its space, or one that no body found lies above."""
    space = next((s for s in spaces if s.lower is body), None)
    if space is not None:
        return space.disc
    return _unowned_above(geometry) if geometry.bodies[0] is body else None


def _below_seen(row: Row, after: Row | None, geometry: Geometry) -> Space:
    label = row["spineps_label"]
    upper, disc = geometry.by_label.get(label), geometry.discs.get(label)
    if after is None and geometry.sacrum is not None and _may_follow(row["level"], _S1):
        return Space(row, upper, disc, _S1, _S1, geometry.sacral, SACRUM)
    if after is not None and _may_follow(row["level"], after["level"]):
        below = after["spineps_label"]
        name, level, lower = after["vertebra"], after["level"], geometry.by_label.get(below)
        return Space(row, upper, disc, name, level, lower, below, after)
    level = _normal_below(row["level"])
    return Space(row, upper, disc, level, level, None, None)


def _below_absent(
    row: Row, by_level: Mapping[str, Row], unseen: Disc | None, geometry: Geometry
) -> Space:
    level = _normal_below(row["level"])
    named = None if unseen is None else levels().get(unseen.label)
    disc = unseen if named is not None and named.name == row["level"] else None
    below = None if level is None else by_level.get(level)
    if below is None:
        return Space(row, None, disc, level, level, None, None)
    label = below["spineps_label"]
    lower = geometry.by_label.get(label)
    return Space(row, None, disc, below["vertebra"], level, lower, label, below)


def _may_follow(upper: str | None, lower: str | None) -> bool:
    """Whether two neighbours in the row of vertebrae are neighbours of anatomy, by name."""
    if upper is None or lower is None:
        return True
    return lower == _normal_below(upper) or lower in FOLLOWERS.get(upper, ())


def _normal_below(level: str | None) -> str | None:
    """The next level of a spine without T13 and L6 (below these: L1 and S1)."""
    if level is None:
        return None
    return next(n for n in _NAMES[_NAMES.index(level) + 1 :] if n in _NORMAL)


def _disc_above_all(seen: Sequence[Row], geometry: Geometry) -> Disc | None:
    """The disc above the topmost vertebra, if that vertebra has a name to count from."""
    return _unowned_above(geometry) if seen and seen[0]["level"] else None


def _unowned_above(geometry: Geometry) -> Disc | None:
    """The lowest of the discs above the topmost body."""
    if not geometry.bodies or geometry.curve is None:
        return None
    place = geometry.curve.nearest
    top = float(place(geometry.bodies[0].crop.centroid_mm))
    above = [
        (float(place(disc.crop.centroid_mm)), label)
        for label, disc in geometry.discs.items()
        if label not in geometry.by_label
    ]
    above = [entry for entry in above if entry[0] < top]
    return geometry.discs[max(above)[1]] if above else None


def disc_label(disc: Disc) -> int:
    """Label of a disc in the instance mask."""
    return DISC_OFFSET + disc.label
