"""The model of predicted quality: forests, and how far below their answer the truth may lie.

It is JSON with the digest of its content in it, made by `columna train quality`. What it was
calibrated on is the work of certain weights; for others the bound is wider and the result says so.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from columna.anatomy import RESOURCES
from columna.errors import ModelError
from columna.files import read_json, write_text
from columna.predict.forest import Forest
from columna.predict.signs import KINDS, Signs

FORMAT = 1
BUNDLED = RESOURCES / "models" / "bundled_quality" / "quality.json"
"""Calibrated for the bundled networks."""
COVERAGE = 0.9
"""Share of structures whose Dice is at least the lower bound."""
ENDS = 0.02
"""Keeps the logarithm of the odds of Dice 0 and 1 finite."""
THICK_MM = 2.0
"""Slices above this are thick."""
ALL, OTHER_WEIGHTS = "all", "other_weights"


class Bounded(tuple[float, float]):
    """Expected Dice, and its lower bound."""

    __slots__ = ()


def log_odds(dice: np.ndarray) -> np.ndarray:
    """Dice on the scale on which forests and bounds work."""
    return np.log((dice + ENDS) / (1 + ENDS - dice))


def from_log_odds(value: np.ndarray) -> np.ndarray:
    """Undo `log_odds`, 0 to 1."""
    odds = np.exp(np.clip(value, -30, 30))
    return np.clip(((1 + ENDS) * odds - ENDS) / (1 + odds), 0, 1)


def stratum(region: str | None, slice_mm: float) -> str:
    """Structures that have a bound of their own, where enough of them were calibrated on."""
    return f"{region or 'unnamed'}, {'thick' if slice_mm > THICK_MM else 'thin'} slices"


@dataclass(frozen=True, eq=False)
class KindModel:
    """Model of one kind of structures.

    Parameters
    ----------
    features
        Names of the evidence, in the order of the forest.
    fill
        What stands for a value that is not known.
    forest
        Predicts the log odds of the Dice.
    margin
        `ALL`, `OTHER_WEIGHTS` and strata -> how much lower the bound is, in log odds.
    """

    features: tuple[str, ...]
    fill: np.ndarray
    forest: Forest
    margin: Mapping[str, float]

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "KindModel":
        """Read what `QualityModel.load` found for a kind."""
        features = tuple(content["features"])
        fill = np.array(content["fill"], float)
        forest = Forest.of(content["trees"])
        if fill.shape != (len(features),) or forest.feature.max() >= len(features):
            raise ValueError("features, fill and trees do not fit together")
        margin = {str(name): float(value) for name, value in content["margin"].items()}
        if not {ALL, OTHER_WEIGHTS} <= margin.keys():
            raise ValueError(f"margin lacks {ALL} or {OTHER_WEIGHTS}")
        return cls(features, fill, forest, margin)

    def matrix(self, found: Sequence[Signs]) -> np.ndarray:
        """Evidence in the order of the forest, (n, f), gaps filled."""
        values = np.array([[row.get(name, math.nan) for name in self.features] for row in found])
        values = values.reshape(len(found), len(self.features))
        return np.where(np.isfinite(values), values, self.fill)

    def __call__(
        self, found: Sequence[Signs], strata: Sequence[str], *, is_calibrated: bool
    ) -> list[Bounded]:
        """Expected Dice and lower bound of structures."""
        if not found:
            return []
        expected = self.forest(self.matrix(found))
        if is_calibrated:
            margin = [self.margin.get(name, self.margin[ALL]) for name in strata]
        else:
            margin = [self.margin[OTHER_WEIGHTS]] * len(found)
        pairs = zip(
            from_log_odds(expected).tolist(),
            from_log_odds(expected - np.array(margin)).tolist(),
            strict=True,
        )
        return [Bounded(pair) for pair in pairs]


@dataclass(frozen=True, eq=False)
class QualityModel:
    """Models of all kinds, and the weights that they were calibrated for.

    Parameters
    ----------
    kinds
        Kind (`columna.predict.signs.KINDS`) -> model.
    weights
        Pairs of digests of phase 1 and phase 2.
    sha256
        Digest of the content.
    """

    kinds: Mapping[str, KindModel]
    weights: frozenset[tuple[str, str]]
    sha256: str

    @classmethod
    def load(cls, path: Path) -> "QualityModel":
        """Read a model.

        Raises
        ------
        ModelError
            If the file is missing, damaged or edited, or of another format.
        """
        how = "make it again (`columna train quality`), or restore the file"
        try:
            content = read_json(path)
            sha256 = content.pop("sha256")
            if content["format"] != FORMAT:
                raise ModelError(f"{path}: format {content['format']} is not known; {how}")
            if sha256 != content_sha256(content):
                raise ModelError(f"{path}: was changed, its digest is another one; {how}")
            kinds = {kind: KindModel.of(content["kinds"][kind]) for kind in KINDS}
            weights = frozenset((str(a), str(b)) for a, b in content["weights"])
        except OSError as error:
            raise ModelError(f"{path}: cannot be read ({error.strerror}); {how}") from error
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise ModelError(
                f"{path}: is no model of predicted quality ({error}); {how}"
            ) from error
        return cls(kinds, weights, sha256)

    def is_calibrated_for(self, semantic: str | None, instance: str | None) -> bool:
        """Whether these weights (SHA-256 of both models) were calibrated for."""
        return (semantic, instance) in self.weights


def content_sha256(content: Mapping[str, Any]) -> str:
    """Digest of a model's content, whatever the order of its keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def write_model(path: Path, content: Mapping[str, Any]) -> None:
    """Write a model with its digest; `content` has the keys format, weights and kinds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sealed = {**content, "sha256": content_sha256(content)}
    write_text(path, json.dumps(sealed, separators=(",", ":"), allow_nan=False) + "\n")
