"""Which measures the pages show, of all that the tables hold."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from columna.tables.catalogue import TABLES
from columna.tables.schema import Column


@dataclass(frozen=True)
class Group:
    """Measures of one table that belong to a level.

    Parameters
    ----------
    table
        Name of the table.
    level
        Its column with the level.
    where
        Condition (SQL) on the rows that are meant.
    columns
        The measures.
    drift
        Those of which changes over sites and time are shown.
    """

    table: str
    level: str
    where: str
    columns: tuple[str, ...]
    drift: tuple[str, ...] = ()


GROUPS = (
    Group(
        "vertebrae",
        "level",
        "true",
        (
            "body_volume_mm3",
            "height_anterior_mm",
            "height_middle_mm",
            "height_posterior_mm",
            "depth_mm",
            "wedge_angle_deg",
            "signal_body_csf_ratio",
        ),
        ("body_volume_mm3", "height_middle_mm", "depth_mm", "signal_body_csf_ratio"),
    ),
    Group(
        "discs",
        "level_upper",
        "true",
        (
            "disc_height_middle_mm",
            "gap_middle_mm",
            "disc_angle_deg",
            "listhesis_mm",
            "signal_disc_csf_ratio",
        ),
        ("gap_middle_mm",),
    ),
    Group(
        "cord_canal",
        "level",
        "site = 'mid_body'",
        ("canal_area_mm2", "canal_ap_mm", "cord_area_mm2", "cord_ap_mm"),
        ("canal_area_mm2",),
    ),
)
SCAN_MEASURES = ("snr_csf_ratio", "cnr_body_csf_ratio", "cnr_cord_csf_ratio")
"""Measures of the table `scans`: drift of the images themselves."""
SPINE_MEASURES = (
    "lumbar_lordosis_l1_s1_deg",
    "sacral_slope_scanner_deg",
    "thoracic_kyphosis_t4_t12_deg",
    "coronal_cobb_max_deg",
    "length_c2_s1_mm",
    "listhesis_max_mm",
    "canal_area_min_mm2",
)
"""Measures of the spine as a whole, on the page of a scan."""


def described() -> Iterator[dict[str, Any]]:
    """Name, unit and definition of all measures of levels, as the pages show them."""
    for group in GROUPS:
        for name in group.columns:
            yield {"table": group.table, **_column(TABLES[group.table][name])}


def described_columns(table: str, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Name, unit and definition of columns of a table."""
    return [_column(TABLES[table][name]) for name in names]


def _column(column: Column) -> dict[str, Any]:
    unit = None if column.unit in (None, "1", "count") else column.unit
    words = column.name.rsplit("_", 1)[0] if column.unit else column.name
    title = words.replace("_", " ")
    return {
        "column": column.name,
        "title": title[0].upper() + title[1:],
        "unit": unit,
        "description": column.description,
    }
