"""Phantoms with their true masks, measured and assessed, and tables collected from such rows."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from columna.assess import QualityContext, assess_scan, quality_rows
from columna.collect.collect import collect
from columna.config import LabelSettings, MeasureSettings
from columna.label import take_masks
from columna.label.certainty import VoxelCertainty
from columna.measure import MeasureContext, measure_scan
from columna.phantom import PhantomSettings, make_phantom
from columna.prepare.facts import scan_facts
from columna.prepare.header import Header
from columna.tables.catalogue import SHARDED
from columna.tables.shards import write_shard

CONFIG = "c" * 64


def assessable(image, semantic, instance, scan_id="s", answers=None):
    """Measure given masks (with what networks thought of them); what the quality rules look at."""
    taken = take_masks(image, semantic, instance, LabelSettings())
    context = MeasureContext(
        scan_id=scan_id,
        participant_id=scan_id,
        session_id=None,
        facts=scan_facts(image, header_of(image), Path(f"{scan_id}_T2w.nii.gz"), {})
        | {"outlier_voxels_n": 0, "unusable_sidecars_n": 0},
        semantic=taken.semantic,
        instance=taken.instance,
        image=image,
        levels=taken.levels,
        certainty=answers and VoxelCertainty.of(answers, taken.instance),
        provenance={"config_sha256": CONFIG, "measure_version": "1.0.0"},
    )
    rows = measure_scan(context, MeasureSettings())
    return QualityContext(taken.semantic, taken.instance, image, rows)


def header_of(image):
    """The header of a file that holds an image: both of its transforms are the image's."""
    return Header(
        dimensions=image.shape,
        datatype=16,
        bits=32,
        dtype=np.dtype(np.float32),
        offset=352,
        slope=1.0,
        intercept=0.0,
        pixdim_mm=image.spacing_mm,
        sform=image.affine,
        qform=image.affine,
        is_qform_set=True,
    )


def findings_as_rows(context):
    """Rows of the table quality."""
    identity = {k: context.rows["scans"][0][k] for k in ("participant_id", "session_id", "scan_id")}
    return quality_rows(identity, assess_scan(context), context.rows["vertebrae"])


def collect_phantoms(folder, count=3):
    """Collect the tables of `count` participants with a lumbar spine each; folder of the tables."""
    phantom = make_phantom(PhantomSettings(seed=4, region="lumbar", spacing_mm=(1.2, 1.2, 3.3)))
    context = assessable(phantom.image, phantom.semantic, phantom.instance)
    return collect_rows(folder, {**context.rows, "quality": findings_as_rows(context)}, count)


def collect_rows(folder, rows, count=1):
    """Collect the tables of `count` participants with the same rows; folder of the tables."""
    names = [f"sub-{number:02d}" for number in range(1, count + 1)]
    files = {}
    for table in SHARDED:
        files[table] = [folder / "shards" / f"{table}.parquet"]
        found = [
            row | {"participant_id": name, "scan_id": f"{name}_T2w"}
            for name in names
            for row in rows.get(table, [])
        ]
        write_shard(files[table][0], table, found)
    index = pa.table(
        {
            "participant_id": names,
            "session_id": pa.nulls(count, pa.string()),
            "scan_id": [f"{name}_T2w" for name in names],
            "input_status": ["ok"] * count,
            "reason": pa.nulls(count, pa.string()),
            "age": [str(40 + number) for number in range(count)],
            "sex": ["FM"[number % 2] for number in range(count)],
        }
    )
    collect(files, index, folder / "tables", CONFIG, ["age", "sex"])
    return folder / "tables"
