"""Peak memory and CPU seconds of `columna evaluate` over many pairs of lumbar scans.

    python benchmarks/evaluate_many.py [--pairs 1000] [--spacing 0.8 0.8 4.0]

A few synthetic pairs (the truth of phantoms, and the same with every border moved by up to a voxel)
are evaluated again and again under other names.
"""

import argparse
import contextlib
import io
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pyarrow.parquet as pq

from columna.cli.evaluate import evaluate
from columna.images.volume import save_volume
from columna.phantom import PhantomSettings, make_phantom
from evaluate import _cpu_seconds, _moved, _peak_mb

DIFFERENT = 4
KINDS = ("semantic", "instance")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--spacing", type=float, nargs=3, default=(0.8, 0.8, 4.0))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # in a process of its own, since phantoms need more memory than what is measured here
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            spacing = tuple(options.spacing)
            sheet = pool.submit(write_pairs, folder, options.pairs, spacing).result()
        began, before = _cpu_seconds(), _peak_mb()
        with contextlib.redirect_stdout(io.StringIO()):
            evaluate(sheet, folder / "out", None, 1)
        seconds = (_cpu_seconds() - began) / options.pairs
        rows = pq.read_metadata(folder / "out" / "evaluation.parquet").num_rows
        print(
            f"{options.pairs} pairs, {rows} rows: {seconds:.2f} CPU s per pair; peak "
            f"{_peak_mb():.0f} MB ({before:.0f} MB before)"
        )


def write_pairs(folder: Path, count: int, spacing: tuple[float, float, float]) -> Path:
    """Write a few pairs and a sheet that names them `count` times."""
    for number in range(DIFFERENT):
        settings = PhantomSettings(region="lumbar", seed=number, spacing_mm=spacing)
        phantom = make_phantom(settings)
        for kind, mask in zip(KINDS, (phantom.semantic, phantom.instance), strict=True):
            save_volume(mask, folder / f"reference_{kind}_{number}.nii.gz")
            save_volume(_moved(mask), folder / f"prediction_{kind}_{number}.nii.gz")
    columns = [f"{side}_{kind}" for side in ("prediction", "reference") for kind in KINDS]
    lines = ["\t".join(("scan_id", *columns))]
    for n in range(count):
        files = [f"{column}_{n % DIFFERENT}.nii.gz" for column in columns]
        lines.append("\t".join((f"scan-{n:05d}", *files)))
    sheet = folder / "pairs.tsv"
    sheet.write_text("\n".join(lines) + "\n")
    return sheet


if __name__ == "__main__":
    main()
