"""Stages by name, imported when asked for: a stage without a network must not wait for torch."""

from importlib import import_module

from columna.config import Config
from columna.results.layout import Layout
from columna.stages.base import Stage


def make_stage(name: str, config: Config, layout: Layout) -> Stage:
    """The stage called `name`: ``LabelStage`` of ``stages/label.py``, for example."""
    module = import_module(f"columna.stages.{name}")
    made: Stage = getattr(module, f"{name.capitalize()}Stage")(config, layout)
    return made
