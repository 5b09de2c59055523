"""CPU seconds and bytes of the picture of a lumbar scan.

    python benchmarks/picture.py [SCAN SEMANTIC INSTANCE]

Without files: a lumbar phantom of clinical size. Reading scan and masks counts, as in the stage.
"""

import sys
import tempfile
import time
from pathlib import Path

from columna.anatomy import levels
from columna.config import PrepareSettings
from columna.images.volume import load_volume
from columna.phantom import PhantomSettings, make_phantom, write_phantom
from columna.picture import Mark, PictureItem, draw_picture
from columna.prepare import read_scan

REPEATS = 5
LIMIT_S, LIMIT_BYTES = 1.5, 150_000
SPACING_MM = (0.6, 0.6, 4.0)


def phantom_files(folder):
    """A scan with its masks, as in a clinical lumbar protocol."""
    settings = PhantomSettings(seed=1, region="lumbar", spacing_mm=SPACING_MM, surroundings="body")
    image = write_phantom(make_phantom(settings), folder, "lumbar")
    return [image, *(folder / f"lumbar_seg-{kind}_dseg.nii.gz" for kind in ("spine", "vert"))]


def main():
    marks = [Mark(label, row.name, "none") for label, row in levels().items()]
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(name) for name in sys.argv[1:4]] or phantom_files(Path(folder))
        began = time.process_time()
        for _ in range(REPEATS):
            image = read_scan(files[0], PrepareSettings()).volume
            item = PictureItem(image, *(load_volume(path) for path in files[1:]), marks)
            read_s = time.process_time()
            content = draw_picture(item)
            draw_s = time.process_time() - read_s
    cpu_s = (time.process_time() - began) / REPEATS
    print(f"{image.shape}: {cpu_s:.2f} s CPU, {draw_s:.2f} of them to draw, {len(content)} bytes")
    return int(cpu_s > LIMIT_S or len(content) > LIMIT_BYTES)


if __name__ == "__main__":
    sys.exit(main())
