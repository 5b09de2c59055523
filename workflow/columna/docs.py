"""Files that are generated from the code: `python -m columna.docs` writes, a test compares.

They describe the configuration and the tables, so that neither can say anything else than the
typed objects in the code.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from columna.config import Config
from columna.files import write_text
from columna.quality.markdown import quality_page
from columna.tables.markdown import tables_page
from columna.train.settings import TrainConfig

ROOT = Path(__file__).parents[2]


def generated_files() -> dict[Path, str]:
    """Path in the repository -> content."""
    schema = Config.model_json_schema()
    return {
        ROOT / "workflow" / "schemas" / "config.schema.yaml": schema_yaml(schema),
        ROOT / "config" / "README.md": config_readme(schema, TrainConfig.model_json_schema()),
        ROOT / "docs" / "tables.md": tables_page(),
        ROOT / "docs" / "quality.md": quality_page(),
    }


def schema_yaml(schema: dict[str, Any]) -> str:
    """JSON schema of the configuration, as the Snakemake workflow catalog reads it."""
    head = "# Generated from workflow/columna/config.py by `make docs`.\n"
    inlined = _inline(schema, schema.get("$defs", {}))
    inlined.pop("$defs", None)
    return head + yaml.safe_dump(
        {"$schema": "https://json-schema.org/draft/2020-12/schema", **inlined},
        sort_keys=False,
        width=100,
    )


def config_readme(schema: dict[str, Any], recipe: dict[str, Any]) -> str:
    """The reference of the configuration and of the training recipe."""
    return _README.format(rows=_rows(schema), recipe=_rows(recipe))


def _rows(schema: dict[str, Any]) -> str:
    return "\n".join(
        f"| `{key}` | {kind} | `{default}` | {text} |"
        for key, kind, default, text in _keys(_inline(schema, schema.get("$defs", {})))
    )


def _inline(node: Any, definitions: dict[str, Any]) -> Any:
    """Replace references by what they refer to: the catalog does not follow them."""
    if isinstance(node, list):
        return [_inline(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = _inline(definitions[node["$ref"].rsplit("/", 1)[-1]], definitions)
        return target | {k: v for k, v in node.items() if k != "$ref"}
    return {k: _inline(v, definitions) for k, v in node.items() if k != "title"}


def _keys(schema: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str, str, str]]:
    for name, entry in schema["properties"].items():
        if "properties" in entry:
            yield from _keys(entry, f"{prefix}{name}.")
        else:
            default = yaml.safe_dump(entry.get("default"), default_flow_style=True).split("\n")[0]
            yield prefix + name, _kind(entry), default, entry.get("description", "")


def _kind(entry: dict[str, Any]) -> str:
    if "enum" in entry:
        return " or ".join(entry["enum"])
    if "anyOf" in entry:
        return " or ".join(_kind(option) for option in entry["anyOf"])
    return entry.get("format") or entry.get("type", "")


_README = """\
# Configuration

<!-- Generated from workflow/columna/config.py by `make docs`. -->

`config/config.yaml` says what to study; `profiles/` say how and where to run it (cores, memory,
GPUs, Slurm). Unknown keys are errors. A stage is computed again for exactly those scans whose
result depends on what was changed.

| key | type | default | meaning |
|---|---|---|---|
{rows}

## The cohort

`cohort` is a BIDS folder or a cohort sheet: a `.tsv`, `.csv` or `.parquet` file with one row per
scan.

| column | needed | meaning |
|---|---|---|
| `participant_id` | yes | who was scanned; repeated in every table |
| `path` | yes | the NIfTI file, absolute or relative to the folder of the sheet |
| `scan_id` | no | unique name of the scan: letters, digits, `.`, `_`, `-`; default: the file name |
| `session_id` | no | session of the participant |
| `semantic`, `instance` | no | masks that exist ([docs/own-masks.md](../docs/own-masks.md)) |
| any other | no | kept in `results/index/scans.parquet` |

`columna index` lists the scans and assigns them to batches. Run it before the first `snakemake`
and whenever the cohort has changed: new scans fill the last batch and open new ones, finished
batches stay as they are. Every input that is left out keeps a row with the reason in
`results/tables/scans.parquet`.

## The training recipe

`config/train.yaml` (or what `training` names) is read by `snakemake train` and `columna train`
only; docs/training.md explains it. An entry of `datasets` has the keys `sheet` and `share`.

| key | type | default | meaning |
|---|---|---|---|
{recipe}
"""


def main() -> None:
    """Write all generated files."""
    for path, text in generated_files().items():
        write_text(path, text)


if __name__ == "__main__":
    main()
