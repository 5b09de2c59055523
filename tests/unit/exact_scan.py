"""Scans of exact spines, and the rows that they give."""

from dataclasses import replace

import numpy as np

from columna.anatomy import levels
from columna.config import MeasureSettings
from columna.images.volume import Volume
from columna.measure import MeasureContext, measure_scan
from columna.phantom.known.analytic import BodySolid, Placed
from columna.phantom.known.exact import ExactSpine, Segment, SpinePose, draw, stack
from columna.tables.catalogue import MEASURED
from columna.tables.shards import rows_to_arrow

LABELS = {level.name: label for label, level in levels().items()}

LUMBAR = Segment(0, height=27, depth=34, width=46, gap=10, canal=(16, 23))
THORACIC = Segment(0, height=20, depth=27, width=29, gap=6, canal=(14, 17), cord=(6.5, 9))
CERVICAL = Segment(0, height=13.5, depth=16, width=19, gap=6, canal=(13, 20), cord=(7.8, 12.5))
SACRUM = Segment(LABELS["S1"], height=30, depth=34, width=50, canal=(14, 22))


def segment(name: str, **changes) -> Segment:
    """A vertebra of the usual size of its region."""
    usual = {"C": CERVICAL, "T": THORACIC, "L": LUMBAR, "S": SACRUM}[name[0]]
    return replace(usual, label=LABELS[name], **changes)


def spine_of(names, pose=SpinePose(), changes=None, **shape) -> ExactSpine:  # noqa: B008
    """Stack vertebrae; `changes` by name."""
    changes = changes or {}
    return stack([segment(name, **changes.get(name, {})) for name in names], pose, **shape)


def lumbar_body(turn, **changes) -> BodySolid:
    """A lumbar body, wedged and hollow; `changes` of it."""
    usual = BodySolid(
        at=Placed(np.array([1.0, 2.0, 3.0]), turn),
        width=46,
        depth=34,
        height=27,
        lateral_deg=3,
        hollow_superior=2.0,
    )
    return replace(usual, **changes)


def scan_of(spine: ExactSpine, names=None, **drawing) -> MeasureContext:
    """A scan of a spine without an image; `names` other than those of the labels, or None."""
    semantic, instance = draw(spine, **drawing)
    labels = [b.segment.label for b in spine.bones]
    names = names or [levels()[label].name for label in labels]
    has_sacrum = LABELS["S1"] in labels
    return MeasureContext(
        scan_id="s",
        participant_id="p",
        session_id=None,
        facts={},
        semantic=semantic,
        instance=instance,
        levels=[
            {
                "label": label,
                "level": name,
                "level_anchor": ("sacrum" if has_sacrum else "c2") if name else "none",
                "level_confidence": 0.9 if name else 0.0,
                "index": place,
            }
            for place, (label, name) in enumerate(zip(labels, names, strict=True))
        ],
    )


def on_grid(context, change):
    """The same scan with masks and image changed alike."""
    names = [n for n in ("semantic", "instance", "image") if getattr(context, n) is not None]
    return replace(context, **{name: change(getattr(context, name)) for name in names})


def cropped(context, axis, low=0, high=0):
    """Cut `low` and `high` voxels off the ends of an axis."""
    box = [slice(0, n) for n in context.semantic.shape]
    box[axis] = slice(low, context.semantic.shape[axis] - high)
    return on_grid(context, lambda v: v.cropped(tuple(box)))


def relabelled(context, mask, change):
    """The scan with the array of one mask changed."""
    volume = getattr(context, mask)
    return replace(context, **{mask: Volume(change(volume.array.copy()), volume.affine)})


def measure(context):
    """Rows of all tables, those of what is measured checked as a shard is."""
    rows = measure_scan(context, MeasureSettings())
    for name in rows.keys() - {"scans"}:
        rows_to_arrow(MEASURED[name].shard, rows[name])
    return rows


def discs_of(context):
    return {row["disc"]: row for row in measure(context)["discs"]}


def sites_of(context):
    return {(row["vertebra"], row["site"]): row for row in measure(context)["cord_canal"]}


def spine_row_of(context):
    [row] = measure(context)["spine"]
    return row


def poses(n, seed=0):
    """Random poses and grid offsets, as in docs/accuracy.md."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        forward = float(rng.uniform(-25, 25))
        right, axial = rng.uniform(-6, 6, 2)
        yield SpinePose(forward, float(right), float(axial)), tuple(rng.uniform(0, 1, 3))
