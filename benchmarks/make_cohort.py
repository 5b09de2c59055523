"""Write a cohort sheet of any size whose rows all name one empty file: for planning, not running.

python benchmarks/make_cohort.py 100000 FOLDER
"""

import sys
from pathlib import Path


def make_cohort(scans: int, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scan.nii.gz").touch()
    sheet = folder / "cohort.tsv"
    with sheet.open("w", encoding="utf-8") as file:
        file.write("participant_id\tscan_id\tpath\n")
        for number in range(1, scans + 1):
            file.write(f"sub-{number:06d}\tsub-{number:06d}_T2w\tscan.nii.gz\n")
    return sheet


if __name__ == "__main__":
    print(make_cohort(int(sys.argv[1]), Path(sys.argv[2])))
