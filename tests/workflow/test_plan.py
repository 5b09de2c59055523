"""What Snakemake plans, without running it."""

import re

import pytest

from columna.chain import STAGES

pytestmark = pytest.mark.xdist_group("e2e")


def jobs(planned, stage):
    return sorted(re.findall(rf"columna {stage} (b\d+)", "\n".join(planned)))


def test_every_stage_runs_once_per_batch(workspace):
    workspace.zero_byte_cohort(7)
    workspace.configure(cohort="cohort.tsv", batch_size=3)
    workspace.columna("index")
    planned = workspace.planned()
    for stage in STAGES:
        assert jobs(planned, stage) == ["b00001", "b00002", "b00003"]
    for last in ("collect", "report"):
        assert sum(f"columna {last}" in line for line in planned) == 1


def test_root_and_workflow_snakefile_plan_the_same_jobs(workspace):
    workspace.zero_byte_cohort(4)
    workspace.configure(cohort="cohort.tsv", batch_size=2)
    workspace.columna("index")
    root = workspace.planned()
    assert root
    assert root == workspace.planned(snakefile="workflow/Snakefile")


def test_without_an_index_the_message_names_the_command(workspace):
    workspace.configure(cohort="cohort.tsv")
    done = workspace.snakemake("-n", check=False)
    assert done.returncode != 0
    assert "columna index" in done.stdout + done.stderr


def test_a_misspelt_key_is_named(workspace):
    workspace.configure(cohort="cohort.tsv", label={"namign": "anchored"})
    done = workspace.snakemake("-n", check=False)
    assert done.returncode != 0
    assert "label.namign" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("key", "value", "stages"),
    [
        ("label", {"naming": "top_down"}, {"label", "measure"}),
        ("instance", {"compute": "float32"}, {"instance", "measure"}),
    ],
)
def test_settings_reach_only_the_stages_they_concern(workspace, key, value, stages):
    workspace.zero_byte_cohort(1)
    workspace.configure(cohort="cohort.tsv")
    workspace.columna("index")
    before = workspace.planned()
    workspace.configure(cohort="cohort.tsv", **{key: value})
    after = workspace.planned()
    changed = {line.split()[1] for line in set(after) ^ set(before)}
    assert changed == stages | {"collect", "report"}


def test_odd_settings_stay_text_in_the_shell(workspace):
    workspace.zero_byte_cohort(1)
    evil = "x'; touch owned; echo '"
    workspace.configure(cohort="cohort.tsv", models={"semantic": evil})
    workspace.columna("index")
    workspace.snakemake("results/stages/prepare/b00001.tsv", check=False)
    assert not (workspace.folder / "owned").exists()
