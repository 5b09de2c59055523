"""Read a POI file with TPTBox: `.venv-peer/bin/python tests/peer/read_points.py FILE`."""

import json
import sys

from TPTBox import POI

found = POI.load(sys.argv[1])
points = {f"{level}-{subregion}": list(voxel) for level, subregion, voxel in found.items()}
world = found.to_global()
print(  # noqa: T201
    json.dumps(
        {
            "orientation": list(found.orientation),
            "zoom": list(found.zoom),
            "shape": list(found.shape),
            "affine": found.affine.tolist(),
            "points": points,
            "world": {f"{a}-{b}": list(voxel) for a, b, voxel in world.items()},
        }
    )
)
