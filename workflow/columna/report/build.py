"""`columna report`: from the delivered tables to a folder of pages."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from columna.anatomy import label_table, levels
from columna.assess.rules import all_rules
from columna.config import Config
from columna.files import write_json, write_text
from columna.parquet import reading
from columna.picture.marks import DOUBT_RULE
from columna.report import cohort_data, scan_data
from columna.report.methods import manifest_of, methods_of
from columna.report.numbered_tables import NumberedTables
from columna.report.pages import HERE, render_pages
from columna.report.scripts import write_value
from columna.report.shown_measures import GROUPS, SPINE_MEASURES, described, described_columns
from columna.results.layout import Layout
from columna.tables.catalogue import TABLES
from columna.tables.delivered import REMEDY
from columna.tables.reasons import reason_table

BIBLIOGRAPHY = "references.bib"
METHODS = "methods.md"
MANIFEST = "manifest.json"
START = "index.html"


def write_report(layout: Layout, config: Config, threads: int = 2) -> Path:
    """Write the report of a run whose tables are there; an older one is replaced as a whole.

    Parameters
    ----------
    layout, config
        The run.
    threads
        Cores to use.

    Returns
    -------
    pathlib.Path
        The page to open first.

    Raises
    ------
    TableError
        If a table is not there, is damaged or of another version.
    """
    with _replacing(layout.report) as folder:
        work = folder / ".work"
        work.mkdir(parents=True)
        with reading(layout.tables, REMEDY, what="holds a damaged table"):
            source = NumberedTables(layout, work, threads)
            try:
                _write(source, layout, config, folder)
            finally:
                source.close()
        shutil.rmtree(work)
    return layout.report / START


def _write(source: NumberedTables, layout: Layout, config: Config, folder: Path) -> None:
    data = folder / "data"
    data.mkdir()
    shutil.copytree(HERE / "static", folder / "static")
    scan_data.write_scans(source, layout, data)
    write_value(data / "meta.js", "meta", _meta(source, layout))
    distributions = cohort_data.distributions(source)
    quantiles = [
        {key: value for key, value in measure.items() if key != "levels"}
        | {"levels": [{k: v for k, v in row.items() if k != "points"} for row in measure["levels"]]}
        for measure in distributions
    ]
    write_value(data / "quantiles.js", "quantiles", quantiles)
    write_value(data / "distributions.js", "distributions", distributions)
    write_value(data / "drift.js", "drift", cohort_data.drift(source))
    manifest = manifest_of(source, layout, config)
    write_json(folder / MANIFEST, manifest)
    methods = methods_of(manifest)
    write_text(folder / METHODS, "\n\n".join(methods) + "\n")
    shutil.copyfile(HERE / BIBLIOGRAPHY, folder / BIBLIOGRAPHY)
    render_pages(
        folder,
        {
            "flow": cohort_data.flow(source),
            "verdicts": cohort_data.verdicts(source),
            "reasons": [
                {"rule": rule, "n": n, "meaning": _rule_text(rule)}
                for rule, n in cohort_data.reasons(source)
            ],
            "manifest": manifest,
            "methods": methods,
            "bibliography": (HERE / BIBLIOGRAPHY).read_text(encoding="utf-8"),
        },
    )


def _meta(source: NumberedTables, layout: Layout) -> dict[str, Any]:
    """What all pages know: columns, levels, colours, words for codes."""
    rules = all_rules()
    return {
        "scans": source.scans_n,
        "listRows": scan_data.LIST_ROWS,
        "pageScans": scan_data.PAGE_SCANS,
        "list": ["scan_id", "picture", *scan_data.LIST, *source.own_columns],
        "own": source.own_columns,
        "facts": scan_data.FACTS,
        "factTexts": {name: TABLES["scans"][name].description for name in scan_data.FACTS},
        "level": ["level", "vertebra", *scan_data.LEVEL],
        "finding": scan_data.FINDING,
        "measures": {group.table: group.columns for group in GROUPS},
        "described": {m["column"]: m for m in described()},
        "spine": described_columns("spine", SPINE_MEASURES),
        "levels": [level.name for level in levels().values()],
        "colours": [
            {"mask": r.mask, "name": r.name.replace("_", " "), "colour": r.color}
            for r in label_table()
        ],
        "rules": {
            r.rule_id: {
                "text": r.description,
                "unit": r.unit,
                "low": r.limits[0],
                "high": r.limits[1],
            }
            for r in rules.values()
        },
        "reasons": {
            code: {"meaning": row["meaning"], "advice": row["what_to_do"]}
            for code, row in reason_table().items()
        },
        "presence": dict(TABLES["vertebrae"]["presence"].codes),
        "doubtBelow": rules[DOUBT_RULE].limits[0],
        "results": layout.root.name or "results",
    }


def _rule_text(rule: str) -> str:
    known = all_rules().get(rule)
    return known.description if known else rule.replace("_", " ")


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """A fresh folder beside `folder` that takes its place when it is complete."""
    fresh, old = (folder.with_name(f".{folder.name}-{end}") for end in ("new", "old"))
    for left in (fresh, old):
        shutil.rmtree(left, ignore_errors=True)
    try:
        yield fresh
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
    finally:
        for left in (fresh, old):
            shutil.rmtree(left, ignore_errors=True)
