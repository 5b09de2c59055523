"""Stations of stitched scans: seams are found where they are, and nowhere else."""

import numpy as np
import pytest

from columna.images.volume import Volume
from columna.phantom import PhantomSettings, make_phantom
from columna.prepare.stations import seams_si_mm, station_facts

AFFINE = np.array([[3.3, 0, 0, -20.0], [0, 0.9, 0, -90.0], [0, 0, 0.9, -200.2], [0, 0, 0, 1]])


def stitched(shifts, rows=100):
    """Stations of `rows` rows, from below, each shifted by so many voxels towards anterior."""
    rng = np.random.default_rng(1)
    array = np.zeros((9, 200, rows * len(shifts)), np.float32)
    for station, shift in enumerate(shifts):
        part = array[:, 20 + shift : 180 + shift, station * rows : (station + 1) * rows]
        part[:] = rng.rayleigh(50, part.shape)
    return Volume(array, AFFINE)


@pytest.mark.parametrize("codes", [("R", "A", "S"), ("P", "I", "R"), ("L", "S", "A")])
def test_seams_are_found_where_they_are(codes):
    volume = stitched([0, 6, -4]).reoriented(codes)
    expected = [AFFINE[2, 3] + 0.9 * (row - 0.5) for row in (200, 100)]
    assert seams_si_mm(volume) == pytest.approx(expected)
    facts = station_facts(volume, {})
    assert (facts["is_stitched"], facts["n_stations_n"]) == (True, 3)
    told = [float(position) for position in facts["stitch_si_mm"].split(";")]
    assert told == pytest.approx(expected, abs=0.06)


@pytest.mark.parametrize(
    ("sidecar", "is_stitched", "stations"),
    [
        ({}, None, None),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "NORM"]}, False, 1),
        ({"ImageType": ["DERIVED", "PRIMARY", "MPR", "COMP_SP", "COMPOSED"]}, True, None),
        ({"ImageType": "ORIGINAL"}, None, None),
    ],
)
def test_without_steps_the_sidecar_decides(sidecar, is_stitched, stations):
    facts = station_facts(stitched([0, 0]), sidecar)
    seams = "" if is_stitched is False else None
    assert facts == {"is_stitched": is_stitched, "n_stations_n": stations, "stitch_si_mm": seams}


def test_slanted_borders_and_plain_scans_have_no_seams():
    array = np.zeros((9, 200, 200), np.float32)
    for row in range(200):
        array[:, 20 + row // 4 : 150 + row // 4, row] = 50
    assert seams_si_mm(Volume(array, AFFINE)) == []
    assert seams_si_mm(make_phantom(PhantomSettings(seed=3, region="lumbar")).image) == []
