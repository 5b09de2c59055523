"""Stages by name, imported when asked for: a stage without a network must not wait for torch."""

from importlib import import_module

from columna.config import Config
from columna.results.layout import Layout
from columna.stages.base import Stage

_CLASSES = {
    "prepare": "PrepareStage",
    "semantic": "SemanticStage",
    "instance": "InstanceStage",
    "label": "LabelStage",
    "measure": "MeasureStage",
    "assess": "AssessStage",
    "picture": "PictureStage",
}


def make_stage(name: str, config: Config, layout: Layout) -> Stage:
    """The stage called `name`."""
    return getattr(import_module(f"columna.stages.{name}"), _CLASSES[name])(config, layout)
