"""The configuration: strict, with errors that name the key."""

import json

import pytest

from columna.config import (
    STAGE_KEYS,
    Config,
    config_sha256,
    load_config,
    parse_config,
    stage_settings,
)
from columna.docs import ROOT
from columna.errors import ConfigError
from columna.layout import STAGES


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
    include = STAGE_KEYS[stage]
    assert again.model_dump(include=include) == config.model_dump(include=include)


def test_config_digest_follows_settings_but_not_places():
    config = Config()
    assert config_sha256(config.model_copy(update={"batch_size": 1})) == config_sha256(config)
    assert config_sha256(parse_config({"prepare": {"n4": False}}, "")) != config_sha256(config)
