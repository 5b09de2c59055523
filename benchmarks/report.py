"""The report of a large synthetic cohort: time, peak memory, size; and the list in Chromium.

    python benchmarks/report.py --scans 100000
    python benchmarks/report.py --scans 10000 --browser

Every scan has the rows of one measured phantom of a whole spine, with its own ids and with floats
that differ by some percent. Fails beyond the limits of docs/report.md.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from columna.batch.job import run_job
from columna.chain import STAGES
from columna.cohort.index import build_index
from columna.collect.collect import collect_tables
from columna.config import Config, config_sha256
from columna.phantom import PhantomSettings, make_phantom, write_phantom
from columna.results.layout import Layout
from columna.stages.by_name import make_stage
from columna.tables.catalogue import TABLES
from measured import measure

MOST_S, MOST_MB, MOST_GB = 600, 3000, 2.0
FILTER_S = 1.0
BATCH = 32
PROGRAM = """
from pathlib import Path
import sys
from columna.config import Config
from columna.results.layout import Layout
from columna.report import write_report
write_report(Layout(Path(sys.argv[1])), Config(), 2)
"""


def base_tables(folder):
    """Tables of one scan, a phantom with its masks."""
    settings = PhantomSettings(seed=1, region="whole", spacing_mm=(1.2, 1.2, 4.0))
    write_phantom(make_phantom(settings), folder, "one")
    files = ("one_T2w.nii.gz", "one_seg-spine_dseg.nii.gz", "one_seg-vert_dseg.nii.gz")
    sheet = folder / "cohort.tsv"
    sheet.write_text(
        "participant_id\tscan_id\tpath\tsemantic\tinstance\tage\tsite\n"
        f"one\tone_T2w\t{files[0]}\t{files[1]}\t{files[2]}\t50\tA\n"
    )
    layout, config = Layout(folder / "results"), Config(models={"semantic": "-", "instance": "-"})
    build_index(sheet, layout.index, batch_size=1)
    for stage in STAGES:
        run_job(make_stage(stage, config, layout), "b00001", 1)
    collect_tables(layout, config_sha256(config), config.participant_columns)
    return layout.tables


def multiply(base, layout, scans_n):
    """Tables of `scans_n` scans like the one of `base`."""
    layout.tables.mkdir(parents=True)
    layout.index.mkdir(parents=True)
    connection = duckdb.connect()
    connection.execute("SET memory_limit = '2GB'; SET enable_progress_bar = false")
    for name in TABLES:
        source, target = base / f"{name}.parquet", layout.tables / f"{name}.parquet"
        columns = connection.execute(f"DESCRIBE FROM '{source}'").fetchall()
        if "scan_id" not in [column for column, *_ in columns]:
            shutil.copy(source, target)
            continue
        own = {"participant_id": "printf('sub-%07d', k)", "scan_id": "printf('sub-%07d_T2w', k)"}
        own |= {"site": "'site ' || chr((65 + k % 12)::INTEGER)", "age": "(20 + k % 60)::DOUBLE"}
        verdict = "CASE k % 9 WHEN 0 THEN 'fail' WHEN 1 THEN 'review' ELSE 'pass' END"
        own |= {"qc_verdict": verdict} if name == "scans" else {}
        replaced = [
            f"{own[column]} AS {column}"
            if column in own
            else f"round({column} * (0.95 + (hash(k, '{column}') % 1000) / 10000), 3) AS {column}"
            for column, kind, *_ in columns
            if column in own or kind == "DOUBLE"
        ]
        connection.execute(
            f"COPY (SELECT * REPLACE ({', '.join(replaced)}) FROM '{source}', range({scans_n}) "
            f"r(k)) TO '{target}'"
        ).fetchall()
    connection.execute(
        "COPY (SELECT printf('sub-%07d_T2w', k) AS scan_id, 'ok' AS input_status, "
        f"printf('b%05d', k // {BATCH} + 1) AS batch FROM range({scans_n}) r(k)) "
        f"TO '{layout.index / 'scans.parquet'}'"
    ).fetchall()


def size_of(folder):
    """Gigabytes and files below a folder."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return sum(sizes) / 1e9, len(sizes)


def browse(layout):
    """Seconds until the list is there, and until each filter has answered."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    timed = """([id, value]) => {
        const field = document.getElementById(id);
        const began = performance.now();
        field.value = value;
        field.dispatchEvent(new Event("input", { bubbles: true }));
        document.body.getBoundingClientRect();  // the layout is part of it
        return (performance.now() - began) / 1000;
    }"""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        began = time.perf_counter()
        page.goto((layout.report / "scans.html").as_uri())
        page.wait_for_function("document.body.dataset.ready")
        found = {"open": time.perf_counter() - began}
        for step in (["verdict", "fail"], ["search", "sub-00001"], ["search", ""], ["from", "T1"]):
            found["filter " + " ".join(step)] = page.evaluate(timed, step)
        began = time.perf_counter()
        page.click("th[data-name=age] button")
        found["sort by age"] = time.perf_counter() - began
        browser.close()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scans", type=int, default=100_000)
    parser.add_argument("--browser", action="store_true", help="also time the list in Chromium")
    parser.add_argument("--folder", type=Path, help="where to work, and to keep the report")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        layout = Layout(Path(folder) / "results")
        multiply(base_tables(Path(folder) / "one"), layout, options.scans)
        status, wall_s, cpu_s, peak_mb = measure([sys.executable, "-c", PROGRAM, str(layout.root)])
        gigabytes, files_n = size_of(layout.report)
        print(
            f"{options.scans} scans: {wall_s:.0f} s wall, {cpu_s:.0f} s CPU, {peak_mb:.0f} MB "
            f"peak, {gigabytes:.2f} GB in {files_n} files"
        )
        is_slow = False
        if options.browser:
            for step, seconds in browse(layout).items():
                print(f"{step}: {seconds:.2f} s")
                is_slow |= seconds > FILTER_S and step != "open"
    return status or int(is_slow or cpu_s > MOST_S or peak_mb > MOST_MB or gigabytes > MOST_GB)


if __name__ == "__main__":
    sys.exit(main())
