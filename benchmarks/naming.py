"""Level names: fit what the model knows of levels, and judge its probabilities.

    python benchmarks/naming.py fit     # resources/level_shapes.tsv, and the constants "fit"
    python benchmarks/naming.py show    # figures of docs/levels.md, and docs/levels.png

Both use the true masks of whole phantoms, cut to many fields of view, with mistakes that networks
make; seeds of the two never meet. No network is needed.
"""

import argparse
import csv
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import fastremap
import numpy as np

from columna.anatomy import C2, Semantic, levels, vertebra_labels
from columna.config import LabelSettings
from columna.images.volume import PIR, Volume, bounding_box
from columna.label.components import find_components
from columna.label.evidence import evidence_of
from columna.label.final_masks import SPACES
from columna.label.model import Spines
from columna.label.naming import FALSE_PIECE, ChainNamer
from columna.label.order import order_instances
from columna.label.seen_spine import SeenSpine
from columna.phantom import mistakes
from columna.phantom.generate import make_scene
from columna.phantom.patients import random_patient
from columna.phantom.settings import random_settings

SPACING_MM = (1.5, 1.5, 4.0)
FIT_SEEDS = range(700_000, 700_240)
SHOW_SEEDS = range(800_000, 800_400)
VIEWS = ("whole", "lumbar", "lumbosacral", "cervical", "cervicothoracic", "middle", "short")
ANCHORED = ("whole", "lumbar", "lumbosacral", "cervical", "cervicothoracic")
MISTAKE_RATE = 0.35
NO_VERTEBRA = 0
"""True label of a piece that is no vertebra."""


@dataclass(frozen=True, eq=False)
class Case:
    """A view of a phantom: its spine as namers see it, and the true label of each body found."""

    seed: int
    view: str
    spine: SeenSpine
    truth: list[int]
    mistake: str
    counts: tuple[int, int]


@cache
def whole(seed: int, **fixed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, int]]:
    """Masks of a whole phantom in (P, I, R), their affine, and its counts."""
    make = random_patient if seed % 2 else random_settings
    settings = make(
        seed,
        region="whole",
        spacing_mm=SPACING_MM,
        surroundings="simple",
        obliquity_deg=0.0,
        fov_shift_mm=(0.0, 0.0, 0.0),
        **fixed,
    )
    scene = make_scene(settings)
    masks = [Volume(m, scene.grid.affine).reoriented(PIR) for m in (scene.semantic, scene.instance)]
    return (
        np.ascontiguousarray(masks[0].array),
        np.ascontiguousarray(masks[1].array),
        masks[0].affine,
        (settings.thoracic, settings.lumbar),
    )


def rows_of_view(
    view: str,
    instance: np.ndarray,
    semantic: np.ndarray,
    lumbar: int,
    rng: np.random.Generator,
) -> slice:
    """The rows that a view shows."""
    bodies = np.unique(instance[semantic == Semantic.VERTEBRAL_BODY])
    labels = [label for label in vertebra_labels() if label in bodies]
    middle = {label: sum(mistakes.body_rows(semantic, instance, label)) / 2 for label in labels}
    heights = [middle[label] for label in labels]
    n, end = len(heights), semantic.shape[1]
    pick = rng.integers
    top, bottom = {
        "whole": (-1, n),
        "lumbar": (n - lumbar - 3, n),  # as the generator's own region: from T10
        "lumbosacral": (n - pick(3, 6), n),
        "cervical": (-1, pick(5, 8)),
        "cervicothoracic": (-1, pick(8, 15)),
        "middle": (lambda first: (first, first + pick(6, 13)))(pick(2, 14)),
        "short": (lambda first: (first, first + pick(3, 6)))(pick(2, 20)),
    }[view]
    bottom = bottom if bottom >= n else min(bottom, n - 2)
    jitter = rng.uniform(-0.5, 0.5, 2) * 20 / SPACING_MM[1]
    first = 0 if top < 0 else int(max(heights[top] + jitter[0], 0))
    last = end if bottom >= n else int(min(heights[bottom] + jitter[1], end))
    return slice(first, last)


def make_case(seed: int, view: str, *, damaged: bool = True, **fixed: int) -> Case | None:
    """Cut a view from a phantom, and make a mistake in it."""
    semantic, instance, affine, counts = whole(seed, **fixed)
    rng = np.random.default_rng([seed, VIEWS.index(view)])
    rows = rows_of_view(view, instance, semantic, counts[1], rng)
    semantic, instance = semantic[:, rows].copy(), instance[:, rows].copy()
    moved = affine.copy()
    moved[:3, 3] += rows.start * affine[:3, 1]
    mistake = damage(semantic, instance, rng) if damaged and rng.random() < MISTAKE_RATE else "none"
    true = np.where(np.isin(instance, (*vertebra_labels(), mistakes.FALSE)), instance, 0)
    true = np.where(np.isin(semantic, mistakes.VERTEBRAL), true, 0)
    box = bounding_box(semantic > 0)
    scan = Volume(np.broadcast_to(np.uint8(0), semantic.shape), moved)
    semantic, true = (np.pad(np.ascontiguousarray(m[box]), 1) for m in (semantic, true))
    ordered = order_instances(true)
    label_of = fastremap.component_map(ordered, true)
    spaces = find_components(np.where(np.isin(semantic, SPACES), semantic, 0))
    spine = SeenSpine(semantic, ordered, spaces, scan, box)
    truth = [int(label_of[i]) for i in spine.levels]
    truth = [NO_VERTEBRA if label == mistakes.FALSE else label for label in truth]
    return Case(seed, view, spine, truth, mistake, counts) if len(truth) >= 2 else None


def damage(semantic: np.ndarray, instance: np.ndarray, rng: np.random.Generator) -> str:
    """Make one mistake, and tell which."""
    is_body = semantic == Semantic.VERTEBRAL_BODY
    count = np.bincount(instance[is_body], minlength=256)
    inside = [x for x in vertebra_labels() if count[x] > 0.5 * np.median(count[count > 0])]
    if len(inside) < 4:
        return "none"
    has_sacrum = (semantic == Semantic.SACRUM).sum() * np.prod(SPACING_MM) > 4000
    kinds = ["missed", "split", "false"] + (["sliver", "half"] if has_sacrum else [])
    kinds += ["dens"] if C2 in inside else []
    kind = str(rng.choice(kinds))
    place = int(rng.integers(1, len(inside) - 1))
    if kind == "missed":
        mistakes.miss_vertebra(semantic, instance, inside[place])
    elif kind == "split":
        mistakes.split_vertebra(semantic, instance, inside[place], rng.uniform(0.4, 0.8))
    elif kind == "dens":
        mistakes.lose_dens(semantic, instance, rng.uniform(0.3, 0.6))
    elif kind == "sliver":
        mistakes.call_upper_sacrum_body(semantic, instance, int(rng.integers(4, 12)))
    elif kind == "half":
        mistakes.give_to_sacrum(semantic, instance, inside[-1], rng.uniform(0.3, 0.6))
    else:
        first, stop = mistakes.body_rows(semantic, instance, inside[place])
        side = rng.choice([0.1, 0.9])
        centre = (int(side * semantic.shape[0]), (first + stop) // 2, semantic.shape[2] // 2)
        mistakes.add_false_body(semantic, instance, centre, (*rng.uniform(4, 8, 2), 2.5))
    return kind


MEASURES = ("height_mm", "depth_mm", "width_mm")
ANGLES = ("tilt_deg", "spinous_deg")


def places_of(counts: tuple[int, int]) -> dict[int, float]:
    """Label of each level of a spine -> its place on the scale of the model."""
    spines = Spines.of(LabelSettings().variants)
    v = int(np.flatnonzero((spines.counts == counts).all(axis=1))[0])
    return {int(n): float(p) for n, p in zip(spines.label[v], spines.place[v], strict=True) if n}


def measured(seed: int) -> list[dict[str, float]]:
    """Measures of all vertebrae of a whole phantom without mistakes, with their places."""
    case = make_case(seed, "whole", damaged=False)
    evidence, place = evidence_of(case.spine), places_of(case.counts)
    rows = []
    for i, label in enumerate(case.truth):
        row = {name: float(getattr(evidence, name)[i]) for name in (*MEASURES, *ANGLES, "off_mm")}
        step = evidence.centre_mm[i] - evidence.centre_mm[min(i + 1, evidence.count - 1)]
        row |= {"seed": seed, "label": label, "place": place[label]}
        row["pitch_mm"] = float(np.linalg.norm(step)) if i + 1 < evidence.count else np.nan
        row["size_ratio"] = float(evidence.size_ratio[i])
        row["sacrum_mm"] = float(evidence.sacrum_mm[i])
        rows.append(row)
    return rows


def in_parallel(function: Callable, items: list, workers: int) -> list:
    if workers < 2:
        return [function(item) for item in items]
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(function, items, chunksize=4))


def fit(workers: int, seeds: range = FIT_SEEDS) -> None:
    """Print the table of levels and the spreads about it."""
    people = in_parallel(measured, list(seeds), workers)
    shapes = fit_shapes(people)
    write_shapes(shapes)
    for name, value in spreads(people, shapes).items():
        print(f"{name}\t{value:.3f}")


def fit_shapes(people: list[list[dict[str, float]]]) -> dict[str, np.ndarray]:
    """What is usual at each place, by medians over persons with usual counts, sizes made equal."""
    grid = np.arange(0, 23)
    names = (*MEASURES, "pitch_mm", *ANGLES)
    usual = [p for p in people if p[0]["place"] == 0 and _is_regular(p)]
    table = {name: np.array([[row[name] for row in p] for p in usual]) for name in names}
    scale = np.ones(len(usual))
    for _ in range(3):
        level = {n: np.nanmedian(table[n] / scale[:, None], axis=0) for n in MEASURES}
        ratio = np.stack([table[n] / level[n] for n in MEASURES], axis=2)
        scale = np.exp(np.nanmean(np.log(ratio), axis=(1, 2)))
    scale /= np.median(scale)
    found = {n: np.nanmedian(table[n] / scale[:, None], axis=0) for n in (*MEASURES, "pitch_mm")}
    found |= {n: np.nanmedian(table[n], axis=0) for n in ANGLES}
    found["pitch_mm"][-1] = found["pitch_mm"][-2] * 1.02
    return {"place": grid} | found


def _is_regular(person: list[dict[str, float]]) -> bool:
    return [row["place"] for row in person] == list(range(23))


def write_shapes(shapes: dict[str, np.ndarray]) -> None:
    """Write ``level_shapes.tsv``; C1 and S1 take what they can from their neighbours."""
    names = list(shapes)
    rows = [[float(shapes[n][i]) for n in names] for i in range(len(shapes["place"]))]
    first, last = [-1.0, *rows[1][1:]], [23.0, *rows[-1][1:]]
    labels = ["C1", *(levels()[x].name for x in vertebra_labels() if x not in (1, 25, 28)), "S1"]
    path = Path(__file__).parents[1] / "workflow/columna/resources/level_shapes.tsv"
    with open(path, "w", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
        writer.writerow(["level", *names])
        for label, row in zip(labels, [first, *rows, last], strict=True):
            writer.writerow([label, *(f"{value:.1f}" for value in row)])


def spreads(
    people: list[list[dict[str, float]]], shapes: dict[str, np.ndarray]
) -> dict[str, float]:
    """Robust SDs about the table, over all persons, unusual counts included."""
    away: dict[str, list[float]] = {}
    for person in people:
        usual = {
            n: np.interp([r["place"] for r in person], shapes["place"], shapes[n]) for n in shapes
        }
        logs = {
            n: np.log([r[n] for r in person]) - np.log(usual[n]) for n in (*MEASURES, "pitch_mm")
        }
        scale = np.nanmean([logs[n] for n in MEASURES])
        away.setdefault("scale", []).append(scale)
        for name, found in logs.items():
            away.setdefault(name, []).extend(found - scale)
        for name in ANGLES:
            away.setdefault(name, []).extend(np.array([r[name] for r in person]) - usual[name])
        away.setdefault("off_mm", []).extend(r["off_mm"] for r in person)
        away.setdefault("size", []).extend(np.log([r["size_ratio"] for r in person]))
        away.setdefault("sacrum_mm", []).append(person[-1]["sacrum_mm"] / np.exp(scale))
    result = {}
    for name, values in away.items():
        values = np.array(values)[np.isfinite(values)]
        middle = np.median(values)
        result[f"{name} middle"] = float(middle)
        result[f"{name} sd"] = float(1.4826 * np.median(np.abs(values - middle)))
        result[f"{name} sd all"] = float(values.std())
    return result


@dataclass(frozen=True)
class Named:
    """A body of a case: what it is, and what the model thinks."""

    seed: int
    view: str
    mistake: str
    counts: tuple[int, int]
    truth: str
    name: str | None
    p: float
    posterior: dict[str, float]


def judged(seed: int, views: tuple[str, ...] = VIEWS, **fixed: int) -> list[Named]:
    """All bodies of all views of a phantom."""
    namer, rows = ChainNamer(LabelSettings()), []
    for view in views:
        case = make_case(seed, view, damaged=not fixed, **fixed)
        if case is None:
            continue
        found = {named.instance: named for named in namer(case.spine).instances}
        for body, label in zip(case.spine.levels, case.truth, strict=True):
            named = found[body]
            truth = levels()[label].name if label else FALSE_PIECE
            facts = (seed, view, case.mistake, case.counts, truth)
            rows.append(Named(*facts, named.level, named.p or 0.0, dict(named.posterior)))
    whole.cache_clear()
    return rows


def judged_variant(task: tuple[int, int, int]) -> list[Named]:
    """Views of a spine of unusual counts with one landmark in them."""
    seed, thoracic, lumbar = task
    return judged(seed, ANCHORED[1:], thoracic=thoracic, lumbar=lumbar)


def best_name(row: Named) -> tuple[str, float]:
    """The most probable level, named or not."""
    known = {n: p for n, p in row.posterior.items() if n not in (FALSE_PIECE, "S1")}
    return max(known.items(), key=lambda item: item[1], default=("", 0.0))


def reliability(rows: list[Named], bins: int = 10) -> np.ndarray:
    """Mean probability of the best name, share of right ones, and number, in bins of equal mass."""
    found = np.array([(best_name(r)[1], best_name(r)[0] == r.truth) for r in rows], float)
    ordered = found[np.argsort(found[:, 0], kind="stable")]
    parts = np.array_split(ordered, bins)
    return np.array([(*part.mean(axis=0), len(part)) for part in parts])


def expected_error(table: np.ndarray) -> float:
    return float((np.abs(table[:, 0] - table[:, 1]) * table[:, 2]).sum() / table[:, 2].sum())


def brier(rows: list[Named]) -> float:
    """Mean squared distance between the probabilities of all names and the truth."""
    total = 0.0
    for row in rows:
        other = {n: p for n, p in row.posterior.items() if n != row.truth}
        total += (1 - row.posterior.get(row.truth, 0)) ** 2 + sum(p**2 for p in other.values())
    return total / len(rows)


def set_of(row: Named, mass: float = 0.9) -> list[str]:
    """The most probable names that together have a probability of at least `mass`."""
    names, total = [], 0.0
    for name, p in row.posterior.items():
        names.append(name)
        total += p
        if total >= mass:
            break
    return names


def by_scan(
    rows: list[Named], figure: Callable[[list[Named]], float], draws: int = 400
) -> tuple[float, float]:
    """95 % interval of a figure, by resampling scans."""
    scans: dict[tuple[int, str], list[Named]] = {}
    for row in rows:
        scans.setdefault((row.seed, row.view), []).append(row)
    groups, rng = list(scans.values()), np.random.default_rng(0)
    values = []
    for _ in range(draws):
        drawn = rng.integers(0, len(groups), len(groups))
        values.append(figure([row for place in drawn for row in groups[place]]))
    return float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975))


def figures(rows: list[Named]) -> Iterator[tuple[str, float, tuple[float, float] | None]]:
    """What docs/levels.md says of names."""
    true = [row for row in rows if row.truth != FALSE_PIECE]
    seen = [row for row in true if row.view in ANCHORED]
    cut = [row for row in true if row.view not in ANCHORED]

    def right(part: list[Named]) -> float:
        return float(np.mean([row.name == row.truth for row in part if row.name]))

    def named(part: list[Named]) -> float:
        return float(np.mean([row.name is not None for row in part]))

    def covered(part: list[Named]) -> float:
        return float(np.mean([row.truth in set_of(row) for row in part]))

    def error(part: list[Named]) -> float:
        return expected_error(reliability(part))

    scans = {(row.seed, row.view) for row in rows}
    yield "scans", len(scans), None
    yield "vertebrae", len(true), None
    yield "right among those named, landmark in view", right(seen), by_scan(seen, right)
    yield "named, landmark in view", named(seen), by_scan(seen, named)
    longer = [row for row in seen if row.view != "lumbosacral"]
    yield "right among those named, views of the generator", right(longer), by_scan(longer, right)
    yield "true level in the 90 % set, no landmark", covered(cut), by_scan(cut, covered)
    yield "median size of the 90 % set", float(np.median([len(set_of(r)) for r in cut])), None
    yield "named, no landmark", named(cut), by_scan(cut, named)
    yield "right among those named, no landmark", right(cut), by_scan(cut, right)
    yield "expected calibration error", error(true), by_scan(true, error, 200)
    yield "Brier score", brier(rows), by_scan(rows, brier, 100)
    pieces = [row for row in rows if row.truth == FALSE_PIECE]
    yield "false pieces without a name", float(np.mean([r.name is None for r in pieces])), None


def show(workers: int, seeds: int) -> None:
    """Print the figures, and draw the reliability diagram."""
    rows = [r for part in in_parallel(judged, [*SHOW_SEEDS][:seeds], workers) for r in part]
    for name, value, interval in figures(rows):
        ends = f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else ""
        print(f"{name}: {value:.3f}{ends}", flush=True)
    for view in VIEWS:
        mine = [r for r in rows if r.view == view and r.truth != FALSE_PIECE]
        wrong = sum(r.name not in (None, r.truth) for r in mine)
        none = sum(not r.name for r in mine)
        print(f"  {view}: {len(mine)} vertebrae, {wrong} wrong, {none} unnamed")
    tasks = [
        (seed, t, n)
        for seed in [*SHOW_SEEDS][seeds : seeds + max(seeds // 4, 1)]
        for t, n in ((12, 6), (12, 4), (13, 5), (11, 5))
    ]
    odd = [row for part in in_parallel(judged_variant, tasks, workers) for row in part]
    sure = [r for r in odd if r.p > 0.9]
    wrong = [r for r in sure if r.name != r.truth]
    print(f"unusual counts, one landmark: {len(odd)} vertebrae, {len(sure)} with p > 0.9")
    print(f"  {len(wrong)} of them wrong")
    for row in wrong[:8]:
        print("   ", row.seed, row.view, row.counts, row.truth, row.name, row.p)
    draw([row for row in rows if row.truth != FALSE_PIECE])


def draw(rows: list[Named]) -> None:
    """The reliability diagram of docs/levels.md."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    table = reliability(rows)
    figure, axes = plt.subplots(figsize=(3.4, 3.2), dpi=100)
    axes.plot([0, 1], [0, 1], color="0.7", lw=1)
    axes.plot(table[:, 0], table[:, 1], "o-", color="#1f5fa8", ms=4)
    axes.set(xlabel="probability of the best name", ylabel="share that is right")
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02))
    figure.tight_layout()
    figure.savefig(Path(__file__).parents[1] / "docs" / "levels.png")
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=("fit", "show"))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=60)
    options = parser.parse_args()
    if options.task == "fit":
        fit(options.workers)
    else:
        show(options.workers, options.seeds)


if __name__ == "__main__":
    main()
