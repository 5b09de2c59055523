"""The POI file as TPTBox, the package's own library, reads it."""

import json
import subprocess
from pathlib import Path

import numpy as np
import oracle
import pytest
from drawn_spine import draw_spine

from columna.config import LabelSettings
from columna.files import write_json
from columna.label import label_masks
from columna.label.points import poi_json

pytestmark = pytest.mark.skipif(not oracle.can_run(), reason="the package is not installed")


@pytest.mark.parametrize("orientation", ["PIR", "LAS", "SRP"])
def test_tptbox_reads_every_point_where_it_was_written(tmp_path, orientation):
    masks = [mask.reoriented(tuple(orientation)) for mask in draw_spine(4).volumes()]
    result = label_masks(masks[0], *masks, LabelSettings())
    written = poi_json(result)
    file = tmp_path / "sub-1_seg-spine_ctd.json"
    write_json(file, written)
    script = Path(__file__).with_name("read_points.py")
    done = subprocess.run([oracle.PYTHON, script, file], check=True, capture_output=True, text=True)
    read = json.loads(done.stdout.splitlines()[-1])
    assert read["orientation"] == list(orientation)
    assert read["shape"] == list(masks[0].shape)
    np.testing.assert_allclose(read["zoom"], masks[0].spacing_mm, atol=1e-6)
    np.testing.assert_allclose(read["affine"], masks[0].affine, atol=1e-5)
    expected = {f"{a}-{b}": voxel for a, found in written[1].items() for b, voxel in found.items()}
    assert read["points"].keys() == expected.keys()
    assert {key.split("-")[1] for key in expected} == {"50", "52", "53", "60", "61", "100"}
    for key, voxel in expected.items():
        np.testing.assert_allclose(read["points"][key], voxel, atol=0.006)
