"""Whether a structure is in the field of view as a whole (docs/measures.md#g15).

One rule for bodies, discs and canal: what is cut at the left or right side alone is
``lateral_cut``, and its middle can be measured; any other cut is ``partial_fov``.
"""

from collections.abc import Collection

from columna.measure.anatomy.fov import FieldOfView
from columna.measure.anatomy.parts import Parts
from columna.measure.context import Vertebra
from columna.measure.tools.regions import Region
from columna.tables.common import LATERAL_CUT, SAGITTAL_CODES

SIDES_OF_SLICES = frozenset("LR")


def cut_status(region: Region, fov: FieldOfView) -> str:
    """``ok``, ``lateral_cut`` or ``partial_fov``.

    Parameters
    ----------
    region
        A structure.
    fov
        The field of view.
    """
    faces = set(fov.faces(region))
    if fov.distance_mm(region) < fov.margin_mm or faces - SIDES_OF_SLICES:
        return "partial_fov"
    return LATERAL_CUT if faces else "ok"


def weakest(*codes: str) -> str:
    """Status of what several parts make: the first that lacks, else whether one is cut."""
    lacking = [code for code in codes if code not in SAGITTAL_CODES]
    if lacking:
        return lacking[0]
    return LATERAL_CUT if LATERAL_CUT in codes else "ok"


def body_status(
    vertebra: Vertebra,
    parts: Parts,
    fov: FieldOfView,
    repeated: Collection[str],
) -> str:
    """Status code of the body of a vertebra.

    Parameters
    ----------
    vertebra, parts
        The vertebra and its regions.
    fov
        The field of view.
    repeated
        Levels that were assigned more than once.
    """
    if vertebra.level in repeated:
        return "duplicate_label"
    if vertebra.level == "C1":
        return "not_applicable"
    if parts.body is None:
        return "outside_fov" if parts.faces else "not_segmented"
    return cut_status(parts.body, fov)


def arch_status(
    vertebra: Vertebra,
    parts: Parts,
    fov: FieldOfView,
    repeated: Collection[str],
) -> str:
    """Status code of arch and processes; parameters as in `body_status`."""
    if vertebra.level in repeated:
        return "duplicate_label"
    if not parts.posterior:
        return "outside_fov" if parts.faces else "not_segmented"
    is_any_cut = any(is_cut(region, fov) for region in parts.posterior.values())
    return "partial_fov" if is_any_cut else "ok"


def is_cut(region: Region, fov: FieldOfView) -> bool:
    """Whether a region touches a face, or is too near to the superior or inferior one."""
    return cut_status(region, fov) != "ok"


def visible_sides(vertebra: Vertebra, body: Region, fov: FieldOfView) -> tuple[str, ...]:
    """Endplates of a body that can be measured: not at the edge, not below a dens.

    A body that is cut in front or behind has none.
    """
    if set(fov.faces(body)) & set("AP"):
        return ()
    room = fov.room_mm(body)
    sides = {"superior": room["S"], "inferior": room["I"]}
    return tuple(
        side
        for side, free in sides.items()
        if free > 0 and free >= fov.margin_mm and (side, vertebra.level) != ("superior", "C2")
    )
