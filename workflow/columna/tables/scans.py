"""Table `scans`: one row per input image, also for those that were not processed."""

import csv
from functools import cache

from columna.anatomy import RESOURCES
from columna.layout import STAGES
from columna.tables.common import VERTEBRA_CODES, identity_columns, implausible_count_column
from columna.tables.measures import since
from columna.tables.quality import QC_VERDICTS
from columna.tables.schema import Column, Table

NOT_CHECKED = "not_checked"


@cache
def reason_table() -> dict[str, dict[str, str]]:
    """Code -> row of ``resources/reasons.tsv``."""
    with open(RESOURCES / "reasons.tsv", newline="", encoding="utf-8") as stream:
        return {row["code"]: row for row in csv.DictReader(stream, delimiter="\t")}


def _input_codes() -> dict[str, str]:
    codes = {"ok": "read and accepted"}
    for code, row in reason_table().items():
        if {"index", "prepare"} & set(row["stage"].split(",")):
            codes[code] = row["meaning"]
    return codes | {NOT_CHECKED: "a failure came before the input was checked"}


INPUT_CODES = _input_codes()
PROCESSING_CODES = {
    "done": "all stages ended; the other tables hold the scan",
    "refused": "the scan cannot be processed; see processing_code",
    "failed": "a stage failed on this scan: a defect, see the logs",
}
STAGE_CODES = {"index": "stage index", **{stage: f"stage {stage}" for stage in STAGES}}
VARIANTS = {
    "none": "23 vertebrae from C2 to the sacrum, as 12 thoracic and 5 lumbar ones make",
    "one_less": "22 of them: 11 thoracic or 4 lumbar, which counting cannot tell apart",
    "one_more": "24 of them: 13 thoracic or 6 lumbar, which counting cannot tell apart",
    "indeterminate": "C2 or the sacrum is not seen, a level is missing, or another count",
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
            null_rule="the input could not be read",
        ),
        Column("is_excluded_input", "bool", "Whether the input was not accepted.", nullable=False),
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
        ),
        Column(
            "processing_status",
            "category",
            "How far processing came.",
            codes=PROCESSING_CODES,
            nullable=False,
            ok_code="done",
        ),
        Column(
            "processing_stage",
            "category",
            "The stage that refused the scan or failed.",
            codes=STAGE_CODES,
            null_rule="done",
        ),
        Column(
            "processing_code",
            "string",
            "Why, as a code of resources/reasons.tsv.",
            null_rule="done, or failed without a code",
        ),
        Column("processing_reason", "string", "Why, in words, without paths.", null_rule="done"),
    )


MODALITIES = {"T2w": "the file name says so", "MR": "the sidecar says MR, the name nothing"}


def _acquisition_columns() -> tuple[Column, ...]:
    sidecar = {"null_rule": "the sidecar does not say", "source": "BIDS sidecar"}
    return (
        Column(
            "modality",
            "category",
            "Kind of scan, by name or sidecar.",
            codes=MODALITIES,
            null_rule="neither name nor sidecar says",
        ),
        Column("field_strength_t", "float64", "Field strength.", plausible=(0.05, 14), **sidecar),
        Column("manufacturer", "string", "Manufacturer of the scanner.", **sidecar),
        Column("model_name", "string", "Model of the scanner.", **sidecar),
        Column("repetition_time_s", "float64", "Repetition time.", plausible=(0, 30), **sidecar),
        Column("echo_time_s", "float64", "Echo time.", plausible=(0, 1), **sidecar),
    )


def _grid_columns() -> tuple[Column, ...]:
    read = {
        "status": "input_status",
        "required": True,
        "null_rule": "the input was not accepted",
        "source": "image header",
    }
    ranges = {"lr": (5, 400), "ap": (5, None), "si": (5, None)}
    return (
        *(
            Column(f"dim_{axis}_n", "int32", f"Voxels {name}.", plausible=ranges[axis], **read)
            for axis, name in AXES
        ),
        *(
            Column(
                f"spacing_{axis}_mm", "float64", f"Voxel size {name}.", plausible=(0.2, 8), **read
            )
            for axis, name in AXES
        ),
        Column(
            "obliquity_deg",
            "float64",
            "Largest angle between a voxel axis and its scanner axis.",
            plausible=(0, 45),
            **read,
        ),
        *(
            Column(f"fov_{axis}_mm", "float64", f"Field of view {name}: voxels x size.", **read)
            for axis, name in AXES
        ),
        *since("1.1.0", *_station_columns()),
        Column(
            "support_fraction_ratio",
            "float64",
            "Share of the voxels outside constant padding.",
            null_rule="the input was not accepted",
            plausible=(0.2, 1),
        ),
        *since(
            "1.2.0",
            Column(
                "outlier_voxels_n",
                "int32",
                "Voxels so far from all others that they were set to the limits of the signal.",
                null_rule="the input was not accepted",
            ),
        ),
    )


def _station_columns() -> tuple[Column, ...]:
    return (
        Column(
            "is_stitched",
            "bool",
            "Whether the image was composed of stations: the sidecar's ImageType says so, or the "
            "part with signal steps from one row to the next.",
            null_rule="unknown",
        ),
        Column("n_stations_n", "int32", "Stations.", null_rule="not known"),
        Column(
            "stitch_si_mm",
            "string",
            "Seams from the top down: world S coordinates in mm, separated by ;; empty for one "
            "station.",
            null_rule="no seam found, though there may be some",
        ),
    )


def _count_columns() -> tuple[Column, ...]:
    done = {
        "status": "processing_status",
        "required": True,
        "null_rule": "processing_status is not done",
    }
    unnamed = "not done, or a vertebra has no name"
    return (
        Column("n_vertebrae_n", "int32", "Vertebrae found, named or not.", **done),
        Column(
            "n_bodies_complete_n",
            "int32",
            "Of them with a complete body.",
            definition="G15",
            **done,
        ),
        Column("n_discs_n", "int32", "Discs found.", **done),
        *(
            Column(
                f"level_{end}",
                "category",
                f"Most {where} vertebra found.",
                codes=VERTEBRA_CODES,
                null_rule="not done, or no vertebra has a name",
            )
            for end, where in (("first", "cranial"), ("last", "caudal"))
        ),
        *(
            Column(
                f"n_{region}_n",
                "int32",
                f"Vertebrae named {region}. Counts what is seen: no finding unless "
                "is_thoracic_count_known or is_lumbar_count_known says so.",
                null_rule=unnamed,
            )
            for region in ("cervical", "thoracic", "lumbar")
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
        Column("has_sacrum", "bool", "Whether the sacrum was found (2 cm3 or more of it).", **done),
        Column("has_c2", "bool", "Whether C2 was recognised as such.", **done),
    )


def _quality_columns() -> tuple[Column, ...]:
    summary = {"null_rule": "not done, or the signal cannot be had (see quality)"}
    summary |= {"plausible": (0, None), "at_collect": True, "source": "quality"}
    return (
        Column("snr_csf_ratio", "float64", "Signal to noise of spinal fluid.", **summary),
        Column("cnr_body_csf_ratio", "float64", "Contrast of bodies and fluid.", **summary),
        Column("cnr_cord_csf_ratio", "float64", "Contrast of cord and fluid.", **summary),
        Column(
            "qc_verdict",
            "category",
            "What the rules of the table quality say of the scan as a whole.",
            codes=QC_VERDICTS,
            nullable=False,
            at_collect=True,
            source="quality",
        ),
        Column(
            "qc_reasons",
            "string",
            "Rules that say review or fail, separated by ;; empty if none does.",
            nullable=False,
            at_collect=True,
            source="quality",
        ),
    )


MASK_SOURCES = {
    "computed": "the networks made them",
    "given": "the cohort sheet names them",
}


def _mask_source_column() -> Column:
    return Column(
        "mask_source",
        "category",
        "Where the masks come from.",
        codes=MASK_SOURCES,
        null_rule="the cohort index left the input out",
    )


def _provenance_columns() -> tuple[Column, ...]:
    unknown = "the scan did not reach processing"
    no_model = f"{unknown}, or its masks were given"
    return (
        Column("pipeline_version", "string", "Version of columna.", null_rule=unknown),
        Column("git_commit", "string", "Commit of columna.", null_rule="not run from a checkout"),
        Column("model_semantic", "string", "Phase-1 model.", null_rule=no_model),
        Column(
            "model_semantic_sha256", "string", "Digest of the phase-1 model.", null_rule=no_model
        ),
        Column("model_instance", "string", "Phase-2 model.", null_rule=no_model),
        Column(
            "model_instance_sha256", "string", "Digest of the phase-2 model.", null_rule=no_model
        ),
        Column(
            "model_labeling",
            "string",
            "What named the levels: the rules anchored or top_down, given (numbers of the mask).",
            null_rule="not labelled",
            since_version="1.1.0",
        ),
        Column(
            "container_digest",
            "string",
            "Digest of the container that columna ran in.",
            null_rule="COLUMNA_CONTAINER_DIGEST is not set in the environment",
            since_version="1.1.0",
        ),
        Column("config_sha256", "string", "Digest of the settings.", null_rule=unknown),
        Column("measure_version", "string", "Version of the measures.", null_rule=unknown),
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
        *_provenance_columns(),
        implausible_count_column(),
    ),
)
