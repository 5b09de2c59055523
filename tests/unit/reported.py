"""A small run with its report; participants and sites have hostile names."""

from small_run import MASKS, SCANS, small_cohort, write_scan

from columna.report import write_report

HOSTILE = "<img src=x onerror=window.hacked=1>"
CLOSING = "</script><script>window.hacked=1</script>"
QUOTES = "\"'`${window.hacked=1}"
COLUMNS = ("participant_id", "scan_id", "path", "semantic", "instance", "site", "age")


def reported_run(folder):
    """Three measured scans, one with a damaged mask, and rows that are left out."""
    run = small_cohort(folder)
    lines = ["\t".join(COLUMNS)]
    names = [*SCANS, "sub-04"]
    write_scan(folder, "sub-04", 4)
    damaged = folder / "data" / "sub-04_seg-vert_dseg.nii.gz"
    damaged.write_bytes(damaged.read_bytes()[:400])
    people = [HOSTILE.replace("/", ""), QUOTES, "sub-03", "sub-04"]
    for number, (name, person) in enumerate(zip(names, people, strict=True)):
        files = [f"data/{name}_{kind}.nii.gz" for kind in ("T2w", *MASKS)]
        site = [HOSTILE, CLOSING][number % 2]
        lines.append("\t".join([person, f"{name}_T2w", *files, site, str(40 + number)]))
    lines += [
        "\t".join(["sub-09", scan_id, "data/nowhere.nii.gz", "", "", HOSTILE, "50"])
        for scan_id in (HOSTILE, CLOSING, "quo\"te'd")
    ]
    text = "\n".join(lines) + "\n"
    (folder / "cohort.tsv").write_text(text)
    run.index()
    run.run()
    write_report(run.layout, run.config, threads=1)
    return run
