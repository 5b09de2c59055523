"""The command line: every command explains itself, errors are one sentence."""

import nibabel as nib
import pytest
from typer.testing import CliRunner

from columna.chain import STAGES
from columna.cli import app
from columna.cli.main import run

COMMANDS = [
    *([stage] for stage in STAGES),
    *([c] for c in ("segment", "index", "status", "summary", "collect", "export")),
    *(["models", c] for c in ("list", "fetch", "verify")),
    *(["phantom", c] for c in ("make", "demo", "score")),
    *(["train", c] for c in ("convert", "pool", "network", "look", "splits", "nnunet", "export")),
]


def call(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "200"})


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_for_every_option(command):
    done = call(*command, "--help")
    assert done.exit_code == 0
    for line in done.output.splitlines():
        if "--" in line and line.startswith("│"):
            assert len(line.strip("│ ").split("  ")) > 1, line


def test_a_phantom_of_choice(tmp_path):
    done = call(
        "phantom", "make", "--out", tmp_path, "--region", "lumbar", "--spacing", 2, 2, 4,
        "--orientation", "LAS", "--settings", '{"lumbar": 6, "seed": 3}',
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    image = nib.load(tmp_path / "sub-phantom_T2w.nii.gz")
    assert nib.aff2axcodes(image.affine) == ("L", "A", "S")
    assert 25 in nib.load(tmp_path / "sub-phantom_seg-vert_dseg.nii.gz").get_fdata()


def test_a_wrong_phantom_setting_is_named(tmp_path):
    done = call("phantom", "make", "--out", tmp_path, "--settings", '{"thoracc": 13}')
    assert done.exit_code != 0
    assert "thoracc" in done.output


def test_a_pool_is_made_by_name(tmp_path, monkeypatch):
    from columna.train.samples import pool

    monkeypatch.delenv("COLUMNA_DATA", raising=False)
    monkeypatch.setattr(pool, "phantom_map", lambda seed: seed)
    monkeypatch.setattr(pool, "save_map", lambda made, stem: stem.with_suffix(".npy").touch())
    done = call("train", "pool", tmp_path, "--maps", 2, "--exclude", "tptbox-ct")
    assert done.exit_code == 0, done.output
    assert [p.name for p in sorted(tmp_path.iterdir())] == [
        "phantom-00001.npy",
        "phantom-00002.npy",
    ]
    done = call("train", "pool", tmp_path, "--exclude", "no such map")
    assert done.exit_code != 0
    assert "no such map" in done.output


@pytest.mark.parametrize("written", ["~/out", "$HOME/out", "${HOME}/out"])
def test_home_is_replaced_wherever_a_path_is_written(tmp_path, monkeypatch, written):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a_T2w.nii.gz").touch()
    (tmp_path / "cohort.tsv").write_text("participant_id\tpath\np\ta_T2w.nii.gz\n")
    (tmp_path / "c.yaml").write_text(f"cohort: ~/cohort.tsv\nresults: {written}\n")
    done = call("index", "--configfile", "c.yaml")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out/index/scans.parquet").exists()
    done = call("index", "--configfile", "c.yaml", "--results", f"{written}2")
    assert done.exit_code == 0, done.output
    assert {p.name for p in tmp_path.iterdir() if p.is_dir()} == {"out", "out2"}


def test_home_after_an_equals_sign(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    arguments = ["--out=~/ph", "--region", "lumbar", "--spacing", "4", "4", "8"]
    monkeypatch.setattr("sys.argv", ["columna", "phantom", "make", *arguments])
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 0
    assert {p.name for p in tmp_path.iterdir()} == {"ph"}
