"""Table `vertebrae`: one row per canonical level, seen or not, and per vertebra without a name."""

from columna.tables.common import (
    REGION_CODES,
    STATUS,
    VERTEBRA_CODES,
    identity_columns,
    implausible_count_column,
)
from columna.tables.schema import Column, Table

PRESENCE = {
    "complete": "the whole body is in the field of view",
    "partial": "cut off by the field of view, too close to its edge, or without a body",
    "duplicate": "the level was assigned to more than one vertebra",
    "absent_outside_fov": "beyond the first or last vertebra found",
    "absent_within_range": "not found although levels above and below are",
    "not_segmented": "C1 where C2 is seen: models of T2w MRI do not segment it",
    "undetermined": "no vertebra could be named; the level may be among those found",
}

ANCHORS = {
    "c2": "C2",
    "sacrum": "the sacrum",
    "both": "C2 and the sacrum",
    "none": "nothing: there is no name, or it was assumed (label.naming is top_down)",
}

SUBREGIONS = {
    "spinous": "spinous process",
    "costal_left": "left costal (transverse) process",
    "costal_right": "right costal (transverse) process",
    "sup_artic_left": "left superior articular process",
    "sup_artic_right": "right superior articular process",
    "inf_artic_left": "left inferior articular process",
    "inf_artic_right": "right inferior articular process",
}

VERTEBRA_VOLUME = {"cervical": (3e3, 2.2e4), "thoracic": (6e3, 6e4), "lumbar": (2.5e4, 1.1e5)}
BODY_VOLUME = {"cervical": (1.5e3, 1e4), "thoracic": (4e3, 4e4), "lumbar": (1.5e4, 8e4)}


def _level_columns() -> tuple[Column, ...]:
    named = {"status": "level_status", "required": True, "null_rule": "the level has no name"}
    return (
        Column(
            "vertebra",
            "string",
            "Unique name within the scan: the level, or unnamed_ and index_from_top (two digits); "
            "a second vertebra of the same level is <level>_2.",
            nullable=False,
        ),
        Column("level", "category", "Level.", codes=VERTEBRA_CODES, **named),
        Column("region", "category", "Region of the level.", codes=REGION_CODES, **named),
        Column(
            "level_order",
            "int32",
            "Anatomical rank of the level: C1 = 1, T12 = 19, T13 = 20, L1 = 21, L5 = 25.",
            **named,
        ),
        Column("level_status", "category", "Naming.", codes=STATUS, nullable=False),
        Column(
            "level_anchor",
            "category",
            "What the name was counted from.",
            codes=ANCHORS,
            null_rule="no vertebra",
        ),
        Column(
            "level_confidence_ratio",
            "float64",
            "How sure the name is, 0 to 1, by the rules of naming (not a calibrated probability).",
            null_rule="no vertebra, or no name",
            plausible=(0, 1),
        ),
        Column("index_from_top", "int32", "1 = topmost vertebra found.", null_rule="no vertebra"),
        Column(
            "index_from_c2",
            "int32",
            "1 = C2, counting the vertebrae found.",
            null_rule="no vertebra, or C2 is not recognised",
        ),
        Column(
            "index_from_sacrum",
            "int32",
            "1 = last vertebra above the sacrum, counting the vertebrae found.",
            null_rule="no vertebra, or the sacrum is not seen well enough to count from",
        ),
        Column(
            "spineps_label",
            "int32",
            "Label in the instance mask.",
            null_rule="no vertebra",
        ),
    )


def _visibility_columns() -> tuple[Column, ...]:
    absent = "no body was found"
    return (
        Column(
            "presence",
            "category",
            "Whether and how much of the vertebra is seen.",
            codes=PRESENCE,
            nullable=False,
            definition="G15",
        ),
        Column(
            "touches_fov",
            "bool",
            "Whether the body touches the edge of the field of view.",
            null_rule=absent,
            definition="G15",
        ),
        Column(
            "edge_faces",
            "string",
            "Faces of the field of view that the body touches, letters of SIAPLR; empty: none.",
            null_rule=absent,
            definition="G15",
        ),
        Column(
            "fov_distance_mm",
            "float64",
            "Smaller distance of the body to the superior and inferior edge of the field of view.",
            null_rule=absent,
            plausible=(0, None),
            reliability="A",
            definition="G15",
        ),
        Column(
            "visible_fraction_ratio",
            "float64",
            "Visible volume of a cut body over the median of its two nearest complete neighbours.",
            null_rule="presence is not partial, or there are fewer than two complete bodies",
            plausible=(0, 1.3),
            reliability="C",
            definition="G15",
        ),
    )


def _volume_columns() -> tuple[Column, ...]:
    return (
        Column("vertebra_status", "category", "Whole vertebra.", codes=STATUS, nullable=False),
        Column(
            "vertebra_volume_mm3",
            "float64",
            "Volume of the vertebra: body, arch and processes, without endplates.",
            status="vertebra_status",
            required=True,
            null_rule="body or arch is not ok",
            plausible=VERTEBRA_VOLUME,
            reliability="B",
            definition="G1",
        ),
        Column(
            "body_share_ratio",
            "float64",
            "Volume of the body over volume of the vertebra.",
            status="vertebra_status",
            required=True,
            null_rule="body or arch is not ok",
            plausible=(0.2, 0.9),
            reliability="B",
        ),
        Column("body_status", "category", "Body.", codes=STATUS, nullable=False),
        Column(
            "body_volume_mm3",
            "float64",
            "Volume of the body (labels 49 and 50), without endplates.",
            status="body_status",
            required=True,
            null_rule="the body is not complete",
            plausible=BODY_VOLUME,
            reliability={"cervical": "B", "thoracic": "B", "lumbar": "A"},
            definition="G1",
        ),
        Column("arch_status", "category", "Arch and processes.", codes=STATUS, nullable=False),
        Column(
            "arch_volume_mm3",
            "float64",
            "Volume of arch and processes (labels 41 to 48).",
            status="arch_status",
            required=True,
            null_rule="any of them is cut off by the field of view",
            plausible=(0, None),
            reliability="C",
        ),
        *(
            Column(
                f"{name}_volume_mm3",
                "float64",
                f"Volume of the {text}.",
                status="arch_status",
                null_rule="not segmented, or cut off by the field of view",
                plausible=(0, None),
                reliability="C",
            )
            for name, text in SUBREGIONS.items()
        ),
    )


def _place_columns() -> tuple[Column, ...]:
    return tuple(
        Column(
            f"centroid_{axis}_mm",
            "float64",
            f"Centroid of the visible body along the scanner's {name} axis (RAS+).",
            null_rule="no body was found",
            reliability="A",
            sign=f"+ = {name}",
        )
        for axis, name in (("r", "right"), ("a", "anterior"), ("s", "superior"))
    )


VERTEBRAE = Table(
    name="vertebrae",
    title="Vertebrae",
    description=(
        "One row for every level C1 to L5 of every measured scan, whether or not it was seen (see "
        "presence), and for T13 and L6 where they were labelled. Vertebrae that could not be named "
        "have rows of their own, without a level. Join on scan_id and level; vertebra is the name "
        "that never is missing."
    ),
    key=("scan_id", "vertebra"),
    sort=(
        "participant_id",
        "session_id",
        "scan_id",
        "level_order",
        "index_from_top",
        "vertebra",
    ),
    columns=(
        *identity_columns(),
        *_level_columns(),
        *_visibility_columns(),
        *_volume_columns(),
        *_place_columns(),
        implausible_count_column(),
    ),
)
