"""Rows of the tables about what joins the vertebrae: discs, canal and cord, the whole spine."""

from collections.abc import Sequence

from columna.measure.anatomy.canal import Canal
from columna.measure.anatomy.cord_end import cord_end
from columna.measure.anatomy.scan_anatomy import ScanAnatomy
from columna.measure.anatomy.sites import canal_sites
from columna.measure.anatomy.spaces import scan_spaces
from columna.measure.rows.cord_canal import cord_canal_rows
from columna.measure.rows.discs import disc_rows
from columna.measure.rows.spine import spine_row
from columna.tables.schema import Row


def column_rows(anatomy: ScanAnatomy, vertebrae: Sequence[Row]) -> dict[str, list[Row]]:
    """Make the rows of the tables `discs`, `cord_canal` and `spine`.

    Parameters
    ----------
    anatomy
        The scan.
    vertebrae
        Its rows of the table `vertebrae`.
    """
    context, geometry = anatomy.context, anatomy.geometry
    spaces = scan_spaces(vertebrae, geometry)
    discs = disc_rows(anatomy, spaces)
    canal = Canal.of(geometry, anatomy.fov, context.instance.affine)
    sites = canal_sites(spaces, geometry, canal)
    end = cord_end(spaces, sites)
    cord_canal = cord_canal_rows(context, spaces, sites, None if end is None else end.u)
    spine = spine_row(anatomy, vertebrae, discs, cord_canal, end)
    return {"discs": discs, "cord_canal": cord_canal, "spine": [spine]}
