"""Table `scans`: one row per input image, also for those that were not processed."""

from dataclasses import replace

from columna.chain import MEASURED_STAGES
from columna.domains import DOMAINS
from columna.prepare.modality import MODALITIES
from columna.tables.common import VERTEBRA_CODES, identity_columns, implausible_count_column
from columna.tables.measures import (
    category,
    count,
    flag,
    from_source,
    in_group,
    measure,
    since,
    text,
    with_status,
)
from columna.tables.quality import QC_VERDICTS
from columna.tables.reasons import reason_table, reasons_of
from columna.tables.schema import Column, Range, Table

NOT_CHECKED = "not_checked"


INPUT_CODES = {"ok": "read and accepted"} | reasons_of("index", "prepare")
PROCESSING_CODES = {
    "done": "all stages ended; the other tables hold the scan",
    **{code: reason_table()[code]["meaning"] for code in ("refused", "failed")},
}
STAGE_CODES = {"index": "stage index", **{stage: f"stage {stage}" for stage in MEASURED_STAGES}}
VARIANTS = {
    "none": "23 vertebrae from C2 to the sacrum, as 12 thoracic and 5 lumbar ones make",
    "one_less": "22 of them: 11 thoracic or 4 lumbar, which counting cannot tell apart",
    "one_more": "24 of them: 13 thoracic or 6 lumbar, which counting cannot tell apart",
    "indeterminate": "C2 or the sacrum is not seen, a level is missing, or another count",
}
VARIANT_NAMES = {
    "t11": "11 thoracic vertebrae",
    "t13": "13 thoracic vertebrae",
    "l4": "four lumbar vertebrae",
    "l6": "six lumbar vertebrae",
    "transitional": "a transitional lumbosacral vertebra",
}
AXES = (("lr", "left-right"), ("ap", "anterior-posterior"), ("si", "superior-inferior"))


def _input_columns() -> tuple[Column, ...]:
    return (
        Column("acquisition", "string", "BIDS entity acq.", null_rule="not given", source="cohort"),
        Column("run", "int32", "BIDS entity run.", null_rule="not given", source="cohort"),
        Column(
            "input_sha256",
            "string",
            "SHA-256 of voxels and affine.",
            status="input_status",
            null_rule="the input was not accepted",
        ),
        Column("is_excluded_input", "bool", "Whether the input was not accepted.", nullable=False),
        *since("1.2.0", *_kind_columns()),
        Column(
            "input_status",
            "category",
            "Whether the input was accepted, or why not.",
            codes=INPUT_CODES,
            nullable=False,
        ),
        Column(
            "input_reason",
            "string",
            "Why the input was not accepted, in words.",
            null_rule="the input was accepted",
            source="processing",
        ),
        Column(
            "processing_status",
            "category",
            "How far processing came.",
            codes=PROCESSING_CODES,
            nullable=False,
            value_codes=("done",),
        ),
        Column(
            "processing_stage",
            "category",
            "The stage that refused the scan or failed.",
            codes=STAGE_CODES,
            null_rule="done",
            source="processing",
        ),
        Column(
            "processing_code",
            "string",
            "Why, as a code of resources/reasons.tsv.",
            null_rule="done, or failed without a code",
            source="processing",
        ),
        Column(
            "processing_reason",
            "string",
            "Why, in words, without paths.",
            null_rule="done",
            source="processing",
        ),
    )


def _kind_columns() -> tuple[Column, ...]:
    return (
        Column(
            "is_other_image",
            "bool",
            "Whether the input is no sagittal T2w scan (another contrast or plane, a mask) and was "
            "not accepted for that; such inputs are no failures.",
            nullable=False,
            at_collect=True,
        ),
        Column(
            "same_image_as",
            "string",
            "Another scan with the same image (input_sha256): the first in alphabetical order.",
            null_rule="no other scan has the same image, or the input was not accepted",
            source="cohort",
            at_collect=True,
        ),
    )


def _acquisition_columns() -> tuple[Column, ...]:
    sidecar = (
        measure("field_strength_t", "Field strength.", (0.05, 14)),
        text("manufacturer", "Manufacturer of the scanner."),
        text("model_name", "Model of the scanner."),
        measure("repetition_time_s", "Repetition time.", (0, 30)),
        measure("echo_time_s", "Echo time.", (0, 1)),
    )
    return (
        Column(
            "modality",
            "category",
            "Kind of image, by name or sidecar; also of inputs that were not accepted.",
            codes=dict(MODALITIES),
            null_rule="neither name nor sidecar says",
            source="BIDS name and sidecar",
        ),
        *(
            replace(c, null_rule="no sidecar says", source="BIDS sidecars, the nearest first")
            for c in sidecar
        ),
    )


AFFINE_SOURCES = {
    "sform": "the sform, which comes first where both are valid",
    "qform": "the qform, because the sform is not set",
}
SPACINGS = {
    "lr": "Voxel size left-right: the distance of neighbouring slices, also where the voxel axes "
    "are sheared.",
    "ap": "Voxel size anterior-posterior: the distance of neighbouring voxels inside a slice.",
    "si": "Voxel size superior-inferior: the distance of neighbouring voxels inside a slice.",
}


DIMENSIONS: dict[str, Range] = {"lr": (5, 400), "ap": (5, None), "si": (5, None)}


def _accepted(*columns: Column) -> tuple[Column, ...]:
    """`columns` that are there where the input was accepted."""
    return in_group("input_status", "the input was not accepted", *columns)


def _grid_columns() -> tuple[Column, ...]:
    return (
        *from_source(
            "image header",
            *_accepted(
                *(
                    count(f"dim_{axis}_n", f"Voxels {name}.", DIMENSIONS[axis])
                    for axis, name in AXES
                ),
                *(measure(f"spacing_{axis}_mm", SPACINGS[axis], (0.2, 8)) for axis, _ in AXES),
                measure(
                    "obliquity_deg",
                    "Largest angle between a voxel axis and its scanner axis.",
                    (0, 45),
                ),
                *(
                    measure(f"fov_{axis}_mm", f"Field of view {name}: voxels x size.")
                    for axis, name in AXES
                ),
            ),
        ),
        *since("1.1.0", *_transform_columns(), *_station_columns()),
        *_accepted(
            measure(
                "support_fraction_ratio",
                "Share of the voxels outside constant padding.",
                (0.2, 1),
            ),
            *since(
                "1.2.0",
                count(
                    "outlier_voxels_n",
                    "Voxels so far from all others that they were set to the limits of the signal.",
                ),
            ),
            *since(
                "1.2.0",
                count(
                    "unusable_sidecars_n",
                    "Sidecars that hold no JSON object, such as pointers of git-annex or Git LFS: "
                    "what they should say is not known.",
                ),
            ),
        ),
    )


def _transform_columns() -> tuple[Column, ...]:
    """Sheared axes, and the qform against the sform (docs/quality.md)."""
    header = _accepted(
        measure(
            "shear_deg", "Largest difference of the angle between two voxel axes from 90 degrees."
        ),
        category(
            "affine_source",
            "The transform of the header that all places and sides follow.",
            AFFINE_SOURCES,
        ),
        *since(
            "1.2.0",
            flag(
                "is_qform_broken",
                "Whether the header has a qform that is no transform, beside a valid sform.",
            ),
        ),
    )
    transforms = (
        measure(
            "qform_distance_mm",
            "Largest distance between the places that sform and qform give to a corner of the "
            "image, less what rounding can explain (0.15 % of the way from the first voxel).",
        ),
        flag(
            "is_qform_mirrored",
            "Whether sform and qform disagree about which side is left.",
        ),
        measure(
            "qform_turn_deg",
            "Angle between the axes of sform and qform, a mirroring left-right undone.",
        ),
        measure(
            "qform_scale_ratio",
            "Largest ratio of lengths by sform and by qform, or its inverse; 1 = equal.",
        ),
        measure(
            "qform_shift_mm",
            "Distance between the places that sform and qform give to the middle of the image.",
        ),
    )
    return (
        *from_source("image header", *header),
        *with_status(
            "qform_status",
            "sform and qform are not both valid, or the input was not accepted",
            *from_source("image header", *transforms),
            within="input_status",
        ),
    )


def _station_columns() -> tuple[Column, ...]:
    return (
        *with_status(
            "stitched_status",
            "the input was not accepted, or neither image nor sidecar tells",
            Column(
                "is_stitched",
                "bool",
                "Whether the image was composed of stations: the sidecar's ImageType says so, or "
                "the part with signal steps from one row to the next.",
            ),
            within="input_status",
        ),
        *with_status(
            "stations_status",
            "stitched_status is not ok, or no seam was found, though there may be some",
            Column("n_stations_n", "int32", "Stations."),
            Column(
                "stitch_si_mm",
                "string",
                "Seams from the top down: world S coordinates in mm, separated by ;; empty for "
                "one station.",
            ),
            within="stitched_status",
        ),
    )


def _done(*columns: Column) -> tuple[Column, ...]:
    """`columns` that are there where all stages ended."""
    return in_group("processing_status", "processing_status is not done", *columns)


def _count_columns() -> tuple[Column, ...]:
    return (
        *_done(
            count("n_vertebrae_n", "Vertebrae found, named or not, without fragments."),
            *since(
                "1.2.0",
                count("n_fragments_n", "Pieces of bone that are no vertebrae of their own."),
            ),
            count("n_bodies_complete_n", "Of them with a complete body.", definition="G15"),
            *since(
                "1.2.0",
                count(
                    "n_bodies_lateral_cut_n",
                    "Of them with a body that is cut off at the left or right side only, and "
                    "measured in the sagittal plane.",
                    definition="G15",
                ),
            ),
            count("n_discs_n", "Discs found."),
        ),
        *with_status(
            "levels_status",
            "not done, or no vertebra has a name",
            *(
                Column(
                    f"level_{end}",
                    "category",
                    f"Most {where} vertebra found.",
                    codes=VERTEBRA_CODES,
                )
                for end, where in (("first", "cranial"), ("last", "caudal"))
            ),
            within="processing_status",
        ),
        *with_status(
            "counts_status",
            "not done, or a vertebra has no name",
            *(
                Column(
                    f"n_{region}_n",
                    "int32",
                    f"Vertebrae named {region}. Counts what is seen: no finding unless "
                    "is_thoracic_count_known or is_lumbar_count_known says so.",
                )
                for region in ("cervical", "thoracic", "lumbar")
            ),
            within="levels_status",
        ),
        *(
            Column(
                f"is_{region}_count_known",
                "bool",
                f"Whether n_{region}_n is a finding: vertebrae were counted from C2 to the sacrum, "
                "and their number is the usual one.",
                nullable=False,
            )
            for region in ("thoracic", "lumbar")
        ),
        Column(
            "enumeration_variant",
            "category",
            "Numerical variant by the counts of vertebrae.",
            codes=VARIANTS,
            nullable=False,
        ),
        *since(
            "1.3.0",
            *with_status(
                "variant_p_status",
                "not done, or no probability was computed",
                *(
                    measure(
                        f"p_{name}_ratio",
                        f"Probability of {what} (docs/levels.md); close to what is usual where "
                        "the scan does not tell.",
                        (0, 1),
                    )
                    for name, what in VARIANT_NAMES.items()
                ),
                within="processing_status",
            ),
        ),
        *_done(
            flag("has_sacrum", "Whether the sacrum was found (2 cm3 or more of it)."),
            flag("has_c2", "Whether C2 was recognised as such."),
        ),
    )


HEADLINES = {
    "snr_csf": "Signal to noise of spinal fluid.",
    "cnr_body_csf": "Contrast of bodies and fluid.",
    "cnr_cord_csf": "Contrast of cord and fluid.",
}
"""Rules whose value and status the table shows."""


def _quality_columns() -> tuple[Column, ...]:
    headlines = (
        replace(column, at_collect=True, source="quality")
        for rule_id, description in HEADLINES.items()
        for column in with_status(
            f"{rule_id}_status",
            "not done, or the signal cannot be had",
            Column(f"{rule_id}_ratio", "float64", description, plausible=(0, None)),
        )
    )
    return (
        *headlines,
        Column(
            "qc_verdict",
            "category",
            "What the rules of the table quality say of the scan as a whole: the worst verdict of "
            "the domains that assess.verdict_domains lists.",
            codes=QC_VERDICTS,
            status="processing_status",
            null_rule="processing_status is not done: nothing was judged",
            at_collect=True,
            source="quality",
        ),
        Column(
            "qc_reasons",
            "string",
            "Rules of the domains that make qc_verdict which say review or fail, or lack an "
            "answer that they must have, separated by ;; empty if none does. Of scans that are "
            "not done: processing_code.",
            nullable=False,
            at_collect=True,
            source="quality",
            since_version="1.3.0",
        ),
        *(
            Column(
                f"qc_{domain}_verdict",
                "category",
                f"What the rules say of one domain: {meaning}.",
                codes=QC_VERDICTS,
                status="processing_status",
                null_rule="processing_status is not done: nothing was judged",
                at_collect=True,
                source="quality",
                since_version="1.3.0",
            )
            for domain, meaning in DOMAINS.items()
        ),
        Column(
            "qc_other_reasons",
            "string",
            "As qc_reasons, of the other domains.",
            nullable=False,
            at_collect=True,
            source="quality",
            since_version="1.3.0",
        ),
    )


MASK_SOURCES = {
    "computed": "the networks made them",
    "given": "the cohort sheet names them",
    "corrected": "a person has edited one or both of them",
}


def _mask_source_column() -> Column:
    return Column(
        "mask_source",
        "category",
        "Where the masks come from.",
        codes=MASK_SOURCES,
        null_rule="the cohort index left the input out",
        source="provenance",
    )


CALIBRATIONS = {
    "calibrated": "the bounds of predicted Dice were calibrated for the weights of the networks",
    "other_weights": "they were calibrated for other weights, and are wider",
}


def _calibration_column() -> Column:
    return Column(
        "dice_calibration",
        "category",
        "Whether predicted Dice (columns *_dice_expected_ratio, *_dice_lower_ratio) is calibrated.",
        codes=CALIBRATIONS,
        null_rule="the scan did not reach processing, or its masks were given",
        source="provenance",
        since_version="1.3.0",
    )


def _provenance_columns() -> tuple[Column, ...]:
    unknown = "the scan did not reach processing"
    no_model = f"{unknown}, or its masks were given"
    texts = (
        ("pipeline_version", "Version of columna.", unknown),
        ("git_commit", "Commit of columna.", "not run from a checkout"),
        ("model_semantic", "Phase-1 model.", no_model),
        ("model_semantic_sha256", "Digest of the phase-1 model.", no_model),
        ("model_instance", "Phase-2 model.", no_model),
        ("model_instance_sha256", "Digest of the phase-2 model.", no_model),
        (
            "model_labeling",
            "What named the levels: chain (docs/levels.md), top_down, given (numbers of the mask).",
            "not labelled",
        ),
        (
            "container_digest",
            "Digest of the container that columna ran in.",
            "COLUMNA_CONTAINER_DIGEST is not set in the environment",
        ),
        (
            "model_quality_sha256",
            "Digest of the model that predicts Dice (docs/predicted-quality.md).",
            no_model,
        ),
        ("config_sha256", "Digest of the settings.", unknown),
        ("measure_version", "Version of the measures.", unknown),
    )
    later = {
        "model_labeling": "1.1.0",
        "container_digest": "1.1.0",
        "model_quality_sha256": "1.3.0",
    }
    return tuple(
        Column(
            name,
            "string",
            description,
            null_rule=rule,
            source="provenance",
            since_version=later.get(name, "1.0.0"),
        )
        for name, description, rule in texts
    )


SCANS = Table(
    name="scans",
    title="Scans",
    description=(
        "One row for every input of the cohort, whatever became of it: rows in = rows out. Inputs "
        "without a usable scan_id of their own are named row-<number> by their row in the cohort "
        "index, counting from 1."
    ),
    key=("scan_id",),
    sort=("participant_id", "session_id", "scan_id"),
    columns=(
        *identity_columns(),
        *_input_columns(),
        *_acquisition_columns(),
        *_grid_columns(),
        *_count_columns(),
        *since("1.1.0", *_quality_columns()),
        *since("1.1.0", _mask_source_column()),
        _calibration_column(),
        *_provenance_columns(),
        implausible_count_column(),
    ),
)
