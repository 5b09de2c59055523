"""Collect the tables of a synthetic cohort: rows per second and peak memory.

python benchmarks/collect.py --scans 100000

Every scan has the rows of one measured and assessed phantom of a whole spine, with its own ids;
measures vary from scan to scan (after --distinct batches they repeat).
"""

import argparse
import random
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from columna.assess import QualityContext, assess_scan, quality_rows
from columna.collect.collect import collect
from columna.config import LabelSettings, MeasureSettings
from columna.files import sha256_file
from columna.label import take_masks
from columna.measure import MeasureContext, measure_scan
from columna.phantom import PhantomSettings, make_phantom
from columna.prepare.facts import geometry_facts
from columna.tables.catalogue import SHARDED
from columna.tables.shards import rows_to_arrow

BATCH = 32
CONFIG = "0" * 64
IDENTITY = {"participant_id": "p", "session_id": None, "scan_id": "s"}


def one_scan():
    """Table -> Arrow table with the rows of one scan, as a shard holds them."""
    phantom = make_phantom(PhantomSettings(seed=1, region="whole"))
    taken = take_masks(phantom.image, phantom.semantic, phantom.instance, LabelSettings())
    context = MeasureContext(
        **IDENTITY,
        facts=geometry_facts(phantom.image),
        semantic=taken.semantic,
        instance=taken.instance,
        image=phantom.image,
        levels=taken.levels,
        provenance={"config_sha256": CONFIG, "measure_version": "1.0.0"},
    )
    rows = measure_scan(context, MeasureSettings())
    quality = QualityContext(taken.semantic, taken.instance, phantom.image, rows)
    rows["quality"] = quality_rows(IDENTITY, assess_scan(quality), rows["vertebrae"])
    return {name: rows_to_arrow(table.shard, rows[name]) for name, table in SHARDED.items()}


def batch_of(scan, members, rng):
    """Rows of a batch: those of `scan` for every member, floats altered by some percent."""
    data = pa.concat_tables([scan] * len(members)).combine_chunks()
    data = with_ids(data, members, scan.num_rows)
    for place, field in enumerate(data.schema):
        if pa.types.is_floating(field.type):
            factor = np.round(rng.normal(1, 0.05, data.num_rows), 4)
            values = pc.round(pc.multiply(data.column(place), factor), 3)
            data = data.set_column(place, field, values)
    return data


def with_ids(data, members, rows_n):
    """The same rows under the names of `members`, of whom each has `rows_n`."""
    place = np.repeat(np.arange(len(members)), rows_n)
    people = pa.array([f"sub-{n:07d}" for n in members]).take(place)
    scans = pa.array([f"sub-{n:07d}_T2w" for n in members]).take(place)
    data = data.set_column(0, data.schema.field(0), people)
    return data.set_column(2, data.schema.field(2), scans)


def synthesise(folder, scans_n, distinct):
    """Shards of `scans_n` scans, and their index."""
    numbers = list(range(scans_n))
    random.Random(0).shuffle(numbers)
    batches = [numbers[i : i + BATCH] for i in range(0, scans_n, BATCH)]
    for name, scan in one_scan().items():
        rng = np.random.default_rng(0)
        made = [batch_of(scan, batches[0], rng) for _ in range(distinct)]
        (folder / name).mkdir()
        for place, members in enumerate(batches):
            data = made[place % distinct].slice(0, len(members) * scan.num_rows)
            data = with_ids(data, members, scan.num_rows)
            pq.write_table(data, folder / name / f"{place:05d}.parquet", compression="zstd")
    ids = [f"sub-{n:07d}" for n in numbers]
    return pa.table(
        {
            "participant_id": ids,
            "session_id": pa.nulls(scans_n, pa.string()),
            "scan_id": [f"{i}_T2w" for i in ids],
            "path": [f"/data/{i}.nii.gz" for i in ids],
            "input_status": ["ok"] * scans_n,
            "reason": pa.nulls(scans_n, pa.string()),
        }
    )


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=10_000)
    parser.add_argument("--distinct", type=int, default=40, help="batches drawn anew")
    parser.add_argument("--twice", action="store_true", help="compare the bytes of two runs")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        index = synthesise(folder, arguments.scans, arguments.distinct)
        shards = {table: sorted((folder / table).glob("*.parquet")) for table in SHARDED}
        before = peak_mib()
        start, cpu = time.perf_counter(), time.process_time()
        counts = collect(shards, index, folder / "tables", CONFIG)
        wall, cpu = time.perf_counter() - start, time.process_time() - cpu
        rows = sum(counts.values())
        print(f"rows            {counts}")
        print(f"wall, CPU       {wall:.1f} s, {cpu:.1f} s; {rows / wall:,.0f} rows/s")
        print(f"peak memory     {peak_mib()} MiB (before: {before} MiB)")
        tables = sorted((folder / "tables").glob("*.parquet"))
        print("MiB             ", {t.stem: round(t.stat().st_size / 2**20, 1) for t in tables})
        if arguments.twice:
            files = {f: shards[f][::-1] for f in shards}
            collect(files, index, folder / "again", CONFIG)
            same = all(sha256_file(t) == sha256_file(folder / "again" / t.name) for t in tables)
            print(f"two runs        {'identical bytes' if same else 'DIFFER'}")


if __name__ == "__main__":
    main()
