"""What a paper needs: a paragraph of methods, its references, and the manifest of the run."""

import platform
from collections import Counter
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pyarrow.parquet as pq

from columna import __version__
from columna.config import Config, config_sha256
from columna.files import sha256_file
from columna.models.registry import list_models
from columna.provenance import container_digest, git_commit
from columna.report.numbered_tables import NumberedTables
from columna.results.layout import Layout
from columna.tables.delivered import delivered_names
from columna.tables.schema import SCHEMA_VERSION

PACKAGES = ("torch", "nnunetv2", "numpy", "scipy", "scikit-image", "nibabel", "duckdb", "snakemake")
_MODELS = """
    SELECT {kind} AS name, {kind}_sha256 AS sha256, count(*) AS scans_n FROM scans
    WHERE {kind} IS NOT NULL AND processing_status = 'done' GROUP BY ALL ORDER BY ALL
"""
_VERSIONS = """
    SELECT pipeline_version, git_commit, container_digest, measure_version, mask_source, count(*)
    FROM scans WHERE processing_status = 'done' GROUP BY ALL ORDER BY ALL
"""


def manifest_of(source: NumberedTables, layout: Layout, config: Config) -> dict[str, Any]:
    """The run for machines: versions, settings, models, counts, and digests of the tables.

    No time, host, user or folder is in it: equal runs have equal manifests.
    """
    counts = source.rows("SELECT processing_status, count(*) FROM scans GROUP BY ALL ORDER BY ALL")
    qc = source.rows(
        "SELECT qc_verdict, count(*) FROM scans WHERE processing_status = 'done' "
        "GROUP BY ALL ORDER BY ALL"
    )
    made = ("pipeline_version", "git_commit", "container_digest", "measure_version", "mask_source")
    return {
        "columna": {
            "version": __version__,
            "git_commit": git_commit(),
            "container_digest": container_digest(),
            "schema_version": SCHEMA_VERSION,
        },
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "settings": config.model_dump(mode="json", exclude={"cohort", "results", "training"}),
        "config_sha256": config_sha256(config),
        "models": {phase: _models(source, f"model_{phase}") for phase in ("semantic", "instance")},
        "results_made_by": [
            {**dict(zip(made, row[:-1], strict=True)), "scans_n": row[-1]}
            for row in source.rows(_VERSIONS)
        ],
        "scans": {"inputs": source.scans_n, **dict(counts)},
        "qc_verdicts": {str(verdict): n for verdict, n in qc},
        "tables": [_table(layout, name) for name in delivered_names(layout.tables)],
    }


NAMING = {
    "chain": "Levels were named by a probabilistic model of the chain of vertebrae (sizes, shapes, "
    "C2, sacrum and the number of vertebrae), and left unnamed where no level was probable enough.",
    "top_down": "Vertebrae were numbered from C2 downwards.",
}
"""What the paragraph says of `label.naming`."""


def methods_of(manifest: dict[str, Any]) -> list[str]:
    """Paragraphs in Markdown; the keys in brackets are those of ``references.bib``."""
    scans, settings = manifest["scans"], manifest["settings"]
    done = scans.get("done", 0)
    bias = (
        "corrected for bias fields with N4 [@tustison2010n4itk], "
        if settings["prepare"]["n4"]
        else ""
    )
    made = sorted({row["pipeline_version"] for row in manifest["results_made_by"]})
    by_source: Counter[str] = Counter()
    for row in manifest["results_made_by"]:
        by_source[row["mask_source"]] += row["scans_n"]
    naming = NAMING[settings["label"]["naming"]]
    tool = f"columna {', '.join(made) or manifest['columna']['version']} [@columna]"
    first = (
        f"{scans['inputs']} sagittal T2-weighted MRI scans were processed with {tool}, a Snakemake "
        f"workflow [@molder2021snakemake]; {done} of them were measured."
    )
    networks = (
        f"Scans were checked, {bias}reoriented and resampled. Structures were segmented with the "
        "SPINEPS method [@moller2024spineps]: an nnU-Net [@isensee2021nnunet] labels 14 "
        f"structures ({_named(manifest, 'semantic')}), and a three-dimensional U-Net looks at a "
        f"window around each vertebral body ({_named(manifest, 'instance')})."
    )
    told = {
        "given": "The masks of {} scans were given with the cohort.",
        "corrected": "Those of {} scans were corrected by hand.",
    }
    masks = " ".join(text.format(by_source[name]) for name, text in told.items() if by_source[name])
    qc = manifest["qc_verdicts"]
    verdicts = ", ".join(f"{qc[name]} {name}" for name in ("pass", "review", "fail") if name in qc)
    last = (
        f"Measures follow the definitions of version {_measure_versions(manifest)} of columna's "
        f"documentation. Rules of quality were answered for each measured scan ({verdicts})."
    )
    return [" ".join(text for text in (first, networks, masks, naming, last) if text)]


def _named(manifest: dict[str, Any], phase: str) -> str:
    """Models of a phase, with their digests."""
    found = [
        f"weights `{model['name']}`, SHA-256 {model['sha256'][:12]}"
        for model in manifest["models"][phase]
    ]
    return "; ".join(found) or "not used"


def _measure_versions(manifest: dict[str, Any]) -> str:
    return ", ".join(sorted({r["measure_version"] for r in manifest["results_made_by"]})) or "-"


def _models(source: NumberedTables, kind: str) -> list[dict[str, Any]]:
    licences = {model.id: model.licence for model in list_models()}
    return [
        {"name": name, "sha256": digest, "scans_n": n, "licence": licences.get(name)}
        for name, digest, n in source.rows(_MODELS.format(kind=kind))
    ]


def _table(layout: Layout, name: str) -> dict[str, Any]:
    path = layout.tables / f"{name}.parquet"
    return {
        "table": name,
        "file": layout.relative(path),
        "rows": pq.read_metadata(path).num_rows,
        "sha256": sha256_file(path),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
