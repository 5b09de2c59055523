"""Collect the tables of a synthetic cohort: rows per second and peak memory.

python benchmarks/collect.py --scans 100000
"""

import argparse
import random
import resource
import tempfile
import time
from pathlib import Path

import pyarrow as pa

from columna.anatomy import levels
from columna.files import sha256_file
from columna.tables.collect import collect
from columna.tables.rows import finish_row
from columna.tables.scans import SCANS
from columna.tables.shards import write_shard
from columna.tables.structures import STRUCTURES
from columna.tables.vertebrae import VERTEBRAE

BATCH = 32
CONFIG = "0" * 64
CANONICAL = [v for v in levels().values() if v.name not in ("T13", "L6", "S1")]
AXES = ("lr", "ap", "si")


def scan_row(identity, rng):
    row = {f"dim_{a}_n": rng.randrange(15, 400) for a in AXES}
    row |= {f"spacing_{a}_mm": rng.uniform(0.5, 3.3) for a in AXES}
    row |= {f"fov_{a}_mm": rng.uniform(50, 500) for a in AXES}
    row |= {"obliquity_deg": rng.uniform(0, 20), "input_sha256": f"{rng.getrandbits(256):064x}"}
    row |= {"input_status": "ok", "is_excluded_input": False, "processing_status": "done"}
    row |= {"n_vertebrae_n": 24, "n_bodies_complete_n": 23, "n_discs_n": 23}
    row |= {"has_sacrum": True, "has_c2": True, "enumeration_variant": "none"}
    row |= {"is_thoracic_count_known": True, "is_lumbar_count_known": True}
    row |= {"config_sha256": CONFIG, "measure_version": "1.0.0", "pipeline_version": "0.1.0"}
    return finish_row(SCANS, identity | row)


def vertebra_row(identity, level, rng):
    row = {"vertebra": level.name, "level": level.name, "region": level.region}
    row |= {"level_order": level.level_order, "spineps_label": level.label}
    row |= {f"{name}_status": "ok" for name in ("level", "vertebra", "body", "arch")}
    row |= {"presence": "complete", "touches_fov": False, "edge_faces": ""}
    row |= {c.name: rng.uniform(1e3, 5e4) for c in VERTEBRAE if c.name.endswith("_mm3")}
    row |= {c.name: rng.uniform(-300, 300) for c in VERTEBRAE if c.name.endswith("_mm")}
    row |= {"body_share_ratio": rng.random(), "level_confidence_ratio": rng.random()}
    return finish_row(VERTEBRAE, identity | row)


def structure_row(identity, label, rng):
    row = {"mask": "instance", "label": label, "structure": "unknown"}
    row |= {c.name: rng.randrange(1, 9999) for c in STRUCTURES if c.name.endswith("_n")}
    row |= {c.name: False for c in STRUCTURES if c.type == "bool"}
    row |= {c.name: rng.uniform(0, 3e4) for c in STRUCTURES if c.type == "float64"}
    return finish_row(STRUCTURES, identity | row)


def write_batch(folder, batch, scan_numbers, structures_n):
    """Shards of one batch; every scan is drawn from its own number."""
    rows = {"scans": [], "vertebrae": [], "structures": []}
    for number in scan_numbers:
        rng = random.Random(number)
        identity = {"participant_id": f"sub-{number:07d}", "scan_id": f"sub-{number:07d}_T2w"}
        rows["scans"].append(scan_row(identity, rng))
        rows["vertebrae"] += [vertebra_row(identity, level, rng) for level in CANONICAL]
        rows["structures"] += [structure_row(identity, n, rng) for n in range(1, structures_n + 1)]
    for table, found in rows.items():
        write_shard(folder / table / f"{batch:05d}.parquet", table, found)


def synthesise(folder, scans_n, structures_n, distinct):
    """Shards of `scans_n` scans, and their index.

    Making rows in Python takes far longer than collecting them, so after `distinct` batches the
    measures repeat (keys do not).
    """
    numbers = list(range(scans_n))
    random.Random(0).shuffle(numbers)
    batches = [numbers[i : i + BATCH] for i in range(0, scans_n, BATCH)]
    made = {}
    for batch, members in enumerate(batches):
        if batch < distinct:
            write_batch(folder, batch, members, structures_n)
            made[batch] = members
        else:
            copy_batch(folder, batch, members, batch % distinct, made[batch % distinct])
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


def copy_batch(folder, batch, members, source, source_members):
    """Write the shards of `source` again under the names of other scans."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    old = pa.array([f"sub-{n:07d}" for n in source_members])
    new = pa.array([f"sub-{members[i % len(members)]:07d}" for i in range(len(old))])
    for table in ("scans", "vertebrae", "structures"):
        data = pq.read_table(folder / table / f"{source:05d}.parquet")
        place = pc.index_in(data["participant_id"], old)
        data = data.filter(pc.less(place, len(members)))
        ids = new.take(pc.index_in(data["participant_id"], old).combine_chunks())
        scans = pc.binary_join_element_wise(ids, "T2w", "_")
        data = data.set_column(0, data.schema.field(0), ids)
        data = data.set_column(2, data.schema.field(2), scans)
        pq.write_table(data, folder / table / f"{batch:05d}.parquet", compression="zstd")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=10_000)
    parser.add_argument("--structures", type=int, default=80, help="labels per scan")
    parser.add_argument("--distinct", type=int, default=40, help="batches drawn anew")
    parser.add_argument("--twice", action="store_true", help="compare the bytes of two runs")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        index = synthesise(folder, arguments.scans, arguments.structures, arguments.distinct)
        shards = {
            table: sorted((folder / table).glob("*.parquet"))
            for table in ("scans", "vertebrae", "structures")
        }
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        start, cpu = time.perf_counter(), time.process_time()
        counts = collect(shards, index, folder / "tables", CONFIG)
        wall, cpu = time.perf_counter() - start, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        rows = sum(counts.values())
        print(f"rows            {counts}")
        print(f"wall, CPU       {wall:.1f} s, {cpu:.1f} s; {rows / wall:,.0f} rows/s")
        print(f"peak memory     {peak} MiB (before: {before} MiB)")
        tables = sorted((folder / "tables").glob("*.parquet"))
        print("MiB             ", {t.stem: round(t.stat().st_size / 2**20, 1) for t in tables})
        if arguments.twice:
            files = {f: [folder / f / p.name for p in shards[f]][::-1] for f in shards}
            collect(files, index, folder / "again", CONFIG)
            same = all(sha256_file(t) == sha256_file(folder / "again" / t.name) for t in tables)
            print(f"two runs        {'identical bytes' if same else 'DIFFER'}")


if __name__ == "__main__":
    main()
