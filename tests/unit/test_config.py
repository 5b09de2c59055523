"""The configuration: strict, with errors that name the key."""

import json

import pytest

from columna.chain import CHAIN, STAGES
from columna.config import (
    Config,
    config_sha256,
    load_config,
    parse_config,
    stage_settings,
)
from columna.docs import ROOT
from columna.errors import ConfigError

RESULTS = {
    *("measure", "prepare", "semantic", "instance", "label"),
    *("models.semantic", "models.instance", "models.quality"),
}
"""Parts of the configuration that the rows of a scan depend on."""


@pytest.mark.parametrize("name", ["config.yaml", "demo.yaml"])
def test_shipped_configurations_are_valid(name):
    load_config(ROOT / "config" / name)


def test_shipped_defaults_are_the_built_in_defaults():
    assert load_config(ROOT / "config" / "config.yaml") == Config()


def test_a_misspelt_key_is_named():
    with pytest.raises(ConfigError, match=r"prepare\.n5"):
        parse_config({"prepare": {"n5": True}}, "test")


def test_the_former_way_of_naming_tells_the_new_one():
    with pytest.raises(ConfigError, match=r"label\.naming: .*'chain'.*least_name_p"):
        parse_config({"label": {"naming": "anchored"}}, "test")


def test_a_name_must_be_more_probable_than_not():
    with pytest.raises(ConfigError, match="least_name_p"):
        parse_config({"label": {"least_name_p": 0.5}}, "test")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        load_config(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize("stage", STAGES)
def test_stage_settings_read_back_what_the_stage_depends_on(stage):
    config = Config.model_validate(
        {
            "prepare": {"n4": False},
            "label": {"naming": "top_down"},
            "models": {"semantic": "it's; rm -rf /", "instance": "x"},
        }
    )
    text = stage_settings(config, stage)
    again = parse_config(json.loads(text), "test")
    include = CHAIN[stage].settings
    assert again.model_dump(include=include) == config.model_dump(include=include)


@pytest.mark.parametrize(
    ("stage", "parts"),
    [
        ("prepare", {"prepare", "models.semantic"}),
        ("semantic", {"semantic", "models.semantic", "models.device"}),
        ("instance", {"instance", "models.instance", "models.device"}),
        ("label", {"label"}),
        ("measure", RESULTS),
        ("assess", {"prepare"}),
        ("picture", {"prepare", "pictures"}),
        ("evaluate", {"evaluate"}),
        ("collect", {*RESULTS, "participant_columns", "assess"}),
        ("report", {*RESULTS, "participant_columns", "assess", "pictures"}),
    ],
)
def test_parts_that_a_stage_depends_on_stay_the_same(stage, parts):
    """With others, Snakemake repeats the jobs of every existing result."""
    content = json.loads(stage_settings(Config(), stage))
    models = content.pop("models", {})
    assert {*content, *(f"models.{key}" for key in models)} == parts


@pytest.fixture
def places(monkeypatch):
    monkeypatch.setenv("HOME", "/homes/me")
    monkeypatch.setenv("STUDY", "/data/study one")
    monkeypatch.delenv("NOT_SET", raising=False)
    monkeypatch.setenv("EMPTY", "")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("~/r", "/homes/me/r"),
        ("$HOME/r", "/homes/me/r"),
        ("${HOME}/r", "/homes/me/r"),
        ("$STUDY/a$HOME/b", "/data/study one/a/homes/me/b"),
        ("a~b/$", "a~b/$"),
        ("r", "r"),
    ],
)
def test_home_and_variables_are_replaced_in_paths(places, given, meant):
    models = {"semantic": given, "instance": given}
    config = parse_config(
        {"cohort": given, "results": given, "training": given, "models": models}, "test"
    )
    found = {str(path) for path in (config.cohort, config.results, config.training)}
    assert found == {meant}
    assert {config.models.semantic, config.models.instance} == {meant}
    assert parse_config(json.loads(config.model_dump_json()), "again") == config


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("$NOT_SET/r", r"\$NOT_SET is not set"),
        ("x/${NOT_SET}", r"\$\{NOT_SET\} is not set"),
        ("$EMPTY/r", r"\$EMPTY is not set"),
        ("${}/r", r"\$\{\} is not set"),
        ("~nobody-here/r", "no user 'nobody-here'"),
    ],
)
@pytest.mark.parametrize("key", ["cohort", "results", "training"])
def test_what_cannot_be_replaced_is_named(places, key, given, told):
    with pytest.raises(ConfigError, match=rf"(?s){key}.*{told}"):
        parse_config({key: given}, "test")


@pytest.mark.parametrize("given", ["out{1}", "out{batch}", "a{", "}b"])
def test_braces_are_refused_where_snakemake_would_read_them(given):
    with pytest.raises(ConfigError, match=r"(?s)results.*braces"):
        parse_config({"results": given}, "test")
    with pytest.raises(ConfigError, match=r"(?s)models\.semantic.*braces"):
        parse_config({"models": {"semantic": f"/m/{given}"}}, "test")


def test_config_digest_follows_settings_but_not_places():
    config = Config()
    assert config_sha256(config.model_copy(update={"batch_size": 1})) == config_sha256(config)
    assert config_sha256(parse_config({"prepare": {"n4": False}}, "")) != config_sha256(config)
