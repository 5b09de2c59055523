"""The configuration: strict, with errors that name the key."""

import hashlib
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


@pytest.mark.parametrize("name", ["config.yaml", "demo.yaml"])
def test_shipped_configurations_are_valid(name):
    load_config(ROOT / "config" / name)


def test_shipped_defaults_are_the_built_in_defaults():
    assert load_config(ROOT / "config" / "config.yaml") == Config()


def test_a_misspelt_key_is_named():
    with pytest.raises(ConfigError, match=r"prepare\.n5"):
        parse_config({"prepare": {"n5": True}}, "test")


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
    ("stage", "digest"),
    [
        ("prepare", "a2379f83a5218545b1e5d43ea19207537d94e10f9f150751f13385004b365d18"),
        ("semantic", "4fd31e1b9d7f4440b4fd32de6b066f9bbdd85171d8622ae842e0f3f73c8e08db"),
        ("instance", "828df48eb65d7331d55c842bb32b2732ae45df7ded422f47cab5905b63888ae0"),
        ("label", "aaa1a0158399a78322895a1e88a74fbe70909316d2c6ba56dbd3f6d63e8e7020"),
        ("measure", "4498455e6f512bd240b4b40f1566ef4366f17b07be2ea1d3065516d0bf0bb535"),
        ("assess", "107489bd0499c2a5ee53c3279dad04b8b0b16131c359d30680dca6bcf815468b"),
        ("collect", "b5c7d34ba3763b6259575c186694b1d5fc743cce279180b705974bd50b1488d2"),
    ],
)
def test_settings_of_a_stage_stay_the_same(stage, digest):
    """Another text has Snakemake repeat the jobs of every existing result.

    A new key, or another default, changes it on purpose: then put the new digest here.
    """
    text = stage_settings(Config(), stage)
    assert hashlib.sha256(text.encode()).hexdigest() == digest


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
