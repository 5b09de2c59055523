"""The last line of a run: how many scans are done, refused, failed, and ask for a look."""

import duckdb

from columna.chain import CORRECTED, STAGES
from columna.cohort.candidates import OTHER_IMAGES
from columna.cohort.inputs import read_inputs
from columna.config import Config
from columna.parquet import reading
from columna.results.layout import Layout
from columna.review.corrections import Corrections, correction_notes
from columna.tables.delivered import REMEDY, delivered_table
from columna.upkeep.status import CohortStatus, cohort_status

_VERDICTS = "SELECT count(*) FROM read_parquet($file) WHERE qc_verdict IN ('review', 'fail')"


def closing_line(layout: Layout, config: Config) -> str:
    """Tell how a run stands, from what is on the disk.

    Parameters
    ----------
    layout, config
        The run, finished or not.

    Returns
    -------
    str
        Counts of inputs, and the command that tells more. What has no answer yet, or none that is
        still true, is *open*. Other images than sagittal T2w scans are not counted. Corrections
        that have no effect are told in further lines.

    Raises
    ------
    ColumnaError
        If index or tables are damaged.
    """
    status = cohort_status(layout, config)
    stopped = {"refused": 0, "failed": 0}
    others_n = 0  # other images that only the file itself told, after the index
    for _, _, ending, code, _ in status.stopped:
        if code not in OTHER_IMAGES:
            stopped["refused" if ending == "left out" else ending] += 1
        elif ending != "left out":
            others_n += 1
    done = status.stages[STAGES[-1]]["done"]
    inputs = read_inputs(layout.index, ["input_status"])["input_status"].to_pylist()
    scans_n = sum(code not in OTHER_IMAGES for code in inputs) - others_n
    counts = {"done": done, **stopped, "open": scans_n - done - sum(stopped.values())}
    told = [f"{name} {count}" for name, count in counts.items() if count or name != "open"]
    is_current = status.state.are_tables_current
    review = _to_review(layout) if is_current else "not known before the tables are written"
    command = f"columna {'summary' if is_current else 'status --failures'} --results {layout.root}"
    line = f"{', '.join([*told, f'to review {review}'])} (more: {command})"
    return "\n".join([line, *_notes(layout, config, status)])


def _notes(layout: Layout, config: Config, status: CohortStatus) -> list[str]:
    """Sentences about corrections that have no effect."""
    if config.corrections is None and config.corrected_masks is None:
        return []
    scan_ids = read_inputs(layout.index, ["scan_id"])["scan_id"].to_pylist()
    notes = correction_notes(config, [scan_id for scan_id in scan_ids if scan_id])
    corrections, before = Corrections.of(config), ("index", *STAGES[: STAGES.index(CORRECTED)])
    lost = [s for s, stage, *_ in status.stopped if stage in before and corrections.state(s)]
    if lost:
        notes.append(
            f"names or masks of {len(lost)} scans were put right that did not come as far, the "
            f"first is {min(lost)}; masks of such scans belong in the cohort sheet"
        )
    return notes


def _to_review(layout: Layout) -> int:
    _, file = delivered_table(layout.tables, "scans")
    with reading(file, REMEDY):
        [(count,)] = duckdb.execute(_VERDICTS, {"file": str(file)}).fetchall()
    return count
