"""Seconds and peak memory of the label stage on a whole spine: python benchmarks/label.py

A phantom with 24 vertebrae at 0.75 x 0.75 x 1.65 mm in a field of view of at least 60 million
voxels goes through cleaning, centres of bodies, naming, completing, centroids and saving: all that
is no network. Steps are timed in one process; memory is that of the process.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from columna.anatomy import vertebra_labels
from columna.config import LabelSettings
from columna.images.volume import PIR, Volume, bounding_box, save_volume
from columna.instance.centres import find_centres
from columna.instance.phase_2 import CROP_MARGIN_MM
from columna.label import label_masks
from columna.label.points import poi_json
from columna.phantom.generate import make_scene
from columna.phantom.settings import PhantomSettings
from columna.semantic.postprocess import clean_semantic

SPACING_MM = (0.75, 0.75, 1.65)
SMALLEST_PIECE_VOXELS = 100


def raw_masks(voxels: int) -> tuple[Volume, Volume]:
    """Masks as networks would give them, vertebrae numbered at random, amid air."""
    scene = make_scene(PhantomSettings(spacing_mm=SPACING_MM))
    size = scene.semantic.shape
    grow = (voxels / np.prod(size)) ** 0.5
    # a wider and deeper scan, not a longer one
    margins = [round(n * (grow - 1) / 2) + 1 for n in size]
    margins[1] = 0
    widths = [(m, m) for m in margins]
    numbers = np.zeros(256, np.uint8)
    vertebrae = np.array(vertebra_labels())
    numbers[vertebrae] = np.random.default_rng(0).permutation(len(vertebrae)) + 1
    semantic = np.pad(scene.semantic, widths)
    return (
        Volume(semantic, scene.grid.affine).reoriented(PIR),
        Volume(np.pad(numbers[scene.instance], widths), scene.grid.affine).reoriented(PIR),
    )


def centres(semantic: Volume) -> np.ndarray:
    """What the instance stage does before it asks its network."""
    box = bounding_box(semantic.array, round(CROP_MARGIN_MM / semantic.spacing_mm.min()))
    crop = np.ascontiguousarray(semantic.array[box])
    return find_centres(crop, semantic.spacing_mm, SMALLEST_PIECE_VOXELS)


def timed(name: str, step: Callable[[], Any]) -> Any:
    wall, cpu = time.perf_counter(), time.process_time()
    result = step()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{name:<24}{wall:7.2f} s wall {cpu:7.2f} s CPU   peak {peak_mb():6.0f} MB", flush=True)
    return result


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--voxels", type=float, default=60e6)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as elsewhere:
        # painting takes more memory than labelling
        semantic, instance = elsewhere.submit(raw_masks, parser.parse_args().voxels).result()
    print(f"{semantic.shape} = {semantic.array.size / 1e6:.0f} million voxels")
    masks_mb = 2 * semantic.array.size / 1e6
    print(f"before: peak {peak_mb():.0f} MB, of which the two masks {masks_mb:.0f}")
    wall, cpu = time.perf_counter(), time.process_time()
    semantic = timed("clean semantic mask", lambda: clean_semantic(semantic))
    timed("centres of bodies", lambda: centres(semantic))
    grid = semantic.with_array(np.broadcast_to(np.uint8(0), semantic.shape))
    result = timed("label", lambda: label_masks(grid, semantic, instance, LabelSettings()))
    print(f"{'':<24}{len(result.levels)} vertebrae named: {result.naming}")
    timed("centroids", lambda: poi_json(result))
    with tempfile.TemporaryDirectory() as folder:
        for name, mask in (("semantic", result.semantic), ("instance", result.instance)):
            path = Path(folder) / f"{name}.nii.gz"
            timed(f"save {name}", partial(save_volume, mask, path))
            print(f"{'':<24}{path.stat().st_size / 1e6:.1f} MB")
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{'sum':<24}{wall:7.2f} s wall {cpu:7.2f} s CPU   peak {peak_mb():6.0f} MB")


if __name__ == "__main__":
    main()
