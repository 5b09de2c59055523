"""Data of the list of scans and of the pages of scans, in script files of moderate size."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from columna.assess.rules import needed_answers
from columna.domains import DOMAINS
from columna.report.numbered_tables import NumberedTables, quoted
from columna.report.scripts import write_page
from columna.report.shown_measures import GROUPS, SPINE_MEASURES
from columna.results.derivatives import Derivatives
from columna.results.layout import Layout

LIST_ROWS = 5_000
"""Scans in one file of the list."""
PAGE_SCANS = 50
"""Scans in one file of the pages."""
BLOCK = 10_000
"""Scans that are in memory at once; a multiple of both."""

LIST = (
    "participant_id",
    "session_id",
    "processing_status",
    "processing_stage",
    "processing_code",
    "qc_verdict",
    "qc_reasons",
    "level_first",
    "level_last",
    "n_vertebrae_n",
)
"""Columns of `scans` in the list, after number and scan_id; the cohort's own columns follow."""
FACTS = (
    "processing_reason",
    "acquisition",
    "field_strength_t",
    "manufacturer",
    "model_name",
    "spacing_lr_mm",
    "spacing_ap_mm",
    "spacing_si_mm",
    "enumeration_variant",
    *(f"qc_{domain}_verdict" for domain in DOMAINS),
    "qc_other_reasons",
    "snr_csf_ratio",
    "cnr_body_csf_ratio",
    "cnr_cord_csf_ratio",
    "mask_source",
    "pipeline_version",
    "git_commit",
    "container_digest",
    "model_semantic",
    "model_semantic_sha256",
    "model_instance",
    "model_instance_sha256",
    "model_labeling",
    "measure_version",
    "config_sha256",
    "input_sha256",
    "same_image_as",
)
"""Columns of `scans` on the page of a scan."""
LEVEL = (
    "level_anchor",
    "level_p_ratio",
    "level_second",
    "level_second_p_ratio",
    "presence",
    "spineps_label",
)
"""Columns of `vertebrae` on it that are no measures."""
FINDING = ("rule_id", "item", "level", "value", "value_status", "verdict")


def write_scans(source: NumberedTables, layout: Layout, data: Path) -> None:
    """Write the scripts of all scans below the folder `data`.

    ``list/<k>.js`` has rows of `LIST_ROWS` scans each, ``scan/<k>.js`` what the pages of
    `PAGE_SCANS` scans show.
    """
    pictures = {path.stem for path in (layout.root / "pictures").glob("[!.]*.webp")}
    for start in range(0, source.scans_n, BLOCK):
        source.run(
            "CREATE OR REPLACE TEMP TABLE block AS "
            f"FROM numbered WHERE n >= {start} AND n < {start + BLOCK}"
        )
        rows = _list_rows(source, pictures)
        _write(data, "list", start, rows, LIST_ROWS)
        _write(data, "scan", start, list(_scan_rows(source, layout, rows)), PAGE_SCANS)


def _write(data: Path, kind: str, start: int, rows: list[str], size: int) -> None:
    for first in range(0, len(rows), size):
        write_page(data, kind, (start + first) // size, rows[first : first + size])


def _list_rows(source: NumberedTables, pictures: set[str]) -> list[str]:
    """JSON of each scan of the block: scan_id, picture or not, then `LIST`, then own columns."""
    own = ", ".join(f"p.{quoted(name)}" for name in source.own_columns)
    wanted = ", ".join(f"s.{name}" for name in LIST)
    found = source.rows(
        f"SELECT s.scan_id, {wanted}{', ' + own if own else ''} FROM block b "  # noqa: S608
        "JOIN scans s USING (scan_id) LEFT JOIN participants p USING (scan_id) ORDER BY b.n"
    )
    return [
        json.dumps(
            [scan_id, int(scan_id in pictures), *rest], ensure_ascii=False, separators=(",", ":")
        )
        for scan_id, *rest in found
    ]


def _scan_rows(source: NumberedTables, layout: Layout, rows: list[str]) -> Iterator[str]:
    """JSON of each scan of the block, as an object."""
    parts = {
        "facts": _facts(source),
        "findings": _findings(source),
        **{group.table: _levels(source, group.table) for group in GROUPS},
        "spine": _spine(source),
    }
    [[first]] = source.rows("SELECT min(n) FROM block")
    for place, row in enumerate(rows):
        scan_id = json.loads(row)[0]
        members = [f'"row":{row}', f'"files":{json.dumps(_files(layout, scan_id))}']
        members += [
            f'"{name}":{found[first + place]}'
            for name, found in parts.items()
            if first + place in found
        ]
        yield "{" + ",".join(members) + "}"


def _files(layout: Layout, scan_id: str) -> dict[str, str]:
    """Delivered files by kind, relative to the results; the page shows them of measured scans."""
    names = Derivatives(layout.derivatives, scan_id)
    files = {"semantic": names.semantic, "instance": names.instance, "points": names.points}
    return {kind: layout.relative(path) for kind, path in files.items()}


def _facts(source: NumberedTables) -> dict[int, str]:
    return _aggregated(source, "scans", f"any_value(json_array({', '.join(FACTS)}))")


def _spine(source: NumberedTables) -> dict[int, str]:
    return _aggregated(source, "spine", f"any_value(json_array({_rounded(SPINE_MEASURES)}))")


def _findings(source: NumberedTables) -> dict[int, str]:
    """What the rules ask to look at, and answers that a scan must have and has not."""
    entry = f"json_array({', '.join(FINDING)})"
    return _aggregated(
        source,
        "quality",
        f"to_json(list({entry} ORDER BY rule_id, level_order, item))",
        "verdict IN ('review', 'fail') OR "
        f"(verdict IS NULL AND list_contains({needed_answers()}, rule_id::VARCHAR))",
    )


def _levels(source: NumberedTables, table: str) -> dict[int, str]:
    """Rows of a table of measures from the top, each with its level first."""
    [group] = [g for g in GROUPS if g.table == table]
    extra = f"vertebra, {', '.join(LEVEL)}, " if table == "vertebrae" else ""
    entry = f"json_array({group.level}, {extra}{_rounded(group.columns)})"
    order = "level_order, index_from_top"
    is_there = "presence NOT LIKE 'absent%' AND presence NOT IN ('not_segmented', 'undetermined')"
    has_any = f"coalesce({', '.join(group.columns)}) IS NOT NULL"
    where = is_there if table == "vertebrae" else has_any
    return _aggregated(
        source, table, f"to_json(list({entry} ORDER BY {order}))", f"{group.where} AND {where}"
    )


def _aggregated(
    source: NumberedTables, table: str, value: str, where: str = "true"
) -> dict[int, str]:
    """JSON text by number of scan."""
    found: list[tuple[Any, ...]] = source.rows(
        f"SELECT b.n, ({value})::VARCHAR FROM {table} JOIN block b USING (scan_id) "  # noqa: S608
        f"WHERE {where} GROUP BY b.n"
    )
    return dict(found)


def _rounded(columns: tuple[str, ...]) -> str:
    return ", ".join(f"round({name}, 3)" for name in columns)
