"""Configuration, folders and batches for the rules; what they mean is in the library."""

import functools
import sys
from shlex import quote

from columna.chain import MEASURED_STAGES
from columna.config import Config, parse_config, stage_settings
from columna.errors import CohortError, ColumnaError
from columna.job_errors import tell_jobs
from columna.results.layout import Layout
from columna.results.manifest import check_indexed, list_batches, list_evaluated
from columna.sentences import sentence_of
from columna.slurm.nodes import read_limits, widest
from columna.slurm.watch import Watch
from columna.tables.catalogue import OPTIONAL, TABLES
from snakemake.logging import logger


def stop(error):
    """End with a sentence for a person; an error would be shown within the frames of Snakemake."""
    sentence = sentence_of(error)
    if sentence is None:
        raise error
    logger.error(sentence)
    sys.exit(1)


if workflow.is_main_process:
    tell_jobs(logger)
try:
    CONFIG = parse_config(config, "workflow configuration")
except Exception as error:
    stop(error)

LAYOUT = Layout(CONFIG.results)
GPU = 0 if CONFIG.models.device == "cpu" else 1

if workflow.is_main_process:
    logger.addHandler(Watch(logger.error))  # jobs that Slurm refuses or will never start

partition_limits = functools.cache(read_limits)


wildcard_constraints:
    batch=r"b\d+",


@functools.cache
def batches():
    """Names of all batches of the ledger; before, look for results that are no longer true."""
    try:
        check_indexed(LAYOUT.index)
        if workflow.is_main_process:
            plan_again()
        return list_batches(LAYOUT.index)
    except Exception as error:
        stop(error)


def manifest(wildcards):
    """Manifest of a batch; every chain begins with it, so that no target escapes the planning."""
    batches()
    return str(LAYOUT.manifest(wildcards.batch))


EVALUATION_TABLES = [str(LAYOUT.tables / f"{table}.parquet") for table in OPTIONAL]


@functools.cache
def evaluated_batches():
    """Names of the batches of which a scan has references; empty where there are none."""
    batches()
    return list_evaluated(LAYOUT.index)


def evaluation_stages(wildcards):
    """How every batch with references came out of the evaluation."""
    found = evaluated_batches()
    if not found:
        message = (
            "no scan of the cohort has a reference to be evaluated against (docs/evaluation.md)"
        )
        stop(CohortError(message))
    return [LAYOUT.stage_table("evaluate", batch) for batch in found]


def evaluation(wildcards):
    """The tables of the evaluation, where the cohort has references."""
    return EVALUATION_TABLES if evaluated_batches() else []


def plan_again():
    """Have Snakemake repeat the jobs whose results are stale: it does not see why they are."""
    from columna.results.lock import hold_results
    from columna.upkeep.stale import look

    is_run = workflow.executor_plugin is not None and not workflow.dryrun
    if is_run:
        global held
        held = hold_results(LAYOUT.root)  # until this process ends
    state = look(LAYOUT, CONFIG)
    for reason, count in sorted(state.reasons().items()):
        logger.info(f"{count} scans are looked at again: {reason}.")
    stages = {batch: stale.stage for batch, stale in state.stale.items()}
    if (LAYOUT.tables / "scans.parquet").exists():
        # with tables at hand, Snakemake does not ask for what they were made of
        stages |= state.pending
        if not state.are_tables_current:
            workflow.dag.forcefiles.add(str(LAYOUT.tables / "scans.parquet"))
    jobs = [*((s, b) for b, s in stages.items()), *(("evaluate", b) for b in state.evaluations)]
    workflow.dag.forcefiles.update(str(LAYOUT.stage_table(*job)) for job in jobs)
    if is_run and not jobs and state.are_tables_current:
        close()  # Snakemake ends without `onsuccess` where there is nothing to do


def close():
    """Say how the run stands; that this cannot be told changes nothing about how it ended."""
    from columna.upkeep.closing import closing_line

    try:
        logger.info(closing_line(LAYOUT, CONFIG))
    except Exception as error:
        logger.warning(sentence_of(error) or repr(error))


def close_cohort():
    """As `close`, unless only a training ran."""
    if batches.cache_info().currsize:
        close()


onsuccess:
    close_cohort()


onerror:
    close_cohort()


def in_profile(rule, resource):
    """What a profile says of a resource that the rule itself does not name; else nothing."""
    return str(workflow.get_rule(rule).resources.get(resource).raw or "").strip("'\"")


def gpus(rule, wanted=GPU):
    """GPUs of a job; none where the profile asks for them by `gres`: Slurm refuses both at a time."""
    return 0 if "gpu" in in_profile(rule, "gres") else wanted


def at_most(rule, limit, wanted):
    """What a job asks for, or all that its Slurm partition has: with more it would never start."""
    plugin = workflow.executor_plugin
    if plugin is None or plugin.name != "slurm":
        return wanted
    allowed = getattr(widest(partition_limits(), in_profile(rule, "slurm_partition")), limit)
    if allowed is None or wanted <= allowed:
        return wanted
    tell_limit(rule, limit, wanted, allowed)
    return allowed


@functools.cache
def tell_limit(rule, limit, wanted, allowed):
    unit = {"minutes": "minutes", "memory_mb": "MB"}[limit]
    logger.info(f"{rule} asks for {allowed} instead of {wanted} {unit}: its partition has no more.")


def corrections(*keys):
    """Options of a job that takes corrections.

    They stand among the resources: if a parameter changed, Snakemake would repeat the jobs of all
    batches. Receipts tell which ones have to be.
    """
    paths = {key: getattr(CONFIG, key) for key in keys}
    options = [(f"--{key.replace('_', '-')}", str(path)) for key, path in paths.items() if path]
    return " ".join(f"{name} {quote(path)}" for name, path in options)


def log_file(stage):
    return str(LAYOUT.root / "logs" / stage / "{batch}.log")


def benchmark_file(stage):
    return str(LAYOUT.root / "benchmarks" / stage / "{batch}.tsv")
