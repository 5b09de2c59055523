"""The table of a paper from a comparison: structures first, instances after, Markdown and LaTeX."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from columna.evaluate.conventions import structure_labels

GLOBAL = ("dice", "assd_mm")
INSTANCES = ("vertebra", "body", "disc", "endplate")
INSTANCE_METRICS = (
    ("dice", "instance"),
    ("assd_mm", "instance"),
    ("panoptic_quality", "scan"),
    ("segmentation_quality", "scan"),
    ("recognition_quality", "scan"),
)
NO_REFERENCE = "no reference"
HEADER = ("structure", "metric", "{first}", "{second}", "difference (95 % CI)", "p", "n")


@dataclass(frozen=True)
class PaperLine:
    """One line of the table; text, without markup."""

    structure: str
    metric: str
    first: str
    second: str
    difference: str
    p: str
    n: str

    def cells(self) -> tuple[str, ...]:
        """Cells, from left to right."""
        return tuple(vars(self).values())


def lines(rows: pd.DataFrame, first: str, second: str) -> Iterator[PaperLine]:
    """Lines of the comparison of two programs, all structures in the order of the label table.

    Parameters
    ----------
    rows
        Rows of the table ``comparison``.
    first, second
        Names of the two programs.
    """
    part = rows[(rows["first"] == first) & (rows["second"] == second) & (rows["group"] == "all")]
    found = part.set_index(["structure", "unit", "stratum", "metric"]).to_dict("index")
    for structure in structure_labels():
        for metric in GLOBAL:
            yield _line(found, structure, "structure", metric, structure)
    for kind in INSTANCES:
        for metric, unit in INSTANCE_METRICS:
            yield _line(found, kind, unit, metric, f"{kind} instances")


def _line(
    found: Mapping[Hashable, Mapping[Hashable, Any]],
    structure: str,
    unit: str,
    metric: str,
    shown: str,
) -> PaperLine:
    key = (structure, unit, "all", metric)
    if key not in found:
        return PaperLine(shown, metric, NO_REFERENCE, NO_REFERENCE, "", "", "0")
    row = found[key]
    digits = 2 if metric.endswith("_mm") else 3
    difference = f"{row['shift']:+.{digits}f}"
    if pd.notna(row["shift_low"]):
        difference += f" ({row['shift_low']:+.{digits}f} to {row['shift_high']:+.{digits}f})"
    return PaperLine(
        shown,
        metric,
        f"{row['mean_first']:.{digits}f}",
        f"{row['mean_second']:.{digits}f}",
        difference,
        _p(row),
        str(int(row["participants_n"])),
    )


def _p(row: Mapping[Hashable, Any]) -> str:
    is_primary = row["role"] == "primary"
    value = row["p_adjusted"] if is_primary else row["p"]
    text = "< 0.001" if value < 0.001 else f"{value:.3f}"
    return f"{text} (adjusted)" if is_primary else text


def markdown(table: Sequence[PaperLine], first: str, second: str) -> str:
    """Render `table` as Markdown."""
    header = [name.format(first=first, second=second) for name in HEADER]
    body = [header, ["---"] * len(header), *(line.cells() for line in table)]
    return "".join("| " + " | ".join(map(_escaped_markdown, row)) + " |\n" for row in body) + NOTE


def latex(table: Sequence[PaperLine], first: str, second: str) -> str:
    """Render `table` as a LaTeX tabular (package booktabs)."""
    header = [name.format(first=first, second=second) for name in HEADER]
    rows = [" & ".join(map(_escaped_latex, row)) for row in (header, *(li.cells() for li in table))]
    top, *body = rows
    inner = " \\\\\n".join(body)
    return (
        "\\begin{tabular}{llrrrrr}\n\\toprule\n"
        f"{top} \\\\\n\\midrule\n{inner} \\\\\n\\bottomrule\n\\end{{tabular}}\n"
        f"% {_escaped_latex(NOTE.strip())}\n"
    )


NOTE = (
    "\nMeans over participants. Difference: Hodges-Lehmann estimate with its 95 % interval. "
    "p: Wilcoxon signed-rank test; adjusted (Holm) for the hypotheses declared beforehand, all "
    "others are exploratory and not adjusted. n: participants.\n"
)


def _escaped_markdown(text: str) -> str:
    return text.replace("|", "\\|")


def _escaped_latex(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {c: f"\\{c}" for c in "&%$#_{}"} | {"<": "$<$", ">": "$>$"}
    return "".join(special.get(character, character) for character in text)
