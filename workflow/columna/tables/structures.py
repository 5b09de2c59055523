"""Table `structures`: every label of both masks, without anatomical assumptions."""

from dataclasses import replace

from columna.anatomy import semantic_names
from columna.tables.common import (
    FACES,
    confidence_columns,
    fold_dice_columns,
    identity_columns,
)
from columna.tables.measures import (
    category,
    count,
    flag,
    level_column,
    measure,
    required,
    with_status,
)
from columna.tables.schema import Column, Table

MASKS = {
    "semantic": "structures by kind (14 classes)",
    "instance": "structures by level (vertebrae, discs, endplates, sacrum)",
}
KINDS = {
    **{name: f"semantic label {label}" for label, name in semantic_names().items()},
    "sacrum": "semantic and instance label 26",
    "metal": "semantic and instance label 80",
    "vertebra": "instance labels 1 to 25 and 28, and of vertebrae without a known level",
    "fragment": "a piece of bone that is no vertebra of its own, and disc or plates above C2",
    "disc": "semantic label 100, instance labels 100 + X: the disc below vertebra X",
    "endplate_pair": "instance labels 200 + X: the endplates on both sides of the disc 100 + X",
    "unknown": "a label that labels.tsv does not list",
}


def _size_columns() -> tuple[Column, ...]:
    return (
        *required(
            count("voxels_n", "Voxels of the label.", (1, None)),
            measure("volume_mm3", "Voxels times the volume of a voxel.", tier="B"),
        ),
        *with_status(
            "volume_mesh_status",
            "switched off (measure.mesh_volume)",
            replace(
                measure(
                    "volume_mesh_mm3",
                    "Volume within the surface half-way between voxels (marching cubes); off by "
                    "default.",
                    tier="B",
                ),
                since_version="1.1.0",
                is_default=False,
            ),
        ),
        *required(
            *(
                measure(
                    f"centroid_{axis}_mm",
                    f"Centroid along the scanner's {name} axis (scanner frame, RAS+).",
                    tier="A",
                    sign=f"+ = {name}",
                )
                for axis, name in (("r", "right"), ("a", "anterior"), ("s", "superior"))
            ),
            *(
                measure(
                    f"extent_{axis}_mm",
                    f"{name} extent along the scanner's axis, whole voxels included.",
                    (0, None),
                    tier,
                )
                for axis, name, tier in (
                    ("lr", "Left-right", "C"),
                    ("ap", "Anterior-posterior", "A"),
                    ("si", "Superior-inferior", "A"),
                )
            ),
        ),
    )


def _shape_columns() -> tuple[Column, ...]:
    return required(
        count("components_n", "Components (26-connected)."),
        measure(
            "largest_component_ratio",
            "Share of the voxels that the largest component holds.",
            (0.9, 1),
        ),
        count("holes_n", "Cavities: background (6-connected) that this label alone encloses."),
        *(
            flag(
                f"touches_{face}",
                f"Whether the label touches the {face} face of the field of view.",
                "G15",
            )
            for face in FACES.values()
        ),
    )


def _signal_columns() -> tuple[Column, ...]:
    texts = {
        "mean": "Mean",
        "median": "Median",
        "sd": "Standard deviation",
        "p05": "5th percentile",
        "p95": "95th percentile",
    }
    return with_status(
        "signal_status",
        "the input image was not at hand",
        *(
            measure(
                f"signal_{name}_au",
                f"{text} of the input image over the label's voxels; comparable within a scan "
                "only.",
            )
            for name, text in texts.items()
        ),
    )


STRUCTURES = Table(
    name="structures",
    title="Labels of the masks",
    description="One row per label of the final semantic and instance masks of a scan.",
    key=("scan_id", "mask", "label"),
    sort=("participant_id", "session_id", "scan_id", "mask", "level_order", "label"),
    columns=(
        *identity_columns(),
        *required(
            category("mask", "Mask that holds the label.", MASKS),
            count("label", "Label number, as in the mask."),
            category("structure", "Structure.", KINDS),
        ),
        *with_status(
            "level_status",
            "not the structure of a level, or the level has no name",
            level_column("level", "Level; of discs and endplate pairs the level above."),
            count(
                "level_order",
                "Anatomical rank of the level: C1 = 1, T12 = 19, T13 = 20, L1 = 21, S1 = 27.",
            ),
        ),
        *_size_columns(),
        *_shape_columns(),
        *_signal_columns(),
        *confidence_columns("the label"),
        *fold_dice_columns("the label"),
    ),
)
