"""What `columna train evaluate` prints: structures, instances, vertebrae and real scans."""

from collections.abc import Iterator, Sequence
from statistics import fmean

import pandas as pd
from rich.table import Table

from columna.evaluate.conventions import KINDS as INSTANCES
from columna.evaluate.conventions import structure_labels
from columna.evaluate.found_once import Match
from columna.evaluate.model_pair import Scored
from columna.evaluate.pairs import value_row
from columna.evaluate.summary import summarize
from columna.tables.evaluation import EVALUATION

KINDS = ("intact", "fractured")
GROUPS = {**{kind: f"{kind} phantoms" for kind in KINDS}, "real": "real scans with masks"}
HEADLINES = (
    *("vertebral_body", "disc", "spinal_canal", "spinal_cord"),
    *("canal_with_cord", "posterior_elements", "vertebra"),
)
"""Structures that are shown of a single scan."""
OF_STRUCTURES = ("dice", "assd_mm", "hd95_mm")
OF_INSTANCES = (
    "panoptic_quality",
    "segmentation_quality",
    "recognition_quality",
    "assd_of_matched_mm",
    "dice_of_matched",
    "dice_with_missed",
    "missed_n",
    "false_n",
)

Means = dict[tuple[str, str, str, str], tuple[float, int]]
"""Structure, unit, stratum and metric -> mean of all scans, and in how many there is a value."""


def tables(scores: Sequence[Scored]) -> Iterator[Table]:
    """All tables, in the order in which they are printed."""
    for kind, title in GROUPS.items():
        means = _means([s for s in scores if s.kind == kind])
        if means:
            yield structure_table(means, title)
            yield instance_table(means, title)
    yield vertebra_table(scores)
    yield real_table(scores)


def structure_table(means: Means, title: str) -> Table:
    """Overlap and distances per structure, as means over the scans that show it."""
    table = Table("structure", "Dice", "ASSD mm", "HD95 mm", "scans", title=f"Structures: {title}")
    for name in structure_labels():
        key = (name, "structure", "all")
        if (*key, "dice") in means:
            cells = (_cell(means, (*key, metric)) for metric in OF_STRUCTURES)
            table.add_row(name, *cells, str(means[*key, "dice"][1]))
    return table


def instance_table(means: Means, title: str) -> Table:
    """Qualities per kind of instance, as means over scans; all instances, also cut ones."""
    heads = ("PQ", "SQ", "RQ", "ASSD mm", "Dice", "with missed", "missed", "false", "scans")
    table = Table("instances", *heads, title=f"Instances, mean of scans: {title}")
    for kind in INSTANCES:
        key = (kind, "scan", "all")
        if (*key, "panoptic_quality") in means:
            cells = (_cell(means, (*key, metric)) for metric in OF_INSTANCES)
            table.add_row(kind, *cells, str(means[*key, "panoptic_quality"][1]))
    return table


def vertebra_table(scores: Sequence[Scored]) -> Table:
    """What became of the vertebrae of the held-out phantoms."""
    table = Table(
        "phantoms", "whole vertebrae", "mean Dice", "least", "found once", "level right", "islands",
        "mm3", title="Held-out phantoms: vertebrae",
    )  # fmt: skip
    phantoms = [s for s in scores if s.kind in KINDS]
    groups = {kind: [s for s in phantoms if s.kind == kind] for kind in KINDS}
    for name, group in (groups | {"all": phantoms}).items():
        matches = [m for s in group for m in s.matches]
        if matches:
            table.add_row(
                f"{name} ({len(group)})",
                str(len(matches)),
                f"{fmean(m.dice for m in matches):.3f}",
                f"{min(m.dice for m in matches):.3f}",
                _share([m for m in matches if m.once], matches),
                _share([m for m in matches if m.found_label == m.label], matches),
                str(sum(s.islands_n or 0 for s in group)),
                f"{sum(s.islands_mm3 or 0 for s in group):.0f}",
            )
    return table


def real_table(scores: Sequence[Scored]) -> Table:
    """Real scans: counts and names, and Dice where masks are known."""
    table = Table(
        "scan", "status", "vertebrae", "names", "found once", "s", "Dice", title="Real scans"
    )
    for s in scores:
        if s.kind == "real":
            means = _means([s])
            dice = [
                f"{name} {_cell(means, (name, 'structure', 'all', 'dice'))}"
                for name in HEADLINES
                if (name, "structure", "all", "dice") in means
            ]
            once = _share([m for m in s.matches if m.once], s.matches) if s.matches else ""
            cells = (s.scan, s.status, str(s.vertebrae_n), s.names, once, f"{s.seconds:.0f}")
            table.add_row(*cells, "\n".join(dice))
    return table


def _means(scores: Sequence[Scored]) -> Means:
    rows = [
        value_row(s.evaluated, value)
        for s in scores
        if s.evaluated is not None
        for value in s.evaluated.rows
    ]
    values = pd.DataFrame(rows, columns=list(EVALUATION.names))
    return {
        (row["structure"], row["unit"], row["stratum"], row["metric"]): (
            row["mean"],
            row["values_n"],
        )
        for row in summarize(values)
        if row["mean"] is not None
    }


def _cell(means: Means, key: tuple[str, str, str, str]) -> str:
    return f"{means[key][0]:.3f}" if key in means else ""


def _share(some: Sequence[Match], every: Sequence[Match]) -> str:
    return f"{len(some)}/{len(every)} ({len(some) / len(every):.1%})"
