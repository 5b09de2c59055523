"""Jobs that Slurm will never start, told from those that wait; texts as Slurm 22.05 wrote them."""

import logging
from pathlib import Path

import pytest

from columna.slurm import watch as watching
from columna.slurm.commands import megabytes, minutes, split_fields
from columna.slurm.nodes import Limits, Need, limits_of, parse_nodes, read_gpus, widest
from columna.slurm.queue import Running, parse_waiting, read_source
from columna.slurm.waiting_reasons import is_stuck, kind_of, kinds, refusal, sentence
from columna.slurm.watch import Watch

DATA = Path(__file__).parents[2] / "data" / "slurm"


def lines(name):
    return split_fields((DATA / name).read_text(encoding="utf-8"))


NODES = parse_nodes(lines("sinfo.txt"))
DRAINED = parse_nodes(lines("sinfo_drained.txt"))
JOBS = {job.source.rule: job for job in parse_waiting(lines("squeue.txt"))}
"""By what each was submitted as; see squeue.txt."""
DRAINED_JOBS = {job.source.rule: job for job in parse_waiting(lines("squeue_drained.txt"))}
ROOT_RUNS = [Running("grp", "normal", "root"), Running("one", "normal", "root")]


def told(job, nodes, running=(), others=True):
    kind = kind_of(job.reason)
    if kind is None or not is_stuck(job, kind, nodes, running, others):
        return None
    return sentence(job, kind, nodes)


# --- what Slurm prints ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30:00", 30),
        ("1:30:00", 90),
        ("2-00:00:00", 2880),
        ("0:45", 0),
        ("infinite", None),
        ("UNLIMITED", None),
        ("n/a", None),
        ("", None),
    ],
)
def test_durations(text, expected):
    assert minutes(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 0), ("6000M", 6000), ("6G", 6144), ("1.5G", 1536), ("500Mc", 500), ("16000", 16000)],
)
def test_sizes(text, expected):
    assert megabytes(text) == expected


def test_gpus_in_all_notations():
    assert read_gpus("gpu:2") == read_gpus("gres:gpu:2") == read_gpus("gres/gpu=2") == (("", 2),)
    assert read_gpus("gpu:a100:1(S:0),gpu:v100:3(S:1)") == (("a100", 1), ("v100", 3))
    assert read_gpus("gres/gpu:a100=1") == (("a100", 1),)
    assert read_gpus("gpu") == (("", 1),)
    assert read_gpus("(null)") == read_gpus("N/A") == read_gpus("craynetwork:4") == ()


def test_the_job_of_the_workflow_is_in_the_comment():
    assert str(read_source("rule_semantic_wildcards_b00001")) == "semantic b00001"
    assert str(read_source("rule_train_network_wildcards_semantic")) == "train_network semantic"
    assert str(read_source("rule_collect")) == "collect"
    assert str(read_source("(null)")) == ""


# --- what a partition allows ---


def test_limits_of_a_partition_are_those_of_its_largest_nodes():
    limits = limits_of(NODES)
    assert limits["short"] == Limits(20, 16000)
    assert limits[""] == limits["cpu"] == Limits(60, 16000)  # the default partition
    assert widest(limits, "short,cpu") == Limits(60, 16000)
    assert widest(limits, "elsewhere") == widest({}, "cpu") == Limits(None, None)


def test_any_limit_is_more_than_none():
    unlimited = limits_of(parse_nodes([["a", "infinite", "idle", "4", "100", "", "", "n1"]]))
    assert widest(limits_of(NODES) | unlimited, "a,short") == Limits(None, 16000)


# --- what will never start ---


@pytest.mark.parametrize(
    ("submitted_as", "expected"),
    [
        ("parttime", "`runtime: 20` below `set-resources: parttime:`"),
        ("maxwall", "more than account wall or QOS normal allows"),
        ("qoswall", "more than account lab or QOS quick allows"),
        ("maxcpu", "asks for 4 cores"),
        ("maxmem", "`mem_mb`"),
        ("tight", "`mem_mb`"),
        ("qosgpu", "`qos`"),
        ("spent", "used up"),
        ("maxjobs0", "`slurm_account`"),
        ("held", "ask your administrators."),
        ("partdown", "`slurm_partition`"),
    ],
)
def test_a_job_that_can_never_start_is_told_in_one_sentence(submitted_as, expected):
    job = JOBS[submitted_as]
    text = told(job, NODES, ROOT_RUNS)
    assert text.startswith(f"Slurm will not start job {job.id} ({submitted_as} b00001): ")
    assert job.reason in text
    assert expected in text
    assert text.endswith(".")
    assert "\n" not in text


@pytest.mark.parametrize("submitted_as", ["gpubusy", "gputwo", "grpbusy", "one2", "dep"])
def test_a_busy_queue_is_not_told(submitted_as):
    assert told(JOBS[submitted_as], NODES, ROOT_RUNS) is None


def test_a_limit_that_no_running_job_uses_up_is_told():
    assert told(JOBS["one2"], NODES) is not None
    others = [Running("one", "normal", "someone"), Running("lab", "normal", "root")]
    assert told(JOBS["one2"], NODES, others) is not None  # counted by user and account
    assert told(JOBS["grpbusy"], NODES, [Running("grp", "normal", "someone")]) is None
    assert told(JOBS["qoscpuuser"], NODES, [Running("poor", "quick", "root")]) is None
    assert told(JOBS["qoscpuuser"], NODES, [Running("lab", "normal", "root")]) is not None


def test_where_jobs_of_others_are_hidden_shared_limits_are_not_judged():
    assert told(JOBS["grpbusy"], NODES, others=False) is None
    assert told(JOBS["grpbusy"], NODES, others=True) is not None
    assert told(JOBS["maxjobs0"], NODES, others=False) is not None  # counts one's own


def test_nodes_out_of_service_are_told_only_if_no_other_could_take_the_job():
    text = told(DRAINED_JOBS["gpudrained"], DRAINED)
    assert "no node of partition gpu that is in service" in text
    assert "(1 core, 100 MB, 1 GPU)" in text
    assert "out of service: g1" in text
    assert told(DRAINED_JOBS["otherbusy"], DRAINED) is None
    assert told(DRAINED_JOBS["otherbusy"], NODES) is None
    assert "node n1)" in told(DRAINED_JOBS["thisnode"], DRAINED)  # although n2 could take it


def test_what_an_empty_node_must_have():
    [gpu] = [group for group in NODES if group.partition == "gpu"]
    fits = [Need(), Need(8, 16000, (("", 2),), frozenset({"fast"})), Need(gpus=(("a100", 1),))]
    misses = [
        Need(cpus=9),
        Need(memory_mb=16001),
        Need(gpus=(("a100", 2),)),
        Need(gpus=(("h100", 1),)),
        Need(features=frozenset({"slow"})),
    ]
    assert [gpu.could_take(need) for need in fits + misses] == [True] * 3 + [False] * 5


@pytest.mark.parametrize(
    "reason",
    ["None", "BeginTime", "Dependency", "Licenses", "Reservation", "Cleaning", "Prolog", "(null)"],
)
def test_reasons_that_pass_by_themselves(reason):
    assert kind_of(reason) is None


@pytest.mark.parametrize(
    ("reason", "holds"),
    [
        ("ReqNodeNotAvail, Reserved for maintenance", "unless_fitting"),
        ("launch failed requeued held", "always"),
        ("BadConstraints", "always"),
        ("AssocGrpCPUMinutesLimit", "always"),
        ("AssocGrpCPURunMinutesLimit", "unless_running"),
        ("QOSGrpGRESMinutes", "always"),
        ("QOSMaxJobsPerUserLimit", "unless_running"),
        ("AssocGrpGRES", "unless_running"),
        ("MaxCpuPerAccount", "unless_running"),
        ("QOSMaxGRESPerUser", "unless_running"),
        ("QOSMaxMemoryPerJob", "always"),
        ("AssocMaxCPUMinutesPerJobLimit", "always"),
    ],
)
def test_further_reasons(reason, holds):
    assert kind_of(reason).holds == holds


def test_every_sentence_can_be_written():
    job = JOBS["parttime"]
    for kind in kinds():
        text = sentence(job, kind, NODES, others=3)
        assert "{" not in text
        assert text.endswith("start the run again.") == ("write " in kind.change)


# --- what Slurm refuses ---


def message(error):
    return (
        f"SLURM sbatch failed. The error message was '{error}'.\n    sbatch call:\n"
        "        sbatch --parsable --job-name 5c --comment rule_semantic_wildcards_b00002 -t 60\n"
    )


FAILED = "sbatch: error: Batch job submission failed: "


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (f"{FAILED}Invalid account or account/partition combination specified", "slurm_account"),
        (f"{FAILED}Invalid qos specification", "`qos`"),
        (
            f"sbatch: error: invalid partition specified: nope\n{FAILED}Invalid partition name "
            "specified",
            "`slurm_partition`",
        ),
        (f"{FAILED}Invalid feature specification", "`constraint`"),
        (
            "sbatch: error: Memory specification can not be satisfied\n"
            f"{FAILED}Requested node configuration is not available",
            "smaller `mem_mb`",
        ),
        (
            "sbatch: error: CPU count per node can not be satisfied\n"
            f"{FAILED}Requested node configuration is not available",
            "`semantic: 2`",
        ),
        (
            "sbatch: error: Invalid GRES specification (with and without type identification)",
            "either `gpu_model: TYPE` or `gres: gpu:TYPE:1`",
        ),
        (f"{FAILED}Requested node configuration is not available", "`slurm_partition`"),
        (f"{FAILED}Requested time limit is invalid (missing or exceeds some limit)", "`runtime`"),
        (
            f"{FAILED}Job violates accounting/QOS policy (job submit limit, user's size and/or "
            "time limits)",
            "`jobs:`",
        ),
    ],
)
def test_a_refused_job_is_told_in_one_sentence(error, expected):
    _, kind, text = refusal(message(error))
    assert kind is not None
    assert text.startswith("Slurm refused the job semantic b00002: ")
    assert expected in text
    assert "\n" not in text


def test_an_unknown_refusal_is_repeated_in_its_own_words():
    _, kind, text = refusal(message("sbatch: error: Unable to contact slurm controller"))
    assert kind is None
    assert text == "Slurm refused the job semantic b00002: Unable to contact slurm controller."


def test_other_errors_are_no_refusal():
    assert refusal("SLURM-job '7' failed, SLURM status is: 'TIMEOUT'.") is None


# --- watching a run ---


@pytest.fixture
def queue(monkeypatch):
    """A queue that tests fill, instead of that of a cluster."""
    waiting = []
    monkeypatch.setattr(watching, "read_waiting", lambda run: waiting)
    monkeypatch.setattr(watching, "read_nodes", lambda: DRAINED)
    monkeypatch.setattr(watching, "read_running", list)
    monkeypatch.setattr(watching, "sees_others", lambda: True)
    return waiting


def test_sure_reasons_are_told_at_the_first_look_and_once(queue):
    said = []
    watch = Watch(said.append)
    queue += [JOBS["parttime"]] * 3
    assert watch.look("run", set()) == set()
    watch.look("run", set())
    assert len(said) == 1
    assert "and 2 more like it" in said[0]


def test_doubtful_reasons_are_told_at_the_second_look(queue):
    said = []
    watch = Watch(said.append)
    queue += [DRAINED_JOBS["gpudrained"], DRAINED_JOBS["otherbusy"]]
    doubtful = watch.look("run", set())
    assert doubtful == {DRAINED_JOBS["gpudrained"].id}
    assert said == []
    watch.look("run", doubtful)
    assert [text.split(":")[0] for text in said] == [
        f"Slurm will not start job {DRAINED_JOBS['gpudrained'].id} (gpudrained b00001)"
    ]


def test_the_log_of_snakemake_starts_it_and_tells_refusals(monkeypatch):
    said, runs = [], []
    monkeypatch.setattr(Watch, "_look_on", lambda self, run: runs.append(run))
    logger = logging.Logger("snakemake of this test", logging.INFO)
    logger.addHandler(Watch(said.append))
    logger.info("SLURM run ID: 5c-1")
    logger.info("100% done of %s")
    for _ in range(3):
        logger.error("Error in rule", extra={"rule_msg": message(f"{FAILED}Invalid qos")})
    assert runs == ["5c-1"]
    assert [text[:38] for text in said] == ["Slurm refused the job semantic b00002:"]
