"""Tables of an evaluation, for people."""

from collections.abc import Sequence
from statistics import fmean

from rich.table import Table

from columna.evaluate.conventions import structure_labels
from columna.evaluate.found_once import Match
from columna.evaluate.model_pair import Scored

KINDS = ("intact", "fractured")


def structure_table(scores: Sequence[Scored]) -> Table:
    """Dice per structure over the held-out phantoms."""
    table = Table("structure", *KINDS, "all", "least", title="Held-out phantoms: Dice")
    phantoms = [s for s in scores if s.kind in KINDS]
    for name in structure_labels():
        showing = [s for s in phantoms if name in s.structures]
        values = {k: [s.structures[name] for s in showing if s.kind == k] for k in KINDS}
        both = [s.structures[name] for s in showing]
        if both:
            cells = [_mean(values[kind]) for kind in KINDS]
            table.add_row(name, *cells, _mean(both), f"{min(both):.3f}")
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
    table = Table("scan", "status", "vertebrae", "names", "s", "Dice", title="Real scans")
    for s in scores:
        if s.kind == "real":
            dice = [f"{name} {value:.3f}" for name, value in s.structures.items()]
            dice += [f"vertebra {m.label} {m.dice:.3f}" for m in s.matches]
            table.add_row(
                s.scan, s.status, str(s.vertebrae_n), s.names, f"{s.seconds:.0f}", "\n".join(dice)
            )
    return table


def _mean(values: Sequence[float]) -> str:
    return f"{fmean(values):.3f}" if values else ""


def _share(some: Sequence[Match], every: Sequence[Match]) -> str:
    return f"{len(some)}/{len(every)} ({len(some) / len(every):.1%})"
