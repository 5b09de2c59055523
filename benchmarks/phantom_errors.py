"""Shared by the phantom studies: random poses, and a table of bias and SD per column."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from columna.anatomy import SACRUM, levels
from columna.config import MeasureSettings
from columna.measure import MeasureContext, measure_scan
from columna.phantom.known.exact import ExactSpine, SpinePose, draw

LABELS = {level.name: label for label, level in levels().items()}
Key = tuple[str, str]


@dataclass
class Errors:
    """Estimates minus truths by (region, column)."""

    found: dict[Key, list[float]] = field(default_factory=lambda: defaultdict(list))
    truth: dict[Key, list[float]] = field(default_factory=lambda: defaultdict(list))
    missing: dict[Key, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, region: str, column: str, estimate: float | None, truth: float) -> None:
        """Note one estimate; None counts as missing."""
        key = (region, column)
        if estimate is None:
            self.missing[key] += 1
            return
        self.found[key].append(estimate - truth)
        self.truth[key].append(truth)

    def table(self) -> str:
        """Markdown; bias and SD also as a share of the mean truth where that is not about 0."""
        lines = [
            "| region | column | n | NULL | bias | SD | bias % | SD % |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for (region, column), errors in self.found.items():
            e, size = np.array(errors), float(np.mean(self.truth[region, column]))
            missing = self.missing[region, column]
            cells = [region, f"`{column}`", str(len(e)), str(missing), f"{e.mean():+.2f}"]
            cells.append(f"{e.std(ddof=1):.2f}")
            is_relative = not column.endswith(("_deg", "_pct")) and abs(size) > 1
            if is_relative:
                cells += [f"{100 * e.mean() / size:+.1f}", f"{100 * e.std(ddof=1) / size:.1f}"]
            else:
                cells += ["", ""]
            lines.append("| " + " | ".join(cells) + " |")
        return "\n".join(lines)


def poses(
    n: int, seed: int, tilt_deg: float
) -> Iterator[tuple[SpinePose, tuple[float, float, float]]]:
    """Random tilts (`tilt_deg` to front or back, 6 sideways and axially) and grid offsets."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        forward = float(rng.uniform(-tilt_deg, tilt_deg))
        right, axial = rng.uniform(-6, 6, 2)
        yield SpinePose(forward, float(right), float(axial)), tuple(rng.uniform(0, 1, 3))


def measured(
    spine: ExactSpine, spacing_mm: tuple[float, float, float], offset: tuple[float, float, float]
) -> dict[str, list[dict]]:
    """Draw and measure a spine."""
    semantic, instance = draw(spine, spacing_mm, offset)
    entries = [
        {
            "label": bone.segment.label,
            "level": levels()[bone.segment.label].name,
            "level_anchor": "both",
            "level_confidence": 1.0,
            "index": place,
        }
        for place, bone in enumerate(spine.bones)
        if bone.segment.label != SACRUM
    ]
    context = MeasureContext("s", "p", None, {}, semantic, instance, levels=entries)
    return measure_scan(context, MeasureSettings())
