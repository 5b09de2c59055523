"""How long `columna index` takes: python benchmarks/index.py [SCANS]."""

import resource
import sys
import tempfile
import time
from pathlib import Path

from columna.cohort.index import build_index
from columna.results.manifest import list_batches


def make_bids(root: Path, scans_n: int) -> list[str]:
    """A folder with one empty T2w image per subject."""
    paths = [f"sub-{n:06d}/anat/sub-{n:06d}_acq-sag_T2w.nii.gz" for n in range(scans_n)]
    for path in paths:
        (root / path).parent.mkdir(parents=True)
        (root / path).touch()
    return paths


def make_sheet(root: Path, paths: list[str]) -> Path:
    """A sheet of the same scans with six more columns."""
    sheet = root.with_suffix(".tsv")
    extra = [f"extra_{n}" for n in range(6)]
    with open(sheet, "w") as stream:
        stream.write("\t".join(["participant_id", "session_id", "scan_id", "path", *extra]) + "\n")
        for n, path in enumerate(paths):
            fields = [f"p{n}", "1", f"scan-{n:06d}", f"{root.name}/{path}", *extra]
            stream.write("\t".join(fields) + "\n")
    return sheet


def timed(name: str, cohort: Path, out: Path) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    summary = build_index(cohort, out, 32)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{name:<28}{summary.scans_n:>8} scans {wall:7.2f} s {cpu:7.2f} CPU s {peak:7.0f} MB")


def main(scans_n: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "bids"
        sheet = make_sheet(root, make_bids(root, scans_n))
        timed("sheet", sheet, root.parent / "a")
        timed("sheet again", sheet, root.parent / "a")
        timed("BIDS folder", root, root.parent / "b")
        began = time.perf_counter()
        batches = list_batches(root.parent / "a")
        print(f"list_batches: {len(batches)} in {(time.perf_counter() - began) * 1000:.1f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
