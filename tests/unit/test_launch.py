"""The doors to the packaged workflow: `columna run` and `columna bids`."""

import json
import os
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from columna import launch
from columna.cli import app
from columna.cli.bids import repeated
from columna.config import Selection, load_config
from columna.errors import ConfigError


@pytest.fixture
def started(monkeypatch):
    """Commands that would have replaced this process."""
    commands = []

    def note(program, command, environment):
        commands.append(command)
        raise SystemExit(0)

    monkeypatch.setattr(os, "execve", note)
    return commands


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for subject in ("01", "02", "03"):
        folder = tmp_path / "bids" / f"sub-{subject}" / "anat"
        folder.mkdir(parents=True)
        (folder / f"sub-{subject}_T2w.nii.gz").touch()
    return tmp_path / "bids"


def call(*arguments, fails=False):
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    assert (done.exit_code != 0) == fails, done.output
    return done


def indexed(results):
    return [line.split("\t")[0] for line in (results / "index/ledger.tsv").read_text().split("\n")]


# --- run ---


def test_corrections_are_found_from_any_folder(dataset, tmp_path, started):
    (tmp_path / "c.yaml").write_text("corrections: c.tsv\ncorrected_masks: masks\n")
    call("run", "--cohort", "bids", "--results", "out", "--configfile", "c.yaml")
    kept = yaml.safe_load((tmp_path / "out/config.yaml").read_text())
    assert kept["corrections"] == str(tmp_path / "c.tsv")
    assert kept["corrected_masks"] == str(tmp_path / "masks")


def test_run_needs_only_a_cohort_and_a_folder_and_then_only_the_folder(dataset, tmp_path, started):
    call("run", "--cohort", "bids", "--results", "out")
    kept = (tmp_path / "out/config.yaml").read_text()
    assert yaml.safe_load(kept)["cohort"] == str(dataset)
    call("run", "--results", "out", "--cores", "3", "--", "-n", "--quiet")
    assert (tmp_path / "out/config.yaml").read_text() == kept
    first, second = started
    assert first[:4] == [sys.executable, "-P", "-m", "snakemake"]
    assert "all" in first
    assert second[-2:] == ["-n", "--quiet"]
    assert second[second.index("--cores") + 1] == "3"
    assert second[second.index("--directory") + 1] == str(tmp_path / "out")


def test_settings_of_an_earlier_run_stay_until_others_are_given(dataset, tmp_path, started):
    (tmp_path / "mine.yaml").write_text("label: {naming: top_down}\nmodels: {semantic: ./m}\n")
    call("run", "--cohort", "bids", "--results", "out", "--configfile", "mine.yaml")
    call("run", "--results", "out")
    config = load_config(tmp_path / "out/config.yaml")
    assert config.label.naming == "top_down"
    assert config.models.semantic == str(tmp_path / "m")  # Snakemake works in another folder
    assert config.models.instance == "bundled_instance"


def test_a_folder_has_one_name_wherever_the_run_is_started(dataset, tmp_path, started, monkeypatch):
    call("bids", "bids", "out", "participant")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    call("bids", "../bids/", "../out", "participant")
    call("run", "--results", "../out", "--", "scans")
    first, second, third = started
    assert first == second == third
    assert ".." not in " ".join(second)


def test_commands_find_the_settings_of_a_results_folder(dataset, started):
    call("run", "--cohort", "bids", "--results", "out")
    assert "3" in call("status", "--results", "out").output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--cohort and --results"),
        (("--results", "out"), "--cohort"),
        (("--cohort", "nothing", "--results", "out"), "nothing"),
    ],
)
def test_what_is_missing_is_said_and_nothing_is_kept(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    assert said in str(call("run", *arguments, fails=True).exception)
    assert not (tmp_path / "out/config.yaml").exists()


def test_packaged_profiles_are_found_and_others_are_left_to_snakemake(tmp_path):
    command = launch.snakemake_command(tmp_path, ["slurm", "mine"], None, [])
    assert "--cores" not in command
    slurm, mine = (command[i + 1] for i, word in enumerate(command) if word == "--profile")
    assert yaml.safe_load(Path(slurm, "config.yaml").read_text())["executor"] == "slurm"
    assert mine == "mine"


def test_jobs_call_the_columna_that_was_called(tmp_path):
    environment = launch.job_environment({"PATH": "/bin"}, str(tmp_path / "columna"))
    assert environment["PATH"].split(":")[0] == str(tmp_path)
    assert environment["PATH"].endswith(":/bin")
    given = launch.job_environment({"COLUMNA_SOURCE": "here"}, "pytest")
    assert given["COLUMNA_SOURCE"] == "here"
    assert not given["PATH"].endswith(":")


# --- bids ---


def test_participants_add_up_and_group_collects_them(dataset, tmp_path, started):
    call("bids", "bids", "out", "participant", "--participant-label", "02")
    assert indexed(tmp_path / "out")[1:-1] == ["sub-02_T2w"]
    call("bids", "bids", "out", "participant", "--participant_label", "sub-01", "02")
    assert indexed(tmp_path / "out")[1:-1] == ["sub-02_T2w", "sub-01_T2w"]
    call("bids", "bids", "out", "group", "--n-cpus", "2", "--skip_bids_validation")
    first, second, group = started
    assert first[-1] == second[-1] == "scans"
    assert "scans" not in group
    assert group[group.index("--cores") + 1] == "2"
    assert indexed(tmp_path / "out")[1:-1] == ["sub-02_T2w", "sub-01_T2w"]


def test_a_call_without_labels_takes_everybody_from_then_on(dataset, tmp_path, started):
    call("bids", "bids", "out", "participant", "--participant-label", "02")
    call("bids", "bids", "out", "participant")
    call("bids", "bids", "out", "participant", "--participant-label", "01")
    assert load_config(tmp_path / "out/config.yaml").select == ()
    assert len(indexed(tmp_path / "out")[1:-1]) == 3


def test_an_unknown_label_is_a_sentence_and_spoils_no_later_call(dataset, tmp_path, started):
    call("bids", "bids", "out", "participant", "--participant-label", "02")
    done = call("bids", "bids", "out", "participant", "--participant-label", "9", fails=True)
    assert "there is no sub-9; there are: sub-01, sub-02, sub-03" in str(done.exception)
    call("bids", "bids", "out", "participant", "--participant-label", "03")
    assert len(started) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("bids", "out", "group"), "participant` first"),
        (("bids", "out", "participant", "--filter", "acq"), "entity=value"),
        (("bids", "out", "participant", "--bids-filter-file", "none.json"), "none.json"),
    ],
)
def test_wrong_calls_are_a_sentence(dataset, started, arguments, said):
    assert said in str(call("bids", *arguments, fails=True).exception)


def test_a_folder_belongs_to_one_dataset(dataset, tmp_path, started):
    call("bids", "bids", "out", "participant")
    (tmp_path / "bids").rename(tmp_path / "other")
    done = call("bids", "other", "out", "participant", fails=True)
    assert isinstance(done.exception, ConfigError)
    assert "give each dataset a folder of its own" in str(done.exception)


def test_a_selection_in_the_settings_is_not_overridden_in_silence(dataset, tmp_path, started):
    (tmp_path / "mine.yaml").write_text("select: [{participants: ['01']}]\n")
    call("bids", "bids", "out", "participant", "--configfile", "mine.yaml", fails=True)


def test_group_needs_no_raw_data_and_no_labels(dataset, tmp_path, started):
    call("bids", "bids", "out", "participant")
    (tmp_path / "bids").rename(tmp_path / "other")
    call("bids", "bids", "out", "group")
    call("bids", "bids", "out", "group", "--participant-label", "01", fails=True)


def test_filters_of_a_file_and_of_the_command_line(dataset, tmp_path, started):
    filters = {"t2w": {"suffix": "T2w", "run": None, "acquisition": ["a", "b"]}, "t1w": {}}
    (tmp_path / "filters.json").write_text(json.dumps(filters))
    call(
        *("bids", "bids", "out", "participant", "--bids-filter-file", "filters.json"),
        *("--filter", "acquisition=*", "acquisition=c", "--participant-label", "01"),
        fails=True,  # none has an acquisition
    )
    (tmp_path / "filters.json").write_text('["t2w"]')
    wrong = ("bids", "bids", "out", "participant", "--bids-filter-file", "filters.json")
    assert "under the key t2w" in str(call(*wrong, fails=True).exception)
    (tmp_path / "filters.json").write_text(json.dumps({"T2w": {"suffix": "T2w", "run": None}}))
    call("bids", "bids", "out", "participant", "--bids-filter-file", "filters.json")
    chosen = Selection(entities={"suffix": ("T2w",), "run": None})
    assert load_config(tmp_path / "out/config.yaml").select == (chosen,)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("B O --participant-label 1 2 -n", "--participant-label 1 --participant-label 2 -n"),
        ("--session_label a b --n-cpus 4", "--session-label a --session-label b --n-cpus 4"),
        ("--filter acq=a -- --config a b", "--filter acq=a -- --config a b"),
    ],
)
def test_options_of_several_values(written, read):
    assert read in " ".join(repeated(written.split()))
