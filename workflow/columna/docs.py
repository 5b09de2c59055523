"""Files that are generated from the code: `python -m columna.docs` writes, a test compares.

They describe the configuration, the tables and the rooms of the package, so that none of them can
say anything else than the code.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from columna.assess.rules_page import quality_page
from columna.config import Config
from columna.files import write_text
from columna.rooms import page_with_rooms
from columna.tables.tables_page import tables_page
from columna.train.recipe import TrainConfig

ROOT = Path(__file__).parents[2]


def generated_files() -> dict[Path, str]:
    """Path in the repository -> content."""
    schema = Config.model_json_schema()
    map_page = ROOT / "docs" / "architecture.md"
    return {
        ROOT / "workflow" / "schemas" / "config.schema.yaml": schema_yaml(schema),
        ROOT / "config" / "README.md": config_readme(schema, TrainConfig.model_json_schema()),
        ROOT / "docs" / "tables.md": tables_page(),
        ROOT / "docs" / "quality.md": quality_page(),
        map_page: page_with_rooms(map_page.read_text(encoding="utf-8"), ROOT),
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
GPUs, Slurm). Unknown keys are errors. If a setting changes, a stage is recomputed for
exactly those scans whose result depends on it. In paths, `~` and environment variables (`$STUDY`,
`${{STUDY}}`) are replaced; a variable that is not set is an error, and so are braces in `results`
and in the paths of models.

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
| `scan_id` | no | unique name: letters, digits, `.`, `_`, `+`, `-`; default: the file name |
| `session_id` | no | session of the participant |
| `semantic`, `instance` | no | existing masks ([docs/own-masks.md](../docs/own-masks.md)) |
| `lowest_level`, `highest_level` | no | of the vertebrae found, such as `L5` |
| `anchor` | no | `3=T12`: the third from the top is T12 ([docs/levels.md](../docs/levels.md)) |
| `reference_semantic`, `reference_instance` | no | masks that the own ones are evaluated against |
| `reference_convention` | no | what their numbers mean ([evaluation.md](../docs/evaluation.md)) |
| any other | no | kept in `results/index/scans.parquet`; some reach `participants` (below) |

* Text is UTF-8. Empty fields, `n/a`, `NA`, `N/A`, `NaN`, `None`, `NULL`, `<NA>` and `#N/A` count
  as missing, in upper or lower case; blanks around values do not count. Lists and structures of a
  Parquet sheet are kept as JSON.
* A value in double quotes may hold separators, line breaks and doubled quotes, as spreadsheets
  write it. Any other quote is an ordinary character (`6" coil`). Where a quote is ambiguous and
  rows could be lost, the sheet is refused with the number of the line.
* `~` and variables of the environment are replaced in paths, unless there is a file of exactly that
  name.
* A scan_id that is a BIDS name (`sub-01_ses-1_acq-sag_T2w`) puts its masks below
  `derivatives/sub-01/ses-1/anat`, any other one below `derivatives/other/`.
* Two rows must not write the same file. `sub-9` and `sub-9_T2w` would, and upper and lower case
  count as the same: the second one is left out, or the one that has no batch yet.

In a BIDS folder every image below it has its row; hidden files and the folders `derivatives`,
`sourcedata` and `code` are ignored.

**Some of the scans.** `select` is a list of selections, each with any of `participants`,
`sessions` and `entities`; a scan belongs to the cohort if one of them takes it. All other files are
ignored. A participant or session that the cohort does not have is an
error.

```yaml
select:
  - participants: ["01", "02"]
    sessions: [baseline]
    entities: {{acq: [sag], run: null}} # of the file name; null: files without it, '*': any value
```

**Sidecars** are inherited as in BIDS, wherever a scan lies at
`sub-<label>/[ses-<label>/]<datatype>/`, also if a sheet names it: `T2w.json` at the root, then
`sub-01/sub-01_T2w.json`, then the file beside the scan; the nearest one that has a key wins, and
a change of any of them counts. Elsewhere only the JSON file beside the scan is read.

**Participants.** Age, sex and the like reach the table `participants`: from further columns of
the sheet, or from `participants.tsv` and `sessions.tsv` (also `sub-<label>_sessions.tsv`) of a
BIDS folder. Only the columns that `participant_columns` names are included; upper and lower case
(`Age`, `age`) are the same, and `Age (years)` is `age_years`. A JSON file beside the
sheet (same name, ending in `.json`), `participants.json` or `sessions.json` describes them. All
columns, also those that are not included, are in `results/index/scans.parquet`: protect that file
like the cohort's own data.

`columna index` lists the scans and assigns them to batches. Run it before the first `snakemake`
and whenever the cohort has changed: new scans fill the last batch and open new ones, finished
batches stay as they are. Every input that is left out keeps a row in
`results/tables/scans.parquet`, with the reason and with what its name and its sidecars say;
`is_other_image` distinguishes images that are not sagittal T2w scans from unusable ones that are.

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
