"""What the two stages with a network have in common: their model, and how results depend on it."""

from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from columna.models.folder import ModelFolder
from columna.models.registry import find_model
from columna.results.manifest import ScanEntry
from columna.stages.base import Stage
from columna.stages.model_identity import known_model, model_identity


class NetworkStage(Stage):
    """A stage whose model and settings go by its name in the configuration."""

    without_effect: ClassVar[set[str]] = set()
    """Settings that change no result."""

    @property
    def model_name(self) -> str:
        """The model that the configuration names."""
        name: str = getattr(self.config.models, self.name)
        return name

    @cached_property
    def folder(self) -> ModelFolder:
        """The model; not looked for before a scan needs it."""
        return ModelFolder.read(find_model(self.model_name))

    @cached_property
    def memo(self) -> Path:
        """Where the digest of the model is remembered."""
        return self.layout.receipt(f"model-{self.name}")

    @cached_property
    def identity(self) -> dict[str, str]:
        """Name and digest of the model that is loaded."""
        return model_identity(self.folder, self.memo)

    def dependencies(self, scan: ScanEntry) -> dict[str, Any]:
        """Settings and weights."""
        return {"settings": self._settings(), "model": self.identity}

    def shared(self) -> dict[str, Any]:
        """Settings and weights, as far as planning knows them."""
        return {"settings": self._settings(), "model": known_model(self.model_name, self.memo)}

    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = getattr(self.config, self.name).model_dump(
            mode="json", exclude=self.without_effect
        )
        return settings
