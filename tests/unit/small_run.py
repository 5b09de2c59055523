"""A small cohort with masks of its own, and the jobs of a run without Snakemake."""

import json
from dataclasses import dataclass
from pathlib import Path

from columna.batch.job import run_job
from columna.chain import STAGES
from columna.cohort.index import build_index
from columna.collect.collect import collect_tables
from columna.config import Config, config_sha256
from columna.phantom import PhantomSettings, make_phantom, write_phantom
from columna.results.layout import Layout
from columna.results.manifest import list_batches
from columna.results.store import Store
from columna.review.corrections import decisions_of
from columna.stages.by_name import make_stage
from columna.upkeep.stale import RunState, look

SCANS = ("sub-01", "sub-02", "sub-03")
SMALL = {"spacing_mm": (1.8, 1.8, 4.0), "region": "lumbar", "fov_mm": (100.0, 130.0, 52.0)}
MASKS = ("seg-spine_dseg", "seg-vert_dseg")


@dataclass
class SmallRun:
    """A folder with ``data/``, ``cohort.tsv`` and ``results/``."""

    folder: Path
    config: Config

    @property
    def layout(self) -> Layout:
        return Layout(self.folder / "results")

    def index(self) -> None:
        build_index(self.folder / "cohort.tsv", self.layout.index, batch_size=2)

    def look(self) -> RunState:
        return look(self.layout, self.config)

    def run(self) -> list[str]:
        """The jobs that Snakemake would run, in order; their names."""
        state = self.look()
        jobs = []
        for batch in list_batches(self.layout.index):
            stale = state.stale.get(batch)
            first = stale.stage if stale else state.pending.get(batch)
            for stage in STAGES[STAGES.index(first) :] if first else ():
                run_job(make_stage(stage, self.config, self.layout), batch, 1)
                jobs.append(f"{stage} {batch}")
        if not self.look().are_tables_current:
            collect_tables(
                self.layout,
                config_sha256(self.config),
                self.config.participant_columns,
                decisions=decisions_of(self.config),
            )
            jobs.append("collect")
        return jobs

    def tables(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.layout.tables.iterdir()}

    def computations(self) -> dict[tuple[str, str], tuple[int, float]]:
        """What a computation changes in the record of a scan's stage, by (scan, stage)."""
        store = Store(self.layout)
        records = {(s, stage): store.read(s, stage) for s in store.scan_ids() for stage in STAGES}
        return {key: (r.computations_n, r.seconds) for key, r in records.items() if r}


def computed_scans(before: dict, after: dict) -> set[str]:
    """Scans of which a stage was computed between two `SmallRun.computations`."""
    return {scan for scan, stage in after if before.get((scan, stage)) != after[scan, stage]}


def write_scan(folder: Path, name: str, seed: int) -> None:
    write_phantom(make_phantom(PhantomSettings(**SMALL, seed=seed)), folder / "data", name)
    (folder / "data" / f"{name}_T2w.json").write_text(json.dumps({"EchoTime": (100 + seed) / 1000}))


def small_cohort(folder: Path) -> SmallRun:
    """Three scans with masks, not yet computed."""
    lines = ["participant_id\tscan_id\tpath\tsemantic\tinstance"]
    for seed, name in enumerate(SCANS):
        write_scan(folder, name, seed)
        files = [f"data/{name}_{kind}.nii.gz" for kind in ("T2w", *MASKS)]
        lines.append("\t".join([name, f"{name}_T2w", *files]))
    (folder / "cohort.tsv").write_text("\n".join(lines) + "\n")
    return SmallRun(folder, Config(models={"semantic": "none", "instance": "none"}))
