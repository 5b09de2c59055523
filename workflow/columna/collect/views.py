"""``views.sql``: the tables as DuckDB views, and the joins that most analyses begin with."""

from columna.anatomy import levels, vertebra_labels
from columna.tables.catalogue import TABLES
from columna.tables.schema import Table

VIEWS_FILE = "views.sql"

WIDE_VERTEBRA = (
    "body_volume_mm3",
    "height_anterior_mm",
    "height_middle_mm",
    "height_posterior_mm",
    "depth_mm",
    "wedge_angle_deg",
)
WIDE_DISC = ("disc_height_middle_mm", "gap_middle_mm", "disc_angle_deg", "signal_disc_csf_ratio")
SCAN_FACTS = (
    "field_strength_t",
    "manufacturer",
    "spacing_lr_mm",
    "spacing_ap_mm",
    "spacing_si_mm",
    "mask_source",
    "qc_verdict",
)
"""Columns of `scans` that models adjust for."""

_HEAD = """\
-- Views on the tables of columna, for DuckDB. From the folder of the tables:
--   duckdb -init views.sql
-- or, from anywhere, in Python:
--   con = duckdb.connect(); con.execute("SET file_search_path = 'results/tables'")
--   con.execute(open("results/tables/views.sql").read())
"""

_EXCLUDED = """\
-- Scans that people have excluded (docs/corrections.md); the views below leave them out.
CREATE OR REPLACE VIEW v_excluded AS
SELECT DISTINCT scan_id FROM ratings WHERE decision = 'exclude' AND state = 'in_force';
"""

_BODIES = """\
-- Vertebrae whose body is measured, with what models adjust for and the worst that the quality
-- rules say of the level's body and name. Where the slices do not reach its sides (presence =
-- 'lateral_cut') it has heights, depths and sagittal angles, but neither widths nor volumes. To
-- leave out what the rules doubt:
--   WHERE qc_verdict != 'fail' AND level_verdict != 'fail'
CREATE OR REPLACE VIEW v_measured_bodies AS
SELECT v.*, {facts},
       CASE WHEN 'fail' IN (v.level_verdict_bodies, v.level_verdict_names) THEN 'fail'
            WHEN 'review' IN (v.level_verdict_bodies, v.level_verdict_names) THEN 'review'
            ELSE 'ok' END AS level_verdict
FROM vertebrae v
JOIN scans s USING (scan_id)
WHERE v.presence IN ('complete', 'lateral_cut')
  AND scan_id NOT IN (SELECT scan_id FROM v_excluded);

-- Those that are wholly in the field of view.
CREATE OR REPLACE VIEW v_complete_bodies AS
FROM v_measured_bodies WHERE presence = 'complete' AND body_status = 'ok';
"""

_LUMBAR = """\
-- Complete lumbar bodies with the disc below.
CREATE OR REPLACE VIEW v_lumbar AS
SELECT b.*, {disc}
FROM v_complete_bodies b
LEFT JOIN discs d ON d.scan_id = b.scan_id AND d.vertebra_upper = b.vertebra
WHERE b.region = 'lumbar';
"""

_SUBJECT_WIDE = """\
-- One row per measured scan: measures of bodies (v_measured_bodies) and of discs by level (a disc
-- by the level above), then those of the spine as a whole.
CREATE OR REPLACE VIEW v_subject_wide AS
SELECT s.participant_id, s.session_id, s.scan_id, {facts},
       v.* EXCLUDE (scan_id),
       d.* EXCLUDE (scan_id),
       p.* EXCLUDE (participant_id, session_id, scan_id, n_implausible_n)
FROM scans s
LEFT JOIN (
    SELECT scan_id,
           {vertebrae}
    FROM v_measured_bodies GROUP BY scan_id
) v USING (scan_id)
LEFT JOIN (
    SELECT scan_id,
           {discs}
    FROM discs GROUP BY scan_id
) d USING (scan_id)
LEFT JOIN spine p USING (scan_id)
WHERE s.processing_status = 'done' AND s.scan_id NOT IN (SELECT scan_id FROM v_excluded);
"""


def views_sql() -> str:
    """Text of ``views.sql``."""
    facts = ", ".join(f"s.{name}" for name in SCAN_FACTS)
    own = {*TABLES["vertebrae"].names, *SCAN_FACTS}
    disc = ", ".join(f"d.{name}" for name in TABLES["discs"].names if name not in own)
    parts = [
        _HEAD,
        *(_table_view(table) for table in TABLES.values()),
        _EXCLUDED,
        _BODIES.format(facts=facts),
        _LUMBAR.format(disc=disc),
        _SUBJECT_WIDE.format(
            facts=facts,
            vertebrae=_by_level(WIDE_VERTEBRA, "level"),
            discs=_by_level(WIDE_DISC, "level_upper"),
        ),
    ]
    return "\n".join(parts)


def _table_view(table: Table) -> str:
    return f"CREATE OR REPLACE VIEW {table.name} AS FROM read_parquet('{table.name}.parquet');"


def _by_level(columns: tuple[str, ...], level: str) -> str:
    names = [levels()[label].name for label in vertebra_labels()][1:]  # C1 has no body
    return ",\n           ".join(
        f"max({column}) FILTER ({level} = '{name}') AS {name.lower()}_{column}"
        for name in names
        for column in columns
    )
