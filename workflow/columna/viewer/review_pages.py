"""What the pages of the review show; everything is escaped or JSON."""

import csv
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import jinja2

from columna.anatomy import RESOURCES, levels
from columna.domains import DOMAINS
from columna.results.derivatives import Derivatives
from columna.results.layout import Layout
from columna.review.decisions import EXCLUDE, RATE, UNDO, Decision, for_scan, in_force
from columna.viewer.desk import Desk
from columna.viewer.reviewed_scans import ReviewedScan
from columna.viewer.shown_levels import corrected, vertebrae_of
from columna.viewer.volumes import SPINE, VERTEBRAE, colours

HERE = Path(__file__).parent
PAGE_SCANS = 200
"""Scans on one page of the work list."""


@dataclass(frozen=True)
class Review:
    """A review: the scans of a run, the order in which one rater looks at them, the decisions.

    Parameters
    ----------
    layout
        The run.
    scans
        All scans of the cohort by name.
    work
        Names of those to look at, in order.
    desk
        The decisions.
    title
        How `work` was chosen, for people.
    """

    layout: Layout
    scans: dict[str, ReviewedScan]
    work: list[str]
    desk: Desk
    title: str
    place: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "place", {scan: n for n, scan in enumerate(self.work)})

    @cached_property
    def _pages(self) -> jinja2.Environment:
        return jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def work_page(self, number: int) -> str:
        """The work list, or a page of a long one."""
        last = max(0, (len(self.work) - 1) // PAGE_SCANS)
        number = min(max(number, 0), last)
        rated = self.desk.rated()
        shown = self.work[number * PAGE_SCANS : (number + 1) * PAGE_SCANS]
        return self._pages.get_template("work.html").render(
            self._common(),
            rows=[(self.scans[scan], scan in rated) for scan in shown],
            first=number * PAGE_SCANS,
            number=number,
            last=last,
            next_scan=next((scan for scan in self.work if scan not in rated), None),
            progress=self._progress(rated),
        )

    def scan_page(self, scan: ReviewedScan) -> str:
        """The page of a scan."""
        content = self.fixed(scan) | {"state": self.state(scan)}
        return self._pages.get_template("scan.html").render(
            self._common(), scan=scan, content=content, domains=DOMAINS, reasons=rating_reasons()
        )

    def fixed(self, scan: ReviewedScan) -> dict[str, Any]:
        """What of a page no decision changes."""
        files = Derivatives(self.layout.derivatives, scan.scan_id)
        masks = {SPINE: files.semantic, VERTEBRAE: files.instance}
        return {
            "scan": scan.scan_id,
            "rater": self.desk.rater,
            "hasImage": scan.entry.path.is_file(),
            "hasPicture": self.layout.picture(scan.scan_id).is_file(),
            "masks": [name for name, path in masks.items() if path.is_file()],
            "colours": colours(),
            "domains": DOMAINS,
            "levels": [level.name for level in levels().values()],
            "neighbours": self._neighbours(scan.scan_id),
        }

    def state(self, scan: ReviewedScan) -> dict[str, Any]:
        """What decisions make of a scan, as the page shows it."""
        seen = self.desk.seen()
        about = for_scan(seen, scan.scan_id)
        valid = in_force(about)
        gone = {d.value for d in about if d.decision == UNDO}
        found = vertebrae_of(self.layout, scan.scan_id)
        vertebrae, shift, problem = corrected(found, about)
        return {
            "vertebrae": vertebrae,
            "shift": shift,
            "problem": problem,
            "isPending": any(v["is_pending"] for v in vertebrae),
            "isEdited": any(v["position"] is None for v in vertebrae),
            "excluded": any(d.decision == EXCLUDE for d in valid),
            "ratings": [_shown(d) for d in valid if d.decision == RATE],
            "history": [
                _shown(d) | {"undone": d.decision_id in gone} for d in about if d.decision != UNDO
            ],
            "progress": self._progress(self.desk.rated()),
        }

    def _progress(self, rated: set[str]) -> dict[str, int]:
        return {"rated": len(rated & self.place.keys()), "scans": len(self.work)}

    def _neighbours(self, scan_id: str) -> dict[str, str | None]:
        """The scans before and after in the work list; after the last comes none."""
        place = self.place.get(scan_id)
        if place is None:
            return {"previous": None, "next": None}
        around = {"previous": place - 1, "next": place + 1}
        return {k: self.work[n] if 0 <= n < len(self.work) else None for k, n in around.items()}

    def _common(self) -> dict[str, Any]:
        has_report = (self.layout.report / "index.html").is_file()
        return {"title": self.title, "desk": self.desk, "has_report": has_report}


def rating_reasons() -> dict[str, str]:
    """Code -> meaning of the reasons that a rating may have."""
    with open(RESOURCES / "rating_reasons.tsv", newline="", encoding="utf-8") as stream:
        return {row["code"]: row["meaning"] for row in csv.DictReader(stream, delimiter="\t")}


def _shown(decision: Decision) -> dict[str, str]:
    names = ("decision_id", "decision", "domain", "vertebra", "value", "reason", "comment")
    return {name: getattr(decision, name) for name in (*names, "rater", "decided_at")}
