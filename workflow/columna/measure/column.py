"""Rows of the tables about what joins the vertebrae: discs, canal and cord, the whole spine."""

from collections.abc import Mapping, Sequence

from columna.measure.anatomy.canal import Canal
from columna.measure.anatomy.cord_end import cord_end
from columna.measure.anatomy.fov import FieldOfView
from columna.measure.anatomy.geometry import Geometry
from columna.measure.anatomy.sites import canal_sites
from columna.measure.anatomy.spaces import scan_spaces
from columna.measure.anatomy.tissue import Tissue
from columna.measure.context import MeasureContext
from columna.measure.rows.cord_canal import cord_canal_rows
from columna.measure.rows.discs import disc_rows
from columna.measure.rows.spine import spine_row
from columna.measure.tools.regions import Region
from columna.tables.schema import Row


def column_rows(
    context: MeasureContext,
    vertebrae: Sequence[Row],
    regions: Mapping[int, Region],
    fov: FieldOfView,
    geometry: Geometry,
    tissue: Tissue | None,
) -> dict[str, list[Row]]:
    """Make the rows of the tables `discs`, `cord_canal` and `spine`.

    Parameters
    ----------
    context
        The scan.
    vertebrae
        Its rows of the table `vertebrae`.
    regions
        Regions of its instance mask, by label.
    fov
        The field of view.
    geometry, tissue
        Bones, discs and canal, and the image (None where it is not at hand).
    """
    spaces = scan_spaces(vertebrae, geometry)
    discs = disc_rows(context, spaces, regions, geometry, tissue)
    canal = Canal.of(geometry, fov, context.instance.affine)
    sites = canal_sites(spaces, geometry, canal)
    end = cord_end(spaces, sites)
    cord_canal = cord_canal_rows(context, spaces, sites, None if end is None else end.u)
    spine = spine_row(context, geometry, vertebrae, discs, cord_canal, end)
    return {"discs": discs, "cord_canal": cord_canal, "spine": [spine]}
